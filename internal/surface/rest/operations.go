package rest

import (
	"sync"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
)

// kept is how long the result of an operation can be asked for.
const kept = 5 * time.Minute

// operations remembers what was started and how it ended. Safe for concurrent use.
type operations struct {
	clock clock.Clock
	mu    struct {
		sync.Mutex
		known   map[string]*operation
		changed chan struct{} // closed and replaced when an operation ends or was asked for
	}
}

// operation has done nil while in progress; told says that its end was asked for.
type operation struct {
	done  *Operation
	ended time.Time
	told  bool
}

func newOperations(c clock.Clock) *operations {
	o := &operations{clock: c}
	o.mu.known, o.mu.changed = map[string]*operation{}, make(chan struct{})
	return o
}

// begin notes an operation; false when one of that id is known: a client repeats its request.
func (o *operations) begin(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.clock.Now()
	for other, known := range o.mu.known {
		if known.done != nil && now.Sub(known.ended) > kept {
			delete(o.mu.known, other)
		}
	}
	if o.mu.known[id] != nil {
		return false
	}
	o.mu.known[id] = &operation{}
	return true
}

func (o *operations) end(id string, result *Operation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.known[id] = &operation{done: result, ended: o.clock.Now()}
	o.changedLocked()
}

func (o *operations) changedLocked() {
	close(o.mu.changed)
	o.mu.changed = make(chan struct{})
}

// settled reports whether the end of every operation was asked for, and what is closed when that
// may have changed.
func (o *operations) settled() (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, known := range o.mu.known {
		if !known.told {
			return false, o.mu.changed
		}
	}
	return true, nil
}

func (o *operations) status(id string) (OperationStatus, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := o.mu.known[id]
	switch {
	case known == nil:
		return OperationStatus{}, false
	case known.done == nil:
		return OperationStatus{Status: StatusID{ID: "IN_PROGRESS"}}, true
	}
	if !known.told {
		known.told = true
		o.changedLocked()
	}
	return OperationStatus{Status: StatusID{ID: "COMPLETED"}, Operation: known.done}, true
}
