package stream

import (
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
	"github.com/leat-io/leat/window"
)

// handStep is a record of key 1 at a second, or a watermark or a time of the clock.
type handStep struct {
	at     int64 // seconds
	amount int64 // 0: a watermark; -1: the clock
}

func markAt(at int64) handStep  { return handStep{at: at} }
func clockAt(at int64) handStep { return handStep{at: at, amount: -1} }

// Goal: every kind of windows does what a person works out by hand. Method: records of one key
// at some seconds, watermarks and ticks of the clock between them; expected are results as
// "from-to:amounts", and late records.
func TestWindowsByHand(t *testing.T) {
	type stream = *KeyedStream[int64, trade]
	type windows = *WindowedStream[int64, trade]
	for _, c := range []struct {
		name  string
		cut   func(stream) windows
		steps []handStep
		want  string
	}{
		{"tumbling", func(k stream) windows { return Tumbling(k, 10*unit) },
			[]handStep{{3, 1}, {9, 2}, {10, 3}, markAt(9), markAt(10), {8, 4}, {19, 5}, markAt(30)},
			"0-10:1,2, late:4 10-20:3,5,"},
		{"tumbling at an offset", func(k stream) windows { return Tumbling(k, 10*unit, 4*unit) },
			[]handStep{{3, 1}, {4, 2}, {13, 3}, {14, 4}, markAt(30)},
			"-6-4:1, 4-14:2,3, 14-24:4,"},
		{"sliding", func(k stream) windows { return Sliding(k, 10*unit, 5*unit) },
			[]handStep{{3, 1}, {7, 2}, markAt(5), {4, 3}, {12, 4}, markAt(30)},
			"-5-5:1, 0-10:1,2,3, 5-15:2,4, 10-20:4,"},
		{"allowed lateness", func(k stream) windows {
			return Tumbling(k, 10*unit).AllowedLateness(5 * unit)
		}, []handStep{{3, 1}, markAt(12), {4, 2}, {13, 3}, markAt(15), {5, 4}, markAt(30)},
			"0-10:1, 0-10:1,2, late:4 10-20:3,"},
		{"sessions", func(k stream) windows { return Session(k, 5*unit) },
			[]handStep{{1, 1}, {5, 2}, {10, 3}, {16, 4}, markAt(15), markAt(30)},
			"1-15:1,2,3, 16-21:4,"},
		{"a bridge out of order", func(k stream) windows { return Session(k, 5*unit) },
			[]handStep{{1, 1}, {11, 2}, {6, 3}, markAt(30)},
			"1-16:1,2,3,"},
		{"a bridge that comes late", func(k stream) windows { return Session(k, 5*unit) },
			// The session of 1 is over at 6; that of 8 takes 5 in, and nothing takes -1 in.
			[]handStep{{1, 1}, {8, 2}, markAt(7), {5, 3}, {-1, 4}, markAt(30)},
			"1-6:1, late:4 5-13:2,3,"},
		{"a late bridge within the lateness", func(k stream) windows {
			return Session(k, 5*unit).AllowedLateness(10 * unit)
		}, []handStep{{1, 1}, {8, 2}, markAt(7), {5, 3}, markAt(30)},
			"1-6:1, 1-13:1,2,3,"},
		{"a bridge that fires at once", func(k stream) windows {
			return Session(k, 5*unit).AllowedLateness(20 * unit)
		}, []handStep{{1, 1}, {10, 2}, markAt(20), {6, 3}, markAt(60)},
			"1-6:1, 10-15:2, 1-15:1,2,3,"},
		{"counts", func(k stream) windows { return CountWindow(k, 2) },
			[]handStep{{1, 1}, {9, 2}, {3, 3}, markAt(100), {4, 4}, {5, 5}},
			"all:1,2, all:3,4,"},
		{"sliding counts", func(k stream) windows { return SlidingCountWindow(k, 3, 2) },
			[]handStep{{1, 1}, {9, 2}, {3, 3}, {4, 4}, {5, 5}, {5, 6}},
			"all:1,2, all:2,3,4, all:4,5,6,"},
		{"processing time", func(k stream) windows { return Tumbling(k, 10*unit).ProcessingTime() },
			[]handStep{clockAt(2), {100, 1}, clockAt(9), {50, 2}, clockAt(10), {1, 3}, clockAt(20)},
			"0-10:1,2, 10-20:3,"},
		{"sessions in processing time", func(k stream) windows {
			return Session(k, 5*unit).ProcessingTime()
		}, []handStep{clockAt(2), {100, 1}, clockAt(6), {50, 2}, clockAt(11), {1, 3}, clockAt(40)},
			"2-11:1,2, 11-16:3,"},
		{"continuous", func(k stream) windows {
			return Tumbling(k, 10*unit).Trigger(window.ContinuousEventTime(4 * unit))
		}, []handStep{{1, 1}, markAt(3), markAt(4), {6, 2}, markAt(9), markAt(10)},
			"0-10:1, 0-10:1,2, 0-10:1,2,"},
		{"keep the last", func(k stream) windows {
			return Tumbling(k, 10*unit).Evictor(window.KeepLast(2))
		}, []handStep{{1, 1}, {2, 2}, {3, 3}, markAt(10)},
			"0-10:2,3,"},
		{"global at the end", func(k stream) windows {
			return Global(k).Trigger(window.EventTime())
		}, []handStep{{1, 1}, {2, 2}, markAt(1000), markAt(math.MaxInt64)},
			"all:1,2,"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBackends(t, func(t *testing.T, f backend.Factory) {
				same(t, c.want, byHand(t, f, c.cut, c.steps))
			})
		})
	}
}

