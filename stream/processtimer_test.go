package stream

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// order is what a record or a timer of these tests does with a timer of its key.
type order struct {
	delete bool
	domain TimeDomain
	at     eventtime.Timestamp
}

// ordersOf makes up what is done, from what is known to function and model alike.
func ordersOf(seed uint64, watermark, now eventtime.Timestamp) []order {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []order
	for range r.IntN(4) {
		o := order{delete: r.IntN(4) == 0, domain: TimeDomain(r.IntN(2))}
		around := now
		if o.domain == DomainEventTime {
			around = max(watermark, 0)
		}
		switch r.IntN(8) {
		case 0:
			o.at = around - eventtime.Timestamp(r.Int64N(30)) // late
		case 1:
			o.at = []eventtime.Timestamp{
				eventtime.Max, eventtime.Max - 1, eventtime.None, 0}[r.IntN(4)]
		case 2, 3:
			o.at = (around/50 + 1) * 50 // shared by many keys
		default:
			o.at = around + eventtime.Timestamp(r.Int64N(200))
		}
		out = append(out, o)
	}
	return out
}

// laterOrders are those of a timer: finitely many, earlier and later ones.
func laterOrders(at eventtime.Timestamp, domain TimeDomain) []order {
	switch {
	case at%4 != 0 || at == eventtime.None || at >= eventtime.Max-5:
		return nil
	case at%8 == 0:
		return []order{{false, domain, at - 1}, {false, domain, at + 1}, {true, domain, at + 50}}
	}
	return []order{{false, domain, at + 3}, {false, 1 - domain, at + 2}}
}

// alarms is a function whose records and timers do as ordered. A record adds to the count of
// its key, some timers clear it.
type alarms[K any] struct {
	count state.Value[int64]
	hash  func(K) uint64
}

func (a *alarms[K]) Open(d *state.Declarations) error {
	a.count = state.DeclareValue[int64](d, "count")
	return nil
}

func give(s *TimerService, orders []order) {
	for _, o := range orders {
		switch {
		case o.delete && o.domain == DomainEventTime:
			s.DeleteEventTime(o.at)
		case o.delete:
			s.DeleteProcessingTime(o.at)
		case o.domain == DomainEventTime:
			s.RegisterEventTime(o.at)
		default:
			s.RegisterProcessingTime(o.at)
		}
	}
}

func (a *alarms[K]) Process(c *Context[K], v trade, out Collector[string]) error {
	n, _ := a.count.Get()
	if v.Amount%3 > 0 {
		a.count.Set(n + 1)
	}
	s := c.Timers()
	give(s, ordersOf(a.hash(c.Key())^uint64(v.Amount), s.CurrentWatermark(),
		s.CurrentProcessingTime()))
	return nil
}

func (a *alarms[K]) OnTimer(c *TimerContext[K], out Collector[string]) error {
	n, ok := a.count.Get()
	out.Collect(firedText(c.Key(), c.Timestamp(), c.TimeDomain(), n, ok, c.Watermark()))
	if c.Timestamp()%3 == 0 {
		a.count.Clear()
	}
	give(c.Timers(), laterOrders(c.Timestamp(), c.TimeDomain()))
	return nil
}

func firedText(key any, at eventtime.Timestamp, domain TimeDomain, n int64, ok bool,
	watermark eventtime.Timestamp) string {
	return fmt.Sprint(key, " at ", int64(at), " in ", domain, ": ", n, ok, " ", int64(watermark))
}

// alarmModel is the same in plain Go: timers in a set, the first of which is looked for each
// time.
type alarmModel[K comparable] struct {
	counts    map[K]int64
	timers    map[modelAlarm[K]]bool
	bytes     func(K) string // canonical
	watermark eventtime.Timestamp
	out       []stamped[string]
}

type modelAlarm[K comparable] struct {
	domain TimeDomain
	at     eventtime.Timestamp
	key    K
}

func (m *alarmModel[K]) give(key K, orders []order) {
	for _, o := range orders {
		if o.delete {
			delete(m.timers, modelAlarm[K]{o.domain, o.at, key})
		} else {
			m.timers[modelAlarm[K]{o.domain, o.at, key}] = true
		}
	}
}

