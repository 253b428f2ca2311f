package stream

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
)

// hoarding writes all kinds of states of a key and never looks at them again.
type hoarding struct {
	last  state.Value[string]
	seen  state.Map[int64, string]
	times state.List[int64]
	ttl   []state.Option
	quiet bool
}

func (h *hoarding) Open(d *state.Declarations) error {
	h.last = state.DeclareValue[string](d, "last", h.ttl...)
	h.seen = state.DeclareMap[int64, string](d, "seen", h.ttl...)
	h.times = state.DeclareList[int64](d, "times", h.ttl...)
	return nil
}

func (h *hoarding) Process(ctx *Context[int64], v trade, _ Collector[string]) error {
	h.last.Set(fmt.Sprint("amount ", v.Amount))
	switch {
	case h.quiet:
	case v.Number%3 == 0:
		for i := range 3 {
			h.seen.Put(v.Amount+int64(i), "seen")
		}
	case v.Number%3 == 1:
		h.times.AppendAll([]int64{1, 2, 3})
	}
	return nil
}

// sweepRig is a keyed operator with a clock set by hand, whose wishes come true.
type sweepRig struct {
	*testing.T
	env   *operator.Env
	clock *clock.Manual
	head  operator.Head
	table backend.Table
	wake  int64
	rings int
	next  int64 // key
}

func openSweepRig(t *testing.T, f backend.Factory, ttl ...state.Option) *sweepRig {
	t.Helper()
	r := &sweepRig{T: t, env: keyedEnv(t, f), wake: math.MaxInt64}
	r.clock = r.env.Clock.(*clock.Manual)
	r.env.WakeAt = func(millis int64) { r.wake = min(r.wake, millis) }
	factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
		func() KeyedProcessFunction[int64, trade, string] { return &hoarding{ttl: ttl} })
	r.head = opened[operator.Head](t, factory, r.env, (&tape[string]{}).link(), operator.Restored{})
	var err error
	r.table, err = r.env.Keyed.Table(0, backend.NoPane)
	must(t, err)
	return r
}

// pass lets time pass, and does what the task does when a wish comes true.
func (r *sweepRig) pass(d time.Duration) {
	r.Helper()
	for end := r.clock.Now().Add(d); r.clock.Now().Before(end); {
		wake := time.UnixMilli(min(r.wake, end.UnixMilli()))
		r.clock.Advance(max(0, wake.Sub(r.clock.Now())))
		if now := r.clock.Now().UnixMilli(); r.wake <= now {
			r.wake = math.MaxInt64
			r.rings++
			must(r.T, r.head.(operator.Alarm).Alarm(now))
		}
	}
}

// fresh handles a batch of records of n keys that never came before.
func (r *sweepRig) fresh(n int) {
	r.Helper()
	var items []trade
	for range n {
		r.next++
		items = append(items, trade{Number: r.next, Amount: r.next})
	}
	must(r.T, r.head.Process(batchOf(items, nil)))
}

// Goal: state of keys that never come again goes from memory while other records flow, with no
// record of these keys and no restore, and the table of an operator with new keys only keeps in
// proportion to what lives. Method: batches of new keys for many times to live, then of one key.
func TestExpiredStateGoesWhileRecordsFlow(t *testing.T) {
	const ttl, perBatch, every = 10 * time.Second, 100, 100 * time.Millisecond
	onBackends(t, func(t *testing.T, f backend.Factory) {
		r := openSweepRig(t, f, state.TTL{After: ttl})
		live, most := int(ttl/every)*perBatch, 0
		for range 10 * ttl / every {
			r.fresh(perBatch)
			r.clock.Advance(every) // No wish comes true here: batches alone must do.
			most = max(most, r.table.Len())
		}
		if most > live*3/2 {
			t.Errorf("up to %d rows, %d of them live", most, live)
		}
		bytes := r.env.Keyed.MemoryBytes()
		for range 3 * ttl / every {
			must(t, r.head.Process(batchOf([]trade{{Number: -1}}, nil)))
			r.pass(every)
		}
		if r.table.Len() != 1 {
			t.Errorf("%d rows", r.table.Len())
		}
		t.Logf("at most %d rows, %d live; %d bytes, %d at the end", most, live, bytes,
			r.env.Keyed.MemoryBytes())
	})
}

