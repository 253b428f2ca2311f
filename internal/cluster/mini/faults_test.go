package mini_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	basefault "github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/stream"
)

// faulty returns registries around one store: one with faults by rule, one without.
func faulty(t *testing.T, rules ...fault.Rule) (bad, good *filesystem.Registry, p *fault.Plan) {
	t.Helper()
	plan, err := fault.NewPlan(rules...)
	if err != nil {
		t.Fatal(err)
	}
	inner := mem.New(mem.Options{})
	return filesystem.NewRegistry(fault.New(inner, plan)), filesystem.NewRegistry(inner), plan
}

// Goal: a checkpoint that cannot be published is tolerated as often as allowed, and what sinks
// prepared for it is committed with the next. Method: refuse the metadata of the first one.
func TestToleratedCheckpoint(t *testing.T) {
	for _, tolerable := range []string{"0", "1"} {
		files, _, plan := faulty(t, fault.Rule{
			Name: "metadata", Op: fault.OpCreateIfAbsent, Before: fault.ErrInjected,
			Glob: "/test/checkpoints/*/chk-1/_metadata",
		})
		source, release := held()
		sink := &ledger{onCommit: func(uint64) error { release(); return nil }}
		j := newJob(t, files, source, sink)
		j.env.Set("execution.checkpointing.interval", "5 ms")
		j.env.Set("execution.checkpointing.tolerable-failed-checkpoints", tolerable)
		r, err := j.build().env.Execute(t.Context())
		if plan.Hits("metadata") == 0 {
			t.Fatal("nothing was injected")
		}
		if tolerable == "0" {
			if !errors.Is(err, fault.ErrInjected) && !strings.Contains(err.Error(), "injected") {
				t.Errorf("error %v, want the injected one", err)
			}
			if r.Status != "FAILED" || len(sink.commits) > 0 {
				t.Errorf("status %s, commits %v", r.Status, sink.commits)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		j.checkRows(t, 500)
	}
}

// Goal: a final checkpoint that cannot be published is tried again. Method: refuse the first.
func TestFinalCheckpointAgain(t *testing.T) {
	files, _, plan := faulty(t, fault.Rule{
		Name: "metadata", Op: fault.OpCreateIfAbsent, Before: fault.ErrInjected,
		Glob: "/test/checkpoints/*/chk-1/_metadata",
	})
	j := newJob(t, files, &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{})
	r, err := j.build().env.Execute(t.Context())
	if err != nil || r.Checkpoint != 2 || plan.Hits("metadata") == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	j.checkRows(t, 500)
}

// Goal: when the store does not tell whether a checkpoint is complete, the job ends without
// committing it, and the next start finds out and commits. Method: lose the answer to the
// creation of the record and refuse to read it.
func TestUnknownOutcome(t *testing.T) {
	bad, good, plan := faulty(t,
		fault.Rule{Name: "record", Op: fault.OpCreateIfAbsent, Glob: "checkpoint-1",
			After: fault.ErrInjected},
		fault.Rule{Op: fault.OpOpen, Glob: "checkpoint-1", Before: fault.ErrInjected})
	source, sink := &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{}
	j := newJob(t, bad, source, sink)
	j.env.Set("restart-strategy.type", "fixed-delay")
	r, err := j.build().env.Execute(t.Context())
	if err == nil || r.Status != "FAILED" || r.Last.Restarts != 0 || plan.Hits("record") == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if len(sink.commits) > 0 {
		t.Fatalf("commits %v of a checkpoint nobody knows about", sink.commits)
	}
	j = newJob(t, good, source, sink)
	j.env.Restore("latest")
	j.env.RequireState()
	if r, err = j.build().env.Execute(t.Context()); err != nil || r.Restored != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	j.checkRows(t, 500)
}

// Goal: as many completed checkpoints are kept as asked for, and the older ones removed.
// Method: let several complete, then look at the directories.
func TestRetained(t *testing.T) {
	files := newStore()
	source, release := held()
	taken := 0
	source.snapshot = func() {
		if taken++; taken == 6 {
			release()
		}
	}
	sink := &ledger{}
	j := newJob(t, files, source, sink)
	j.env.Set("execution.checkpointing.interval", "2 ms")
	j.env.Set("execution.checkpointing.num-retained", "3")
	r, err := j.build().env.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j.checkRows(t, 500)
	fs, root, err := files.Resolve("mem://test/checkpoints/" + r.JobID)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for entry, err := range fs.List(t.Context(), root, true) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(entry.Path, "/_metadata") {
			kept = append(kept, entry.Path)
		}
	}
	if len(kept) != 3 {
		t.Errorf("kept %v, want 3", kept)
	}
}

// Goal: a source that finds no split for now is asked again. Method: find nothing five times.
func TestDryEnumerator(t *testing.T) {
	source := &numbers{splits: 5, perSplit: 100, holdAt: -1, dry: 5}
	j := newJob(t, newStore(), source, &ledger{})
	if _, err := j.build().env.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.checkRows(t, 500)
}

// Goal: a panic inside a role ends the job as an internal fault, and nothing is left running.
// Method: panic in an enumerator, called by the master, and in a committer.
func TestPanicInRole(t *testing.T) {
	for _, place := range []string{"enumerator", "committer"} {
		source, sink := &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{}
		if place == "enumerator" {
			source.next = func() { panic("planted") }
		} else {
			sink.onCommit = func(uint64) error { panic("planted") }
		}
		j := newJob(t, newStore(), source, sink)
		r, err := j.build().env.Execute(t.Context())
		if err == nil || !strings.Contains(err.Error(), "planted") ||
			basefault.DomainOf(err) != basefault.DomainInternal || r.Status != "FAILED" {
			t.Errorf("%s: %+v, %v", place, r, err)
		}
	}
}

// Goal: progress comes while the job runs, from one goroutine, and its figures add up in the
// end. Method: hold the source until a picture has come.
func TestProgress(t *testing.T) {
	source, release := held()
	j := newJob(t, newStore(), source, &ledger{})
	var inside atomic.Int32
	j.env.OnProgress(func(p stream.Progress) {
		if inside.Add(1) != 1 {
			t.Error("called by two goroutines at once")
		}
		defer inside.Add(-1)
		if p.Status == "RUNNING" {
			release()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := j.build().env.Execute(ctx)
	if err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Last.RecordsIn != 500 || r.Last.RecordsOut != 500 || r.Last.LastCheckpoint != 1 {
		t.Errorf("figures at the end %+v", r.Last)
	}
}
