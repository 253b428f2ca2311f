package run

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// TestSavepointApart takes a savepoint between two checkpoints, small and large: it holds one base
// run per pane and gives back all rows, and the checkpoint after it is the same as without it.
func TestSavepointApart(t *testing.T) {
	ctx := context.Background()
	for _, size := range []int{10, 50 << 10} {
		var states []*protocol.KeyedState
		for _, between := range []bool{false, true} {
			s, l := newStore(), NewLists(types.AllHashes)
			a, b := backend.PaneID{Table: 0, Pane: 5}, backend.PaneID{Table: 1, Pane: 6}
			panes := []backend.PaneID{a, b}
			large := string(make([]byte, size))
			full := []backend.Part{partOf(a, true, large, "1"), partOf(b, true, large)}
			if _, _, err := l.Write(ctx, full, panes, 1, s); err != nil {
				t.Fatal(err)
			}
			if !l.Confirm(1) {
				t.Fatal("not confirmed")
			}
			if between {
				checkSavepoint(t, l, full, panes)
			}
			delta := []backend.Part{partOf(a, size < 100, "2")}
			if size < 100 {
				delta = append(delta, partOf(b, true, large))
			}
			state, _, err := l.Write(ctx, delta, panes, 3, s)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, state)
		}
		if !proto.Equal(states[0], states[1]) {
			t.Errorf("size %d: want %v, got %v", size, states[0], states[1])
		}
	}
}

func checkSavepoint(t *testing.T, l *Lists, full []backend.Part, panes []backend.PaneID) {
	t.Helper()
	ctx, own := context.Background(), newStore()
	state, stats, err := l.WriteSavepoint(ctx, full, panes, 2, own)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Runs != 2 || len(state.Panes) != 2 {
		t.Errorf("savepoint: %+v, %v", stats, state)
	}
	for _, p := range state.Panes {
		if len(p.Runs) != 1 || !p.Runs[0].Base || p.Runs[0].UpTo != 2 {
			t.Errorf("savepoint: %v", p)
		}
	}
	f := &filled{panes: map[backend.PaneID]rows{}}
	if _, err := Restore(ctx, own.open, state.Panes, types.AllHashes, f); err != nil {
		t.Fatal(err)
	}
	want := map[backend.PaneID]rows{}
	for _, p := range full {
		rows, err := collect(p.Entries())
		if err != nil {
			t.Fatal(err)
		}
		want[backend.PaneID{Table: p.Table, Pane: p.Pane}] = rows
	}
	if diff := cmp.Diff(want, f.panes); diff != "" {
		t.Error(diff)
	}
	if l.Confirm(2) {
		t.Error("a savepoint was confirmed")
	}
	if _, _, err := l.WriteSavepoint(ctx, full[:1], panes, 2, own); err == nil {
		t.Error("a pane without its part: no error")
	}
	changes := []backend.Part{partOf(panes[0], false, "x"), full[1]}
	if _, _, err := l.WriteSavepoint(ctx, changes, panes, 2, own); err == nil {
		t.Error("changes only: no error")
	}
}
