package task_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

const benchRows = 1024

// flood is a source of a number of polls, each of one batch with a watermark behind it.
type flood struct {
	plain
	out   *operator.Link[item]
	polls *int
}

func (f *flood) Poll(context.Context) (operator.PollStatus, error) {
	if *f.polls == 0 {
		return operator.PollEnd, nil
	}
	*f.polls--
	for i := range benchRows {
		f.out.Record(item{seq: i, key: uint64(i)}, 0)
	}
	f.out.Control.Watermark(eventtime.Timestamp(-*f.polls))
	return operator.PollMore, nil
}

func (f *flood) Ready() <-chan struct{}            { return nil }
func (f *flood) AddSplits([]connector.Split) error { return nil }
func (f *flood) NoMoreSplits() error               { return nil }

// discard is a head that looks at nothing.
type discard struct{ plain }

func (discard) Process(*record.Batch) error { return nil }

// runFlood runs a source task and a task behind it to the end of data of both.
func runFlood(t testing.TB, polls int) {
	f := newFixture(t, 0)
	left := polls
	f.register(t, "flood", factory(
		func(_ *operator.Env, next *operator.Link[item]) (operator.Built, error) {
			return operator.Built{Operator: &flood{plain{next.Control}, next, &left}}, nil
		}))
	f.register(t, "discard", factory(
		func(*operator.Env, *operator.Link[item]) (operator.Built, error) {
			return operator.Built{Operator: discard{plain{dropping{}}}}, nil
		}))
	if err := f.registry.RegisterOutput("wide", shape{rows: benchRows}); err != nil {
		t.Fatal(err)
	}
	e := &protocol.Edge{Id: 1, From: 1, To: 2, ShapeKind: "wide",
		Exchange: protocol.Exchange_EXCHANGE_FORWARD}
	d := &protocol.DeployTask{Task: &protocol.TaskID{Vertex: 1}, Outputs: []*protocol.Edge{e},
		Vertex: &protocol.Vertex{Id: 1, Name: "flood", Parallelism: 1,
			Operators: []*protocol.Operator{operatorOf("flood", false)}},
		Parallelism: map[uint32]uint32{2: 1}}
	from := f.task(t, d)
	to := f.task(t, &protocol.DeployTask{Task: &protocol.TaskID{Vertex: 2},
		Inputs: []*protocol.Edge{e}, Parallelism: map[uint32]uint32{1: 1},
		Vertex: &protocol.Vertex{Id: 2, Name: "discard", Parallelism: 1,
			Operators: []*protocol.Operator{operatorOf("discard", false)}}})
	group := lifecycle.NewGroup(t.Context(), "flood")
	group.Go("from", from.Run)
	group.Go("to", to.Run)
	f.listener.await(t, "end of data", func() bool { return len(f.listener.mu.ended) == 2 })
	from.Close()
	to.Close()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := f.listener.mu.reports[place{2, 0}].RecordsIn; n != uint64(polls*benchRows) {
		t.Fatalf("%d records came through, want %d", n, polls*benchRows)
	}
}

// Goal: a batch with its watermark costs no allocation from source to the next task, waiting
// and waking included. Method: the allocations of a long run less those of a short one.
func TestSteadyStateAllocations(t *testing.T) {
	mallocs := func(polls int) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runFlood(t, polls)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	mallocs(100)
	const short, long = 200, 5200
	few, many := mallocs(short), mallocs(long)
	perBatch := (float64(many) - float64(few)) / (long - short)
	t.Logf("%.4f allocations per batch of %d records", perBatch, benchRows)
	// Some are due to reports and to garbage collections in between.
	if perBatch > 0.05 {
		t.Errorf("%.4f allocations per batch, want none", perBatch)
	}
}

// BenchmarkTwoTasks measures a batch of 1,024 records of 24 bytes, with a watermark behind it,
// from a source task to a task that does nothing with it.
func BenchmarkTwoTasks(b *testing.B) {
	b.ReportAllocs()
	runFlood(b, b.N)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}
