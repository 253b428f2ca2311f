package run

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const mib = 1 << 20

// sized is a run of some size for planning, in 1/16ths of all hashes.
func sized(base bool, bytes int64, lo, hi uint32, name string) *protocol.Run {
	bounds := types.HashRange{Lo: lo << 28, Hi: hi<<28 - 1}
	return &protocol.Run{
		File: &protocol.DataFile{Path: name, Size: bytes}, Length: bytes, Base: base,
		HashLo: bounds.Lo, HashHi: bounds.Hi, TableLo: bounds.Lo, TableHi: bounds.Hi,
		Digest: make([]byte, DigestBytes), Format: Format,
	}
}

// TestPartition cuts lists: by bytes, on the grid, with a cut that stays until both halves are
// small, and inside the bounds of a task.
func TestPartition(t *testing.T) {
	all := func(base bool, bytes int64) *protocol.Run { return sized(base, bytes, 0, 16, "a") }
	halves := func(each int64) []*protocol.Run {
		return []*protocol.Run{sized(true, each, 0, 8, "a"), sized(true, each, 8, 16, "b")}
	}
	whole := types.AllHashes
	for name, c := range map[string]struct {
		runs   []*protocol.Run
		bounds types.HashRange
		want   string
	}{
		"small": {[]*protocol.Run{all(true, 1)}, whole, "0-f"},
		"64":    {[]*protocol.Run{all(true, 64*mib)}, whole, "0-f"},
		"65":    {[]*protocol.Run{all(true, 65*mib)}, whole, "0-7 8-f"},
		"200":   {[]*protocol.Run{all(true, 200*mib)}, whole, "0-3 4-7 8-b c-f"},
		"grown by changes": {
			[]*protocol.Run{all(true, mib), all(false, 130*mib)}, whole, "0-7 8-f",
		},
		"halves of 17":    {halves(17 * mib), whole, "0-7 8-f"},
		"halves of 15":    {halves(15 * mib), whole, "0-f"},
		"one third of 96": {[]*protocol.Run{all(true, 96*mib)}, types.SubtaskRange(0, 3), "0-5"},
		"a quarter of 1024": {[]*protocol.Run{all(true, 1024*mib)}, types.SubtaskRange(1, 4),
			"4-4 5-5 6-6 7-7"},
		"nothing": {nil, whole, ""},
	} {
		var got []string
		for _, r := range partition(c.runs, c.bounds, defaultSizes) {
			got = append(got, fmt.Sprintf("%x-%x", r.bounds.Lo>>28, r.bounds.Hi>>28))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSteps shows which runs of a hash range are merged: "base" for all up to some run, "tier" for
// neighbours of about one size, and how urgent it is.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		base int64
		rest []int64
		pane backend.Pane
		want string
	}{
		{"few changes", 32 * mib, []int64{mib, mib}, backend.NoPane, ""},
		{"seven", 32 * mib, slices.Repeat([]int64{mib}, 7), backend.NoPane, ""},
		{"eight", 32 * mib, slices.Repeat([]int64{mib}, 8), backend.NoPane, "tier 0-8 1.0"},
		{"behind", 99 * mib, slices.Repeat([]int64{mib}, 16), backend.NoPane, "tier 0-16 2.0"},
		{"larger one first", 99 * mib, append([]int64{8 * mib}, slices.Repeat([]int64{mib}, 8)...),
			backend.NoPane, "tier 1-9 1.0"},
		{"tail too short", 99 * mib, append([]int64{8 * mib}, slices.Repeat([]int64{mib}, 7)...),
			backend.NoPane, ""},
		{"garbage", 32 * mib, []int64{8 * mib, 8 * mib}, backend.NoPane, "base 0-3 1.0"},
		{"much garbage", 32 * mib, []int64{48 * mib}, backend.NoPane, "base 0-2 3.0"},
		{"short-lived pane", 32 * mib, []int64{48 * mib}, 5000, ""},
		{"pane that stays", 32 * mib, slices.Repeat([]int64{8 * mib}, 4), 5000, "base 0-5 2.0"},
	} {
		runs := []*protocol.Run{sized(true, c.base, 0, 16, "base")}
		for i, bytes := range c.rest {
			runs = append(runs, sized(false, bytes, 0, 16, fmt.Sprint(i)))
		}
		id := backend.PaneID{Pane: c.pane}
		got := ""
		if s, ok := stepOf(hashRange{types.AllHashes, runs}, id); ok {
			kind, from := "base", 0
			if !s.base {
				kind, from = "tier", slices.Index(runs, s.inputs[0])-1
			}
			got = fmt.Sprintf("%s %d-%d %.1f", kind, from, from+len(s.inputs), s.urgency)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestBudget lists 16 ranges that all need a merge: one of any size is allowed, then what the
// budget bears, what is urgent always, and a range that waits for its result never again.
func TestBudget(t *testing.T) {
	l := NewLists(types.AllHashes)
	var runs []*protocol.Run
	for i := range uint32(16) {
		runs = append(runs, sized(true, 32*mib, i, i+1, fmt.Sprint("base", i)))
	}
	for i := range 8 {
		runs = append(runs, sized(false, 16*mib, 0, 16, fmt.Sprint("delta", i)))
	}
	l.mu.confirmed = []paneList{{id: backend.PaneID{Pane: backend.NoPane}, runs: runs}}
	if l.NextMerge() != nil {
		t.Error("lists that were adopted are merged")
	}
	l.mu.confirmedID, l.mu.budget = 1, 20*mib
	count := func() (n int) {
		for p := l.NextMerge(); p != nil && n < 100; p = l.NextMerge() {
			if p.JoinBy() != 1+joinWithin {
				t.Errorf("joins by %d", p.JoinBy())
			}
			n++
			l.join(p.steps, []*protocol.Run{p.steps[0].inputs[0]})
		}
		return n
	}
	// A range has 8 slices of 1 MB: two merges of 8 MB fit.
	if n := count(); n != 2 {
		t.Errorf("%d merges within the budget", n)
	}
	l.mu.budget, l.mu.spent = 0, false
	if n := count(); n != 1 {
		t.Errorf("%d merges without a budget", n)
	}
	for i := range 8 {
		runs = append(runs, sized(false, 2*mib, 0, 16, fmt.Sprint("more", i)))
	}
	l.mu.confirmed[0].runs = runs
	l.mu.budget, l.mu.spent = 0, true
	if n := count(); n != 13 {
		t.Errorf("%d urgent merges, 3 of 16 ranges wait", n)
	}
}

// churn takes checkpoints of rows that change at random and merges as a task would.
func churn(t *testing.T, s *store, l *Lists, checkpoints int) (
	state *protocol.KeyedState, model rows, times float64,
) {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	id := backend.PaneID{Pane: backend.NoPane}
	model = rows{}
	var delta, uploaded int64
	for checkpoint := uint64(1); checkpoint <= uint64(checkpoints); checkpoint++ {
		n := 200
		if checkpoint == 1 {
			n = 10_000
		}
		points := map[string]*string{}
		for range n {
			value := make([]byte, 100)
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			i := uint32(rng.IntN(10_000))
			key, text := string(appendKey(nil, i*429_496, []byte("key"))), string(value)
			points[key], model[key] = &text, text
		}
		changes := sortedChanges(points)
		part := backend.Part{Pane: id.Pane, Rows: len(changes), Bytes: int64(120 * len(changes)),
			Entries: func() backend.Entries { return &listed{changes: changes} }}
		var stats WriteStats
		var err error
		state, stats, err = l.Write(context.Background(), []backend.Part{part},
			[]backend.PaneID{id}, checkpoint, s)
		if err != nil {
			t.Fatal(err)
		}
		l.Confirm(checkpoint)
		if fault := faultOf(state.Panes[0].Runs); fault != "" {
			t.Fatal(fault)
		}
		if checkpoint > 1 {
			delta += stats.UploadedBytes
			uploaded += stats.UploadedBytes
		}
		for plan := l.NextMerge(); plan != nil; plan = l.NextMerge() {
			merged, err := plan.Run(context.Background(), quietEnv(s))
			if err != nil {
				t.Fatal(err)
			}
			uploaded += merged.WrittenBytes
		}
		if deep := depth(state.Panes[0].Runs); deep > 24 {
			t.Fatalf("checkpoint %d: %d runs for one hash", checkpoint, deep)
		}
	}
	return state, model, float64(uploaded) / float64(delta)
}

func quietEnv(s *store) MergeEnv {
	return MergeEnv{Open: s.open, Uploader: s, Pause: func() error { return nil }}
}

// smallLists are lists whose merges are planned as if 64 KiB were 64 MiB.
func smallLists() *Lists {
	l := NewLists(types.AllHashes)
	l.sizes = mergeSizes{split: 64 << 10, join: 32 << 10, small: 1 << 10, shared: 32 << 10}
	return l
}

// TestUploadedBytes takes 120 checkpoints of 2 % changed rows, at a thousandth of the usual size:
// what is uploaded stays below four times the changes, the lists stay short, the rows right.
func TestUploadedBytes(t *testing.T) {
	s := newStore()
	state, model, times := churn(t, s, smallLists(), 120)
	t.Logf("uploaded %.2f times the changes, %d entries in the list", times,
		len(state.Panes[0].Runs))
	if times > 4 || times < 1.2 {
		t.Errorf("uploaded %.2f times the changes", times)
	}
	f := &filled{panes: map[backend.PaneID]rows{}}
	_, err := Restore(context.Background(), s.open, state.Panes, types.AllHashes, f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(model, f.panes[backend.PaneID{Pane: backend.NoPane}]); diff != "" {
		t.Error(diff)
	}
}

// TestMergeRefusesDamage damages the inputs of a merge: every error names the object, the lists
// stay as they are, and no object stays open. Then the same merge succeeds on whole inputs.
func TestMergeRefusesDamage(t *testing.T) {
	s, l := newStore(), smallLists()
	churn(t, s, l, 7)
	// The next checkpoint makes merges worth it.
	id := backend.PaneID{Pane: backend.NoPane}
	large := string(make([]byte, inlineBytes))
	next := func(checkpoint uint64) *MergePlan {
		part := partOf(id, false, large, large)
		_, _, err := l.Write(context.Background(), []backend.Part{part}, []backend.PaneID{id},
			checkpoint, s)
		if err != nil {
			t.Fatal(err)
		}
		l.Confirm(checkpoint)
		return l.NextMerge()
	}
	plan := next(8)
	for checkpoint := uint64(9); plan == nil && checkpoint < 40; checkpoint++ {
		plan = next(checkpoint)
	}
	if plan == nil {
		t.Fatal("nothing to merge")
	}
	input := plan.steps[0].inputs[len(plan.steps[0].inputs)-1]
	path := input.File.Path
	whole := s.objects[path]
	refuse := func(what string, want error) {
		t.Helper()
		l.mu.verified = map[tableName]struct{}{}
		_, err := plan.Run(context.Background(), quietEnv(s))
		if !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
		if s.opened != 0 || len(l.mu.waiting) != 0 {
			t.Errorf("%s: %d objects open, %d merges finished", what, s.opened, len(l.mu.waiting))
		}
	}
	for _, at := range []int64{0, input.Length / 2, input.Length - 1} {
		s.objects[path] = slices.Clone(whole)
		s.objects[path][input.Offset+at] ^= 4
		refuse(fmt.Sprintf("byte %d flipped", at), ErrDigest)
	}
	s.objects[path] = whole[:len(whole)-1]
	refuse("cut", ErrTruncated)
	delete(s.objects, path)
	refuse("missing", filesystem.ErrNotExist)
	s.objects[path] = whole
	if _, err := plan.Run(context.Background(), quietEnv(s)); err != nil || len(l.mu.waiting) == 0 {
		t.Errorf("whole inputs: %v, %d merges finished", err, len(l.mu.waiting))
	}
	// Verified once, damaged later: the checksums of the blocks find it.
	for at := range int64(20) {
		s.objects[path] = slices.Clone(whole)
		s.objects[path][input.Offset+at*input.Length/20] ^= 1
		_, err := plan.Run(context.Background(), quietEnv(s))
		if err != nil && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path)) {
			t.Errorf("damaged later: %v", err)
		}
	}
	stop := errors.New("stopped")
	env := quietEnv(s)
	s.objects[path] = whole
	env.Pause = func() error { return stop }
	l.mu.verified = map[tableName]struct{}{}
	if _, err := plan.Run(context.Background(), env); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}
