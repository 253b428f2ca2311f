package store

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

const savepoints = "/bucket/savepoints"

// savepoint returns a savepoint of the next id with a file of its own, and its directory.
func (m *master) savepoint(t testing.TB, change func(c *meta.Checkpoint)) (
	c *meta.Checkpoint, directory string,
) {
	t.Helper()
	directory, err := m.SavepointDir(uriOf(m.fs, savepoints))
	if err != nil {
		t.Fatal(err)
	}
	_, dir, err := m.registry.Resolve(directory)
	if err != nil {
		t.Fatal(err)
	}
	up := m.Uploader().ForSavepoint(m.fs, dir)
	reference, _, err := up.Upload(t.Context(), m.next, 1, 0, writeText("state"))
	if err != nil {
		t.Fatal(err)
	}
	c = m.checkpoint(reference)
	c.Header.Kind = meta.KindSavepoint
	if change != nil {
		change(c)
	}
	return c, directory
}

// take completes a savepoint and returns its directory.
func (m *master) take(t testing.TB, change func(c *meta.Checkpoint)) string {
	t.Helper()
	c, directory := m.savepoint(t, change)
	if o, err := m.PublishSavepoint(t.Context(), m.gen, c, directory); o != Committed {
		t.Fatalf("savepoint: %v, %v", o, err)
	}
	return directory
}

func stop(c *meta.Checkpoint) { c.Header.Stop = true }

// Goal: a savepoint is whole in its directory, named as Flink does, and leaves nothing under the
// root but its number, which no checkpoint gets. Method: take one between checkpoints, sweep,
// delete the root, read it; then another copy of it.
func TestSavepoint(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		m.publish(t)
		directory := m.take(t, nil)
		base := path.Base(directory)
		if !IsSavepointDir(directory) || !strings.HasPrefix(base, "savepoint-"+
			m.Identity().JobID[:6]+"-") || len(base) != len("savepoint-123456-123456789012") {
			t.Errorf("directory is %q", directory)
		}
		if got := kinds(records(t, files)); got != "0:fence/1 1:checkpoint/1 2:skip/1" {
			t.Errorf("records %s", got)
		}
		if three := m.publish(t); three != 3 {
			t.Errorf("next checkpoint is %d", three)
		}
		m.sweep(t)
		found, err := Read(t.Context(), m.registry, directory)
		if err != nil {
			t.Fatal(err)
		}
		if h := found.Meta.Header; h.Kind != meta.KindSavepoint || h.CheckpointId != 2 ||
			h.Origin != directory {
			t.Errorf("header %v", h)
		}
		mustFindAll(t, found)
		for reference := range found.Meta.Files {
			if path.Dir(reference) != "." {
				t.Errorf("file %q lies elsewhere", reference)
			}
		}
		// By name the newest checkpoint counts, not the savepoint.
		if latest, err := open(t, files, 7).Latest(t.Context()); err != nil ||
			latest.Meta.Header.CheckpointId != 3 {
			t.Errorf("latest: %v, %v", latest, err)
		}
	})
}

// Goal: what is not right about a savepoint is refused, and no metadata is left. Method: table.
func TestSavepointRefused(t *testing.T) {
	for name, change := range map[string]func(c *meta.Checkpoint){
		"kind \"checkpoint\"": func(c *meta.Checkpoint) { c.Header.Kind = meta.KindCheckpoint },
		"is used": func(c *meta.Checkpoint) {
			c.Header.CheckpointId = 1
		},
		"lies outside": func(c *meta.Checkpoint) {
			c.Operators[0].Subtasks[0].Keyed.Panes[0].Runs[0].File.Path = "../shared/x"
		},
		"look at its file": func(c *meta.Checkpoint) {
			c.Operators[0].Subtasks[0].Keyed.Panes[0].Runs[0].File.Path = "missing.run"
		},
	} {
		m := begin(t, mem.New(mem.Options{}), 1)
		m.publish(t)
		c, directory := m.savepoint(t, change)
		o, err := m.PublishSavepoint(t.Context(), m.gen, c, directory)
		if o != Failed || err == nil || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), directory) {
			t.Errorf("%s: %v, %v", name, o, err)
		}
		if _, err := Read(t.Context(), m.registry, directory); !errors.Is(err, ErrNoMetadata) {
			t.Errorf("%s: read: %v", name, err)
		}
		m.publish(t) // The master goes on.
	}
}

