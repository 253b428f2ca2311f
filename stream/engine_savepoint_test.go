package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/stream"
)

const savepoints = "mem://test/savepoints"

// controlled calls f with the controller of the next run once user functions have been called so
// often; f may be called never, when the job ends before.
func (a *attack) controlled(call int64, f func(c *stream.Controller)) {
	reached := make(chan struct{})
	a.calls.Store(0)
	a.fail = map[int64]func() error{call: func() error { close(reached); return nil }}
	a.adjust = func(e *stream.Env) {
		e.Set("execution.checkpointing.savepoint-dir", savepoints)
		e.OnStart(func(c *stream.Controller) {
			select {
			case <-reached:
				f(c)
			case <-c.Done():
			}
		})
	}
}

// savepoint takes one at a moment and returns it after the run.
func (a *attack) savepoint(
	t *testing.T, call int64, o stream.SavepointOptions, then func(c *stream.Controller),
) *stream.SavepointResult {
	t.Helper()
	taken := new(stream.SavepointResult)
	a.controlled(call, func(c *stream.Controller) {
		r, err := c.Savepoint(context.Background(), o)
		if err != nil {
			t.Errorf("take savepoint: %v", err)
		}
		*taken = r
		if then != nil {
			then(c)
		}
	})
	return taken
}

func (a *attack) read(t *testing.T, place string) *store.Found {
	t.Helper()
	found, err := store.Read(t.Context(), a.files, place)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// files are the objects below a path.
func (a *attack) list(t *testing.T, dir string) []string {
	t.Helper()
	files, p, err := a.files.Resolve(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for e, err := range files.List(t.Context(), p, true) {
		if err != nil {
			t.Fatal(err)
		}
		if !e.Dir {
			all = append(all, e.Path)
		}
	}
	return all
}

// eachBackend runs a test on both backends.
func eachBackend(t *testing.T, f func(t *testing.T, a *attack)) {
	for _, backend := range []string{"hashmap", "naive"} {
		t.Run(backend, func(t *testing.T) {
			a := newAttack()
			a.backend, a.rate = backend, 6000
			f(t, a)
		})
	}
}

// other is the backend that a is not on.
func (a *attack) other() string {
	if a.backend == "naive" {
		return "hashmap"
	}
	return "naive"
}

// Goal: a savepoint is all that a job needs: copied elsewhere, with the original and all
// checkpoints gone, it continues exactly, at another parallelism and on another backend, output
// that was prepared and not committed included. Method: no checkpoint, one savepoint, cancel, copy,
// delete, restore, finish.
func TestEngineSavepointAlone(t *testing.T) {
	eachBackend(t, func(t *testing.T, a *attack) {
		a.interval = "1 h"
		taken := a.savepoint(t, a.numbers, stream.SavepointOptions{},
			func(c *stream.Controller) {
				if err := c.Cancel(); err != nil {
					t.Error(err)
				}
			})
		a.mustEnd(t, "CANCELED")
		if rows := rowsOf[counted](t, a, "counted"); len(rows) != 0 {
			t.Fatalf("the savepoint has committed %d rows", len(rows))
		}
		found := a.read(t, taken.Path)
		if h := found.Meta.Header; h.Kind != meta.KindSavepoint || h.Stop || h.Drained ||
			h.CheckpointId != taken.Checkpoint || taken.Checkpoint != 1 {
			t.Errorf("header %v", h)
		}
		files := map[string]bool{}
		for reference := range found.Meta.Files {
			files[reference] = true
		}
		if len(files) == 0 || len(a.list(t, taken.Path)) != len(files)+2 {
			t.Errorf("%d files, and there are %q", len(files), a.list(t, taken.Path))
		}
		a.copyTo(t, found.Dir, "/elsewhere/sp", "")
		a.remove(t, "/test/savepoints")
		a.remove(t, oldRoot)
		a.undisturbed()
		a.adjust, a.restore, a.parallelism = nil, "mem://elsewhere/sp", 3
		a.backend, a.interval = a.other(), "3 ms"
		if r := a.mustEnd(t, "FINISHED"); r.Restored != taken.Checkpoint ||
			r.Checkpoint == 0 {
			t.Errorf("%+v", r)
		}
		a.check(t)
		a.read(t, "mem://elsewhere/sp") // It stays.
	})
}

// Goal: savepoints do not disturb a job, its checkpoints or its output. Method: take one after the
// other while checkpoints go on, then look at every one and at what the job remembers of them.
func TestEngineSavepointsMeanwhile(t *testing.T) {
	eachBackend(t, func(t *testing.T, a *attack) {
		var taken []stream.SavepointResult
		var details []stream.CheckpointDetails
		a.controlled(100, func(c *stream.Controller) {
			for {
				r, err := c.Savepoint(context.Background(), stream.SavepointOptions{})
				if errors.Is(err, stream.ErrEnded) || err != nil &&
					strings.Contains(err.Error(), "about to end") {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				taken = append(taken, r)
				details = c.Checkpoints()
			}
		})
		a.mustEnd(t, "FINISHED")
		a.check(t)
		if len(taken) < 2 {
			t.Fatalf("%d savepoints", len(taken))
		}
		byID := map[uint64]stream.CheckpointDetails{}
		for _, d := range details {
			byID[d.ID] = d
		}
		for i, r := range taken {
			a.read(t, r.Path)
			if i > 0 && r.Checkpoint <= taken[i-1].Checkpoint {
				t.Errorf("savepoint %d comes after %d", r.Checkpoint, taken[i-1].Checkpoint)
			}
		}
		newest := byID[taken[len(taken)-1].Checkpoint]
		if newest.Kind != "savepoint" || newest.Status != stream.CheckpointCompleted ||
			newest.Path != taken[len(taken)-1].Path || newest.Bytes == 0 {
			t.Errorf("details %+v", newest)
		}
	})
}

// Goal: stopped with a savepoint, a job is FINISHED, has committed all up to it and nothing beyond,
// fires no window early, and goes on from it by name or by a copy of it. Method: stop, look at the
// output, continue in each way at another parallelism.
func TestEngineStopWithSavepoint(t *testing.T) {
	for _, way := range []string{"latest", "copy"} {
		t.Run(way, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, a *attack) {
				taken := a.savepoint(t, a.numbers, stream.SavepointOptions{Stop: true}, nil)
				r := a.mustEnd(t, "FINISHED")
				if r.Savepoint != taken.Path || r.Checkpoint != taken.Checkpoint ||
					taken.Path == "" {
					t.Errorf("%+v, taken %+v", r, taken)
				}
				ids := rowsOf[counted](t, a, "counted")
				if len(ids) == 0 || len(ids) == int(a.numbers) {
					t.Fatalf("%d rows: nothing is tested", len(ids))
				}
				for s := range rowsOf[sum](t, a, "sums") {
					if s.Start+a.window.Milliseconds() > a.numbers {
						t.Errorf("window fired early: %+v", s)
					}
				}
				a.undisturbed()
				a.adjust, a.parallelism = nil, 3
				if way == "copy" {
					a.copyTo(t, a.read(t, taken.Path).Dir, "/elsewhere/sp", "")
					a.remove(t, "/test/savepoints")
					a.remove(t, oldRoot)
					a.restore = "mem://elsewhere/sp"
				}
				if next := a.mustEnd(t, "FINISHED"); next.Restored != taken.Checkpoint ||
					next.Checkpoint <= taken.Checkpoint && way == "latest" {
					t.Errorf("%+v", next)
				}
				a.check(t)
				if way == "latest" {
					a.read(t, taken.Path) // Nobody removes it.
				}
			})
		})
	}
}

