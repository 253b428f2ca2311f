package stream_test

import (
	"context"
	"errors"
	"path"
	"testing"

	"github.com/leat-io/leat/stream"
)

// Goal: the retention of savepoints by schedule spares the one that the job was started from until
// a checkpoint has replaced it: a failure before that goes back to it. Method: start from a
// savepoint of the schedule, keep one only, take others by schedule, fail, and look what is left
// once a checkpoint has completed.
func TestEnginePrunedStart(t *testing.T) {
	a := newAttack()
	a.rate, a.interval = 6000, "1 h"
	schedule := func(e *stream.Env) {
		e.Set("execution.checkpointing.savepoint-dir", savepoints)
		e.Set("execution.savepoint.interval", "20 ms")
		e.Set("execution.savepoint.retain.last", "1")
	}
	periodic := func() (all []string) {
		for _, p := range a.list(t, savepoints) {
			if path.Base(p) == "_metadata" {
				all = append(all, "mem:/"+path.Dir(p))
			}
		}
		return all
	}
	completed := func(c *stream.Controller) (n int) {
		for _, d := range c.Checkpoints() {
			if d.Kind == "savepoint" && d.Status == stream.CheckpointCompleted {
				n++
			}
		}
		return n
	}
	a.controlled(a.numbers, func(c *stream.Controller) { _ = c.Cancel() })
	adjust := a.adjust
	a.adjust = func(e *stream.Env) { adjust(e); schedule(e) }
	a.mustEnd(t, "CANCELED")
	place := ""
	for _, p := range periodic() {
		place = p // Any will do.
	}
	if place == "" {
		t.Fatal("no savepoint came in time")
	}
	a.restore, a.attempts = place, 1
	taken, back := 0, false
	a.controlled(a.numbers/2, func(c *stream.Controller) {
		taken = completed(c)
		_ = c.Cancel()
	})
	a.fail[a.numbers/3] = func() error { back = true; return errors.New("planted") }
	adjust = a.adjust
	a.adjust = func(e *stream.Env) { adjust(e); schedule(e) }
	r, err := a.run(t, context.Background())
	if err != nil || !back || taken < 2 {
		t.Fatalf("%+v, %v; %d savepoints, failed %v", r, err, taken, back)
	}
	a.read(t, place)
	a.undisturbed()
	a.restore, a.rate, a.interval, a.adjust = place, 20000, "5 ms", schedule
	a.mustEnd(t, "FINISHED")
	a.check(t)
	if left := periodic(); len(left) > 2 {
		t.Errorf("left: %q", left)
	}
}
