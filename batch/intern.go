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
	low    uint64 // the first eight bytes, padded with zeros
	high   uint32 // the other four
	length uint32
	text   string
}

// A slot is chosen by the upper bits of a product.
const (
	internFactor = 0x9e3779b97f4a7c15
	internShift  = 56
)

// of returns the string of a view that is inline. Its usual case, up to eight bytes seen before,
// stands in readStrings too, where it costs no call.
func (in *Interner) of(v *View) string {
	n := int(v.length)
	if n == 0 {
		return ""
	}
	low := binary.LittleEndian.Uint64(v.rest[:8])
	high := binary.LittleEndian.Uint32(v.rest[8:])
	slot := &in.slots[(low^uint64(high)<<32)*internFactor>>internShift]
	if slot.low == low && slot.high == high && slot.length == v.length {
		return slot.text
	}
	if len(in.chunk)+n > cap(in.chunk) {
		in.chunk = make([]byte, 0, internChunkBytes)
	}
	start := len(in.chunk)
	in.chunk = append(in.chunk, v.rest[:n]...)
	*slot = interned{low, high, v.length, unsafe.String(&in.chunk[start], n)}
	return slot.text
}
