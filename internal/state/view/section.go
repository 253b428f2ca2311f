package view

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// The kinds of state that checkpoints describe, beside those that stand in a row.
const (
	kindList   = "list"
	kindTimers = "timers"
)

// Form says how the entries of a section look.
type Form uint8

// The forms.
const (
	RowForm   Form = iota // one entry per key, with a value of each state
	MapForm               // one entry per key and user key
	ListForm              // one entry per element, in order
	TimerForm             // one entry per timer
	// RawForm is one entry per key, in bytes: this version does not know what describes it.
	RawForm
)

// Section is what is read together: the value states of an operator, which share rows, or one
// collection, or one service of timers. It is immutable.
type Section struct {
	Form   Form
	States []State // the states of rows, else one
	Paned  bool    // each entry belongs to a window

	operator *protocol.OperatorState
	table    backend.TableID
	key      *keyForm
	window   windowKind
	inKey    bool // keys are bytes that end with the window

	row    backend.RowLayout // of rows
	parts  []rowPart         // one per state of rows
	user   userKeys          // of MapForm
	value  serial            // of maps and lists
	timers backend.TimerLayout
}

// State is one declared state.
type State struct {
	Name, Kind           string
	KeySchema            string // in SQL spelling
	UserKeySchema        string // of maps
	ValueSchema          string
	TTLMillis            int64 // 0: for ever
	Table                uint32
	NamespaceWords       uint32
	presenceBit, ttlByte uint32
}

// rowPart is the place of one state in a row.
type rowPart struct {
	cell
	presence uint64 // 0: set whenever there is a row
	ttl      int    // offset of the time of the last use, -1 without
}

// windowKind is what a description says about windows.
type windowKind struct {
	size int64 // milliseconds; 0: not known
}

// A window is described by its size, and how far it slides:
// "window-aggregate(3600000 ms sliding by 60000 ms, offset 0 ms)".
var windowSize = regexp.MustCompile(`\((\d+) ms(?: sliding by (\d+) ms)?`)

// windowOf returns the span of a pane: that of the window or, when it slides, of the slices that
// windows are made of.
func windowOf(kind string) windowKind {
	var w windowKind
	m := windowSize.FindStringSubmatch(kind)
	if m == nil {
		return w
	}
	w.size, _ = strconv.ParseInt(m[1], 10, 64)
	slide, _ := strconv.ParseInt(m[2], 10, 64)
	for slide > 0 {
		w.size, slide = slide, w.size%slide
	}
	return w
}

// hasPresence tells whether rows of states of this kind begin with a word of presence bits.
func hasPresence(kind string) bool { return !strings.HasPrefix(kind, "window") }

// isCollection tells maps and lists, also those of windows, from what stands in the row.
func isCollection(s State) bool {
	return s.UserKeySchema != "" || s.Kind == kindList || s.Kind == kindTriggers
}

func stateOf(d *protocol.StateDescriptor) State {
	return State{
		Name: d.GetName(), Kind: d.GetKind(), KeySchema: d.GetKeySchema(),
		UserKeySchema: d.GetUserKeySchema(), ValueSchema: d.GetValueSchema(),
		TTLMillis: d.GetTtlMillis(), Table: d.GetTable(), NamespaceWords: d.GetNamespaceWords(),
		presenceBit: d.GetPresenceBit(), ttlByte: d.GetTtlOffset(),
	}
}

// sectionsOf groups the described states of an operator.
func sectionsOf(o *protocol.OperatorState) ([]*Section, error) {
	var sections []*Section
	rows := map[backend.TableID]*Section{}
	for _, d := range o.GetDescriptors() {
		s := stateOf(d)
		if d.GetTable() > math.MaxUint16 {
			return nil, fmt.Errorf("state %q: table number %d", s.Name, d.GetTable())
		}
		section, err := newSection(o, s, rows)
		if err != nil {
			section = rawSection(o, s)
		}
		if section != nil {
			sections = append(sections, section)
		}
	}
	return sections, nil
}

// rawSection shows a state in bytes.
func rawSection(o *protocol.OperatorState, s State) *Section {
	section := &Section{Form: RawForm, States: []State{s}, operator: o,
		table: backend.TableID(s.Table), window: windowOf(s.Kind),
		key: &keyForm{parts: []*keyNode{{kind: types.Bytes}}}}
	section.key.root = *section.key.parts[0]
	section.Paned = section.isPaned()
	return section
}