// fire fires what is due in a domain.
func (m *alarmModel[K]) fire(domain TimeDomain, until eventtime.Timestamp) {
	for {
		var first *modelAlarm[K]
		for t := range m.timers {
			if t.domain == domain && t.at <= until && (first == nil || cmp.Or(
				cmp.Compare(t.at, first.at), cmp.Compare(m.bytes(t.key), m.bytes(first.key))) < 0) {
				first = &t
			}
		}
		if first == nil {
			return
		}
		delete(m.timers, *first)
		n, ok := m.counts[first.key]
		ts := first.at
		if domain == DomainProcessingTime {
			ts = eventtime.None
		}
		m.out = append(m.out, stamped[string]{
			firedText(first.key, first.at, domain, n, ok, m.watermark), ts})
		if first.at%3 == 0 {
			delete(m.counts, first.key)
		}
		m.give(first.key, laterOrders(first.at, domain))
	}
}

// alarmRig runs the operator with a clock.
type alarmRig[K comparable] struct {
	t     *testing.T
	f     operator.Factory
	clock *clock.Manual
	env   *operator.Env
	head  operator.Head
	wake  int64 // the earliest wish
	out   *tape[string]
}

// start makes the operator anew, from the state of the one before if there is one.
func (g *alarmRig[K]) start(to backend.Factory) {
	g.t.Helper()
	env := keyedEnv(g.t, to)
	env.Clock, g.wake = g.clock, math.MaxInt64
	env.WakeAt = func(millis int64) { g.wake = min(g.wake, millis) }
	built, err := g.f.New(env, nil, g.out.link())
	must(g.t, err)
	restored := operator.Restored{}
	if g.head != nil {
		moveState(g.t, g.env.Keyed, env.Keyed)
		restored = operator.Restored{Checkpoint: 1, List: snapshotOf(g.t, g.head)}
	}
	g.env, g.head = env, built.Operator.(operator.Head)
	must(g.t, g.head.Open(g.t.Context(), restored))
}

// ring does what the task does when the clock has come to the earliest wish.
func (g *alarmRig[K]) ring() {
	g.t.Helper()
	for now := g.clock.Now().UnixMilli(); g.wake <= now; {
		g.wake = math.MaxInt64
		must(g.t, g.head.(operator.Alarm).Alarm(now))
	}
}

func testTimers[K comparable](
	t *testing.T, f backend.Factory, key func(trade) K, canonical func(K) string,
) {
	t.Helper()
	const seed = 4
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	codec, err := types.KeyOf[K]()
	must(t, err)
	g := &alarmRig[K]{t: t, clock: clock.NewManual(testStart), out: &tape[string]{},
		f: processFactoryOf(t, key, func() KeyedProcessFunction[K, trade, string] {
			return &alarms[K]{hash: codec.Hash}
		})}
	g.start(f)
	m := &alarmModel[K]{counts: map[K]int64{}, timers: map[modelAlarm[K]]bool{},
		bytes: canonical, watermark: eventtime.None}
	fired := 0
	for range 250 {
		if r.IntN(20) == 0 {
			all := timerFactories(t)
			g.start(all[r.IntN(len(all))])
		}
		now := eventtime.FromTime(g.clock.Now())
		items := make([]trade, 1+r.IntN(12))
		for i := range items {
			items[i] = trade{Number: r.Int64N(40), Amount: r.Int64N(1000)}
			k := key(items[i])
			if items[i].Amount%3 > 0 {
				m.counts[k]++
			}
			m.give(k, ordersOf(codec.Hash(k)^uint64(items[i].Amount), m.watermark, now))
		}
		must(t, g.head.Process(batchOf(items, nil)))
		if r.IntN(3) == 0 {
			m.watermark = max(m.watermark, 0) + eventtime.Timestamp(r.Int64N(60))
			m.fire(DomainEventTime, m.watermark)
			g.head.Watermark(m.watermark)
		}
		if r.IntN(3) == 0 {
			g.clock.Advance(time.Duration(r.IntN(60)) * time.Millisecond)
			m.fire(DomainProcessingTime, eventtime.FromTime(g.clock.Now())-1)
			g.ring()
		}
		must(t, g.env.Failure.Err())
		same(t, m.out, g.out.records)
		fired += len(m.out)
		m.out, g.out.records = nil, nil
		table, err := g.env.Keyed.Table(0, backend.NoPane)
		must(t, err)
		same(t, len(m.counts), table.Len())
	}
	m.watermark = eventtime.Max
	m.fire(DomainEventTime, eventtime.Max)
	g.head.Watermark(eventtime.Max)
	same(t, m.out, g.out.records)
	if fired < 1000 {
		t.Errorf("only %d timers were fired", fired)
	}
}

