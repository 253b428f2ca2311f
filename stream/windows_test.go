package stream

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/window"
)

// Times in the tests of windows, in units of a second.
const unit = time.Second

// windowCut is a way to cut windows, and what the model does instead.
type windowCut struct {
	name     string
	cut      func(*KeyedStream[int64, trade]) *WindowedStream[int64, trade]
	assign   func(v trade, at int64) []Window
	sessions bool
}

func sessionGap(v trade) time.Duration { return time.Duration(1+v.Amount%5) * unit }

var windowCuts = []windowCut{
	{"tumbling", func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
		return Tumbling(k, 10*unit, -3*unit)
	}, func(_ trade, at int64) []Window {
		return alignedWindows(at, 10*unit, 10*unit, -3*unit)
	}, false},
	{"sliding", func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
		return Sliding(k, 10*unit, 4*unit, unit)
	}, func(_ trade, at int64) []Window {
		return alignedWindows(at, 10*unit, 4*unit, unit)
	}, false},
	{"with gaps", func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
		return Sliding(k, 3*unit, 5*unit)
	}, func(_ trade, at int64) []Window {
		return alignedWindows(at, 3*unit, 5*unit, 0)
	}, false},
	{"session", func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
		return Session(k, 3*unit)
	}, func(_ trade, at int64) []Window {
		return []Window{{Start: eventtime.Timestamp(at), End: eventtime.Timestamp(at + 3000)}}
	}, true},
	{"dynamic session", func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
		return DynamicSession(k, sessionGap)
	}, func(v trade, at int64) []Window {
		return []Window{{Start: eventtime.Timestamp(at),
			End: eventtime.Timestamp(at + sessionGap(v).Milliseconds())}}
	}, true},
	{"global", Global[int64, trade], func(trade, int64) []Window {
		return []Window{window.Global()}
	}, false},
}

// moody is a trigger that uses all that there is.
type moody struct{}

const (
	moodyEvent window.Number = "event"
	moodyClock window.Number = "clock"
)

func (moody) OnElement(ctx window.Context) window.Result {
	v := window.Element[trade](ctx)
	if _, ok := moodyEvent.Get(ctx); !ok && ctx.Timestamp() != eventtime.None {
		at := ctx.Timestamp() + eventtime.Timestamp(v.Amount%4000)
		moodyEvent.Set(ctx, int64(at))
		ctx.RegisterEventTimer(at)
	}
	if _, ok := moodyClock.Get(ctx); !ok {
		at := ctx.ProcessingTime() + eventtime.Timestamp(v.Amount%3000)
		moodyClock.Set(ctx, int64(at))
		ctx.RegisterProcessingTimer(at)
	}
	switch {
	case v.Amount%11 == 0:
		return window.Purge
	case v.Amount%7 == 0:
		return window.FireAndPurge
	case v.Amount%3 == 0:
		return window.Fire
	}
	return window.Continue
}

func (moody) OnEventTime(ctx window.Context, at eventtime.Timestamp) window.Result {
	if due, ok := moodyEvent.Get(ctx); ok && due == int64(at) {
		moodyEvent.Clear(ctx)
		return window.Fire
	}
	return window.Continue
}

func (moody) OnProcessingTime(ctx window.Context, at eventtime.Timestamp) window.Result {
	if due, ok := moodyClock.Get(ctx); ok && due == int64(at) {
		moodyClock.Clear(ctx)
		return window.FireAndPurge
	}
	return window.Continue
}

func (moody) CanMerge() bool { return true }

func (moody) OnMerge(ctx window.Context) {
	latest := func(a, b int64) int64 { return max(a, b) }
	moodyEvent.Merge(ctx, latest)
	moodyClock.Merge(ctx, latest)
	if at, ok := moodyEvent.Get(ctx); ok {
		ctx.RegisterEventTimer(eventtime.Timestamp(at))
	}
	if at, ok := moodyClock.Get(ctx); ok {
		ctx.RegisterProcessingTimer(eventtime.Timestamp(at))
	}
}

func (moody) Clear(ctx window.Context) {
	if at, ok := moodyEvent.Get(ctx); ok {
		ctx.DeleteEventTimer(eventtime.Timestamp(at))
	}
	if at, ok := moodyClock.Get(ctx); ok {
		ctx.DeleteProcessingTimer(eventtime.Timestamp(at))
	}
	moodyEvent.Clear(ctx)
	moodyClock.Clear(ctx)
}

// windowTriggers are all triggers; nil is the default.
var windowTriggers = []window.Trigger{
	nil, window.EventTime(), window.ProcessingTime(), window.Count(3),
	window.Purging(window.Count(2)), window.Purging(window.EventTime()),
	window.ContinuousEventTime(3 * unit), window.ContinuousProcessingTime(2 * unit),
	window.Never(), moody{},
}

func apart(v, last trade) float64 { return math.Abs(float64(v.Amount%100 - last.Amount%100)) }

var windowEvictors = []window.Evictor{
	nil, nil, window.KeepLast(3), window.KeepTime(4 * unit), window.KeepNear(30, apart),
	window.After(window.KeepLast(2)),
}

