package batch

import (
	"encoding/binary"
	"unsafe"
)

// mostReservedBytes bounds what the strings of one run of records reserve at once.
const mostReservedBytes = 1 << 30

// readStrings sets string fields to the bytes that the views name.
func readStrings(f *fieldCodec, r span, c *Columns) {
	column := &c.Columns[f.column]
	to := unsafe.Add(r.base, f.offset)
	if column.Valid != nil {
		readNullableStrings(f, r, c)
		return
	}
	inline, long := false, false
	for i := range r.rows {
		row := r.first + i
		if r.sel != nil {
			row = int(r.sel[i])
		}
		v := &column.Views[row]
		n := v.length
		s := (*string)(unsafe.Add(to, uintptr(i)*r.stride))
		if n <= InlineBytes {
			if r.intern != nil {
				low := binary.LittleEndian.Uint64(v.rest[:8])
				slot := &r.intern.slots[low*internFactor>>internShift]
				if slot.low == low && slot.length == n && n <= 8 {
					*s = slot.text
					continue
				}
				*s = r.intern.of(v)
				continue
			}
			inline = inline || n > 0
			*s = unsafe.String(&v.rest[0], int(n))
			continue
		}
		long = true
		b := c.Buffers[binary.LittleEndian.Uint32(v.rest[prefixEnd:])]
		b = b[binary.LittleEndian.Uint32(v.rest[bufferEnd:]):]
		*s = unsafe.String(unsafe.SliceData(b[:n]), int(n))
	}
	c.markAliased(f.column, inline, long)
	if f.nullable {
		readValid[string](f, r, column)
	}
}

// markAliased notes what strings that leave c point into.
func (c *Columns) markAliased(col int, inline, long bool) {
	if bit := exposedBit(col); inline && c.exposed.Load()&bit == 0 {
		c.exposed.Or(bit)
	}
	if long && !c.shared.Load() {
		c.shared.Store(true)
	}
}

// readNullableStrings looks at nulls first: the view of a null row may point anywhere.
func readNullableStrings(f *fieldCodec, r span, c *Columns) {
	column := &c.Columns[f.column]
	c.markAliased(f.column, true, true)
	for i := range r.rows {
		record := unsafe.Add(r.base, uintptr(i)*r.stride)
		row := r.row(i)
		valid := column.validAt(row)
		s := ""
		if valid {
			s = column.Views[row].String(c.Buffers)
		}
		*(*string)(unsafe.Add(record, f.offset)) = s
		if f.nullable {
			*(*bool)(unsafe.Add(record, f.nullOffset)) = valid
		}
	}
}

// readBytes is readStrings for []byte: nil for null, never nil otherwise.
func readBytes(f *fieldCodec, r span, c *Columns) {
	column := &c.Columns[f.column]
	c.markAliased(f.column, true, true)
	for i := range r.rows {
		record := unsafe.Add(r.base, uintptr(i)*r.stride)
		row := r.row(i)
		valid := column.validAt(row)
		var b []byte
		if valid {
			b = column.Views[row].Bytes(c.Buffers)
		}
		*(*[]byte)(unsafe.Add(record, f.offset)) = b
		if f.nullable {
			*(*bool)(unsafe.Add(record, f.nullOffset)) = valid
		}
	}
}

func writeStrings(f *fieldCodec, w span, c *Columns) {
	from := unsafe.Add(w.base, f.offset)
	total := 0
	for i := range w.rows {
		n := len(*(*string)(unsafe.Add(from, uintptr(i)*w.stride)))
		if n > InlineBytes {
			total += n
		}
	}
	views := c.Columns[f.column].Views[w.first : w.first+w.rows]
	if total > mostReservedBytes {
		for i := range views {
			s := *(*string)(unsafe.Add(from, uintptr(i)*w.stride))
			c.SetString(f.column, w.first+i, unsafe.Slice(unsafe.StringData(s), len(s)))
		}
		writeValid(f, w, c)
		return
	}
	var to []byte
	var buf, off uint32
	if total > 0 {
		to, buf, off = c.reserve(total)
	}
	for i := range views {
		s := *(*string)(unsafe.Add(from, uintptr(i)*w.stride))
		v := &views[i]
		v.length = uint32(len(s))
		if len(s) <= InlineBytes {
			low, high := packInline(s)
			binary.LittleEndian.PutUint64(v.rest[:], low)
			binary.LittleEndian.PutUint32(v.rest[bufferEnd:], high)
			continue
		}
		copy(v.rest[:prefixEnd], s)
		binary.LittleEndian.PutUint32(v.rest[prefixEnd:], buf)
		binary.LittleEndian.PutUint32(v.rest[bufferEnd:], off)
		off += uint32(copy(to, s))
		to = to[len(s):]
	}
	writeValid(f, w, c)
}

// packInline returns the bytes of s, at most 12, as the first eight and the last four of a view,
// zeros after them. It reads s in overlapping words, since a copy of so few bytes by memmove costs
// three times as much.
func packInline(s string) (low uint64, high uint32) {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	n := len(b)
	switch {
	case n >= 8:
		last := binary.LittleEndian.Uint32(b[n-4:])
		return binary.LittleEndian.Uint64(b), uint32(uint64(last) >> (8 * (12 - n)))
	case n >= 4:
		last := uint64(binary.LittleEndian.Uint32(b[n-4:]))
		return uint64(binary.LittleEndian.Uint32(b)) | last<<(8*(n-4)), 0
	case n > 0:
		half := n / 2
		return uint64(b[0]) | uint64(b[half])<<(8*half) | uint64(b[n-1])<<(8*(n-1)), 0
	}
	return 0, 0
}

func writeBytes(f *fieldCodec, w span, c *Columns) {
	for i := range w.rows {
		b := *(*[]byte)(unsafe.Add(w.base, uintptr(i)*w.stride+f.offset))
		c.SetString(f.column, w.first+i, b)
	}
	writeValid(f, w, c)
}
