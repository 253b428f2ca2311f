package stream_test

import (
	"context"
	"errors"
	"maps"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/stream"
)

// Goal: who owns what a job started from: NO_CLAIM leaves it for ever, CLAIM removes it once it
// has been replaced, savepoint or checkpoint, and the mode of old is refused. Method: start from
// each in each mode, run to the end, look.
func TestEngineClaim(t *testing.T) {
	for _, from := range []string{"savepoint", "checkpoint"} {
		for mode, stays := range map[string]bool{"": true, "NO_CLAIM": true, "claim": false} {
			t.Run(from+" "+mode, func(t *testing.T) {
				a := newAttack()
				a.rate = 10000
				place := ""
				if from == "savepoint" {
					taken := a.savepoint(t, a.numbers, stream.SavepointOptions{Stop: true}, nil)
					a.mustEnd(t, "FINISHED")
					place = taken.Path
				} else {
					a.stopAt(a.numbers)
					a.mustStop(t)
					place = a.newest(t).Directory()
				}
				a.undisturbed()
				a.rate, a.restore = 20000, place
				a.adjust = func(e *stream.Env) {
					if mode != "" {
						e.Set("execution.savepoint-restore-mode", mode)
					}
				}
				a.mustEnd(t, "FINISHED")
				a.check(t)
				_, err := store.Read(t.Context(), a.files, place)
				if stays && err != nil || !stays && !errors.Is(err, store.ErrNoMetadata) {
					t.Errorf("afterwards: %v", err)
				}
				if left := len(a.list(t, place)); !stays && left > 0 {
					t.Errorf("%d files are left", left)
				}
			})
		}
	}
	a := newAttack()
	a.adjust = func(e *stream.Env) { e.Set("execution.state-recovery.claim-mode", "LEGACY") }
	if _, err := a.run(t, t.Context()); err == nil || !strings.Contains(err.Error(), "NO_CLAIM") {
		t.Errorf("LEGACY: %v", err)
	}
}

// Goal: savepoints by schedule are taken, and only as many of them stay as are to; those by hand
// stay too. Method: a short interval, two to keep.
func TestEngineSavepointSchedule(t *testing.T) {
	a := newAttack()
	a.rate = 6000
	taken := a.savepoint(t, 1000, stream.SavepointOptions{}, nil)
	adjust := a.adjust
	a.adjust = func(e *stream.Env) {
		adjust(e)
		e.Set("execution.savepoint.interval", "30 ms")
		e.Set("execution.savepoint.retain.last", "2")
	}
	r := a.mustEnd(t, "FINISHED")
	if r.Checkpoint < 6 {
		t.Fatalf("%+v", r)
	}
	kinds := map[bool]int{}
	for _, p := range a.list(t, savepoints) {
		if path.Base(p) == "_metadata" {
			h := a.read(t, "mem:/"+p).Meta.Header
			if kinds[h.Periodic]++; !h.Periodic && h.CheckpointId != taken.Checkpoint {
				t.Errorf("who took %d?", h.CheckpointId)
			}
		}
	}
	if d := cmp.Diff(map[bool]int{true: 2, false: 1}, kinds); d != "" {
		t.Errorf("savepoints, by schedule or not (-want +got):\n%s", d)
	}
	a.check(t)
}