// windowUse is a function of windows, and what it says of their elements.
type windowUse struct {
	name string
	use  func(*WindowedStream[int64, trade]) *DataStream[firingText]
	text func([]stamped[trade]) string
	// folds says that a function that folds finds nothing to fold when all was evicted.
	folds bool
}

func listText(elements iter.Seq[trade]) string {
	text := ""
	for v := range elements {
		text += fmt.Sprint(v.Amount, ",")
	}
	return text
}

func listOf(elements []stamped[trade]) string {
	return listText(func(yield func(trade) bool) {
		for _, e := range elements {
			if !yield(e.Value) {
				return
			}
		}
	})
}

func textFiring(ctx *WindowContext[int64], text string) firingText {
	return firingText{Key: ctx.Key(), Window: ctx.Window(), Text: text}
}

// first returns the only element.
func first[T any](elements iter.Seq[T]) (only T) {
	for v := range elements {
		only = v
	}
	return only
}

type windowFunc[In any] func(
	*WindowContext[int64], iter.Seq[In], Collector[firingText]) error

func (f windowFunc[In]) Process(
	ctx *WindowContext[int64], elements iter.Seq[In], out Collector[firingText],
) error {
	return f(ctx, elements, out)
}

func functionOf[In any](text func(iter.Seq[In]) string) func() ProcessWindowFunction[
	int64, In, firingText] {
	return func() ProcessWindowFunction[int64, In, firingText] {
		return windowFunc[In](func(
			ctx *WindowContext[int64], elements iter.Seq[In], out Collector[firingText],
		) error {
			out.Collect(textFiring(ctx, text(elements)))
			return nil
		})
	}
}

// summed is associative and commutative.
func summed(a, b trade) trade { return trade{a.Number, a.Amount + b.Amount} }

func sumText(elements []stamped[trade]) string {
	sum := int64(0)
	for _, e := range elements {
		sum += e.Value.Amount
	}
	return fmt.Sprint(sum)
}

var windowUses = []windowUse{
	{"aggregate", func(w *WindowedStream[int64, trade]) *DataStream[firingText] {
		return Aggregate(w, "w", Folding(addTally, mergeTally),
			func(key int64, w Window, a *tally) firingText {
				return firingText{Key: key, Window: w, Text: tallyTextOf(a)}
			})
	}, tallyText, false},
	{"aggregate and process", func(w *WindowedStream[int64, trade]) *DataStream[firingText] {
		return AggregateProcess(w, "w", Folding(addTally, mergeTally),
			functionOf(func(elements iter.Seq[tally]) string {
				only := first(elements)
				return tallyTextOf(&only)
			}))
	}, tallyText, false},
	{"reduce and process", func(w *WindowedStream[int64, trade]) *DataStream[firingText] {
		return ReduceProcess(w, "w", summed, functionOf(func(elements iter.Seq[trade]) string {
			return fmt.Sprint(first(elements).Amount)
		}))
	}, sumText, true},
	{"process", func(w *WindowedStream[int64, trade]) *DataStream[firingText] {
		return ProcessWindow(w, "w", functionOf(listText))
	}, listOf, false},
	{"apply", func(w *WindowedStream[int64, trade]) *DataStream[firingText] {
		return ApplyWindow(w, "w", func(
			key int64, w Window, elements iter.Seq[trade], out Collector[firingText],
		) error {
			// Twice through the elements, the first time not to the end.
			for range elements {
				break
			}
			out.Collect(firingText{Key: key, Window: w, Text: listText(elements)})
			return nil
		})
	}, listOf, false},
}

// windowMix is a combination.
type windowMix struct {
	cut        windowCut
	processing bool
	trigger    window.Trigger
	evictor    window.Evictor
	use        windowUse
	lateness   time.Duration
}

func (c windowMix) String() string {
	return fmt.Sprintf("%s, processing time %v, trigger %v, evictor %T%v, %s, lateness %v",
		c.cut.name, c.processing, c.trigger, c.evictor, c.evictor, c.use.name, c.lateness)
}

func (c windowMix) build(t *testing.T) operator.Factory {
	return factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[firingText] {
		w := c.cut.cut(k).AllowedLateness(c.lateness).LateOutput(NewOutputTag[trade]("late"))
		if c.processing {
			w = w.ProcessingTime()
		}
		if c.trigger != nil {
			w = w.Trigger(c.trigger)
		}
		if c.evictor != nil {
			w = w.Evictor(c.evictor)
		}
		return c.use.use(w)
	})
}

func (c windowMix) model() *windowModel {
	m := newWindowModel()
	m.inEvents = !c.processing && c.cut.name != "global"
	m.sessions, m.evictor, m.lateness = c.cut.sessions, c.evictor, c.lateness.Milliseconds()
	m.assign = func(v trade, ts, now int64) []Window {
		if c.processing {
			ts = now
		}
		return c.cut.assign(v, ts)
	}
	switch m.trigger = c.trigger; {
	case c.trigger != nil:
	case c.cut.name == "global":
		m.trigger = window.Never()
	case c.processing:
		m.trigger = window.ProcessingTime()
	default:
		m.trigger = window.EventTime()
	}
	return m
}

