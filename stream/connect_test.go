package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// joining keeps the numbers of a key from both sides, and says at the end of the key's time
// how many there were of each.
type joining struct {
	attack      *attack
	left, right state.Value[int64]
}

// joined is what joining says: of a key, how many numbers of each side there were.
type joined struct{ Key, Left, Right int64 }

func (j *joining) Open(d *state.Declarations) error {
	j.left = state.DeclareValue[int64](d, "left")
	j.right = state.DeclareValue[int64](d, "right")
	return nil
}

func (j *joining) count(ctx *stream.Context[int64], v state.Value[int64]) error {
	n, _ := v.Get()
	v.Set(n + 1)
	ctx.Timers().RegisterEventTime(eventtime.Max - 1)
	return j.attack.called()
}

func (j *joining) Process1(
	ctx *stream.Context[int64], n number, out stream.Collector[joined],
) error {
	if n.Key != ctx.Key() {
		return errors.New("another key")
	}
	return j.count(ctx, j.left)
}

func (j *joining) Process2(
	ctx *stream.Context[int64], c counted, out stream.Collector[joined],
) error {
	if c.Key != ctx.Key() {
		return errors.New("another key")
	}
	odd.Emit(ctx, c)
	return j.count(ctx, j.right)
}

func (j *joining) OnTimer(
	ctx *stream.TimerContext[int64], out stream.Collector[joined],
) error {
	left, _ := j.left.Get()
	right, _ := j.right.Get()
	j.left.Clear()
	j.right.Clear()
	out.Collect(joined{ctx.Key(), left, right})
	return nil
}

// connect joins numbers with counted ones, of which only those with an odd id are there.
func (a *attack) connect(t *testing.T) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	left := a.source(t, e)
	right := stream.FlatMap(left, func(n number, out stream.Collector[counted]) error {
		if n.ID%2 == 1 {
			out.Collect(counted{ID: n.ID, Key: n.Key})
		}
		return nil
	})
	connected := stream.ConnectKeyed(
		stream.KeyBy(left, func(n number) int64 { return n.Key }),
		stream.KeyBy(right, func(c counted) int64 { return c.Key }))
	both := stream.KeyedCoProcess(connected, "join",
		func() stream.KeyedCoProcessFunction[int64, number, counted, joined] {
			return &joining{attack: a}
		})
	stream.SinkTo(both, "joined", sinkFor[joined](t, "joined"))
	stream.SinkTo(stream.SideOutput(both, odd), "odd", sinkFor[counted](t, "odd"))
	texts := stream.CoMap(stream.Connect(left, right),
		func(n number) text { return text{fmt.Sprint("left ", n.ID)} },
		func(c counted) text { return text{fmt.Sprint("right ", c.ID)} })
	stream.SinkTo(texts, "texts", sinkFor[text](t, "texts"))
	return e.Execute(t.Context())
}

// Goal: the records of two streams meet by key in one state, with timers and side outputs,
// exactly once, and without keys each goes through its own function. Method: stop in the
// middle, fail, continue at other parallelism on both backends; compare all files.
func TestEngineConnected(t *testing.T) {
	for i, p := range [][2]int{{1, 2}, {2, 4}, {4, 1}} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			a := newAttack()
			a.parallelism, a.backend = p[0], []string{"hashmap", "naive", "hashmap"}[i]
			a.stopAt(a.numbers / 2)
			if r, err := a.connect(t); err != nil || r.Status == "FAILED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.undisturbed()
			a.parallelism, a.attempts = p[1], 1
			a.calls.Store(0)
			a.fail = map[int64]func() error{
				a.numbers / 4: func() error { return errors.New("planted") },
			}
			if r, err := a.connect(t); err != nil || r.Status != "FINISHED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.checkConnected(t)
		})
	}
}

func (a *attack) checkConnected(t *testing.T) {
	t.Helper()
	byKey, texts, odds := map[int64]joined{}, map[text]int{}, map[counted]int{}
	for id := range a.numbers {
		key := a.keyOf(id)
		j := byKey[key]
		j.Key = key
		j.Left++
		texts[text{fmt.Sprint("left ", id)}]++
		if id%2 == 1 {
			j.Right++
			texts[text{fmt.Sprint("right ", id)}]++
			odds[counted{ID: id, Key: key}]++
		}
		byKey[key] = j
	}
	want := map[joined]int{}
	for _, j := range byKey {
		want[j]++
	}
	different(t, "joined", want, rowsOf[joined](t, a, "joined"))
	different(t, "texts", texts, rowsOf[text](t, a, "texts"))
	different(t, "odd", odds, rowsOf[counted](t, a, "odd"))
}

// rule says by what the numbers of a bucket are multiplied.
type rule struct{ Bucket, Factor int64 }