// Goal: the same while nothing comes, in slices; then the operator is not woken any more, and the
// next batch begins anew. Method: one wave of keys, then only the clock.
func TestExpiredStateGoesWhileIdle(t *testing.T) {
	const keys = 20_000
	onBackends(t, func(t *testing.T, f backend.Factory) {
		r := openSweepRig(t, f, state.TTL{After: time.Minute})
		for range 2 {
			for range keys / 1000 {
				r.fresh(1000)
			}
			r.pass(time.Minute - time.Millisecond)
			if r.table.Len() != keys {
				t.Errorf("%d rows before their time", r.table.Len())
			}
			r.pass(10 * time.Second)
			if r.table.Len() != 0 {
				t.Errorf("%d rows are left", r.table.Len())
			}
			rings := r.rings
			r.pass(time.Hour)
			if r.rings > rings+1 {
				t.Errorf("woken %d times for nothing", r.rings-rings)
			}
		}
	})
}

// Goal: an operator without a time to live has no sweeper and asks for nothing. Method: look.
func TestNoSweeperWithoutTTL(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		r := openSweepRig(t, f)
		r.fresh(10)
		if p := r.head.(*process[int64, trade, string]); p.sweeper != nil ||
			r.wake != math.MaxInt64 {
			t.Errorf("sweeper %v, wake %d", p.sweeper, r.wake)
		}
	})
}

// Goal: timers and sweeping share the one alarm of an operator. Method: a function with both;
// timers must fire on time and rows must go.
func TestSweepBesideTimers(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		r, out := &sweepRig{T: t, env: keyedEnv(t, f), wake: math.MaxInt64}, &tape[string]{}
		r.clock = r.env.Clock.(*clock.Manual)
		r.env.WakeAt = func(millis int64) { r.wake = min(r.wake, millis) }
		factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
			func() KeyedProcessFunction[int64, trade, string] {
				return &alarming{hoarding{ttl: []state.Option{state.TTL{After: time.Second}}}}
			})
		r.head = opened[operator.Head](t, factory, r.env, out.link(), operator.Restored{})
		var err error
		r.table, err = r.env.Keyed.Table(0, backend.NoPane)
		must(t, err)
		r.fresh(100)
		r.pass(2 * time.Second)
		if r.table.Len() != 0 {
			t.Errorf("%d rows", r.table.Len())
		}
		r.pass(2 * time.Second)
		if n := len(out.values()); n != 100 {
			t.Errorf("%d timers", n)
		}
	})
}

// alarming registers a timer three seconds after each record.
type alarming struct{ hoarding }

func (k *alarming) Process(ctx *Context[int64], v trade, out Collector[string]) error {
	ctx.Timers().RegisterProcessingTime(ctx.Timers().CurrentProcessingTime() + 3000)
	return k.hoarding.Process(ctx, v, out)
}

func (k *alarming) OnTimer(ctx *TimerContext[int64], out Collector[string]) error {
	out.Collect(fmt.Sprint(ctx.Key()))
	return nil
}

// oversized writes what is too large.
type oversized struct {
	how  string
	m    state.Map[string, int64]
	kept *Context[string]
}

func (o *oversized) Open(d *state.Declarations) error {
	o.m = state.DeclareMap[string, int64](d, "names")
	return nil
}

func (o *oversized) Process(ctx *Context[string], v trade, _ Collector[string]) error {
	if o.how == "user key" {
		o.m.Put(strings.Repeat("x", backend.MaxUserKeyBytes), 1)
	}
	o.kept = ctx
	return nil
}

func (o *oversized) OnTimer(*TimerContext[string], Collector[string]) error { return nil }

