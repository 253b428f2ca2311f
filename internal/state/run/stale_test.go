package run

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Goal: of a merge of several panes, one of which is dropped and swept before or while the merge
// runs, the others are merged all the same; of one whose panes are all gone nothing is left to
// do. Method: two panes with objects of their own, dropped at each of these moments.
func TestMergeOutdated(t *testing.T) {
	ctx := context.Background()
	panes := []backend.PaneID{{Table: 1, Pane: 1}, {Table: 1, Pane: 2}}
	for _, c := range []struct {
		name           string
		dropped, steps int
		late           bool
	}{
		{"one before", 1, 1, false}, {"one meanwhile", 1, 1, true},
		{"both before", 2, 0, false}, {"both meanwhile", 2, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, l := newStore(), NewLists(types.AllHashes)
			checkpoint := uint64(0)
			write := func(alive []backend.PaneID, parts ...backend.Part) {
				t.Helper()
				checkpoint++
				if _, _, err := l.Write(ctx, parts, alive, checkpoint, s); err != nil {
					t.Fatal(err)
				}
				if !l.Confirm(checkpoint) {
					t.Fatal("not confirmed")
				}
			}
			of := map[backend.PaneID][]string{} // objects
			for n := range 2 * (fanIn + 1) {
				before := len(s.objects)
				id := panes[n%2]
				large := strings.Repeat(fmt.Sprint(n), inlineBytes)
				write(panes[:min(n+1, 2)], partOf(id, n < 2, large, large))
				for name := range s.objects {
					if before < len(s.objects) && strings.HasPrefix(name, "../shared/"+
						fmt.Sprint(checkpoint, "-")) {
						of[id] = append(of[id], name)
					}
				}
			}
			plan := l.NextMerge()
			if plan == nil || len(plan.steps) != 2 {
				t.Fatalf("plan %+v, want one with two steps", plan)
			}
			drop := func() {
				write(panes[c.dropped:])
				for _, id := range panes[:c.dropped] {
					for _, name := range of[id] {
						delete(s.objects, name)
					}
				}
			}
			env := quietEnv(s)
			if c.late {
				env.Pause = func() error {
					if drop != nil {
						drop()
						drop = nil
					}
					return nil
				}
			} else {
				drop()
			}
			stats, err := plan.Run(ctx, env)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.steps, len(l.mu.waiting)); d != "" ||
				(stats.Runs > 0) != (c.steps > 0) {
				t.Errorf("%+v, merges that wait (-want +got):\n%s", stats, d)
			}
			if s.opened != 0 {
				t.Errorf("%d objects are open", s.opened)
			}
		})
	}
}