// newSection returns the section of a state, nil when it stands in the rows of one that there is
// already.
func newSection(
	o *protocol.OperatorState, s State, rows map[backend.TableID]*Section,
) (*Section, error) {
	key, err := parseKeyForm(s.KeySchema)
	if err != nil {
		return nil, err
	}
	section := &Section{States: []State{s}, operator: o, table: backend.TableID(s.Table),
		key: key, window: windowOf(s.Kind)}
	section.inKey = strings.HasPrefix(s.Name, windowStates) && hasWindowStates(o)
	section.Paned = section.inKey || section.isPaned()
	switch {
	case s.Kind == kindTimers:
		section.Form = TimerForm
		section.timers = backend.TimerLayout{KeyWords: key.words,
			NamespaceWords: int(s.NamespaceWords)}
		return section, nil
	case strings.HasPrefix(s.Kind, kindWindows):
		s.ValueSchema = windowRow
	case isCollection(s):
		return section, section.collection(s)
	}
	if known := rows[section.table]; known != nil {
		known.States = append(known.States, s)
		return nil, known.addPart(s)
	}
	rows[section.table] = section
	section.row.KeyWords = section.keyWords()
	if hasPresence(s.Kind) {
		section.row.FixedBytes = 8
	}
	return section, section.addPart(s)
}

// addPart places one more state in the row, behind those before it.
func (s *Section) addPart(state State) error {
	part := rowPart{ttl: -1}
	if state.TTLMillis > 0 {
		part.ttl = int(state.ttlByte)
		if part.ttl != s.row.FixedBytes {
			return fmt.Errorf("the time of its last use is said to lie at byte %d, not %d",
				part.ttl, s.row.FixedBytes)
		}
		s.row.FixedBytes += 8
	}
	if hasPresence(state.Kind) {
		part.presence = 1 << (state.presenceBit & 63)
	}
	var err error
	part.cell, err = cellOf(state.ValueSchema, s.row.FixedBytes, len(s.row.VarSlots))
	if err != nil {
		return err
	}
	for _, slot := range part.layout.VarSlots {
		s.row.VarSlots = append(s.row.VarSlots, s.row.FixedBytes+slot)
	}
	s.row.FixedBytes += part.layout.RowBytes
	s.parts = append(s.parts, part)
	return nil
}

// collection sets the section up for a map or list.
func (s *Section) collection(state State) (err error) {
	s.Form = ListForm
	switch {
	case state.Kind == kindTriggers:
		s.Form = MapForm
		if s.user, err = windowKeys(); err != nil {
			return err
		}
		s.user.names = append(s.user.names, "name")
	case state.UserKeySchema != "":
		s.Form = MapForm
		if s.user, err = userKeysOf(state.UserKeySchema); err != nil {
			return err
		}
	}
	s.value, err = serialOf(state.ValueSchema, state.TTLMillis > 0)
	return err
}

// keyWords is how many words the keys have, 0 when they are bytes.
func (s *Section) keyWords() int {
	if s.inKey {
		return 0
	}
	return s.key.words
}

// isElements tells whether the section is the elements of windows.
func (s *Section) isElements() bool { return s.States[0].Kind == kindElements }

// isPaned tells whether any run of the table lies in a pane.
func (s *Section) isPaned() bool {
	for _, subtask := range s.operator.GetSubtasks() {
		for _, pane := range subtask.GetKeyed().GetPanes() {
			own := pane.GetTable() == uint32(s.table)
			if own && backend.Pane(pane.GetPane()) != backend.NoPane {
				return true
			}
		}
	}
	return false
}

// Named tells whether the section holds a state of that name.
func (s *Section) Named(name string) bool {
	for _, state := range s.States {
		if state.Name == name {
			return true
		}
	}
	return false
}

// Entry is what is found under one key of a section: a row, or one element.
type Entry struct {
	Key     any
	Subtask uint32
	Hash    uint32
	// Window is that of a paned section; Start is not set when the size of windows is not known.
	Window *Window
	// UserKey is that of a map, Index the place in a list.
	UserKey any
	Index   int
	// Values are those of the states of the section, in order; one for maps and lists.
	Values []Value
	// Timestamp and Namespace are those of a timer.
	Timestamp Time
	Namespace []uint64
}

// Value is the value of one state of an entry.
type Value struct {
	Set   bool
	Value any
	// LastUse is set when the state has a time to live: Unix milliseconds.
	LastUse int64
	// EventTime is that of an element of a window.
	EventTime Time
}

// Window is a span of event time, its end exclusive.
type Window struct{ Start, End Time }

func (s *Section) windowOf(pane backend.Pane) *Window {
	if pane == backend.NoPane {
		return nil
	}
	w := &Window{End: timeText(int64(pane), 0)}
	if s.window.size > 0 {
		w.Start = timeText(int64(pane)-s.window.size, 0)
	}
	return w
}

// row decodes the value of a row.
func (s *Section) rowValues(b []byte) ([]Value, error) {
	fixed, vars, err := backend.SplitValue(s.row, b)
	if err != nil {
		return nil, err
	}
	values := make([]Value, len(s.parts))
	for i, p := range s.parts {
		if p.presence != 0 && binary.LittleEndian.Uint64(fixed)&p.presence == 0 {
			continue
		}
		values[i] = Value{Set: true, Value: p.decode(fixed, vars)}
		if p.ttl >= 0 {
			values[i].LastUse = int64(binary.LittleEndian.Uint64(fixed[p.ttl:]))
		}
	}
	return values, nil
}