// Goal: what a program makes too large, and what it uses outside of a call, is its fault, and the
// error names operator or state and says what helps. Method: a table.
func TestFaultsOfPrograms(t *testing.T) {
	for how, want := range map[string]string{
		"user key": `operator "map": state: write map state "names": user key of 65538 bytes, at ` +
			"most 65536 are possible: use a shorter one, such as a hash of it",
		"key": `operator "map": key of a record of 1048577 bytes, at most 1048576 are possible: ` +
			"key the stream by something shorter, such as a hash of it",
		"late state": `operator "map": state: a state handle is used while there is no current key`,
		"late timer": `operator "map": a timer is used while there is no current key`,
	} {
		t.Run(how, func(t *testing.T) {
			onBackends(t, func(t *testing.T, f backend.Factory) {
				env, o := keyedEnv(t, f), &oversized{how: how}
				env.Name = "map"
				key := "short"
				if how == "key" {
					key = strings.Repeat("x", backend.MaxKeyBytes+1)
				}
				factory := processFactoryOf(t, func(trade) string { return key },
					func() KeyedProcessFunction[string, trade, string] { return o })
				head := opened[operator.Head](t, factory, env, (&tape[string]{}).link(),
					operator.Restored{})
				err := head.Process(batchOf([]trade{{}}, nil))
				switch how {
				case "late state":
					o.m.Put("x", 1)
					_, err = head.Snapshot(t.Context(), record.Barrier{Checkpoint: 1})
				case "late timer":
					o.kept.Timers().RegisterEventTime(1)
					_, err = head.Snapshot(t.Context(), record.Barrier{Checkpoint: 1})
				}
				if fault.DomainOf(err) != fault.DomainUser ||
					!strings.HasPrefix(fmt.Sprint(err), want) {
					t.Errorf("%v fault: %v\nwant %v", fault.DomainOf(err), err, want)
				}
			})
		})
	}
}

// bulky is a value of 640 bytes.
type bulky struct{ A, B, C, D, E, F, G, H ten }

type ten struct{ A, B, C, D, E, F, G, H, I, J int64 }

// wide declares more than a row can hold.
type wide struct{ hoarding }

func (w *wide) Open(d *state.Declarations) error {
	for i := range 60 { // of the 64 that are allowed
		state.DeclareValue[bulky](d, fmt.Sprint("state ", i))
	}
	return nil
}

// Goal: states that take more room than a row has are told before any task runs. Method: 60
// states of 80 numbers.
func TestTooManyBytesOfStates(t *testing.T) {
	e := NewEnv("test")
	Process(KeyBy(FromSlice[trade](e, "in", nil), func(v trade) int64 { return v.Number }), "p",
		func() KeyedProcessFunction[int64, trade, string] { return &wide{} })
	err := errors.Join(e.faults...)
	if !strings.Contains(fmt.Sprint(err), "at most 32768 are possible: keep large values in a") {
		t.Error(err)
	}
}

// walker walks over keyed state.
type walker struct {
	hoarding
	walk func(ctx *KeyedBroadcastContext[int64]) error
}

func (w *walker) ProcessBroadcast(
	ctx *KeyedBroadcastContext[int64], _ trade, _ Collector[string],
) error {
	return w.walk(ctx)
}

