package jobmaster

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// coordinate passes an input to the coordinator and carries out what it decides.
func (m *Master) coordinate(now time.Time, in coordinator.Input) []Effect {
	if m.coordinator == nil {
		return nil
	}
	var effects []Effect
	for _, e := range m.coordinator.Step(now, in) {
		effects = append(effects, m.carryOut(now, e)...)
	}
	return effects
}

func (m *Master) carryOut(now time.Time, e coordinator.Effect) []Effect {
	switch e := e.(type) {
	case coordinator.Trigger:
		return m.trigger(now, e)
	case coordinator.Publish:
		m.watchStore(now, e.ID, stepPublish)
		return []Effect{Publish(e)}
	case coordinator.NotifyComplete:
		var effects []Effect
		if !m.triggerKind.IsSavepoint() {
			effects = []Effect{m.completedNote(now, NoteCheckpointCompleted, e.ID)}
		}
		return append(effects, m.toAll(func(id *protocol.TaskID) *protocol.Envelope {
			return &protocol.Envelope{Body: &protocol.Envelope_CheckpointComplete{
				CheckpointComplete: &protocol.CheckpointComplete{CheckpointId: e.ID, Task: id},
			}}
		})...)
	case coordinator.NotifyAborted:
		return m.tellAborted(e)
	case coordinator.SavepointTaken:
		return []Effect{
			SavepointTaken(e), m.completedNote(now, NoteSavepointCompleted, e.ID),
		}
	case coordinator.Answer:
		return []Effect{Answer{
			Request: e.Request, Checkpoint: e.ID, Err: m.answerError(e.Reason),
		}}
	case coordinator.Commit:
		m.watchStore(now, e.ID, stepCommit)
		return []Effect{Commit{ID: e.ID}}
	case coordinator.Done:
		return m.done(now, e.Kind)
	case coordinator.FailJob:
		return m.fail(now, m.failJobError(e), e.Final)
	case coordinator.Arm:
		return []Effect{Arm{At: e.At}}
	}
	invariant.Fail("coordinator effect %T", e)
	return nil
}

func (m *Master) completedNote(now time.Time, kind NoteKind, id uint64) Note {
	return Note{
		Kind: kind, Checkpoint: id, Attempt: m.attempt,
		CheckpointKind: m.triggerKind.String(), Duration: now.Sub(m.triggered),
		StateBytes: m.stateBytes,
		Alignment:  time.Duration(m.alignment) * time.Microsecond,
		Pause:      time.Duration(m.pause) * time.Microsecond,
	}
}

func (m *Master) tellAborted(e coordinator.NotifyAborted) []Effect {
	note := Note{
		Kind: NoteCheckpointAborted, Checkpoint: e.ID, Attempt: m.attempt, Reason: e.Reason,
	}
	if m.triggerKind.IsSavepoint() {
		note.Kind = NoteSavepointFailed
	}
	return append([]Effect{note}, m.toAll(func(id *protocol.TaskID) *protocol.Envelope {
		return &protocol.Envelope{Body: &protocol.Envelope_CheckpointAborted{
			CheckpointAborted: &protocol.CheckpointAborted{
				CheckpointId: e.ID, Task: id, Reason: e.Reason,
			},
		}}
	})...)
}

// ask passes a request on, or refuses one that cannot be met any more.
func (m *Master) ask(now time.Time, r coordinator.Request) []Effect {
	refuse := func(reason string) []Effect {
		return []Effect{Answer{Request: r.ID, Err: errors.New(reason)}}
	}
	switch m.goal {
	case goalFinish, goalSuspend, goalCancel, goalFail:
		return refuse("the job is about to end")
	}
	switch {
	case m.stopping:
		return refuse("the job is about to stop with a checkpoint")
	case m.coordinator == nil:
		m.early = append(m.early, r)
		return nil
	}
	return m.coordinate(now, coordinator.Take{Request: r})
}

// answerError is the error of an answer, wrapping what the input being handled brought.
func (m *Master) answerError(reason string) error {
	switch {
	case reason == "":
		return nil
	case m.cause != nil && reason == m.cause.Error():
		return m.cause
	}
	return errors.New(reason)
}

// failJobError makes an error of a decision of the coordinator, wrapping what came from the
// store or the committer.
func (m *Master) failJobError(e coordinator.FailJob) error {
	if m.cause != nil {
		return m.cause
	}
	return fault.External(errors.New(e.Reason), fault.RetryLater)
}

func (m *Master) trigger(now time.Time, e coordinator.Trigger) []Effect {
	m.triggered, m.triggerKind = now, e.Kind
	m.stateBytes, m.alignment, m.pause = 0, 0, 0
	t := Trigger{ID: e.ID, Kind: e.Kind, Request: e.Request}
	var savepoint *protocol.Savepoint
	if e.Kind.IsSavepoint() {
		savepoint = &protocol.Savepoint{
			Stop: e.Kind == coordinator.KindStopSavepoint, Drain: e.Request.Drain,
		}
	}
	for _, id := range m.execution.Sources() {
		t.Messages = append(t.Messages, &protocol.Envelope{
			Attempt: m.attempt,
			Body: &protocol.Envelope_TriggerCheckpoint{
				TriggerCheckpoint: &protocol.TriggerCheckpoint{
					CheckpointId: e.ID, TriggerMillis: e.Millis, Task: id.Proto(), Full: e.Full,
					Savepoint: proto.CloneOf(savepoint),
				},
			},
		})
	}
	return []Effect{Note{
		Kind: NoteCheckpointTriggered, Checkpoint: e.ID, Attempt: m.attempt,
		CheckpointKind: e.Kind.String(),
	}, t}
}

// done ends the attempt after its last checkpoint or savepoint. The tasks of a job that stops
// with a savepoint are closed where they stand: nothing is flushed as at the end of data.
func (m *Master) done(now time.Time, k coordinator.Kind) []Effect {
	if m.goal != goalNone {
		return nil
	}
	if k == coordinator.KindStop {
		return m.endAttempt(now, goalSuspend)
	}
	m.phase, m.goal = phaseStopping, goalFinish
	m.ending.begin(now, stuckTask)
	return m.toAll(func(id *protocol.TaskID) *protocol.Envelope {
		return &protocol.Envelope{Body: &protocol.Envelope_CloseTask{
			CloseTask: &protocol.CloseTask{Task: id},
		}}
	})
}

// toAll sends a message to every task that has not ended.
func (m *Master) toAll(message func(*protocol.TaskID) *protocol.Envelope) []Effect {
	if m.execution == nil {
		return nil
	}
	var effects []Effect
	for _, t := range m.execution.Tasks {
		if !graph.IsTerminal(t.State) {
			effects = append(effects, m.send(message(t.ID.Proto())))
		}
	}
	return effects
}

// splitsFailed takes the failure of an enumerator.
func (m *Master) splitsFailed(now time.Time, in SplitsFailed) []Effect {
	err := fmt.Errorf("enumerator of %q: %w", in.UID, in.Err)
	if in.Checkpoint == 0 {
		return m.fail(now, err, false)
	}
	return m.coordinate(now, coordinator.Decline{
		Task: "enumerator of " + in.UID, Checkpoint: in.Checkpoint, Reason: in.Err.Error(),
	})
}
