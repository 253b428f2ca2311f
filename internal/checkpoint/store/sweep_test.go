package store

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
)

// Goal: a sweep keeps the newest n and what they refer to, and removes the rest, stores of all
// kinds alike. Method: five checkpoints, each with the file of the one before; retention 2, then 1.
func TestSweep(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		if report := m.sweep(t); report.Files != 0 || len(report.Retained) != 0 {
			t.Errorf("before the first checkpoint: %+v", report)
		}
		m.Retain(2)
		previous := ""
		for range 5 {
			reference := m.upload(t, m.next)
			references := []string{reference}
			if previous != "" {
				references = append(references, previous)
			}
			c := m.checkpoint(references...)
			if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
				t.Fatal(err)
			}
			if err := m.MarkCommitted(t.Context(), c.Header.CheckpointId); err != nil {
				t.Fatal(err)
			}
			previous = reference
		}
		foreign := path.Join(m.jobDir(m.Identity().JobID), sharedName, "notes.txt")
		taskOwned := path.Join(m.jobDir(m.Identity().JobID), "taskowned", "1-1-1-1-00000000.run")
		for _, p := range []string{foreign, taskOwned} {
			if err := files.CreateIfAbsent(t.Context(), p, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		report := m.sweep(t)
		want := SweepReport{Retained: []uint64{5, 4}, Records: 3 + 3, Metadata: 3, Files: 3 + 2,
			Bytes: report.Bytes}
		if d := cmp.Diff(want, report); d != "" || report.Bytes == 0 {
			t.Errorf("report (-want +got):\n%s", d)
		}
		if d := cmp.Diff(SweepReport{Retained: []uint64{5, 4}}, m.sweep(t)); d != "" {
			t.Errorf("second sweep (-want +got):\n%s", d)
		}
		m.Retain(0) // is 1
		m.sweep(t)
		next := begin(t, files, 2)
		mustFindAll(t, next.found)
		left := strings.Join(tree(t, files, m.Identity().JobID), "\n")
		if strings.Count(left, "chk-") != 2 || strings.Count(left, ".run") != 3 ||
			!strings.Contains(left, "notes.txt") {
			t.Errorf("left:\n%s", left)
		}
		if _, err := files.Stat(t.Context(), m.chkDir(m.Identity().JobID, 1)); err == nil {
			t.Error("the directory of a swept checkpoint stays")
		}
	})
}

// Goal: what checkpoints in progress need stays, and one that needs what is gone is refused before
// it can be damaged. Method: builds-on, keep, and a reference to a swept file.
func TestSweepInFlight(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	old := m.publishAndRefer(t)
	merged := m.upload(t, 2)
	m.publishAndRefer(t)
	pending := m.upload(t, 3)
	needs := InFlight{BuildsOn: 1, Keep: func(n DataFileName) bool {
		return n.String() == path.Base(merged)
	}}
	report, err := m.Sweep(t.Context(), m.gen, func() InFlight { return needs })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]uint64{2, 1}, report.Retained); d != "" || report.Files != 0 {
		t.Errorf("retained (-want +got):\n%s%+v", d, report)
	}
	c := m.checkpoint(old, merged, pending)
	if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
		t.Fatalf("%v, %v", outcome, err)
	}
	last := m.publishAndRefer(t)
	m.sweep(t)
	for _, gone := range []string{old, merged, pending} {
		c := m.checkpoint(gone)
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Failed || !errors.Is(err, ErrSwept) ||
			!strings.Contains(err.Error(), gone[3:]) {
			t.Errorf("%q: %v, %v", gone, outcome, err)
		}
	}
	m.publish(t, last)
}

// Goal: the result of a merge stays until the checkpoint it is named for is complete, whatever
// completes before without referring to it, and goes when nobody has referred to it by then, or
// when no task runs any more. Method: three results named for checkpoint 5, one referred to by
// checkpoint 4, one by none; another for checkpoint 300.
func TestSweepMerges(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.Retain(1)
	there := func(reference string) bool {
		_, err := files.Stat(t.Context(),
			path.Join(m.jobDir(m.Identity().JobID), sharedName, path.Base(reference)))
		return err == nil
	}
	expect := func(when, reference string, want bool) {
		t.Helper()
		if got := there(reference); got != want {
			t.Errorf("%s: %q is there: %v, want %v", when, reference, got, want)
		}
	}
	used, late, waiting := m.upload(t, 5), m.upload(t, 5), m.upload(t, 300)
	for m.next < 4 {
		m.publishAndRefer(t)
		m.sweep(t)
		expect("before it is referred to", used, true)
		expect("before its checkpoint", late, true)
	}
	m.publish(t, used)
	m.sweep(t)
	expect("referred to", used, true)
	expect("before its checkpoint", late, true)
	m.publish(t, used)
	m.sweep(t)
	expect("referred to", used, true)
	expect("after its checkpoint", late, false)
	expect("before its checkpoint", waiting, true)
	if _, err := m.Sweep(t.Context(), m.gen, func() InFlight {
		return InFlight{Idle: true}
	}); err != nil {
		t.Fatal(err)
	}
	expect("referred to, at the end", used, true)
	expect("at the end", waiting, false)
}

