package task

import (
	"context"
	"log/slog"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/state/run"
)

// MergeLimit lets one merge of state files run at a time, so that records keep the processors.
type MergeLimit struct{ slot chan struct{} } // with room for the one that runs

// NewMergeLimit returns a limit to be shared by the tasks of a process.
func NewMergeLimit() *MergeLimit { return &MergeLimit{slot: make(chan struct{}, 1)} }

// enter waits for the turn of the caller. It returns false when ctx ends first.
func (l *MergeLimit) enter(ctx context.Context) bool {
	select {
	case l.slot <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *MergeLimit) leave() { <-l.slot }

// merges is the merging of the task's run lists, which goes on beside its checkpoints in a
// goroutine of its own:
//
//  1. idle, until a checkpoint is confirmed;
//  2. waiting for the turn of this task;
//  3. merging: one object after the other, until nothing is worth it or the budget of that
//     checkpoint is used up; then idle again.
//
// What it wrote joins the next checkpoint. It fails alone: the lists stay as they are, and the
// next checkpoint wakes it again. It ends with the group of the task.
type merges struct {
	wake   chan struct{} // with room for one wake-up; nil before the first
	failed bool          // last time; belongs to the goroutine
}

// wakeMerges says that a checkpoint was confirmed.
func (t *Task) wakeMerges() {
	m := &t.merges
	if m.wake == nil {
		m.wake = make(chan struct{}, 1)
		if t.config.Merges == nil {
			t.config.Merges = NewMergeLimit()
		}
		t.group.Go("merge runs", t.mergeRuns)
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (t *Task) mergeRuns(ctx context.Context) error {
	for {
		select {
		case <-t.merges.wake:
		case <-ctx.Done():
			return nil
		}
		for more := true; more; {
			if !t.config.Merges.enter(ctx) {
				return nil
			}
			more = t.mergeOnce(ctx)
			t.config.Merges.leave()
		}
	}
}

// mergeOnce does the most urgent merge and reports whether there may be another.
func (t *Task) mergeOnce(ctx context.Context) bool {
	m := &t.merges
	plan := t.chain.lists.NextMerge()
	if plan == nil {
		return false
	}
	from := clock.Monotonic()
	var stats run.MergeStats
	err := protect(func() (err error) {
		pace := &pace{ctx: ctx, share: shareOf(plan.Urgency), since: from}
		stats, err = plan.Run(ctx, run.MergeEnv{
			Open:      t.config.Store.OpenWritten,
			Uploader:  uploader{store: t.config.Store, checkpoint: plan.JoinBy(), task: t.id},
			Expiry:    t.expiry(),
			NowMillis: t.config.Clock.Now().UnixMilli(),
			Pause:     pace.pause,
		})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		m.failed = false
		t.logger.Debug("state files merged", slog.Int("runs", stats.Runs),
			slog.Int64("rows", stats.Rows), slog.Int64("bytes", stats.WrittenBytes),
			slog.Duration("duration", time.Duration(clock.Monotonic()-from)))
		return true
	}
	level := slog.LevelWarn
	if m.failed {
		level = slog.LevelDebug // Said once.
	}
	m.failed = true
	t.logger.Log(ctx, level, "merging state files failed; they stay as they are",
		slog.Any("error", err))
	return false
}

// pace keeps a merge to a share of one processor.
type pace struct {
	ctx   context.Context // ends the merge
	share float64
	since int64 // clock.Monotonic when it went on
}

// workNanos is how long a merge works before it rests: shorter than what a record may wait.
const workNanos = 1_000_000

// shareOf is the share of one processor that a merge may take.
func shareOf(urgency float64) float64 {
	switch {
	case urgency < 2:
		return 0.25
	case urgency < 3:
		return 0.5
	}
	return 1
}

// pause is called every few hundred rows.
func (p *pace) pause() error {
	worked := clock.Monotonic() - p.since
	if worked < workNanos || p.share >= 1 {
		return context.Cause(p.ctx)
	}
	rest := time.Duration(float64(worked) * (1/p.share - 1))
	// The machine's clock, whatever clock the job has: it is about the machine.
	err := clock.Sleep(p.ctx, clock.Real(), rest)
	p.since = clock.Monotonic()
	return err
}

// expiry is by what rules rows of the task's keyed state outlive their use.
func (t *Task) expiry() run.Expiry {
	return run.ExpiryOf(t.deploy.Vertex.Operators[0].Descriptors)
}
