package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/mini"
	"github.com/leat-io/leat/internal/protocol"
)

// Errors of a Controller; test with errors.Is.
var (
	// ErrEnded says that the job has ended.
	ErrEnded error = mini.ErrEnded
	// ErrSavepointInUse says that a savepoint to be disposed of is needed by a job.
	ErrSavepointInUse error = store.ErrInUse
	// ErrNotSavepoint says that what is to be disposed of is not a savepoint.
	ErrNotSavepoint error = store.ErrNotSavepoint
)

// Controller is how a program speaks to its running job, see [Env.OnStart]. It is safe for
// concurrent use and valid until the job ends; afterwards its methods return ErrEnded, or what
// there was last.
type Controller struct {
	control *mini.Control
	graph   *protocol.JobGraph
}

// OnStart calls f, in a goroutine of its own, when the job runs for the first time; not again
// after a restart. Execute waits for f to return, so f must end when the job does
// ([Controller.Done]); the methods of the controller do.
func (e *Env) OnStart(f func(c *Controller)) { e.onStart = append(e.onStart, f) }

// CanonicalFormat is the one format of savepoints: it does not depend on the state backend.
const CanonicalFormat = "CANONICAL"

// SavepointOptions say what savepoint to take.
type SavepointOptions struct {
	// Directory is below which the directory of the savepoint is made, a URI or a path. "" means
	// the configuration key execution.checkpointing.savepoint-dir.
	Directory string
	// Stop ends the job with the savepoint: its sinks commit, the status is FINISHED, and
	// "latest" continues from it.
	Stop bool
	// Drain, with Stop, ends the input first, so that all windows fire. What is continued from
	// such a savepoint drops most records as late: it is for jobs that end for good.
	Drain bool
	// Format is "" or CANONICAL. NATIVE is taken as CANONICAL, which every backend can restore.
	Format string
}

// SavepointResult is a savepoint that is complete.
type SavepointResult struct {
	Path       string // URI of its directory
	Checkpoint uint64 // its number among the checkpoints of the job
}

// CheckpointOptions say what checkpoint to take.
type CheckpointOptions struct {
	// Full asks for complete state; without, the checkpoint holds what has changed, as usual.
	Full bool
}

// CheckpointResult is a checkpoint that is complete.
type CheckpointResult struct {
	Path       string // URI of its directory
	Checkpoint uint64
}

// The values of CheckpointDetails.Status, by Flink's names.
const (
	CheckpointInProgress = "IN_PROGRESS"
	CheckpointCompleted  = "COMPLETED"
	CheckpointFailed     = "FAILED"
)

// CheckpointDetails describe a checkpoint or savepoint of this run.
type CheckpointDetails struct {
	ID uint64
	// Kind is periodic, final, stop, savepoint or stop-with-savepoint.
	Kind      string
	Status    string // IN_PROGRESS, COMPLETED or FAILED
	Triggered time.Time
	Duration  time.Duration // from trigger to completion or failure
	Bytes     int64         // written for it
	// Alignment and Pause are the longest of all tasks: waiting for the barrier on all
	// channels, and not handling records while the state version flipped.
	Alignment, Pause time.Duration
	Path             string // URI of its directory, once it is complete
	Failure          string
}

// JobID returns the id of the job, 32 hexadecimal digits.
func (c *Controller) JobID() string { return c.control.JobID() }

// JobName returns the name of the job.
func (c *Controller) JobName() string { return c.control.JobName() }

// Done is closed when the job has ended.
func (c *Controller) Done() <-chan struct{} { return c.control.Done() }

// Savepoint takes a savepoint and waits until it is complete and, with Stop, until the job has
// ended. It takes its turn: a checkpoint in progress comes first. A savepoint that fails leaves the
// job running; after Drain the job starts again from its newest checkpoint. It is not tried again.
// When ctx ends first, its error is returned; a savepoint that has begun is taken all the same.
func (c *Controller) Savepoint(
	ctx context.Context, o SavepointOptions,
) (SavepointResult, error) {
	switch o.Format {
	case "", CanonicalFormat, "canonical", "NATIVE", "native":
	default:
		return SavepointResult{}, fault.User(fmt.Errorf("stream: take savepoint: format %q: "+
			"want %s", o.Format, CanonicalFormat))
	}
	taken, err := c.control.Savepoint(ctx, mini.SavepointRequest{
		Directory: o.Directory, Stop: o.Stop, Drain: o.Drain,
	})
	if err != nil {
		return SavepointResult{}, fmt.Errorf("stream: take savepoint: %w", err)
	}
	return SavepointResult(taken), nil
}

// Checkpoint takes a checkpoint as soon as none is in progress and waits until it is complete.
func (c *Controller) Checkpoint(
	ctx context.Context, o CheckpointOptions,
) (CheckpointResult, error) {
	taken, err := c.control.Checkpoint(ctx, o.Full)
	if err != nil {
		return CheckpointResult{}, fmt.Errorf("stream: take checkpoint: %w", err)
	}
	return CheckpointResult(taken), nil
}

// Cancel ends the job without a checkpoint. It does not wait for the end.
func (c *Controller) Cancel() error { return c.control.Cancel() }

// Stop ends the job with a last checkpoint, to be continued from "latest"; the status is
// SUSPENDED. It does not wait for the end. See SavepointOptions.Stop for ending with a savepoint.
func (c *Controller) Stop() error { return c.control.Stop() }

// Progress returns a picture of the job, the last one after its end.
func (c *Controller) Progress() Progress { return progressOf(c.graph, c.control.Progress()) }

// Checkpoints returns the checkpoints and savepoints of this run, oldest first, the last 100.
func (c *Controller) Checkpoints() []CheckpointDetails {
	figures := c.control.Checkpoints()
	all := make([]CheckpointDetails, len(figures))
	for i, f := range figures {
		all[i] = CheckpointDetails(f)
	}
	return all
}

// Dispose removes a savepoint by the URI or path of its directory. It refuses what is not a
// savepoint (ErrNotSavepoint) and what this job needs (ErrSavepointInUse).
func (c *Controller) Dispose(ctx context.Context, path string) error {
	if err := c.control.Dispose(ctx, path); err != nil {
		return fmt.Errorf("stream: dispose of savepoint: %w", err)
	}
	return nil
}
