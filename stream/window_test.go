package stream

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// trade is the record of the tests of keyed operators.
type trade struct {
	Number int64 // of the key
	Amount int64
}

// folded is a result: the key, the window and the accumulator, spelt out.
type folded struct {
	Key    string
	Window Window
	Acc    string
}

// windowCase is a windowed aggregation and the oracle of its results: accumulators in maps.
type windowCase[K comparable, A any] struct {
	key          func(trade) K
	fold         AggregatorFunc[trade, A]
	size, offset time.Duration
}

type oraclePane[K comparable] struct {
	end int64
	key K
}

// windowOracle is the naive operator.
type windowOracle[K comparable, A any] struct {
	c         windowCase[K, A]
	open      map[oraclePane[K]]*A
	watermark int64
	late      uint64
}

// endOf is floor((ts-offset)/size)*size + offset + size, in numbers that cannot overflow.
func (o *windowOracle[K, A]) endOf(ts int64) int64 {
	size, offset := big.NewInt(o.c.size.Milliseconds()), big.NewInt(o.c.offset.Milliseconds())
	end := new(big.Int).Sub(big.NewInt(ts), offset)
	end.Sub(end, new(big.Int).Mod(end, size))
	end.Add(end, offset).Add(end, size)
	if !end.IsInt64() {
		return math.MaxInt64
	}
	return end.Int64()
}

func (o *windowOracle[K, A]) add(v trade, ts int64) {
	end := o.endOf(ts)
	if end-1 <= o.watermark {
		o.late++
		return
	}
	at := oraclePane[K]{end, o.c.key(v)}
	if o.open[at] == nil {
		o.open[at] = new(A)
	}
	o.c.fold(o.open[at], v)
}

// advance returns the results of a watermark, by window and key.
func (o *windowOracle[K, A]) advance(ts int64) []stamped[folded] {
	o.watermark = max(o.watermark, ts)
	var out []stamped[folded]
	for at, acc := range o.open {
		if at.end-1 > ts {
			continue
		}
		end := eventtime.Timestamp(at.end)
		w := Window{Start: end - eventtime.Timestamp(o.c.size.Milliseconds()), End: end}
		out = append(out, stamped[folded]{
			folded{fmt.Sprint(at.key), w, fmt.Sprintf("%+v", *acc)}, end - 1})
		delete(o.open, at)
	}
	sortResults(out)
	return out
}

func sortResults(r []stamped[folded]) {
	slices.SortFunc(r, func(a, b stamped[folded]) int {
		return cmp.Or(cmp.Compare(a.Value.Window.End, b.Value.Window.End),
			cmp.Compare(a.Value.Key, b.Value.Key))
	})
}

// factory builds the graph as a program does and takes the factory out of it.
func (c windowCase[K, A]) factory(t testing.TB) operator.Factory {
	t.Helper()
	e := NewEnv("test")
	k := KeyBy(FromSlice[trade](e, "in", nil), c.key)
	out := Aggregate(Tumbling(k, c.size, c.offset), "window", c.fold,
		func(key K, w Window, acc *A) folded {
			return folded{fmt.Sprint(key), w, fmt.Sprintf("%+v", *acc)}
		})
	for _, err := range e.faults {
		t.Fatal(err)
	}
	return out.at.factory
}

// restart moves an operator to a backend: what a checkpoint and a restore do.
func restart(
	t testing.TB, f operator.Factory, from *operator.Env, o operator.Operator,
	to backend.Factory, next any,
) (*operator.Env, operator.Head) {
	t.Helper()
	env := keyedEnv(t, to)
	env.Counters = from.Counters
	built, err := f.New(env, nil, next)
	must(t, err)
	moveState(t, from.Keyed, env.Keyed)
	head := built.Operator.(operator.Head)
	must(t, head.Open(t.Context(), operator.Restored{Checkpoint: 1, List: snapshotOf(t, o)}))
	return env, head
}

// moveState restores a snapshot of one backend into another.
func moveState(t testing.TB, from, to backend.Backend) {
	t.Helper()
	s, err := from.Begin(1, true)
	must(t, err)
	defer s.Release()
	for done := false; !done; {
		done, err = s.Step(1 << 20)
		must(t, err)
	}
	for _, p := range s.Parts() {
		must(t, to.Restore(p.Table, p.Pane, types.AllHashes, p.Entries()))
	}
}