// Goal: a savepoint with which the job was stopped is its newest state, wherever it lies, under the
// same job id, never built on and never swept; a newer checkpoint replaces it. Method: stop,
// continue by name with another master, checkpoint, sweep.
func TestStopSavepoint(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		m.publish(t)
		directory := m.take(t, stop)
		m.sweep(t)
		second := begin(t, files, 2)
		f := second.found
		if f == nil || f.Directory() != directory || f.Record == nil || f.Newest ||
			!f.NeedsCommit || second.Identity() != m.Identity() {
			t.Fatalf("found %+v, identity %v", f, second.Identity())
		}
		mustFindAll(t, f)
		if err := second.MarkCommitted(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		err := Dispose(t.Context(), m.registry, directory, func(f *Found) error {
			return second.InUse(t.Context(), f)
		})
		if !errors.Is(err, ErrInUse) {
			t.Errorf("dispose of the newest state: %v", err)
		}
		second.publish(t)
		second.sweep(t)
		got := kinds(records(t, files))
		if got != "0:fence/1 3:fence/2 4:checkpoint/2" {
			t.Errorf("records %s", got)
		}
		again, err := Read(t.Context(), m.registry, directory)
		if err != nil {
			t.Fatal(err)
		}
		mustFindAll(t, again)
	})
}

// Goal: when the savepoint that is the newest state is gone or changed, that is said with its name
// and the cure, and nothing older is taken. Method: remove it, then put something else there.
func TestStopSavepointGone(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.publish(t)
	directory := m.take(t, stop)
	_, dir, err := m.registry.Resolve(directory)
	if err != nil {
		t.Fatal(err)
	}
	metadata := path.Join(dir, metadataName)
	whole := read1(t, files, metadata)
	if err := files.Remove(t.Context(), metadata); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, files, 2).Latest(t.Context())
	if !errors.Is(err, ErrNoMetadata) || !strings.Contains(err.Error(), directory) ||
		!strings.Contains(err.Error(), "older checkpoint") {
		t.Errorf("gone: %v", err)
	}
	other := begin(t, mem.New(mem.Options{}), 3)
	c, _ := other.savepoint(t, stop)
	changed, err := meta.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.CreateIfAbsent(t.Context(), metadata, changed); err != nil {
		t.Fatal(err)
	}
	if _, err = open(t, files, 4).Latest(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("changed: %v", err)
	}
	replace(t, files, metadata, whole)
	if _, err = open(t, files, 5).Latest(t.Context()); err != nil {
		t.Errorf("whole: %v", err)
	}
}

// Goal: a master that another one has replaced completes no savepoint, to stop with or not.
// Method: let another one begin first.
func TestSavepointFenced(t *testing.T) {
	for _, change := range []func(*meta.Checkpoint){nil, stop} {
		files := mem.New(mem.Options{})
		stale := begin(t, files, 1)
		stale.publish(t)
		c, directory := stale.savepoint(t, change)
		begin(t, files, 2)
		o, err := stale.PublishSavepoint(t.Context(), stale.gen, c, directory)
		if o != Fenced || !errors.Is(err, ErrFenced) {
			t.Errorf("%v, %v", o, err)
		}
		if change == nil {
			if _, err := Read(t.Context(), stale.registry, directory); err == nil {
				t.Error("the savepoint is there")
			}
		}
	}
}

// Goal: whatever call of the store fails, a savepoint is complete or is not, as the outcome says,
// and what failed can be removed. Method: fail every call once, before or after its effect.
func TestSavepointFaults(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		for hit := 1; hit < 40; hit++ {
			for _, after := range []bool{false, true} {
				inner := mem.New(mem.Options{})
				m := begin(t, inner, 1)
				m.publish(t)
				c, directory := m.savepoint(
					t,
					func(c *meta.Checkpoint) { c.Header.Stop = terminal },
				)
				rule := fault.Rule{Name: "planted", Hit: hit}
				if rule.Before = fault.ErrInjected; after {
					rule.Before, rule.After = nil, fault.ErrInjected
				}
				faulty := fault.New(inner, planOf(t, rule))
				m.fs, m.registry = faulty, filesystem.NewRegistry(faulty)
				outcome, err := m.PublishSavepoint(t.Context(), m.gen, c, directory)
				m.fs, m.registry = inner, filesystem.NewRegistry(inner)
				_, readErr := Read(t.Context(), m.registry, directory)
				switch outcome {
				case Committed:
					if err != nil || readErr != nil {
						t.Fatalf("hit %d: committed, %v, %v", hit, err, readErr)
					}
				case Failed:
					if err == nil {
						t.Fatalf("hit %d: failed without error", hit)
					}
					if err := m.DiscardSavepoint(t.Context(), directory); err != nil {
						t.Fatal(err)
					}
					left := tree(t, inner, "")
					if slices.ContainsFunc(left, func(p string) bool {
						return strings.Contains(p, savepoints)
					}) {
						t.Fatalf("hit %d: left %q", hit, left)
					}
					m.publish(t)
				default:
					if !terminal {
						t.Fatalf("hit %d: %v, %v", hit, outcome, err)
					}
				}
			}
		}
	}
}

