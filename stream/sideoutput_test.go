package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// odd and big are side outputs of splitting.
var (
	odd = stream.NewOutputTag[counted]("odd")
	big = stream.NewOutputTag[string]("big")
)

// splitting passes numbers on and emits the odd ones and the big ones to the side too.
type splitting struct {
	attack *attack
	count  state.Value[int64]
}

func (s *splitting) Open(d *state.Declarations) error {
	s.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (s *splitting) Process(
	ctx *stream.Context[int64], n number, out stream.Collector[number],
) error {
	count, _ := s.count.Get()
	count++
	s.count.Set(count)
	if n.ID%2 == 1 {
		odd.Emit(ctx, counted{n.ID, n.Key, count})
	}
	if n.ID >= s.attack.numbers/2 {
		big.Emit(ctx, fmt.Sprint(n.ID))
	}
	out.Collect(n)
	return s.attack.called()
}

type text struct{ Text string }

// split builds a job whose side outputs are taken in the middle of a chain, at another
// parallelism and by key, each to a file sink.
func (a *attack) split(t *testing.T) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	key := func(n number) int64 { return n.Key }
	main := stream.Process(stream.KeyBy(a.source(t, e), key), "split",
		func() stream.KeyedProcessFunction[int64, number, number] {
			return &splitting{attack: a}
		})
	odds := stream.SideOutput(main, odd)
	stream.SinkTo(odds, "odd", sinkFor[counted](t, "odd"))
	stream.SinkTo(stream.Map(odds, func(c counted) number { return number{c.ID, c.Key} }),
		"odd elsewhere", sinkFor[number](t, "elsewhere")).Parallelism(1)
	stream.SinkTo(stream.Map(stream.SideOutput(main, big),
		func(s string) text { return text{s} }), "big", sinkFor[text](t, "big"))
	again := stream.Process(stream.KeyBy(odds, func(c counted) int64 { return c.Key }), "again",
		func() stream.KeyedProcessFunction[int64, counted, counted] { return &recounting{} })
	stream.SinkTo(again, "again out", sinkFor[counted](t, "again"))
	stream.SinkTo(main, "all", sinkFor[number](t, "all"))
	return e.Execute(t.Context())
}

// recounting counts the records of a key anew.
type recounting struct{ count state.Value[int64] }

func (r *recounting) Open(d *state.Declarations) error {
	r.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (r *recounting) Process(
	_ *stream.Context[int64], c counted, out stream.Collector[counted],
) error {
	count, _ := r.count.Get()
	r.count.Set(count + 1)
	out.Collect(counted{c.ID, c.Key, count + 1})
	return nil
}

func (a *attack) checkSplit(t *testing.T) {
	t.Helper()
	all, odds, bigs := map[number]int{}, map[number]int{}, map[text]int{}
	for id := range a.numbers {
		n := number{id, a.keyOf(id)}
		all[n]++
		if id%2 == 1 {
			odds[n]++
		}
		if id >= a.numbers/2 {
			bigs[text{fmt.Sprint(id)}]++
		}
	}
	numbersOf := func(dir string) map[number]int {
		out := map[number]int{}
		for c, n := range rowsOf[counted](t, a, dir) {
			out[number{c.ID, c.Key}] += n
		}
		return out
	}
	different(t, "all", all, rowsOf[number](t, a, "all"))
	different(t, "odd", odds, numbersOf("odd"))
	different(t, "elsewhere", odds, rowsOf[number](t, a, "elsewhere"))
	different(t, "again", odds, numbersOf("again"))
	different(t, "big", bigs, rowsOf[text](t, a, "big"))
}

// Goal: what operators emit to the side in the middle of chains is exactly once, as all else:
// in the same chain, over forward, rebalance and hash edges. Method: run a job, stop it in the
// middle, fail it with restarts, continue at other parallelism; compare all files.
func TestEngineSideOutputs(t *testing.T) {
	for _, p := range [][]int{{1, 1}, {2, 4}, {4, 1}} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			a := newAttack()
			a.parallelism = p[0]
			a.stopAt(a.numbers / 3)
			if r, err := a.split(t); err != nil || r.Status == "FAILED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.undisturbed()
			a.parallelism, a.attempts = p[1], 2
			a.calls.Store(0)
			a.fail = map[int64]func() error{
				a.numbers / 4: func() error { return errors.New("planted") },
			}
			if r, err := a.split(t); err != nil || r.Status != "FINISHED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.checkSplit(t)
		})
	}
}

