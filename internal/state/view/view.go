package view

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/state/backend"
)

// Checkpoint is a checkpoint or savepoint to look into.
type Checkpoint struct {
	meta *meta.Checkpoint
	open run.Opener
}

// New returns a view of a checkpoint whose files open finds. It keeps m, which must not change.
func New(m *meta.Checkpoint, open run.Opener) *Checkpoint {
	return &Checkpoint{meta: m, open: open}
}

// Operator is what a checkpoint holds of one operator.
type Operator struct {
	Name, UID      string
	ID             string // 32 hexadecimal digits, Flink's operator id of the uid
	Parallelism    uint32
	MaxParallelism uint32
	Tables         []Table
	Subtasks       []Subtask
	Lists          []OperatorList // operator state by name, all subtasks together
	Coordinator    *OperatorList  // of a source's enumerator, nil without
	Committables   int            // of sinks, prepared and to be committed
	Bytes          int64

	message *protocol.OperatorState
}

// Table is the size of what lies under one table number: the rows of value states, which they
// share, or the elements of a collection, or timers.
type Table struct {
	States []State
	Bytes  int64
	// Rows is the number of entries. Unless Exact, keys changed or deleted since an older run
	// count more than once.
	Rows    int64
	Exact   bool
	Runs    int
	Windows []WindowSize // of paned state, earliest first
}

// WindowSize is the size of the state of one window.
type WindowSize struct {
	Window Window
	Bytes  int64
	Rows   int64
	Exact  bool
}

// Subtask is the part of one subtask.
type Subtask struct {
	Index          uint32
	Keyed          bool
	HashLo, HashHi uint32
	Bytes, Rows    int64
	Runs           int
	ListElements   int
	Committables   int
}

// OperatorList is operator state of one name.
type OperatorList struct {
	Name     string
	Kind     string // "list", "union" or "broadcast"
	Schema   string // "" when it is not written down
	Elements []any  // of all subtasks, as far as they can be read
	Bytes    int64
}

// Operators describes all operators, in the order of the metadata.
func (c *Checkpoint) Operators() []Operator {
	operators := make([]Operator, 0, len(c.meta.Operators))
	for _, m := range c.meta.Operators {
		o := Operator{
			Name: m.GetName(), UID: m.GetUid(), ID: hex.EncodeToString(m.GetId()),
			Parallelism: m.GetParallelism(), MaxParallelism: m.GetMaxParallelism(), message: m,
		}
		o.Tables = tablesOf(m)
		o.addSubtasks()
		if state := m.GetCoordinator(); state != nil {
			list := listOf(state)
			o.Coordinator = &list
			o.Bytes += list.Bytes
		}
		operators = append(operators, o)
	}
	return operators
}

func (o *Operator) addSubtasks() {
	for _, m := range o.message.GetSubtasks() {
		s := Subtask{Index: m.GetSubtask(), Keyed: m.GetKeyed() != nil,
			HashLo: m.GetKeyed().GetHashLo(), HashHi: m.GetKeyed().GetHashHi(),
			Committables: len(m.GetCommittables())}
		for _, pane := range m.GetKeyed().GetPanes() {
			for _, r := range pane.GetRuns() {
				s.Bytes += sizeOf(r)
				s.Rows += r.GetRows()
				s.Runs++
			}
		}
		for _, committable := range m.GetCommittables() {
			s.Bytes += int64(len(committable.GetData()))
		}
		for _, m := range m.GetList() {
			list := listOf(m)
			s.Bytes += list.Bytes
			s.ListElements += len(list.Elements)
			o.addList(list)
		}
		o.Committables += s.Committables
		o.Bytes += s.Bytes
		o.Subtasks = append(o.Subtasks, s)
	}
	slices.SortFunc(o.Subtasks, func(a, b Subtask) int { return int(a.Index) - int(b.Index) })
}

func (o *Operator) addList(list OperatorList) {
	for i := range o.Lists {
		if known := &o.Lists[i]; known.Name == list.Name {
			known.Elements = append(known.Elements, list.Elements...)
			known.Bytes += list.Bytes
			return
		}
	}
	o.Lists = append(o.Lists, list)
}

