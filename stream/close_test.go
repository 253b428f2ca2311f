package stream_test

import (
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
	"github.com/leat-io/leat/window"
)

// alive counts instances: made and not closed, and closed after a record.
type alive struct{ made, used atomic.Int64 }

func (a *alive) create() closable {
	a.made.Add(1)
	return closable{of: a, seen: new(bool)}
}

// closable is what a function must give back.
type closable struct {
	of   *alive
	seen *bool
}

func (c closable) Close() error {
	c.of.made.Add(-1)
	if *c.seen {
		c.of.used.Add(1)
	}
	return nil
}

func (c closable) Open(*state.Declarations) error { return nil }

type closableKeyed struct{ closable }

func (c closableKeyed) Process(
	_ *stream.Context[int64], _ number, _ stream.Collector[number],
) error {
	*c.seen = true
	return nil
}

func (c closableKeyed) ProcessBroadcast(
	*stream.KeyedBroadcastContext[int64], number, stream.Collector[number],
) error {
	return nil
}

type closableTwo struct{ closableKeyed }

func (c closableTwo) Process1(
	x *stream.Context[int64], v number, out stream.Collector[number],
) error {
	return c.Process(x, v, out)
}

func (c closableTwo) Process2(
	x *stream.Context[int64], v number, out stream.Collector[number],
) error {
	return c.Process(x, v, out)
}

type closableWindow[In any] struct{ closable }

func (c closableWindow[In]) Process(
	*stream.WindowContext[int64], iter.Seq[In], stream.Collector[number],
) error {
	*c.seen = true
	return nil
}

// Goal: every instance of a function object of a keyed stream that can be closed is, those made
// while the graph is built too. Method: one operator of each kind, at two subtasks; count.
func TestKeyedFunctionsAreClosed(t *testing.T) {
	e := stream.NewEnv("job")
	e.SetFiles(filesystem.NewRegistry(mem.New(mem.Options{})))
	e.Set("execution.checkpointing.dir", "mem://test/checkpoints")
	e.SetParallelism(2)
	numbers := stream.Generate(e, "numbers", 100,
		func(i int64) number { return number{i, i % 7} }, stream.WithEventTime(
			func(n number) eventtime.Timestamp { return eventtime.Timestamp(n.ID) },
			eventtime.MonotonousTimestamps()))
	keyed := stream.KeyBy(numbers, func(n number) int64 { return n.Key })
	counts := map[string]*alive{}
	at := func(name string) *alive {
		counts[name] = &alive{}
		return counts[name]
	}
	end := func(s *stream.DataStream[number], name string) {
		stream.ForEach(s, name+" out", func(number) error { return nil })
	}
	a := at("process")
	end(stream.Process(keyed, "process", func() stream.KeyedProcessFunction[int64, number, number] {
		return closableKeyed{a.create()}
	}), "process")
	b := at("connected")
	end(stream.KeyedCoProcess(stream.ConnectKeyed(keyed, keyed), "connected",
		func() stream.KeyedCoProcessFunction[int64, number, number, number] {
			return closableTwo{closableKeyed{b.create()}}
		}), "connected")
	c := at("broadcast")
	end(stream.KeyedBroadcastProcess(
		stream.ConnectKeyedBroadcast(keyed, stream.Broadcast(numbers)), "broadcast",
		func() stream.KeyedBroadcastProcessFunction[int64, number, number, number] {
			return closableKeyed{c.create()}
		}), "broadcast")
	d := at("window")
	end(stream.ProcessWindow(stream.Global(keyed).Trigger(window.Count(1)), "window",
		func() stream.ProcessWindowFunction[int64, number, number] {
			return closableWindow[number]{d.create()}
		}), "window")
	f := at("slices")
	end(stream.AggregateProcess(stream.Tumbling(keyed, time.Second), "slices",
		stream.AggregatorFunc[number, int64](func(n *int64, _ number) { *n++ }),
		func() stream.ProcessWindowFunction[int64, int64, number] {
			return closableWindow[int64]{f.create()}
		}), "slices")
	if _, err := e.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, want := map[string][2]int64{}, map[string][2]int64{}
	for name, n := range counts {
		got[name], want[name] = [2]int64{n.made.Load(), n.used.Load()}, [2]int64{0, 2}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("left open, closed after use:\n", diff)
	}
}