// Goal: a stale master learns that it is stale, and not that a file of its checkpoint is swept,
// though its own sweep judges by the checkpoints of the master after it. Method: before each store
// call of such a sweep the stale master publishes. Regression: it went on and failed otherwise.
func TestStalePublishBesideSweep(t *testing.T) {
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		m.publishAndRefer(t)
		pending := m.upload(t, 3)
		next := begin(t, files, 2)
		for range 3 {
			next.publishAndRefer(t)
		}
		called := false
		m.fs = interrupt(t, files, hit, func() {
			if called {
				return
			}
			called = true
			c := m.checkpointOf(3, pending)
			outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
			if outcome != Fenced || !errors.Is(err, ErrFenced) {
				t.Errorf("call %d: %v, %v", hit, outcome, err)
			}
		})
		if _, err := m.Sweep(t.Context(), m.gen, nil); !errors.Is(err, ErrFenced) {
			t.Errorf("call %d: sweep: %v", hit, err)
		}
		if err := m.Confirm(t.Context(), m.gen); !errors.Is(err, ErrFenced) {
			t.Errorf("call %d: confirm: %v", hit, err)
		}
		if !called {
			break
		}
	}
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	if err := m.Confirm(t.Context(), m.gen); err != nil {
		t.Errorf("confirm the only master: %v", err)
	}
}

// Goal: a publishing beside a sweep loses none of its files. Method: before each store call of a
// sweep a checkpoint that builds on the oldest known one completes, or is refused whole.
func TestPublishBesideSweep(t *testing.T) {
	refused := 0
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		old := m.publishAndRefer(t)
		m.publishAndRefer(t)
		called := false
		m.fs = interrupt(t, files, hit, func() {
			if called {
				return
			}
			called = true
			c := m.checkpoint(old)
			outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
			if errors.Is(err, ErrSwept) {
				refused++
			} else if outcome != Committed {
				t.Errorf("call %d: %v, %v", hit, outcome, err)
			}
		})
		m.sweep(t)
		if !called {
			break
		}
		m.fs = files
		mustFindAll(t, begin(t, files, 2).found)
	}
	if refused == 0 {
		t.Error("the sweep was never so far that it had to refuse")
	}
}

// Goal: a sweep in the middle of a publishing takes nothing away from it. Method: before each store
// call of a publishing that builds on the oldest checkpoint a whole sweep runs, which knows nothing
// of it.
func TestSweepBesidePublish(t *testing.T) {
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		old := m.publishAndRefer(t)
		m.publishAndRefer(t)
		m.next++ // leaves a number to skip
		c := m.checkpoint(old, m.upload(t, m.next))
		called := false
		m.fs = interrupt(t, files, hit, func() {
			if !called {
				called = true
				m.sweep(t)
			}
		})
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Committed {
			t.Fatalf("call %d: %v, %v", hit, outcome, err)
		}
		m.fs = files
		m.sweep(t)
		mustFindAll(t, begin(t, files, 2).found)
		if !called {
			break
		}
	}
}

// Goal: things are removed in the order that leaves no broken checkpoint behind. Method: the calls
// of a sweep are recorded.
func TestSweepOrder(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	for range 3 {
		m.publish(t)
	}
	var ranks []int
	m.fs = fault.New(files, planOf(t, fault.Rule{Op: fault.OpRemove,
		Wait: func(_ context.Context, call fault.Call) error {
			switch {
			case path.Dir(call.Path) == m.control:
				ranks = append(ranks, 1)
			case path.Base(call.Path) == metadataName:
				ranks = append(ranks, 2)
			default:
				ranks = append(ranks, 3)
			}
			return nil
		}}))
	m.sweep(t)
	if !slices.IsSorted(ranks) || len(slices.Compact(ranks)) != 3 {
		t.Errorf("order: %v", ranks)
	}
}

