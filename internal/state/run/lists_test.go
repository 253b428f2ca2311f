package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// store is an Uploader and Opener in memory.
type store struct {
	objects map[string][]byte
	opened  int
	uploads int
	fail    error // what the next Upload returns, after writing once for nothing
}

func newStore() *store { return &store{objects: map[string][]byte{}} }

func (s *store) Upload(ctx context.Context, name string, write func(w io.Writer) error) (
	string, int64, error,
) {
	var out bytes.Buffer
	if s.fail != nil {
		err := s.fail
		s.fail = nil
		return "", 0, errors.Join(err, write(&out))
	}
	if err := write(io.Discard); err != nil { // A first try that is lost.
		return "", 0, err
	}
	if err := write(&out); err != nil {
		return "", 0, err
	}
	s.uploads++
	path := fmt.Sprintf("../shared/%s-%d", name, s.uploads)
	s.objects[path] = out.Bytes()
	return path, int64(out.Len()), nil
}

type object struct {
	*bytes.Reader
	s *store
}

func (o object) Size() int64  { return o.Reader.Size() }
func (o object) Close() error { o.s.opened--; return nil }

func (s *store) open(ctx context.Context, path string) (filesystem.ReadAtCloser, error) {
	content, ok := s.objects[path]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", path, filesystem.ErrNotExist)
	}
	s.opened++
	return object{bytes.NewReader(content), s}, nil
}

// image is the state of a task: panes with rows. Making a pane again gives it another number.
type image map[backend.PaneID]pane

type pane struct {
	made int
	rows rows
}

func (im image) clone() image {
	out := image{}
	for id, p := range im {
		out[id] = pane{p.made, maps.Clone(p.rows)}
	}
	return out
}

// contents are the rows of panes that have any.
func (im image) contents(bounds types.HashRange) map[backend.PaneID]rows {
	out := map[backend.PaneID]rows{}
	for id, p := range im {
		if r := p.rows.within(bounds); len(r) > 0 {
			out[id] = r
		}
	}
	return out
}

// filled is a backend that only takes restored rows.
type filled struct {
	backend.Backend
	panes map[backend.PaneID]rows
}

func (f *filled) Restore(
	id backend.TableID, p backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	got, err := collect(entries)
	if err != nil {
		return err
	}
	pane := backend.PaneID{Table: id, Pane: p}
	if len(got) > 0 && f.panes[pane] == nil {
		f.panes[pane] = rows{}
	}
	for key, v := range got {
		if _, ok := f.panes[pane][key]; ok || !inside(bounds, key) {
			return fmt.Errorf("key %x was restored before, or is out of bounds %v", key, bounds)
		}
		f.panes[pane][key] = v
	}
	return nil
}

// task is a keyed task: what its backend would hand over, and its lists.
type task struct {
	bounds    types.HashRange
	lists     *Lists
	now       image
	confirmed image            // what the last confirmed checkpoint held
	written   map[uint64]image // what pending checkpoints hold
	merges    []*MergePlan     // planned and not run yet
}

// parts are what a backend that knows the confirmed image hands over.
func (k *task) parts(rng *rand.Rand, full bool) (parts []backend.Part, panes []backend.PaneID) {
	panes = slices.SortedFunc(maps.Keys(k.now), comparePanes)
	for _, id := range panes {
		p, old := k.now[id], k.confirmed[id]
		points := map[string]*string{}
		whole := full || p.made != old.made
		for _, key := range slices.Sorted(maps.Keys(p.rows)) {
			v := p.rows[key]
			was, ok := old.rows[key]
			if whole || !ok || was != v || rng.IntN(10) == 0 { // A delta may say too much.
				points[key] = &v
			}
		}
		for key := range old.rows {
			if _, ok := p.rows[key]; !ok && !whole {
				points[key] = nil
			}
		}
		if len(points) == 0 && !whole {
			continue
		}
		part := backend.Part{Table: id.Table, Pane: id.Pane, Full: whole, Rows: len(points)}
		for key, v := range points {
			part.Bytes += int64(len(key))
			if v != nil {
				part.Bytes += int64(len(*v))
			}
		}
		changes := sortedChanges(points)
		part.Entries = func() backend.Entries { return &listed{changes: changes} }
		parts = append(parts, part)
	}
	return parts, panes
}

