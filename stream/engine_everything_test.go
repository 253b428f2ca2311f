package stream_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// told is what an everything says: of a number, or of the numbers a timer has taken.
type told struct{ ID, Key, Count, Sum int64 }

// everything keeps the numbers of a key, until a timer takes them, in states of all kinds, which
// must say the same.
type everything struct {
	attack *attack
	t      *testing.T

	count state.Value[int64]
	byID  state.OrderedMap[int64, string]
	due   state.Map[string, int64] // how many by timer
	list  state.List[number]
}

func (e *everything) Open(d *state.Declarations) error {
	e.count = state.DeclareValue[int64](d, "count")
	e.byID = state.DeclareOrderedMap[int64, string](d, "ids")
	e.due = state.DeclareMap[string, int64](d, "due", state.TTL{After: time.Hour})
	e.list = state.DeclareList[number](d, "list")
	return nil
}

func dueAt(at int64) string { return fmt.Sprint("timer ", at) }

func (e *everything) Process(
	c *stream.Context[int64], n number, out stream.Collector[told],
) error {
	if err := e.compare(n.Key); err != nil {
		return err
	}
	count, _ := e.count.Get()
	e.count.Set(count + 1)
	at := stretchEnd(n.ID)
	e.byID.Put(n.ID, textOf(n.Key, n.ID))
	before, _ := e.due.Get(dueAt(at))
	e.due.Put(dueAt(at), before+1)
	e.list.Append(n)
	c.Timers().RegisterEventTime(eventtime.Timestamp(at))
	out.Collect(told{n.ID, n.Key, count + 1, 0})
	return e.attack.called()
}

func (e *everything) OnTimer(
	c *stream.TimerContext[int64], out stream.Collector[told],
) error {
	if err := e.compare(c.Key()); err != nil {
		return err
	}
	at := int64(c.Timestamp())
	row := told{ID: -at, Key: c.Key()}
	for id := range e.byID.Range(at-stretch, at) {
		row.Count++
		row.Sum += id
	}
	e.byID.RemoveRange(at-stretch, at)
	if due, _ := e.due.Get(dueAt(at)); due != row.Count {
		return e.wrong("key %d has %d numbers for %d, want %d", c.Key(), row.Count, at, due)
	}
	e.due.Remove(dueAt(at))
	left := slices.DeleteFunc(slices.Collect(e.list.All()), func(n number) bool {
		return stretchEnd(n.ID) == at
	})
	if e.list.Clear(); len(left) > 0 {
		e.list.AppendAll(left)
	}
	out.Collect(row)
	return nil
}

func (e *everything) wrong(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	e.t.Error(err)
	return err
}

// compare compares the states of a key.
func (e *everything) compare(key int64) error {
	due, total := map[string]int64{}, 0
	for id, text := range e.byID.All() {
		if text != textOf(key, id) {
			return e.wrong("key %d has text %q of number %d", key, text, id)
		}
		due[dueAt(stretchEnd(id))]++
		total++
	}
	got := map[string]int64{}
	for name, n := range e.due.All() {
		got[name] = n
	}
	for n := range e.list.All() {
		if !e.byID.Contains(n.ID) || n.Key != key {
			return e.wrong("key %d has %+v in its list only", key, n)
		}
		total--
	}
	if fmt.Sprint(due) != fmt.Sprint(got) || total != 0 {
		return e.wrong("key %d has numbers for %v, and knows of %v; the list lacks %d", key, due,
			got, total)
	}
	return nil
}

// tally counts the numbers that come by, in operator state.
type tally struct {
	attack *attack
	seen   int64
	list   *stream.ListState[int64]
}

func (y *tally) InitializeState(store *stream.OperatorStateStore) error {
	y.list = stream.DeclareListState[int64](store, "seen")
	for n := range y.list.All() {
		y.seen += n
	}
	return nil
}

func (y *tally) SnapshotState(stream.SnapshotContext) error {
	y.list.Update([]int64{y.seen})
	return nil
}

