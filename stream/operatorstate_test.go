package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/stream"
	"github.com/leat-io/leat/types"
)

// item is an element with everything an element can have.
type item struct {
	ID    int64
	Text  string
	Bytes []byte
	At    eventtime.Timestamp
	Maybe types.Null[float64]
	Small uint8
	Right bool
}

func itemOf(id int64) item {
	i := item{ID: id, Text: fmt.Sprint("text ", id), At: eventtime.Timestamp(id * 10),
		Small: uint8(id), Right: id%2 == 0}
	if id%3 == 0 {
		i.Maybe, i.Bytes = types.NullOf(float64(id)/2), []byte{byte(id)}
	}
	return i
}

// buffering holds records back in operator state and lets them out 64 at a time: what it
// holds at a checkpoint must come out exactly once, wherever it is restored.
type buffering struct {
	attack   *attack
	held     []item
	list     *stream.ListState[item]
	union    *stream.ListState[int64] // the number of instances there were, by all of them
	restored func(held int, union []int64)
	saved    func(checkpoint uint64, held int)
}

func (b *buffering) InitializeState(store *stream.OperatorStateStore) error {
	b.list = stream.DeclareListState[item](store, "held")
	b.union = stream.DeclareUnionListState[int64](store, "instances")
	if store.IsRestored() != (store.CheckpointID() > 0) {
		return errors.New("restored and not from a checkpoint")
	}
	if store.IsRestored() {
		b.held = slices.Collect(b.list.All())
		b.restored(len(b.held), slices.Collect(b.union.All()))
	}
	b.union.Update([]int64{1})
	return nil
}

func (b *buffering) SnapshotState(ctx stream.SnapshotContext) error {
	if ctx.CheckpointID() == 0 || ctx.Context().Err() != nil {
		return errors.New("no checkpoint")
	}
	b.list.Clear()
	b.list.Add(b.held...)
	b.saved(ctx.CheckpointID(), b.list.Len())
	return nil
}

func (b *buffering) FlatMap(n number, out stream.Collector[item]) error {
	b.held = append(b.held, itemOf(n.ID))
	if len(b.held) >= 64 {
		for _, i := range b.held {
			out.Collect(i)
		}
		b.held = nil
	}
	return b.attack.called()
}

// Goal: what a function keeps as operator state is restored exactly once: untouched at equal
// parallelism, dealt out evenly at another; a union goes to all. Method: a function that
// holds records back, stopped in the middle at parallelism 1, 2, 4 and continued at others,
// among them 1 to 3; what was held and what came out together are all numbers.
func TestEngineListState(t *testing.T) {
	for _, p := range [][2]int{{1, 3}, {3, 3}, {4, 2}, {2, 1}} {
		t.Run(fmt.Sprintf("%d to %d", p[0], p[1]), func(t *testing.T) {
			a := newAttack()
			a.parallelism, a.numbers = p[0], 5000
			var mu sync.Mutex
			var held []int
			var unions [][]int64
			var instances []*buffering
			saved := map[uint64]int{} // elements by checkpoint
			run := func() (*stream.Result, error) {
				held, unions, instances = nil, nil, nil
				e := a.configure()
				out := stream.FlatMapWith(stream.Map(a.source(t, e),
					func(n number) number { return n }), "buffer",
					func() stream.FlatMapFunction[number, item] {
						b := &buffering{attack: a, restored: func(n int, union []int64) {
							mu.Lock()
							defer mu.Unlock()
							held, unions = append(held, n), append(unions, union)
						}, saved: func(checkpoint uint64, n int) {
							mu.Lock()
							defer mu.Unlock()
							saved[checkpoint] += n
						}}
						mu.Lock()
						defer mu.Unlock()
						instances = append(instances, b)
						return b
					})
				ids := stream.Map(out, func(i item) number {
					if !cmp.Equal(i, itemOf(i.ID)) {
						return number{-1, -1}
					}
					return number{i.ID, 0}
				})
				stream.SinkTo(ids, "ids", sinkFor[number](t, "ids"))
				return e.Execute(t.Context())
			}
			a.stopAt(a.numbers/2 + 3)
			if r, err := run(); err != nil || r.Status == "FAILED" {
				t.Fatalf("%+v, %v", r, err)
			}
			left := saved[a.newest(t).Meta.Header.CheckpointId]
			a.undisturbed()
			a.parallelism = p[1]
			if r, err := run(); err != nil || r.Status != "FINISHED" {
				t.Fatalf("%+v, %v", r, err)
			}
			got := rowsOf[number](t, a, "ids")
			for _, b := range instances {
				for _, i := range b.held {
					got[number{i.ID, 0}]++
				}
			}
			want := map[number]int{}
			for id := range a.numbers {
				want[number{id, 0}]++
			}
			different(t, "numbers", want, got)
			checkDealt(t, p, left, held, unions)
		})
	}
}