// Goal: timers of both domains are fired once, in order, at their time, with the state of
// their key, also late ones, deleted ones, ones that timers register, and after restarts; and
// keys without state keep no row. Method: random records against a model in plain Go.
func TestTimers(t *testing.T) {
	number := func(v trade) int64 { return v.Number - 20 }
	text := func(v trade) string { return strings.Repeat("x", int(v.Number)) }
	wide := func(v trade) [2]int64 { return [2]int64{v.Number % 3, v.Number} }
	word := func(n int64) string {
		return string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	t.Run("number", func(t *testing.T) {
		onTimerBackends(t, func(t *testing.T, f backend.Factory) { testTimers(t, f, number, word) })
	})
	t.Run("text", func(t *testing.T) {
		onTimerBackends(t, func(t *testing.T, f backend.Factory) {
			testTimers(t, f, text, func(s string) string { return s })
		})
	})
	t.Run("two words", func(t *testing.T) {
		onTimerBackends(t, func(t *testing.T, f backend.Factory) {
			testTimers(t, f, wide, func(k [2]int64) string { return word(k[0]) + word(k[1]) })
		})
	})
}

// onTimerBackends runs a test on every backend.
func onTimerBackends(t *testing.T, test func(t *testing.T, f backend.Factory)) {
	for _, f := range timerFactories(t) {
		t.Run(f.Name(), func(t *testing.T) { test(t, f) })
	}
}

// timerFactories are the backends that keep timers.
func timerFactories(t *testing.T) []backend.Factory {
	t.Helper()
	var out []backend.Factory
	for _, f := range factories {
		b, err := f.New(backend.Options{Bounds: types.AllHashes})
		must(t, err)
		if _, err := b.DeclareTimers(backend.TimerLayout{}); err == nil {
			out = append(out, f)
		}
		must(t, b.Close())
	}
	return out
}

// timed is a function without state whose timers do as a test says.
type timed struct {
	process func(c *Context[int64], v trade)
	onTimer func(c *TimerContext[int64], out Collector[string])
}

func (f timed) Open(*state.Declarations) error { return nil }

func (f timed) Process(c *Context[int64], v trade, _ Collector[string]) error {
	f.process(c, v)
	return nil
}

func (f timed) OnTimer(c *TimerContext[int64], out Collector[string]) error {
	f.onTimer(c, out)
	return nil
}

// timedHead opens the operator of a timed function.
func timedHead(t *testing.T, f timed) (operator.Head, *operator.Env, *tape[string]) {
	t.Helper()
	factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
		func() KeyedProcessFunction[int64, trade, string] { return f })
	out, env := &tape[string]{}, keyedEnv(t, factories[0])
	return opened[operator.Head](t, factory, env, out.link(), operator.Restored{}), env, out
}

