package mini

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// Pauses between attempts to commit: the first, doubled each time up to the longest.
const (
	commitPause        = 100 * time.Millisecond
	commitPauseLongest = 10 * time.Second
)

// committer is that of one sink.
type committer struct {
	uid       string
	committer connector.Committer
}

// makeCommitters replaces the committers of the attempt before.
func (w *keeper) makeCommitters(ctx context.Context, attempt uint32) error {
	if err := w.closeCommitters(); err != nil {
		w.job.Logger.Warn("closing committers failed", slog.Any("error", err))
	}
	return w.eachFactory(func(v *protocol.Vertex, o *protocol.Operator, f operator.Factory) error {
		maker, ok := f.(operator.CommitterFactory)
		if !ok {
			return nil
		}
		c, err := maker.NewCommitter(ctx, w.env(v, o, attempt))
		if err != nil {
			return fmt.Errorf("make committer of sink %q: %w", o.Uid, err)
		}
		if c != nil {
			w.committers = append(w.committers, committer{uid: o.Uid, committer: c})
		}
		return nil
	})
}

func (w *keeper) closeCommitters() error {
	var errs []error
	for _, c := range w.committers {
		if err := c.committer.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close committer of %q: %w", c.uid, err))
		}
	}
	w.committers = nil
	return errors.Join(errs...)
}

// commitPublished lets the sinks commit the checkpoint that was just published.
func (w *keeper) commitPublished(ctx context.Context, id uint64) jobmaster.Committed {
	p := w.published
	if p == nil || p.id != id {
		return jobmaster.Committed{ID: id, Err: fault.Internal(
			fmt.Errorf("checkpoint %d is to be committed and was not published", id))}
	}
	w.published = nil
	if err := w.commit(ctx, id, p.operators); err != nil {
		return jobmaster.Committed{ID: id, Err: fmt.Errorf("commit checkpoint %d: %w", id, err)}
	}
	w.markCommitted(ctx, id)
	return jobmaster.Committed{ID: id}
}

// markCommitted spares the next restore from committing again; nothing depends on it.
func (w *keeper) markCommitted(ctx context.Context, id uint64) {
	if err := w.store.MarkCommitted(ctx, id); err != nil {
		w.job.Logger.Warn("noting that a checkpoint is committed failed",
			slog.Uint64("checkpoint_id", id), slog.Any("error", err))
	}
}

// commit makes visible what the sinks prepared for a checkpoint, sink after sink.
func (w *keeper) commit(
	ctx context.Context, id uint64, operators []*protocol.OperatorState,
) error {
	for _, o := range operators {
		var prepared []connector.Committable
		for _, s := range o.Subtasks {
			for _, c := range s.Committables {
				prepared = append(prepared, connector.Committable{
					Version: c.Version, Data: c.Data,
				})
			}
		}
		if len(prepared) == 0 {
			continue
		}
		c := w.committerOf(o.Uid)
		if c == nil {
			if w.job.AllowNonRestored {
				w.job.Logger.Warn("prepared output of a sink that the job does not have is left",
					slog.String("operator", o.Uid), slog.Uint64("checkpoint_id", id))
				continue
			}
			return fault.Internal(fmt.Errorf("sink %q has prepared output and no committer", o.Uid))
		}
		if err := w.commitSink(ctx, c, id, prepared); err != nil {
			return fmt.Errorf("sink %q: %w", o.Uid, w.explainCopy(err))
		}
	}
	return nil
}

// explainCopy adds the cure when a job that was started in a copy of its checkpoint directory meets
// what the job at the original place has written since.
func (w *keeper) explainCopy(err error) error {
	if w.copied == "" || !errors.Is(err, filesystem.ErrExists) {
		return err
	}
	return fmt.Errorf(
		"%w; the checkpoints of this job were copied from %q, and a job that goes on "+
			"there writes the same: start this one from the path %q instead of %q, which makes it "+
			"a job of its own, and give it another output",
		err,
		w.copied,
		w.started.from,
		latest,
	)
}

// explainGone adds why the output that a savepoint had prepared can be gone, and the ways out.
func explainGone(err error, h *protocol.CheckpointHeader) error {
	if h.GetKind() != meta.KindSavepoint || !errors.Is(err, filesystem.ErrTokenUnknown) {
		return err
	}
	return fmt.Errorf(
		"%w; this output was prepared and not committed when the savepoint was taken, "+
			"and is gone: a job that starts again from an older checkpoint removes it, since it "+
			"writes the same records anew; start from a newer checkpoint or savepoint of that "+
			"job, or, if it has gone on beyond this one, let the sink ignore files that are "+
			"missing",
		err,
	)
}

func (w *keeper) committerOf(uid string) connector.Committer {
	for _, c := range w.committers {
		if c.uid == uid {
			return c.committer
		}
	}
	return nil
}

// commitSink repeats what may succeed later, until the job ends.
func (w *keeper) commitSink(
	ctx context.Context, c connector.Committer, id uint64, prepared []connector.Committable,
) error {
	for pause := commitPause; ; pause = min(2*pause, commitPauseLongest) {
		err := c.Commit(ctx, id, prepared)
		if err == nil || ctx.Err() != nil || fault.RetryOf(err) != fault.RetryLater {
			return err
		}
		w.job.Logger.Warn("commit failed and is tried again",
			slog.Uint64("checkpoint_id", id), slog.Duration("pause", pause),
			slog.Any("error", err))
		if clock.Sleep(ctx, w.job.Clock, pause) != nil {
			return err
		}
	}
}
