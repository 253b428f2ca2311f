// Command counter counts the numbers of each of many keys and fails when a count is not what the
// number says: state was lost or counted twice. Tests kill it, take its checkpoints as those of
// another job, and with -totals text as those of a program whose state has another type.
package main

import (
	"flag"
	"fmt"

	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// keys is even, so that two subtasks of the source see the numbers of a key in order.
const keys = 100_000

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
		byKey := stream.KeyBy(numbers, func(n int64) int64 { return n % keys })
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

// Process counts a number, which tells how many came before it.
func (s *sum) Process(_ *stream.Context[int64], n int64, out stream.Collector[int64]) error {
	total, _ := s.total.Get()
	if total != n/keys {
		return fmt.Errorf("count number %d of key %d: the state says %d, want %d", n, n%keys,
			total, n/keys)
	}
	s.total.Set(total + 1)
	out.Collect(total + 1)
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
