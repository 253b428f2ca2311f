// Package gate is the input of a task: all channels that lead to it, with one place to wait.
//
// Main types: [Gate], the receiver's side; [Sender], the other side of one channel. A
// channel (called link here: a Go channel is not involved) is a bounded ring of elements;
// all rings of a gate stand under one mutex, and links with something to read are on a
// ready list, so that polling costs the same with 1 and with 1,000 links. The package knows
// nothing of what the elements mean, but for watermarks, of which only the newest of several
// in a row is kept.
//
// Lifecycle: links come into being when either side first names them, in any order;
// Arrange numbers them; then Poll, Block, Unblock by the task goroutine and Put by one
// goroutine for each sender; Close drops what is left and lets senders run free.
//
// Semantics: Flink's SingleInputGate with its queue of channels that have data; rings
// stand for the buffers of local channels.
package gate

import (
	"fmt"
	"sync"

	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/mailbox"
)

// Depth is the capacity of a ring. A sender is awakened when half of its ring is free, so
// that 8 batches of 1,024 records give it several tens of microseconds, more than a wake-up
// takes, before the receiver runs dry. Less than 4 costs hand-off time; more only lets
// barriers wait behind more records.
const Depth = 8

// Key names a link of a gate: the edge it belongs to and the subtask that sends.
type Key struct {
	Edge   uint32
	Sender int
}

// Options are settings of a gate. The zero value is usable.
type Options struct {
	// Seed other than 0 makes Poll choose pseudo-randomly among the links that are ready;
	// else they take turns.
	Seed uint64
}

// Gate is the input of one task.
type Gate struct {
	wake mailbox.Wake
	mu   struct {
		sync.Mutex
		byKey    map[Key]*link
		links    []*link // by number; nil until Arrange
		ready    queue   // numbers of links that are not blocked and hold elements
		random   uint64  // state of the generator; 0: take turns
		closed   bool
		attached map[Key]bool
	}
}

// link is one ring. It is guarded by the mutex of its gate.
type link struct {
	number  int // -1 until Arrange
	blocked bool
	queued  bool // on the ready list
	waiting bool // the sender waits for room
	first   int
	count   int
	ring    [Depth]record.Element
	// room has capacity 1: there is one sender, and it looks again when it wakes.
	room chan struct{}
}

// New returns a gate without links.
func New(o Options) *Gate {
	g := &Gate{wake: mailbox.NewWake()}
	g.mu.byKey = map[Key]*link{}
	g.mu.attached = map[Key]bool{}
	g.mu.random = o.Seed
	return g
}

// Wake is signalled when Poll has something after it had nothing, and by the mailbox of the
// task.
func (g *Gate) Wake() mailbox.Wake { return g.wake }

// linkLocked returns the link of a key, making it.
func (g *Gate) linkLocked(key Key) *link {
	l := g.mu.byKey[key]
	if l == nil {
		l = &link{number: -1, room: make(chan struct{}, 1)}
		g.mu.byKey[key] = l
	}
	return l
}

// Arrange gives the links their numbers, in the order of keys, before the first Poll. A
// second call is refused, and so is a sender that attached under another key.
func (g *Gate) Arrange(keys []Key) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.links != nil {
		return fmt.Errorf("arrange input gate: it has its links already")
	}
	g.mu.links = make([]*link, len(keys))
	g.mu.ready.numbers = make([]int32, len(keys))
	for i, key := range keys {
		l := g.linkLocked(key)
		if l.number >= 0 {
			return fmt.Errorf("arrange input gate: link %d of edge %d given twice",
				key.Sender, key.Edge)
		}
		l.number = i
		g.mu.links[i] = l
	}
	for key, l := range g.mu.byKey {
		if l.number < 0 {
			return fmt.Errorf("arrange input gate: subtask %d sends on edge %d, which is no input",
				key.Sender, key.Edge)
		}
	}
	for _, l := range g.mu.links {
		g.enqueueLocked(l)
	}
	return nil
}

// Len is the number of links.
func (g *Gate) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.mu.links)
}

// Poll takes the next element of a link that is ready; ok is false when none is. The caller
// owns the reference to a batch. Task goroutine only.
func (g *Gate) Poll() (number int, e record.Element, ok bool) {
	g.mu.Lock()
	if g.mu.ready.count == 0 {
		g.mu.Unlock()
		return 0, e, false
	}
	if g.mu.random != 0 {
		g.mu.ready.bringForward(g.drawLocked(g.mu.ready.count))
	}
	number = g.mu.ready.pop()
	l := g.mu.links[number]
	l.queued = false
	e = l.take()
	g.enqueueLocked(l)
	wakeSender := l.waiting && l.count <= Depth/2
	if wakeSender {
		l.waiting = false
	}
	g.mu.Unlock()
	if wakeSender {
		signal(l.room)
	}
	return number, e, true
}

// drawLocked returns a number below n: a step of xorshift64.
func (g *Gate) drawLocked(n int) int {
	x := g.mu.random
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	g.mu.random = x
	return int(x >> 1 % uint64(n))
}

// enqueueLocked puts a link on the ready list when it belongs there.
func (g *Gate) enqueueLocked(l *link) {
	if !l.queued && !l.blocked && l.count > 0 && l.number >= 0 {
		l.queued = true
		g.mu.ready.push(l.number)
	}
}

// Block keeps Poll from a link until Unblock. Task goroutine only.
func (g *Gate) Block(number int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.mu.links[number]
	l.blocked = true
	if l.queued {
		l.queued = false
		g.mu.ready.remove(number)
	}
}

// Unblock opens all links again. Task goroutine only.
func (g *Gate) Unblock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.mu.links {
		if l.blocked {
			l.blocked = false
			g.enqueueLocked(l)
		}
	}
}

// Close releases all batches and lets waiting senders go on; what they put from now on is
// dropped. It may be called again, from any goroutine.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.closed = true
	g.mu.ready.count = 0
	for _, l := range g.mu.byKey {
		for l.count > 0 {
			if e := l.take(); e.Batch != nil {
				e.Batch.Release()
			}
		}
		l.queued, l.waiting = false, false
		signal(l.room)
	}
}

func (l *link) take() record.Element {
	e := l.ring[l.first]
	l.ring[l.first] = record.Element{}
	l.first = (l.first + 1) % Depth
	l.count--
	return e
}

// signal leaves a token in a go channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// queue is a ring of distinct link numbers with room for all of them.
type queue struct {
	numbers []int32
	first   int
	count   int
}

func (q *queue) at(i int) *int32 {
	i += q.first
	if i >= len(q.numbers) {
		i -= len(q.numbers)
	}
	return &q.numbers[i]
}

func (q *queue) push(number int) {
	*q.at(q.count) = int32(number)
	q.count++
}

func (q *queue) pop() int {
	number := int(*q.at(0))
	q.first++
	if q.first == len(q.numbers) {
		q.first = 0
	}
	q.count--
	return number
}

// bringForward swaps the entry at i with the first one.
func (q *queue) bringForward(i int) {
	a, b := q.at(0), q.at(i)
	*a, *b = *b, *a
}

// remove takes a number out, keeping the order of the others.
func (q *queue) remove(number int) {
	kept := 0
	for i := range q.count {
		if n := *q.at(i); int(n) != number {
			*q.at(kept) = n
			kept++
		}
	}
	q.count = kept
}
