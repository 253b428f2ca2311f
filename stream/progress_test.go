package stream_test

import (
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// Goal: what sinks take is counted wherever they run. Method: sinks in the chain of a source that
// a keyBy follows too, on its side output, and at the end.
func TestRecordsWritten(t *testing.T) {
	e := stream.NewEnv("job")
	e.SetFiles(filesystem.NewRegistry(mem.New(mem.Options{})))
	e.Set("execution.checkpointing.dir", "mem://test/checkpoints")
	ignore := func(number) error { return nil }
	numbers := stream.Generate(e, "numbers", 100, func(i int64) number { return number{i, i % 7} })
	some := stream.ProcessWith(numbers, "some",
		func() stream.ProcessFunction[number, number] { return asides{} })
	stream.ForEach(some, "in the middle", ignore)
	stream.ForEach(stream.SideOutput(some, aside), "at the side", func(int64) error { return nil })
	end := stream.Filter(some, func(n number) bool { return n.ID < 30 })
	stream.ForEach(stream.Process(stream.KeyBy(end, func(n number) int64 { return n.Key }), "end",
		func() stream.KeyedProcessFunction[int64, number, number] { return passing{} }),
		"out", ignore)
	r, err := e.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Last.RecordsIn != 100 || r.Last.RecordsOut != 100+50+30 {
		t.Errorf("%d records read and %d written, want 100 and 180", r.Last.RecordsIn,
			r.Last.RecordsOut)
	}
}

var aside = stream.NewOutputTag[int64]("aside")

// asides passes numbers on and emits the even ones to the side.
type asides struct{}

func (asides) Process(
	ctx *stream.ProcessContext, n number, out stream.Collector[number],
) error {
	if n.ID%2 == 0 {
		aside.Emit(ctx, n.ID)
	}
	out.Collect(n)
	return nil
}

// passing passes numbers on.
type passing struct{}

func (passing) Open(*state.Declarations) error { return nil }

func (passing) Process(
	_ *stream.Context[int64], n number, out stream.Collector[number],
) error {
	out.Collect(n)
	return nil
}