// Goal: objects in progress are judged by where they would go. Method: table around generation 5
// whose newest completed checkpoint is 20 and newest number 22.
func TestIsAbandoned(t *testing.T) {
	v := view{generation: 5, newest: 20, jobID: "job", retained: map[uint64]bool{20: true},
		listed: control{checkpoints: []uint64{20, 21, 22}}}
	cases := map[string]bool{
		"/r/job/shared/4-30-0-0-00000000.run": true,
		"/r/job/shared/5-20-0-0-00000000.run": true,
		"/r/job/shared/5-21-0-0-00000000.run": false,
		"/r/job/shared/6-2-0-0-00000000.run":  false,
		"/r/job/shared/notes.txt":             false,
		"/r/job/chk-19/_metadata":             true,
		"/r/job/chk-20/contents.json":         false,
		"/r/job/chk-21/_metadata":             true,
		"/r/job/chk-23/_metadata":             false,
		"/r/job/taskowned/x":                  false,
		"/r/_jobs/n/generation-5":             true,
		"/r/_jobs/n/generation-6":             false,
		"/r/_jobs/n/checkpoint-0":             true,
		"/r/_jobs/n/checkpoint-19":            true,
		"/r/_jobs/n/checkpoint-19.committed":  true,
		"/r/_jobs/n/checkpoint-20.committed":  false,
		"/r/_jobs/n/checkpoint-23":            false,
	}
	for target, want := range cases {
		if got := v.isAbandoned(filesystem.InProgressPath(target, "x1"), "/r/job"); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
	if v.isAbandoned("/r/job/shared/4-30-0-0-00000000.run", "/r/job") {
		t.Error("a published object is taken for one in progress")
	}
}

// Goal: a master overtaken at any moment of a sweep harms nothing that the new one stands on.
// Method: before each store call of the sweep another master takes over, and completes checkpoints
// that build on the newest one.
func TestOvertakenWhileSweeping(t *testing.T) {
	fenced := 0
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		for range 3 {
			m.publishAndRefer(t)
		}
		var second *master
		m.fs = interrupt(t, files, hit, func() {
			second = begin(t, files, 2)
			base := slices.Collect(second.found.Meta.Files)
			second.publish(t, base...)
			second.publish(t, base...)
		})
		_, err := m.Sweep(t.Context(), m.gen, nil)
		if second == nil {
			break
		}
		if errors.Is(err, ErrFenced) {
			fenced++
		} else if err != nil {
			t.Fatalf("call %d: %v", hit, err)
		}
		mustFindAll(t, second.found)
		mustFindAll(t, begin(t, files, 3).found)
	}
	if fenced == 0 {
		t.Error("no sweep was fenced")
	}
}

// Goal: a retained checkpoint that cannot be read stops the sweep before it removes anything.
// Method: the metadata of the second newest is damaged; with it gone the record goes too.
func TestSweepOfDamaged(t *testing.T) {
	files := mem.New(mem.Options{})
	old := begin(t, files, 1)
	one := old.publish(t)
	old.publish(t)
	m := begin(t, files, 2) // has no marks in memory
	m.publish(t)
	m.Retain(3)
	metadata := path.Join(m.chkDir(m.Identity().JobID, one), metadataName)
	replace(t, files, metadata, []byte("rubbish"))
	before := tree(t, files, "")
	if _, err := m.Sweep(t.Context(), m.gen, nil); !errors.Is(err, ErrDamaged) ||
		!strings.Contains(err.Error(), metadata) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(before, tree(t, files, "")); d != "" {
		t.Errorf("it removed:\n%s", d)
	}
	if err := files.Remove(t.Context(), metadata); err != nil {
		t.Fatal(err)
	}
	report := m.sweep(t)
	if d := cmp.Diff([]uint64{4, 2}, report.Retained); d != "" {
		t.Errorf("retained (-want +got):\n%s", d)
	}
}

// Goal: sweeping at every publish costs the store no reading of what is known. Method: count the
// reads of a steady master.
func TestSweepReadsNothingTwice(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.Retain(3)
	p := planOf(t)
	m.fs = fault.New(files, p)
	for range 10 {
		m.publish(t)
		if _, err := m.Sweep(context.Background(), m.gen, nil); err != nil {
			t.Fatal(err)
		}
	}
	// The fence is read once.
	if got := p.Calls(fault.OpOpen); got > 1 {
		t.Errorf("%d objects were read", got)
	}
}