func byHand(
	t *testing.T, f backend.Factory,
	cut func(*KeyedStream[int64, trade]) *WindowedStream[int64, trade], steps []handStep,
) string {
	t.Helper()
	var said []string
	factory := factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[int64] {
		return ApplyWindow(cut(k).LateOutput(NewOutputTag[trade]("late")), "w", func(
			_ int64, w Window, elements iter.Seq[trade], _ Collector[int64],
		) error {
			span := fmt.Sprintf("%d-%d", w.Start/1000, w.End/1000)
			if w == window.Global() {
				span = "all"
			}
			said = append(said, span+":"+listText(elements))
			return nil
		})
	})
	env := keyedEnv(t, f)
	env.Sides = map[string]any{"late": &operator.Link[trade]{
		Record: func(v trade, _ eventtime.Timestamp) {
			said = append(said, fmt.Sprint("late:", v.Amount))
		},
	}}
	clock := &setClock{}
	env.Clock = clock
	head := opened[operator.Head](t, factory, env, nil, operator.Restored{})
	for _, s := range steps {
		switch {
		case s.amount > 0:
			must(t, head.Process(batchOf([]trade{{1, s.amount}},
				[]eventtime.Timestamp{eventtime.Timestamp(s.at * 1000)})))
		case s.amount < 0:
			clock.now = s.at * 1000
			must(t, head.(operator.Alarm).Alarm(clock.now))
		case s.at == math.MaxInt64:
			head.Watermark(eventtime.Max)
		default:
			head.Watermark(eventtime.Timestamp(s.at * 1000))
		}
	}
	must(t, env.Failure.Err())
	return strings.Join(said, " ")
}

// countsFirings counts the firings of a key, and of a key and window.
type countsFirings struct {
	ofKey, ofWindow state.Value[int64]
}

func (f *countsFirings) OpenStates(global, window *state.Declarations) error {
	f.ofKey = state.DeclareValue[int64](global, "firings")
	f.ofWindow = state.DeclareValue[int64](window, "firings")
	return nil
}