// Goal: only savepoints can be disposed of, metadata first, and nothing else in the directory goes.
// Method: a checkpoint, nothing, damage, one in use, one with a file of the user, an interruption.
func TestDispose(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.publish(t)
	dispose := func(place string) error {
		return Dispose(t.Context(), m.registry, place, func(f *Found) error {
			return m.InUse(t.Context(), f)
		})
	}
	if err := dispose(m.CheckpointDir(1)); !errors.Is(err, ErrNotSavepoint) {
		t.Errorf("a checkpoint: %v", err)
	}
	if err := dispose(rootOf(files)); !errors.Is(err, ErrNoMetadata) {
		t.Errorf("nothing: %v", err)
	}
	directory := m.take(t, nil)
	_, dir, err := m.registry.Resolve(directory)
	if err != nil {
		t.Fatal(err)
	}
	note := path.Join(dir, "note.txt")
	if err := filesystem.WriteFile(t.Context(), files, note, []byte("mine")); err != nil {
		t.Fatal(err)
	}
	plan := planOf(t, fault.Rule{Op: fault.OpRemove, Hit: 2,
		Wait: func(context.Context, fault.Call) error { return errors.New("planted") }})
	faulty := filesystem.NewRegistry(fault.New(files, plan))
	if err := Dispose(t.Context(), faulty, directory, nil); err == nil {
		t.Error("the interruption is not told")
	}
	if _, err := Read(t.Context(), m.registry, directory); !errors.Is(err, ErrNoMetadata) {
		t.Errorf("interrupted: %v", err)
	}
	whole := m.take(t, nil)
	if err := dispose(whole + "/_metadata"); err != nil {
		t.Fatal(err)
	}
	for _, p := range tree(t, files, "") {
		if strings.Contains(p, path.Base(whole)) {
			t.Errorf("%q is left", p)
		}
	}
	if got := read1(t, files, note); string(got) != "mine" {
		t.Errorf("the user's file is %q", got)
	}
}

// Goal: the files of a run that was killed before its first checkpoint go, those of others stay.
// Method: fresh starts that upload and end, one that completed something, one with metadata but no
// record; then a run that sweeps.
func TestOrphansAreSwept(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		fresh := func(seed uint64) *master {
			s := open(t, files, seed)
			gen, err := s.NewGeneration(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m := &master{Store: s, gen: gen, next: gen.Fence + 1}
			if _, err := s.Adopt(nil); err != nil {
				t.Fatal(err)
			}
			return m
		}
		completed := fresh(1)
		completed.publish(t)
		killed := fresh(2)
		killed.upload(t, killed.next)
		killed.upload(t, killed.next)
		half := fresh(3)
		half.upload(t, half.next)
		kept := path.Join(half.chkDir(half.Identity().JobID, half.next), metadataName)
		if err := filesystem.WriteFile(t.Context(), files, kept, []byte("x")); err != nil {
			t.Fatal(err)
		}
		last := fresh(4)
		last.upload(t, last.next-1) // made for a checkpoint that is over
		last.publish(t)
		report := last.sweep(t)
		if report.Files != 3 {
			t.Errorf("%d files were removed, want 3", report.Files)
		}
		all := strings.Join(tree(t, files, ""), "\n")
		for m, stays := range map[*master]bool{
			completed: true, killed: false, half: true, last: true,
		} {
			if strings.Contains(all, m.Identity().JobID) != stays {
				t.Errorf("job id of generation %d stays: %v\n%s", m.gen.Number, !stays, all)
			}
		}
		if got := last.sweep(t); got.Files != 0 {
			t.Errorf("the second sweep removes %d files", got.Files)
		}
	})
}

// Goal: a checkpoint that stays the user's is not swept by who started from it. Method: fork from
// the newest, complete more than are retained, sweep.
func TestFork(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	one := m.publish(t)
	s := open(t, files, 2)
	gen, err := s.NewGeneration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Load(t.Context(), m.CheckpointDir(one))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := s.Fork(found)
	if err != nil || identity.JobID == m.Identity().JobID ||
		identity.Lineage != m.Identity().Lineage {
		t.Fatalf("%v, %v", identity, err)
	}
	second := &master{Store: s, gen: gen, next: gen.Fence + 1}
	for range 3 {
		second.publish(t)
		second.sweep(t)
	}
	again, err := s.Load(t.Context(), m.CheckpointDir(one))
	if err != nil {
		t.Fatal(err)
	}
	mustFindAll(t, again)
}

// Goal: what a job has claimed goes with all its files, of a checkpoint only its own directory, and
// what is gone already is no error. Method: a savepoint and a checkpoint of another job.
func TestDisposeClaimed(t *testing.T) {
	files := mem.New(mem.Options{})
	other, err := OpenRandom(t.Context(), filesystem.NewRegistry(files), rootOf(files), "other",
		seeded(9))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := takeOver(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	number := foreign.publish(t)
	m := begin(t, files, 1)
	for _, place := range []string{foreign.take(t, nil), foreign.CheckpointDir(number)} {
		before, err := Read(t.Context(), m.registry, place)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.DisposeClaimed(t.Context(), m.gen, place); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(t.Context(), m.registry, place); !errors.Is(err, ErrNoMetadata) {
			t.Errorf("%s: %v", place, err)
		}
		if before.Meta.Header.Kind == meta.KindCheckpoint {
			mustFindAll(t, before) // Other checkpoints may refer to them.
		}
	}
}