// sumsOf computes what the windows hold of the numbers in the output.
func (a *attack) sumsOf(rows map[counted]int) map[sum]int {
	type place struct{ bucket, start int64 }
	sums := map[place]*sum{}
	for row := range rows {
		at := place{row.ID % buckets, row.ID / a.window.Milliseconds() * a.window.Milliseconds()}
		if sums[at] == nil {
			sums[at] = &sum{Bucket: at.bucket, Start: at.start}
		}
		sums[at].Count++
		sums[at].Sum += row.ID
	}
	want := map[sum]int{}
	for _, s := range sums {
		want[*s]++
	}
	return want
}

// Goal: drained, a job ends its input first: every number read is in a window that has fired, and
// the savepoint says so. Method: stop with drain, compare the sums with the numbers in the output.
func TestEngineDrain(t *testing.T) {
	eachBackend(t, func(t *testing.T, a *attack) {
		taken := a.savepoint(t, a.numbers, stream.SavepointOptions{Stop: true, Drain: true}, nil)
		a.mustEnd(t, "FINISHED")
		rows := rowsOf[counted](t, a, "counted")
		if len(rows) == 0 || len(rows) == int(a.numbers) {
			t.Fatalf("%d rows: nothing is tested", len(rows))
		}
		different(t, "sums", a.sumsOf(rows), rowsOf[sum](t, a, "sums"))
		if h := a.read(t, taken.Path).Meta.Header; !h.Stop || !h.Drained {
			t.Errorf("header %v", h)
		}
	})
}

// Goal: whatever fails while savepoints are taken and jobs are stopped with them, the output is
// exact, and what the controller says is so. Method: random jobs with failures, each start of which
// is stopped with a savepoint at a random moment, also after the end of the data.
func TestEngineSavepointRaces(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			a := newAttack()
			a.rate, a.numbers, a.keys = 30000, 3000, 700
			for start := range 6 {
				a.parallelism = 1 + r.IntN(3)
				a.attempts = r.IntN(3)
				stopped := ""
				a.controlled(1+r.Int64N(2*a.numbers), func(c *stream.Controller) {
					o := stream.SavepointOptions{Stop: r.IntN(2) == 0}
					taken, err := c.Savepoint(context.Background(), o)
					if err == nil && o.Stop {
						stopped = taken.Path
					}
				})
				if r.IntN(2) == 0 {
					a.fail[1+r.Int64N(2*a.numbers)] = func() error { return errors.New("planted") }
				}
				if start == 5 {
					a.undisturbed()
					a.adjust = nil
				}
				result, err := a.run(t, t.Context())
				switch {
				case result == nil:
					t.Fatal(err)
				case stopped != "" && (err != nil || result.Savepoint != stopped):
					t.Fatalf("stopped with %q, but %+v, %v", stopped, result, err)
				case result.Savepoint != "" && stopped == "":
					t.Fatalf("%+v, and nobody was told", result)
				}
				if result.Status == "FINISHED" && result.Savepoint == "" {
					break
				}
				a.restore = "latest"
				if stopped != "" && r.IntN(2) == 0 {
					a.restore = stopped
				}
			}
			a.check(t)
		})
	}
}