// Goal: the window operator gives what a naive one gives: every record in its window, in
// order, late ones dropped and counted, results at the watermark, whatever the disorder, the
// sign of time, the offset, the kind of key and accumulator, and across restarts on the same
// or another backend. Method: random batches and watermarks against the oracle.
func TestWindow(t *testing.T) {
	type pair struct {
		A int32
		S string
	}
	number := func(v trade) int64 { return v.Number }
	for name, test := range map[string]func(*testing.T, backend.Factory){
		"number": windowCase[int64, sums]{number, addSums, time.Hour, 0}.test,
		"two words": windowCase[[2]int64, sums]{func(v trade) [2]int64 {
			return [2]int64{v.Number % 3, v.Number}
		}, addSums, time.Hour, 20 * time.Minute}.test,
		"string": windowCase[string, sums]{func(v trade) string {
			return strings.Repeat("k", int(v.Number)) // the empty one too
		}, addSums, 24 * time.Hour, -9 * time.Hour}.test,
		"composite": windowCase[pair, sums]{func(v trade) pair {
			return pair{int32(v.Number % 5), strings.Repeat("long ", int(v.Number))}
		}, addSums, time.Hour, 0}.test,
		"array": windowCase[[5]byte, sums]{func(v trade) [5]byte {
			return [5]byte{byte(v.Number), 1, 2, 3, byte(v.Number)}
		}, addSums, time.Hour, 0}.test,
		"padded":    windowCase[int64, largest]{number, addLargest, 10 * time.Minute, 0}.test,
		"text":      windowCase[int64, words]{number, addWords, time.Hour, 0}.test,
		"null":      windowCase[int64, maybe]{number, addMaybe, time.Hour, time.Minute}.test,
		"plain int": windowCase[int64, int64]{number, addInt, time.Millisecond, 0}.test,
	} {
		t.Run(name, func(t *testing.T) { onBackends(t, test) })
	}
}

type (
	sums    struct{ Count, Sum int64 }
	largest struct {
		Sum   int64
		Max   int32
		Begun bool
	}
	words struct {
		Text  string
		Raw   []byte
		Count int64
	}
	maybe struct {
		Max  types.Null[int64]
		Last types.Null[string]
		None int64 `leat:"-"`
	}
)

func addSums(a *sums, v trade) { a.Count++; a.Sum += v.Amount }
func addInt(a *int64, v trade) { *a += v.Amount }

func addLargest(a *largest, v trade) {
	if !a.Begun || int32(v.Amount) > a.Max {
		a.Max, a.Begun = int32(v.Amount), true
	}
	a.Sum += v.Amount
}

// addWords tells the order of the records.
func addWords(a *words, v trade) {
	if a.Count < 20 {
		a.Text += fmt.Sprintf(",%d", v.Amount)
	}
	a.Raw = append(a.Raw[:0], byte(v.Amount), byte(a.Count))
	a.Count++
}

func addMaybe(a *maybe, v trade) {
	if v.Amount%2 == 0 && (!a.Max.Valid || v.Amount > a.Max.V) {
		a.Max = types.NullOf(v.Amount)
	}
	if a.Last = types.NullOf(fmt.Sprint(v.Amount)); v.Amount%3 == 0 {
		a.Last.Valid = false
	}
	a.Last.V = a.Last.OrElse("")
}

func (c windowCase[K, A]) test(t *testing.T, f backend.Factory) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, uint64(c.size)))
	factory, out := c.factory(t), &tape[folded]{}
	env := keyedEnv(t, f)
	head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
	oracle := windowOracle[K, A]{c: c, open: map[oraclePane[K]]*A{}, watermark: math.MinInt64}
	size := c.size.Milliseconds()
	now := -20 * size
	for step := range 400 {
		now += r.Int64N(size/4 + 2)
		switch r.IntN(10) {
		case 0:
			env, head = restart(t, factory, env, head, factories[r.IntN(2)], out.link())
		case 1, 2, 3:
			out.records = nil
			ts := now - r.Int64N(2*size)
			late := oracle.watermark
			want := oracle.advance(ts)
			head.Watermark(eventtime.Timestamp(ts))
			must(t, env.Failure.Err())
			if !slices.IsSortedFunc(out.records, func(a, b stamped[folded]) int {
				return cmp.Compare(a.At, b.At)
			}) {
				t.Fatalf("step %d: windows fire out of order", step)
			}
			sortResults(out.records)
			same(t, want, out.records)
			if ts > late {
				same(t, fmt.Sprintf("%d watermark %d", len(want), ts),
					out.controls[len(out.controls)-1])
			}
		default:
			b := oracle.batch(r, now)
			must(t, head.Process(b))
		}
		same(t, oracle.late, env.Counters.Counter("numLateRecordsDropped").Load())
	}
	if oracle.late == 0 || len(out.controls) < 50 {
		t.Errorf("%d late records, %d watermarks: the test tests little",
			oracle.late, len(out.controls))
	}
	out.records = nil
	want := oracle.advance(math.MaxInt64)
	head.Watermark(eventtime.Max)
	sortResults(out.records)
	same(t, want, out.records)
	if panes := env.Keyed.Panes(0, nil); len(panes) > 0 {
		t.Errorf("panes %v are left", panes)
	}
	if o := head.(*windowAggregate[K, trade, A, folded]); len(o.open)+len(o.panes) > 0 {
		t.Errorf("the operator keeps %d tables and %d panes", len(o.open), len(o.panes))
	}
}

