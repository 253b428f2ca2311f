package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// ledger is a function with two states: it adds up amounts and remembers a text; an amount
// divisible by 7 clears the sum, one divisible by 5 the text, and multiples of 3 only look.
type ledger[K any] struct {
	sum   state.Value[int64]
	text  state.Value[string]
	fault func(l *ledger[K], d *state.Declarations, v trade) error // nil: none
	d     *state.Declarations
}

func (l *ledger[K]) Open(d *state.Declarations) error {
	l.sum = state.DeclareValue[int64](d, "sum")
	l.text = state.DeclareValue[string](d, "text")
	l.d = d
	return nil
}

func (l *ledger[K]) Process(c *Context[K], v trade, out Collector[string]) error {
	if l.fault != nil {
		if err := l.fault(l, l.d, v); err != nil {
			return err
		}
	}
	sum, _ := l.sum.Get()
	text, ok := l.text.Get()
	switch {
	case v.Amount%3 == 0:
	case v.Amount%7 == 0:
		l.sum.Clear()
	case v.Amount%5 == 0:
		l.text.Clear()
	case v.Amount%11 == 0:
		l.sum.Clear()
		l.text.Clear()
	default:
		l.sum.Set(sum + v.Amount)
		l.text.Set(fmt.Sprint(v.Amount))
	}
	out.Collect(fmt.Sprint(c.Key(), " ", sum, " ", text, ok, " ", int64(c.Watermark())))
	return nil
}

// processFactoryOf builds the graph as a program does and takes the factory out of it.
func processFactoryOf[K any](
	t testing.TB, key func(trade) K, create func() KeyedProcessFunction[K, trade, string],
) operator.Factory {
	t.Helper()
	e := NewEnv("test")
	out := Process(KeyBy(FromSlice[trade](e, "in", nil), key), "p", create)
	for _, err := range e.faults {
		t.Fatal(err)
	}
	return out.at.factory
}

// account is the state of a key in the oracle.
type account struct {
	sum  int64
	text string
	set  [2]bool
}

// look does to an account what a ledger does to its states, and returns what it emits.
func (a *account) look(key any, v trade, watermark eventtime.Timestamp) string {
	said := fmt.Sprint(key, " ", a.sum, " ", a.text, a.set[1], " ", int64(watermark))
	clearSum, clearText := v.Amount%11 == 0, v.Amount%11 == 0
	switch {
	case v.Amount%3 == 0:
		return said
	case v.Amount%7 == 0:
		clearSum, clearText = true, false
	case v.Amount%5 == 0:
		clearSum, clearText = false, true
	case v.Amount%11 != 0:
		a.sum, a.text, a.set = a.sum+v.Amount, fmt.Sprint(v.Amount), [2]bool{true, true}
	}
	if clearSum {
		a.sum, a.set[0] = 0, false
	}
	if clearText {
		a.text, a.set[1] = "", false
	}
	return said
}

func testProcess[K comparable](t *testing.T, f backend.Factory, key func(trade) K) {
	t.Helper()
	const seed = 9
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	factory := processFactoryOf(t, key, func() KeyedProcessFunction[K, trade, string] {
		return &ledger[K]{}
	})
	out := &tape[string]{}
	env := keyedEnv(t, f)
	head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
	accounts, watermark := map[K]*account{}, eventtime.None
	for step := range 300 {
		if r.IntN(10) == 0 {
			env, head = restart(t, factory, env, head, factories[r.IntN(2)], out.link())
		}
		if r.IntN(4) == 0 {
			watermark = max(watermark, eventtime.Timestamp(r.Int64N(1000)+int64(step)))
			head.Watermark(watermark)
		}
		out.records = nil
		var want []stamped[string]
		items := make([]trade, 1+r.IntN(100))
		times := make([]eventtime.Timestamp, len(items))
		for i := range items {
			items[i] = trade{Number: r.Int64N(40), Amount: r.Int64N(80)}
			times[i] = eventtime.Timestamp(r.Int64N(100))
			k := key(items[i])
			if accounts[k] == nil {
				accounts[k] = &account{}
			}
			want = append(want, stamped[string]{accounts[k].look(k, items[i], watermark), times[i]})
		}
		must(t, head.Process(batchOf(items, times)))
		same(t, want, out.records)
		checkRows(t, env, accounts)
	}
}