// Goal: a timer that registers an earlier one sees it fired before the others of its own
// timestamp, and one that registers its own timestamp again is fired again in the same go.
// Method: three keys with one timestamp, of which the first registers.
func TestTimersWhileFiring(t *testing.T) {
	rounds := 0
	head, env, out := timedHead(t, timed{
		process: func(c *Context[int64], _ trade) { c.Timers().RegisterEventTime(100) },
		onTimer: func(c *TimerContext[int64], out Collector[string]) {
			out.Collect(fmt.Sprint(c.Key(), " ", int64(c.Timestamp())))
			if c.Key() == 1 && c.Timestamp() == 100 {
				if rounds++; rounds < 3 {
					c.Timers().RegisterEventTime(50)
					c.Timers().RegisterEventTime(100)
				}
			}
		},
	})
	must(t, head.Process(batchOf([]trade{{3, 0}, {1, 0}, {2, 0}}, nil)))
	head.Watermark(99)
	same(t, 0, len(out.records))
	head.Watermark(100)
	must(t, env.Failure.Err())
	got := out.values()
	same(t, []string{"1 100", "1 50"}, got[:2])
	rest := slices.Sorted(slices.Values(got[2:]))
	same(t, []string{"1 100", "1 100", "1 50", "2 100", "3 100"}, rest)
	same(t, []string{"0 watermark 99", "7 watermark 100"}, out.controls)
}

// Goal: timers fire before the watermark goes on, and pending ones of processing time stay
// silent without an alarm. Method: both, then the end.
func TestTimersAtTheEnd(t *testing.T) {
	head, env, out := timedHead(t, timed{
		process: func(c *Context[int64], v trade) {
			c.Timers().RegisterEventTime(eventtime.Max)
			c.Timers().RegisterProcessingTime(c.Timers().CurrentProcessingTime() + 10)
		},
		onTimer: func(c *TimerContext[int64], out Collector[string]) {
			out.Collect(fmt.Sprint(c.TimeDomain(), " ", c.Timestamp()))
		},
	})
	must(t, head.Process(batchOf([]trade{{1, 1}}, nil)))
	head.Watermark(eventtime.Max - 1)
	head.Watermark(eventtime.Max)
	head.EndOfData()
	must(t, env.Failure.Err())
	same(t, []string{"event time max"}, out.values())
	same(t, []string{fmt.Sprint("0 watermark ", int64(eventtime.Max-1)),
		fmt.Sprint("1 watermark ", int64(eventtime.Max)), "1 end"}, out.controls)
}

// Goal: a timer some time after a record that has no event time fails the task; it would fire at
// once, in a year before all years. Method: one such record.
func TestTimerWithoutEventTime(t *testing.T) {
	factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
		func() KeyedProcessFunction[int64, trade, string] { return &relativeTimer{} })
	head := opened[operator.Head](t, factory, keyedEnv(t, factories[0]), (&tape[string]{}).link(),
		operator.Restored{})
	err := head.Process(batchOf([]trade{{1, 1}}, nil))
	if err == nil || !strings.Contains(err.Error(), "a record has no event time") ||
		fault.DomainOf(err) != fault.DomainUser {
		t.Errorf("error %v of domain %v", err, fault.DomainOf(err))
	}
}

// relativeTimer registers a timer one second after its record.
type relativeTimer struct{}

func (*relativeTimer) Open(*state.Declarations) error { return nil }

func (*relativeTimer) Process(c *Context[int64], _ trade, _ Collector[string]) error {
	c.Timers().RegisterEventTime(c.Timestamp() + 1000)
	return nil
}

func (*relativeTimer) OnTimer(*TimerContext[int64], Collector[string]) error { return nil }

// Goal: using a timer without OnTimer fails the task and says what to do, and an OnTimer that
// would never be called fails the graph. Method: a function of each kind.
func TestTimersWithoutOnTimer(t *testing.T) {
	factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
		func() KeyedProcessFunction[int64, trade, string] { return untimed{} })
	head := opened[operator.Head](t, factory, keyedEnv(t, factories[0]), (&tape[string]{}).link(),
		operator.Restored{})
	err := head.Process(batchOf([]trade{{1, 1}}, nil))
	want := `operator "name": it uses a timer and has no method OnTimer: ` +
		`implement stream.TimerFunction`
	if err == nil || err.Error() != want || fault.DomainOf(err) != fault.DomainUser {
		t.Errorf("error %v of domain %v, want %s", err, fault.DomainOf(err), want)
	}
	e := NewEnv("test")
	Process(KeyBy(FromSlice[trade](e, "in", nil), func(v trade) int64 { return 0 }), "p",
		func() KeyedProcessFunction[int64, trade, string] { return mistimed{} })
	if _, err = e.Plan(); err == nil || !strings.Contains(err.Error(), `process "p": `+
		`method OnTimer of stream.mistimed is func(stream.mistimed, `) {
		t.Errorf("error %v", err)
	}
}