func (f *countsFirings) Process(
	ctx *WindowContext[int64], elements iter.Seq[trade], out Collector[firingText],
) error {
	n, _ := f.ofKey.Get()
	m, _ := f.ofWindow.Get()
	f.ofKey.Set(n + 1)
	f.ofWindow.Set(m + 1)
	NewOutputTag[string]("side").Emit(ctx, fmt.Sprint(n+1))
	out.Collect(textFiring(ctx, fmt.Sprint(n+1, " ", m+1, ":", listText(elements))))
	return nil
}

// Goal: a window's function has state of the key, which stays, and of the window, which goes
// with it, across restarts; what it emits to the side has the time of the window. Method: a
// window with lateness that fires three times, then another, on other backends.
func TestWindowStates(t *testing.T) {
	factory := factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[firingText] {
		return ProcessWindow(Tumbling(k, 10*unit).AllowedLateness(10*unit), "w",
			func() ProcessWindowFunction[int64, trade, firingText] { return &countsFirings{} })
	})
	out, side := &tape[firingText]{}, &tape[string]{}
	sides := map[string]any{"side": side.link()}
	env := keyedEnv(t, factories[0])
	env.Sides = sides
	head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
	add := func(at, amount int64) {
		must(t, head.Process(batchOf([]trade{{1, amount}},
			[]eventtime.Timestamp{eventtime.Timestamp(at)})))
	}
	add(1000, 1)
	head.Watermark(12000)
	env, head = restart(t, factory, env, head, factories[1], out.link())
	add(2000, 2)
	add(3000, 3)
	env, head = restart(t, factory, env, head, factories[1], out.link())
	env.Sides = sides
	head.Watermark(21000)
	add(25000, 4)
	env, head = restart(t, factory, env, head, factories[0], out.link())
	head.Watermark(50000)
	must(t, env.Failure.Err())
	var got []string
	for _, r := range out.values() {
		got = append(got, r.Text)
	}
	same(t, []string{"1 1:1,", "2 2:1,2,", "3 3:1,2,3,", "4 1:4,"}, got)
	same(t, []stamped[string]{{"1", 9999}}, side.records)
	o := head.(*windowing[int64, trade])
	for id, want := range map[backend.TableID]int{
		o.table: 0, o.states.globalTable: 1, o.states.windowTable: 0,
	} {
		table, err := env.Keyed.Table(id, backend.NoPane)
		must(t, err)
		same(t, want, table.Len())
	}
}

type unmergeable struct{ moody }

func (unmergeable) CanMerge() bool { return false }
func (unmergeable) String() string { return "unmergeable" }

// Goal: windows that cannot work are refused when the graph is built, with a cure. Method: one
// graph with all faults.
func TestWindowFaults(t *testing.T) {
	type bad struct{ At time.Time }
	e := NewEnv("test")
	k := KeyBy(FromSlice[trade](e, "in", nil), byNumberOf)
	emit := func(int64, Window, *tally) int { return 0 }
	Aggregate(Session(k, unit), "a", AggregatorFunc[trade, tally](addTally), emit)
	Aggregate(Session(k, 0), "b", Folding(addTally, mergeTally), emit)
	Aggregate(Session(k, unit).Trigger(unmergeable{}), "c", Folding(addTally, mergeTally), emit)
	Aggregate(Tumbling(k, unit).Trigger(window.Count(0)), "d", Folding(addTally, mergeTally), emit)
	Aggregate(Tumbling(k, unit).Evictor(window.After(window.KeepLast(-1))), "e",
		Folding(addTally, mergeTally), emit)
	Reduce(Tumbling(k, unit).AllowedLateness(-unit).Trigger(nil), "f", summed)
	ProcessWindow(Session(k, unit), "g",
		func() ProcessWindowFunction[int64, trade, firingText] { return &countsFirings{} })
	Reduce(Tumbling(KeyBy(FromSlice[bad](e, "bad", nil), func(bad) int64 { return 0 }), unit),
		"h", func(a, b bad) bad { return a })
	var got []string
	for _, err := range e.faults {
		got = append(got, err.Error())
	}
	same(t, []string{
		`aggregate "a": sessions need an aggregator that can merge: implement ` +
			`stream.MergingAggregator, or use stream.Folding`,
		`sessions with gaps of 0s: want at least 1 ms`,
		`aggregate "c": trigger unmergeable cannot merge windows, which sessions need`,
		`aggregate "d": trigger: trigger on every 0 records: want at least 1`,
		`aggregate "e": evictor: keep the last -1 records: want at least 0`,
		`windows: allowed lateness of -1s: want at least 0`,
		`windows: the trigger is nil`,
		`process windows "g": sessions have no state of their own, since they merge: declare ` +
			`state of the key`,
	}, got[:8])
	if len(got) < 9 || !strings.Contains(got[len(got)-1], `reduce "h": accumulator: `) {
		t.Errorf("faults %q", got[8:])
	}
}

