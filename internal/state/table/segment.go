package table

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
)

// An index entry: bit 31 says used, bits 30 to 16 are the tag, bits 15 to 0 the row id. The
// tag is the low 15 of the 32 hash bits in the row: those that neither directory nor slot
// have used, and some of the slot's, which tell apart neighbours of different homes. Taking
// it from the other half of the hash would need that half to restore a row.
const (
	entryUsed = 1 << 31
	tagMask   = 1<<15 - 1
	idBits    = 16
	idMask    = 1<<idBits - 1
)

func entryOf(hash uint32) uint32 { return entryUsed | (hash&tagMask)<<idBits }

const (
	firstSlotBits = 4
	segmentBits   = 14 // slots at which a segment splits
	extremeBits   = 16 // slots of a segment that cannot split any more
	maxDepth      = 22 // bits of the directory at most: 32 MiB
	segmentBytes  = 2 << 20
	segmentArena  = 4 << 20 // live arena bytes at which a segment splits
	tableBytes    = int64(unsafe.Sizeof(Table{}))
)

// segment holds the rows whose hashes start with the same depth bits. Linear probing,
// deletion by backward shift. The fields a lookup reads come first, in one line.
type segment struct {
	index     unsafe.Pointer // of entries
	pageTable unsafe.Pointer // of pages
	depth     uint8
	shift     uint8  // 32 - log2(slots): home slot = hash<<depth>>shift
	done      uint16 // state version up to which a walk has copied it, children inherit it
	mask      uint32 // slots - 1

	prefix  uint32 // lowest hash
	count   int    // index entries: live rows and tombstones
	tombs   int
	limit   int    // count at which it splits
	changed uint16 // highest version of a row
	pages   []unsafe.Pointer
	first   int    // bytes of page 0
	tail    int    // rows handed out of the last page
	free    uint32 // id+1 of the first free row, 0 = none
	arena   owned
}

const segmentSize = int64(unsafe.Sizeof(segment{}))

// newSegment makes an empty segment.
func (t *Table) newSegment(prefix uint32, depth uint8) *segment {
	s := &segment{prefix: prefix, depth: depth, limit: t.splitLimit(prefix, depth)}
	s.setIndex(noscan(4<<firstSlotBits), firstSlotBits)
	t.b.memoryBytes += segmentSize + 4<<firstSlotBits
	return s
}

func (s *segment) setIndex(index unsafe.Pointer, slotBits uint8) {
	s.index, s.shift, s.mask = index, 32-slotBits, 1<<slotBits-1
}

func (s *segment) slotBits() uint8 { return 32 - s.shift }

// splitLimit is the number of rows at which a segment splits: 55 to 100 % of what it may
// hold, by its place. Equal limits would make all segments split in the same few batches,
// for uniform hashes fill them evenly.
func (t *Table) splitLimit(prefix uint32, depth uint8) int {
	most := min(1<<t.b.limits.segmentBits*4/5, t.b.limits.segmentBytes/int(t.shape.rowBytes))
	mixed := (uint64(prefix) + uint64(depth)) * 0x9e3779b97f4a7c15
	mixed = (mixed ^ mixed>>32) * 0xd6e8feb86659fd93
	percent := 55 + int(mixed>>32%46)
	return max(8, most*percent/100)
}

// mustSplit reports whether the segment is too large to take another row.
func (t *Table) mustSplit(s *segment) bool {
	return (s.count >= s.limit || s.arena.live > segmentArena && s.count >= 64) &&
		s.depth < maxDepth
}

func (s *segment) home(hash uint32) uint32 { return hash << (s.depth & 31) >> (s.shift & 31) }

func (s *segment) entry(slot uint32) *uint32 {
	return (*uint32)(unsafe.Add(s.index, uintptr(slot)*4))
}

// row returns the row with an id, which must have been handed out.
func (t *Table) row(s *segment, id uint32) unsafe.Pointer {
	sh := t.shape
	page := *(*unsafe.Pointer)(unsafe.Add(s.pageTable, uintptr(id>>(sh.idShift&31))*8))
	return unsafe.Add(page, uintptr(id&sh.idMask)*sh.rowBytes)
}

