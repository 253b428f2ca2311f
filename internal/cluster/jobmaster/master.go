// Package jobmaster runs one job: its status, its tasks, its attempts, its checkpoints.
//
// Main type: [Master], a pure step function: [Master.Step] takes the time and one [Input] and
// returns [Effect]s to be carried out in order. It has no goroutine, no clock, no randomness
// and does no I/O. Its shell (internal/cluster/mini) moves messages, keeps the store, calls
// enumerators and committers. When to take a checkpoint is the coordinator's decision
// (internal/checkpoint/coordinator), what state goes where the scheduler's
// (internal/cluster/scheduler). Not safe for concurrent use.
//
// Life of an attempt: (1) preparing: the shell finds and checks the checkpoint, commits it
// again, makes enumerators; (2) deploying: all tasks are sent out at once; (3) running: all
// tasks have reported RUNNING, checkpoints begin; (4) stopping: tasks are cancelled, or
// closed after the final checkpoint, for a goal; (5) idle until the restart delay is over, or
// the job has ended. A failed task always ends the whole attempt.
//
// Semantics: Flink's JobMaster and DefaultScheduler with one failover region.
package jobmaster

import (
	"slices"
	"time"

	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Options are the facts and rules of one job.
type Options struct {
	Graph      *protocol.JobGraph // valid
	JobName    string
	Settings   map[string]string
	Root       string // URI below which tasks write state
	Restarts   scheduler.Restarts
	Checkpoint coordinator.Options // but for what Prepared tells
}

// phase is where an attempt is.
type phase uint8

const (
	phaseNew phase = iota
	phasePreparing
	phaseDeploying
	phaseRunning
	phaseStopping
	phaseIdle // nothing runs: waiting for the delay of a restart
	phaseEnded
)

// goal is what comes when the tasks of an attempt have ended.
type goal uint8

const (
	goalNone goal = iota
	goalFinish
	goalSuspend
	goalRestart
	goalCancel
	goalFail
)

// Master is the decider about one job.
type Master struct {
	options  Options
	restarts scheduler.Restarts

	status    Status
	phase     phase
	goal      goal
	attempt   uint32 // from 1
	execution *graph.Execution
	failure   error // the newest cause of a failed attempt
	restartAt time.Time
	stopping  bool // Stop was asked for
	finishing bool // the final checkpoint was asked for
	// early are requests that came before there was a coordinator.
	early []coordinator.Request

	coordinator *coordinator.Coordinator // nil before the first attempt is prepared
	triggered   time.Time                // of the newest checkpoint
	triggerKind coordinator.Kind
	stateBytes  int64
	// alignment and pause are the longest of the tasks so far, in microseconds.
	alignment, pause int64
	cause            error // behind the input being handled, for FailJob

	outside  slowCheckpoint
	starting watch     // of an attempt, until all its tasks run
	ending   watch     // of the tasks of an attempt that were told to end
	lookAt   time.Time // of the newest alarm that warn asked for
}

// New returns a master that waits for Start.
func New(o Options) *Master {
	return &Master{options: o, restarts: o.Restarts, status: Initializing}
}

// Status is the job's status.
func (m *Master) Status() Status { return m.status }

// Attempt is the number of the current attempt, from 1; 0 before Start.
func (m *Master) Attempt() uint32 { return m.attempt }

// Execution is the current attempt; nil before it is deployed. Read only.
func (m *Master) Execution() *graph.Execution { return m.execution }

// Started reports that the job got as far as deploying tasks.
func (m *Master) Started() bool { return m.coordinator != nil }

// RestartCount is how often the job was started again.
func (m *Master) RestartCount() int { return m.restarts.Used }

// Step takes one input and returns what is to be done, in order.
func (m *Master) Step(now time.Time, in Input) []Effect {
	if m.phase == phaseEnded {
		return nil
	}
	m.cause = nil
	effects := m.take(now, in)
	effects = append(effects, m.proceed(now)...)
	effects = append(effects, m.warn(now)...)
	for i, e := range effects {
		if n, ok := e.(Note); ok {
			n.At = now
			effects[i] = n
		}
	}
	return effects
}

func (m *Master) take(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case Start:
		return m.prepare(now)
	case Tick:
		return m.coordinate(now, coordinator.Tick{})
	case Prepared:
		return m.prepared(now, in)
	case FromTask:
		return m.fromTask(now, in.Message)
	case SplitsFailed:
		return m.splitsFailed(now, in)
	case TriggerFailed:
		return m.coordinate(now, coordinator.Decline{
			Task: "jobmaster", Checkpoint: in.ID, Reason: in.Err.Error(),
		})
	case Published:
		m.cause = in.Err
		m.answered(in.ID)
		return m.coordinate(now, coordinator.Published{
			ID: in.ID, Outcome: in.Outcome, Reason: reasonOf(in.Err),
		})
	case Committed:
		m.cause = in.Err
		m.answered(in.ID)
		effects := m.coordinate(now, coordinator.Committed{ID: in.ID, Reason: reasonOf(in.Err)})
		if in.Err == nil {
			note := Note{Kind: NoteCheckpointCommitted, Checkpoint: in.ID}
			effects = append([]Effect{note}, effects...)
		}
		return effects
	case Take:
		return m.ask(now, in.Request)
	case Forget:
		m.early = slices.DeleteFunc(m.early, func(r coordinator.Request) bool {
			return r.ID == in.Request
		})
		return m.coordinate(now, coordinator.Forget{Request: in.Request})
	case Stop:
		return m.stop(now)
	case Cancel:
		return m.cancel(now)
	case RoleFailed:
		m.failure = in.Err
		m.phase, m.goal = phaseIdle, goalFail
		return m.change(Failing)
	}
	return nil
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// prepare begins the next attempt.
func (m *Master) prepare(now time.Time) []Effect {
	m.attempt++
	m.starting.begin(now, slowStore)
	m.phase, m.goal, m.execution, m.finishing = phasePreparing, goalNone, nil, false
	p := Prepare{Attempt: m.attempt}
	if m.coordinator != nil && m.coordinator.Completed() {
		p.Checkpoint = m.coordinator.Latest()
	}
	return []Effect{p}
}

// prepared deploys the attempt.
func (m *Master) prepared(now time.Time, in Prepared) []Effect {
	if m.phase != phasePreparing || in.Attempt != m.attempt {
		return nil
	}
	if in.Err != nil {
		return m.fail(now, in.Err, m.coordinator == nil || in.Final)
	}
	var effects []Effect
	if m.coordinator == nil {
		effects = m.change(Created)
		o := m.options.Checkpoint
		o.NextID, o.Full, o.Restored = in.NextID, in.Full, 0
		if in.Checkpoint != nil {
			o.Restored = in.Checkpoint.Header.CheckpointId
		}
		m.coordinator = coordinator.New(o)
		for _, r := range m.early {
			m.coordinator.Step(now, coordinator.Take{Request: r})
		}
		m.early = nil
		if m.stopping {
			m.coordinator.Step(now, coordinator.TriggerNow{Kind: coordinator.KindStop})
		}
	}
	effects = append(effects, m.change(Running)...)
	m.phase = phaseDeploying
	m.starting.begin(now, stuckTask)
	m.execution = graph.NewExecution(m.options.Graph, m.attempt)
	start := scheduler.Start{
		Checkpoint: in.Checkpoint, URI: in.URI, Settings: m.options.Settings,
		JobName: m.options.JobName, Lineage: in.Lineage, Root: m.options.Root,
	}
	for i, d := range scheduler.Deployments(m.execution, start) {
		m.execution.Tasks[i].State = protocol.TaskState_TASK_STATE_DEPLOYING
		effects = append(effects, m.send(&protocol.Envelope{
			Body: &protocol.Envelope_DeployTask{DeployTask: d},
		}))
	}
	return effects
}

// stop asks for a last checkpoint. When nothing runs there is nothing to save that is not
// saved.
func (m *Master) stop(now time.Time) []Effect {
	if m.stopping || m.goal == goalCancel || m.goal == goalFail {
		return nil
	}
	m.stopping = true
	effects := []Effect{Note{Kind: NoteStopping, Attempt: m.attempt}}
	if m.coordinator == nil {
		return effects // The first attempt begins with it.
	}
	return append(effects,
		m.coordinate(now, coordinator.TriggerNow{Kind: coordinator.KindStop})...)
}

func (m *Master) cancel(now time.Time) []Effect {
	if m.goal == goalCancel || m.goal == goalFail {
		return nil
	}
	effects := m.change(Cancelling)
	return append(effects, m.endAttempt(now, goalCancel)...)
}

// fail ends the attempt because of err. final means that no restart helps.
func (m *Master) fail(now time.Time, err error, final bool) []Effect {
	switch m.goal {
	case goalFail, goalCancel, goalSuspend:
		return nil // What fails on the way out does not matter any more.
	case goalFinish:
		// All work is committed: another attempt would have nothing to do but close.
		return []Effect{Note{Kind: NoteCloseFailed, Attempt: m.attempt, Reason: err.Error()}}
	case goalRestart:
		if !final {
			return nil
		}
	}
	m.failure = err
	if final {
		effects := m.change(Failing)
		return append(effects, m.endAttempt(now, goalFail)...)
	}
	effects := []Effect{Note{Kind: NoteFailure, Attempt: m.attempt, Reason: err.Error()}}
	return append(effects, m.endAttempt(now, goalRestart)...)
}

// endAttempt cancels what runs; proceed does the rest once all tasks have ended.
func (m *Master) endAttempt(now time.Time, g goal) []Effect {
	if m.phase != phaseStopping || m.goal == goalFinish {
		m.ending.begin(now, stuckTask)
	}
	m.goal = g
	m.starting.end()
	var effects []Effect
	if g == goalRestart {
		effects = m.planRestart(now)
	}
	switch m.phase {
	case phaseDeploying, phaseRunning, phaseStopping:
		m.phase = phaseStopping
		effects = append(effects, m.coordinate(now, coordinator.TasksStopped{})...)
		for _, t := range m.execution.Tasks {
			if !graph.IsTerminal(t.State) {
				t.State = protocol.TaskState_TASK_STATE_CANCELING
				effects = append(effects, m.send(&protocol.Envelope{
					Body: &protocol.Envelope_CancelTask{
						CancelTask: &protocol.CancelTask{Task: t.ID.Proto()},
					},
				}))
			}
		}
	default:
		m.phase = phaseIdle
	}
	return effects
}

// planRestart asks the restart strategy.
func (m *Master) planRestart(now time.Time) []Effect {
	delay, again := m.restarts.Next()
	if !again {
		m.goal = goalFail
		return m.change(Failing)
	}
	m.restartAt = now.Add(delay)
	restarting := Note{
		Kind: NoteRestarting, Attempt: m.attempt + 1, Restarts: m.restarts.Used, Duration: delay,
	}
	return append(m.change(Restarting), restarting, Arm{At: m.restartAt})
}

// proceed goes on when the tasks of the attempt have ended.
func (m *Master) proceed(now time.Time) []Effect {
	if m.phase == phaseStopping && m.execution.All(func(t *graph.Task) bool {
		return graph.IsTerminal(t.State)
	}) {
		m.phase = phaseIdle
	}
	if m.phase != phaseIdle {
		return nil
	}
	m.ending.end()
	switch m.goal {
	case goalFinish:
		return m.end(Finished, nil)
	case goalSuspend:
		return m.end(Suspended, nil)
	case goalCancel:
		return m.end(Canceled, nil)
	case goalFail:
		return append(m.change(Failing), m.end(Failed, m.failure)...)
	case goalRestart:
		return m.restart(now)
	}
	return nil
}

// restart begins the next attempt when its time has come. A checkpoint on its way into the
// store is waited for: the attempt starts from it. A job that is to stop has nothing to save
// beyond its newest checkpoint, and ends here.
func (m *Master) restart(now time.Time) []Effect {
	if m.coordinator != nil && !m.coordinator.Settled() {
		return nil
	}
	if m.stopping {
		return m.end(Suspended, nil)
	}
	if now.Before(m.restartAt) {
		return nil
	}
	return m.prepare(now)
}

func (m *Master) end(s Status, err error) []Effect {
	m.phase = phaseEnded
	return append(m.change(s), End{Status: s, Err: err})
}