// checkDealt looks at what the restored instances got.
func checkDealt(t *testing.T, p [2]int, left int, held []int, unions [][]int64) {
	t.Helper()
	if len(held) != p[1] {
		t.Fatalf("%d instances were restored, want %d", len(held), p[1])
	}
	total := 0
	for _, n := range held {
		total += n
		if p[0] != p[1] && (n < left/p[1] || n > left/p[1]+1) {
			t.Errorf("of %d elements, %v were dealt to the instances", left, held)
		}
	}
	if total != left {
		t.Errorf("%d elements were restored, want %d", total, left)
	}
	for _, u := range unions {
		if len(u) != p[0] {
			t.Errorf("an instance got a union of %d, want %d", len(u), p[0])
		}
	}
}

// keyedBuffer is a keyed function with operator state beside keyed state.
type keyedBuffer struct {
	counter
	seen  int64
	total *stream.ListState[int64]
}

func (k *keyedBuffer) InitializeState(store *stream.OperatorStateStore) error {
	k.total = stream.DeclareListState[int64](store, "watermark") // a name of the engine's own
	for n := range k.total.All() {
		k.seen += n
	}
	return nil
}

func (k *keyedBuffer) SnapshotState(stream.SnapshotContext) error {
	k.total.Update([]int64{k.seen})
	return nil
}

func (k *keyedBuffer) Process(
	ctx *stream.Context[int64], n number, out stream.Collector[counted],
) error {
	k.seen++
	return k.counter.Process(ctx, n, out)
}

// Goal: a keyed function keeps operator state beside keyed state, and a sink function its own;
// names do not clash with the engine's. Method: count the records in both, fail and continue at
// other parallelism; the counts of all instances add up to the records.
func TestEngineKeyedOperatorState(t *testing.T) {
	a := newAttack()
	var mu sync.Mutex
	var keyed []*keyedBuffer
	var sinks []*countingSink
	run := func() (*stream.Result, error) {
		keyed, sinks = nil, nil
		e := a.configure()
		counts := stream.Process(
			stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }), "counts",
			func() stream.KeyedProcessFunction[int64, number, counted] {
				mu.Lock()
				defer mu.Unlock()
				keyed = append(keyed, &keyedBuffer{counter: counter{attack: a}})
				return keyed[len(keyed)-1]
			})
		stream.ForEachWith(counts, "count", func() stream.SinkFunction[counted] {
			mu.Lock()
			defer mu.Unlock()
			sinks = append(sinks, &countingSink{})
			return sinks[len(sinks)-1]
		}).Parallelism(3)
		return e.Execute(t.Context())
	}
	a.stopAt(a.numbers / 3)
	first, err := run()
	if err != nil || first.Status == "FAILED" {
		t.Fatalf("%+v, %v", first, err)
	}
	a.undisturbed()
	a.parallelism, a.attempts = 4, 1
	a.calls.Store(0)
	a.fail = map[int64]func() error{
		a.numbers / 4: func() error { return errors.New("planted") },
	}
	r, err := run()
	if err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	// On a slow machine the first run may have come to its end.
	const counter = "count.numRecordsSend"
	if first.Counters[counter]+r.Counters[counter] == 0 {
		t.Errorf("counters %v, %v", first.Counters, r.Counters)
	}
	var seen, sunk int64
	for _, k := range keyed[len(keyed)-4:] {
		seen += k.seen
	}
	closed := 0
	for _, s := range sinks[len(sinks)-3:] {
		sunk += s.seen
		closed += s.closed
	}
	if seen != a.numbers || sunk != a.numbers || closed != 3 {
		t.Errorf("keyed %d, sink %d, want %d; %d closed", seen, sunk, a.numbers, closed)
	}
}

