package stream_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/stream"
)

// torture is a job that is started again and again.
type torture struct {
	*attack
	t     *testing.T
	r     *rand.Rand
	inner *mem.Store
	ctx   context.Context // of the next run
	// cancel ends the next run; left is what is then the store, nil for what it is.
	cancel context.CancelFunc
	left   *mem.Store
	// place is a savepoint the job is to be started from, until it has completed a checkpoint.
	place string
	trail []string
}

// note keeps what was done, for the log of a failure.
func (x *torture) note(format string, args ...any) {
	x.trail = append(x.trail, fmt.Sprintf(format, args...))
}

// use makes inner, behind rules, the store of the next run.
func (x *torture) use(rules ...fault.Rule) {
	plan, err := fault.NewPlan(rules...)
	if err != nil {
		x.t.Fatal(err)
	}
	x.quiet = filesystem.NewRegistry(x.inner)
	x.files = filesystem.NewRegistry(fault.New(x.inner, plan))
}

// newestID is that of the newest checkpoint in the store, 0 for none.
func (x *torture) newestID() uint64 {
	x.quiet = filesystem.NewRegistry(x.inner)
	found := x.newest(x.t)
	if found == nil {
		return 0
	}
	return found.Meta.Header.CheckpointId
}

// draw chooses the shape of the next run.
func (x *torture) draw() {
	x.parallelism = 1 + x.r.IntN(3)
	x.backend = []string{"hashmap", "hashmap", "naive"}[x.r.IntN(3)]
	x.retained = 1 + x.r.IntN(3)
	x.tolerable = 10 * x.r.IntN(2)
	x.interval = fmt.Sprintf("%d ms", 1+x.r.IntN(12))
	x.rate = int(x.numbers) * (1 + x.r.IntN(4))
	x.restore = "latest"
	claim, schedule := "NO_CLAIM", x.r.IntN(3) == 0
	if x.place != "" {
		x.restore = x.place
		if x.r.IntN(2) == 0 {
			claim = "CLAIM"
		}
	}
	x.adjust = func(e *stream.Env) {
		e.Set("execution.checkpointing.savepoint-dir", savepoints)
		e.Set("execution.state-recovery.claim-mode", claim)
		if schedule {
			e.Set("execution.savepoint.interval", "20 ms")
			e.Set("execution.savepoint.retain.last", "1")
		}
	}
	x.calls.Store(0)
	x.fail, x.stop, x.attempts, x.left = nil, nil, 0, nil
	x.use()
	x.note("parallelism %d, %s, retained %d, every %s, from %s, %s", x.parallelism, x.backend,
		x.retained, x.interval, x.restore, claim)
}

// anyCall is a rule for a random call of the store.
func (x *torture) anyCall(f func()) {
	rules := []fault.Rule{
		{}, {Op: fault.OpCreate}, {Op: fault.OpWrite}, {Op: fault.OpPrepare},
		{Op: fault.OpPublish}, {Op: fault.OpPublish, Glob: "*.run"},
		{Op: fault.OpPublish, Glob: "part-*"},
		{Op: fault.OpCreateIfAbsent, Glob: "_metadata"},
		{Op: fault.OpCreateIfAbsent, Glob: "checkpoint-*"},
		{Op: fault.OpCreateIfAbsent, Glob: "*.committed"}, {Op: fault.OpRemove},
		{Op: fault.OpRemove, Glob: "*.run"}, {Op: fault.OpOpen}, {Op: fault.OpList},
	}
	rule := rules[x.r.IntN(len(rules))]
	rule.Hit = 1 + x.r.IntN(1<<x.r.IntN(10))
	rule.Wait = func(context.Context, fault.Call) error { f(); return nil }
	x.note("at call %d of %s %s", rule.Hit, rule.Op, rule.Glob)
	x.use(rule)
}

// byController plants what is to be done with the controller at a random moment.
func (x *torture) byController(f func(c *stream.Controller)) {
	before := x.adjust
	x.controlled(1+x.r.Int64N(2*x.numbers), f)
	controlled := x.adjust
	x.adjust = func(e *stream.Env) { before(e); controlled(e) }
}

// endings are the ways in which runs end. Each is called before the run and returns what is to be
// done after it.
var endings = []struct {
	name string
	plan func(x *torture) (after func())
}{
	{"failures", func(x *torture) func() { x.disturb(x.r); return nil }},
	{"stop", func(x *torture) func() { x.stopAt(1 + x.r.Int64N(2*x.numbers)); return nil }},
	{"outage", func(x *torture) func() {
		x.use(outage(x.r)...)
		x.attempts = x.r.IntN(4)
		return nil
	}},
	{"crash", (*torture).crash},
	{"requests", (*torture).requests},
	{"takeover", (*torture).takeover},
	{"stop with savepoint", (*torture).stopWithSavepoint},
	{"savepoint and crash", (*torture).savepointAndCrash},
}

// crash leaves the store as a crash would.
func (x *torture) crash() func() {
	var once sync.Once
	x.anyCall(func() { once.Do(func() { x.left = x.inner.CrashClone(); x.cancel() }) })
	return nil
}