// batch makes a batch of records around now, in disorder, perhaps with a selection, and gives
// them to the oracle.
func (o *windowOracle[K, A]) batch(r *rand.Rand, now int64) *record.Batch {
	n := 1 + r.IntN(60)
	if r.IntN(10) == 0 {
		n = 1024
	}
	size := o.c.size.Milliseconds()
	items, times := make([]trade, n), make([]eventtime.Timestamp, n)
	b := batchOf(items, times)
	hashed := r.IntN(2) == 0
	codec, err := types.KeyOf[K]()
	if err != nil {
		panic(err)
	}
	for i := range items {
		items[i] = trade{Number: r.Int64N(12), Amount: r.Int64N(1000) - 500}
		times[i] = eventtime.Timestamp(now - r.Int64N(3*size) + r.Int64N(size+1))
		if hashed {
			b.Hashes = append(b.Hashes, codec.Hash(o.c.key(items[i])))
		}
	}
	if r.IntN(2) == 0 {
		b.Selection = []uint16{}
	}
	for i := range items {
		if b.Selection != nil {
			if r.IntN(3) == 0 {
				continue
			}
			b.Selection = append(b.Selection, uint16(i))
			b.Len = len(b.Selection)
		}
		o.add(items[i], int64(times[i]))
	}
	if b.Selection != nil {
		b.Len = len(b.Selection)
	}
	return b
}

// Goal: the pane of every timestamp is that of exact arithmetic, at the ends of time too.
// Method: extreme and random timestamps, sizes and offsets against big integers.
func TestPaneOf(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		size := 1 + r.Int64N(1<<(1+r.IntN(40)))
		offset := r.Int64N(2*size-1) - size + 1
		ts := int64(r.Uint64()) >> r.IntN(64)
		switch r.IntN(4) {
		case 0:
			ts = math.MinInt64 + 1 + r.Int64N(3*size)
		case 1:
			ts = math.MaxInt64 - r.Int64N(3*size)
		}
		o := windowOracle[int, int]{c: windowCase[int, int]{
			size: time.Duration(size) * 1e6, offset: time.Duration(offset) * 1e6,
		}}
		if ts == math.MinInt64 {
			continue
		}
		got, want := int64(paneOf(eventtime.Timestamp(ts), size, offset)), o.endOf(ts)
		if got != want {
			t.Fatalf("timestamp %d, size %d, offset %d: pane %d, want %d", ts, size, offset, got, want)
		}
	}
}

// Goal: a record without event time fails the task with a cure instead of being dropped as
// late. Method: batches without times and with one missing.
func TestWindowNeedsEventTime(t *testing.T) {
	c := windowCase[int64, sums]{func(v trade) int64 { return 1 }, addSums, time.Hour, 0}
	for _, times := range [][]eventtime.Timestamp{nil, {0, eventtime.None}} {
		head := opened[operator.Head](t, c.factory(t), keyedEnv(t, factories[0]), nil,
			operator.Restored{})
		err := head.Process(batchOf(make([]trade, 2), times))
		if fault.DomainOf(err) != fault.DomainUser || err == nil ||
			!strings.Contains(err.Error(), "stream.WithEventTime") {
			t.Errorf("error %v", err)
		}
	}
}

