package batch

import (
	"encoding/binary"
	"unsafe"
)

// internSlots is the number of strings an Interner remembers: with their slots they fill a
// quarter of a first-level cache.
const internSlots = 256

// internChunkBytes is how much is allocated for new strings at once. A string that is kept
// keeps its chunk alive.
const internChunkBytes = 4 << 10

// Interner gives equal short strings, up to InlineBytes long, the same memory: names, codes and
// flags that come again and again are allocated once. It remembers the last string of each of
// its slots and forgets the one before. The zero Interner is ready. It belongs to one goroutine;
// the strings it returned may be kept by anyone.
type Interner struct {
	slots [internSlots]interned
	chunk []byte // memory for new strings; bytes in use are never written again
}

type interned struct {
	low, high uint64 // the bytes, padded with zeros
	text      string
}

// of returns the string of a view that is inline.
func (in *Interner) of(v *View) string {
	n := int(v.length)
	if n == 0 {
		return ""
	}
	low := binary.LittleEndian.Uint64(v.rest[:8])
	high := uint64(binary.LittleEndian.Uint32(v.rest[8:]))
	slot := &in.slots[(low*0x9e3779b97f4a7c15^high*0xd6e8feb86659fd93)>>56]
	if slot.low == low && slot.high == high && len(slot.text) == n {
		return slot.text
	}
	if len(in.chunk)+n > cap(in.chunk) {
		in.chunk = make([]byte, 0, internChunkBytes)
	}
	start := len(in.chunk)
	in.chunk = append(in.chunk, v.rest[:n]...)
	*slot = interned{low, high, unsafe.String(&in.chunk[start], n)}
	return slot.text
}
