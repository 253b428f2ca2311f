package stream_test

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/stream"
)

// Goal: a process that dies in the middle of a savepoint, to stop with or not, leaves a job that
// continues exactly, and a savepoint that is whole or not there. Method: keep the store as it is at
// each kind of call for the savepoint, as a crash would leave it, and continue from that.
func TestEngineSavepointKilled(t *testing.T) {
	for _, stop := range []bool{false, true} {
		for _, at := range []struct {
			op   fault.Op
			glob string
		}{
			{fault.OpCreate, "/test/savepoints/*/*"}, {fault.OpWrite, "/test/savepoints/*/*"},
			{fault.OpPrepare, "/test/savepoints/*/*"}, {fault.OpPublish, "/test/savepoints/*/*"},
			{fault.OpCreateIfAbsent, "/test/savepoints/*/_metadata"},
			{fault.OpCreate, "/test/savepoints/*/contents.json"},
			{fault.OpPublish, "/test/savepoints/*/contents.json"},
		} {
			t.Run(fmt.Sprintf("stop %v at %s %s", stop, at.op, path.Base(at.glob)),
				func(t *testing.T) {
					a := newAttack()
					a.rate, a.interval = 10000, "50 ms"
					inner := mem.New(mem.Options{})
					var once sync.Once
					var left *mem.Store
					plan, err := fault.NewPlan(fault.Rule{Op: at.op, Glob: at.glob,
						Wait: func(context.Context, fault.Call) error {
							once.Do(func() { left = inner.CrashClone() })
							return nil
						}})
					if err != nil {
						t.Fatal(err)
					}
					a.files = filesystem.NewRegistry(fault.New(inner, plan))
					a.savepoint(t, a.numbers, stream.SavepointOptions{Stop: stop},
						func(c *stream.Controller) { _ = c.Cancel() })
					if _, err := a.run(t, t.Context()); err != nil {
						t.Fatal(err)
					}
					if left == nil {
						t.Fatalf("no %s of %s was seen: nothing is tested", at.op, at.glob)
					}
					a.files = filesystem.NewRegistry(left)
					for _, p := range a.list(t, savepoints) {
						if path.Base(p) == "_metadata" {
							a.read(t, "mem:/"+p)
						}
					}
					a.undisturbed()
					a.adjust = nil
					a.mustEnd(t, "FINISHED")
					a.check(t)
				})
		}
	}
}

// Goal: who starts in a copy of a checkpoint directory while the job at the original goes on is
// told what is wrong and the way out, which works. Method: stop, copy all, let the original finish,
// start the copy by name into the same output, then by its path.
func TestEngineCopiedRoot(t *testing.T) {
	a := newAttack()
	a.rate, a.parallelism = 10000, 1
	a.stopAt(a.numbers)
	a.mustStop(t)
	dir := strings.TrimPrefix(a.newest(t).Dir, oldRoot)
	a.copyTo(t, oldRoot, newRoot, "")
	a.undisturbed()
	a.mustEnd(t, "FINISHED")
	a.check(t)
	a.root = "mem:/" + newRoot
	_, err := a.run(t, t.Context())
	if err == nil || !strings.Contains(err.Error(), "makes it a job of its own") ||
		!strings.Contains(err.Error(), newRoot+dir) {
		t.Fatalf("error %v, want one with the cure", err)
	}
	a.restore = "mem:/" + newRoot + dir
	a.mustEnd(t, "FINISHED")
	if _, err := store.Read(t.Context(), a.files, a.restore); err != nil {
		t.Error(err)
	}
}