// Goal: a savepoint that cannot be written says where, leaves no metadata, and the job goes on and
// finishes. Method: a full disk, no permission and a metadata that fails, in the savepoint
// directory only; a place nobody knows, and none at all.
func TestEngineSavepointFails(t *testing.T) {
	const planted = "no space left on device"
	for _, c := range []struct {
		name, says string
		fails      []fault.Op
		directory  string
		stop       bool
		drain      bool
	}{
		{"disk full", planted, []fault.Op{fault.OpWrite}, savepoints, false, false},
		{"stop, disk full", planted, []fault.Op{fault.OpWrite}, savepoints, true, false},
		{"metadata", planted, []fault.Op{fault.OpCreateIfAbsent}, savepoints, false, false},
		{"stop, metadata", planted, []fault.Op{fault.OpCreateIfAbsent}, savepoints, true, false},
		{"read only", planted, []fault.Op{fault.OpCreate, fault.OpCreateIfAbsent}, savepoints,
			false, false},
		{"drain, disk full", planted, []fault.Op{fault.OpWrite}, savepoints, true, true},
		{"unknown store", `"s9"`, nil, "s9://x/y", false, false},
		{"no directory", "execution.checkpointing.savepoint-dir", nil, "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAttack()
			a.rate = 10000
			inner := mem.New(mem.Options{})
			var rules []fault.Rule
			for _, op := range c.fails {
				rules = append(rules, fault.Rule{
					Op: op, Glob: "/test/savepoints/*/*", Before: errors.New(planted),
				})
			}
			plan, err := fault.NewPlan(rules...)
			if err != nil {
				t.Fatal(err)
			}
			a.files = filesystem.NewRegistry(fault.New(inner, plan))
			var failure error
			a.controlled(a.numbers, func(ctl *stream.Controller) {
				_, failure = ctl.Savepoint(context.Background(),
					stream.SavepointOptions{
						Directory: c.directory, Stop: c.stop, Drain: c.drain,
					})
			})
			adjust := a.adjust
			a.adjust = func(e *stream.Env) {
				adjust(e)
				e.Set("execution.checkpointing.savepoint-dir", c.directory)
			}
			if c.drain {
				a.attempts = 1
			}
			if r := a.mustEnd(t, "FINISHED"); r.Last.Restarts > 0 != c.drain {
				t.Errorf("%d restarts", r.Last.Restarts)
			}
			if failure == nil || !strings.Contains(failure.Error(), c.says) {
				t.Fatalf("error %v, want one that says %s", failure, c.says)
			}
			if c.directory == savepoints && !strings.Contains(failure.Error(), savepoints) {
				t.Errorf("error %v does not say where", failure)
			}
			for _, p := range a.list(t, savepoints) {
				if path.Base(p) == "_metadata" {
					t.Errorf("%q is left", p)
				}
			}
			a.check(t)
		})
	}
}

// Goal: no damaged savepoint is restored, and the damage is named. Method: one flipped byte in the
// middle of each of its files, and each of them missing.
func TestEngineSavepointDamaged(t *testing.T) {
	a := newAttack()
	a.rate = 10000
	taken := a.savepoint(t, a.numbers, stream.SavepointOptions{Stop: true}, nil)
	a.mustEnd(t, "FINISHED")
	files, _, err := a.files.Resolve(savepoints)
	if err != nil {
		t.Fatal(err)
	}
	a.undisturbed()
	a.adjust, a.restore = nil, taken.Path
	ctx := t.Context()
	for _, p := range a.list(t, taken.Path) {
		if path.Base(p) == "contents.json" {
			continue
		}
		whole, err := filesystem.ReadFile(ctx, files, p)
		if err != nil {
			t.Fatal(err)
		}
		damaged := append([]byte(nil), whole...)
		damaged[len(damaged)/2] ^= 1
		for _, content := range [][]byte{damaged, nil} {
			if err := files.Remove(ctx, p); err != nil {
				t.Fatal(err)
			}
			if content != nil {
				err = filesystem.WriteFile(ctx, files, p, content)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.run(t, ctx); err == nil || !strings.Contains(err.Error(), path.Base(p)) {
				t.Errorf("%s, %d bytes: %v", p, len(content), err)
			}
			if content == nil {
				err = filesystem.WriteFile(ctx, files, p, whole)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	a.mustEnd(t, "FINISHED")
	a.check(t)
}