// countingSink counts in operator state.
type countingSink struct {
	seen   int64
	total  *stream.ListState[int64]
	closed int
}

func (s *countingSink) InitializeState(store *stream.OperatorStateStore) error {
	s.total = stream.DeclareListState[int64](store, "seen")
	for n := range s.total.All() {
		s.seen += n
	}
	return nil
}

func (s *countingSink) SnapshotState(stream.SnapshotContext) error {
	s.total.Update([]int64{s.seen})
	return nil
}

func (s *countingSink) Invoke(ctx *stream.ProcessContext, _ counted) error {
	if at, of := ctx.Subtask(); at >= of || ctx.CurrentProcessingTime() == 0 {
		return errors.New("no subtask or time")
	}
	s.seen++
	return nil
}

func (s *countingSink) Close() error {
	s.closed++
	return nil
}

// declaring declares what it is told to.
type declaring struct {
	declare  func(store *stream.OperatorStateStore) error
	snapshot error
}

func (d *declaring) InitializeState(store *stream.OperatorStateStore) error {
	return d.declare(store)
}
func (d *declaring) SnapshotState(stream.SnapshotContext) error { return d.snapshot }
func (d *declaring) Map(n number) (number, error)               { return n, nil }

// runDeclaring runs a job with one function that declares.
func (a *attack) runDeclaring(
	t *testing.T, uid string, allow bool, create func() stream.MapFunction[number, number],
) error {
	t.Helper()
	e := a.configure()
	if allow {
		e.AllowNonRestoredState()
	}
	s := stream.MapWith(a.source(t, e), uid, create)
	stream.ForEach(stream.TryMap(s, func(n number) (number, error) { return n, a.called() }),
		"out", func(number) error { return nil })
	_, err := e.Execute(t.Context())
	return err
}

