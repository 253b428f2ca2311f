package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// stamped is a record with its time.
type stamped[T any] struct {
	Value T
	At    eventtime.Timestamp
}

// tape writes down what leaves an operator. The zero tape is empty.
type tape[T any] struct {
	records  []stamped[T]
	controls []string // each with the number of records before it
}

func (p *tape[T]) link() *operator.Link[T] {
	return &operator.Link[T]{Record: func(v T, ts eventtime.Timestamp) {
		p.records = append(p.records, stamped[T]{v, ts})
	}, Control: p}
}

func (p *tape[T]) say(text string) {
	p.controls = append(p.controls, fmt.Sprintf("%d %s", len(p.records), text))
}

func (p *tape[T]) Watermark(ts eventtime.Timestamp) { p.say(fmt.Sprint("watermark ", int64(ts))) }
func (p *tape[T]) Status(idle bool)                 { p.say(fmt.Sprint("idle ", idle)) }
func (p *tape[T]) EndOfData()                       { p.say("end") }

func (p *tape[T]) values() []T {
	var out []T
	for _, r := range p.records {
		out = append(out, r.Value)
	}
	return out
}

var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// envOf returns the environment of one subtask.
func envOf(subtask, parallelism int) *operator.Env {
	return &operator.Env{
		UID: "uid", Name: "name", Subtask: subtask, Parallelism: parallelism,
		Logger: slog.New(slog.DiscardHandler), Clock: clock.NewManual(testStart),
		Counters: &operator.Counters{}, Failure: &operator.Failure{},
		RequestSplit: func() {}, WakeAt: func(int64) {},
	}
}

// keyedEnv returns the environment of a keyed operator that runs alone.
func keyedEnv(t testing.TB, f backend.Factory) *operator.Env {
	t.Helper()
	env := envOf(0, 1)
	b, err := f.New(backend.Options{Bounds: types.AllHashes})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	env.Keyed = b
	return env
}

var factories = []backend.Factory{naive.Factory{}, table.Factory{}}

// onBackends runs a test on every backend.
func onBackends(t *testing.T, test func(t *testing.T, f backend.Factory)) {
	for _, f := range factories {
		t.Run(f.Name(), func(t *testing.T) { test(t, f) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// linkFrom makes the operator of a step and returns the link into it.
func linkFrom[T any](t testing.TB, f operator.Factory, env *operator.Env, next any) (
	*operator.Link[T], operator.Operator,
) {
	t.Helper()
	built, err := f.New(env, nil, next)
	must(t, err)
	return built.Link.(*operator.Link[T]), built.Operator
}

// opened makes a head or source and opens it.
func opened[O operator.Operator](
	t testing.TB, f operator.Factory, env *operator.Env, next any, restored operator.Restored,
) O {
	t.Helper()
	built, err := f.New(env, nil, next)
	must(t, err)
	o := built.Operator.(O)
	must(t, o.Open(context.Background(), restored))
	t.Cleanup(func() { must(t, o.Close()) })
	return o
}

// snapshotOf returns the list state of an operator.
func snapshotOf(t testing.TB, o operator.Operator) []*protocol.NamedState {
	t.Helper()
	s, err := o.Snapshot(context.Background(), record.Barrier{Checkpoint: 1})
	must(t, err)
	return s.List
}

// batchOf makes a batch of records, with times unless they are nil.
func batchOf[T any](items []T, times []eventtime.Timestamp) *record.Batch {
	b := record.NewBatch(nil)
	b.Len, b.Payload, b.Timestamps = len(items), &record.Rows[T]{Items: items}, times
	return b
}

// channels keeps what an output sends, copied, and gives the batches back.
type channels[T any] struct {
	sent    [][]stamped[T]
	hashes  [][]uint64
	lengths [][]int
	release bool // keep nothing: for measurements
}

func newChannels[T any](n int) *channels[T] {
	return &channels[T]{
		sent: make([][]stamped[T], n), hashes: make([][]uint64, n), lengths: make([][]int, n),
	}
}

func (c *channels[T]) Len() int { return len(c.sent) }

func (c *channels[T]) Send(to int, b *record.Batch) {
	defer b.Release()
	if c.release {
		return
	}
	c.lengths[to] = append(c.lengths[to], b.Len)
	c.hashes[to] = append(c.hashes[to], slices.Clone(b.Hashes)...)
	for i, v := range b.Payload.(*record.Rows[T]).Items {
		c.sent[to] = append(c.sent[to], stamped[T]{v, b.Timestamps[i]})
	}
}

// outputOf makes an output with a tape as control.
func outputOf[T any](
	t testing.TB, f operator.OutputFactory, c operator.Channels,
) (*operator.Link[T], operator.Output) {
	t.Helper()
	link, out, err := f.NewOutput(envOf(0, 1), nil, c)
	must(t, err)
	typed := link.(*operator.Link[T])
	typed.Control = noControl{}
	return typed, out
}