// sizeOf returns the bytes of a run: of one that subtasks share, about those of its hashes.
func sizeOf(r *protocol.Run) int64 {
	if r.GetFile() == nil {
		return shareOf(r, int64(len(r.GetInline())))
	}
	return shareOf(r, r.GetLength())
}

// shareOf returns the part of a figure of a whole table that belongs to the hashes of a run, as
// if they were spread evenly.
func shareOf(r *protocol.Run, whole int64) int64 {
	table := int64(r.GetTableHi()) - int64(r.GetTableLo()) + 1
	own := int64(r.GetHashHi()) - int64(r.GetHashLo()) + 1
	unknown := r.GetTableLo() == 0 && r.GetTableHi() == 0
	if unknown || own >= table {
		return whole
	}
	return int64(float64(whole) * float64(own) / float64(table))
}

// tablesOf sums up the runs of every table that is described or there.
func tablesOf(o *protocol.OperatorState) []Table {
	var tables []Table
	var numbers []uint32
	at := func(number uint32) *Table {
		i := slices.Index(numbers, number)
		if i < 0 {
			i = len(numbers)
			numbers = append(numbers, number)
			tables = append(tables, Table{Exact: true})
		}
		return &tables[i]
	}
	for _, d := range o.GetDescriptors() {
		t := at(d.GetTable())
		t.States = append(t.States, stateOf(d))
	}
	shared := sharedRuns(o)
	for _, subtask := range o.GetSubtasks() {
		for _, pane := range subtask.GetKeyed().GetPanes() {
			at(pane.GetTable()).add(pane, shared)
		}
	}
	for i := range tables {
		slices.SortFunc(tables[i].Windows, func(a, b WindowSize) int {
			return strings.Compare(string(a.Window.End), string(b.Window.End))
		})
	}
	return tables
}

// tableStart names a sorted table by where it begins.
type tableStart struct {
	file   string
	offset int64
}

// sharedRuns are those that several references cut in pieces, as rescaling does: their counts are
// of the whole.
func sharedRuns(o *protocol.OperatorState) map[tableStart]bool {
	shared := map[tableStart]bool{}
	for _, subtask := range o.GetSubtasks() {
		for _, pane := range subtask.GetKeyed().GetPanes() {
			for _, r := range pane.GetRuns() {
				if r.GetFile() != nil {
					at := tableStart{r.GetFile().GetPath(), r.GetOffset()}
					_, seen := shared[at]
					shared[at] = seen
				}
			}
		}
	}
	return shared
}

func (t *Table) add(pane *protocol.PaneRuns, shared map[tableStart]bool) {
	size := WindowSize{Exact: true}
	above := int64(-1) // the hashes up to here are in the runs before
	for _, r := range pane.GetRuns() {
		at := tableStart{r.GetFile().GetPath(), r.GetOffset()}
		size.Exact = size.Exact && r.GetBase() && int64(r.GetHashLo()) > above && !shared[at]
		above = int64(r.GetHashHi())
		size.Bytes += sizeOf(r)
		size.Rows += shareOf(r, r.GetRows())
	}
	t.Runs += len(pane.GetRuns())
	t.Bytes += size.Bytes
	t.Rows += size.Rows
	t.Exact = t.Exact && size.Exact
	if backend.Pane(pane.GetPane()) == backend.NoPane {
		return
	}
	kind := ""
	if len(t.States) > 0 {
		kind = t.States[0].Kind
	}
	section := Section{window: windowOf(kind)}
	size.Window = *section.windowOf(backend.Pane(pane.GetPane()))
	for i := range t.Windows {
		if known := &t.Windows[i]; known.Window == size.Window {
			known.Bytes += size.Bytes
			known.Rows += size.Rows
			known.Exact = known.Exact && size.Exact
			return
		}
	}
	t.Windows = append(t.Windows, size)
}