// Goal: operator state that does not fit is refused before any task runs, naming operator,
// state, field and cure. Method: stop a job, continue with other declarations.
func TestOperatorStateRefused(t *testing.T) {
	type pair struct {
		A int64
		B string
	}
	type other struct {
		A int64
		B float64
	}
	list := func(declare func(store *stream.OperatorStateStore) error,
	) func() stream.MapFunction[number, number] {
		return func() stream.MapFunction[number, number] { return &declaring{declare: declare} }
	}
	a := newAttack()
	a.stopAt(a.numbers / 2)
	first := func(store *stream.OperatorStateStore) error {
		stream.DeclareListState[pair](store, "pairs").Update([]pair{{1, "a"}})
		stream.DeclareBroadcastState[string, pair](store, "rules").Put("a", pair{1, "b"})
		return nil
	}
	if err := a.runDeclaring(t, "keeping", false, list(first)); err != nil {
		t.Fatal(err)
	}
	a.undisturbed()
	for _, c := range []struct {
		name    string
		allow   bool
		declare func(store *stream.OperatorStateStore) error
		want    []string // nil: it fits
	}{
		{"value", false, func(store *stream.OperatorStateStore) error {
			stream.DeclareListState[other](store, "pairs")
			stream.DeclareBroadcastState[string, pair](store, "rules")
			return nil
		}, []string{`operator "keeping": operator state "pairs" is a list of (`,
			`(field "b" was STRING NOT NULL and is DOUBLE NOT NULL)`, "declare it as it was"}},
		{"mode", false, func(store *stream.OperatorStateStore) error {
			stream.DeclareUnionListState[pair](store, "pairs")
			stream.DeclareBroadcastState[string, pair](store, "rules")
			return nil
		}, []string{"is a list of", "and a union-list of"}},
		{"broadcast value", false, func(store *stream.OperatorStateStore) error {
			stream.DeclareListState[pair](store, "pairs")
			stream.DeclareBroadcastState[string, other](store, "rules")
			return nil
		}, []string{`operator state "rules" is a broadcast of`,
			`(field "b" was STRING NOT NULL and is DOUBLE NOT NULL)`}},
		{"gone", false, func(store *stream.OperatorStateStore) error {
			stream.DeclareListState[pair](store, "pairs")
			return nil
		}, []string{`operator state "rules"`, "does not declare", "allow state"}},
		{"gone, allowed, and a new one", true, func(store *stream.OperatorStateStore) error {
			stream.DeclareListState[pair](store, "pairs")
			stream.DeclareListState[int64](store, "new")
			return nil
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var opened atomic.Int32 // tasks make theirs at the same time
			err := a.runDeclaring(t, "keeping", c.allow, func() stream.MapFunction[number, number] {
				opened.Add(1)
				return &declaring{declare: c.declare}
			})
			if (err == nil) != (c.want == nil) || c.want != nil && opened.Load() != 1 {
				t.Fatalf("%d instances, error %v", opened.Load(), err)
			}
			for _, words := range c.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %v\nwant %q in it", err, words)
				}
			}
		})
	}
}

// Goal: faults of functions with operator state are told with the place and the cure. Method: a
// table of functions.
func TestOperatorStateFaults(t *testing.T) {
	late := func() func(store *stream.OperatorStateStore) error {
		calls := 0
		return func(store *stream.OperatorStateStore) error {
			if calls++; calls > 1 {
				stream.DeclareListState[int64](store, "more")
			}
			return nil
		}
	}()
	for _, c := range []struct {
		name, uid string
		create    func() stream.MapFunction[number, number]
		want      string
	}{
		{"no uid", "", func() stream.MapFunction[number, number] {
			return &declaring{declare: func(store *stream.OperatorStateStore) error {
				stream.DeclareListState[int64](store, "list")
				return nil
			}}
		}, `operator "Map" keeps operator state [list] and has no uid; give it one`},
		{"nil", "f", func() stream.MapFunction[number, number] { return nil },
			`"Map: f": its constructor returns nil`},
		{"twice", "f", func() stream.MapFunction[number, number] {
			return &declaring{declare: func(store *stream.OperatorStateStore) error {
				stream.DeclareListState[int64](store, "list")
				stream.DeclareListState[int64](store, "list")
				return nil
			}}
		}, `"Map: f": initialize state: declare operator state "list": the name is declared twice`},
		{"type", "f", func() stream.MapFunction[number, number] {
			return &declaring{declare: func(store *stream.OperatorStateStore) error {
				stream.DeclareListState[chan int](store, "list")
				return nil
			}}
		}, `declare operator state "list": `},
		{"initialize", "f", func() stream.MapFunction[number, number] {
			return &declaring{declare: func(*stream.OperatorStateStore) error {
				return errors.New("planted")
			}}
		}, `"Map: f": initialize state: planted`},
		{"other states when it runs", "f", func() stream.MapFunction[number, number] {
			return &declaring{declare: late}
		}, `operator "Map: f": initialize state: it declares [more], and declared [] when the ` +
			`graph was built`},
		{"snapshot", "f", func() stream.MapFunction[number, number] {
			return &declaring{snapshot: errors.New("planted"),
				declare: func(*stream.OperatorStateStore) error { return nil }}
		}, `operator "Map: f": snapshot state: planted`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAttack()
			a.parallelism = 1
			err := a.runDeclaring(t, c.uid, false, c.create)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant %q in it", err, c.want)
			}
		})
	}
}
