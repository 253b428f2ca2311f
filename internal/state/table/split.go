package table

import (
	"math/bits"
	"unsafe"
)

// segmentOf returns the segment that owns a hash.
func (t *Table) segmentOf(hash uint32) *segment {
	return t.directory[hash>>(t.directoryShift&31)]
}

// split divides a segment by the next bit of the hash. The rows of the lower half are moved
// together in place, the others to a new segment, with their arena entries; both indexes are
// built anew from the row headers. Only this segment's rows move.
func (t *Table) split(s *segment) error {
	if err := t.finishCopy(s); err != nil {
		return err
	}
	if uint8(32-t.directoryShift) == s.depth {
		t.doubleDirectory()
	}
	bit := uint32(1) << (31 - s.depth)
	upper := t.newSegment(s.prefix|bit, s.depth+1)
	upper.done, upper.changed = s.done, s.changed
	t.moves++
	s.depth++
	s.limit = t.splitLimit(s.prefix, s.depth)
	if err := t.divideRows(s, upper, bit); err != nil {
		return err
	}
	slotBits := s.slotBits()
	t.buildIndex(s, slotBits)
	t.buildIndex(upper, slotBits)
	first := upper.prefix >> t.directoryShift
	for i := range uint32(1) << (32 - t.directoryShift - uint32(upper.depth)) {
		t.directory[first+i] = upper
	}
	return nil
}

// doubleDirectory makes the directory one bit deeper.
func (t *Table) doubleDirectory() {
	old := t.directory
	t.directory = make([]*segment, 2*len(old))
	for i, s := range old {
		t.directory[2*i], t.directory[2*i+1] = s, s
	}
	t.directoryShift--
	t.b.memoryBytes += int64(len(old)) * 8
}

// divideRows moves the rows of s with bit set to upper and closes the gaps in s.
func (t *Table) divideRows(s, upper *segment, bit uint32) error {
	sh := t.shape
	pages, tail := s.pages, s.tail
	to, toSlot := 0, 0
	s.tombs, s.free = 0, 0
	for i, page := range pages {
		rows := sh.rowsPerPage
		if i == len(pages)-1 {
			rows = tail
		}
		for slot := range rows {
			row := unsafe.Add(page, uintptr(slot)*sh.rowBytes)
			head := headerOf(row)
			if head.flags&inUse == 0 {
				continue
			}
			if head.hash&bit != 0 {
				if err := t.moveRow(s, upper, row); err != nil {
					return err
				}
				continue
			}
			if toSlot == sh.rowsPerPage {
				to, toSlot = to+1, 0
			}
			if to != i || toSlot != slot {
				target := unsafe.Add(pages[to], uintptr(toSlot)*sh.rowBytes)
				copy(raw(target, 0, sh.rowBytes), raw(row, 0, sh.rowBytes))
				t.setOwner(target, uint16(to<<sh.idShift|toSlot))
				row = target
			}
			if headerOf(row).flags&flagTomb != 0 {
				s.tombs++
			}
			toSlot++
		}
	}
	for i := to + 1; i < len(pages); i++ {
		t.putPage(pages[i], s.sizeOf(i))
		pages[i] = nil
	}
	s.pages, s.tail = pages[:to+1], toSlot
	return nil
}

// moveRow copies a row to another segment, where it gets a new id, and its arena entries.
func (t *Table) moveRow(from, to *segment, row unsafe.Pointer) error {
	id, err := t.takeRow(to)
	if err != nil {
		return err
	}
	target := t.row(to, id)
	copy(raw(target, 0, t.shape.rowBytes), raw(row, 0, t.shape.rowBytes))
	if headerOf(target).flags&flagTomb != 0 {
		to.tombs++
	}
	for _, at := range t.shape.refAt {
		old := ref(*word(target, at))
		if old == 0 || !t.isRef(target, at) {
			continue
		}
		moved, err := t.moveEntry(from, to, old, uint16(id))
		if err != nil {
			return err
		}
		*word(target, at) = uint64(moved)
	}
	return nil
}

// moveEntry gives an arena entry to another segment: the chunk itself when it holds nothing
// else, else a copy.
func (t *Table) moveEntry(from, to *segment, old ref, id uint16) (ref, error) {
	a := &t.arena
	if !a.chunks[old.chunk()].own {
		moved, err := a.store(&to.arena, id, a.bytes(old), a.capacity(old))
		a.release(&from.arena, old)
		return moved, err
	}
	for i, chunk := range from.arena.chunks {
		if chunk == old.chunk() {
			last := len(from.arena.chunks) - 1
			from.arena.chunks[i] = from.arena.chunks[last]
			from.arena.chunks = from.arena.chunks[:last]
			break
		}
	}
	size := a.size(old)
	from.arena.size, from.arena.live = from.arena.size-size, from.arena.live-size
	to.arena.size, to.arena.live = to.arena.size+size, to.arena.live+size
	to.arena.chunks = append(to.arena.chunks, old.chunk())
	a.header(old).row = id
	return old, nil
}

// setOwner rewrites the back pointers of a row's arena entries. Entry headers may be written
// while a snapshot reads the values between them.
func (t *Table) setOwner(row unsafe.Pointer, id uint16) {
	for _, at := range t.shape.refAt {
		if r := ref(*word(row, at)); r != 0 && t.isRef(row, at) {
			t.arena.header(r).row = id
		}
	}
}

// buildIndex makes the index of a segment from its rows, with room for them below 80 %.
func (t *Table) buildIndex(s *segment, slotBits uint8) {
	rows := 0
	if len(s.pages) > 0 {
		rows = (len(s.pages)-1)*t.shape.rowsPerPage + s.tail
	}
	slotBits = min(slotBits, max(firstSlotBits, uint8(bits.Len(uint(rows*5/4)))))
	t.b.memoryBytes += int64(4<<slotBits) - int64(s.mask+1)*4
	s.setIndex(noscan(4<<slotBits), slotBits)
	s.count = 0
	for page := range s.pages {
		t.each(s, page, func(row unsafe.Pointer, id uint32) { s.add(headerOf(row).hash, id) })
	}
}
