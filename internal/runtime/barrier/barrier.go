// Package barrier aligns the barriers of a task's input links.
//
// Main types: [Aligner], a pure step function of what arrives; [Effect], what the task is to
// do. The package has no goroutine, clock or I/O; it blocks nothing itself and takes no
// snapshot.
//
// One Aligner belongs to one task goroutine, from before its first barrier to its end. It
// goes through one checkpoint at a time:
//
//  1. idle: current is the last checkpoint that was started or aborted;
//  2. pending: current has come on some links, which are blocked; back to 1 with Start when
//     it has come on all open links, with Aborted when it is given up.
//
// Invariants: current never falls; every link is blocked only while pending; each
// checkpoint is started at most once, and never after it was aborted.
//
// Semantics: Flink's SingleCheckpointBarrierHandler, aligned and exactly-once only. A
// source task uses an Aligner of one link.
package barrier

import (
	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/record"
)

// Kind says what an Effect is.
type Kind uint8

// The effects.
const (
	// Block: poll nothing more from Link.
	Block Kind = iota + 1
	// Unblock: poll from all links again.
	Unblock
	// Start: the cut is complete; take the snapshot and pass Barrier on.
	Start
	// Aborted: Checkpoint will not be started. By is the checkpoint that took its place, 0
	// when it was aborted on request.
	Aborted
)

// Effect is one thing to do. Effects are to be done in order.
type Effect struct {
	Kind       Kind
	Link       int            // Block
	Barrier    record.Barrier // Start
	Checkpoint uint64         // Aborted
	By         uint64         // Aborted
}

// Aligner is the state of alignment of one task.
type Aligner struct {
	current uint64
	pending bool
	barrier record.Barrier // the first one of the pending checkpoint
	arrived []bool         // by link, of the pending checkpoint
	closed  []bool         // by link
	missing int            // open links without a barrier of the pending checkpoint
	open    int
	effects []Effect
}

// NewAligner returns an aligner for a number of links, all open. No checkpoint was seen.
func NewAligner(links int) *Aligner {
	return &Aligner{
		arrived: make([]bool, links),
		closed:  make([]bool, links),
		open:    links,
	}
}

// Current returns the newest checkpoint seen; pending says whether it is being aligned.
func (a *Aligner) Current() (checkpoint uint64, pending bool) { return a.current, a.pending }

// OnBarrier takes a barrier read from a link. The effects are valid until the next call. A
// barrier of a checkpoint that was started, aborted or overtaken has none: the link goes on.
func (a *Aligner) OnBarrier(link int, b record.Barrier) []Effect {
	a.effects = a.effects[:0]
	invariant.Check(!a.closed[link], "barrier %d on closed link %d", b.Checkpoint, link)
	if b.Checkpoint < a.current || b.Checkpoint == a.current && !a.pending {
		return nil
	}
	if b.Checkpoint > a.current {
		if a.pending {
			a.abort(b.Checkpoint)
		}
		a.begin(b)
	}
	invariant.Check(!a.arrived[link], "barrier %d twice on link %d", b.Checkpoint, link)
	a.arrived[link] = true
	a.missing--
	if !a.complete() {
		a.effects = append(a.effects, Effect{Kind: Block, Link: link})
	}
	return a.effects
}

// OnAbort takes the message that a checkpoint will not complete, whether or not its barrier
// was seen. Of a checkpoint that was started already it knows nothing more: no effects.
func (a *Aligner) OnAbort(checkpoint uint64) []Effect {
	a.effects = a.effects[:0]
	if checkpoint < a.current || checkpoint == a.current && !a.pending {
		return nil
	}
	if a.pending && checkpoint > a.current {
		a.abort(checkpoint)
	}
	if a.pending {
		a.effects = append(a.effects, Effect{Kind: Unblock})
	}
	a.pending = false
	a.current = checkpoint
	a.effects = append(a.effects, Effect{Kind: Aborted, Checkpoint: checkpoint})
	return a.effects
}

// OnLinkClosed takes the message that nothing more comes from a link, which counts as its
// barrier of the pending checkpoint.
func (a *Aligner) OnLinkClosed(link int) []Effect {
	a.effects = a.effects[:0]
	if a.closed[link] {
		return nil
	}
	a.closed[link] = true
	a.open--
	if a.pending && !a.arrived[link] {
		a.missing--
		a.complete()
	}
	return a.effects
}

func (a *Aligner) begin(b record.Barrier) {
	a.current, a.barrier, a.pending = b.Checkpoint, b, true
	clear(a.arrived)
	a.missing = a.open
}

// complete starts the pending checkpoint when no barrier is missing.
func (a *Aligner) complete() bool {
	if a.missing > 0 {
		return false
	}
	a.pending = false
	a.effects = append(a.effects, Effect{Kind: Start, Barrier: a.barrier})
	if len(a.arrived) > 1 {
		a.effects = append(a.effects, Effect{Kind: Unblock})
	}
	return true
}

// abort gives the pending checkpoint up in favour of a newer one.
func (a *Aligner) abort(by uint64) {
	a.pending = false
	a.effects = append(a.effects, Effect{Kind: Unblock},
		Effect{Kind: Aborted, Checkpoint: a.current, By: by})
}
