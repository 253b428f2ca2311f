package table

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/state/ordered"
	"github.com/leat-io/leat/state/backend"
)

// Table is one pane of a declared table. It implements backend.Table and backend.Direct.
type Table struct {
	shape *shape
	b     *Backend

	// directory has 2^(32-directoryShift) entries, two at least, so that the shift stays
	// below 32.
	directory      []*segment
	directoryShift uint32

	arena   arena
	stores  []*ordered.Store // of collections, by number
	moves   int              // grows whenever rows move
	live    int              // rows
	tombs   int              // tombstones
	changed uint16           // highest version of a row
	born    uint16           // version in which the pane was made; 0 when it was restored

	// image is what the snapshot being copied has of this pane; nil when the pane is not in
	// it or when it is complete.
	image *paneImage
	// dropped says that rows are frozen until they have been copied.
	dropped bool
}

const firstDirectoryBits = 1

func newTable(b *Backend, sh *shape) *Table {
	t := &Table{shape: sh, b: b, directoryShift: 32 - firstDirectoryBits, born: b.versions.Current}
	t.arena.b = b
	t.makeStores()
	first := t.newSegment(0, 0)
	t.directory = []*segment{first, first}
	b.memoryBytes += tableBytes + 8<<firstDirectoryBits
	return t
}

// segments calls f for every segment in the order of hashes.
func (t *Table) segments(f func(*segment)) {
	for i := 0; i < len(t.directory); {
		s := t.directory[i]
		i += len(t.directory) >> s.depth
		if s.depth == 0 {
			i = len(t.directory)
		}
		f(s)
	}
}

// RowIsAddress says that unsafe.Pointer(row) is the fixed part.
func (t *Table) RowIsAddress() {}

// start returns the start of a row.
func (t *Table) start(row backend.Row) unsafe.Pointer {
	return at(uintptr(row) - t.shape.fixedAt)
}

// Fixed returns the fixed part of a row: its address.
func (t *Table) Fixed(row backend.Row) unsafe.Pointer { return at(uintptr(row)) }

// Change declares that a row is about to be written.
func (t *Table) Change(row backend.Row) error {
	if p := t.start(row); headerOf(p).version != t.b.versions.Current {
		t.change(p)
	}
	return nil
}

// change gives a row the current version, after saving it for the snapshot if need be.
func (t *Table) change(row unsafe.Pointer) {
	head := headerOf(row)
	s := t.segmentOf(head.hash)
	if t.image != nil {
		t.save(s, row)
	}
	now := t.b.versions.Current
	head.version, s.changed, t.changed = now, now, now
}

// Value returns the bytes of a slot.
func (t *Table) Value(row backend.Row, slot int) []byte {
	return t.arena.bytes(ref(*word(t.start(row), t.shape.varAt[slot])))
}

// SetValue replaces the bytes of a slot. A value that fits is overwritten in place unless a
// snapshot exists: it may still read the old bytes, even of a row it copied long ago. A
// value that grows gets half as much again, so that one growing byte by byte is not moved
// every time.
func (t *Table) SetValue(row backend.Row, slot int, value []byte) error {
	p := t.start(row)
	offset := t.shape.varAt[slot]
	old := ref(*word(p, offset))
	if len(value) == 0 {
		t.release(p, offset)
		return nil
	}
	if old != 0 && t.b.snapshot == nil && len(value) <= t.arena.capacity(old) {
		changed := makeRef(old.chunk(), old.offset(), len(value))
		copy(t.arena.bytes(changed), value)
		*word(p, offset) = uint64(changed)
		return nil
	}
	capacity := len(value)
	if length := old.length(); length > 0 && capacity > length {
		capacity = min(capacity+capacity/2, backend.MaxValueBytes)
	}
	s := t.segmentOf(headerOf(p).hash)
	if s.arena.wantsCompaction() && !t.arena.hasRoom(&s.arena, capacity) {
		if err := t.compact(s); err != nil {
			return fmt.Errorf("table: set value: %w", err)
		}
	}
	stored, err := t.arena.store(&s.arena, t.idOf(s, p), value, capacity)
	if err != nil {
		return fmt.Errorf("table: set value: %w", err)
	}
	t.release(p, offset) // of what may have moved by now
	*word(p, offset) = uint64(stored)
	return nil
}

// hasRoom reports whether the open chunk takes another value.
func (a *arena) hasRoom(o *owned, length int) bool {
	if o.open == 0 {
		return false
	}
	c := &a.chunks[o.open-1]
	return int(c.size-c.used) >= entrySize(length)
}

