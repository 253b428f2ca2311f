package run

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/types"
)

// plant is a bug that the random cases must find.
type plant int

const (
	plantNothing plant = iota
	plantIgnoreRangeDeletes
	plantOwnRangeDeletes
	plantOldestWins
	plantBareBase
	plantNoClip
)

// logical is the content of a run.
type logical struct {
	points map[string]*string
	spans  []types.HashRange
	base   bool
}

// history makes confirmed runs as a task would: changes since the last confirmed checkpoint, with
// checkpoints between that are given up.
type history struct {
	rng   *rand.Rand
	keys  []string
	model rows
	dirty map[string]bool
	spans []types.HashRange
	next  int
}

func (h *history) mutate() {
	key := h.keys[h.rng.IntN(len(h.keys))]
	switch h.rng.IntN(12) {
	case 0:
		r := anyRange(h.rng)
		for _, k := range h.keys {
			if inside(r, k) {
				delete(h.model, k)
				delete(h.dirty, k)
			}
		}
		h.spans = append(h.spans, r)
	case 1, 2, 3:
		delete(h.model, key)
		h.dirty[key] = true
	default:
		h.next++
		h.model[key] = fmt.Sprintf("value %d", h.next)
		h.dirty[key] = true
	}
}

// checkpoint returns the run of the next confirmed checkpoint.
func (h *history) checkpoint() logical {
	for {
		for range h.rng.IntN(15) {
			h.mutate()
		}
		if h.rng.IntN(4) == 0 {
			continue // Given up: rows and spans stay dirty.
		}
		run := logical{points: map[string]*string{}, spans: h.spans}
		for k := range h.dirty {
			if v, ok := h.model[k]; ok {
				run.points[k] = &v
			} else {
				run.points[k] = nil
			}
		}
		h.dirty, h.spans = map[string]bool{}, nil
		return run
	}
}

// combined merges neighbouring runs into one that keeps what it needs towards older runs.
func combined(runs []logical) logical {
	out := logical{points: map[string]*string{}, base: runs[0].base}
	for _, r := range runs {
		for k := range out.points {
			if slices.ContainsFunc(r.spans, func(s types.HashRange) bool { return inside(s, k) }) {
				delete(out.points, k)
			}
		}
		for k, v := range r.points {
			out.points[k] = v
		}
		out.spans = append(out.spans, r.spans...)
	}
	return out
}

// based merges all runs up to some checkpoint into a base run.
func based(runs []logical) logical {
	out := combined(runs)
	for k, v := range out.points {
		if v == nil {
			delete(out.points, k)
		}
	}
	out.base, out.spans = true, []types.HashRange{types.AllHashes}
	return out
}

// variant rewrites a list without changing what it amounts to.
func variant(rng *rand.Rand, runs []logical) []logical {
	runs = slices.Clone(runs)
	switch from, to := rng.IntN(len(runs)), 0; rng.IntN(6) {
	case 0: // Merge a group in the middle.
		to = from + 1 + rng.IntN(len(runs)-from)
		return slices.Replace(runs, from, to, combined(runs[from:to]))
	case 1: // Merge the oldest runs into a base.
		return slices.Replace(runs, 0, from+1, based(runs[:from+1]))
	case 2: // The same, with one of the runs it holds still listed before it.
		return slices.Replace(runs, 0, from+1, runs[rng.IntN(from+1)], based(runs[:from+1]))
	case 3: // Apply a suffix twice.
		return append(runs, runs[from:]...)
	case 4: // Apply everything twice.
		return append(runs, runs...)
	}
	return runs
}

func openLogical(l logical, p plant) (*Reader, error) {
	var out bytes.Buffer
	b := NewBuilder(&out)
	for _, c := range sortedChanges(l.points) {
		var err error
		if c.value == nil {
			err = b.Delete(hashOf(c.key), []byte(c.key[prefixBytes:]))
		} else {
			err = b.Set(hashOf(c.key), []byte(c.key[prefixBytes:]), []byte(*c.value))
		}
		if err != nil {
			b.Abort()
			return nil, err
		}
	}
	for _, s := range l.spans {
		if !l.base || p != plantBareBase {
			b.DeleteHashRange(s)
		}
	}
	summary, err := b.Finish()
	if err != nil {
		return nil, err
	}
	return Open(out.Bytes(), summary.Digest[:])
}