// listOf decodes operator state as far as its form is known.
func listOf(m *protocol.NamedState) OperatorList {
	list := OperatorList{Name: m.GetName(), Kind: "list", Schema: m.GetSchema()}
	switch {
	case m.GetUnion():
		list.Kind = "union"
	case m.GetBroadcast():
		list.Kind = "broadcast"
	}
	for _, element := range m.GetElements() {
		list.Bytes += int64(len(element))
		list.Elements = append(list.Elements, elementOf(m, element))
	}
	return list
}

func elementOf(m *protocol.NamedState, b []byte) any {
	switch {
	case m.GetSchema() != "":
		if v, err := declaredElement(m, b); err == nil {
			return v
		}
		return Octets(b)
	case m.GetName() == "watermark" && len(b) == 8:
		return timeText(int64(binary.LittleEndian.Uint64(b)), 0)
	case m.GetName() == "position" && m.GetUnion() && len(b) == 32:
		word := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
		return Record{{"next", word(0)}, {"end", word(1)}, {"step", word(2)},
			{"maxTimestamp", timeText(word(3), 0)}}
	case m.GetName() == "position" && len(b) >= 8:
		var split protocol.Split
		if proto.Unmarshal(b[8:], &split) == nil {
			return Record{{"split", split.GetId()}, {"position", readable(split.GetData())},
				{"maxTimestamp", timeText(int64(binary.LittleEndian.Uint64(b)), 0)}}
		}
	}
	return readable(b)
}

// declaredElement decodes an element of a state that wrote down its schema: a value, or an entry of
// a broadcast map, which is led by the length of its key.
func declaredElement(m *protocol.NamedState, b []byte) (any, error) {
	keySchema, valueSchema, isMap := strings.Cut(m.GetSchema(), graph.MapSchema)
	if !isMap {
		valueSchema = keySchema
	}
	values, err := serialOf(valueSchema, false)
	if err != nil {
		return nil, err
	}
	if !isMap {
		v, _, err := values.decode(b)
		return v, err
	}
	keys, err := userKeysOf(keySchema)
	if err != nil {
		return nil, err
	}
	key, b, err := backend.NextElement(b)
	if err != nil {
		return nil, err
	}
	k, err := keys.decode(key)
	if err != nil {
		return nil, err
	}
	v, _, err := values.decode(b)
	return Record{{"key", k}, {"value", v}}, err
}

// readable returns bytes that are text as a string, others as Octets.
func readable(b []byte) any {
	for _, r := range string(b) {
		if r == '\uFFFD' || r < ' ' {
			return Octets(b)
		}
	}
	return string(b)
}

// Find returns the operator that a person names: by uid, by id or a prefix of it of at least 6
// digits, or by name. The error lists what there is.
func (c *Checkpoint) Find(operator string) (*Operator, error) {
	operators := c.Operators()
	for _, match := range []func(o *Operator) bool{
		func(o *Operator) bool { return o.UID == operator && operator != "" },
		func(o *Operator) bool { return o.ID == strings.ToLower(operator) },
		func(o *Operator) bool { return o.Name == operator && operator != "" },
		func(o *Operator) bool {
			return len(operator) >= 6 && strings.HasPrefix(o.ID, strings.ToLower(operator))
		},
	} {
		for i := range operators {
			if match(&operators[i]) {
				return &operators[i], nil
			}
		}
	}
	names := make([]string, len(operators))
	for i, o := range operators {
		names[i] = o.Label()
	}
	return nil, fmt.Errorf("view: no operator %q in the checkpoint; it has: %s", operator,
		strings.Join(names, ", "))
}

// Label is what to call an operator in one word: its uid, else its id.
func (o *Operator) Label() string {
	if o.UID != "" {
		return o.UID
	}
	return o.ID
}

// Sections returns what can be read of an operator's keyed state. The error names the state whose
// description this version does not understand.
func (o *Operator) Sections() ([]*Section, error) {
	sections, err := sectionsOf(o.message)
	if err != nil {
		return nil, fmt.Errorf("view: operator %q: %w", o.Label(), err)
	}
	return sections, nil
}