// Goal: the keys under which windows lie are those that the descriptors say, so that tools can
// read them. Method: the codec of the schema against the bytes written by hand.
func TestWindowKeys(t *testing.T) {
	codec, err := types.OrderedKeyOf[windowKey]()
	must(t, err)
	for _, w := range []Window{{Start: -5, End: 7}, window.Global(), {Start: 0, End: 1 << 50}} {
		want := codec.Append(nil, windowKey{End: w.End, Start: w.Start})
		same(t, want, appendWindow(nil, w))
		same(t, w, readWindow(want))
	}
	byElement, err := types.OrderedKeyOf[elementKey]()
	must(t, err)
	same(t, byElement.Append(nil, elementKey{End: 9, Start: -9, Number: 77}),
		appendElement(nil, Window{Start: -9, End: 9}, 77))
	same(t, []byte{1, 3}, afterPrefix([]byte{1, 2, 255}))
	same(t, []byte(nil), afterPrefix([]byte{255, 255}))
}

// Goal: windows over everything are handled by one subtask whatever the parallelism, and hold the
// records of all keys. Method: the graph, and a run by hand.
func TestWindowAll(t *testing.T) {
	e := NewEnv("test")
	e.SetParallelism(4)
	all := All(FromSlice[trade](e, "in", nil))
	out := Reduce(Tumbling(all, unit), "w", summed)
	same(t, 1, out.at.parallelism)
	result := &tape[trade]{}
	env := keyedEnv(t, factories[1])
	head := opened[operator.Head](t, out.at.factory, env, result.link(), operator.Restored{})
	must(t, head.Process(batchOf([]trade{{1, 1}, {2, 2}, {1, 3}},
		[]eventtime.Timestamp{1, 2, 1000})))
	head.Watermark(5000)
	same(t, []stamped[trade]{{trade{1, 3}, 999}, {trade{1, 3}, 1999}}, result.records)
}

type failingWindow struct{}

func (failingWindow) Process(
	*WindowContext[int64], iter.Seq[tally], Collector[firingText],
) error {
	return errUser
}

// Goal: an error of a window's function fails the task once, as the user's. Method: windows of
// slices, and others.
func TestWindowFunctionFails(t *testing.T) {
	for _, late := range []time.Duration{0, unit} {
		factory := factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[firingText] {
			return AggregateProcess(Tumbling(k, unit).AllowedLateness(late), "w",
				Folding(addTally, mergeTally),
				func() ProcessWindowFunction[int64, tally, firingText] { return failingWindow{} })
		})
		env := keyedEnv(t, factories[1])
		head := opened[operator.Head](t, factory, env, nil, operator.Restored{})
		must(t, head.Process(batchOf([]trade{{1, 1}, {2, 2}}, []eventtime.Timestamp{1, 2})))
		head.Watermark(5000)
		err := env.Failure.Err()
		if err == nil || err.Error() != `operator "name": no such number` ||
			fault.DomainOf(err) != fault.DomainUser {
			t.Errorf("error %v", err)
		}
	}
}
