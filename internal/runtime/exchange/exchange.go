// Package exchange connects the tasks of one attempt of a job inside this process.
//
// Main types: [Local], where sender and receiver of a channel meet by (edge, sender subtask,
// receiver subtask); [Partition], all channels of one output edge of a task. Whoever comes
// first makes the channel. Batches are handed over by reference, never copied. The package
// moves elements and decides nothing about them: partitioning is done by outputs, alignment
// by the task.
//
// Lifecycle: one Local for each attempt, dropped with it, so that nothing of an earlier
// attempt can reach a later one. Tasks ask for their Gate and Partitions while they are
// built; a Partition then belongs to the goroutine of its task. Local is safe for
// concurrent use.
//
// Semantics: Flink's ResultPartition and LocalInputChannel. Forward edges connect subtask i
// to subtask i, all other edges all to all.
package exchange

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/gate"
)

// Local holds the gates of all tasks of one attempt in this process.
type Local struct {
	seed uint64
	mu   struct {
		sync.Mutex
		gates map[place]*gate.Gate
	}
}

// place is a task, as a map key.
type place struct{ vertex, subtask uint32 }

// NewLocal returns an exchange without channels. Gates take their links in turn.
func NewLocal() *Local { return NewSeeded(0) }

// NewSeeded returns an exchange whose gates choose among ready links pseudo-randomly, from a
// seed that is not 0: for simulation and tests.
func NewSeeded(seed uint64) *Local {
	l := &Local{seed: seed}
	l.mu.gates = map[place]*gate.Gate{}
	return l
}

func (l *Local) gate(at place) *gate.Gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.gates[at]
	if g == nil {
		var o gate.Options
		if l.seed != 0 {
			// Odd multiples of a seed that is not 0 are not 0.
			o.Seed = l.seed * (2*(uint64(at.vertex)<<32|uint64(at.subtask)) + 1)
		}
		g = gate.New(o)
		l.mu.gates[at] = g
	}
	return g
}

// Gate returns the input of a task, its links numbered edge by edge and sender by sender. A
// task has one gate: a second call is refused. parallelism is that of the neighbouring
// vertices.
func (l *Local) Gate(
	task *protocol.TaskID, inputs []*protocol.Edge, parallelism map[uint32]uint32,
) (*gate.Gate, error) {
	var keys []gate.Key
	for _, edge := range inputs {
		first, count := ends(edge, task.Subtask, parallelism[edge.From])
		if count == 0 {
			return nil, fmt.Errorf("connect edge %d: vertex %d has no parallelism",
				edge.Id, edge.From)
		}
		for i := range count {
			keys = append(keys, gate.Key{Edge: edge.Id, Sender: int(first + i)})
		}
	}
	g := l.gate(place{task.Vertex, task.Subtask})
	if err := g.Arrange(keys); err != nil {
		return nil, err
	}
	return g, nil
}

// ends returns the subtasks at the other end of an edge that a subtask is connected to.
func ends(edge *protocol.Edge, subtask, parallelism uint32) (first, count uint32) {
	if edge.Exchange == protocol.Exchange_EXCHANGE_FORWARD {
		return subtask, min(1, parallelism)
	}
	return 0, parallelism
}

// Senders returns how many links an edge has at each receiver, when its sending vertex has a
// parallelism. A Gate numbers them edge by edge.
func Senders(edge *protocol.Edge, parallelism uint32) int {
	_, count := ends(edge, 0, parallelism)
	return int(count)
}

// Sending is what a Partition needs of its task.
type Sending struct {
	// Done is closed when the task is to give up waiting for room.
	Done <-chan struct{}
	// Waiting is told when the task begins and ends to wait for room.
	Waiting gate.Waiting
}

// Partition returns the sending side of an edge for one subtask: one channel for each of
// the receivers, or one in all on a forward edge.
func (l *Local) Partition(
	edge *protocol.Edge, subtask, receivers uint32, o Sending,
) (*Partition, error) {
	first, count := ends(edge, subtask, receivers)
	if count == 0 || first >= receivers {
		return nil, fmt.Errorf("connect edge %d: subtask %d has no receiver among %d of vertex %d",
			edge.Id, subtask, receivers, edge.To)
	}
	p := &Partition{sending: o}
	for i := range count {
		g := l.gate(place{edge.To, first + i})
		s, err := g.Attach(gate.Key{Edge: edge.Id, Sender: int(subtask)})
		if err != nil {
			return nil, err
		}
		p.senders = append(p.senders, s)
	}
	return p, nil
}

// Partition is all channels of one output edge of a task. It implements operator.Channels.
// Task goroutine only, but for Records.
type Partition struct {
	senders []*gate.Sender
	sending Sending
	records atomic.Uint64
}

// Len is the number of channels, at least 1.
func (p *Partition) Len() int { return len(p.senders) }

// Send hands over one reference to b, waiting while the channel is full. After the task was
// cancelled or the receiver has ended, b is dropped.
func (p *Partition) Send(channel int, b *record.Batch) {
	p.records.Add(uint64(b.Len))
	p.senders[channel].Put(record.Element{Kind: record.KindBatch, Batch: b},
		p.sending.Done, p.sending.Waiting)
}

// Broadcast sends an element that is no batch to all channels.
func (p *Partition) Broadcast(e record.Element) {
	for _, s := range p.senders {
		s.Put(e, p.sending.Done, p.sending.Waiting)
	}
}

// Records returns how many records were sent. Safe for concurrent use.
func (p *Partition) Records() uint64 { return p.records.Load() }
