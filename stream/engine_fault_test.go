package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
)

// runsUntilFinished is how often a job of these tests is started at most. The last starts
// are undisturbed.
const runsUntilFinished = 8

// finish starts the job by name until it has finished, each time at another parallelism.
// before is called before every start but the last ones.
func (a *attack) finish(t *testing.T, r *rand.Rand, before func()) {
	t.Helper()
	var trail []string
	for start := range runsUntilFinished {
		a.parallelism, a.restore = 1+r.IntN(4), "latest"
		if start < runsUntilFinished/2 {
			before()
		} else {
			a.undisturbed()
		}
		result, err := a.run(t, t.Context())
		trail = append(trail, fmt.Sprintf("parallelism %d: %v", a.parallelism, err))
		if result != nil && result.Status == "FINISHED" {
			a.newest(t)
			a.check(t)
			if t.Failed() {
				t.Logf("starts: %q", trail)
			}
			return
		}
	}
	t.Errorf("not finished: %q", trail)
}

// randomAttack draws the shape of a job.
func randomAttack(r *rand.Rand) *attack {
	a := newAttack()
	a.numbers = 2000 + r.Int64N(6000)
	a.keys = 1 + r.Int64N(a.numbers)
	a.rate = int(a.numbers) * 4
	a.fromFile = r.IntN(2) == 0
	a.retained = 1 + r.IntN(2)
	a.tolerable = 10 * r.IntN(2)
	a.interval = fmt.Sprintf("%d ms", 1+r.IntN(8))
	if r.IntN(4) == 0 {
		a.backend = "naive"
	}
	return a
}

// disturb plants failures and stops at random calls of user functions.
func (a *attack) disturb(r *rand.Rand) {
	a.attempts = r.IntN(4)
	a.calls.Store(0)
	a.fail, a.stop = map[int64]func() error{}, nil
	for range r.IntN(4) {
		a.fail[1+r.Int64N(2*a.numbers)] = func() error { return errors.New("planted") }
	}
	if r.IntN(2) == 0 {
		a.fail[1+r.Int64N(2*a.numbers)] = func() error { panic("planted") }
	}
	if r.IntN(2) == 0 {
		stop := make(chan struct{})
		a.stop = stop
		a.fail[1+r.Int64N(2*a.numbers)] = func() error { close(stop); return nil }
	}
}

// Goal: the output is exact whatever fails and whenever the job is stopped and continued, at
// any parallelism. Method: random jobs with planted errors, panics and stops.
func TestEngineRestarts(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			a := randomAttack(r)
			a.finish(t, r, func() { a.disturb(r) })
		})
	}
}

// outage is a run of calls of one operation that fail, before or after their effect.
func outage(r *rand.Rand) []fault.Rule {
	places := []fault.Rule{
		{}, {Op: fault.OpOpen}, {Op: fault.OpCreate}, {Op: fault.OpWrite}, {Op: fault.OpPrepare},
		{Op: fault.OpCreateIfAbsent, Glob: "_metadata"},
		{Op: fault.OpCreateIfAbsent, Glob: "checkpoint-*"},
		{Op: fault.OpCreateIfAbsent, Glob: "*.committed"},
		{Op: fault.OpCreateIfAbsent}, {Op: fault.OpPublish, Glob: "*.run"},
		{Op: fault.OpList}, {Op: fault.OpRemove}, {Op: fault.OpStat}, {Op: fault.OpListInProgress},
	}
	place := places[r.IntN(len(places))]
	first, mode := 1+r.IntN(30), r.IntN(3)
	var rules []fault.Rule
	for hit := first; hit <= first+r.IntN(12); hit++ {
		rule := place
		rule.Name, rule.Hit = "outage", hit
		if mode == 0 || mode == 1 && r.IntN(2) == 0 {
			rule.Before = fault.ErrInjected
		} else {
			rule.After = fault.ErrInjected
		}
		rules = append(rules, rule)
	}
	return rules
}

// Goal: outages of the store, with effects known and unknown, cost neither records nor
// exactness, and a job that gave up goes on from its name. Method: random jobs whose
// checkpoints and output are on a store with an outage at a random moment.
func TestEngineOutages(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			a := randomAttack(r)
			inner := mem.New(mem.Options{})
			plan, err := fault.NewPlan(outage(r)...)
			if err != nil {
				t.Fatal(err)
			}
			a.files = filesystem.NewRegistry(inner)
			a.writeInput(t)
			a.quiet = a.files
			a.files = filesystem.NewRegistry(fault.New(inner, plan))
			starts := 0
			a.finish(t, r, func() {
				if starts++; starts > 3 {
					a.files = filesystem.NewRegistry(inner)
				}
				a.disturb(r)
			})
		})
	}
}

// Goal: of masters of one name that follow each other while the earlier ones still run, the
// output is exact, and each but the last finds out. Method: at a random store call of a job
// another one is started and runs until it has completed checkpoints or has finished.
func TestEngineTakeover(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			inner := mem.New(mem.Options{})
			first, second := randomAttack(r), newAttack()
			first.files = filesystem.NewRegistry(inner)
			first.writeInput(t)
			second.files, second.restore = first.files, "latest"
			second.numbers, second.keys, second.rate = first.numbers, first.keys, first.rate
			second.fromFile, second.written = first.fromFile, true
			if r.IntN(2) == 0 {
				second.stopAt(1 + r.Int64N(first.numbers))
			}
			ops := []fault.Op{
				"", fault.OpCreateIfAbsent, fault.OpPublish, fault.OpList, fault.OpPrepare,
			}
			plan, err := fault.NewPlan(fault.Rule{
				Name: "takeover", Op: ops[r.IntN(len(ops))], Hit: 1 + r.IntN(30),
				Wait: func(context.Context, fault.Call) error {
					if _, err := second.run(t, t.Context()); err != nil {
						t.Errorf("second: %v", err)
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			first.files = filesystem.NewRegistry(fault.New(inner, plan))
			if _, err := first.run(t, t.Context()); err != nil {
				t.Logf("first: %v", err)
			}
			second.undisturbed()
			second.mustEnd(t, "FINISHED")
			second.newest(t)
			second.check(t)
		})
	}
}
