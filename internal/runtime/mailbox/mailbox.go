// Package mailbox is how other goroutines get something done on the goroutine of a task: they
// post letters, the task runs them between batches.
//
// Main types: [Letter], a named action; [Mailbox], its queue; [Wake], the one wait point of
// a task, shared with the input gate. The package starts no goroutine and runs nothing by
// itself. The queue has no bound: letters come from the control plane, a few per
// checkpoint, never per record, and their sender must not be blocked.
//
// Lifecycle: New, then Post from any goroutine and Drain from the task goroutine, then
// Close, after which letters are refused.
//
// Semantics: Flink's TaskMailbox and MailboxProcessor, without priorities.
package mailbox

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Wake is what a task waits on when it has nothing to do. One token is all a single waiter
// needs: it looks at everything once it wakes.
type Wake chan struct{}

// NewWake returns a wait point for one task.
func NewWake() Wake { return make(Wake, 1) }

// Signal makes the present or the next wait return. It does not block. Safe for concurrent
// use.
func (w Wake) Signal() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// Letter is an action to be run on the task goroutine. Name is for errors and logs: lower
// case, what the letter does. An error of Run fails the task.
type Letter struct {
	Name string
	Run  func() error
}

// Mailbox is the queue of letters of one task.
type Mailbox struct {
	wake    Wake
	waiting atomic.Int32 // letters in the queue, to be read without the lock
	mu      struct {
		sync.Mutex
		letters []Letter
		next    int // letters before it have been taken
		closed  bool
	}
}

// New returns an empty mailbox that signals wake for every letter.
func New(wake Wake) *Mailbox { return &Mailbox{wake: wake} }

// Post adds a letter and reports whether the mailbox took it: after Close it is dropped.
// Safe for concurrent use; letters of one sender keep their order.
func (m *Mailbox) Post(l Letter) bool {
	m.mu.Lock()
	if m.mu.closed {
		m.mu.Unlock()
		return false
	}
	m.mu.letters = append(m.mu.letters, l)
	m.waiting.Add(1)
	m.mu.Unlock()
	m.wake.Signal()
	return true
}

// Waiting reports whether letters are in the queue. It costs one load.
func (m *Mailbox) Waiting() bool { return m.waiting.Load() != 0 }

// Drain runs letters in the order they were posted until none is left, letters posted
// meanwhile included, or one fails. Task goroutine only. The mailbox remains usable.
func (m *Mailbox) Drain() error {
	for m.Waiting() {
		l, ok := m.take()
		if !ok {
			return nil
		}
		if err := l.Run(); err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
	}
	return nil
}

func (m *Mailbox) take() (Letter, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.next == len(m.mu.letters) {
		return Letter{}, false
	}
	l := m.mu.letters[m.mu.next]
	m.mu.letters[m.mu.next] = Letter{}
	m.mu.next++
	if m.mu.next == len(m.mu.letters) {
		m.mu.letters, m.mu.next = m.mu.letters[:0], 0
	}
	m.waiting.Add(-1)
	return l, true
}

// Close drops the letters in the queue and refuses new ones. It may be called again, from
// any goroutine.
func (m *Mailbox) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	m.mu.letters, m.mu.next = nil, 0
	m.waiting.Store(0)
}