var (
	rules = stream.NewBroadcastDescriptor[int64, rule]("rules")
	// wrong has the name of rules and other types.
	wrong = stream.NewBroadcastDescriptor[int64, string]("rules")
)

// applying multiplies numbers by the rule of their bucket. A rule changes what was counted
// of its bucket too.
type applying struct {
	attack *attack
	count  state.Value[int64]
	factor state.Value[int64]
}

// applied is a number with its rule's factor, or, with ID -1, a key with the factor that a new
// rule gave it.
type applied struct{ ID, Key, Factor int64 }

func (p *applying) Open(d *state.Declarations) error {
	p.count = state.DeclareValue[int64](d, "count")
	p.factor = state.DeclareValue[int64](d, "factor")
	return nil
}

func (p *applying) Process(
	ctx *stream.Context[int64], n number, out stream.Collector[applied],
) error {
	r, _ := rules.Read(ctx).Get(n.Key % buckets)
	count, _ := p.count.Get()
	p.count.Set(count + 1)
	p.factor.Set(r.Factor)
	out.Collect(applied{n.ID, n.Key, r.Factor})
	return p.attack.called()
}

func (p *applying) ProcessBroadcast(
	ctx *stream.KeyedBroadcastContext[int64], r rule, out stream.Collector[applied],
) error {
	if r.Factor == 0 {
		rules.Write(ctx).Remove(r.Bucket)
	} else {
		rules.Write(ctx).Put(r.Bucket, r)
	}
	return ctx.ApplyToKeyedState(func(key int64) error {
		if key%buckets != r.Bucket {
			return nil
		}
		if _, ok := p.count.Get(); !ok {
			return fmt.Errorf("key %d has no count", key)
		}
		p.factor.Set(r.Factor)
		out.Collect(applied{-1, key, r.Factor})
		return nil
	})
}

// plainly is applying without keys.
type plainly struct{ attack *attack }

func (p *plainly) Process(
	ctx *stream.ProcessContext, n number, out stream.Collector[applied],
) error {
	r, ok := rules.Read(ctx).Get(n.Key % buckets)
	if ok && r.Bucket != n.Key%buckets {
		return fmt.Errorf("rule %+v under another key", r)
	}
	out.Collect(applied{n.ID, n.Key, r.Factor})
	return p.attack.called()
}

func (p *plainly) ProcessBroadcast(
	ctx *stream.BroadcastContext, r rule, out stream.Collector[applied],
) error {
	rules.Write(ctx).Put(r.Bucket, r)
	if got := rules.Read(ctx); !got.Contains(r.Bucket) || got.Len() == 0 {
		return errors.New("the rule is not there")
	}
	return nil
}

// broadcast applies rules, all of which were there before the first number of this run.
func (a *attack) broadcast(t *testing.T, given []rule, gate int64) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	ruled := stream.Broadcast(stream.FromSlice(e, "rules", given).Parallelism(1), rules)
	numbers := stream.Filter(a.source(t, e), func(n number) bool { return n.ID >= gate })
	keyed := stream.KeyedBroadcastProcess(stream.ConnectKeyedBroadcast(
		stream.KeyBy(numbers, func(n number) int64 { return n.Key }), ruled), "keyed",
		func() stream.KeyedBroadcastProcessFunction[int64, number, rule, applied] {
			return &applying{attack: a}
		})
	stream.SinkTo(keyed, "applied", sinkFor[applied](t, "applied"))
	plain := stream.ProcessBroadcast(stream.ConnectBroadcast(numbers, ruled), "plain",
		func() stream.BroadcastProcessFunction[number, rule, applied] {
			return &plainly{a}
		})
	stream.SinkTo(plain, "plain out", sinkFor[applied](t, "plain"))
	return e.Execute(t.Context())
}