// simulation is a job of one operator.
type simulation struct {
	t          *testing.T
	rng        *rand.Rand
	keys       []string
	valueBytes int
	store      *store
	tasks      []*task
	checkpoint uint64
	made       int
	inline     int // checkpoints of tasks that were inline
	delta      int // lists of more than one run seen
	merged     int // merges that were run
	referred   int // checkpoints that referred to a merge for the first time
}

func (s *simulation) mutate(k *task) {
	id := backend.PaneID{Table: backend.TableID(s.rng.IntN(2)), Pane: backend.Pane(s.rng.IntN(3))}
	if id.Table == 0 {
		id.Pane = backend.NoPane
	}
	p, ok := k.now[id]
	key := s.keys[s.rng.IntN(len(s.keys))]
	switch what := s.rng.IntN(10); {
	case !inside(k.bounds, key):
	case what == 0 && id.Table == 1:
		delete(k.now, id)
	case what < 4 && ok:
		delete(p.rows, key)
	default:
		if !ok {
			s.made++
			p = pane{s.made, rows{}}
			k.now[id] = p
		}
		value := make([]byte, s.rng.IntN(s.valueBytes))
		for i := range value {
			value[i] = byte(s.rng.Uint32())
		}
		p.rows[key] = string(value)
	}
}