// rowAt returns the row with an id, or nil when it was not handed out or is free.
func (t *Table) rowAt(s *segment, id uint16) unsafe.Pointer {
	page, slot := int(id)>>t.shape.idShift, int(uint32(id)&t.shape.idMask)
	if page >= len(s.pages) || slot >= t.rowsOf(s, page) {
		return nil
	}
	row := t.row(s, uint32(id))
	if headerOf(row).flags&inUse == 0 {
		return nil
	}
	return row
}

// rowsOf is the number of rows handed out of a page.
func (t *Table) rowsOf(s *segment, page int) int {
	if page == len(s.pages)-1 {
		return s.tail
	}
	return t.shape.rowsPerPage
}

// pageOf returns the number of the page a row lies in.
func (t *Table) pageOf(s *segment, row unsafe.Pointer) int {
	for i, page := range s.pages {
		if uintptr(row)-uintptr(page) < uintptr(s.sizeOf(i)) {
			return i
		}
	}
	invariant.Fail("row %x lies in no page of its segment", uintptr(row))
	return 0
}

// idOf returns the id of a row.
func (t *Table) idOf(s *segment, row unsafe.Pointer) uint16 {
	page := t.pageOf(s, row)
	slot := (uintptr(row) - uintptr(s.pages[page])) / t.shape.rowBytes
	return uint16(uintptr(page)<<t.shape.idShift | slot)
}

func (s *segment) sizeOf(page int) int {
	if page == 0 {
		return s.first
	}
	return pageBytes
}

// each calls f for every row in use of a page.
func (t *Table) each(s *segment, page int, f func(row unsafe.Pointer, id uint32)) {
	row := s.pages[page]
	for slot := range t.rowsOf(s, page) {
		if headerOf(row).flags&inUse != 0 {
			f(row, uint32(page)<<t.shape.idShift|uint32(slot))
		}
		if slot+1 < t.rowsOf(s, page) {
			row = unsafe.Add(row, t.shape.rowBytes)
		}
	}
}

// find returns the row of a key, tombstones included, or nil; then slot is where its entry
// belongs as long as the index stays as it is.
func (t *Table) find(s *segment, hash uint32, k *key) (row unsafe.Pointer, slot uint32) {
	want := entryOf(hash)
	for slot = s.home(hash); ; slot = (slot + 1) & s.mask {
		entry := *s.entry(slot)
		if entry == 0 {
			return nil, slot
		}
		if entry&^idMask == want {
			row := t.row(s, entry&idMask)
			if headerOf(row).hash == hash && t.hasKey(row, k) {
				return row, slot
			}
		}
	}
}

// insert makes a live row for a key that has none, with a zeroed fixed part. s and slot are
// what find looked at.
func (t *Table) insert(
	s *segment, slot, hash uint32, k *key, version uint16, flags uint8,
) (unsafe.Pointer, error) {
	for t.mustSplit(s) {
		if err := t.split(s); err != nil {
			return nil, err
		}
		s = t.segmentOf(hash)
		slot = s.vacant(hash)
	}
	if s.count*5 >= int(s.mask+1)*4 {
		if s.slotBits() >= extremeBits {
			return nil, fmt.Errorf("%d keys share the top %d bits of their hash", s.count, s.depth)
		}
		t.growIndex(s)
		slot = s.vacant(hash)
	}
	id, err := t.takeRow(s)
	if err != nil {
		return nil, err
	}
	row := t.row(s, id)
	inline, err := t.setKey(s, row, uint16(id), k)
	if err != nil {
		t.freeRow(s, row, id)
		return nil, err
	}
	// One store: the parts would be loaded again while they are still on their way.
	*word(row, 0) = uint64(hash) | uint64(version)<<32 | uint64(inline)<<48 | uint64(flags)<<56
	clear(raw(row, t.shape.fixedAt, t.shape.rowBytes-t.shape.fixedAt))
	s.changed, t.changed = max(s.changed, version), max(t.changed, version)
	*s.entry(slot) = entryOf(hash) | id
	s.count++
	t.live++
	return row, nil
}