// takeover starts another process of the name, from the newest checkpoint.
func (x *torture) takeover() func() {
	if x.place != "" {
		return x.crash() // Two that go back to one savepoint say everything twice.
	}
	second := newAttack()
	second.files, second.restore = x.quiet, "latest"
	second.numbers, second.keys, second.rate = x.numbers, x.keys, x.rate
	second.fromFile, second.written = x.fromFile, x.written
	second.parallelism, second.adjust = 1+x.r.IntN(3), x.adjust
	if x.r.IntN(2) == 0 {
		second.stopAt(1 + x.r.Int64N(x.numbers))
	}
	said := ""
	x.anyCall(func() {
		r, err := second.runEverything(x.t, x.t.Context())
		said = fmt.Sprintf("second: %+v, %v", r, err)
	})
	return func() { x.note("%s", said) }
}

// requests asks for savepoints and checkpoints of all kinds, two at a time, not waiting for all of
// them, then for the end.
func (x *torture) requests() func() {
	n, end := 1+x.r.IntN(8), x.r.IntN(3)
	kinds, patience := make([]int, n), make([]time.Duration, n)
	for i := range n {
		kinds[i] = x.r.IntN(4)
		patience[i] = time.Duration(x.r.IntN(20)) * time.Millisecond
	}
	x.byController(func(c *stream.Controller) {
		var group sync.WaitGroup
		for i, kind := range kinds {
			ask := func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if kind%2 == 0 {
					ctx, cancel = context.WithTimeout(context.Background(), patience[i])
				}
				defer cancel()
				if kind < 2 {
					_, _ = c.Checkpoint(ctx, stream.CheckpointOptions{Full: i%2 == 0})
				} else {
					_, _ = c.Savepoint(ctx, stream.SavepointOptions{})
				}
			}
			if i%2 == 0 {
				group.Go(ask)
			} else {
				ask()
			}
		}
		group.Wait()
		switch end {
		case 0:
			_ = c.Stop()
		case 1:
			_ = c.Cancel()
		}
	})
	return nil
}

func (x *torture) stopWithSavepoint() func() {
	goBack, place := x.r.IntN(2) == 0, ""
	x.byController(func(c *stream.Controller) {
		taken, err := c.Savepoint(context.Background(), stream.SavepointOptions{Stop: true})
		if err == nil && goBack {
			place = taken.Path
		}
	})
	return func() {
		if place != "" {
			x.place = place
		}
	}
}

// savepointAndCrash crashes just after a savepoint, which is then what the job is started from.
func (x *torture) savepointAndCrash() func() {
	var taken stream.SavepointResult
	x.byController(func(c *stream.Controller) {
		var err error
		taken, err = c.Savepoint(context.Background(), stream.SavepointOptions{})
		if err == nil {
			x.left = x.inner.CrashClone()
		}
		_ = c.Cancel()
	})
	return func() {
		// What was committed behind it would come again.
		if x.left != nil && x.newestID() < taken.Checkpoint {
			x.place = taken.Path
			x.note("savepoint %d", taken.Checkpoint)
		}
	}
}

// once runs the job once and reports whether it has come to its end.
func (x *torture) once(last bool) bool {
	x.ctx, x.cancel = context.WithCancel(x.t.Context())
	defer x.cancel()
	x.draw()
	name, after := "end", func() {}
	if last {
		x.rate = 0
	} else {
		ending := endings[x.r.IntN(len(endings))]
		x.note("%s", ending.name)
		name = ending.name
		if f := ending.plan(x); f != nil {
			after = f
		}
	}
	was := x.newestID()
	r, err := x.runEverything(x.t, x.ctx)
	if r == nil {
		x.note("%s: %v", name, err)
	} else {
		x.note("%s: %s at %d, %s, %v", name, r.Status, r.Checkpoint, r.Savepoint, err)
	}
	crashed := x.left != nil
	if crashed {
		x.inner = x.left
	}
	if x.newestID() != was {
		x.place = ""
	}
	after()
	return err == nil && r.Status == "FINISHED" && r.Savepoint == "" && !crashed
}

// Goal: a job with states of all kinds, timers, sessions, panes and several sinks is exact whatever
// ends its runs, and whatever each is started from. Method: random runs, each of another shape,
// ended by failures, stops, savepoints, outages, other masters, and crashes at any call of the
// store; its states compare themselves with each other, its output is compared with a computation.
// LEAT_SEEDS is how many seeds are tried.
func TestEngineEverything(t *testing.T) {
	seeds := uint64(6)
	if text := os.Getenv("LEAT_SEEDS"); text != "" {
		var err error
		if seeds, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("read LEAT_SEEDS: %v", err)
		}
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			x := &torture{
				attack: newAttack(), t: t, r: rand.New(rand.NewPCG(seed, 7)),
				inner: mem.New(mem.Options{}),
			}
			x.keys = 200 + x.r.Int64N(600)
			x.numbers = x.keys * 2 * (2 + x.r.Int64N(6))
			x.fromFile = x.r.IntN(2) == 0
			x.use()
			x.writeInput(t)
			for start := 0; start < 14 && !t.Failed(); start++ {
				if x.once(start >= 11) {
					break
				}
			}
			x.files, x.quiet = filesystem.NewRegistry(x.inner), nil
			x.newest(t)
			x.checkEverything(t)
			if t.Failed() {
				t.Logf("seed %d: %q", seed, x.trail)
			}
		})
	}
}
