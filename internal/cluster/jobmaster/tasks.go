package jobmaster

import (
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// send addresses a message to the tasks of the current attempt. The shell fills in the rest.
func (m *Master) send(e *protocol.Envelope) Effect {
	e.Attempt = m.attempt
	return Send{Message: e}
}

// fromTask takes a message of a task of the current attempt; others are void.
func (m *Master) fromTask(now time.Time, e *protocol.Envelope) []Effect {
	if e.Attempt != m.attempt || m.execution == nil {
		return nil
	}
	switch body := e.Body.(type) {
	case *protocol.Envelope_TaskStatus:
		return m.taskStatus(now, body.TaskStatus)
	case *protocol.Envelope_EndOfDataReached:
		if t := m.execution.Task(graph.IDOf(body.EndOfDataReached.Task)); t != nil {
			t.Ended = true
			return m.finishData(now)
		}
	case *protocol.Envelope_AckCheckpoint:
		m.stateBytes += body.AckCheckpoint.StateBytes
		m.alignment = max(m.alignment, body.AckCheckpoint.AlignmentMicros)
		m.pause = max(m.pause, body.AckCheckpoint.SyncMicros)
		return m.coordinate(now, coordinator.Ack{Message: body.AckCheckpoint})
	case *protocol.Envelope_DeclineCheckpoint:
		d := body.DeclineCheckpoint
		return m.coordinate(now, coordinator.Decline{
			Task: m.taskName(graph.IDOf(d.Task)), Checkpoint: d.CheckpointId,
			Reason: d.Failure.GetMessage(),
		})
	case *protocol.Envelope_RequestSplit:
		if m.goal == goalNone {
			r := body.RequestSplit
			return []Effect{AskSplit{Task: graph.IDOf(r.Task), UID: r.Uid}}
		}
	}
	return nil
}

// taskName names a task for people: "count" (2/4).
func (m *Master) taskName(id graph.TaskID) string {
	t := m.execution.Task(id)
	if t == nil {
		return id.String()
	}
	return fmt.Sprintf("%q (%d/%d)", t.Vertex.Name, id.Subtask+1, t.Vertex.Parallelism)
}

func (m *Master) taskStatus(now time.Time, s *protocol.TaskStatus) []Effect {
	t := m.execution.Task(graph.IDOf(s.Task))
	if t == nil || graph.IsTerminal(t.State) {
		return nil
	}
	if t.State == protocol.TaskState_TASK_STATE_CANCELING && !graph.IsTerminal(s.State) {
		return nil // It was on its way when the task was cancelled.
	}
	t.State = s.State
	switch {
	case s.State == protocol.TaskState_TASK_STATE_FAILED:
		err := errorOf(s.Failure)
		note := Note{
			Kind: NoteTaskFailed, Task: m.taskName(t.ID), Attempt: m.attempt,
			Reason: err.Error(),
		}
		if m.goal == goalFinish {
			note.Kind = NoteCloseFailed
			return []Effect{note}
		}
		// The world outside said that it will not be different next time. A fault of the user
		// is tried again, as in Flink: it may lie in what the function met, not in itself.
		hopeless := fault.DomainOf(err) == fault.DomainExternal &&
			fault.RetryOf(err) == fault.RetryNever
		effects := m.fail(now, err, hopeless)
		if len(effects) > 0 {
			if n, ok := effects[0].(Note); ok && n.Kind == NoteFailure {
				effects = effects[1:] // The task's note says it already.
			}
		}
		return append([]Effect{note}, effects...)
	case graph.IsTerminal(s.State) && m.goal == goalNone:
		err := fault.Internal(fmt.Errorf("task %s ended as %s without having been told to",
			m.taskName(t.ID), graph.StateName(s.State)))
		return m.fail(now, err, false)
	case s.State == protocol.TaskState_TASK_STATE_RUNNING && m.phase == phaseDeploying:
		return m.taskRunning(now)
	}
	return nil
}

// taskRunning begins checkpoints once all tasks run.
func (m *Master) taskRunning(now time.Time) []Effect {
	if !m.execution.All(func(t *graph.Task) bool {
		return t.State == protocol.TaskState_TASK_STATE_RUNNING
	}) {
		return nil
	}
	m.phase = phaseRunning
	m.starting.end()
	effects := m.coordinate(now, coordinator.TasksRunning{Tasks: m.execution.IDs()})
	return append(effects, m.finishData(now)...)
}

// finishData asks for the final checkpoint when all tasks have reached end of data.
func (m *Master) finishData(now time.Time) []Effect {
	if m.phase != phaseRunning || m.finishing ||
		!m.execution.All(func(t *graph.Task) bool { return t.Ended }) {
		return nil
	}
	m.finishing = true
	return m.coordinate(now, coordinator.TriggerNow{Kind: coordinator.KindFinal})
}

// errorOf turns a failure that came in a message back into an error.
func errorOf(f *protocol.Failure) error {
	err := errors.New(f.GetMessage())
	switch f.GetDomain() {
	case fault.DomainUser.String():
		return fault.User(err)
	case fault.DomainExternal.String():
		if f.Retry {
			return fault.External(err, fault.RetryLater)
		}
		return fault.External(err, fault.RetryNever)
	}
	return fault.Internal(err)
}
