package table

import (
	"math/bits"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// header leads every row. A row that is neither live nor a tombstone is free, and the word
// behind its header links the free list.
type header struct {
	hash    uint32 // top 32 bits of the key's hash
	version uint16 // state version of the last change; 0 and anything up to c are clean
	inline  uint8  // bytes of the key in the row; longKey when they are in the arena
	flags   uint8
}

const (
	headerBytes = 8

	flagLive = 1 << 0
	flagTomb = 1 << 1
	flagNew  = 1 << 2 // in no snapshot
	inUse    = flagLive | flagTomb

	longKey        = 255
	keySlotBytes   = 16 // of a variable-length key: length, then 12 bytes or prefix and ref
	inlineKeyBytes = 12
)

const (
	pageBytes      = 64 << 10
	firstPageBytes = 1 << 10
)

// shape is what a layout means for rows in memory.
type shape struct {
	layout      backend.RowLayout
	keyBytes    uintptr // 8 or 16
	fixedAt     uintptr // from the start of the row
	rowBytes    uintptr
	rowsPerPage int
	idShift     uint8  // a row id is page<<idShift | slot
	idMask      uint32 // of the slot
	maxPages    int    // so that ids fit 16 bits
	firstPage   int    // bytes a segment starts with
	varAt       []uintptr
	refAt       []uintptr // every 8-byte reference into the arena: varAt, and that of a long key
}

func newShape(layout backend.RowLayout) *shape {
	s := &shape{layout: layout, keyBytes: uintptr(layout.KeyWords) * 8}
	if layout.KeyWords == 0 {
		s.keyBytes = keySlotBytes
	}
	s.fixedAt = headerBytes + s.keyBytes
	// A row always has a fixed part to point to: an address behind the last row of a page
	// would be that of something else.
	s.rowBytes = s.fixedAt + uintptr(max(8, layout.FixedBytes))
	s.rowsPerPage = pageBytes / int(s.rowBytes)
	s.idShift = uint8(bits.Len(uint(s.rowsPerPage - 1)))
	s.idMask = 1<<s.idShift - 1
	s.maxPages = 1 << 16 >> s.idShift
	s.firstPage = firstPageBytes
	for s.firstPage < int(s.rowBytes) {
		s.firstPage *= 4
	}
	for _, at := range layout.VarSlots {
		s.varAt = append(s.varAt, s.fixedAt+uintptr(at))
	}
	s.refAt = s.varAt
	if layout.KeyWords == 0 {
		s.refAt = append(s.refAt[:len(s.refAt):len(s.refAt)], headerBytes+8)
	}
	return s
}

// hasArena reports whether rows refer to bytes outside of them.
func (s *shape) hasArena() bool { return len(s.refAt) > 0 }

// at turns an address into a pointer. Only addresses inside memory that a table holds come
// here: rows, index entries, segments. It adds to nil because the compiler makes nothing of
// that, while a conversion through memory costs a store and a load; checkptr cannot know
// which object is meant and is told not to look.
//
//go:nocheckptr
func at(address uintptr) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(nil), address)
}

func headerOf(row unsafe.Pointer) *header { return (*header)(row) }

// word is the 8-byte word at an offset of a row.
func word(row unsafe.Pointer, offset uintptr) *uint64 {
	return (*uint64)(unsafe.Add(row, offset))
}

// raw is n bytes from an offset of a row.
func raw(row unsafe.Pointer, offset, n uintptr) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(row, offset)), n)
}

// keyLength is the length of a variable-length key.
func keyLength(row unsafe.Pointer) int {
	return int(*(*uint32)(unsafe.Add(row, headerBytes)))
}

// key is one key of a batch, whatever its kind.
type key struct {
	words [2]uint64
	bytes []byte
}

// loadKey makes k key i of a batch. It fills a key that lies somewhere already: returning
// one by value costs more than finding a row.
func (s *shape) loadKey(k *key, keys *backend.Keys, i int) {
	switch s.layout.KeyWords {
	case 1:
		k.words[0] = keys.Words[i]
	case 2:
		k.words[0], k.words[1] = keys.Words[2*i], keys.Words[2*i+1]
	default:
		k.bytes = keys.Bytes[i]
	}
}

// hasKey compares the key of a row.
func (t *Table) hasKey(row unsafe.Pointer, k *key) bool {
	switch t.shape.layout.KeyWords {
	case 1:
		return *word(row, headerBytes) == k.words[0]
	case 2:
		return *word(row, headerBytes) == k.words[0] && *word(row, headerBytes+8) == k.words[1]
	}
	return t.hasBytes(row, k.bytes)
}

// hasBytes compares a variable-length key. The prefix spares most looks into the arena.
func (t *Table) hasBytes(row unsafe.Pointer, bytes []byte) bool {
	if keyLength(row) != len(bytes) {
		return false
	}
	if len(bytes) <= inlineKeyBytes {
		return string(raw(row, headerBytes+4, uintptr(len(bytes)))) == string(bytes)
	}
	return string(raw(row, headerBytes+4, 4)) == string(bytes[:4]) &&
		string(t.arena.bytes(ref(*word(row, headerBytes+8)))) == string(bytes)
}

// keyBytesOf returns the canonical bytes of a row's key, which a chunk table serves that may
// be older than the row.
func (s *shape) keyBytesOf(row unsafe.Pointer, chunks []unsafe.Pointer) []byte {
	if s.layout.KeyWords > 0 {
		return raw(row, headerBytes, s.keyBytes)
	}
	if headerOf(row).inline == longKey {
		return ref(*word(row, headerBytes+8)).bytes(chunks)
	}
	return raw(row, headerBytes+4, uintptr(headerOf(row).inline))
}