// vacant returns the slot where the entry of a new row with this hash belongs.
func (s *segment) vacant(hash uint32) uint32 {
	slot := s.home(hash)
	for *s.entry(slot) != 0 {
		slot = (slot + 1) & s.mask
	}
	return slot
}

// add enters a row id in the index.
func (s *segment) add(hash, id uint32) {
	*s.entry(s.vacant(hash)) = entryOf(hash) | id
	s.count++
}

// remove takes a row out of the index. Entries behind it move up unless that would put them
// before their home.
func (t *Table) remove(s *segment, hash, id uint32) {
	want := entryOf(hash) | id
	slot := s.home(hash)
	for *s.entry(slot) != want {
		if *s.entry(slot) == 0 {
			invariant.Fail("row %d is not in its index", id)
		}
		slot = (slot + 1) & s.mask
	}
	for next := (slot + 1) & s.mask; ; next = (next + 1) & s.mask {
		entry := *s.entry(next)
		if entry == 0 {
			break
		}
		home := s.home(headerOf(t.row(s, entry&idMask)).hash)
		if (next-home)&s.mask >= (next-slot)&s.mask {
			*s.entry(slot) = entry
			slot = next
		}
	}
	*s.entry(slot) = 0
	s.count--
}

// takeRow hands out a row id: a free one, the next of the last page, or one of a new page.
// Page 0 starts small and grows by copying, which moves rows.
func (t *Table) takeRow(s *segment) (uint32, error) {
	sh := t.shape
	if s.free != 0 {
		id := s.free - 1
		s.free = uint32(*word(t.row(s, id), headerBytes))
		return id, nil
	}
	last := len(s.pages) - 1
	switch {
	case last < 0:
		t.addPage(s, sh.firstPage)
		last = 0
	case s.tail < s.sizeOf(last)/int(sh.rowBytes):
	case s.sizeOf(last) < pageBytes:
		t.growPage(s)
	case last+1 == sh.maxPages:
		return 0, fmt.Errorf("%d keys share the top %d bits of their hash", s.count, s.depth)
	default:
		t.addPage(s, pageBytes)
		last++
	}
	s.tail++
	return uint32(last)<<sh.idShift | uint32(s.tail-1), nil
}

// freeRow puts a row that is in no index on the free list.
func (t *Table) freeRow(s *segment, row unsafe.Pointer, id uint32) {
	headerOf(row).flags = 0
	*word(row, headerBytes) = uint64(s.free)
	s.free = id + 1
}

func (t *Table) addPage(s *segment, size int) {
	s.pages = append(s.pages, t.takePage(size))
	s.pageTable = unsafe.Pointer(&s.pages[0])
	s.tail = 0
	if len(s.pages) == 1 {
		s.first = size
	}
}

// growPage makes page 0, the only one, four times as large.
func (t *Table) growPage(s *segment) {
	old, size := s.pages[0], s.first
	s.pages[0], s.first = t.takePage(size*4), size*4
	copy(raw(s.pages[0], 0, uintptr(size)), raw(old, 0, uintptr(size)))
	t.putPage(old, size)
	t.moves++
}

func (t *Table) takePage(size int) unsafe.Pointer {
	if size == pageBytes {
		return t.b.pool.page()
	}
	t.b.memoryBytes += int64(size)
	return noscan(size)
}

func (t *Table) putPage(page unsafe.Pointer, size int) {
	if size == pageBytes {
		t.b.pool.put(page)
	} else {
		t.b.memoryBytes -= int64(size)
	}
}

// growIndex doubles the index. Rows stay where they are; old entries are met in the order
// of their homes, so new ones are written nearly in sequence.
func (t *Table) growIndex(s *segment) {
	old := unsafe.Slice((*uint32)(s.index), int(s.mask)+1)
	t.b.memoryBytes += int64(len(old)) * 4
	s.setIndex(noscan(len(old)*8), uint8(bits.Len(uint(len(old)))))
	s.count = 0
	for _, entry := range old {
		if entry != 0 {
			s.add(headerOf(t.row(s, entry&idMask)).hash, entry&idMask)
		}
	}
}
