package stream

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

var errUser = errors.New("no such number")

// Goal: fused functions see every record once, in order, with its time, and control passes
// through. Method: a chain of all of them behind a head, fed batches with and without selection.
func TestChain(t *testing.T) {
	env, out := envOf(0, 1), &tape[string]{}
	flat, _ := linkFrom[int](t, flatMapFactory[int, string]{
		f: func(v int, c Collector[string]) error {
			for range v % 3 {
				c.Collect(strconv.Itoa(v))
			}
			return nil
		}}, env, out.link())
	even, _ := linkFrom[int](t, filterFactory[int]{func(v int) bool { return v%2 == 0 }}, env, flat)
	try, _ := linkFrom[string](t, tryMapFactory[string, int]{strconv.Atoi}, env, even)
	add, _ := linkFrom[string](t, mapFactory[string, string]{
		func(v string) string { return v + "0" }}, env, try)
	head := opened[operator.Head](t, unbatchFactory[string]{}, env, add, operator.Restored{})

	b := batchOf([]string{"1", "2", "bad", "4"}, []eventtime.Timestamp{10, 20, 30, 40})
	b.Selection, b.Len = []uint16{0, 1, 3}, 3
	must(t, head.Process(b))
	head.Watermark(7)
	head.Status(true)
	must(t, head.Process(batchOf([]string{"5"}, nil)))
	head.EndOfData()
	same(t, []stamped[string]{
		{"10", 10}, {"20", 20}, {"20", 20}, {"40", 40}, {"50", eventtime.None},
		{"50", eventtime.None},
	}, out.records)
	same(t, []string{"4 watermark 7", "4 idle true", "6 end"}, out.controls)
}

// Goal: an error of a function stops the batch at its record, as a fault of the user that
// names the operator. Method: every function that can fail, on the second of three records.
func TestFunctionErrors(t *testing.T) {
	fail := func(v int) error {
		if v == 2 {
			return errUser
		}
		return nil
	}
	for name, f := range map[string]operator.Factory{
		"tryMap": tryMapFactory[int, int]{func(v int) (int, error) { return v, fail(v) }},
		"flatMap": flatMapFactory[int, int]{func(v int, c Collector[int]) error {
			if err := fail(v); err != nil {
				return err
			}
			c.Collect(v)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			env, out := envOf(0, 1), &tape[int]{}
			link, _ := linkFrom[int](t, f, env, out.link())
			head := opened[operator.Head](t, unbatchFactory[int]{}, env, link, operator.Restored{})
			userError(t, head.Process(batchOf([]int{1, 2, 3}, nil)))
			same(t, []int{1}, out.values())
		})
	}
	t.Run("forEach", func(t *testing.T) {
		env, seen := envOf(0, 1), []int(nil)
		link, _ := linkFrom[int](t, forEachFactory[int]{func(v int) error {
			seen = append(seen, v)
			return fail(v)
		}}, env, nil)
		head := opened[operator.Head](t, unbatchFactory[int]{}, env, link, operator.Restored{})
		userError(t, head.Process(batchOf([]int{1, 2, 3}, nil)))
		same(t, []int{1, 2}, seen)
	})
}

// userError checks that err is errUser, blamed on the user's operator "name".
func userError(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errUser) || fault.DomainOf(err) != fault.DomainUser ||
		err.Error() != `operator "name": no such number` {
		t.Errorf("error %v of domain %v", err, fault.DomainOf(err))
	}
}

// Goal: a batch of another type is refused, and a stream without consumer is dropped. Method:
// give a head the wrong rows; run a map without next.
func TestUnbatchEdges(t *testing.T) {
	head := opened[operator.Head](t, unbatchFactory[int]{}, envOf(0, 1), nil, operator.Restored{})
	must(t, head.Process(batchOf([]int{1}, nil)))
	err := head.Process(batchOf([]string{"1"}, nil))
	if fault.DomainOf(err) != fault.DomainInternal || err == nil {
		t.Errorf("error %v", err)
	}
	if list := snapshotOf(t, head); list != nil {
		t.Errorf("it has state %v", list)
	}
}

// Goal: Join hands every record to all outputs, whatever their partitioning. Method: a plain
// and a keyed output behind one link.
func TestJoin(t *testing.T) {
	plain, keyed := newChannels[int](1), newChannels[int](2)
	f := keyedFactory(t, func(v int) int { return v })
	one, a := outputOf[int](t, plainOutputs[int]{}, plain)
	two, b := outputOf[int](t, f, keyed)
	p := &tape[int]{}
	joined, err := one.Join([]any{two}, p)
	must(t, err)
	next := joined.(*operator.Link[int])
	for i := range 10 {
		next.Record(i, eventtime.Timestamp(i))
	}
	next.Control.Watermark(3)
	a.Flush()
	b.Flush()
	same(t, 10, len(plain.sent[0]))
	same(t, 10, len(keyed.sent[0])+len(keyed.sent[1]))
	same(t, []string{"0 watermark 3"}, p.controls)
}

// BenchmarkChain measures one record through a head, n maps and an output; the difference of
// two lengths is the price of a map.
func BenchmarkChain(b *testing.B) {
	for _, maps := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprintf("maps=%d", maps), func(b *testing.B) {
			head, in := benchmarkChain(b, maps)
			b.ReportAllocs()
			for b.Loop() {
				must(b, head.Process(in))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*in.Len), "ns/record")
		})
	}
}

func benchmarkChain(t testing.TB, maps int) (operator.Head, *record.Batch) {
	t.Helper()
	env, c := envOf(0, 1), newChannels[int64](1)
	c.release = true
	next, _ := outputOf[int64](t, plainOutputs[int64]{}, c)
	for i := range maps {
		next, _ = linkFrom[int64](t, mapFactory[int64, int64]{
			func(v int64) int64 { return v + int64(i) }}, env, next)
	}
	built, err := unbatchFactory[int64]{}.New(env, nil, next)
	must(t, err)
	items, times := make([]int64, 1024), make([]eventtime.Timestamp, 1024)
	return built.Operator.(operator.Head), batchOf(items, times)
}

// Goal: a chain of maps allocates nothing per batch. Method: count allocations.
func TestChainAllocations(t *testing.T) {
	head, in := benchmarkChain(t, 4)
	if allocs := testing.AllocsPerRun(100, func() { must(t, head.Process(in)) }); allocs != 0 {
		t.Errorf("%v allocations per batch", allocs)
	}
}
