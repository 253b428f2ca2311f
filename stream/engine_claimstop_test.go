package stream_test

import (
	"testing"

	"github.com/leat-io/leat/stream"
)

// Goal: a claim outlives a stop with a savepoint: what was claimed goes when the job, continued by
// name, has replaced it. Method: claim, retain three, stop with a savepoint before there are three,
// continue to the end.
func TestEngineClaimStopped(t *testing.T) {
	a := newAttack()
	a.rate, a.retained = 5000, 3
	claimed := a.savepoint(t, a.numbers/3, stream.SavepointOptions{Stop: true}, nil)
	a.mustEnd(t, "FINISHED")
	a.restore, a.interval, a.rate = claimed.Path, "1 h", 1500 // far from its end by then
	second := a.savepoint(t, a.numbers/3, stream.SavepointOptions{Stop: true}, nil)
	adjust := a.adjust
	a.adjust = func(e *stream.Env) {
		adjust(e)
		e.Set("execution.state-recovery.claim-mode", "CLAIM")
	}
	if r := a.mustEnd(t, "FINISHED"); r.Savepoint == "" {
		t.Fatalf("the job came to its end before the savepoint: %+v", r)
	}
	a.read(t, claimed.Path) // Not replaced three times yet.
	a.undisturbed()
	a.retained, a.interval, a.adjust = 1, "3 ms", nil
	a.mustEnd(t, "FINISHED")
	a.check(t)
	if left := a.list(t, claimed.Path); len(left) > 0 {
		t.Errorf("left of what was claimed: %q", left)
	}
	a.read(t, second.Path) // That one is the user's.
}