// Goal: checkpoints can be asked for, and disposing asks what may go. Method: one of each kind of
// request on a job without an interval.
func TestEngineController(t *testing.T) {
	a := newAttack()
	a.interval, a.rate = "1 h", 10000
	var full, changes, again stream.CheckpointResult
	a.controlled(1000, func(c *stream.Controller) {
		ctx := context.Background()
		say := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		var err error
		full, err = c.Checkpoint(ctx, stream.CheckpointOptions{Full: true})
		say(err)
		changes, err = c.Checkpoint(ctx, stream.CheckpointOptions{})
		say(err)
		again, err = c.Checkpoint(ctx, stream.CheckpointOptions{Full: true})
		say(err)
		taken, err := c.Savepoint(ctx, stream.SavepointOptions{Format: "NATIVE"})
		say(err)
		if err := c.Dispose(ctx, again.Path); !errors.Is(err, stream.ErrNotSavepoint) {
			t.Errorf("dispose of a checkpoint: %v", err)
		}
		say(c.Dispose(ctx, taken.Path))
		if _, err := c.Savepoint(ctx, stream.SavepointOptions{Drain: true}); err == nil {
			t.Error("drained without stopping")
		}
		if _, err := c.Savepoint(ctx, stream.SavepointOptions{Format: "x"}); err == nil {
			t.Error("a format that does not exist")
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := c.Savepoint(over, stream.SavepointOptions{}); !errors.Is(
			err,
			context.Canceled,
		) {
			t.Errorf("cancelled request: %v", err)
		}
		if p := c.Progress(); p.Status != "RUNNING" || c.JobName() != "attacked" ||
			len(c.JobID()) != 32 {
			t.Errorf("%+v, %q, %q", p, c.JobName(), c.JobID())
		}
		say(c.Stop())
		<-c.Done()
		if _, err := c.Savepoint(ctx, stream.SavepointOptions{}); !errors.Is(err, stream.ErrEnded) {
			t.Errorf("after the end: %v", err)
		}
		if !errors.Is(c.Cancel(), stream.ErrEnded) || c.Progress().Status != "SUSPENDED" ||
			len(c.Checkpoints()) < 5 {
			t.Errorf("after the end: %+v, %+v", c.Progress(), c.Checkpoints())
		}
	})
	a.mustEnd(t, "SUSPENDED")
	if full.Checkpoint != 1 || changes.Checkpoint != 2 || again.Checkpoint != 3 {
		t.Errorf("%+v, %+v, %+v", full, changes, again)
	}
	if left := a.list(t, savepoints); len(left) != 0 {
		t.Errorf("left of the savepoints: %q", left)
	}
	a.undisturbed()
	a.adjust = nil
	a.mustEnd(t, "FINISHED")
	a.check(t)
}

// Goal: a start at a time takes the state of that time and leaves what is newer. Method: two
// savepoints, one by hand and the one the job is stopped with; start from the first by its time.
func TestEngineRestoreAt(t *testing.T) {
	a := newAttack()
	a.rate, a.interval = 10000, "1 h"
	first := a.savepoint(t, 2000, stream.SavepointOptions{}, func(c *stream.Controller) {
		if _, err := c.Savepoint(context.Background(),
			stream.SavepointOptions{Stop: true}); err != nil {
			t.Error(err)
		}
	})
	a.mustEnd(t, "FINISHED")
	at := a.read(t, first.Path).Meta.Header.TriggerMillis
	before := maps.Clone(rowsOf[counted](t, a, "counted"))
	a.undisturbed()
	a.adjust = func(e *stream.Env) {
		e.Set("execution.checkpointing.savepoint-dir", savepoints)
		e.RestoreAt(time.UnixMilli(at - 1))
	}
	if _, err := a.run(t, t.Context()); err == nil ||
		strings.Count(err.Error(), "mem://test/savepoints") != 2 {
		t.Errorf("before all: %v", err)
	}
	a.adjust = func(e *stream.Env) {
		e.Set("execution.checkpointing.savepoint-dir", savepoints)
		e.RestoreAt(time.UnixMilli(at))
	}
	if r := a.mustEnd(t, "FINISHED"); r.Restored != first.Checkpoint {
		t.Errorf("%+v", r)
	}
	// What came after that time comes again, and what was committed stays.
	rows := rowsOf[counted](t, a, "counted")
	if len(rows) != int(a.numbers) {
		t.Errorf("%d numbers", len(rows))
	}
	twice := 0
	for row, n := range rows {
		if twice += n - 1; n > 1 && before[row] == 0 {
			t.Errorf("%+v comes %d times", row, n)
		}
	}
	if twice == 0 {
		t.Error("nothing was committed beyond the time: nothing is tested")
	}
}

// Goal: a claim outlives the process: what was claimed goes when the job, continued by name, has
// replaced it, and may not be disposed of before. Method: claim, end after one checkpoint of three
// to be retained, continue to the end.
func TestEngineClaimContinued(t *testing.T) {
	a := newAttack()
	a.rate, a.retained = 10000, 3
	taken := a.savepoint(t, a.numbers/2, stream.SavepointOptions{Stop: true}, nil)
	a.mustEnd(t, "FINISHED")
	a.undisturbed()
	a.rate, a.restore, a.interval = 10000, taken.Path, "1 h"
	claim := func(e *stream.Env) { e.Set("execution.state-recovery.claim-mode", "CLAIM") }
	a.controlled(a.numbers/2, func(c *stream.Controller) {
		if err := c.Dispose(context.Background(), taken.Path); !errors.Is(err,
			stream.ErrSavepointInUse) {
			t.Errorf("dispose of what the job started from: %v", err)
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	adjust := a.adjust
	a.adjust = func(e *stream.Env) { adjust(e); claim(e) }
	a.mustEnd(t, "SUSPENDED")
	a.read(t, taken.Path)
	if got := a.newest(t).Meta.Header.Claimed; got != taken.Path {
		t.Errorf("the checkpoint claims %q", got)
	}
	a.undisturbed()
	a.retained, a.interval, a.adjust = 1, "3 ms", nil
	a.mustEnd(t, "FINISHED")
	a.check(t)
	if left := a.list(t, taken.Path); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
