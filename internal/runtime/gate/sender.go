package gate

import (
	"fmt"

	"github.com/leat-io/leat/internal/record"
)

// Sender is the sending side of one link. It belongs to one goroutine.
type Sender struct {
	gate *Gate
	link *link
}

// Attach returns the sending side of a link. Each link has one: a second call is refused.
func (g *Gate) Attach(key Key) (*Sender, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.attached[key] {
		return nil, fmt.Errorf("attach to input gate: subtask %d sends on edge %d already",
			key.Sender, key.Edge)
	}
	if g.mu.links != nil && g.mu.byKey[key] == nil {
		return nil, fmt.Errorf("attach to input gate: edge %d has no input for subtask %d",
			key.Edge, key.Sender)
	}
	g.mu.attached[key] = true
	return &Sender{gate: g, link: g.linkLocked(key)}, nil
}

// Waiting is told when a sender begins and ends to wait for room.
type Waiting interface {
	Blocked(blocked bool)
}

// Put adds an element, waiting while the ring is full, and reports whether it did. When done
// is closed while the ring is full, or the gate is closed, the element is dropped and its
// batch released.
func (s *Sender) Put(e record.Element, done <-chan struct{}, waiting Waiting) bool {
	added, closed := s.tryPut(e)
	if added {
		return true
	}
	if !closed {
		waiting.Blocked(true)
		for !added && !closed {
			select {
			case <-s.link.room:
				added, closed = s.tryPut(e)
			case <-done:
				closed = true
			}
		}
		waiting.Blocked(false)
	}
	if !added && e.Batch != nil {
		e.Batch.Release()
	}
	return added
}

// tryPut adds the element when there is room, else asks for a signal when there is.
func (s *Sender) tryPut(e record.Element) (added, closed bool) {
	g, l := s.gate, s.link
	g.mu.Lock()
	if g.mu.closed {
		g.mu.Unlock()
		return false, true
	}
	if e.Kind == record.KindWatermark && l.count > 0 {
		// Nothing lies between two watermarks in a row: the newer says all.
		if last := &l.ring[(l.first+l.count-1)%Depth]; last.Kind == record.KindWatermark {
			last.Watermark = max(last.Watermark, e.Watermark)
			g.mu.Unlock()
			return true, false
		}
	}
	if l.count == Depth {
		l.waiting = true
		g.mu.Unlock()
		return false, false
	}
	l.ring[(l.first+l.count)%Depth] = e
	l.count++
	idle := g.mu.ready.count == 0
	g.enqueueLocked(l)
	wake := idle && g.mu.ready.count > 0
	g.mu.Unlock()
	if wake {
		g.wake.Signal()
	}
	return true, false
}