// checkRows compares the number of rows with that of keys that have state.
func checkRows[K comparable](t *testing.T, env *operator.Env, accounts map[K]*account) {
	t.Helper()
	live := 0
	for _, a := range accounts {
		if a.set != [2]bool{} {
			live++
		}
	}
	table, err := env.Keyed.Table(0, backend.NoPane)
	must(t, err)
	same(t, live, table.Len())
}

// Goal: every record sees the state its key's earlier records left, also within a batch and
// across restarts, and a key without state has no row. Method: random batches with many
// duplicates, sets and clears, on keys of every form, against accounts in a map.
func TestProcess(t *testing.T) {
	type pair struct {
		A int32
		S string
	}
	for name, test := range map[string]func(*testing.T, backend.Factory){
		"number": func(t *testing.T, f backend.Factory) {
			testProcess(t, f, func(v trade) int64 { return v.Number })
		},
		"string": func(t *testing.T, f backend.Factory) {
			testProcess(t, f, func(v trade) string { return strings.Repeat("x", int(v.Number)) })
		},
		"two words": func(t *testing.T, f backend.Factory) {
			testProcess(t, f, func(v trade) [2]int32 { return [2]int32{int32(v.Number), -1} })
		},
		"composite": func(t *testing.T, f backend.Factory) {
			testProcess(t, f, func(v trade) pair {
				return pair{int32(v.Number % 5), strings.Repeat("yz", int(v.Number)*9)}
			})
		},
	} {
		t.Run(name, func(t *testing.T) { onBackends(t, test) })
	}
}

// Goal: a fault in a function ends the batch and says whose it is. Method: a function that
// fails, one that declares a state late, and one that panics in no way but sets a failure.
func TestProcessFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(*ledger[int64], *state.Declarations, trade) error
		want  string
	}{
		{"error", func(_ *ledger[int64], _ *state.Declarations, v trade) error {
			if v.Number == 2 {
				return errUser
			}
			return nil
		}, `operator "name": no such number`},
		{"late", func(l *ledger[int64], d *state.Declarations, v trade) error {
			late := state.DeclareValue[string](d, "late")
			late.Set("lost")
			return nil
		}, `operator "name": state: declare value state "late": the operator already runs; ` +
			`declare every state when it is opened`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := processFactoryOf(t, func(v trade) int64 { return v.Number },
				func() KeyedProcessFunction[int64, trade, string] {
					return &ledger[int64]{fault: c.fault}
				})
			out := &tape[string]{}
			head := opened[operator.Head](t, f, keyedEnv(t, factories[1]), out.link(),
				operator.Restored{})
			err := head.Process(batchOf([]trade{{1, 1}, {2, 1}, {3, 1}}, nil))
			if err == nil || err.Error() != c.want || fault.DomainOf(err) != fault.DomainUser {
				t.Errorf("error %v of domain %v, want %s", err, fault.DomainOf(err), c.want)
			}
		})
	}
}

// opening is a function without state whose Open may fail.
type opening struct{ err error }

func (o opening) Open(*state.Declarations) error { return o.err }

func (o opening) Process(c *Context[string], v trade, out Collector[string]) error {
	out.Collect(c.Key())
	return nil
}

// Goal: a function without state needs no backend, and the controls pass. Method: run one.
func TestProcessWithoutState(t *testing.T) {
	f := processFactoryOf(t, func(v trade) string { return fmt.Sprint(v.Number) },
		func() KeyedProcessFunction[string, trade, string] { return opening{} })
	out := &tape[string]{}
	head := opened[operator.Head](t, f, envOf(0, 1), out.link(), operator.Restored{})
	must(t, head.Process(batchOf([]trade{{1, 1}, {2, 1}}, nil)))
	head.Watermark(5)
	head.Status(true)
	head.EndOfData()
	must(t, head.CheckpointComplete(1))
	same(t, []string{"1", "2"}, out.values())
	same(t, []string{"2 watermark 5", "2 idle true", "2 end"}, out.controls)
}

