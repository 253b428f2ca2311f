package coordinator

import (
	"strconv"
	"time"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Kind is what a checkpoint is taken for.
type Kind uint8

// The kinds. A final checkpoint is taken when all tasks have reached end of data, a stop
// checkpoint when the job is asked to stop; both end the attempt once committed. A savepoint
// belongs to the user and changes nothing for the job; one to stop with is also the newest
// state of the job: it is committed and ends the attempt.
const (
	KindPeriodic Kind = iota
	KindFinal
	KindStop
	KindSavepoint
	KindStopSavepoint
)

// String returns periodic, final, stop, savepoint or stop-with-savepoint.
func (k Kind) String() string {
	switch k {
	case KindPeriodic:
		return "periodic"
	case KindFinal:
		return "final"
	case KindStop:
		return "stop"
	case KindSavepoint:
		return "savepoint"
	case KindStopSavepoint:
		return "stop-with-savepoint"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// IsSavepoint reports whether the user owns what is taken.
func (k Kind) IsSavepoint() bool { return k == KindSavepoint || k == KindStopSavepoint }

// IsTerminal reports whether the attempt ends with it.
func (k Kind) IsTerminal() bool {
	return k == KindFinal || k == KindStop || k == KindStopSavepoint
}

// Request is a checkpoint or savepoint that somebody asks for and waits for. It is answered
// with one Answer; it is never tried again by itself.
type Request struct {
	// ID is chosen by whoever asks, not 0, never twice. 0 marks savepoints of the schedule, which
	// are not answered.
	ID   uint64
	Kind Kind // KindPeriodic, KindSavepoint or KindStopSavepoint
	// Full asks for complete state; savepoints are full always.
	Full bool
	// Drain ends the input before a savepoint to stop with.
	Drain bool
	// Directory is below which a savepoint is to be made. It is passed on.
	Directory string
}

// Outcome is what became of a checkpoint given to the store.
type Outcome uint8

// The outcomes, as the store has them.
const (
	OutcomeFailed    Outcome = iota // it is not complete and never will be
	OutcomeCompleted                // it is complete
	OutcomeFenced                   // another master has taken over
	OutcomeUnknown                  // nobody knows: the next master finds out
)

// Input is something that happened. The types below are all there are.
type Input interface{ input() }

type (
	// Tick says only that time has passed.
	Tick struct{}
	// TriggerNow asks for a checkpoint as soon as none is in progress.
	TriggerNow struct{ Kind Kind }
	// Take asks for a checkpoint or savepoint and for an Answer. It waits for its turn, and for
	// the tasks to run.
	Take struct{ Request Request }
	// Forget withdraws requests that have not been triggered; they are not answered.
	Forget struct{ Request uint64 }
	// TasksRunning begins an attempt: all its tasks run.
	TasksRunning struct{ Tasks []graph.TaskID }
	// TasksStopped ends an attempt.
	TasksStopped struct{}
	// Ack is a task's part of a checkpoint.
	Ack struct{ Message *protocol.AckCheckpoint }
	// Decline says that a task, or an enumerator, cannot do its part.
	Decline struct {
		Task       string
		Checkpoint uint64
		Reason     string
	}
	// Published answers Publish. Reason is set unless the checkpoint is complete.
	Published struct {
		ID      uint64
		Outcome Outcome
		Reason  string
	}
	// Committed answers Commit. Reason is set when the sinks will never commit.
	Committed struct {
		ID     uint64
		Reason string
	}
	// Fenced says that another master has taken over.
	Fenced struct{}
)

func (Tick) input()         {}
func (TriggerNow) input()   {}
func (Take) input()         {}
func (Forget) input()       {}
func (TasksRunning) input() {}
func (TasksStopped) input() {}
func (Ack) input()          {}
func (Decline) input()      {}
func (Published) input()    {}
func (Committed) input()    {}
func (Fenced) input()       {}

// Effect is something to do. The types below are all there are.
type Effect interface{ effect() }

type (
	// Trigger lets barriers into all source tasks. The state of enumerators is taken first.
	Trigger struct {
		ID     uint64
		Kind   Kind
		Millis int64 // Unix time
		Full   bool
		// Request is zero unless somebody asked, or it is a savepoint.
		Request Request
	}
	// Publish writes the checkpoint; the answer is Published. Acks are in task order.
	Publish struct {
		ID            uint64
		Kind          Kind
		TriggerMillis int64
		Acks          []*protocol.AckCheckpoint
		Request       Request
	}
	// Answer tells what became of a request. Reason is "" when it is complete. A savepoint to
	// stop with is complete before the job has stopped: Done or FailJob follows.
	Answer struct {
		Request uint64
		ID      uint64 // 0 when it was never triggered
		Reason  string
	}
	// SavepointTaken says that a savepoint is complete. It comes before its Answer.
	SavepointTaken struct {
		ID      uint64
		Request Request
	}
	// NotifyComplete tells all tasks that a checkpoint is durable.
	NotifyComplete struct{ ID uint64 }
	// NotifyAborted tells all tasks that a checkpoint will not complete.
	NotifyAborted struct {
		ID     uint64
		Reason string
	}
	// Commit lets the sinks commit; the answer is Committed.
	Commit struct{ ID uint64 }
	// Done says that a final or stop checkpoint is committed.
	Done struct {
		ID   uint64
		Kind Kind
	}
	// FailJob fails the attempt. Final means that no restart helps.
	FailJob struct {
		Reason string
		Final  bool
	}
	// Arm asks for a Tick at a time. More ticks do no harm.
	Arm struct{ At time.Time }
)

func (Trigger) effect()        {}
func (Publish) effect()        {}
func (NotifyComplete) effect() {}
func (NotifyAborted) effect()  {}
func (Answer) effect()         {}
func (SavepointTaken) effect() {}
func (Commit) effect()         {}
func (Done) effect()           {}
func (FailJob) effect()        {}
func (Arm) effect()            {}
