package jobmaster

import (
	"time"

	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Input is something that happened. The types below are all there are.
type Input interface{ input() }

type (
	// Start begins the first attempt.
	Start struct{}
	// Tick says only that time has passed.
	Tick struct{}
	// Prepared answers Prepare. With Err nothing of the attempt exists; Final says that
	// trying again is no use. NextID, Restored and Full count in the first answer only.
	Prepared struct {
		Attempt    uint32
		Checkpoint *meta.Checkpoint // to start from, nil = empty
		URI        string           // of its metadata
		Lineage    string           // as operators see it
		NextID     uint64
		Full       bool
		Err        error
		Final      bool
	}
	// FromTask is a message of a task.
	FromTask struct{ Message *protocol.Envelope }
	// SplitsFailed says that an enumerator cannot go on. With a Checkpoint it only could not
	// write its state.
	SplitsFailed struct {
		UID        string
		Checkpoint uint64
		Err        error
	}
	// TriggerFailed says that Trigger could not be carried out.
	TriggerFailed struct {
		ID  uint64
		Err error
	}
	// Published answers Publish.
	Published struct {
		ID      uint64
		Outcome coordinator.Outcome
		Err     error
	}
	// Committed answers Commit.
	Committed struct {
		ID  uint64
		Err error
	}
	// Take asks for a checkpoint or savepoint; there will be one Answer, unless the job ends
	// before. After a savepoint to stop with the status is FINISHED.
	Take struct{ Request coordinator.Request }
	// Forget withdraws a request that has not been triggered.
	Forget struct{ Request uint64 }
	// Stop asks for a last checkpoint, then SUSPENDED.
	Stop struct{}
	// Cancel ends the job without a checkpoint.
	Cancel struct{}
	// RoleFailed says that a role broke down: the tasks cannot be reached any more.
	RoleFailed struct{ Err error }
)

func (Start) input()        {}
func (Tick) input()         {}
func (Prepared) input()     {}
func (FromTask) input()     {}
func (SplitsFailed) input() {}

func (TriggerFailed) input() {}

func (Published) input()  {}
func (Committed) input()  {}
func (Take) input()       {}
func (Forget) input()     {}
func (Stop) input()       {}
func (Cancel) input()     {}
func (RoleFailed) input() {}

// Effect is something to do. The types below are all there are.
type Effect interface{ effect() }

type (
	// Prepare gets an attempt ready: finds and checks the checkpoint (0 = what the job was
	// told to start from), commits it again, makes enumerators. The answer is Prepared.
	Prepare struct {
		Attempt    uint32
		Checkpoint uint64
	}
	// Send delivers a message to the tasks. Messages arrive in order.
	Send struct{ Message *protocol.Envelope }
	// Trigger takes the state of all enumerators, then sends the messages: no split is
	// assigned in between. The messages of a savepoint lack its directory, which is to be made
	// below Request.Directory.
	Trigger struct {
		ID       uint64
		Kind     coordinator.Kind
		Request  coordinator.Request
		Messages []*protocol.Envelope
	}
	// AskSplit gets a split for a task from an enumerator and sends it.
	AskSplit struct {
		Task graph.TaskID
		UID  string
	}
	// Publish completes a checkpoint in the store. The answer is Published.
	Publish struct {
		ID            uint64
		Kind          coordinator.Kind
		TriggerMillis int64
		Acks          []*protocol.AckCheckpoint
		Request       coordinator.Request
	}
	// Answer tells what became of a request.
	Answer struct {
		Request    uint64
		Checkpoint uint64
		Err        error
	}
	// SavepointTaken says that a savepoint is complete.
	SavepointTaken struct {
		ID      uint64
		Request coordinator.Request
	}
	// Commit lets the sinks commit a checkpoint. The answer is Committed.
	Commit struct{ ID uint64 }
	// Arm asks for a Tick at a time.
	Arm struct{ At time.Time }
	// End says that the job has reached a terminal status; no effect follows. Err is the
	// cause of FAILED.
	End struct {
		Status Status
		Err    error
	}
)

func (Prepare) effect()  {}
func (Send) effect()     {}
func (Trigger) effect()  {}
func (AskSplit) effect() {}
func (Publish) effect()  {}
func (Commit) effect()   {}
func (Arm) effect()      {}
func (End) effect()      {}
func (Note) effect()     {}

func (Answer) effect()         {}
func (SavepointTaken) effect() {}
