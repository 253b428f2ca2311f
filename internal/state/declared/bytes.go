package declared

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// Append appends the bytes of a value, as they lie in collections and operator state: the
// serial form of a row that holds one T and nothing else (docs/formats/row.md).
func (c *Codec[T]) Append(dst []byte, value *T) []byte {
	start, size := len(dst), c.layout.RowBytes
	if size == 0 {
		return dst
	}
	dst = slices.Grow(dst, size)[:start+size]
	part := unsafe.Pointer(&dst[start])
	if c.storeDirect {
		n := copy(dst[start:], unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value)))
		clear(dst[start+n:])
		return dst
	}
	clear(dst[start:])
	src, slots := unsafe.Pointer(value), false
	for i := range c.fields {
		f := &c.fields[i]
		if f.nullMask != 0 && !*(*bool)(unsafe.Add(src, f.nullOffset)) {
			at := start + int(f.nullWord)
			word := binary.LittleEndian.Uint64(dst[at:]) | f.nullMask
			binary.LittleEndian.PutUint64(dst[at:], word)
			continue
		}
		if f.move >= text {
			slots = true
			continue
		}
		f.storeFixed(unsafe.Add(part, f.rowOffset), unsafe.Add(src, f.goOffset))
	}
	if slots {
		dst = c.appendSlots(dst, start, src)
	}
	return dst
}

// appendSlots appends the values of slots, and writes their lengths into the fixed part that
// begins at start.
func (c *Codec[T]) appendSlots(dst []byte, start int, src unsafe.Pointer) []byte {
	for i := range c.fields {
		f := &c.fields[i]
		if f.move < text || f.nullMask != 0 && !*(*bool)(unsafe.Add(src, f.nullOffset)) {
			continue
		}
		b := f.octetsOf(unsafe.Add(src, f.goOffset))
		binary.LittleEndian.PutUint64(dst[start+int(f.rowOffset):], uint64(len(b)))
		dst = append(dst, b...)
	}
	return dst
}

// LoadBytes reads what Append appended. Strings and byte slices are copies. An error says that
// b is nothing that Append makes; value is undefined then.
func (c *Codec[T]) LoadBytes(b []byte, value *T) error {
	size := c.layout.RowBytes
	if len(b) < size || len(c.layout.VarSlots) == 0 && len(b) > size {
		return loadFault[T](b, fmt.Sprintf("want %d", size))
	}
	if c.loadDirect {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value)), b)
		return nil
	}
	if !c.whole {
		var zero T
		*value = zero
	}
	rest := b[size:]
	dst, part := unsafe.Pointer(value), unsafe.Pointer(unsafe.SliceData(b))
	for i := range c.fields {
		f := &c.fields[i]
		if f.nullMask != 0 {
			word := binary.LittleEndian.Uint64(b[f.nullWord:])
			*(*bool)(unsafe.Add(dst, f.nullOffset)) = word&f.nullMask == 0
		}
		to := unsafe.Add(dst, f.goOffset)
		if f.move < text {
			f.loadFixed(to, unsafe.Add(part, f.rowOffset))
			continue
		}
		length := binary.LittleEndian.Uint64(b[f.rowOffset:])
		if length > uint64(len(rest)) || length > backend.MaxValueBytes {
			return loadFault[T](b, fmt.Sprintf("slot %d says %d, %d are left", f.slot, length,
				len(rest)))
		}
		f.loadOctets(to, rest[:length])
		rest = rest[length:]
	}
	if len(rest) > 0 {
		return loadFault[T](b, fmt.Sprintf("%d are left behind the last slot", len(rest)))
	}
	return nil
}

func loadFault[T any](b []byte, problem string) error {
	return fmt.Errorf("state: read a value of type %s from %d bytes: %s",
		reflect.TypeFor[T](), len(b), problem)
}
