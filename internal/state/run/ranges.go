package run

import (
	"math"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// gridBits bounds how often a range is halved: its cuts are cuts between key groups.
const gridBits = 15

// hashRange is a piece of a list: what is merged at once.
type hashRange struct {
	bounds types.HashRange
	runs   []*protocol.Run // cut to bounds, oldest first, not empty
}

// partition cuts a list into hash ranges, in the order of their hashes, none of them empty. Cuts
// lie on a binary grid over all hashes, the same for all tasks of any parallelism, so that
// rescaling cuts few tables.
//
// A range is cut when it is large, and stays cut until both halves are small together.
func partition(
	runs []*protocol.Run, bounds types.HashRange, sizes mergeSizes,
) []hashRange {
	p := partitioner{bounds: bounds, sizes: sizes}
	p.halve(within(runs, bounds), types.AllHashes, 0)
	return p.out
}

type partitioner struct {
	bounds types.HashRange
	sizes  mergeSizes
	out    []hashRange
}

// halve adds the ranges of one cell of the grid.
func (p *partitioner) halve(runs []*protocol.Run, cell types.HashRange, depth int) {
	clip, ok := intersect(cell, p.bounds)
	if !ok || len(runs) == 0 {
		return
	}
	middle := cell.Lo + (cell.Hi-cell.Lo)/2 // last hash of the lower half
	size := sizeOf(runs)
	large := size > p.sizes.split || size > p.sizes.join && isCut(runs, clip, middle)
	if depth == gridBits || !large {
		p.out = append(p.out, hashRange{clip, runs})
		return
	}
	lower := types.HashRange{Lo: cell.Lo, Hi: middle}
	upper := types.HashRange{Lo: middle + 1, Hi: cell.Hi}
	p.halve(within(runs, lower), lower, depth+1)
	p.halve(within(runs, upper), upper, depth+1)
}

// sizeOf is about what the runs would take as one base run.
func sizeOf(runs []*protocol.Run) int64 {
	base, rest := weigh(runs)
	return max(base, (base+rest)/2)
}

// weigh returns the bytes of base runs and of the others.
func weigh(runs []*protocol.Run) (base, rest int64) {
	for _, r := range runs {
		if r.Base {
			base += share(r)
		} else {
			rest += share(r)
		}
	}
	return base, rest
}

// isCut tells whether base runs lie on both sides of a cut and none across it.
func isCut(runs []*protocol.Run, bounds types.HashRange, middle uint32) bool {
	if middle < bounds.Lo || middle >= bounds.Hi || middle == math.MaxUint32 {
		return false
	}
	below, above := false, false
	for _, r := range runs {
		if !r.Base {
			continue
		}
		below = below || r.HashLo <= middle
		above = above || r.HashHi > middle
		if r.HashLo <= middle && r.HashHi > middle {
			return false
		}
	}
	return below && above
}
