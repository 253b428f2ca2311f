package run

import (
	"slices"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// tableBounds are the hashes of the whole table of a reference.
func tableBounds(r *protocol.Run) types.HashRange {
	if r.TableLo == 0 && r.TableHi == 0 {
		return boundsOf(r) // Not recorded.
	}
	return types.HashRange{Lo: r.TableLo, Hi: r.TableHi}
}

// width is the number of hashes in a range.
func width(r types.HashRange) float64 { return float64(r.Hi) - float64(r.Lo) + 1 }

// share is about how many bytes of the table lie in the slice that counts: hashes are spread
// evenly. At least 1.
func share(r *protocol.Run) int64 {
	part := width(boundsOf(r)) / width(tableBounds(r))
	return max(1, int64(float64(r.Length)*min(part, 1)))
}

// sameTable tells whether two references are to one table.
func sameTable(a, b *protocol.Run) bool {
	if a.File == nil || b.File == nil {
		return a.File == nil && b.File == nil && string(a.Digest) == string(b.Digest)
	}
	return a.File.Path == b.File.Path && a.Offset == b.Offset
}

// within returns the runs of a list that overlap bounds, cut to them, in the order of the list.
func within(runs []*protocol.Run, bounds types.HashRange) []*protocol.Run {
	var out []*protocol.Run
	for _, r := range runs {
		own := boundsOf(r)
		kept, ok := intersect(own, bounds)
		if !ok {
			continue
		}
		if kept != own {
			r = withBounds(r, kept)
		}
		out = append(out, r)
	}
	return out
}

// without returns what is left of a run outside bounds: at most two slices.
func without(r *protocol.Run, bounds types.HashRange) []*protocol.Run {
	own := boundsOf(r)
	cut, ok := intersect(own, bounds)
	if !ok {
		return []*protocol.Run{r}
	}
	var out []*protocol.Run
	if cut.Lo > own.Lo {
		out = append(out, withBounds(r, types.HashRange{Lo: own.Lo, Hi: cut.Lo - 1}))
	}
	if cut.Hi < own.Hi {
		out = append(out, withBounds(r, types.HashRange{Lo: cut.Hi + 1, Hi: own.Hi}))
	}
	return out
}

// replacement is a finished merge: inside bounds, inputs give way to output.
type replacement struct {
	pane   backend.PaneID
	bounds types.HashRange
	// inputs are neighbours among the runs of the list inside bounds, cut to them, oldest first.
	inputs []*protocol.Run
	// base: the inputs are the oldest of all, and output is a base run.
	base   bool
	output *protocol.Run // nil when no row is left
	// joinBy is the last checkpoint that may refer to output: the name of its object protects it
	// until that one is complete.
	joinBy uint64
}

// apply returns the list with the replacement made, or false when the list has not, or no longer,
// the inputs as neighbours. Slices of the inputs outside the bounds stay where they are, and so
// does everything else: inside its bounds the output stands where the inputs stood, so that older
// and newer runs see no difference.
func (p *replacement) apply(runs []*protocol.Run) ([]*protocol.Run, bool) {
	first, last, ok := p.find(runs)
	if !ok {
		return nil, false
	}
	out := make([]*protocol.Run, 0, len(runs)+4)
	for i, r := range runs {
		if i < first || i > last {
			out = append(out, r)
			continue
		}
		out = append(out, without(r, p.bounds)...)
		if i == last && p.output != nil && !p.base {
			out = append(out, p.output)
		}
	}
	if p.base && p.output != nil {
		// Nothing older is left inside the bounds, so it may stand with the other bases, first.
		at := slices.IndexFunc(out, func(r *protocol.Run) bool {
			return !r.Base || r.HashLo > p.output.HashLo
		})
		if at < 0 {
			at = len(out)
		}
		out = slices.Insert(out, at, p.output)
	}
	return out, true
}

// find returns the places of the first and the last input. Between them are only inputs and runs
// that do not overlap the bounds. For a base merge nothing older is there, and no other base run:
// one would stand for a merge that was made meanwhile.
func (p *replacement) find(runs []*protocol.Run) (first, last int, ok bool) {
	matched := 0
	for i, r := range runs {
		clip, overlaps := intersect(boundsOf(r), p.bounds)
		switch {
		case !overlaps:
			continue
		case matched == len(p.inputs):
			if p.base && r.Base {
				return 0, 0, false
			}
			continue
		}
		same := sameTable(r, p.inputs[matched]) && clip == boundsOf(p.inputs[matched])
		switch {
		case same && matched == 0:
			first = i
		case !same && (matched > 0 || p.base):
			return 0, 0, false
		case !same:
			continue
		}
		matched, last = matched+1, i
	}
	return first, last, matched == len(p.inputs)
}