// write takes a checkpoint of a task and returns what it recorded, as read back from bytes.
func (s *simulation) write(k *task) *protocol.KeyedState {
	var stateBytes int64
	for _, p := range k.now {
		for key, v := range p.rows {
			stateBytes += int64(len(key) + len(v))
		}
	}
	full := k.lists.WantFull(stateBytes) || s.rng.IntN(20) == 0
	parts, panes := k.parts(s.rng, full)
	state, stats, err := k.lists.Write(context.Background(), parts, panes, s.checkpoint, s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	k.written[s.checkpoint] = k.now.clone()
	if stats.InlineBytes > 0 {
		s.inline++
		if stats.InlineBytes > inlineBytes || stats.UploadedBytes > 0 {
			s.t.Fatalf("inline: %+v", stats)
		}
	}
	if stats.MergedBytes > 0 {
		s.referred++
	}
	for _, p := range state.Panes {
		if fault := faultOf(p.Runs); fault != "" {
			s.t.Fatalf("checkpoint %d: %s", s.checkpoint, fault)
		}
		if len(p.Runs) > 1 {
			s.delta++
		}
	}
	var back protocol.KeyedState
	encoded, err := proto.Marshal(state)
	if err == nil {
		err = proto.Unmarshal(encoded, &back)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return &back
}

// faultOf says what is wrong with a list: nothing older lies beneath a base run, slices of one
// table are apart, and there are not too many runs.
func faultOf(runs []*protocol.Run) string {
	for i, r := range runs {
		for _, older := range runs[:i] {
			_, overlap := intersect(boundsOf(older), boundsOf(r))
			switch {
			case overlap && r.Base:
				return fmt.Sprintf("base run %d has %v beneath it", i, older)
			case overlap && r.File != nil && sameTable(r, older):
				return fmt.Sprintf("slices of run %d overlap", i)
			}
		}
	}
	if deep := depth(runs); deep > maxDepth+1 {
		return fmt.Sprintf("%d runs for one hash", deep)
	}
	return ""
}

// sweep removes objects that the store would remove now: the checkpoint in whose name they were
// made is over, and what is confirmed does not refer to them.
func (s *simulation) sweep() {
	kept := map[string]bool{}
	for _, k := range s.tasks {
		for _, list := range k.lists.mu.confirmed {
			for _, r := range list.runs {
				if r.File != nil {
					kept[r.File.Path] = true
				}
			}
		}
	}
	for path := range s.store.objects {
		var name uint64
		text := strings.TrimPrefix(strings.TrimPrefix(path, "../shared/"), "merge-")
		if _, err := fmt.Sscanf(text, "%d-", &name); err != nil {
			s.t.Fatal(err)
		}
		if name <= s.checkpoint && !kept[path] {
			delete(s.store.objects, path)
		}
	}
}

func (s *simulation) restore(panes []*protocol.PaneRuns, bounds types.HashRange) *filled {
	f := &filled{panes: map[backend.PaneID]rows{}}
	if _, err := Restore(context.Background(), s.store.open, panes, bounds, f); err != nil {
		s.t.Fatal(err)
	}
	if s.store.opened != 0 {
		s.t.Fatalf("%d objects stay open", s.store.opened)
	}
	return f
}

// step takes a checkpoint of all tasks, sometimes twice, settles it, and checks that every task is
// restored from what was recorded.
func (s *simulation) step() []*protocol.PaneRuns {
	var panes []*protocol.PaneRuns
	for _, k := range s.tasks {
		for range s.rng.IntN(25) {
			s.mutate(k)
		}
	}
	s.checkpoint++
	for _, k := range s.tasks {
		state := s.write(k)
		panes = append(panes, state.Panes...)
		got := s.restore(state.Panes, k.bounds)
		if diff := cmp.Diff(k.now.contents(k.bounds), got.panes); diff != "" {
			s.t.Fatalf("checkpoint %d: %s", s.checkpoint, diff)
		}
	}
	return panes
}

// settle confirms, gives up or leaves pending the last checkpoint.
func (s *simulation) settle() (confirmed bool) {
	fate := s.rng.IntN(5)
	for _, k := range s.tasks {
		switch fate {
		case 0:
			k.lists.Abort(s.checkpoint)
			if k.lists.Confirm(s.checkpoint) {
				s.t.Fatal("an aborted checkpoint is confirmed")
			}
		case 1: // Nobody says anything.
		default:
			if !k.lists.Confirm(s.checkpoint) || k.lists.Confirm(s.checkpoint) {
				s.t.Fatal("confirmed not at all or twice")
			}
			k.confirmed = k.written[s.checkpoint]
			k.written = map[uint64]image{}
		}
	}
	if fate > 1 && s.rng.IntN(2) == 0 {
		s.sweep()
	}
	return fate > 1
}

// merge plans merges, of what the lists want or of any neighbours in any bounds, and runs plans of
// this or an earlier moment, in vain now and then.
func (s *simulation) merge(k *task) {
	k.lists.sizes = mergeSizes{split: 4 << 10, join: 2 << 10, small: 1 << 10, shared: 8 << 10}
	for range s.rng.IntN(4) {
		plan := k.lists.NextMerge()
		if plan == nil || s.rng.IntN(2) == 0 {
			plan = s.anyMerge(k)
		}
		if plan != nil {
			k.merges = append(k.merges, plan)
		}
	}
	for len(k.merges) > 0 && s.rng.IntN(3) > 0 {
		plan := k.merges[0]
		k.merges = k.merges[1:]
		if s.rng.IntN(8) == 0 {
			s.store.fail = errors.New("store is broken")
		}
		want := s.store.fail
		stats, err := plan.Run(context.Background(), MergeEnv{
			Open: s.store.open, Uploader: s.store, Pause: func() error { return nil },
		})
		s.store.fail = nil
		if want != nil && stats.WrittenBytes == 0 && err == nil {
			want = nil // There was nothing to store.
		}
		if !errors.Is(err, want) {
			s.t.Fatal(err)
		}
		s.merged++
	}
}

// anyMerge plans a merge of any neighbours inside any bounds.
func (s *simulation) anyMerge(k *task) *MergePlan {
	l := k.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.confirmed) == 0 {
		return nil
	}
	list := l.mu.confirmed[s.rng.IntN(len(l.mu.confirmed))]
	bounds, ok := intersect(anyRange(s.rng), k.bounds)
	if !ok {
		return nil
	}
	inputs := within(list.runs, bounds)
	if at := slices.IndexFunc(inputs, isInline); at >= 0 {
		inputs = inputs[:at]
	}
	busy := func(p *replacement) bool {
		_, overlaps := intersect(p.bounds, bounds)
		return overlaps && p.pane == list.id
	}
	if len(inputs) == 0 || slices.ContainsFunc(l.mu.waiting, busy) {
		return nil
	}
	from := s.rng.IntN(len(inputs))
	for from > 0 && from < len(inputs) && inputs[from].Base {
		from++ // Only merges of the oldest have base runs among their inputs.
	}
	from %= len(inputs)
	to := from + 1 + s.rng.IntN(len(inputs)-from)
	step := mergeStep{replacement: replacement{
		pane: list.id, bounds: bounds, inputs: inputs[from:to], base: from == 0,
		joinBy: l.mu.confirmedID + 1 + uint64(s.rng.IntN(4)),
	}}
	return &MergePlan{lists: l, steps: []mergeStep{step}, joinBy: step.joinBy}
}

// rescale starts tasks of another parallelism from recorded panes.
func (s *simulation) rescale(panes []*protocol.PaneRuns, parallelism int) {
	whole := map[backend.PaneID]rows{}
	for _, k := range s.tasks {
		for id, r := range k.now.contents(k.bounds) {
			if whole[id] == nil {
				whole[id] = rows{}
			}
			maps.Copy(whole[id], r)
		}
	}
	s.tasks = nil
	s.rng.Shuffle(len(panes), func(i, j int) { panes[i], panes[j] = panes[j], panes[i] })
	for i := range parallelism {
		k := &task{bounds: types.SubtaskRange(i, parallelism), now: image{},
			written: map[uint64]image{}}
		k.lists = NewLists(k.bounds)
		if err := k.lists.Adopt(panes); err != nil {
			s.t.Fatal(err)
		}
		want := map[backend.PaneID]rows{}
		for id, r := range whole {
			if r := r.within(k.bounds); len(r) > 0 {
				want[id] = r
				s.made++
				k.now[id] = pane{s.made, maps.Clone(r)}
			}
		}
		if diff := cmp.Diff(want, s.restore(panes, k.bounds).panes); diff != "" {
			s.t.Fatalf("subtask %d of %d: %s", i, parallelism, diff)
		}
		k.confirmed = k.now.clone()
		s.tasks = append(s.tasks, k)
	}
}

// TestListsRandom drives tasks through checkpoints that are confirmed, given up or forgotten,
// through merges that are early, late, stale or in vain, and through the parallelisms 1, 2, 3, 1,
// and compares everything that is restored with a map. Lists must stay short, and small states
// inline.
func TestListsRandom(t *testing.T) {
	inline, delta, merged, referred := 0, 0, 0, 0
	for seed := range uint64(60) {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 11))
		s := &simulation{t: t, rng: rng, keys: keyPool(rng), valueBytes: 64, store: newStore()}
		if seed%2 == 1 {
			s.valueBytes = 8 << 10
		}
		s.rescale(nil, 1)
		for _, next := range []int{2, 3, 1, 1} {
			for range 1 + rng.IntN(15) {
				for _, k := range s.tasks {
					s.merge(k)
				}
				s.step()
				s.settle()
			}
			panes := s.step()
			s.rescale(panes, next)
		}
		inline, delta = inline+s.inline, delta+s.delta
		merged, referred = merged+s.merged, referred+s.referred
	}
	t.Logf("%d checkpoints of tasks inline, %d lists of several runs, %d merges, %d referred to",
		inline, delta, merged, referred)
	if inline == 0 || delta == 0 || referred == 0 {
		t.Error("one kind of checkpoint was never made")
	}
}

