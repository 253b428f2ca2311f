package mini_test

import (
	"testing"
)

// Goal: a bounded job without interval finishes, and its output is committed exactly once, by
// the final checkpoint. Method: run at parallelism 1, 2, 4 and compare with a count by hand.
func TestBoundedJob(t *testing.T) {
	for _, p := range []int{1, 2, 4} {
		source, sink := &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{}
		j := newJob(t, newStore(), source, sink)
		j.env.SetParallelism(p)
		r, err := j.build().env.Execute(t.Context())
		if err != nil {
			t.Fatalf("parallelism %d: %v", p, err)
		}
		if r.Status != "FINISHED" || r.Checkpoint != 1 || r.Restored != 0 {
			t.Errorf("parallelism %d: result %+v", p, r)
		}
		j.checkRows(t, 500)
		if len(sink.commits) != 1 || sink.cleaned != 1 {
			t.Errorf("parallelism %d: commits %v, %d clean-ups", p, sink.commits, sink.cleaned)
		}
	}
}
