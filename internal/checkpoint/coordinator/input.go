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
// checkpoint when the job is asked to stop; both end the attempt once committed.
const (
	KindPeriodic Kind = iota
	KindFinal
	KindStop
)

// String returns periodic, final or stop.
func (k Kind) String() string {
	switch k {
	case KindPeriodic:
		return "periodic"
	case KindFinal:
		return "final"
	case KindStop:
		return "stop"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
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
	}
	// Publish writes the checkpoint; the answer is Published. Acks are in task order.
	Publish struct {
		ID            uint64
		Kind          Kind
		TriggerMillis int64
		Acks          []*protocol.AckCheckpoint
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
func (Commit) effect()         {}
func (Done) effect()           {}
func (FailJob) effect()        {}
func (Arm) effect()            {}