// Goal: after a rescale the watermark is the smallest of all subtasks', and without one it is
// none. Method: restore from hand-made union state.
func TestInputWatermark(t *testing.T) {
	var parts [][]byte
	for _, ts := range []eventtime.Timestamp{50, -7, 100} {
		w := inputWatermark{current: ts}
		parts = append(parts, w.snapshot().List[0].Elements...)
	}
	for _, c := range []struct {
		parts [][]byte
		want  eventtime.Timestamp
	}{{parts, -7}, {parts[:1], 50}, {nil, eventtime.None}} {
		w := inputWatermark{current: 3}
		must(t, w.restore(operator.Restored{List: []*protocol.NamedState{
			{Name: "other", Elements: [][]byte{{1}}},
			{Name: watermarkState, Elements: c.parts},
		}}))
		same(t, c.want, w.current)
	}
	var w inputWatermark
	err := w.restore(operator.Restored{List: []*protocol.NamedState{
		{Name: watermarkState, Elements: [][]byte{{1, 2}}}}})
	if fault.DomainOf(err) != fault.DomainInternal {
		t.Errorf("error %v", err)
	}
	if !w.snapshot().List[0].Union {
		t.Error("the watermark is no union state")
	}
}

// Goal: an operator downstream that fails while a window fires stops the firing. Method: a
// link that fails at its first record.
func TestWindowFailureDownstream(t *testing.T) {
	c := windowCase[int64, sums]{func(v trade) int64 { return v.Number }, addSums, time.Hour, 0}
	env, seen := keyedEnv(t, factories[1]), 0
	next := &operator.Link[folded]{Record: func(folded, eventtime.Timestamp) {
		seen++
		env.Failure.Set(errUser)
	}, Control: noControl{}}
	head := opened[operator.Head](t, c.factory(t), env, next, operator.Restored{})
	must(t, head.Process(batchOf([]trade{{1, 1}, {2, 2}}, []eventtime.Timestamp{1, 1})))
	head.Watermark(eventtime.Max)
	same(t, 1, seen)
}

// windowRun returns a function that folds a batch into the open panes of hours hours.
func windowRun[K comparable, A any](
	t testing.TB, key func(benchmarkRecord) K, fold AggregatorFunc[benchmarkRecord, A], hours int,
) func() {
	t.Helper()
	e := NewEnv("bench")
	out := Aggregate(Tumbling(KeyBy(FromSlice[benchmarkRecord](e, "in", nil), key), time.Hour),
		"w", fold, func(K, Window, *A) int64 { return 0 })
	head := opened[operator.Head](t, out.at.factory, keyedEnv(t, factories[1]), nil,
		operator.Restored{})
	items, times := make([]benchmarkRecord, 1024), make([]eventtime.Timestamp, 1024)
	b := batchOf(items, times)
	codec, err := types.KeyOf[K]()
	must(t, err)
	for i := range items {
		items[i] = benchmarkRecord{Key: int64(i % 300), Name: fmt.Sprint("airport ", i%300)}
		times[i] = eventtime.Timestamp(time.Duration(i%hours) * time.Hour / time.Millisecond)
		b.Hashes = append(b.Hashes, codec.Hash(key(items[i])))
	}
	return func() { must(t, head.Process(b)) }
}

func addCount(a *sums, v benchmarkRecord) { a.Count++; a.Sum += v.Amount }

// Goal: folding into existing rows allocates nothing on the row table, whatever the key, with
// one pane or several. Method: count.
func TestWindowAllocations(t *testing.T) {
	for _, hours := range []int{1, 5} {
		for name, run := range map[string]func(){
			"number": windowRun(t, byNumber, addCount, hours),
			"name":   windowRun(t, byName, addCount, hours),
			"both":   windowRun(t, byBoth, addCount, hours),
		} {
			for range 5 {
				run()
			}
			if allocs := testing.AllocsPerRun(50, run); allocs != 0 {
				t.Errorf("%s, %d panes: %v allocations per 1024 records", name, hours, allocs)
			}
		}
	}
}

// BenchmarkWindow measures one record folded into a row of a table of 300 keys and some panes.
func BenchmarkWindow(b *testing.B) {
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"number/panes=1", windowRun(b, byNumber, addCount, 1)},
		{"number/panes=5", windowRun(b, byNumber, addCount, 5)},
		{"name/panes=1", windowRun(b, byName, addCount, 1)},
		{"name/panes=5", windowRun(b, byName, addCount, 5)},
		{"both/panes=1", windowRun(b, byBoth, addCount, 1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/record")
		})
	}
}
