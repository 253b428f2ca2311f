package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/runtime/barrier"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/gate"
	"github.com/leat-io/leat/internal/runtime/mailbox"
)

// Task is one subtask of a chain of operators. Its fields belong to the goroutine of Run,
// but for those said to be safe.
type Task struct {
	config      Config
	deploy      *protocol.DeployTask
	id          *protocol.TaskID
	subtask     int
	parallelism int
	logger      *slog.Logger

	// ctx bounds everything the task does. It is ended by Cancel and by the end of Run.
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   mailbox.Wake
	mail   *mailbox.Mailbox
	group  *lifecycle.Group // report and checkpoint writers
	gate   *gate.Gate       // nil for a source
	chain  chain
	alarms alarms

	aligner    *barrier.Aligner
	watermarks *eventtime.Minimum // nil for a source
	linksLeft  int                // links without end of data
	ended      bool               // end of data was passed on
	closing    bool               // the letter of Close was read
	suspended  uint64             // the savepoint to stop with that was begun; 0 = none
	lastFlush  int64              // clock.Monotonic
	flushEvery int64              // nanoseconds

	alignStart int64    // when the first barrier of the pending checkpoint came
	ongoing    *writing // the checkpoint being copied or written; nil when none
	completed  uint64   // newest checkpoint known to be complete
	aborts     aborts   // safe for concurrent use
	merges     merges

	// Safe for concurrent use.
	failure    operator.Failure
	counters   operator.Counters
	times      times
	recordsIn  atomic.Uint64
	watermark  atomic.Int64
	stateBytes atomic.Int64
}

// errCancelled is the cause of a context ended by Cancel, errEnded of one whose task has
// ended.
var (
	errCancelled = errors.New("task cancelled")
	errEnded     = errors.New("task ended")
)

// New connects a task to its channels. Run must be called, also when the task is to be
// cancelled.
func New(c Config) (*Task, error) {
	t := &Task{
		config: c, deploy: c.Deploy, id: c.Deploy.Task,
		subtask: int(c.Deploy.Task.Subtask), parallelism: int(c.Deploy.Vertex.Parallelism),
	}
	if t.subtask >= t.parallelism {
		return nil, fmt.Errorf("task: make %q: subtask %d of %d",
			c.Deploy.Vertex.Name, t.subtask, t.parallelism)
	}
	if t.logger = c.Logger; t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	t.logger = t.logger.With(slog.String("task", c.Deploy.Vertex.Name),
		slog.Int("subtask", t.subtask))
	timeout, err := BufferTimeout.Get(config.SettingsOf(c.Deploy.Settings))
	if err != nil {
		return nil, fmt.Errorf("task: make %s: %w", t, err)
	}
	t.flushEvery = int64(timeout)
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	if err := t.connect(); err != nil {
		return nil, fmt.Errorf("task: make %s: %w", t, err)
	}
	t.mail = mailbox.New(t.wake)
	t.watermark.Store(int64(eventtime.None))
	return t, nil
}

// String names the task in errors: "count" (2/4).
func (t *Task) String() string {
	return fmt.Sprintf("%q (%d/%d)", t.deploy.Vertex.Name, t.subtask+1, t.parallelism)
}

func (t *Task) connect() error {
	d := t.deploy
	links := 1
	if len(d.Inputs) == 0 {
		t.wake = mailbox.NewWake()
	} else {
		g, err := t.config.Exchange.Gate(d.Task, d.Inputs, d.Parallelism)
		if err != nil {
			return err
		}
		t.gate, t.wake, links = g, g.Wake(), g.Len()
		t.watermarks = eventtime.NewMinimum(links)
	}
	t.linksLeft = links
	t.aligner = barrier.NewAligner(links)
	o := &outputs{}
	sending := exchange.Sending{Done: t.ctx.Done(), Waiting: &t.times}
	for _, edge := range d.Outputs {
		p, err := t.config.Exchange.Partition(edge, d.Task.Subtask, d.Parallelism[edge.To], sending)
		if err != nil {
			return err
		}
		o.partitions = append(o.partitions, p)
	}
	t.chain.outputs = o
	return nil
}

// Run runs the task to its end. It is called once, and returns the error that the Listener
// got with FAILED, nil for FINISHED and CANCELED. The end of ctx cancels the task.
func (t *Task) Run(ctx context.Context) error {
	if ctx.Err() != nil {
		t.cancel(context.Cause(ctx))
	}
	forget := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
	defer forget()
	t.times.enter(busy)
	t.group = lifecycle.NewGroup(t.ctx, t.String())
	t.group.Go("report", t.report)
	t.config.Listener.State(t.id, protocol.TaskState_TASK_STATE_INITIALIZING, nil)
	err := protect(t.run)
	cancelled := err != nil && t.ctx.Err() != nil
	if errClose := t.shutdown(); errClose != nil && err != nil {
		t.logger.Warn("closing a failed task failed", slog.Any("error", errClose))
	} else if errClose != nil {
		err = errClose
	}
	if stack := fault.StackOf(err); stack != nil {
		// The error names the place only; this is the way there.
		t.logger.Debug("panic in task", slog.String("stack", string(stack)))
	}
	t.cancel(errEnded)
	state := protocol.TaskState_TASK_STATE_FINISHED
	switch {
	case cancelled:
		// What failed on the way out failed because of it.
		state, err = protocol.TaskState_TASK_STATE_CANCELED, nil
	case err != nil:
		state, err = protocol.TaskState_TASK_STATE_FAILED, fmt.Errorf("task %s: %w", t, err)
	}
	t.config.Listener.Report(t.figures())
	t.logger.Info("task ended", slog.String("state", state.String()))
	t.config.Listener.State(t.id, state, err)
	return err
}

// protect is the one place where a panic in a task is recovered.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fault.FromPanic(v, debug.Stack())
		}
	}()
	return f()
}

// run is everything up to the closing of operators.
func (t *Task) run() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	if err := t.build(); err != nil {
		return err
	}
	if err := t.restore(t.ctx); err != nil {
		return err
	}
	t.config.Listener.State(t.id, protocol.TaskState_TASK_STATE_RUNNING, nil)
	t.logger.Info("task running")
	return t.loop()
}

// shutdown ends everything the task has. Nothing of it runs afterwards.
func (t *Task) shutdown() error {
	if t.gate != nil {
		t.gate.Close()
	}
	t.mail.Close()
	t.group.Stop()
	errs := []error{t.group.Wait()}
	t.alarms.stop()
	t.release()
	for _, l := range t.chain.links {
		if l.operator == nil {
			continue
		}
		if err := protect(l.operator.Close); err != nil {
			errs = append(errs, fmt.Errorf("close operator %q: %w", l.name, err))
		}
	}
	if t.chain.keyed != nil {
		errs = append(errs, t.chain.keyed.Close())
	}
	return errors.Join(errs...)
}