// mergeWith merges with a planted bug.
func mergeWith(sources []Source, bounds types.HashRange, p plant) *Merged {
	if p == plantOldestWins {
		sources = slices.Clone(sources)
		slices.Reverse(sources)
	}
	m := Merge(sources, bounds)
	switch p {
	case plantIgnoreRangeDeletes:
		m.cover = newCover(nil, bounds)
	case plantOwnRangeDeletes:
		for i := range m.cover.newest {
			m.cover.newest[i]++
		}
	}
	return m
}

// randomCase runs one seed and returns how the merge differs from the model, "" if it does not.
func randomCase(t *testing.T, seed uint64, p plant) string {
	rng := rand.New(rand.NewPCG(seed, 7))
	h := &history{rng: rng, keys: keyPool(rng), model: rows{}, dirty: map[string]bool{}}
	var runs []logical
	for range 1 + rng.IntN(6) {
		runs = append(runs, h.checkpoint())
		list := runs
		if rng.IntN(2) == 0 {
			list = variant(rng, list)
		}
		if rng.IntN(4) == 0 {
			runs = list
		}
		if diff := compareList(t, rng, list, h.model, p); diff != "" {
			return diff
		}
	}
	return ""
}

// compareList merges a list whole, and in pieces by bounds, and compares with the model.
func compareList(
	t *testing.T, rng *rand.Rand, list []logical, model rows, p plant,
) string {
	var sources []Source
	for _, l := range list {
		reader, err := openLogical(l, p)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		sources = append(sources, Source{reader, types.AllHashes})
	}
	for _, pieces := range []int{1, 1 + rng.IntN(4)} {
		union := rows{}
		for i := range pieces {
			bounds := types.SubtaskRange(i, pieces)
			cut := slices.Clone(sources)
			for i := range cut {
				cut[i].Bounds = bounds
			}
			whole := types.AllHashes
			if p == plantNoClip {
				cut = slices.Concat(sources[:1], cut)
			}
			got, err := collect(mergeWith(cut, whole, p))
			if err != nil {
				return err.Error()
			}
			if diff := cmp.Diff(model.within(bounds), got); diff != "" {
				return fmt.Sprintf("piece %v: %s", bounds, diff)
			}
			for k, v := range got {
				union[k] = v
			}
		}
		if diff := cmp.Diff(model, union); diff != "" {
			return fmt.Sprintf("union of %d: %s", pieces, diff)
		}
	}
	return ""
}

// TestMergeRandom compares merges of random lists with a map: sets, deletes, range deletes,
// re-inserts, checkpoints given up, merged neighbours, bases over stale runs, suffixes applied
// twice, and pieces by bounds.
func TestMergeRandom(t *testing.T) {
	for seed := range uint64(600) {
		if diff := randomCase(t, seed, plantNothing); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// TestMergeFindsPlants plants a bug and expects the random cases to notice: a test of the test.
func TestMergeFindsPlants(t *testing.T) {
	plants := map[string]plant{
		"range deletes ignored":           plantIgnoreRangeDeletes,
		"range deletes hit their own run": plantOwnRangeDeletes,
		"oldest version wins":             plantOldestWins,
		"base without range delete":       plantBareBase,
		"run not cut to bounds":           plantNoClip,
	}
	for name, p := range plants {
		found := 0
		for seed := range uint64(60) {
			if randomCase(t, seed, p) != "" {
				found++
			}
		}
		t.Logf("%s: %d of 60 seeds", name, found)
		if found == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

// TestMergeStopsEarly closes a merge in the middle and merges the same readers again: buffers must
// have gone back.
func TestMergeStopsEarly(t *testing.T) {
	want := rows{}
	for i := range uint32(2000) {
		want[string(appendKey(nil, i, []byte("key")))] = "value"
	}
	content, summary, err := Build(&listed{changes: want.changes()},
		BuildOptions{Bounds: types.AllHashes})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := Open(content, summary.Digest[:])
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	sources := []Source{{reader, types.AllHashes}, {reader, types.AllHashes}}
	first := Merge(sources, types.AllHashes)
	for range 700 {
		if _, ok := first.Next(); !ok {
			t.Fatal("ended early")
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := first.Next(); ok || first.Err() != nil {
		t.Fatal("goes on after Close")
	}
	got, err := collect(Merge(sources, types.AllHashes))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}
