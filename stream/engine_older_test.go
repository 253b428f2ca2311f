package stream_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/stream"
)

// Goal: every state a job retains, checkpoint or savepoint, is whole whatever was merged and swept
// meanwhile, and a job started from it goes on exactly from there. Method: stop a job that retains
// several; from each of them, in a copy of the store, run to the end, and look at the output that
// comes behind it.
func TestEngineRetained(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 8))
			inner := mem.New(mem.Options{})
			a := newAttack()
			a.files = filesystem.NewRegistry(inner)
			a.numbers, a.keys, a.retained = 4000, 500, 4
			a.rate, a.interval, a.tolerable = 5000, "4 ms", 3
			var place string
			for range 3 {
				a.parallelism = 1 + r.IntN(3)
				a.controlled(1+r.Int64N(2*a.numbers/3), func(c *stream.Controller) {
					taken, err := c.Savepoint(t.Context(), stream.SavepointOptions{})
					if err == nil {
						place = taken.Path
					}
					_ = c.Stop()
				})
				if _, err := a.runEverything(t, t.Context()); err != nil {
					t.Fatal(err)
				}
				a.restore = "latest"
			}
			s, err := store.Open(t.Context(), a.files, a.root, "attacked")
			if err != nil {
				t.Fatal(err)
			}
			all, err := s.Candidates(t.Context(), savepoints)
			if err != nil {
				t.Fatal(err)
			}
			if len(all) < 4 || place == "" {
				t.Fatalf("retained: %v", all)
			}
			for _, c := range all {
				b := newAttack()
				b.files = filesystem.NewRegistry(inner.CrashClone())
				b.numbers, b.keys = a.numbers, a.keys
				b.undisturbed()
				b.restore, b.parallelism = c.URI, 1+r.IntN(3)
				if r.IntN(2) == 0 {
					b.adjust = func(e *stream.Env) {
						e.Set("execution.state-recovery.claim-mode", "CLAIM")
					}
				}
				b.goesOn(t, c)
			}
		})
	}
}

// goesOn runs a job to its end and checks what it adds to the output.
func (a *attack) goesOn(t *testing.T, from store.Candidate) {
	t.Helper()
	found := a.read(t, from.URI)
	for reference := range found.Meta.Files {
		if _, err := found.FS.Stat(t.Context(), path.Join(found.Dir, reference)); err != nil {
			t.Errorf("%v: %v", from, err)
		}
	}
	before := rowsOf[told](t, a, "told")
	result, err := a.runEverything(t, t.Context())
	if err != nil || result.Status != "FINISHED" {
		t.Fatalf("from %v: %+v, %v", from, result, err)
	}
	totals := map[int64]int64{}
	for id := range a.numbers {
		totals[a.keyOf(id)]++
	}
	added, least := map[int64]int64{}, map[int64]int64{}
	for row, n := range rowsOf[told](t, a, "told") {
		n -= before[row]
		if n < 0 || n > 1 {
			t.Errorf("from %v: %+v comes %d times", from, row, n)
		}
		if n != 1 || row.ID < 0 || row.Sum != 0 {
			continue
		}
		added[row.Key]++
		if least[row.Key] == 0 || row.Count < least[row.Key] {
			least[row.Key] = row.Count
		}
	}
	for key, n := range added {
		if least[key]+n-1 != totals[key] {
			t.Errorf(
				"from %v: key %d has %d rows from the count %d on, want up to %d",
				from,
				key,
				n,
				least[key],
				totals[key],
			)
		}
	}
}