// TestListsDeterministic takes the same checkpoint twice and compares objects and records.
func TestListsDeterministic(t *testing.T) {
	take := func() ([]byte, []byte) {
		rng := rand.New(rand.NewPCG(3, 3))
		s := &simulation{t: t, rng: rng, keys: keyPool(rng), valueBytes: 8 << 10, store: newStore()}
		s.rescale(nil, 1)
		for range 60 {
			s.mutate(s.tasks[0])
		}
		s.checkpoint++
		state := s.write(s.tasks[0])
		if len(s.store.objects) != 1 {
			t.Fatalf("%d objects", len(s.store.objects))
		}
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		return encoded, s.store.objects[state.Panes[0].Runs[0].File.Path]
	}
	state, content := take()
	for range 3 {
		state2, content2 := take()
		if !bytes.Equal(state, state2) || !bytes.Equal(content, content2) {
			t.Fatal("equal rows have different bytes")
		}
	}
}

// partOf is a part with one row per value, and one hash per row.
func partOf(id backend.PaneID, full bool, values ...string) backend.Part {
	var changes []change
	bytes := 0
	for i, v := range values {
		changes = append(changes, change{string(appendKey(nil, uint32(i)*1000, []byte("key"))), &v})
		bytes += len(v)
	}
	return backend.Part{
		Table: id.Table, Pane: id.Pane, Full: full, Rows: len(changes), Bytes: int64(bytes),
		Entries: func() backend.Entries { return &listed{changes: changes} },
	}
}