// untimed uses a timer without having OnTimer.
type untimed struct{}

func (untimed) Open(*state.Declarations) error { return nil }

func (untimed) Process(c *Context[int64], _ trade, _ Collector[string]) error {
	c.Timers().RegisterProcessingTime(1)
	return nil
}

// mistimed has OnTimer for another type of key.
type mistimed struct{ untimed }

func (mistimed) OnTimer(*TimerContext[string], Collector[string]) error { return nil }

// Goal: the graph says which timers an operator has, behind its tables. Method: descriptors of
// functions with timers, with and without states.
func TestTimerDescriptors(t *testing.T) {
	e := NewEnv("test")
	k := KeyBy(FromSlice[trade](e, "in", nil), func(v trade) int64 { return 0 })
	with := Process(k, "p", func() KeyedProcessFunction[int64, trade, string] {
		return &alarms[int64]{}
	})
	without := Process(k, "q", func() KeyedProcessFunction[int64, trade, string] { return timed{} })
	var got []string
	for _, s := range []*DataStream[string]{with, without} {
		for _, d := range s.at.descriptors {
			got = append(got, fmt.Sprint(d.Table, " ", d.Name, " ", d.Kind, " ", d.KeySchema))
		}
	}
	same(t, []string{
		"0 count value (`value` BIGINT NOT NULL)",
		"1 timers/event-time timers (`value` BIGINT NOT NULL)",
		"2 timers/processing-time timers (`value` BIGINT NOT NULL)",
		"0 timers/event-time timers (`value` BIGINT NOT NULL)",
		"1 timers/processing-time timers (`value` BIGINT NOT NULL)",
	}, got)
}

// ticking keeps a count and registers the end of the minute for every record.
type ticking struct{ count state.Value[int64] }

func (f *ticking) Open(d *state.Declarations) error {
	f.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (f *ticking) Process(c *Context[int64], v benchmarkRecord, _ Collector[int64]) error {
	n, _ := f.count.Get()
	f.count.Set(n + 1)
	c.Timers().RegisterEventTime((c.Timestamp()/60_000 + 1) * 60_000)
	return nil
}

func (f *ticking) OnTimer(c *TimerContext[int64], out Collector[int64]) error {
	n, _ := f.count.Get()
	f.count.Clear()
	out.Collect(n)
	return nil
}

// BenchmarkProcessTimers measures one watermark that fires 100,000 timers, in which nothing
// else is done, and the records that registered them.
func BenchmarkProcessTimers(b *testing.B) {
	e := NewEnv("bench")
	out := Process(KeyBy(FromSlice[benchmarkRecord](e, "in", nil), byNumber), "p",
		func() KeyedProcessFunction[int64, benchmarkRecord, int64] { return &ticking{} })
	head := opened[operator.Head](b, out.at.factory, keyedEnv(b, factories[1]), nil,
		operator.Restored{})
	const size, batches = 1000, 100
	items, times := make([]benchmarkRecord, size), make([]eventtime.Timestamp, size)
	var recording, firing time.Duration
	minute := eventtime.Timestamp(0)
	for b.Loop() {
		start := time.Now()
		for batch := range batches {
			for i := range items {
				items[i].Key = int64(batch*size + i)
				times[i] = minute + eventtime.Timestamp(i)
			}
			must(b, head.Process(batchOf(items, times)))
		}
		minute += 60_000
		middle := time.Now()
		head.Watermark(minute)
		recording, firing = recording+middle.Sub(start), firing+time.Since(middle)
	}
	n := float64(b.N * size * batches)
	b.ReportMetric(float64(recording.Nanoseconds())/n, "ns/record")
	b.ReportMetric(float64(firing.Nanoseconds())/n, "ns/timer")
	b.ReportMetric(float64(firing.Milliseconds())/float64(b.N), "ms/watermark")
	b.ReportMetric(0, "ns/op")
}