// Goal: side outputs have the watermarks of their operator and the timestamps of its records,
// and an emission to a tag of another type fails the task with the cure. Method: a window over
// a side output; one tag name with two types.
func TestSideOutputTimes(t *testing.T) {
	e := stream.NewEnv("job")
	e.Set("execution.checkpointing.dir", "mem://test/checkpoints")
	a := newAttack()
	e.SetFiles(a.files)
	a.numbers, a.keys = 1000, 7
	main := stream.Process(
		stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }), "split",
		func() stream.KeyedProcessFunction[int64, number, number] {
			return &splitting{attack: a}
		})
	windows := stream.Aggregate(stream.Tumbling(stream.KeyBy(stream.SideOutput(main, odd),
		func(counted) int64 { return 0 }), a.window), "windows",
		stream.AggregatorFunc[counted, sum](func(s *sum, c counted) { s.Count++; s.Sum += c.ID }),
		func(_ int64, w stream.Window, s *sum) sum {
			return sum{0, int64(w.Start), s.Count, s.Sum}
		})
	var mu sync.Mutex
	var got []sum
	stream.ForEach(windows, "out", func(s sum) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
		return nil
	})
	if _, err := e.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []sum{}
	for id := int64(1); id < a.numbers; id += 2 {
		start := id / 300 * 300
		if len(want) == 0 || want[len(want)-1].Start != start {
			want = append(want, sum{Start: start})
		}
		want[len(want)-1].Count++
		want[len(want)-1].Sum += id
	}
	slices.SortFunc(got, func(a, b sum) int { return int(a.Start - b.Start) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Goal: wrong uses of side outputs, unions are told with the cure. Method: a table; the last
// one shows only when it runs.
func TestSideOutputFaults(t *testing.T) {
	e := stream.NewEnv("job")
	n := stream.Generate(e, "n", 1, func(i int64) number { return number{i, 0} })
	other := stream.NewOutputTag[int64]("odd")
	stream.SideOutput(n, odd)
	stream.SideOutput(n, other)
	stream.SideOutput(stream.SideOutput(n, odd), odd)
	stream.SideOutput(n, stream.NewOutputTag[int64](""))
	stream.Union(n, n).Named("u").Parallelism(2)
	stream.Union(n, stream.Generate(stream.NewEnv("b"), "m", 1,
		func(i int64) number { return number{i, 0} }))
	_, err := e.Plan()
	for _, want := range []string{
		`side output "odd" of "Source: n": it is taken as stream_test.counted and as int64; ` +
			`use one tag`,
		`side output "odd": the stream after "Source: n" is a union or side output itself; ` +
			`take it from the stream of the operator that emits`,
		`side output of "Source: n": the tag has no name`,
		`name it "u": the stream after "Source: n" is a union or side output`,
		`set its parallelism to 2: the stream after "Source: n"`,
		`union: the streams are of different environments`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Plan: %v\nwant %q in it", err, want)
		}
	}

	a := newAttack()
	e = a.configure()
	main := stream.Process(
		stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }), "split",
		func() stream.KeyedProcessFunction[int64, number, number] {
			return &splitting{attack: a}
		})
	stream.ForEach(stream.SideOutput(main, other), "out", func(int64) error { return nil })
	_, err = e.Execute(t.Context())
	want := `operator "Process: split": emit stream_test.counted to side output "odd", ` +
		`which is taken as int64: use one tag for both`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Execute: %v\nwant %q in it", err, want)
	}
}

// Goal: a union has the records of all its streams, each as often as it was given, and the
// smallest of their watermarks, before chains, keys and sinks, whatever the parallelism.
// Method: a union of a stream with itself and with one that is slower, windows over it; no
// record may be late; stop and continue in the middle.
func TestEngineUnion(t *testing.T) {
	for _, p := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			a := newAttack()
			a.parallelism = p
			run := func() (*stream.Result, error) {
				e := a.configure()
				first := a.source(t, e)
				second := stream.Generate(e, "slow", a.numbers,
					func(i int64) number { return number{i, a.keyOf(i)} },
					stream.WithRate[number](a.rate/2),
					stream.WithEventTime(
						func(n number) eventtime.Timestamp { return eventtime.Timestamp(n.ID) },
						eventtime.MonotonousTimestamps())).Parallelism(1)
				union := stream.Union(first, stream.Filter(second,
					func(n number) bool { return n.ID%2 == 0 }), first)
				mapped := stream.TryMap(union, func(n number) (number, error) {
					return n, a.called()
				})
				stream.SinkTo(mapped, "mapped", sinkFor[number](t, "mapped"))
				stream.SinkTo(union, "direct", sinkFor[number](t, "direct"))
				sums := stream.Aggregate(stream.Tumbling(
					stream.KeyBy(union, func(n number) int64 { return n.ID % buckets }),
					a.window), "windows",
					stream.AggregatorFunc[number, sum](func(s *sum, n number) {
						s.Count++
						s.Sum += n.ID
					}),
					func(bucket int64, w stream.Window, s *sum) sum {
						return sum{bucket, int64(w.Start), s.Count, s.Sum}
					})
				stream.SinkTo(sums, "sums", sinkFor[sum](t, "sums"))
				return e.Execute(t.Context())
			}
			a.stopAt(a.numbers / 2)
			if r, err := run(); err != nil || r.Status == "FAILED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.undisturbed()
			a.parallelism = p%4 + 1
			r, err := run()
			if err != nil || r.Status != "FINISHED" {
				t.Fatalf("%+v, %v", r, err)
			}
			a.checkUnion(t)
			if late := r.Counters["windows.numLateRecordsDropped"]; late != 0 {
				t.Errorf("%d late records", late)
			}
		})
	}
}

func (a *attack) checkUnion(t *testing.T) {
	t.Helper()
	type place struct{ bucket, start int64 }
	want, sums := map[number]int{}, map[place]sum{}
	for id := range a.numbers {
		times := 2 + int(1-id%2)
		want[number{id, a.keyOf(id)}] = times
		start := id / a.window.Milliseconds() * a.window.Milliseconds()
		at := place{id % buckets, start}
		s := sums[at]
		sums[at] = sum{at.bucket, start, s.Count + int64(times), s.Sum + int64(times)*id}
	}
	wantSums := map[sum]int{}
	for _, s := range sums {
		wantSums[s]++
	}
	different(t, "mapped", want, rowsOf[number](t, a, "mapped"))
	different(t, "direct", want, rowsOf[number](t, a, "direct"))
	different(t, "sums", wantSums, rowsOf[sum](t, a, "sums"))
}
