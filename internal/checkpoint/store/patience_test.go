package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
)

// firstHits returns a rule for each of the first n calls.
func firstHits(r fault.Rule, n int) []fault.Rule {
	var rules []fault.Rule
	for r.Hit = 1; r.Hit <= n; r.Hit++ {
		rules = append(rules, r)
	}
	return rules
}

// Goal: what became of a checkpoint record is asked for with growing pauses, a short outage costs
// nothing, a long one ends the master for good. Method: a hand-driven clock; for outages of each
// length, of creating and of listing, the pauses are met one by one before the outcome is there.
func TestPatience(t *testing.T) {
	pauses := []time.Duration{
		100 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond,
	}
	for place, rule := range map[string]fault.Rule{
		"create": {Op: fault.OpCreateIfAbsent, Glob: "checkpoint-1", Before: fault.ErrInjected},
		"answer": {Op: fault.OpCreateIfAbsent, Glob: "checkpoint-1", After: fault.ErrInjected},
		"list":   {Op: fault.OpList, Before: fault.ErrInjected},
	} {
		for failing := range createAttempts + 1 {
			files := mem.New(mem.Options{})
			m := begin(t, files, 1)
			c := clock.NewManual(time.Unix(0, 0))
			m.Pace(c)
			rules := firstHits(rule, failing)
			if place == "answer" { // Nor can it be read.
				rules = append(rules, firstHits(fault.Rule{
					Op: fault.OpOpen, Glob: "checkpoint-1", Before: fault.ErrInjected,
				}, failing)...)
			}
			m.fs = fault.New(files, planOf(t, rules...))
			var outcome Outcome
			group := lifecycle.NewGroup(t.Context(), "master")
			group.Go("publish", func(ctx context.Context) error {
				outcome, _ = m.PublishCheckpoint(ctx, m.gen, m.checkpoint())
				return nil
			})
			for i := range min(failing, len(pauses)) {
				c.AwaitTimers(1)
				if due, _ := c.Next(); due.Sub(c.Now()) != pauses[i] {
					t.Errorf("%s fails %d times: pause %d is %v", place, failing, i,
						due.Sub(c.Now()))
				}
				c.Advance(pauses[i])
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			want := Committed
			if failing == createAttempts {
				want = Unknown
			}
			if outcome != want {
				t.Errorf("%s fails %d times: %v, want %v", place, failing, outcome, want)
			}
			m.fs = files
			if again, _ := m.PublishCheckpoint(t.Context(), m.gen, m.checkpoint()); again != want {
				t.Errorf("%s fails %d times: then %v, want %v", place, failing, again, want)
			}
		}
	}
}

// Goal: a master that is told to end does not sit out a pause. Method: end its context in one.
func TestPatienceEnds(t *testing.T) {
	for _, rule := range []fault.Rule{
		{Op: fault.OpCreateIfAbsent, Glob: "checkpoint-1", Before: fault.ErrInjected},
		{Op: fault.OpList, Before: fault.ErrInjected},
	} {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		c := clock.NewManual(time.Unix(0, 0))
		m.Pace(c)
		m.fs = fault.New(files, planOf(t, rule))
		group := lifecycle.NewGroup(t.Context(), "master")
		var outcome Outcome
		var err error
		group.Go("publish", func(ctx context.Context) error {
			outcome, err = m.PublishCheckpoint(ctx, m.gen, m.checkpoint())
			return nil
		})
		c.AwaitTimers(1)
		group.Stop()
		if err := group.Wait(); err != nil && !errors.Is(err, lifecycle.ErrStopped) {
			t.Fatal(err)
		}
		if outcome != Unknown || !errors.Is(err, ErrUnknown) {
			t.Errorf("%v, %v", outcome, err)
		}
	}
}
