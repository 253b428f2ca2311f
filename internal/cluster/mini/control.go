package mini

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
)

// ErrEnded says that the job has ended.
var ErrEnded = errors.New("the job has ended")

// SavepointDirectoryKey is the configuration key that errors name when no directory is given.
const SavepointDirectoryKey = "execution.checkpointing.savepoint-dir"

// Control is how a running job is spoken to. It is safe for concurrent use; after the end of the
// job its methods return ErrEnded or what there was last.
type Control struct {
	job      Job
	store    *store.Store
	commands chan func(*master) // taken between two inputs; unbuffered, so none is lost
	done     chan struct{}      // closed when the job has ended
	mu       struct {
		sync.Mutex
		jobID   string
		request uint64 // the newest
		// Valid once done is closed.
		last    Progress
		history []CheckpointFigures
	}
}

func newControl(job Job, st *store.Store) *Control {
	return &Control{
		job: job, store: st, commands: make(chan func(*master)), done: make(chan struct{}),
	}
}

// SavepointRequest is what to take.
type SavepointRequest struct {
	Directory string // below which it is made; "" = that of the job
	Stop      bool   // end the job with it
	Drain     bool   // with Stop: end the input first, so that windows fire
}

// Taken is a completed checkpoint or savepoint.
type Taken struct {
	Path       string // URI of its directory
	Checkpoint uint64
}

// waiter is somebody who waits for an answer.
type waiter struct {
	reply chan reply // has room for one
	stop  bool       // it is given when the job has ended
	held  *reply
}

type reply struct {
	taken Taken
	err   error
}

// Done is closed when the job has ended.
func (c *Control) Done() <-chan struct{} { return c.done }

// JobName returns the name of the job.
func (c *Control) JobName() string { return c.job.Name }

// JobID returns the id of the job.
func (c *Control) JobID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.jobID
}

