package types

import (
	"math/rand/v2"
	"testing"
)

// Goal: the ranges of the subtasks of every parallelism are disjoint, cover all hashes and say
// the same as SubtaskOf. Method: all p from 1 to 300 and some large ones, ranges in order, random
// hashes and both ends of every range.
func TestSubtaskRange(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	parallelisms := []int{1023, 1024, 4097, KeyGroups - 1, KeyGroups}
	for p := 1; p <= 300; p++ {
		parallelisms = append(parallelisms, p)
	}
	for _, p := range parallelisms {
		next := uint64(0)
		for s := range p {
			r := SubtaskRange(s, p)
			if uint64(r.Lo) != next || r.Hi < r.Lo {
				t.Fatalf("p %d: range %d is %s, want it to begin at %08x", p, s, r, next)
			}
			next = uint64(r.Hi) + 1
			for _, hash := range []uint64{uint64(r.Lo) << 32, uint64(r.Hi)<<32 | 0xffffffff} {
				if got := SubtaskOf(hash, p); got != s || !r.Contains(hash) {
					t.Fatalf("p %d: hash %x belongs to %d, want %d", p, hash, got, s)
				}
			}
		}
		if next != 1<<32 {
			t.Fatalf("p %d: ranges end at %x", p, next)
		}
		for range 200 {
			hash := random.Uint64()
			s := SubtaskOf(hash, p)
			if !SubtaskRange(s, p).Contains(hash) {
				t.Fatalf("p %d: hash %x is not in the range of subtask %d", p, hash, s)
			}
			if other := random.IntN(p); other != s && SubtaskRange(other, p).Contains(hash) {
				t.Fatalf("p %d: hash %x is in the range of subtask %d too", p, hash, other)
			}
		}
	}
}

// Goal: ranges know what they share. Method: neighbours and containment, by hand.
func TestHashRangeOverlaps(t *testing.T) {
	a, b := SubtaskRange(0, 2), SubtaskRange(1, 2)
	if a.Overlaps(b) || b.Overlaps(a) {
		t.Errorf("%s and %s overlap", a, b)
	}
	if middle := SubtaskRange(1, 3); !middle.Overlaps(a) || !middle.Overlaps(b) {
		t.Errorf("%s does not overlap both halves", middle)
	}
	if SubtaskRange(0, 1) != AllHashes {
		t.Errorf("one subtask owns %s", SubtaskRange(0, 1))
	}
}