// run compares the operator with the model.
func (c windowMix) run(t *testing.T, seed uint64) (firings, late, restores int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	m := c.model()
	now, clock, watermark, serial := int64(100_000), int64(500_000), int64(math.MinInt64), int64(0)
	m.now = clock
	g := newWindowRig(t, c.build(t), clock)
	g.start(1+r.IntN(3), r)
	for step := range 150 {
		now += r.Int64N(1500)
		switch r.IntN(12) {
		case 0:
			if g.pending == nil {
				g.begin(r.IntN(4) == 0)
			}
		case 1:
			if r.IntN(2) == 0 {
				g.fail(1+r.IntN(3), r)
			}
		case 2, 3:
			watermark = max(watermark, now-r.Int64N(12_000))
			g.watermark(watermark)
			m.advance(watermark)
			m.clock(clock)
		case 4, 5:
			clock += r.Int64N(4000)
			g.setClock(clock)
			m.clock(clock)
		default:
			items := make([]trade, 1+r.IntN(8))
			times := make([]eventtime.Timestamp, len(items))
			for i := range items {
				serial++
				items[i] = trade{r.Int64N(4), serial*100 + r.Int64N(100)}
				times[i] = eventtime.Timestamp(now - r.Int64N(15_000))
				if !m.inEvents && r.IntN(6) == 0 {
					times[i] = eventtime.None
				}
			}
			g.records(items, times)
			for i := range items {
				m.add(items[i].Number, items[i], int64(times[i]))
			}
			m.clock(clock)
		}
		g.step(1+r.IntN(400), r.IntN(3) == 0)
		late += len(m.late)
		firings += c.compare(t, step, m, g)
	}
	g.watermark(math.MaxInt64)
	m.advance(math.MaxInt64)
	firings += c.compare(t, -1, m, g)
	c.checkRest(t, m, g)
	return firings, late, g.restores
}

// compare takes what came out on both sides.
func (c windowMix) compare(t *testing.T, step int, m *windowModel, g *windowRig) int {
	t.Helper()
	if c.use.folds { // there is nothing to reduce
		m.fired = slices.DeleteFunc(m.fired, func(r modelResult) bool {
			return len(r.Elements) == 0
		})
	}
	n := compareFirings(t, step, m, c.use.text, &g.out)
	want, got := slices.Clone(m.late), g.late.records
	m.late, g.late.records = nil, nil
	for _, late := range [][]stamped[trade]{want, got} {
		slices.SortFunc(late, func(a, b stamped[trade]) int {
			return cmp.Compare(a.Value.Amount, b.Value.Amount)
		})
	}
	same(t, fmt.Sprint(want), fmt.Sprint(got))
	return n
}

// checkRest compares what is left: no row without a window, no timer that the model has not.
func (c windowMix) checkRest(t *testing.T, m *windowModel, g *windowRig) {
	t.Helper()
	if _, ok := g.heads[0].(*windowing[int64, trade]); !ok {
		return
	}
	wantRows := 0
	for _, k := range m.keys {
		live := len(k.state)
		for _, contents := range k.windows {
			if live += len(contents); m.sessions {
				live++
			}
		}
		if live > 0 {
			wantRows++
		}
	}
	rows, timers := g.left()
	if rows != wantRows || timers < len(m.timers) {
		t.Errorf("%d rows and %d timers are left, want %d and %d",
			rows, timers, wantRows, len(m.timers))
	}
}

// Goal: windows of every kind with every trigger do what Flink's do, with evictors, functions
// and lateness mixed in, late records and bridges between sessions included, whatever
// checkpoints are taken and given up, and wherever the job fails and goes on with another
// parallelism and backend. Method: every cut with every trigger in random company against the
// model, with random records, watermarks and clock.
func TestWindowMixes(t *testing.T) {
	const seed = 23
	r := rand.New(rand.NewPCG(seed, 0))
	firings, late, restores, number := 0, 0, 0, uint64(0)
	for _, cut := range windowCuts {
		for _, processing := range []bool{false, true} {
			for _, trigger := range windowTriggers {
				number++
				c := windowMix{
					cut: cut, processing: processing, trigger: trigger,
					evictor:  windowEvictors[r.IntN(len(windowEvictors))],
					use:      windowUses[r.IntN(len(windowUses))],
					lateness: time.Duration(r.IntN(2)) * 4 * unit,
				}
				t.Run(fmt.Sprint(number), func(t *testing.T) {
					t.Logf("seed %d: %v", number, c)
					f, l, s := c.run(t, number)
					firings, late, restores = firings+f, late+l, restores+s
				})
			}
		}
	}
	t.Logf("%d firings, %d late records, %d restores", firings, late, restores)
	if firings < 5000 || late < 500 || restores < 200 {
		t.Error("the test tests little")
	}
}
