package barrier_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/barrier"
)

// render writes effects as a scenario expects them.
func render(effects []barrier.Effect) string {
	var out []string
	for _, e := range effects {
		switch e.Kind {
		case barrier.Block:
			out = append(out, fmt.Sprintf("block %d", e.Link))
		case barrier.Unblock:
			out = append(out, "unblock")
		case barrier.Start:
			out = append(out, fmt.Sprintf("start %d", e.Barrier.Checkpoint))
		case barrier.Aborted:
			out = append(out, fmt.Sprintf("aborted %d by %d", e.Checkpoint, e.By))
		}
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, ", ")
}

// do carries out one line of a scenario: "barrier LINK ID", "abort ID", "close LINK".
func do(t *testing.T, a *barrier.Aligner, line string) string {
	t.Helper()
	var verb string
	var first int
	var id uint64
	fmt.Sscan(line, &verb, &first, &id)
	switch verb {
	case "barrier":
		return render(a.OnBarrier(first, record.Barrier{Checkpoint: id}))
	case "abort":
		return render(a.OnAbort(uint64(first)))
	case "close":
		return render(a.OnLinkClosed(first))
	}
	t.Fatalf("unknown line %q", line)
	return ""
}

var scenarios = []struct {
	name  string
	links int
	lines []string // input => effects
}{
	{"one link starts at once", 1, []string{
		"barrier 0 1 => start 1",
		"barrier 0 2 => start 2",
	}},
	{"links wait for each other", 3, []string{
		"barrier 1 7 => block 1",
		"barrier 0 7 => block 0",
		"barrier 2 7 => start 7, unblock",
		"barrier 2 8 => block 2",
	}},
	{"barrier of an older checkpoint is dropped and its link goes on", 2, []string{
		"barrier 0 5 => block 0",
		"barrier 1 4 => -",
		"barrier 1 5 => start 5, unblock",
		"barrier 0 5 => -",
		"barrier 0 3 => -",
	}},
	{"a newer barrier aborts the pending checkpoint", 3, []string{
		"barrier 0 5 => block 0",
		"barrier 1 6 => unblock, aborted 5 by 6, block 1",
		"barrier 0 5 => -",
		"barrier 0 6 => block 0",
		"barrier 2 5 => -",
		"barrier 2 6 => start 6, unblock",
	}},
	{"an abort before any barrier makes all its barriers stale", 2, []string{
		"abort 5 => aborted 5 by 0",
		"barrier 0 5 => -",
		"barrier 1 5 => -",
		"barrier 0 6 => block 0",
		"barrier 1 6 => start 6, unblock",
	}},
	{"an abort between barriers unblocks and the later barrier is stale", 2, []string{
		"barrier 0 5 => block 0",
		"abort 5 => unblock, aborted 5 by 0",
		"barrier 1 5 => -",
		"abort 5 => -",
		"barrier 1 6 => block 1",
	}},
	{"an abort after the start has no effect on links", 2, []string{
		"barrier 0 5 => block 0",
		"barrier 1 5 => start 5, unblock",
		"abort 5 => -",
		"abort 4 => -",
	}},
	{"an abort of a newer checkpoint gives up the pending one", 2, []string{
		"barrier 0 5 => block 0",
		"abort 6 => unblock, aborted 5 by 6, aborted 6 by 0",
		"barrier 1 5 => -",
		"barrier 1 6 => -",
		"barrier 0 7 => block 0",
	}},
	{"an abort of an older checkpoint leaves the pending one", 2, []string{
		"barrier 0 5 => block 0",
		"abort 4 => -",
		"barrier 1 5 => start 5, unblock",
	}},
	{"a closed link counts as its barrier", 3, []string{
		"barrier 0 5 => block 0",
		"close 1 => -",
		"barrier 2 5 => start 5, unblock",
		"barrier 2 6 => block 2",
		"close 0 => start 6, unblock",
	}},
	{"a link that closes behind its barrier changes nothing", 2, []string{
		"barrier 0 5 => block 0",
		"close 0 => -",
		"barrier 1 5 => start 5, unblock",
		"barrier 1 6 => start 6, unblock",
		"close 1 => -",
		"close 1 => -",
	}},
}

// Goal: every rule of alignment. Method: one scenario for each, effects compared line by line.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			a := barrier.NewAligner(s.links)
			for _, line := range s.lines {
				input, want, _ := strings.Cut(line, " => ")
				if diff := cmp.Diff(want, do(t, a, input)); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", input, diff)
				}
			}
		})
	}
}

// Goal: the facts of the barrier itself reach the start. Method: one barrier with all fields.
func TestStartCarriesBarrier(t *testing.T) {
	want := record.Barrier{Checkpoint: 3, TriggerMillis: 77, Full: true}
	effects := barrier.NewAligner(1).OnBarrier(0, want)
	if diff := cmp.Diff(want, effects[0].Barrier); diff != "" {
		t.Errorf("barrier (-want +got):\n%s", diff)
	}
}

// Goal: under any order of barriers and aborts no link stays blocked without a pending
// checkpoint, no checkpoint starts twice, or after its abort, or without all its barriers.
// Method: random interleavings; each link delivers ascending ids, with gaps, as long as it
// is not blocked; a record of what happened is the oracle.
func TestRandomOrder(t *testing.T) {
	const runs, links, newest, last = 300, 4, 12, 99
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 1))
		a := barrier.NewAligner(links)
		next := [links]uint64{}
		came := [links]map[uint64]bool{}
		for i := range came {
			came[i] = map[uint64]bool{}
		}
		blocked := [links]bool{}
		over := map[uint64]bool{} // started or aborted
		check := func(effects []barrier.Effect) {
			for _, e := range effects {
				switch e.Kind {
				case barrier.Block:
					blocked[e.Link] = true
				case barrier.Unblock:
					blocked = [links]bool{}
				case barrier.Start:
					id := e.Barrier.Checkpoint
					if over[id] {
						t.Fatalf("seed %d: checkpoint %d starts after it was over", seed, id)
					}
					for link := range came {
						if !came[link][id] {
							t.Fatalf("seed %d: %d starts without link %d", seed, id, link)
						}
					}
					over[id] = true
				case barrier.Aborted:
					over[e.Checkpoint] = true
				}
			}
			if _, pending := a.Current(); !pending && blocked != [links]bool{} {
				t.Fatalf("seed %d: links blocked without a pending checkpoint", seed)
			}
		}
		for {
			var free []int
			for link := range next {
				if !blocked[link] && next[link] < newest {
					free = append(free, link)
				}
			}
			if len(free) == 0 {
				break
			}
			if random.IntN(8) == 0 {
				id := 1 + random.Uint64N(newest)
				over[id] = true
				check(a.OnAbort(id))
				continue
			}
			link := free[random.IntN(len(free))]
			next[link] += 1 + random.Uint64N(2)
			came[link][next[link]] = true
			check(a.OnBarrier(link, record.Barrier{Checkpoint: next[link]}))
		}
		// Whatever was left pending, a last checkpoint gets through.
		for sent := 0; sent < links; {
			before := sent
			for link := range next {
				if !blocked[link] && !came[link][last] {
					came[link][last] = true
					sent++
					check(a.OnBarrier(link, record.Barrier{Checkpoint: last}))
				}
			}
			if sent == before {
				t.Fatalf("seed %d: all links hang", seed)
			}
		}
		if !over[last] {
			t.Fatalf("seed %d: the last checkpoint did not start", seed)
		}
	}
}