// TestWantFull walks through every reason to ask for all rows, and the way back.
func TestWantFull(t *testing.T) {
	ctx, s, l := context.Background(), newStore(), NewLists(types.AllHashes)
	id := backend.PaneID{Pane: backend.NoPane}
	const much = inlineBytes + 1
	var checkpoint uint64
	write := func(part backend.Part) *protocol.KeyedState {
		t.Helper()
		checkpoint++
		state, _, err := l.Write(ctx, []backend.Part{part}, []backend.PaneID{id}, checkpoint, s)
		if err != nil {
			t.Fatal(err)
		}
		if !l.Confirm(checkpoint) {
			t.Fatal("not confirmed")
		}
		return state
	}
	expect := func(want bool, stateBytes int64, why string) {
		t.Helper()
		if got := l.WantFull(stateBytes); got != want {
			t.Errorf("%s: want full is %v", why, got)
		}
	}
	large := string(make([]byte, much))
	expect(true, much, "nothing confirmed")
	if r := write(partOf(id, true, "small")).Panes[0].Runs[0]; r.File != nil || !r.Base {
		t.Errorf("small state: %v", r)
	}
	expect(true, much, "inline last time")
	if r := write(partOf(id, true, large)).Panes[0].Runs[0]; r.File == nil || !r.Base {
		t.Errorf("large state: %v", r)
	}
	expect(true, inlineBytes, "small now")
	for runs := 1; runs <= maxDepth; runs++ {
		expect(false, much, fmt.Sprintf("%d runs", runs))
		state := write(partOf(id, false, large))
		last := state.Panes[0].Runs[runs]
		if last.Base || last.File == nil || last.UpTo != checkpoint {
			t.Errorf("delta: %v", last)
		}
	}
	expect(true, much, "list is long")
	write(partOf(id, true, large, large))
	expect(false, much, "all rows written")
}

