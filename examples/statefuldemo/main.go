// Statefuldemo is a job to look inside: two functions with state, one of which keeps operator
// state too. The sums of its two words end at 1423 and 1212.
//
//	go run ./examples/statefuldemo
//	go run ./cmd/leat state ls --job statefuldemo
//	go run ./cmd/leat state get --job statefuldemo --operator stateful_map_test
//
// To watch it take checkpoints, and to continue from any of them at another parallelism:
//
//	go build -o bin/statefuldemo ./examples/statefuldemo
//	bin/statefuldemo -count 200 -rate 40 -D execution.checkpointing.interval=1s \
//		-D state.checkpoints.num-retained=10 -D state.checkpoints.dir=file:///tmp/ck
//	bin/statefuldemo -count 200 -p 3 -s file:///tmp/ck/<job id>/chk-2/
package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/connector/print"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// Pair is a word and a number that is added to its sum.
type Pair struct {
	Word   string
	Number int64
}

// Sum is the sum of the numbers of a word so far.
type Sum struct {
	Word    string
	Running int64
}

// Step is what the job prints for every pair.
type Step struct {
	Word    string
	Count   int64 // pairs of the word so far
	Running int64 // their sum
	Recent  int64 // pairs that the subtask remembers
}

// settings are the program's own flags.
type settings struct {
	count int64
	more  int64
	rate  int
}

func main() {
	var s settings
	flags := flag.NewFlagSet("statefuldemo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is returned
	flags.Int64Var(&s.count, "count", 10, "pairs of each word")
	flags.Int64Var(&s.more, "more", 0, "words besides the two")
	flags.IntVar(&s.rate, "rate", 0, "pairs a second, 0 for as fast as it goes")
	app.Main(
		func(env *stream.Env) error {
			if err := flags.Parse(env.Args()); err != nil {
				return err
			}
			if flags.NArg() > 0 {
				return fmt.Errorf("unknown arguments %q", flags.Args())
			}
			return build(env, s)
		},
		app.Usage(`Adds up the numbers of each word and counts them.

Arguments of the program:
  -count N   pairs of each word (default 10); their sums are the same for every N
  -more N    words besides testing123 and testing456 (default 0)
  -rate N    pairs a second, 0 (default) for as fast as it goes`),
	)
}

// build lays out the job.
func build(env *stream.Env, s settings) error {
	if s.count < 1 || s.more < 0 || s.rate < 0 {
		return fmt.Errorf("flags -count %d -more %d -rate %d: want at least 1, 0 and 0",
			s.count, s.more, s.rate)
	}
	words := s.more + 2
	// One subtask keeps the pairs of a word in order, whatever the parallelism of the rest.
	pairs := stream.Generate(env, "pairs", s.count*words,
		func(i int64) Pair { return pairOf(i%words, i/words, s.count) },
		stream.WithRate[Pair](s.rate)).Parallelism(1)
	sums := stream.Process(stream.KeyBy(pairs, func(p Pair) string { return p.Word }),
		"stateful_map_test",
		func() stream.KeyedProcessFunction[string, Pair, Sum] { return &statefulMap{} })
	steps := stream.Process(stream.KeyBy(sums, func(s Sum) string { return s.Word }),
		"stateful_process",
		func() stream.KeyedProcessFunction[string, Sum, Step] { return &statefulProcess{} })
	stream.SinkTo(steps, "out", print.NewSink(print.Options{}))
	return nil
}

// pairOf returns pair k of a word, from 0. A sum grows evenly: after k of count pairs it is
// total*k/count, rounded down.
func pairOf(number, k, count int64) Pair {
	word, total := wordOf(number)
	return Pair{Word: word, Number: total*(k+1)/count - total*k/count}
}

// wordOf returns a word by its number, and what its sum ends at.
func wordOf(number int64) (word string, total int64) {
	switch number {
	case 0:
		return "testing123", 1423
	case 1:
		return "testing456", 1212
	}
	return fmt.Sprintf("word%d", number), number
}

// statefulMap keeps the running sum of every word.
type statefulMap struct {
	running state.Value[int64]
}

// Open declares the keyed state.
func (f *statefulMap) Open(d *state.Declarations) error {
	f.running = state.DeclareValue[int64](d, "running")
	return nil
}

// Process adds one number.
func (f *statefulMap) Process(
	_ *stream.Context[string], p Pair, out stream.Collector[Sum],
) error {
	running, _ := f.running.Get()
	running += p.Number
	f.running.Set(running)
	out.Collect(Sum{Word: p.Word, Running: running})
	return nil
}

// remembered is how many pairs a subtask remembers at most.
const remembered = 12

// statefulProcess counts the pairs of every word, which is keyed state, and remembers the last
// ones that its subtask has seen, whatever their words: operator state, which is dealt out anew
// when the parallelism changes.
type statefulProcess struct {
	count  state.Value[int64]
	recent []Sum
	list   *stream.ListState[Sum]
}

var _ stream.CheckpointedFunction = (*statefulProcess)(nil)

// Open declares the keyed state.
func (f *statefulProcess) Open(d *state.Declarations) error {
	f.count = state.DeclareValue[int64](d, "count")
	return nil
}

// InitializeState declares the list and takes up what it holds after a restore.
func (f *statefulProcess) InitializeState(store *stream.OperatorStateStore) error {
	f.list = stream.DeclareListState[Sum](store, "recent")
	for s := range f.list.All() {
		f.remember(s)
	}
	return nil
}

// SnapshotState puts what is remembered into the list.
func (f *statefulProcess) SnapshotState(stream.SnapshotContext) error {
	f.list.Update(f.recent)
	return nil
}

// Process counts one pair.
func (f *statefulProcess) Process(
	_ *stream.Context[string], s Sum, out stream.Collector[Step],
) error {
	count, _ := f.count.Get()
	f.count.Set(count + 1)
	f.remember(s)
	out.Collect(Step{
		Word: s.Word, Count: count + 1, Running: s.Running, Recent: int64(len(f.recent)),
	})
	return nil
}

func (f *statefulProcess) remember(s Sum) {
	if len(f.recent) == remembered {
		f.recent = append(f.recent[:0], f.recent[1:]...)
	}
	f.recent = append(f.recent, s)
}
