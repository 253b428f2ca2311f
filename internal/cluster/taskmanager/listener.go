package taskmanager

import (
	"strings"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/protocol"
)

// listener turns what a task says into messages to the master of its attempt. It implements
// task.Listener.
type listener struct {
	send    func(*protocol.Envelope)
	from    string
	attempt *attempt // its numbers, which do not change
}

func (l *listener) post(e *protocol.Envelope) {
	a := l.attempt
	e.JobId, e.Generation, e.Attempt = a.jobID, a.generation, a.number
	e.From, e.To = l.from, a.master
	l.send(e)
}

// failureOf puts an error into a message: text, domain and hint pass, the chain does not.
// Messages hold UTF-8 only, and user code says what it likes.
func failureOf(err error) *protocol.Failure {
	if err == nil {
		return nil
	}
	return &protocol.Failure{
		Message: strings.ToValidUTF8(err.Error(), "?"), Domain: fault.DomainOf(err).String(),
		Retry: fault.RetryOf(err) == fault.RetryLater,
	}
}

// State reports a change of state.
func (l *listener) State(id *protocol.TaskID, s protocol.TaskState, err error) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_TaskStatus{
		TaskStatus: &protocol.TaskStatus{Task: id, State: s, Failure: failureOf(err)},
	}})
}

// EndOfData reports that no record will follow.
func (l *listener) EndOfData(id *protocol.TaskID) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_EndOfDataReached{
		EndOfDataReached: &protocol.EndOfDataReached{Task: id},
	}})
}

// Acknowledge hands over a task's part of a checkpoint.
func (l *listener) Acknowledge(ack *protocol.AckCheckpoint) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_AckCheckpoint{AckCheckpoint: ack}})
}

// Decline refuses a checkpoint.
func (l *listener) Decline(id *protocol.TaskID, checkpoint uint64, err error) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_DeclineCheckpoint{
		DeclineCheckpoint: &protocol.DeclineCheckpoint{
			Task: id, CheckpointId: checkpoint, Failure: failureOf(err),
		},
	}})
}

// RequestSplit asks for one more split.
func (l *listener) RequestSplit(id *protocol.TaskID, uid string) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_RequestSplit{
		RequestSplit: &protocol.RequestSplit{Task: id, Uid: uid},
	}})
}

// Report passes figures on.
func (l *listener) Report(r *protocol.TaskReport) {
	l.post(&protocol.Envelope{Body: &protocol.Envelope_TaskReport{TaskReport: r}})
}