// TestInlineDeltas adds small changes to a large state: they travel inline until four checkpoints
// have, then they become one run in an object.
func TestInlineDeltas(t *testing.T) {
	ctx, s, l := context.Background(), newStore(), NewLists(types.AllHashes)
	a, b := backend.PaneID{Table: 1, Pane: 5}, backend.PaneID{Table: 1, Pane: 6}
	large := string(make([]byte, inlineBytes+1))
	want := map[backend.PaneID]rows{}
	var state *protocol.KeyedState
	write := func(checkpoint uint64, parts ...backend.Part) (stats WriteStats) {
		t.Helper()
		var err error
		panes := []backend.PaneID{a, b}
		if state, stats, err = l.Write(ctx, parts, panes, checkpoint, s); err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			got, err := collect(p.Entries())
			if err != nil {
				t.Fatal(err)
			}
			id := backend.PaneID{Table: p.Table, Pane: p.Pane}
			if want[id] == nil {
				want[id] = rows{}
			}
			maps.Copy(want[id], got)
		}
		return stats
	}
	write(1, partOf(a, true, large))
	l.Confirm(1)
	for i := range uint64(inlineCheckpoints) {
		value := fmt.Sprint(i)
		stats := write(2+i, partOf(a, false, value), partOf(b, i == 0, value, value))
		if stats.InlineBytes == 0 || stats.UploadedBytes != 0 || len(s.objects) != 1 {
			t.Fatalf("checkpoint %d: %+v", 2+i, stats)
		}
		l.Confirm(2 + i)
	}
	for checkpoint := uint64(10); checkpoint < 12; checkpoint++ { // The first is given up.
		stats := write(checkpoint, partOf(a, false, "last"))
		if stats.InlineBytes != 0 || stats.Runs != 3 || len(state.Panes[0].Runs) != 3 ||
			len(state.Panes[1].Runs) != 1 || !state.Panes[1].Runs[0].Base {
			t.Fatalf("folded: %+v\n%v", stats, state)
		}
	}
	l.Confirm(11)
	if stats := write(12, partOf(b, false, "x")); stats.InlineBytes == 0 {
		t.Errorf("after folding: %+v", stats)
	}
	f := &filled{panes: map[backend.PaneID]rows{}}
	if _, err := Restore(ctx, s.open, state.Panes, types.AllHashes, f); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f.panes); diff != "" {
		t.Error(diff)
	}
}

