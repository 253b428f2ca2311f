// Command counter keeps a total for each of many keys. Tests take its checkpoints as those of
// another job, and with -totals text as those of a program whose state has another type.
package main

import (
	"flag"
	"fmt"

	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

func main() {
	var totals string
	var rate int
	flags := flag.NewFlagSet("counter", flag.ContinueOnError)
	flags.StringVar(&totals, "totals", "number", "type of the state: number or text")
	flags.IntVar(&rate, "rate", 0, "records a second")
	app.Main(func(env *stream.Env) error {
		if err := flags.Parse(env.Args()); err != nil {
			return err
		}
		numbers := stream.Generate(env, "numbers", 1_000_000,
			func(i int64) int64 { return i }, stream.WithRate[int64](rate))
		byKey := stream.KeyBy(numbers, func(n int64) int64 { return n % 20_000 })
		switch totals {
		case "number":
			sums := stream.Process(byKey, "totals",
				func() stream.KeyedProcessFunction[int64, int64, int64] { return &sum{} })
			stream.ForEach(sums, "drop", func(int64) error { return nil })
		case "text":
			texts := stream.Process(byKey, "totals",
				func() stream.KeyedProcessFunction[int64, int64, string] { return &text{} })
			stream.ForEach(texts, "drop", func(string) error { return nil })
		default:
			return fmt.Errorf("flag -totals %q: want number or text", totals)
		}
		return nil
	})
}

type sum struct{ total state.Value[int64] }

// Open declares the state.
func (s *sum) Open(d *state.Declarations) error {
	s.total = state.DeclareValue[int64](d, "total")
	return nil
}

// Process adds a number.
func (s *sum) Process(_ *stream.Context[int64], n int64, out stream.Collector[int64]) error {
	total, _ := s.total.Get()
	s.total.Set(total + n)
	out.Collect(total + n)
	return nil
}

type text struct{ total state.Value[string] }

// Open declares the state.
func (s *text) Open(d *state.Declarations) error {
	s.total = state.DeclareValue[string](d, "total")
	return nil
}

// Process appends a number.
func (s *text) Process(_ *stream.Context[int64], n int64, out stream.Collector[string]) error {
	total, _ := s.total.Get()
	total = fmt.Sprint(total, n)
	s.total.Set(total)
	out.Collect(total)
	return nil
}
