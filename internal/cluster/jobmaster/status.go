package jobmaster

import (
	"slices"

	"github.com/leat-io/leat/internal/base/invariant"
)

// Status is the status of a job, by Flink's names.
type Status string

// The statuses.
const (
	Initializing Status = "INITIALIZING"
	Created      Status = "CREATED"
	Running      Status = "RUNNING"
	Failing      Status = "FAILING"
	Failed       Status = "FAILED"
	Cancelling   Status = "CANCELLING"
	Canceled     Status = "CANCELED"
	Finished     Status = "FINISHED"
	Restarting   Status = "RESTARTING"
	Suspended    Status = "SUSPENDED"
)

// IsTerminal reports whether the job has ended for this master.
func (s Status) IsTerminal() bool { return len(transitions[s]) == 0 }

// transitions are the statuses that may follow. Semantics: Flink's JobStatus; SUSPENDED
// comes after a stop that left the job to be continued.
var transitions = map[Status][]Status{
	Initializing: {Created, Failing, Failed, Cancelling, Suspended},
	Created:      {Running, Failing, Cancelling, Suspended},
	Running:      {Failing, Cancelling, Finished, Restarting, Suspended},
	Restarting:   {Running, Failing, Cancelling, Suspended},
	Failing:      {Failed},
	Cancelling:   {Canceled, Failing},
	Failed:       nil,
	Canceled:     nil,
	Finished:     nil,
	Suspended:    nil,
}

// change moves the job to another status.
func (m *Master) change(to Status) []Effect {
	if m.status == to {
		return nil
	}
	invariant.Check(slices.Contains(transitions[m.status], to),
		"job status changes from %s to %s", m.status, to)
	n := Note{
		Kind: NoteStatus, From: m.status, To: to, Attempt: m.attempt, Restarts: m.restarts.Used,
	}
	if m.failure != nil && (to == Failing || to == Failed || to == Restarting) {
		n.Reason = m.failure.Error()
	}
	m.status = to
	return []Effect{n}
}
