package declared

import (
	"reflect"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Codec stores values of T in the fixed part and slots of a row, in the layout of the
// schema of T. It is immutable and safe to share.
type Codec[T any] struct {
	layout *types.Layout
	base   uintptr // where the layout starts in the fixed part
	slot   int     // number of its first variable slot
	// loadDirect: a row part can be read as a T; storeDirect: and be written as one, since T
	// has no padding whose bytes would differ from run to run.
	loadDirect, storeDirect bool
	// whole: every field of T is a column, so that Load leaves nothing of the old value.
	whole  bool
	fields []codecField
}

// codecField moves one leaf between Go memory and row.
type codecField struct {
	goOffset, rowOffset uintptr
	move                move
	slot                int // variable slot, from the codec's first
	nullOffset          uintptr
	nullWord            uintptr // offset of the word with the null bit, from base
	nullMask            uint64  // 0: not nullable
}

type move uint8

const (
	copy1 move = iota
	copy2
	copy4
	copy8
	widen1to2 // unsigned integers lie in the next wider signed type
	widen2to4
	widen4to8
	text // this and what follows has a slot
	octets
)

// NewCodec returns the codec of T, laid out at the start of the fixed part. The error names
// type, field and cure.
func NewCodec[T any]() (*Codec[T], error) {
	s, err := types.StructOf[T]()
	if err != nil {
		return nil, err
	}
	layout := types.LayoutOf(s)
	c := &Codec[T]{layout: layout, loadDirect: layout.DirectFor(s), whole: s.Whole}
	used := uintptr(0)
	leaves := s.Leaves
	for _, f := range layout.Fields {
		if f.Bytes == 0 {
			continue
		}
		leaf := leaves[0]
		leaves = leaves[1:]
		cf := codecField{
			goOffset: leaf.Offset, rowOffset: uintptr(f.Offset), move: moveOf(leaf, f),
		}
		if f.Variable {
			cf.slot = slotNumber(layout, f.Offset)
		}
		if f.NullBit >= 0 {
			cf.nullOffset = leaf.NullOffset
			cf.nullWord = uintptr(f.NullBit / 64 * 8)
			cf.nullMask = 1 << (f.NullBit % 64)
		}
		used += leaf.GoType.Size()
		c.fields = append(c.fields, cf)
	}
	c.storeDirect = c.loadDirect && used == s.Size
	return c, nil
}

func slotNumber(l *types.Layout, offset int) int {
	for i, slot := range l.VarSlots {
		if slot == offset {
			return i
		}
	}
	return -1
}

func moveOf(leaf types.Leaf, f types.LayoutField) move {
	switch leaf.GoKind {
	case reflect.String:
		return text
	case reflect.Slice:
		return octets
	case reflect.Uint8:
		return widen1to2
	case reflect.Uint16:
		return widen2to4
	case reflect.Uint32:
		return widen4to8
	}
	switch f.Bytes {
	case 1:
		return copy1
	case 2:
		return copy2
	case 4:
		return copy4
	}
	return copy8
}

// At returns the codec for a row part that starts at base and whose first variable slot has
// number slot.
func (c *Codec[T]) At(base, slot int) *Codec[T] {
	moved := *c
	moved.base, moved.slot = uintptr(base), slot
	return &moved
}

// Layout returns how T lies in a row.
func (c *Codec[T]) Layout() *types.Layout { return c.layout }

// Row returns the layout of a row that holds one T and nothing else.
func (c *Codec[T]) Row(keyWords int) backend.RowLayout {
	return backend.RowLayout{
		KeyWords: keyWords, FixedBytes: c.layout.RowBytes, VarSlots: c.layout.VarSlots,
	}
}

// Zero makes a row that was just made hold the zero T: it holds zeros, by which nullable
// fields would not be null.
func (c *Codec[T]) Zero(table backend.Table, row backend.Row) {
	part := unsafe.Add(table.Fixed(row), c.base)
	for i := range c.fields {
		if f := &c.fields[i]; f.nullMask != 0 {
			*(*uint64)(unsafe.Add(part, f.nullWord)) |= f.nullMask
		}
	}
}

// Base is where the row part starts.
func (c *Codec[T]) Base() uintptr { return c.base }

// Stores reports whether the row part may be written through a *T: T has no padding. Zeros in
// the row are the zero T then.
func (c *Codec[T]) Stores() bool { return c.storeDirect }

// InPlace reports whether the row part may be used through a *T, for reading and writing.
func (c *Codec[T]) InPlace() bool { return c.loadDirect }

// Load reads a T. Strings and byte slices are copies; an empty slice is nil. Fields that are
// no columns become zero.
func (c *Codec[T]) Load(table backend.Table, row backend.Row, value *T) {
	part := unsafe.Add(table.Fixed(row), c.base)
	if c.loadDirect {
		*value = *(*T)(part)
		return
	}
	if !c.whole {
		var zero T
		*value = zero
	}
	dst := unsafe.Pointer(value)
	for i := range c.fields {
		f := &c.fields[i]
		if f.nullMask != 0 {
			valid := *(*uint64)(unsafe.Add(part, f.nullWord))&f.nullMask == 0
			*(*bool)(unsafe.Add(dst, f.nullOffset)) = valid
		}
		to, from := unsafe.Add(dst, f.goOffset), unsafe.Add(part, f.rowOffset)
		if f.move >= text {
			f.loadOctets(to, table.Value(row, c.slot+f.slot))
		} else {
			f.loadFixed(to, from)
		}
	}
}

// loadFixed reads a number.
func (f *codecField) loadFixed(to, from unsafe.Pointer) {
	switch f.move {
	case copy1:
		*(*uint8)(to) = *(*uint8)(from)
	case copy2:
		*(*uint16)(to) = *(*uint16)(from)
	case copy4:
		*(*uint32)(to) = *(*uint32)(from)
	case copy8:
		*(*uint64)(to) = *(*uint64)(from)
	case widen1to2:
		*(*uint8)(to) = uint8(*(*int16)(from))
	case widen2to4:
		*(*uint16)(to) = uint16(*(*int32)(from))
	case widen4to8:
		*(*uint32)(to) = uint32(*(*int64)(from))
	}
}

// loadOctets reads a string or []byte, copying b.
func (f *codecField) loadOctets(to unsafe.Pointer, b []byte) {
	if f.move == text {
		*(*string)(to) = string(b)
	} else {
		*(*[]byte)(to) = append([]byte(nil), b...)
	}
}

// nothing is the zero value of every type a field can have.
var nothing [3]uintptr

// Store writes a T; the row must have been declared changed.
func (c *Codec[T]) Store(table backend.Table, row backend.Row, value *T) error {
	part := unsafe.Add(table.Fixed(row), c.base)
	if c.storeDirect {
		*(*T)(part) = *value
		return nil
	}
	src := unsafe.Pointer(value)
	for i := range c.fields {
		f := &c.fields[i]
		from, to := unsafe.Add(src, f.goOffset), unsafe.Add(part, f.rowOffset)
		if f.nullMask != 0 {
			word := (*uint64)(unsafe.Add(part, f.nullWord))
			if *(*bool)(unsafe.Add(src, f.nullOffset)) {
				*word &^= f.nullMask
			} else {
				*word |= f.nullMask
				from = unsafe.Pointer(&nothing) // V of a null may be anything; its row is zeros
			}
		}
		if f.move < text {
			f.storeFixed(to, from)
			continue
		}
		b := f.octetsOf(from)
		if err := table.SetValue(row, c.slot+f.slot, b); err != nil {
			return Oversized(err, "a string or []byte", len(b), backend.MaxValueBytes, smaller)
		}
	}
	return nil
}

// storeFixed writes a number.
func (f *codecField) storeFixed(to, from unsafe.Pointer) {
	switch f.move {
	case copy1:
		*(*uint8)(to) = *(*uint8)(from)
	case copy2:
		*(*uint16)(to) = *(*uint16)(from)
	case copy4:
		*(*uint32)(to) = *(*uint32)(from)
	case copy8:
		*(*uint64)(to) = *(*uint64)(from)
	case widen1to2:
		*(*int16)(to) = int16(*(*uint8)(from))
	case widen2to4:
		*(*int32)(to) = int32(*(*uint16)(from))
	case widen4to8:
		*(*int64)(to) = int64(*(*uint32)(from))
	}
}

// smaller is what helps when a value is too large.
const smaller = "keep less, or in several entries of a map"

// octetsOf returns the bytes of a string or []byte.
func (f *codecField) octetsOf(from unsafe.Pointer) []byte {
	if f.move == text {
		s := *(*string)(from)
		return unsafe.Slice(unsafe.StringData(s), len(s))
	}
	return *(*[]byte)(from)
}
