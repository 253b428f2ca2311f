package run

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

// owner is a real backend with one paned table of word keys and 8-byte rows, and its lists.
type owner struct {
	t      *testing.T
	bounds types.HashRange
	b      backend.Backend
	table  backend.TableID
	lists  *Lists
}

func newOwner(t *testing.T, subtask, parallelism int) *owner {
	t.Helper()
	o := &owner{t: t, bounds: types.SubtaskRange(subtask, parallelism)}
	o.lists = NewLists(o.bounds)
	var err error
	if o.b, err = (naive.Factory{}).New(backend.Options{Bounds: o.bounds}); err != nil {
		t.Fatal(err)
	}
	if o.table, err = o.b.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.b.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (o *owner) set(pane backend.Pane, key, value uint64) {
	table, err := o.b.Table(o.table, pane)
	if err != nil {
		o.t.Fatal(err)
	}
	keys := backend.Keys{Hashes: []uint64{types.HashInt64(int64(key))}, Words: []uint64{key}}
	row := make([]backend.Row, 1)
	if _, err := table.Resolve(keys, backend.Insert, row, nil); err != nil {
		o.t.Fatal(err)
	}
	*(*uint64)(table.Fixed(row[0])) = value
}

// all returns every row by pane and key.
func (o *owner) all(into map[backend.Pane]map[uint64]uint64) {
	for _, pane := range o.b.Panes(o.table, nil) {
		table, err := o.b.Table(o.table, pane)
		if err != nil {
			o.t.Fatal(err)
		}
		table.Scan(func(row backend.Row) bool {
			words, _ := table.Key(row)
			if into[pane] == nil {
				into[pane] = map[uint64]uint64{}
			}
			into[pane][words[0]] = *(*uint64)(table.Fixed(row))
			return true
		})
	}
}

func (o *owner) checkpoint(id uint64, s *store) *protocol.KeyedState {
	snapshot, err := o.b.Begin(id, o.lists.WantFull(o.b.MemoryBytes()))
	if err != nil {
		o.t.Fatal(err)
	}
	for done := false; !done; {
		if done, err = snapshot.Step(1 << 16); err != nil {
			o.t.Fatal(err)
		}
	}
	state, _, err := o.lists.Write(context.Background(), snapshot.Parts(), snapshot.Panes(), id, s)
	if err != nil {
		o.t.Fatal(err)
	}
	snapshot.Release()
	if o.lists.Confirm(id) {
		o.b.Confirm(id)
	}
	return state
}

// TestBackendRoundTrip takes a real backend through checkpoint and restore at the parallelisms 1,
// 2, 3, 1, small (inline) and large (in an object), and compares all rows.
func TestBackendRoundTrip(t *testing.T) {
	for _, keys := range []uint64{20, 5000} {
		rng := rand.New(rand.NewPCG(keys, 5))
		want := map[backend.Pane]map[uint64]uint64{}
		first, s := newOwner(t, 0, 1), newStore()
		for i := range keys {
			pane := backend.Pane(rng.IntN(3) * 1000)
			if want[pane] == nil {
				want[pane] = map[uint64]uint64{}
			}
			want[pane][i] = rng.Uint64()
			first.set(pane, i, want[pane][i])
		}
		owners := []*owner{first}
		for round, parallelism := range []int{2, 3, 1} {
			var panes []*protocol.PaneRuns
			for _, o := range owners {
				panes = append(panes, o.checkpoint(uint64(round)+1, s).Panes...)
			}
			owners = nil
			got := map[backend.Pane]map[uint64]uint64{}
			for i := range parallelism {
				o := newOwner(t, i, parallelism)
				_, err := Restore(context.Background(), s.open, panes, o.bounds, o.b)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.lists.Adopt(panes); err != nil {
					t.Fatal(err)
				}
				o.all(got)
				owners = append(owners, o)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d keys, parallelism %d: %s", keys, parallelism, diff)
			}
		}
		if inline := len(s.objects) == 0; inline != (keys == 20) {
			t.Errorf("%d keys: %d objects", keys, len(s.objects))
		}
	}
}
