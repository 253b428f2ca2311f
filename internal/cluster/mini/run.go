package mini

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/cluster/taskmanager"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Addresses of the roles in messages.
const (
	masterAddress = "jobmaster"
	tasksAddress  = "taskmanager"
)

func (j Job) withDefaults() Job {
	if j.Logger == nil {
		j.Logger = slog.New(slog.DiscardHandler)
	}
	if j.Clock == nil {
		j.Clock = clock.Real()
	}
	j.Retained = max(j.Retained, 1)
	if j.ProgressInterval <= 0 {
		j.ProgressInterval = defaultProgressInterval
	}
	j.Logger = j.Logger.With(slog.String("job_name", j.Name))
	if j.Graph != nil {
		// The job's name counts, wherever the graph came from.
		j.Graph = &protocol.JobGraph{
			Name: j.Name, Vertices: j.Graph.Vertices, Edges: j.Graph.Edges,
		}
	}
	return j
}

func run(ctx context.Context, job Job) (*Result, error) {
	job = job.withDefaults()
	failed := &Result{Status: string(jobmaster.Failed)}
	if err := graph.Validate(job.Graph); err != nil {
		return failed, fmt.Errorf("run job %q: %w", job.Name, err)
	}
	st, err := store.Open(context.WithoutCancel(ctx), job.Files, job.CheckpointRoot, job.Name)
	if err != nil {
		return failed, fmt.Errorf("run job %q: %w", job.Name, err)
	}
	if job.SavepointInterval > 0 {
		if err := checkDirectory(job.Files, job.SavepointDirectory); err != nil {
			return failed, fmt.Errorf("run job %q: savepoints by schedule: %w", job.Name, err)
		}
	}
	st.Retain(job.Retained)
	st.Pace(job.Clock)
	// Cancelling ctx cancels the job in order, task by task, so it must not end the group.
	group := lifecycle.NewGroup(context.WithoutCancel(ctx), "job "+job.Name)
	m := newMaster(job, st, group)
	tasks := newLink()
	m.tasks = tasks
	group.Go(tasksAddress, func(ctx context.Context) error {
		return runTaskManager(ctx, job, tasks, m.inbox)
	})
	group.Go("checkpoint store", m.keeper.run)
	group.Go("sweep", m.sweeper.run)
	group.Go("progress", m.reportProgress)
	group.Go(masterAddress, func(gctx context.Context) error {
		// When the master is done, so is everybody.
		defer group.Stop()
		return m.run(gctx, ctx.Done())
	})
	err = group.Wait()
	return m.finish(context.WithoutCancel(ctx), err)
}

// runTaskManager is the shell of the role that runs tasks.
func runTaskManager(ctx context.Context, job Job, in, out *link) error {
	tm := taskmanager.New(ctx, taskmanager.Config{
		Registry: job.Registry, Backend: job.Backend, Files: job.Files, Clock: job.Clock,
		Logger: job.Logger, Address: tasksAddress, Send: out.send,
	})
	err := deliver(ctx, in, tm)
	return errors.Join(err, tm.Close())
}

func deliver(ctx context.Context, in *link, tm *taskmanager.TaskManager) error {
	for {
		messages, err := in.receive()
		if err != nil {
			return err
		}
		for _, e := range messages {
			tm.Handle(e)
		}
		select {
		case <-in.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func newMaster(job Job, st *store.Store, group *lifecycle.Group) *master {
	options := jobmaster.Options{
		Graph: job.Graph, JobName: job.Name, Settings: job.Settings, Root: st.Root(),
		Restarts: scheduler.Restarts{
			Attempts: job.Restart.Attempts, Delay: job.Restart.Delay,
		},
		Checkpoint: coordinator.Options{
			Interval: job.CheckpointInterval, MinPause: job.CheckpointMinPause,
			Timeout: job.CheckpointTimeout, TolerableFailures: job.TolerableFailures,
			SavepointInterval: job.SavepointInterval, SavepointDirectory: job.SavepointDirectory,
		},
	}
	m := &master{
		job: job, group: group, machine: jobmaster.New(options), inbox: newLink(),
		// One answer at a time: there is one piece of work at a time.
		answers:  make(chan answer, 1),
		pictures: make(chan Progress, 1),
		sweeper:  newSweeper(st, job.Logger),
		counters: &counters{},
		reports:  map[graph.TaskID]*protocol.TaskReport{},
		control:  newControl(job, st),
		waiting:  map[uint64]*waiter{},
	}
	m.keeper = &keeper{
		job: job, store: st, answers: m.answers, counters: m.counters,
		// The coordinator never has more than one thing to be done; a second place spares
		// the master from waiting while an answer is on its way.
		work: make(chan func(context.Context) answer, 2),
	}
	return m
}

// finish cleans up after all goroutines have ended.
func (m *master) finish(ctx context.Context, groupErr error) (*Result, error) {
	select {
	case a := <-m.answers: // Came too late; what it holds is to be closed.
		if a.install != nil {
			a.install(m)
		}
	default:
	}
	closeErr := errors.Join(m.splits.close(), m.keeper.closeCommitters())
	if closeErr != nil {
		m.job.Logger.Warn("closing connectors failed", slog.Any("error", closeErr))
	}
	r := m.result()
	if m.ended == nil {
		// A role broke down in a way that its master could not follow.
		r.Status = string(jobmaster.Failed)
		if groupErr == nil {
			groupErr = lifecycle.ErrStopped
		}
		return r, fmt.Errorf("run job %q: %w", m.job.Name, groupErr)
	}
	switch m.ended.Status {
	case jobmaster.Finished, jobmaster.Suspended:
		m.sweeper.last(ctx)
	case jobmaster.Failed:
		err := m.ended.Err
		if errors.Is(err, store.ErrFenced) {
			return r, fmt.Errorf("run job %q: %w: %w", m.job.Name, ErrFenced, err)
		}
		return r, fmt.Errorf("run job %q: %w", m.job.Name, err)
	}
	return r, nil
}
