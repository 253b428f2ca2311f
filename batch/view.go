package batch

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"github.com/leat-io/leat/types"
)

// InlineBytes is the largest length of a view that holds its bytes itself.
const InlineBytes = 12

// Places in View.rest of a view that is not inline.
const (
	prefixEnd = 4
	bufferEnd = 8
)

// InlineView returns the view of b, which must not be longer than InlineBytes.
func InlineView(b []byte) View {
	v := View{length: uint32(len(b))}
	copy(v.rest[:len(b)], b) // panics when b is too long
	return v
}

// SetInline makes v the view of n bytes, at most InlineBytes, given as two little-endian words with
// zeros behind the bytes. Decoders that have loaded the bytes as words save a copy with it.
func (v *View) SetInline(n int, low uint64, high uint32) {
	v.length = uint32(n)
	binary.LittleEndian.PutUint64(v.rest[:], low)
	binary.LittleEndian.PutUint32(v.rest[bufferEnd:], high)
}

// MakeView returns the view of b, which lies at offset off of buffer buf when it is longer than
// InlineBytes; else buf and off are ignored.
func MakeView(b []byte, buf uint32, off uint32) View {
	if len(b) <= InlineBytes {
		return InlineView(b)
	}
	v := View{length: uint32(len(b))}
	copy(v.rest[:prefixEnd], b)
	binary.LittleEndian.PutUint32(v.rest[prefixEnd:], buf)
	binary.LittleEndian.PutUint32(v.rest[bufferEnd:], off)
	return v
}

// Len returns the length in bytes.
func (v View) Len() int { return int(v.length) }

// Inline reports whether v holds its bytes itself.
func (v View) Inline() bool { return v.length <= InlineBytes }

// Buffer returns the buffer index and offset of a view that is not inline.
func (v View) Buffer() (buf, off uint32) {
	return binary.LittleEndian.Uint32(v.rest[prefixEnd:]),
		binary.LittleEndian.Uint32(v.rest[bufferEnd:])
}

// Valid reports whether v can be read: it is inline with zeros after its bytes, or lies within its
// buffer and has the right prefix. Decoders of foreign bytes check it before anything else.
func (v *View) Valid(buffers [][]byte) bool {
	if v.Inline() {
		for _, b := range v.rest[v.length:] {
			if b != 0 {
				return false
			}
		}
		return true
	}
	buf, off := v.Buffer()
	if int64(buf) >= int64(len(buffers)) {
		return false
	}
	b := buffers[buf]
	return uint64(off)+uint64(v.length) <= uint64(len(b)) &&
		bytes.Equal(b[off:off+prefixEnd], v.rest[:prefixEnd])
}

// Bytes returns the bytes of v without copying: they alias v itself when it is inline, else a
// buffer. Do not write to them.
func (v *View) Bytes(buffers [][]byte) []byte {
	if v.length <= InlineBytes {
		return v.rest[:v.length:v.length]
	}
	buf, off := v.Buffer()
	end := uint64(off) + uint64(v.length)
	return buffers[buf][off:end:end]
}

// String returns the bytes of v as a string, without copying: it is valid as long as they are.
func (v *View) String(buffers [][]byte) string {
	b := v.Bytes(buffers)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Hash returns the hash (hash id 1) of the bytes of v.
func (v *View) Hash(buffers [][]byte) uint64 { return types.HashBytes(v.Bytes(buffers)) }

// head returns length and first four bytes as one word, tail the other eight.
func (v *View) head() uint64 { return *(*uint64)(unsafe.Pointer(v)) }

func (v *View) tail() uint64 { return *(*uint64)(unsafe.Pointer(&v.rest[prefixEnd])) }

// EqualViews reports whether two views over buffers of their own hold the same bytes.
func EqualViews(a *View, abufs [][]byte, b *View, bbufs [][]byte) bool {
	if a.head() != b.head() {
		return false
	}
	if a.length <= InlineBytes {
		return a.tail() == b.tail()
	}
	return bytes.Equal(a.Bytes(abufs), b.Bytes(bbufs))
}

// CompareViews orders two views by their bytes: -1, 0 or 1.
func CompareViews(a *View, abufs [][]byte, b *View, bbufs [][]byte) int {
	return bytes.Compare(a.Bytes(abufs), b.Bytes(bbufs))
}
