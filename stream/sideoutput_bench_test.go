package stream

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// emitting emits every record to the side.
type emitting struct{ tag OutputTag[int64] }

func (e emitting) Process(ctx *ProcessContext, v int64, out Collector[int64]) error {
	e.tag.Emit(ctx, v)
	return nil
}

// BenchmarkSideOutput measures one record through a process function that emits it to a side
// output, which nobody takes or somebody does.
func BenchmarkSideOutput(b *testing.B) {
	tag := NewOutputTag[int64]("side")
	for _, taken := range []bool{false, true} {
		b.Run(fmt.Sprintf("taken=%v", taken), func(b *testing.B) {
			env, sum := envOf(0, 1), int64(0)
			if taken {
				env.Sides = map[string]any{"side": &operator.Link[int64]{
					Record: func(v int64, _ eventtime.Timestamp) { sum += v },
				}}
			}
			e := NewEnv("bench")
			in := FromSlice[int64](e, "in", nil)
			f := ProcessWith(in, "", func() ProcessFunction[int64, int64] {
				return emitting{tag}
			}).at.factory
			link, _ := linkFrom[int64](b, f, env, nil)
			b.ReportAllocs()
			for b.Loop() {
				for i := range int64(1024) {
					link.Record(i, 0)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/record")
		})
	}
}

// BenchmarkBranches measures one record through a head that n sinks take.
func BenchmarkBranches(b *testing.B) {
	for _, n := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("sinks=%d", n), func(b *testing.B) {
			env, sum := envOf(0, 1), int64(0)
			var links []any
			for range n {
				links = append(links, &operator.Link[int64]{
					Record: func(v int64, _ eventtime.Timestamp) { sum += v }, Control: noControl{},
				})
			}
			next, err := links[0].(operator.Joint).Join(links[1:], noControl{})
			must(b, err)
			built, err := unbatchFactory[int64]{}.New(env, nil, next)
			must(b, err)
			head := built.Operator.(operator.Head)
			in := batchOf(make([]int64, 1024), make([]eventtime.Timestamp, 1024))
			b.ReportAllocs()
			for b.Loop() {
				must(b, head.Process(in))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*in.Len), "ns/record")
		})
	}
}
