package fault_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/fstest"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: without rules the wrapper keeps the contract of what it wraps.
// Method: the conformance kit.
func TestContractWithoutFaults(t *testing.T) {
	fstest.Run(t, func(t *testing.T) filesystem.FileSystem {
		return fault.New(mem.New(mem.Options{}), plan(t))
	})
}

func plan(t *testing.T, rules ...fault.Rule) *fault.Plan {
	t.Helper()
	p, err := fault.NewPlan(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// step is one call in a script; it returns the call's error.
type step struct {
	name string
	call func(t *testing.T, s *fault.Store) error
	want error // nil or a sentinel
}

func createIfAbsent(p string) func(t *testing.T, s *fault.Store) error {
	return func(t *testing.T, s *fault.Store) error {
		return s.CreateIfAbsent(t.Context(), p, []byte("x"))
	}
}

func stat(p string) func(t *testing.T, s *fault.Store) error {
	return func(t *testing.T, s *fault.Store) error {
		_, err := s.Stat(t.Context(), p)
		return err
	}
}

func writeFile(p string) func(t *testing.T, s *fault.Store) error {
	return func(t *testing.T, s *fault.Store) error {
		return filesystem.WriteFile(t.Context(), s, p, []byte("x"))
	}
}

func readFile(p string) func(t *testing.T, s *fault.Store) error {
	return func(t *testing.T, s *fault.Store) error {
		_, err := filesystem.ReadFile(t.Context(), s, p)
		return err
	}
}

var errLost = errors.New("answer lost")

// scripts are calls over a store in memory, each script with its rule and how often it matches.
var scripts = []struct {
	name  string
	rule  fault.Rule
	hits  int
	steps []step
}{
	{
		name: "before the effect, second hit only",
		rule: fault.Rule{Op: fault.OpCreateIfAbsent, Hit: 2, Before: fault.ErrInjected},
		hits: 3,
		steps: []step{
			{"first", createIfAbsent("/1"), nil},
			{"second", createIfAbsent("/2"), fault.ErrInjected},
			{"no effect", stat("/2"), filesystem.ErrNotExist},
			{"third", createIfAbsent("/2"), nil},
		},
	},
	{
		name: "after the effect",
		rule: fault.Rule{Op: fault.OpCreateIfAbsent, Hit: 1, After: errLost},
		hits: 2,
		steps: []step{
			{"lost", createIfAbsent("/1"), errLost},
			{"there", stat("/1"), nil},
			{"again", createIfAbsent("/1"), filesystem.ErrExists},
		},
	},
	{
		name: "base name glob",
		rule: fault.Rule{Glob: "checkpoint-*", Before: fault.ErrInjected},
		hits: 2,
		steps: []step{
			{"matches", createIfAbsent("/jobs/checkpoint-7"), fault.ErrInjected},
			{"matches another operation", stat("/checkpoint-1"), fault.ErrInjected},
			{"does not match", createIfAbsent("/checkpoint-7/other"), nil},
		},
	},
	{
		name: "whole path glob",
		rule: fault.Rule{Glob: "/a/*", Before: fault.ErrInjected},
		hits: 1,
		steps: []step{
			{"matches", createIfAbsent("/a/x"), fault.ErrInjected},
			{"deeper", createIfAbsent("/a/x/y"), nil},
		},
	},
	{
		name: "write",
		rule: fault.Rule{Op: fault.OpWrite, Glob: "x", Hit: 1, After: errLost},
		hits: 2,
		steps: []step{
			{"write", writeFile("/x"), errLost},
			{"nothing there", stat("/x"), filesystem.ErrNotExist},
			{"again", writeFile("/x"), nil},
		},
	},
	{
		name:  "prepare, answer lost",
		rule:  fault.Rule{Op: fault.OpPrepare, After: errLost},
		hits:  1,
		steps: []step{{"prepare", writeFile("/x"), errLost}},
	},
	{
		name: "publish by path of the token, answer lost",
		rule: fault.Rule{Op: fault.OpPublish, Glob: "/x", After: errLost},
		hits: 1,
		steps: []step{
			{"other path", writeFile("/y"), nil},
			{"publish", writeFile("/x"), errLost},
			{"there all the same", readFile("/x"), nil},
		},
	},
	{
		name: "create, answer lost",
		rule: fault.Rule{Op: fault.OpCreate, After: errLost},
		hits: 1,
		steps: []step{
			{"create", writeFile("/x"), errLost},
		},
	},
	{
		name: "open and read",
		rule: fault.Rule{Op: fault.OpReadAt, Hit: 1, Before: fault.ErrInjected},
		hits: 2,
		steps: []step{
			{"write", writeFile("/x"), nil},
			{"read", readFile("/x"), fault.ErrInjected},
			{"again", readFile("/x"), nil},
		},
	},
}

// Goal: rules act on the operation, path and hit they name, before or after the effect, and are
// counted. Nothing is left in progress by a caller that aborts and discards as it should.
// Method: scripts of calls over a store in memory, each with its rule.
func TestRules(t *testing.T) {
	for _, c := range scripts {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Name = "rule"
			p := plan(t, c.rule)
			s := fault.New(mem.New(mem.Options{}), p)
			for _, step := range c.steps {
				if err := step.call(t, s); !errors.Is(err, step.want) {
					t.Fatalf("%s: error %v, want %v", step.name, err, step.want)
				}
			}
			if got := p.Hits("rule"); got != c.hits {
				t.Errorf("%d hits, want %d", got, c.hits)
			}
			for e := range s.ListInProgress(t.Context(), "/") {
				t.Errorf("left in progress: %v", e)
			}
		})
	}
}

