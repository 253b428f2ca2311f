package table

import "github.com/leat-io/leat/state/backend"

// A cursor of a sweep is a place: the prefix of a segment in the upper 32 bits, its depth in the
// next 8, a row id in the rest. Rows change their ids only when their segment splits. The lower
// half keeps the prefix then, and the depth tells: it is walked from its start again, the upper
// half follows as any segment. Segments are never joined.
const (
	cursorPrefixBits = 32
	cursorDepthBits  = 24
	cursorIDMask     = 1<<cursorDepthBits - 1
)

func cursorOf(s *segment, id uint32) uint64 {
	return uint64(s.prefix)<<cursorPrefixBits | uint64(s.depth)<<cursorDepthBits | uint64(id)
}

// Sweep visits rows segment by segment, in the order of the prefixes of these.
func (t *Table) Sweep(
	cursor uint64, rows int, f func(row backend.Row) bool,
) (next uint64, done bool) {
	s := t.segmentOf(uint32(cursor >> cursorPrefixBits))
	id := uint32(cursor & cursorIDMask)
	if uint8(cursor>>cursorDepthBits) != s.depth {
		id = 0
	}
	for rows > 0 {
		var whole bool
		if id, whole = t.sweepSegment(s, id, &rows, f); !whole {
			return cursorOf(s, id), false
		}
		rows-- // An empty segment is a place too.
		behind := uint64(s.prefix) + 1<<(32-s.depth)
		if behind > 1<<32-1 {
			return 0, true
		}
		s, id = t.segmentOf(uint32(behind)), 0
	}
	return cursorOf(s, id), false
}

// sweepSegment visits rows of a segment from an id on. It returns where to go on when rows, which
// it counts down, are used up or f says so, and else that it came to the end.
func (t *Table) sweepSegment(
	s *segment, id uint32, rows *int, f func(row backend.Row) bool,
) (next uint32, whole bool) {
	slot := int(id & t.shape.idMask)
	for page := int(id >> t.shape.idShift); page < len(s.pages); page++ {
		for ; slot < t.rowsOf(s, page); slot++ {
			here := uint32(page)<<t.shape.idShift | uint32(slot)
			if *rows <= 0 {
				return here, false
			}
			*rows--
			row := t.row(s, here)
			if headerOf(row).flags&flagLive == 0 {
				continue
			}
			if !f(backend.Row(uintptr(row) + t.shape.fixedAt)) {
				return here + 1, false // Behind the last slot of a page, the loop goes on.
			}
		}
		slot = 0
	}
	return 0, true
}

var _ backend.Sweeper = (*Table)(nil)
