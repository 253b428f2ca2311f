package table

import (
	"fmt"
	"math/bits"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Reserve prepares for about so many rows that Restore will insert into a pane, in the order of
// their hashes, all inside bounds. Without it every segment would be filled from one end: its
// homes are taken in order, so that rows pile up at the end of a cluster, through all splits.
// Only segments without rows are touched, so a wrong number costs memory or time, nothing else.
// Collections and timers need none. Task goroutine, before the first record.
func (b *Backend) Reserve(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, rows int64,
) error {
	if err := b.check(id); err != nil {
		return fmt.Errorf("table: reserve: %w", err)
	}
	d := &b.tables[id]
	if d.timers != nil || d.collection >= 0 || rows <= 0 {
		return nil
	}
	t := b.table(d.rows, pane)
	perHash := float64(rows) / (float64(bounds.Hi) - float64(bounds.Lo) + 1)
	for hash := uint64(bounds.Lo); hash <= uint64(bounds.Hi); {
		s := t.segmentOf(uint32(hash))
		t.reserve(s, perHash, uint32(hash))
		s = t.segmentOf(uint32(hash))
		hash = uint64(s.prefix) + 1<<(32-s.depth)
	}
	return nil
}

// reserve divides an empty segment until the one with this hash will hold half of what makes it
// split, and gives it its index.
func (t *Table) reserve(s *segment, perHash float64, hash uint32) {
	expected := func() float64 { return perHash * float64(uint64(1)<<(32-s.depth)) }
	for s.isEmpty() && s.depth < maxDepth && expected() > float64(t.mostRows())/2 {
		t.divideEmpty(s)
		s = t.segmentOf(hash)
	}
	slotBits := min(segmentBits, uint8(bits.Len(uint(expected()*3/2))))
	if !s.isEmpty() || slotBits <= s.slotBits() {
		return
	}
	t.b.memoryBytes += int64(4<<slotBits) - int64(s.mask+1)*4
	s.setIndex(noscan(4<<slotBits), slotBits)
}

func (s *segment) isEmpty() bool { return s.count == 0 && len(s.pages) == 0 }

// mostRows is the number of rows at which segments split at the latest.
func (t *Table) mostRows() int {
	return min(1<<t.b.limits.segmentBits*4/5, t.b.limits.segmentBytes/int(t.shape.rowBytes))
}

// divideEmpty is split for a segment without rows.
func (t *Table) divideEmpty(s *segment) {
	if uint8(32-t.directoryShift) == s.depth {
		t.doubleDirectory()
	}
	upper := t.newSegment(s.prefix|1<<(31-s.depth), s.depth+1)
	upper.done, upper.changed = s.done, s.changed
	s.depth++
	s.limit = t.splitLimit(s.prefix, s.depth)
	first := upper.prefix >> t.directoryShift
	for i := range uint32(1) << (32 - t.directoryShift - uint32(upper.depth)) {
		t.directory[first+i] = upper
	}
}