// do lets the master call f.
func (c *Control) do(ctx context.Context, f func(*master)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ran := make(chan struct{})
	command := func(m *master) {
		defer close(ran)
		f(m)
	}
	select {
	case c.commands <- command:
		<-ran
		return nil
	case <-c.done:
		return ErrEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Savepoint takes a savepoint and waits until it is complete and, with Stop, until the job has
// ended with it. When ctx ends first, one that has begun is taken all the same.
func (c *Control) Savepoint(ctx context.Context, r SavepointRequest) (Taken, error) {
	request := coordinator.Request{
		Kind: coordinator.KindSavepoint, Full: true, Drain: r.Drain, Directory: r.Directory,
	}
	if r.Stop {
		request.Kind = coordinator.KindStopSavepoint
	}
	if request.Directory == "" {
		request.Directory = c.job.SavepointDirectory
	}
	if r.Drain && !r.Stop {
		return Taken{}, fault.User(errors.New("only a job that stops can be drained"))
	}
	if err := checkDirectory(c.job.Files, request.Directory); err != nil {
		return Taken{}, err
	}
	return c.take(ctx, request)
}

// Checkpoint takes a checkpoint now and waits until it is complete; full asks for complete state.
func (c *Control) Checkpoint(ctx context.Context, full bool) (Taken, error) {
	return c.take(ctx, coordinator.Request{Kind: coordinator.KindPeriodic, Full: full})
}

func checkDirectory(files *filesystem.Registry, directory string) error {
	if directory == "" {
		return fault.User(fmt.Errorf("no directory for savepoints is given, and %q is not set",
			SavepointDirectoryKey))
	}
	if _, _, err := files.Resolve(directory); err != nil {
		return fault.User(fmt.Errorf("find savepoint directory: %w", err))
	}
	return nil
}

func (c *Control) take(ctx context.Context, r coordinator.Request) (Taken, error) {
	c.mu.Lock()
	c.mu.request++
	r.ID = c.mu.request
	c.mu.Unlock()
	w := &waiter{reply: make(chan reply, 1), stop: r.Kind == coordinator.KindStopSavepoint}
	err := c.do(ctx, func(m *master) {
		m.waiting[r.ID] = w
		m.step(jobmaster.Take{Request: r})
	})
	if err != nil {
		return Taken{}, err
	}
	select {
	case got := <-w.reply:
		return got.taken, got.err
	case <-ctx.Done():
	}
	_ = c.do(context.WithoutCancel(ctx), func(m *master) {
		delete(m.waiting, r.ID)
		m.step(jobmaster.Forget{Request: r.ID})
	})
	return Taken{}, context.Cause(ctx)
}

// Cancel ends the job without a checkpoint. It does not wait for the end.
func (c *Control) Cancel() error {
	return c.do(context.Background(), func(m *master) { m.step(jobmaster.Cancel{}) })
}

// Stop ends the job with a last checkpoint. It does not wait for the end.
func (c *Control) Stop() error {
	return c.do(context.Background(), func(m *master) { m.step(jobmaster.Stop{}) })
}

// Progress returns a picture of the job, the last one after its end.
func (c *Control) Progress() Progress {
	var p Progress
	if c.do(context.Background(), func(m *master) { p = m.picture() }) == nil {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last
}

// Checkpoints returns the newest checkpoints and savepoints of this run, oldest first.
func (c *Control) Checkpoints() []CheckpointFigures {
	var all []CheckpointFigures
	if c.do(context.Background(), func(m *master) { all = m.history.copy() }) == nil {
		return all
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.history
}

// Dispose removes a savepoint. It refuses what is not one, and what a job needs.
func (c *Control) Dispose(ctx context.Context, place string) error {
	needed := ""
	err := c.do(ctx, func(m *master) {
		if m.last.id == 0 {
			needed = m.started.from
		}
		if t := m.target; m.history.inProgress(t.checkpoint) {
			needed = t.directory
		}
	})
	if err != nil {
		return err
	}
	return store.Dispose(ctx, c.job.Files, place, func(found *store.Found) error {
		if found.Directory() == needed {
			return fmt.Errorf("%w: job %q started from it and has completed no checkpoint since",
				store.ErrInUse, c.job.Name)
		}
		return c.store.InUse(ctx, found)
	})
}

// answer passes on what became of a request.
func (m *master) answer(a jobmaster.Answer) {
	w := m.waiting[a.Request]
	if w == nil {
		return
	}
	r := reply{taken: Taken{Checkpoint: a.Checkpoint}, err: a.Err}
	if a.Checkpoint != 0 {
		r.taken.Path = m.keeper.store.CheckpointDir(a.Checkpoint)
		if a.Checkpoint == m.target.checkpoint {
			r.taken.Path = m.target.directory
		}
	}
	if a.Err != nil {
		where := r.taken.Path
		r.taken = Taken{}
		if where != "" {
			r.err = fmt.Errorf("take %q: %w", where, a.Err)
		}
	} else if w.stop {
		w.held = &r
		return
	}
	delete(m.waiting, a.Request)
	w.reply <- r
}

// endControl answers everybody who still waits.
func (m *master) endControl() {
	failure := ErrEnded
	ended := m.ended
	if ended != nil {
		failure = fmt.Errorf("%w as %s", ErrEnded, ended.Status)
		if ended.Err != nil {
			failure = fmt.Errorf("%w: %w", failure, ended.Err)
		}
	}
	c := m.control
	c.mu.Lock()
	c.mu.last, c.mu.history = m.picture(), m.history.copy()
	c.mu.Unlock()
	close(c.done)
	for _, w := range m.waiting {
		switch {
		case w.held == nil:
			w.reply <- reply{err: failure}
		case ended == nil || ended.Status != jobmaster.Finished:
			w.reply <- reply{err: fmt.Errorf("savepoint %q is complete, but %w",
				w.held.taken.Path, failure)}
		default:
			w.reply <- *w.held
		}
	}
}

// showStart calls OnStart when the job runs for the first time.
func (m *master) showStart(s jobmaster.Status) {
	if s != jobmaster.Running || m.shown {
		return
	}
	m.shown = true
	m.control.mu.Lock()
	m.control.mu.jobID = m.started.jobID
	m.control.mu.Unlock()
	for _, f := range m.job.OnStart {
		m.group.Go("on start", func(context.Context) error {
			f(m.control)
			return nil
		})
	}
}

// savepointTaken does what follows from a completed savepoint.
func (m *master) savepointTaken(e jobmaster.SavepointTaken) {
	if e.Request.Kind == coordinator.KindStopSavepoint {
		m.last = checkpointFigures{id: e.ID, savepoint: m.target.directory}
	}
	if e.Request.ID != 0 || m.job.SavepointRetention.IsZero() {
		return
	}
	base, retention, logger := m.job.SavepointDirectory, m.job.SavepointRetention, m.job.Logger
	spared := ""
	if m.last.id == 0 {
		spared = m.started.from // A restart goes back to it.
	}
	m.sweeper.later(func(ctx context.Context, g store.Generation) {
		removed, err := m.sweeper.store.PruneSavepoints(ctx, g, base, retention, spared)
		for _, uri := range removed {
			logger.Info("old savepoint removed", slog.String("path", uri))
		}
		if err != nil && ctx.Err() == nil {
			logger.Warn("removing old savepoints failed", slog.Any("error", err))
		}
	})
}

// discard removes what a failed savepoint has left.
func (m *master) discard(n jobmaster.Note) {
	if n.Path == "" {
		return
	}
	logger := m.job.Logger
	m.sweeper.later(func(ctx context.Context, _ store.Generation) {
		if err := m.sweeper.store.DiscardSavepoint(ctx, n.Path); err != nil && ctx.Err() == nil {
			logger.Warn("a savepoint that failed leaves files behind",
				slog.String("path", n.Path), slog.Any("error", err))
		}
	})
}

// replaceClaimed removes what the job has claimed once enough checkpoints of its own are there.
func (m *master) replaceClaimed() {
	uri := m.started.claimed
	if m.replaced++; uri == "" || m.replaced < m.job.Retained {
		return
	}
	m.started.claimed = ""
	logger := m.job.Logger
	m.sweeper.later(func(ctx context.Context, g store.Generation) {
		// To the end, also when the job ends meanwhile: half of it would be of no use to anybody.
		err := m.sweeper.store.DisposeClaimed(context.WithoutCancel(ctx), g, uri)
		switch {
		case err != nil:
			logger.Warn("what the job started from and has claimed stays",
				slog.String("path", uri), slog.Any("error", err))
		default:
			logger.Info("what the job started from and has claimed is removed",
				slog.String("path", uri))
		}
	})
}
