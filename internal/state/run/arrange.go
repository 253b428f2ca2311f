package run

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// strand is what one subtask recorded for one pane, cut to new bounds.
type strand struct {
	runs []*protocol.Run
	hull types.HashRange
}

// arrange cuts recorded lists to bounds and makes one list per pane, ordered by pane.
func arrange(panes []*protocol.PaneRuns, bounds types.HashRange) ([]paneList, error) {
	strands := map[backend.PaneID][]strand{}
	for _, p := range panes {
		if p.GetTable() > math.MaxUint16 {
			return nil, fmt.Errorf("%w: table number %d", ErrCorrupt, p.GetTable())
		}
		id := backend.PaneID{Table: backend.TableID(p.GetTable()), Pane: backend.Pane(p.GetPane())}
		s, err := clip(p.GetRuns(), bounds)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", id, err)
		}
		if len(s.runs) > 0 {
			strands[id] = append(strands[id], s)
		}
	}
	lists := make([]paneList, 0, len(strands))
	for id, parts := range strands {
		list, err := join(parts)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", id, err)
		}
		list.id = id
		lists = append(lists, list)
	}
	slices.SortFunc(lists, func(a, b paneList) int { return comparePanes(a.id, b.id) })
	return lists, nil
}

// clip cuts one list to bounds, keeping its order.
func clip(runs []*protocol.Run, bounds types.HashRange) (strand, error) {
	s := strand{hull: types.HashRange{Lo: math.MaxUint32}}
	for _, r := range runs {
		if err := validate(r); err != nil {
			return strand{}, err
		}
		own := boundsOf(r)
		kept, ok := intersect(own, bounds)
		if !ok {
			continue
		}
		if kept != own {
			r = withBounds(r, kept)
		}
		s.runs = append(s.runs, r)
		s.hull = types.HashRange{Lo: min(s.hull.Lo, kept.Lo), Hi: max(s.hull.Hi, kept.Hi)}
	}
	return s, nil
}

// validate checks that a reference does not contradict itself.
func validate(r *protocol.Run) error {
	fault := ""
	switch {
	case r == nil:
		fault = "is missing"
	case r.Format != Format:
		return fmt.Errorf("%s: run format %d is unknown, this version reads format %d",
			place(r), r.Format, Format)
	case r.HashLo > r.HashHi:
		fault = "has empty bounds"
	case len(r.Digest) != DigestBytes:
		fault = fmt.Sprintf("has a digest of %d bytes, want %d", len(r.Digest), DigestBytes)
	case r.Offset < 0 || r.Length <= 0 || r.Offset > math.MaxInt64-r.Length:
		fault = fmt.Sprintf("has a length of %d", r.Length)
	case r.File == nil && r.Offset != 0:
		fault = "is inline and has an offset"
	case r.File != nil && len(r.Inline) > 0:
		fault = "is both inline and in an object"
	case r.File != nil && r.Offset+r.Length > r.File.Size:
		fault = fmt.Sprintf("ends at %d in an object of %d bytes", r.Offset+r.Length, r.File.Size)
	default:
		return nil
	}
	return fmt.Errorf("%w: reference to %s %s", ErrCorrupt, place(r), fault)
}

// withBounds returns a copy of a reference with other bounds.
func withBounds(r *protocol.Run, bounds types.HashRange) *protocol.Run {
	return &protocol.Run{
		File: r.File, Offset: r.Offset, Length: r.Length, Inline: r.Inline, Digest: r.Digest,
		HashLo: bounds.Lo, HashHi: bounds.Hi,
		UpTo: r.UpTo, Base: r.Base, Rows: r.Rows, Format: r.Format,
		TableLo: tableBounds(r).Lo, TableHi: tableBounds(r).Hi,
	}
}

// join makes one list of the strands of several subtasks. They are disjoint by hash, so any order
// that keeps each strand's own is right; the leading bases come first and then the oldest by up_to,
// so that equal checkpoints give equal lists.
func join(strands []strand) (paneList, error) {
	slices.SortFunc(strands, func(a, b strand) int { return cmp.Compare(a.hull.Lo, b.hull.Lo) })
	list := paneList{}
	for i, s := range strands {
		if i > 0 && s.hull.Lo <= strands[i-1].hull.Hi {
			return paneList{}, fmt.Errorf("%w: lists of two subtasks overlap: %v and %v",
				ErrCorrupt, strands[i-1].hull, s.hull)
		}
	}
	for i := range strands {
		s := &strands[i]
		for len(s.runs) > 0 && s.runs[0].Base {
			list.runs = append(list.runs, s.runs[0])
			s.runs = s.runs[1:]
		}
	}
	for {
		var oldest *strand
		for i := range strands {
			s := &strands[i]
			if len(s.runs) > 0 && (oldest == nil || s.runs[0].UpTo < oldest.runs[0].UpTo) {
				oldest = s
			}
		}
		if oldest == nil {
			return list, nil
		}
		list.runs = append(list.runs, oldest.runs[0])
		oldest.runs = oldest.runs[1:]
	}
}