// release frees what a reference in a row names, and zeroes it.
func (t *Table) release(row unsafe.Pointer, offset uintptr) {
	if r := ref(*word(row, offset)); r != 0 {
		t.arena.release(&t.segmentOf(headerOf(row).hash).arena, r)
		*word(row, offset) = 0
	}
}

// setKey writes the key of a new row and returns what its header says of it; a key that
// does not fit goes to the arena.
func (t *Table) setKey(s *segment, row unsafe.Pointer, id uint16, k *key) (uint8, error) {
	switch t.shape.layout.KeyWords {
	case 1:
		*word(row, headerBytes) = k.words[0]
		return 8, nil
	case 2:
		*word(row, headerBytes), *word(row, headerBytes+8) = k.words[0], k.words[1]
		return 16, nil
	}
	if len(k.bytes) > backend.MaxKeyBytes {
		return 0, fmt.Errorf("key of %d bytes, at most %d are possible", len(k.bytes),
			backend.MaxKeyBytes)
	}
	*word(row, headerBytes), *word(row, headerBytes+8) = uint64(len(k.bytes)), 0
	if len(k.bytes) <= inlineKeyBytes {
		copy(raw(row, headerBytes+4, inlineKeyBytes), k.bytes)
		return uint8(len(k.bytes)), nil
	}
	stored, err := t.arena.store(&s.arena, id, k.bytes, 0)
	if err != nil {
		return 0, err
	}
	copy(raw(row, headerBytes+4, 4), k.bytes)
	*word(row, headerBytes+8) = uint64(stored)
	return longKey, nil
}

// Delete removes a row. One that is in no snapshot is freed; another becomes a tombstone,
// which keeps the key.
func (t *Table) Delete(row backend.Row) error {
	p := t.start(row)
	head := headerOf(p)
	if head.flags&flagLive == 0 {
		invariant.Fail("row %x deleted twice", uintptr(row))
	}
	if head.version != t.b.versions.Current {
		t.change(p)
	}
	for i, store := range t.stores {
		store.Clear(t.slot(row, i))
	}
	for _, offset := range t.shape.varAt {
		t.release(p, offset)
	}
	t.live--
	s := t.segmentOf(head.hash)
	if head.flags&flagNew != 0 {
		t.reclaim(s, p)
		return nil
	}
	head.flags = head.flags&^flagLive | flagTomb
	s.tombs++
	t.tombs++
	return nil
}

// reclaim frees the slot of a row whose values are gone already.
func (t *Table) reclaim(s *segment, row unsafe.Pointer) {
	id := t.idOf(s, row)
	head := headerOf(row)
	t.remove(s, head.hash, uint32(id))
	if t.shape.layout.KeyWords == 0 && head.inline == longKey {
		t.release(row, headerBytes+8)
	}
	t.freeRow(s, row, uint32(id))
}

// Key returns the key of a row, in place.
func (t *Table) Key(row backend.Row) (words []uint64, bytes []byte) {
	p := t.start(row)
	if n := t.shape.layout.KeyWords; n > 0 {
		return unsafe.Slice(word(p, headerBytes), n), nil
	}
	return nil, t.shape.keyBytesOf(p, t.arena.memory)
}

// Hash returns the top 32 bits of the hash of a row's key.
func (t *Table) Hash(row backend.Row) uint32 { return headerOf(t.start(row)).hash }

// Scan calls f for every row, segment by segment.
func (t *Table) Scan(f func(row backend.Row) bool) {
	going := true
	t.segments(func(s *segment) {
		for page := 0; page < len(s.pages) && going; page++ {
			t.each(s, page, func(row unsafe.Pointer, _ uint32) {
				if going && headerOf(row).flags&flagLive != 0 {
					going = f(backend.Row(uintptr(row) + t.shape.fixedAt))
				}
			})
		}
	})
}

// Len is the number of rows.
func (t *Table) Len() int { return t.live }

// discardRows gives back pages, indexes and directory; no row exists afterwards.
func (t *Table) discardRows() {
	t.segments(func(s *segment) {
		for i, page := range s.pages {
			t.putPage(page, s.sizeOf(i))
		}
		t.b.memoryBytes -= segmentSize + int64(s.mask+1)*4
	})
	t.b.memoryBytes -= tableBytes + int64(len(t.directory))*8
	t.directory = nil
}

// discardArena takes the chunks off the account. A snapshot that reads them keeps them
// alive, so it must have been released.
func (t *Table) discardArena() {
	t.b.memoryBytes -= t.arena.total()
	t.arena = arena{b: t.b}
}

var (
	_ backend.Table  = (*Table)(nil)
	_ backend.Direct = (*Table)(nil)
)
