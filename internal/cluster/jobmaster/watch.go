package jobmaster

import (
	"strings"
	"time"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// slowStore is how long a checkpoint may be written or committed before a warning, unless
// the timeout of checkpoints is shorter.
const slowStore = 10 * time.Second

// stuckTask is how long a task may take to end after it was told to before a warning. Flink
// ends the process 180 s after a cancellation (task.cancellation.timeout); here nothing is
// killed.
const stuckTask = 30 * time.Second

// The steps of a checkpoint that a warning names.
const (
	stepPublish = "publish: waiting for the checkpoint store"
	stepCommit  = "commit: waiting for sinks or the checkpoint store"
)

// watch tells when something takes long, at doubling intervals. The zero watch is off.
type watch struct{ since, next time.Time }

func (w *watch) begin(now time.Time, patience time.Duration) {
	w.since, w.next = now, now.Add(patience)
}

func (w *watch) end() { *w = watch{} }

// late reports that it is time for a warning, and the time taken so far.
func (w *watch) late(now time.Time) (taken time.Duration, late bool) {
	if w.next.IsZero() || now.Before(w.next) {
		return 0, false
	}
	taken = now.Sub(w.since)
	w.next = now.Add(taken)
	return taken, true
}

// slowCheckpoint is the step of a checkpoint that is under way outside: until it is over no
// other checkpoint begins.
type slowCheckpoint struct {
	watch
	id   uint64
	step string
}

// watchStore begins a step of a checkpoint.
func (m *Master) watchStore(now time.Time, id uint64, step string) {
	patience := slowStore
	if t := m.options.Checkpoint.Timeout; t > 0 {
		patience = min(patience, t)
	}
	m.outside.id, m.outside.step = id, step
	m.outside.begin(now, patience)
}

// answered ends the step of a checkpoint.
func (m *Master) answered(id uint64) {
	if m.outside.id == id {
		m.outside.end()
	}
}

// warn tells of what takes long, and asks for the tick at which to look again. One alarm at
// a time is out: when it rings early, it is set anew.
func (m *Master) warn(now time.Time) []Effect {
	if m.phase == phaseEnded {
		return nil
	}
	var effects []Effect
	if taken, late := m.outside.late(now); late {
		effects = append(effects, Note{
			Kind: NoteCheckpointSlow, Checkpoint: m.outside.id, Attempt: m.attempt,
			Duration: taken, Reason: m.outside.step,
		})
	}
	if taken, late := m.ending.late(now); late {
		effects = append(effects, m.stuckTasks(taken)...)
	}
	if taken, late := m.starting.late(now); late {
		effects = append(effects, Note{
			Kind: NoteRestoreSlow, Attempt: m.attempt, Duration: taken, Reason: m.waitsFor(),
		})
	}
	due := earlier(m.starting.next, earlier(m.outside.next, m.ending.next))
	if due.IsZero() || m.lookAt.After(now) && !m.lookAt.After(due) {
		return effects
	}
	m.lookAt = due
	return append(effects, Arm{At: due})
}

// waitsFor says what holds the start of an attempt up.
func (m *Master) waitsFor() string {
	if m.phase == phasePreparing {
		return "waiting for the checkpoint store, the splits of sources or the commit of sinks"
	}
	var names []string
	for _, t := range m.execution.Tasks {
		if t.State != protocol.TaskState_TASK_STATE_RUNNING {
			names = append(names, m.taskName(t.ID))
		}
	}
	return "state is restored and operators are opened in " + strings.Join(names, ", ")
}

// stuckTasks names the tasks that have not ended.
func (m *Master) stuckTasks(taken time.Duration) []Effect {
	var effects []Effect
	for _, t := range m.execution.Tasks {
		if graph.IsTerminal(t.State) {
			continue
		}
		n := Note{
			Kind: NoteTaskStuck, Task: m.taskName(t.ID), Attempt: m.attempt, Duration: taken,
		}
		if m.goal == goalFinish {
			n.Kind = NoteCloseSlow
		}
		effects = append(effects, n)
	}
	return effects
}

// earlier returns the earlier of two times, of which a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