// TestWriteEdges checks what adds nothing, what drops, and what is refused.
func TestWriteEdges(t *testing.T) {
	ctx, s, l := context.Background(), newStore(), NewLists(types.SubtaskRange(0, 2))
	a, b := backend.PaneID{Table: 1, Pane: 5}, backend.PaneID{Table: 1, Pane: 6}
	large := string(make([]byte, inlineBytes))
	both := []backend.Part{partOf(a, true, large), partOf(b, true, large)}
	if _, _, err := l.Write(ctx, both, []backend.PaneID{b, a}, 7, s); err != nil {
		t.Fatal(err)
	}
	if len(s.objects) != 1 || !l.Confirm(7) {
		t.Fatalf("%d objects", len(s.objects))
	}
	state, stats, err := l.Write(ctx, nil, []backend.PaneID{a, b}, 8, s)
	if err != nil || len(state.Panes) != 2 || stats.Runs != 0 || len(s.objects) != 1 {
		t.Errorf("nothing changed: %v, %+v, %v", state, stats, err)
	}
	state, _, err = l.Write(ctx, nil, []backend.PaneID{b}, 9, s)
	if err != nil || len(state.Panes) != 1 || state.Panes[0].Pane != 6 {
		t.Errorf("pane dropped: %v, %v", state, err)
	}
	emptied := []backend.Part{partOf(a, true)}
	state, _, err = l.Write(ctx, emptied, []backend.PaneID{a, b}, 10, s)
	if err != nil || len(state.Panes) != 1 || len(s.objects) != 1 {
		t.Errorf("pane emptied: %v, %v", state, err)
	}
	short := partOf(a, false, "x", "y")
	short.Rows = 1
	outside := partOf(a, false, "x")
	outside.Entries = func() backend.Entries {
		return &listed{changes: []change{{key: "\xff\xff\xff\xffkey"}}}
	}
	for name, parts := range map[string][]backend.Part{
		"pane unknown":   {partOf(backend.PaneID{}, true, "x")},
		"two parts":      {partOf(a, true, "x"), partOf(a, false, "x")},
		"rows missing":   {short},
		"outside bounds": {outside},
	} {
		if _, _, err := l.Write(ctx, parts, []backend.PaneID{a, b}, 11, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	broken := errors.New("store is broken")
	s.fail = broken
	delta := []backend.Part{partOf(a, false, large)}
	if _, _, err := l.Write(ctx, delta, []backend.PaneID{a, b}, 12, s); !errors.Is(err, broken) {
		t.Errorf("upload fails: %v", err)
	}
	if l.Confirm(11) || l.Confirm(12) {
		t.Error("a failed checkpoint is confirmed")
	}
	if _, _, err := l.Write(ctx, nil, nil, 7, s); err == nil {
		t.Error("confirmed checkpoint written again")
	}
	if !l.Confirm(9) || l.Confirm(8) || !l.Confirm(10) {
		t.Error("confirmations out of order")
	}
}

// TestAdoptOrder joins two subtasks' lists: leading bases first, the rest by up_to, each list's own
// order kept also where its numbers fall because its job started from another's savepoint.
func TestAdoptOrder(t *testing.T) {
	run := func(half int, base bool, upTo uint64) *protocol.Run {
		bounds := types.SubtaskRange(half, 2)
		return &protocol.Run{File: &protocol.DataFile{Path: "f", Size: 9}, Length: 9,
			Digest: make([]byte, DigestBytes), HashLo: bounds.Lo, HashHi: bounds.Hi,
			UpTo: upTo, Base: base, Format: Format}
	}
	left := &protocol.PaneRuns{Runs: []*protocol.Run{
		run(0, true, 90), run(0, false, 95), run(0, false, 3), run(0, false, 4)}}
	right := &protocol.PaneRuns{Runs: []*protocol.Run{
		run(1, true, 2), run(1, false, 3), run(1, false, 96)}}
	lists, err := arrange([]*protocol.PaneRuns{right, left}, types.AllHashes)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range lists[0].runs {
		got = append(got, fmt.Sprintf("%x:%d", r.HashLo>>28, r.UpTo))
	}
	want := []string{"0:90", "8:2", "8:3", "0:95", "0:3", "0:4", "8:96"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := arrange([]*protocol.PaneRuns{left, left}, types.AllHashes); err == nil {
		t.Error("overlapping lists: no error")
	}
}

// TestPendingApart writes two checkpoints on one confirmed list and confirms the first: neither may
// have changed what the other recorded.
func TestPendingApart(t *testing.T) {
	ctx, s, l := context.Background(), newStore(), NewLists(types.AllHashes)
	id := backend.PaneID{Pane: backend.NoPane}
	write := func(checkpoint uint64, parts ...backend.Part) []*protocol.Run {
		t.Helper()
		state, _, err := l.Write(ctx, parts, []backend.PaneID{id}, checkpoint, s)
		if err != nil {
			t.Fatal(err)
		}
		return state.Panes[0].Runs
	}
	for checkpoint := uint64(1); checkpoint <= 8; checkpoint += 2 {
		write(checkpoint, partOf(id, false, "left pending"))
		first := write(checkpoint+1, partOf(id, false, "confirmed"))
		second := write(checkpoint+100, partOf(id, false, "given up"))
		last := len(first) - 1
		if first[last].UpTo != checkpoint+1 || second[last].UpTo != checkpoint+100 {
			t.Fatalf("runs up to %d and %d", first[last].UpTo, second[last].UpTo)
		}
		if !l.Confirm(checkpoint + 1) {
			t.Fatal("not confirmed")
		}
		l.Abort(checkpoint + 100)
		if now := write(checkpoint + 2); now[last].UpTo != checkpoint+1 {
			t.Fatalf("confirmed run up to %d", now[last].UpTo)
		}
	}
}