func (y *tally) FlatMap(n number, out stream.Collector[number]) error {
	y.seen++
	out.Collect(n)
	return y.attack.called()
}

// tallies are the instances of a run, of all its attempts.
type tallies struct {
	mu  sync.Mutex
	all []*tally
}

func (l *tallies) add(a *attack) *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, &tally{attack: a})
	return l.all[len(l.all)-1]
}

// runEverything runs a job with states of all kinds, timers, sessions, panes and operator state.
func (a *attack) runEverything(t *testing.T, ctx context.Context) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	seen := &tallies{}
	looked := stream.FlatMapWith(a.source(t, e), "tally",
		func() stream.FlatMapFunction[number, number] { return seen.add(a) })
	keyed := stream.KeyBy(looked, func(n number) int64 { return n.Key })
	all := stream.Process(keyed, "everything",
		func() stream.KeyedProcessFunction[int64, number, told] {
			return &everything{attack: a, t: t}
		})
	stream.SinkTo(all, "told", sinkFor[told](t, "told"))
	sessions := stream.Aggregate(stream.DynamicSession(keyed, a.gap), "sessions",
		stream.Folding(
			func(s *sum, n number) { s.Count++; s.Sum += n.ID },
			func(s, other *sum) { s.Count += other.Count; s.Sum += other.Sum }),
		func(key int64, w stream.Window, s *sum) sum {
			return sum{key, int64(w.Start), s.Count, s.Sum}
		})
	stream.SinkTo(sessions, "session-sums", sinkFor[sum](t, "sessions"))
	sums := stream.Aggregate(stream.Tumbling(
		stream.KeyBy(looked, func(n number) int64 { return n.ID % buckets }),
		a.window), "windows",
		stream.AggregatorFunc[number, sum](func(s *sum, n number) { s.Count++; s.Sum += n.ID }),
		func(bucket int64, w stream.Window, s *sum) sum {
			return sum{bucket, int64(w.Start), s.Count, s.Sum}
		})
	stream.SinkTo(sums, "sums", sinkFor[sum](t, "sums"))
	r, err := e.Execute(ctx)
	if err == nil && r.Status == "FINISHED" && r.Savepoint == "" {
		total := int64(0)
		for _, y := range seen.all[len(seen.all)-a.parallelism:] {
			total += y.seen
		}
		if total != a.numbers {
			t.Errorf("%d numbers were counted in operator state, want %d", total, a.numbers)
		}
	}
	return r, err
}

// checkEverything compares the output with what is computed here.
func (a *attack) checkEverything(t *testing.T) {
	t.Helper()
	type place struct{ a, b int64 }
	wantTold, wantSessions := map[told]int{}, map[sum]int{}
	counts, taken := map[int64]int64{}, map[place]*told{}
	for id := range a.numbers {
		key := a.keyOf(id)
		counts[key]++
		wantTold[told{Key: key, Count: counts[key]}]++ // any number may be that
		wantTold[told{ID: id, Key: key}]++
		at := place{key, stretchEnd(id)}
		if taken[at] == nil {
			taken[at] = &told{ID: -at.b, Key: key}
		}
		taken[at].Count++
		taken[at].Sum += id
		if id/a.keys%2 == 0 {
			wantSessions[sum{key, id, 2, 2*id + a.keys}]++
		}
	}
	for _, row := range taken {
		wantTold[*row]++
	}
	gotTold := map[told]int{}
	for row, n := range rowsOf[told](t, a, "told") {
		if row.Sum == 0 && row.ID >= 0 {
			gotTold[told{Key: row.Key, Count: row.Count}] += n
			row.Count = 0
		}
		gotTold[row] += n
	}
	different(t, "told", wantTold, gotTold)
	different(t, "sessions", wantSessions, rowsOf[sum](t, a, "sessions"))
	all := map[counted]int{}
	for id := range a.numbers {
		all[counted{ID: id}]++
	}
	different(t, "sums", a.sumsOf(all), rowsOf[sum](t, a, "sums"))
}