// Goal: a walk over keyed state within one is refused; after a walk that ended in an error, which
// the function keeps to itself, no handle speaks of a row any more, and what it cleared is gone.
// Method: a head with two inputs.
func TestApplyToKeyedStateFaults(t *testing.T) {
	planted := errors.New("planted")
	onBackends(t, func(t *testing.T, f backend.Factory) {
		env, w := keyedEnv(t, f), &walker{hoarding: hoarding{quiet: true}}
		e := NewEnv("test")
		keyed := KeyBy(FromSlice[trade](e, "in", nil), func(v trade) int64 { return v.Number })
		rules := Broadcast(FromSlice[trade](e, "rules", nil))
		factory := KeyedBroadcastProcess(ConnectKeyedBroadcast(keyed, rules), "p",
			func() KeyedBroadcastProcessFunction[int64, trade, trade, string] { return w },
		).at.factory
		head := opened[operator.InputHead](t, factory, env, (&tape[string]{}).link(),
			operator.Restored{})
		records := func(input int, items ...trade) error {
			return head.ProcessInput(input, batchOf(items, nil))
		}
		must(t, records(0, trade{Number: 1}, trade{Number: 2}, trade{Number: 3}))
		table, err := env.Keyed.Table(0, backend.NoPane)
		must(t, err)

		w.walk = func(ctx *KeyedBroadcastContext[int64]) error {
			err := ctx.ApplyToKeyedState(func(int64) error { w.last.Clear(); return planted })
			if !errors.Is(err, planted) {
				t.Errorf("error %v", err)
			}
			return nil
		}
		must(t, records(1, trade{}))
		if table.Len() != 2 {
			t.Errorf("%d rows", table.Len())
		}
		w.walk = func(ctx *KeyedBroadcastContext[int64]) error {
			return ctx.ApplyToKeyedState(func(int64) error {
				return ctx.ApplyToKeyedState(func(int64) error { return nil })
			})
		}
		err = records(1, trade{})
		if fault.DomainOf(err) != fault.DomainUser ||
			!strings.Contains(err.Error(), "return first") {
			t.Errorf("%v", err)
		}
		w.walk = func(ctx *KeyedBroadcastContext[int64]) error {
			w.last.Clear()
			return nil
		}
		if err := records(1, trade{}); fault.DomainOf(err) != fault.DomainUser {
			t.Errorf("%v", err)
		}
	})
}

// BenchmarkProcessTTL handles records of an operator whose states have a time to live, or none:
// ns/op are those of a record. The clock moves 1 ms a batch, the time to live is a second, so
// that 1,024,000 records live.
func BenchmarkProcessTTL(b *testing.B) {
	for _, keys := range []int64{100_000, math.MaxInt64} {
		for _, ttl := range []time.Duration{0, time.Second} {
			name := fmt.Sprintf("keys=%d,ttl=%v", keys, ttl)
			if keys == math.MaxInt64 {
				name = fmt.Sprintf("keys=new,ttl=%v", ttl)
			}
			b.Run(name, func(b *testing.B) { benchmarkProcessTTL(b, keys, ttl) })
		}
	}
}

func benchmarkProcessTTL(b *testing.B, keys int64, ttl time.Duration) {
	env := keyedEnv(b, factories[1])
	var options []state.Option
	if ttl > 0 {
		options = append(options, state.TTL{After: ttl})
	}
	factory := processFactoryOf(b, func(v trade) int64 { return v.Number },
		func() KeyedProcessFunction[int64, trade, string] { return &tallying{ttl: options} })
	head := opened[operator.Head](b, factory, env, (&tape[string]{}).link(), operator.Restored{})
	var key, x uint64
	batch := func() *record.Batch {
		items := make([]trade, 1024)
		for i := range items {
			key++
			x = key * 0x9e3779b97f4a7c15
			items[i].Number = int64(x>>1) % keys
		}
		return batchOf(items, nil)
	}
	for b.Loop() {
		b.StopTimer()
		in := batch()
		b.StartTimer()
		if err := head.Process(in); err != nil {
			b.Fatal(err)
		}
		env.Clock.(*clock.Manual).Advance(time.Millisecond)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/record")
	table, err := env.Keyed.Table(0, backend.NoPane)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(table.Len()), "rows")
}

type tallying struct {
	ttl []state.Option
	n   state.Value[int64]
}

func (c *tallying) Open(d *state.Declarations) error {
	c.n = state.DeclareValue[int64](d, "n", c.ttl...)
	return nil
}

func (c *tallying) Process(*Context[int64], trade, Collector[string]) error {
	c.n.Update(func(n *int64) { *n++ })
	return nil
}