// Goal: every subtask has every record of a broadcast stream, its state is restored whole at
// any parallelism, read by records and timers of the other side, and a broadcast record walks
// over all keyed state. Method: rules come first, alone; the job is stopped and continued at
// parallelism 1, 3, 2, and every number must have found its rule in its subtask's copy.
func TestEngineBroadcast(t *testing.T) {
	a := newAttack()
	var given []rule
	for b := range int64(buckets) {
		given = append(given, rule{b, 100 + b})
	}
	// The rules of a bucket come before its numbers, as no number passes the gate at first.
	a.parallelism = 1
	a.numbers, a.rate = 3000, 0
	if r, err := a.broadcast(t, given, a.numbers); err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	first := a.numbers
	for _, p := range []int{3, 2, 4, 1} {
		a.undisturbed()
		a.parallelism = p
		from := a.numbers
		a.numbers += 3000
		if p == 2 {
			a.attempts = 1
			a.calls.Store(0)
			a.fail = map[int64]func() error{
				1500: func() error { return errors.New("planted") },
			}
		}
		r, err := a.broadcast(t, given, from)
		if err != nil || r.Status != "FINISHED" || r.Restored == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	want := map[applied]int{}
	for id := first; id < a.numbers; id++ {
		key := a.keyOf(id)
		want[applied{id, key, 100 + key%buckets}]++
	}
	different(t, "applied", want, rowsOf[applied](t, a, "applied"))
	different(t, "plain", want, rowsOf[applied](t, a, "plain"))

	// One more rule: it finds all keys of its bucket, wherever they are.
	a.parallelism = 3
	more := append(given, rule{5, 7})
	if r, err := a.broadcast(t, more, a.numbers); err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	for key := range a.keys {
		if key%buckets == 5 {
			want[applied{-1, key, 7}]++
		}
	}
	different(t, "applied", want, rowsOf[applied](t, a, "applied"))
}

// failing uses broadcast state of other types, or without a key.
type failing struct {
	applying
	how string
}

func (f *failing) ProcessBroadcast(
	ctx *stream.KeyedBroadcastContext[int64], r rule, out stream.Collector[applied],
) error {
	switch f.how {
	case "types":
		wrong.Write(ctx).Put(1, "")
	case "walk":
		return ctx.ApplyToKeyedState(func(int64) error { return errors.New("planted") })
	case "error":
		return errors.New("planted")
	case "key":
		f.count.Set(1)
	}
	return nil
}

func (f *failing) Open(d *state.Declarations) error {
	err := f.applying.Open(d)
	if f.how == "open" {
		f.count.Get()
	}
	return err
}

// Goal: wrong uses of connected and broadcast streams are told with the place and the cure.
// Method: a table of functions and graphs.
func TestConnectFaults(t *testing.T) {
	for how, want := range map[string]string{
		"types": `broadcast state "rules" of map[int64]string is not declared: give its ` +
			`descriptor to stream.Broadcast`,
		"error": `operator "KeyedBroadcastProcess: keyed": planted`,
		"key": `operator "KeyedBroadcastProcess: keyed": state: a state handle is used while ` +
			"there is no current key: use it in the call that handles a record or timer",
		"open": "not in Open, Snapshot or Close",
	} {
		t.Run(how, func(t *testing.T) {
			a := newAttack()
			a.parallelism, a.numbers = 1, 10
			e := a.configure()
			out := stream.KeyedBroadcastProcess(stream.ConnectKeyedBroadcast(
				stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }),
				stream.Broadcast(stream.FromSlice(e, "rules", []rule{{1, 2}}), rules)), "keyed",
				func() stream.KeyedBroadcastProcessFunction[int64, number, rule, applied] {
					return &failing{applying{attack: a}, how}
				})
			stream.ForEach(out, "out", func(applied) error { return nil })
			_, err := e.Execute(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("error %v\nwant %q in it", err, want)
			}
			if strings.Contains(err.Error(), "panic") {
				t.Errorf("a fault of the program is told as one of the engine: %v", err)
			}
		})
	}

	e, other := stream.NewEnv("a"), stream.NewEnv("b")
	n := stream.Generate(e, "n", 1, func(i int64) number { return number{i, 0} })
	m := stream.Generate(other, "m", 1, func(i int64) number { return number{i, 0} })
	key := func(n number) int64 { return n.Key }
	stream.CoMap(stream.Connect(n, m), key, key)
	stream.KeyedCoProcess(stream.ConnectKeyed(stream.KeyBy(n, key), stream.KeyBy(n, key)), "nil",
		func() stream.KeyedCoProcessFunction[int64, number, number, number] { return nil })
	stream.CoProcess(stream.Connect(n, n), "none",
		func() stream.CoProcessFunction[number, number, number] { return nil })
	given := stream.FromSlice(e, "rules", []rule{})
	stream.ProcessBroadcast(stream.ConnectBroadcast(n, stream.Broadcast(given, rules)), "nobody",
		func() stream.BroadcastProcessFunction[number, rule, applied] { return nil })
	plain := func() stream.BroadcastProcessFunction[number, rule, applied] { return &plainly{} }
	stream.ProcessBroadcast(
		stream.ConnectBroadcast(n, stream.Broadcast(given, rules, wrong)), "twice", plain)
	stream.ProcessBroadcast(stream.ConnectBroadcast(n, stream.Broadcast(given, rules)), "", plain)
	_, err := e.Plan()
	for _, want := range []string{
		`connect: the streams are of different environments`,
		`process "nil": its constructor returns nil`,
		`"CoProcess: none": its constructor returns nil`,
		`"BroadcastProcess: nobody": its constructor returns nil`,
		`"BroadcastProcess: twice": initialize state: declare operator state "rules": the name ` +
			`is declared twice`,
		`operator "BroadcastProcess" keeps operator state [rules] and has no uid`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Plan: %v\nwant %q in it", err, want)
		}
	}
}
