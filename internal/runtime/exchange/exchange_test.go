package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/gate"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var _ operator.Channels = (*exchange.Partition)(nil)

type silent struct{}

func (silent) Blocked(bool) {}

var sending = exchange.Sending{Done: make(chan struct{}), Waiting: silent{}}

func edge(id uint32, kind protocol.Exchange) *protocol.Edge {
	return &protocol.Edge{Id: id, From: 1, To: 2, Exchange: kind}
}

func task(vertex, subtask uint32) *protocol.TaskID {
	return &protocol.TaskID{Vertex: vertex, Subtask: subtask}
}

// Goal: forward edges lead from i to i, all others from all to all, and a receiver numbers
// its links edge by edge. Method: every sender broadcasts its number on both kinds of edge,
// half of them before their receivers exist.
func TestTopology(t *testing.T) {
	const parallelism = 3
	l := exchange.NewLocal()
	forward := edge(1, protocol.Exchange_EXCHANGE_FORWARD)
	hash := edge(2, protocol.Exchange_EXCHANGE_HASH)
	inputs := []*protocol.Edge{forward, hash}
	neighbours := map[uint32]uint32{1: parallelism}
	gates := make([]*gate.Gate, parallelism)
	for i := range uint32(parallelism) {
		if i == 1 {
			gates[0] = mustGate(t, l, task(2, 0), inputs, neighbours)
		}
		for _, e := range inputs {
			p, err := l.Partition(e, i, parallelism, sending)
			if err != nil {
				t.Fatal(err)
			}
			want := parallelism
			if e == forward {
				want = 1
			}
			if p.Len() != want {
				t.Errorf("edge %d has %d channels, want %d", e.Id, p.Len(), want)
			}
			p.Broadcast(record.Element{Kind: record.KindBarrier, Barrier: record.Barrier{
				Checkpoint: uint64(10*e.Id + i)}})
		}
	}
	for i := range gates {
		if gates[i] == nil {
			gates[i] = mustGate(t, l, task(2, uint32(i)), inputs, neighbours)
		}
		var got []string
		for link, e, ok := gates[i].Poll(); ok; link, e, ok = gates[i].Poll() {
			got = append(got, fmt.Sprintf("%d:%d", link, e.Barrier.Checkpoint))
		}
		slices.Sort(got)
		want := []string{fmt.Sprintf("0:%d", 10+i), "1:20", "2:21", "3:22"}
		if !slices.Equal(want, got) {
			t.Errorf("receiver %d got %v, want %v", i, got, want)
		}
	}
}

func mustGate(t testing.TB, l *exchange.Local, id *protocol.TaskID, inputs []*protocol.Edge,
	parallelism map[uint32]uint32,
) *gate.Gate {
	t.Helper()
	g, err := l.Gate(id, inputs, parallelism)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Goal: wrong wiring is refused with the edge named. Method: each mistake once.
func TestMistakes(t *testing.T) {
	l := exchange.NewLocal()
	e := edge(1, protocol.Exchange_EXCHANGE_HASH)
	if _, err := l.Gate(task(2, 0), []*protocol.Edge{e}, nil); err == nil {
		t.Error("an edge without senders must be refused")
	}
	if _, err := l.Partition(e, 0, 0, sending); err == nil {
		t.Error("an edge without receivers must be refused")
	}
	f := edge(1, protocol.Exchange_EXCHANGE_FORWARD)
	if _, err := l.Partition(f, 2, 2, sending); err == nil {
		t.Error("a forward edge to a subtask that does not exist must be refused")
	}
	if _, err := l.Partition(e, 0, 1, sending); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Partition(e, 0, 1, sending); err == nil {
		t.Error("a task deployed twice must be refused")
	}
}

// Goal: attempts do not see each other. Method: the same edge in two exchanges.
func TestAttemptsApart(t *testing.T) {
	e := edge(1, protocol.Exchange_EXCHANGE_HASH)
	first, second := exchange.NewLocal(), exchange.NewLocal()
	p, err := first.Partition(e, 0, 1, sending)
	if err != nil {
		t.Fatal(err)
	}
	p.Broadcast(record.Element{Kind: record.KindEndOfData})
	g := mustGate(t, second, task(2, 0), []*protocol.Edge{e}, map[uint32]uint32{1: 1})
	if _, _, ok := g.Poll(); ok {
		t.Error("an element of another attempt came through")
	}
}

// pair is one sender and one receiver with a pool of batches.
func pair(t testing.TB) (*exchange.Partition, *gate.Gate, *record.RowsPool[int64]) {
	t.Helper()
	l := exchange.NewLocal()
	e := edge(1, protocol.Exchange_EXCHANGE_HASH)
	p, err := l.Partition(e, 0, 1, sending)
	if err != nil {
		t.Fatal(err)
	}
	g := mustGate(t, l, task(2, 0), []*protocol.Edge{e}, map[uint32]uint32{1: 1})
	return p, g, record.NewRowsPool[int64](1024)
}

// Goal: in the steady state a batch goes from the pool through exchange and gate and back
// without an allocation. Method: count, with several batches under way.
func TestNoAllocation(t *testing.T) {
	p, g, pool := pair(t)
	round := func() {
		for range 3 {
			b := pool.Get()
			rows := b.Payload.(*record.Rows[int64])
			rows.Items = append(rows.Items, 1, 2, 3)
			b.Len = 3
			p.Send(0, b)
		}
		for _, e, ok := g.Poll(); ok; _, e, ok = g.Poll() {
			e.Batch.Release()
		}
	}
	round()
	if allocs := testing.AllocsPerRun(1000, round); allocs != 0 {
		t.Errorf("%v allocations per three batches, want 0", allocs)
	}
	if p.Records() == 0 {
		t.Error("records sent were not counted")
	}
}

// BenchmarkHandOff measures what a batch costs from a goroutine to another, recycled.
func BenchmarkHandOff(b *testing.B) {
	p, g, pool := pair(b)
	group := lifecycle.NewGroup(b.Context(), "bench")
	b.ReportAllocs()
	n := b.N
	group.Go("receiver", func(context.Context) error {
		for received := 0; received < n; {
			_, e, ok := g.Poll()
			if !ok {
				<-g.Wake()
				continue
			}
			e.Batch.Release()
			received++
		}
		return nil
	})
	for range n {
		batch := pool.Get()
		batch.Len = 1024
		p.Send(0, batch)
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}
