// Command retyped is the job statefuldemo after somebody made the running sums texts. Tests give it
// the checkpoints of statefuldemo, which do not fit.
package main

import (
	"fmt"

	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/connector/print"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

func main() { app.Main(build) }

func build(env *stream.Env) error {
	pairs := stream.Generate(env, "pairs", 20, func(i int64) int64 { return i }).Parallelism(1)
	words := stream.KeyBy(pairs, func(i int64) string { return fmt.Sprintf("word%d", i%2) })
	sums := stream.Process(words, "stateful_map_test",
		func() stream.KeyedProcessFunction[string, int64, string] { return &texts{} })
	stream.SinkTo(sums, "out", print.NewSink(print.Options{}))
	return nil
}

// texts keeps the numbers of every word one behind the other.
type texts struct {
	running state.Value[string]
}

// Open declares the state: a text, where it was a number.
func (f *texts) Open(d *state.Declarations) error {
	f.running = state.DeclareValue[string](d, "running")
	return nil
}

// Process appends one number.
func (f *texts) Process(
	_ *stream.Context[string], i int64, out stream.Collector[string],
) error {
	running, _ := f.running.Get()
	running = fmt.Sprint(running, " ", i)
	f.running.Set(running)
	out.Collect(running)
	return nil
}