// Goal: a function that cannot be opened is a fault of the graph, and of the task when it
// happens only there. Method: a function that fails at the first or second Open.
func TestProcessOpenFails(t *testing.T) {
	e, opens := NewEnv("test"), 0
	k := KeyBy(FromSlice[trade](e, "in", nil), func(v trade) string { return "" })
	out := Process(k, "p", func() KeyedProcessFunction[string, trade, string] {
		if opens++; opens == 2 {
			return opening{errUser}
		}
		return opening{}
	})
	_, err := out.at.factory.New(envOf(0, 1), nil, nil)
	if !errors.Is(err, errUser) || fault.DomainOf(err) != fault.DomainUser {
		t.Errorf("error %v", err)
	}
	Process(k, "q", func() KeyedProcessFunction[string, trade, string] { return opening{errUser} })
	_, err = e.Plan()
	if want := `process "q": open: no such number`; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Goal: the keys of a batch stay what they were while the buffer of composite keys grows, and
// the buffer is kept for the next batch unless it is huge. Method: load batches of growing keys
// and read them back; count allocations of the last.
func TestKeyScratch(t *testing.T) {
	type pair struct{ A, B string }
	codec, err := types.KeyOf[pair]()
	must(t, err)
	k := &KeyedStream[pair, trade]{codec: codec, key: func(v trade) pair {
		return pair{fmt.Sprint(v.Number), texts[:v.Amount]}
	}}
	s := k.scratch()
	for _, length := range []int64{1, 10, 1000, 5, 30_000} {
		items := make([]trade, 1024)
		for i := range items {
			items[i] = trade{Number: int64(i), Amount: length * int64(i%7) / 6}
		}
		s.load(items, batchOf(items, nil))
		for i, b := range s.keys().Bytes {
			if got := codec.FromBytes(b); got != k.key(items[i]) {
				t.Fatalf("length %d, key %d: %q", length, i, got.A)
			}
			if s.hashes[i] != codec.Hash(k.key(items[i])) {
				t.Fatalf("length %d, key %d: wrong hash", length, i)
			}
		}
	}
	items := make([]trade, 8)
	s.load(items, batchOf(items, nil))
	if cap(s.buffer) > mostKeyBuffer {
		t.Errorf("a buffer of %d bytes is kept", cap(s.buffer))
	}
}

var texts = strings.Repeat("0123456789", 4000)

// processRun returns a function that handles a batch of records with one state.
func processRun[K comparable](t testing.TB, key func(benchmarkRecord) K) func() {
	t.Helper()
	e := NewEnv("bench")
	out := Process(KeyBy(FromSlice[benchmarkRecord](e, "in", nil), key), "p",
		func() KeyedProcessFunction[K, benchmarkRecord, int64] { return &counting[K]{} })
	head := opened[operator.Head](t, out.at.factory, keyedEnv(t, factories[1]), nil,
		operator.Restored{})
	items := make([]benchmarkRecord, 1024)
	for i := range items {
		items[i] = benchmarkRecord{Key: int64(i % 300), Name: fmt.Sprint("airport ", i%300)}
	}
	b := batchOf(items, nil)
	return func() { must(t, head.Process(b)) }
}

type counting[K any] struct{ count state.Value[int64] }

func (c *counting[K]) Open(d *state.Declarations) error {
	c.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (c *counting[K]) Process(_ *Context[K], _ benchmarkRecord, out Collector[int64]) error {
	n, _ := c.count.Get()
	c.count.Set(n + 1)
	out.Collect(n)
	return nil
}

// Goal: a function that reads and writes a number allocates nothing. Method: count.
func TestProcessAllocations(t *testing.T) {
	for name, run := range map[string]func(){
		"number": processRun(t, byNumber), "name": processRun(t, byName),
		"both": processRun(t, byBoth),
	} {
		for range 5 {
			run()
		}
		if allocs := testing.AllocsPerRun(50, run); allocs != 0 {
			t.Errorf("%s: %v allocations per 1024 records", name, allocs)
		}
	}
}

// BenchmarkProcess measures one record through a function with one state.
func BenchmarkProcess(b *testing.B) {
	for name, run := range map[string]func(){
		"number": processRun(b, byNumber), "name": processRun(b, byName),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/record")
		})
	}
}
