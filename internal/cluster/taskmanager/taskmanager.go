// Package taskmanager turns messages into calls of tasks, and what tasks say into messages.
//
// Main type: [TaskManager], the role that runs tasks in this process. It decides nothing:
// jobmaster does. Messages of an older attempt or generation are void and dropped.
//
// Lifecycle: New, then Handle for every message, from one goroutine, then Close, which ends
// what still runs and returns when no goroutine of it is left. Tasks run in goroutines of
// their own and report through Config.Send from there.
//
// Semantics: Flink's TaskExecutor with as many slots as are asked for.
package taskmanager

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/task"
	"github.com/leat-io/leat/state/backend"
)

// Config is what a TaskManager needs. Backend may be nil when no task keeps keyed state.
type Config struct {
	Registry *operator.Registry
	Backend  backend.Factory
	Files    *filesystem.Registry
	Clock    clock.Clock
	Logger   *slog.Logger
	// Address is what this role is called in messages.
	Address string
	// Send delivers a message to the role named in it. It is called from many goroutines and
	// must not block.
	Send func(*protocol.Envelope)
}

// TaskManager runs the tasks of one job at a time.
type TaskManager struct {
	config  Config
	group   *lifecycle.Group
	merges  *task.MergeLimit
	attempt *attempt // newest; nil before the first deployment
}

// attempt is the tasks of one attempt of a job.
type attempt struct {
	jobID      string
	generation uint64
	number     uint32
	master     string
	exchange   *exchange.Local
	store      *stateStore
	tasks      map[graph.TaskID]*task.Task
}

// New returns a TaskManager without tasks. The end of ctx cancels all tasks.
func New(ctx context.Context, c Config) *TaskManager {
	return &TaskManager{
		config: c, group: lifecycle.NewGroup(ctx, c.Address), merges: task.NewMergeLimit(),
	}
}

// Close cancels what still runs and waits for its end. It may be called again.
func (m *TaskManager) Close() error {
	m.group.Stop()
	return m.group.Wait()
}

// Handle takes one message. Messages of one sender arrive in the order they were sent.
func (m *TaskManager) Handle(e *protocol.Envelope) {
	if !m.accepts(e) {
		m.config.Logger.Debug("void message dropped", slog.String("from", e.From),
			slog.Uint64("generation", e.Generation), slog.Any("attempt", e.Attempt))
		return
	}
	switch body := e.Body.(type) {
	case *protocol.Envelope_DeployTask:
		m.deploy(e, body.DeployTask)
	case *protocol.Envelope_CancelTask:
		m.withTask(body.CancelTask.Task, (*task.Task).Cancel)
	case *protocol.Envelope_CloseTask:
		m.withTask(body.CloseTask.Task, (*task.Task).Close)
	case *protocol.Envelope_TriggerCheckpoint:
		c := body.TriggerCheckpoint
		m.withTask(c.Task, func(t *task.Task) { t.TriggerCheckpoint(barrierOf(c)) })
	case *protocol.Envelope_CheckpointComplete:
		c := body.CheckpointComplete
		m.withTask(c.Task, func(t *task.Task) { t.CheckpointComplete(c.CheckpointId) })
	case *protocol.Envelope_CheckpointAborted:
		c := body.CheckpointAborted
		m.withTask(c.Task, func(t *task.Task) { t.CheckpointAborted(c.CheckpointId, c.Reason) })
	case *protocol.Envelope_AssignSplits:
		s := body.AssignSplits
		m.withTask(s.Task, func(t *task.Task) { t.AssignSplits(s.Uid, s.Splits, s.NoMore) })
	default:
		m.config.Logger.Warn("message of unknown kind dropped", slog.String("from", e.From),
			slog.String("type", fmt.Sprintf("%T", e.Body)))
	}
}

func barrierOf(c *protocol.TriggerCheckpoint) record.Barrier {
	b := record.Barrier{
		Checkpoint: c.CheckpointId, TriggerMillis: c.TriggerMillis, Full: c.Full,
	}
	if s := c.Savepoint; s != nil {
		b.Savepoint = &record.Savepoint{Directory: s.Directory, Stop: s.Stop, Drain: s.Drain}
	}
	return b
}

// accepts reports whether a message is of the current attempt, or deploys a newer one.
func (m *TaskManager) accepts(e *protocol.Envelope) bool {
	a := m.attempt
	_, deploys := e.Body.(*protocol.Envelope_DeployTask)
	if a == nil || e.Generation > a.generation {
		return deploys
	}
	if e.Generation < a.generation || e.JobId != a.jobID || e.Attempt < a.number {
		return false
	}
	return deploys || e.Attempt == a.number
}

// withTask calls f with a task of the current attempt. One that failed to be made has been
// reported already.
func (m *TaskManager) withTask(id *protocol.TaskID, f func(*task.Task)) {
	if t := m.attempt.tasks[graph.IDOf(id)]; t != nil {
		f(t)
	}
}

// deploy makes a task and lets it run.
func (m *TaskManager) deploy(e *protocol.Envelope, d *protocol.DeployTask) {
	if a := m.attempt; a == nil || a.generation < e.Generation || a.number < e.Attempt {
		m.begin(e, d)
	}
	a := m.attempt
	l := &listener{send: m.config.Send, from: m.config.Address, attempt: a}
	t, err := task.New(task.Config{
		Deploy: d, Registry: m.config.Registry, Backend: m.config.Backend,
		Exchange: a.exchange, Files: m.config.Files, Clock: m.config.Clock,
		Logger: m.config.Logger.With(slog.Any("attempt", a.number)),
		Store:  a.store, Listener: l, Merges: m.merges,
		Identity: task.Identity{
			JobName: d.JobName, JobID: a.jobID, Lineage: d.Lineage,
			Generation: a.generation, Attempt: a.number,
		},
	})
	if err == nil && a.tasks[graph.IDOf(d.Task)] != nil {
		err = fault.Internal(fmt.Errorf("task %s was deployed twice", graph.IDOf(d.Task)))
	}
	if err != nil {
		l.State(d.Task, protocol.TaskState_TASK_STATE_FAILED, err)
		return
	}
	a.tasks[graph.IDOf(d.Task)] = t
	run := func(ctx context.Context) error {
		// The listener has told the error; it is no failure of this role.
		_ = t.Run(ctx)
		return nil
	}
	if !m.group.Go(t.String(), run) {
		_ = run(m.group.Context()) // After Close: it ends at once, as cancelled.
	}
}

// begin replaces the attempt. The master lets an attempt begin when all tasks of the one
// before have ended; should one still run, it is cancelled and its messages are void.
func (m *TaskManager) begin(e *protocol.Envelope, d *protocol.DeployTask) {
	if m.attempt != nil {
		for _, t := range m.attempt.tasks {
			t.Cancel()
		}
	}
	m.attempt = &attempt{
		jobID: e.JobId, generation: e.Generation, number: e.Attempt, master: e.From,
		exchange: exchange.NewLocal(), tasks: map[graph.TaskID]*task.Task{},
		store: newStateStore(m.config.Files, e, d),
	}
}
