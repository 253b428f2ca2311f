package stream_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
)

// copyTo copies the objects below one path to another, but for those whose path has a part.
func (a *attack) copyTo(t *testing.T, from, to, without string) {
	t.Helper()
	files, _, err := a.files.Resolve(a.root)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range files.List(t.Context(), from, true) {
		if err != nil {
			t.Fatal(err)
		}
		rest := strings.TrimPrefix(e.Path, from)
		if without != "" && strings.Contains(rest, without) {
			continue
		}
		b, err := filesystem.ReadFile(t.Context(), files, e.Path)
		if err == nil {
			err = filesystem.WriteFile(t.Context(), files, path.Join(to, rest), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (a *attack) remove(t *testing.T, dir string) {
	t.Helper()
	files, _, err := a.files.Resolve(a.root)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for e, err := range files.List(t.Context(), dir, true) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Dir {
			paths = append(paths, e.Path)
		}
	}
	for _, p := range paths {
		if err := files.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	oldRoot = "/test/checkpoints"
	newRoot = "/test/moved"
)

// Goal: a job goes on from a checkpoint that was copied, with or without its records and
// files, and what it writes then needs nothing of the original. Method: stop, copy in one
// form, take one checkpoint there, lose the original, finish at another parallelism.
func TestEngineCopies(t *testing.T) {
	type form struct {
		name string
		// move copies from the old root; dir is that of the checkpoint below a root. It
		// returns the root and where to restore from.
		move func(t *testing.T, a *attack, dir string) (root, restore string)
	}
	forms := []form{
		{"a whole root", func(t *testing.T, a *attack, _ string) (string, string) {
			a.copyTo(t, oldRoot, newRoot, "")
			return newRoot, "latest"
		}},
		{"without records", func(t *testing.T, a *attack, dir string) (string, string) {
			a.copyTo(t, oldRoot, newRoot, "_jobs")
			return newRoot, newRoot + dir
		}},
		{"without files", func(t *testing.T, a *attack, _ string) (string, string) {
			a.copyTo(t, oldRoot, newRoot, "shared")
			return newRoot, "latest"
		}},
		{"one checkpoint alone", func(t *testing.T, a *attack, dir string) (string, string) {
			a.copyTo(t, oldRoot+dir, "/test/alone", "")
			return newRoot, "/test/alone"
		}},
		{"in place, records lost", func(t *testing.T, a *attack, dir string) (string, string) {
			a.remove(t, oldRoot+"/_jobs")
			return oldRoot, oldRoot + dir
		}},
		{"a backup, files lost", func(t *testing.T, a *attack, dir string) (string, string) {
			a.copyTo(t, oldRoot, "/test/backup", "_jobs")
			a.remove(t, path.Dir(oldRoot+dir))
			return oldRoot, "/test/backup" + dir
		}},
	}
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			a := newAttack()
			a.rate = 10000
			a.stopAt(a.numbers)
			a.mustStop(t)
			found := a.newest(t)
			if files := slices.Collect(found.Meta.Files); len(files) == 0 {
				t.Fatal("all state lies in the metadata: nothing is tested")
			}
			root, restore := f.move(t, a, strings.TrimPrefix(found.Dir, oldRoot))
			a.root, a.restore = "mem:/"+root, restore
			if restore != "latest" {
				a.restore = "mem:/" + restore
			}
			a.interval, a.parallelism = "1 h", 3
			a.stopAt(a.numbers / 4)
			a.mustStop(t)
			a.newest(t)
			if root != oldRoot {
				a.remove(t, oldRoot)
			}
			a.remove(t, "/test/backup")
			a.undisturbed()
			a.mustEnd(t, "FINISHED")
			a.check(t)
		})
	}
}

// Goal: whoever looks at an older checkpoint takes nothing from the newest one: its output
// that is prepared and not yet visible stays. Method: cancel while the commit of the newest
// checkpoint fails, start from the one before and fail at once, go on from the newest.
func TestEngineOlderCheckpoint(t *testing.T) {
	a := newAttack()
	a.retained, a.rate = 5, 10000
	inner := mem.New(mem.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	published := 0
	plan, err := fault.NewPlan(fault.Rule{Op: fault.OpPublish, Glob: "part-*",
		Wait: func(context.Context, fault.Call) error { // called by one goroutine
			if published++; published <= 5 {
				return nil
			}
			cancel()
			return errors.New("planted")
		}})
	if err != nil {
		t.Fatal(err)
	}
	a.files = filesystem.NewRegistry(fault.New(inner, plan))
	if r, err := a.run(t, ctx); err != nil || r.Status != "CANCELED" || r.Checkpoint < 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	a.files = filesystem.NewRegistry(inner)
	newest := a.newest(t)
	number := newest.Meta.Header.CheckpointId
	a.restore = "mem:/" + path.Join(path.Dir(newest.Dir),
		"chk-"+strconv.FormatUint(number-1, 10))
	a.calls.Store(0)
	a.fail = map[int64]func() error{1: func() error { return errors.New("planted") }}
	if r, err := a.run(t, t.Context()); err == nil || r == nil || r.Restored != number-1 {
		t.Fatalf("%+v, %v", r, err)
	}
	a.undisturbed()
	if r := a.mustEnd(t, "FINISHED"); r.Restored != number {
		t.Errorf("went on from %d, want %d", r.Restored, number)
	}
	a.check(t)
}

// Goal: windows of another size are refused before any task runs: the panes of the
// checkpoint would take in records of windows that only end with theirs. Method: stop inside
// windows, continue with twice the size, then with the old one.
func TestEngineOtherWindow(t *testing.T) {
	a := newAttack()
	a.numbers, a.rate = 60000, 10000
	a.stopAt(3000)
	a.mustEnd(t, "SUSPENDED")
	a.undisturbed()
	window := a.window
	a.window = 2 * window
	_, err := a.run(t, t.Context())
	want := "window-aggregate(300 ms, offset 0 ms)"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want one that names %s", err, want)
	}
	a.window = window
	a.mustEnd(t, "FINISHED")
	a.check(t)
}
