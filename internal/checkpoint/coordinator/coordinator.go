// Package coordinator decides when a checkpoint is taken and what becomes of it.
//
// Main type: [Coordinator], a pure step function: [Coordinator.Step] takes the time and one
// [Input] and returns [Effect]s for the caller to carry out in order. It has no goroutine, no
// clock, no randomness and does no I/O; equal inputs give equal effects. It knows neither
// what state is nor where it lies (internal/checkpoint/store), nor how tasks are reached
// (internal/cluster/jobmaster). Not safe for concurrent use.
//
// Life of a checkpoint: (1) triggered, by policy.go; (2) acknowledged by task after task, or
// declined, or out of time, pending.go; (3) all have acknowledged: published, from here on
// only the store decides; (4) complete: tasks are told, sinks commit; (5) committed. One
// checkpoint at a time is between 1 and 5: what a sink prepared for one checkpoint is named
// by that checkpoint only, so the next must not replace it before it is committed.
//
// Lives as long as a job has a master; TasksRunning and TasksStopped mark its attempts.
//
// Semantics: Flink's CheckpointCoordinator, CheckpointRequestDecider and
// CheckpointFailureManager; final checkpoints after FLIP-147.
package coordinator

import (
	"time"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Options are the rules of one job.
type Options struct {
	// Interval 0 means no periodic checkpoints. It is raised to MinPause.
	Interval, MinPause time.Duration
	// Timeout is the time from trigger to the last acknowledgement; 0 means 10 minutes.
	Timeout time.Duration
	// TolerableFailures is how many periodic checkpoints in a row may fail before the job
	// does.
	TolerableFailures int
	// NextID is the id of the first checkpoint.
	NextID uint64
	// Restored is the checkpoint the job started from, 0 = none.
	Restored uint64
	// Full asks for complete state until the first checkpoint has completed.
	Full bool
	// SavepointInterval 0 means no savepoints by schedule; they go to SavepointDirectory.
	SavepointInterval  time.Duration
	SavepointDirectory string
}

const defaultTimeout = 10 * time.Minute

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Interval > 0 {
		o.Interval = max(o.Interval, o.MinPause)
	}
	return o
}

// Coordinator is the decider about the checkpoints of one job.
type Coordinator struct {
	options Options
	running bool           // all tasks of the attempt run
	tasks   []graph.TaskID // of the attempt; acknowledgements come from them
	policy  policy
	pending *pending // triggered, not yet published or aborted
	// publishing and committing are 0 or the id of the checkpoint in that phase.
	publishing, committing uint64
	kind                   Kind    // of the checkpoint being published or committed
	request                Request // the same
	latest                 uint64
	completedAny           bool
	full                   bool // nothing that the job may build on is complete
	fenced                 bool
	failures               failures
	armed                  time.Time
}

// New returns a coordinator without running tasks.
func New(o Options) *Coordinator {
	o = o.withDefaults()
	return &Coordinator{
		options: o, latest: o.Restored, full: o.Full, policy: policy{nextID: o.NextID},
	}
}

// Latest is the newest completed checkpoint, the restored one before any, 0 without.
func (c *Coordinator) Latest() uint64 { return c.latest }

// Completed reports whether a checkpoint has completed since New.
func (c *Coordinator) Completed() bool { return c.completedAny }

// Settled reports that no checkpoint is being published or committed: Latest will not
// change by itself.
func (c *Coordinator) Settled() bool { return c.publishing == 0 && c.committing == 0 }

// Step takes one input and returns what is to be done, in order.
func (c *Coordinator) Step(now time.Time, in Input) []Effect {
	if c.fenced {
		return nil
	}
	effects := c.take(now, in)
	effects = append(effects, c.expire(now)...)
	effects = append(effects, c.trigger(now)...)
	return append(effects, c.arm(now)...)
}

func (c *Coordinator) take(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case TasksRunning:
		c.running, c.tasks = true, in.Tasks
		c.failures.requested = 0
		c.policy.begin(now, c.options)
	case TasksStopped:
		return c.stopTasks()
	case TriggerNow:
		c.policy.request(in.Kind)
	case Take:
		return c.enqueue(in.Request)
	case Forget:
		c.policy.forget(in.Request)
	case Ack:
		return c.acknowledge(now, in.Message)
	case Decline:
		if p := c.pending; p != nil && p.id == in.Checkpoint {
			return c.abort(now, reasonDeclined(in))
		}
	case Published:
		return c.published(now, in)
	case Committed:
		return c.committed(in)
	case Fenced:
		return c.fence()
	}
	return nil
}

