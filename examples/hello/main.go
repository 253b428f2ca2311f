// Hello is the smallest job with state: it sums numbers by their last digit and prints every
// new sum.
//
//	go run ./examples/hello
package main

import (
	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/connector/print"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

func main() { app.Main(build) }

// Total is the sum of the numbers seen so far that end in a digit.
type Total struct {
	Digit, Sum int64
}

func build(env *stream.Env) error {
	numbers := stream.Generate(env, "numbers", 100, func(i int64) int64 { return i })
	byDigit := stream.KeyBy(numbers, func(n int64) int64 { return n % 10 })
	totals := stream.Process(byDigit, "sums",
		func() stream.KeyedProcessFunction[int64, int64, Total] { return &sums{} })
	stream.SinkTo(totals, "out", print.NewSink(print.Options{}))
	return nil
}

// sums keeps one total for each digit.
type sums struct {
	total state.Value[int64]
}

// Open declares the state.
func (s *sums) Open(d *state.Declarations) error {
	s.total = state.DeclareValue[int64](d, "total")
	return nil
}

// Process adds one number.
func (s *sums) Process(
	ctx *stream.Context[int64], n int64, out stream.Collector[Total],
) error {
	total, _ := s.total.Get()
	total += n
	s.total.Set(total)
	out.Collect(Total{Digit: ctx.Key(), Sum: total})
	return nil
}