// Goal: a listing fails before its first entry or after its last one.
// Method: list two objects under each rule.
func TestListFaults(t *testing.T) {
	for _, c := range []struct {
		rule    fault.Rule
		entries int
	}{
		{fault.Rule{Op: fault.OpList, Before: fault.ErrInjected}, 0},
		{fault.Rule{Op: fault.OpList, After: fault.ErrInjected}, 2},
	} {
		s := fault.New(mem.New(mem.Options{}), plan(t, c.rule))
		for _, p := range []string{"/1", "/2"} {
			if err := s.CreateIfAbsent(t.Context(), p, nil); err != nil {
				t.Fatal(err)
			}
		}
		entries, failures := 0, 0
		for _, err := range s.List(t.Context(), "/", true) {
			if err == nil {
				entries++
			} else if errors.Is(err, fault.ErrInjected) {
				failures++
			}
		}
		if entries != c.entries || failures != 1 {
			t.Errorf("%d entries, %d failures; want %d, 1", entries, failures, c.entries)
		}
	}
}

// Goal: Wait runs between the call and its effect, without a lock, and can fail the call.
// Method: take the path from inside Wait; end the context from inside Wait.
func TestWait(t *testing.T) {
	inner := mem.New(mem.Options{})
	var seen fault.Call
	s := fault.New(inner, plan(t,
		fault.Rule{Op: fault.OpCreateIfAbsent, Glob: "raced",
			Wait: func(ctx context.Context, call fault.Call) error {
				seen = call
				return inner.CreateIfAbsent(ctx, call.Path, []byte("other"))
			}},
		fault.Rule{Op: fault.OpStat,
			Wait: func(context.Context, fault.Call) error { return context.DeadlineExceeded }},
	))
	err := s.CreateIfAbsent(t.Context(), "/raced", []byte("mine"))
	if !errors.Is(err, filesystem.ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	want := fault.Call{Op: fault.OpCreateIfAbsent, Path: "/raced", Hit: 1}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("call (-want +got):\n%s", diff)
	}
	if _, err := s.Stat(t.Context(), "/raced"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of Wait", err)
	}
}

// Goal: a plan outlives a restart: it goes on counting and knows the paths of older tokens.
// Method: prepare before a crash, publish after it under a glob.
func TestPlanOutlivesRestart(t *testing.T) {
	p := plan(t, fault.Rule{Name: "publish", Op: fault.OpPublish, Glob: "/x", Hit: 1,
		Before: fault.ErrInjected})
	inner := mem.New(mem.Options{})
	w, err := fault.New(inner, p).Create(t.Context(), "/x")
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := fault.New(inner.CrashClone(), p)
	if err := s.Publish(t.Context(), token); !errors.Is(err, fault.ErrInjected) {
		t.Fatalf("error %v, want the injected one", err)
	}
	if err := s.Publish(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if p.Hits("publish") != 2 || p.Calls(fault.OpPublish) != 2 || p.Calls(fault.OpCreate) != 1 {
		t.Errorf("hits %d, publishes %d, creates %d; want 2, 2, 1",
			p.Hits("publish"), p.Calls(fault.OpPublish), p.Calls(fault.OpCreate))
	}
}

// Goal: bad rules are refused when the plan is made.
// Method: one rule for each fault.
func TestBadRules(t *testing.T) {
	for _, r := range []fault.Rule{{Op: "rename"}, {Glob: "["}, {Hit: -1}} {
		if _, err := fault.NewPlan(r); err == nil {
			t.Errorf("rule %+v is accepted", r)
		}
	}
}