// stopTasks ends the attempt: what is pending cannot complete any more, and that is no
// failure of the checkpoint. What is being published or committed goes on.
func (c *Coordinator) stopTasks() []Effect {
	c.running, c.tasks = false, nil
	c.policy.end()
	p := c.pending
	c.pending = nil
	if p == nil {
		return nil
	}
	if p.kind == KindStop {
		c.policy.request(KindStop)
	}
	const reason = "tasks stopped"
	effects := []Effect{NotifyAborted{ID: p.id, Reason: reason}}
	return append(effects, answer(p.request, p.id, reason)...)
}

func (c *Coordinator) fence() []Effect {
	const reason = "another master has taken over"
	var effects []Effect
	if p := c.pending; p != nil {
		effects = answer(p.request, p.id, reason)
	}
	for _, r := range c.policy.queue {
		effects = append(effects, answer(r, 0, reason)...)
	}
	c.fenced, c.pending, c.publishing, c.committing = true, nil, 0, 0
	return append(effects, c.failJob(reason, true)...)
}

// answer tells whoever asked, if anybody did.
func answer(r Request, id uint64, reason string) []Effect {
	if r.ID == 0 {
		return nil
	}
	return []Effect{Answer{Request: r.ID, ID: id, Reason: reason}}
}

// failJob ends the attempt from here; TasksStopped follows when it has ended.
func (c *Coordinator) failJob(reason string, final bool) []Effect {
	c.running = false
	return []Effect{FailJob{Reason: reason, Final: final}}
}

// published takes the answer of the store.
func (c *Coordinator) published(now time.Time, in Published) []Effect {
	if in.ID != c.publishing {
		return nil
	}
	c.publishing = 0
	switch in.Outcome {
	case OutcomeFenced:
		return append(answer(c.request, in.ID, in.Reason), c.fence()...)
	case OutcomeUnknown:
		c.fenced = true
		return append(answer(c.request, in.ID, in.Reason), c.failJob(
			"the store does not tell whether a checkpoint was completed: "+in.Reason, true)...)
	case OutcomeFailed:
		effects := []Effect{NotifyAborted{ID: in.ID, Reason: in.Reason}}
		effects = append(effects, answer(c.request, in.ID, in.Reason)...)
		return append(effects, c.failed(now, in.ID, c.kind, "publish: "+in.Reason)...)
	}
	if c.kind == KindSavepoint {
		// Nobody is told: for the job it is as if it had not been.
		taken := []Effect{SavepointTaken{ID: in.ID, Request: c.request}}
		return append(taken, answer(c.request, in.ID, "")...)
	}
	c.latest, c.completedAny, c.committing = in.ID, true, in.ID
	// Files of a savepoint are the user's: nothing may refer to them.
	c.full = c.kind == KindStopSavepoint
	c.failures = failures{}
	c.policy.completed(now, c.options)
	effects := []Effect{NotifyComplete{ID: in.ID}}
	if c.kind.IsSavepoint() {
		effects = append(effects, SavepointTaken{ID: in.ID, Request: c.request})
	}
	effects = append(effects, Commit{ID: in.ID})
	if c.kind.IsTerminal() {
		return effects
	}
	return append(effects, answer(c.request, in.ID, "")...)
}

func (c *Coordinator) committed(in Committed) []Effect {
	if in.ID != c.committing {
		return nil
	}
	c.committing = 0
	var answered []Effect
	if c.kind.IsTerminal() {
		answered = answer(c.request, in.ID, stoppedReason(in, c.running))
	}
	switch {
	case in.Reason != "":
		return append(answered, c.failJob("commit: "+in.Reason, false)...)
	case !c.kind.IsTerminal() || !c.running:
		return answered
	}
	c.running = false
	return append(answered, Done{ID: in.ID, Kind: c.kind})
}

// stoppedReason is what to tell who asked to stop with a savepoint, which is complete.
func stoppedReason(in Committed, running bool) string {
	switch {
	case in.Reason != "":
		return "the savepoint is complete, but the job did not stop: commit: " + in.Reason
	case !running:
		return "the savepoint is complete, but the job did not stop: a task failed meanwhile"
	}
	return ""
}

// arm asks for a tick at the next moment at which something is due.
func (c *Coordinator) arm(now time.Time) []Effect {
	due := c.policy.due()
	if c.pending != nil {
		due = c.pending.deadline
	} else if !c.Settled() || !c.running {
		due = time.Time{}
	}
	if due.IsZero() || due.Equal(c.armed) || !due.After(now) {
		return nil
	}
	c.armed = due
	return []Effect{Arm{At: due}}
}

// pending is a checkpoint that waits for acknowledgements.
type pending struct {
	id       uint64
	kind     Kind
	request  Request
	millis   int64
	deadline time.Time
	// acks are in the order of Coordinator.tasks, nil where missing.
	acks    []*protocol.AckCheckpoint
	missing int
}
