package types

import (
	"encoding/binary"

	"github.com/leat-io/leat/internal/base/invariant"
)

// Layout says how the values of a schema lie in a row of state. All numbers are little endian.
//
//	null words | fixed part | variable slots
//
// Null words of 8 bytes hold one bit per nullable field, in field order, lowest bit first, set
// when the field is null; there are none without nullable fields. In the fixed part
// fields lie in order at their natural alignment, zeros between them, padded to 8 bytes. Every
// STRING or BYTES field has an 8-byte slot at the end, whose content the state table defines.
// The value of a null field is zeros.
type Layout struct {
	// Fields are the leaves in order.
	Fields []LayoutField
	// NullWords is the number of 8-byte words with null bits.
	NullWords int
	// FixedStart is the offset of the fixed part: NullWords*8.
	FixedStart int
	// FixedBytes is the size of null words and fixed part: a multiple of 8.
	FixedBytes int
	// VarSlots are the offsets of the slots of the variable-length fields, in field order.
	VarSlots []int
	// RowBytes is the size of all: FixedBytes plus 8 for each slot.
	RowBytes int

	schema *Schema
}

// LayoutField is the place of a leaf in a row.
type LayoutField struct {
	Name     string
	Type     Type
	Offset   int // from the start of the row, in bytes
	Bytes    int // 1, 2, 4, 8 or 16; 8 for a slot; 0 for a nullable nested row, a null bit only
	Variable bool
	// NullBit is the number of the null bit, or -1: bit NullBit%64 of word NullBit/64.
	NullBit int
}

// LayoutOf returns the row layout of the schema of s.
func LayoutOf(s *Struct) *Layout { return LayoutOfSchema(s.Schema) }

// LayoutOfSchema returns the row layout of a schema. Fields of nested rows are laid out in place,
// depth first; a nested row that is nullable has a null bit of its own, before those of its
// fields. It panics on a schema that is not valid.
func LayoutOfSchema(s *Schema) *Layout {
	if err := s.Validate(); err != nil {
		invariant.Fail("lay out %s: %v", s, err)
	}
	l := &Layout{schema: s}
	l.addFields(s.Fields, "")
	nulls := 0
	for i := range l.Fields {
		if l.Fields[i].Type.Nullable {
			l.Fields[i].NullBit = nulls
			nulls++
		}
	}
	l.NullWords = (nulls + 63) / 64
	l.FixedStart = 8 * l.NullWords
	end := l.FixedStart
	for i := range l.Fields {
		f := &l.Fields[i]
		if f.Variable || f.Bytes == 0 {
			continue
		}
		f.Offset = alignUp(end, min(f.Bytes, 8))
		end = f.Offset + f.Bytes
	}
	l.FixedBytes = alignUp(end, 8)
	l.RowBytes = l.FixedBytes
	for i := range l.Fields {
		f := &l.Fields[i]
		if !f.Variable {
			continue
		}
		f.Offset = l.RowBytes
		l.VarSlots = append(l.VarSlots, f.Offset)
		l.RowBytes += f.Bytes
	}
	return l
}

func alignUp(n, align int) int { return (n + align - 1) &^ (align - 1) }

func (l *Layout) addFields(fields []Field, prefix string) {
	for _, f := range fields {
		name := prefix + f.Name
		if f.Type.Kind != Row || f.Type.Nullable {
			size, variable := rowBytes(f.Type)
			l.Fields = append(l.Fields, LayoutField{
				Name: name, Type: f.Type, Bytes: size, Variable: variable, NullBit: -1,
			})
		}
		if f.Type.Kind == Row {
			l.addFields(f.Type.Fields, name+".")
		}
	}
}

// rowBytes returns the size of a field of type t within a row.
func rowBytes(t Type) (size int, variable bool) {
	switch t.Kind {
	case Boolean, TinyInt:
		return 1, false
	case SmallInt:
		return 2, false
	case Int, Date, Time, Float:
		return 4, false
	case BigInt, Double:
		return 8, false
	case Timestamp, TimestampLTZ:
		if t.Precision <= MillisPrecision {
			return 8, false
		}
		return 16, false // milliseconds in 8 bytes, nanoseconds in 4, zeros in 4
	case Decimal:
		return 16, false // low word, then high word
	case String, Bytes:
		return 8, true
	}
	return 0, false // the null bit of a nested row
}

// Schema returns the schema that l lays out.
func (l *Layout) Schema() *Schema { return l.schema }

// Describe returns the stable text stored beside state: equal texts mean equal layouts.
func (l *Layout) Describe() string { return l.schema.Describe() }

// DirectFor reports whether the memory of the Go type of s equals a row of this layout, so that a
// row may be used through a *T. That is so when
//
//   - the machine is little endian, T is Plain and Whole, and l lays out the schema of T;
//   - no field is nullable and none has variable length;
//   - every leaf has the offset and the size that the layout gives it, which leaves out unsigned
//     fields and some nested structs;
//   - T is no larger than the fixed part.
//
// T may hold padding: who stores a T by copying its bytes must store zeros there, and in the part
// of the row after T, or store field by field.
func (l *Layout) DirectFor(s *Struct) bool {
	if !littleEndian || !s.Plain || !s.Whole || l.NullWords != 0 || len(l.VarSlots) != 0 ||
		s.Size > uintptr(l.FixedBytes) || len(s.Leaves) != len(l.Fields) ||
		!s.Schema.Equal(l.schema) {
		return false
	}
	for i, leaf := range s.Leaves {
		f := l.Fields[i]
		if leaf.Offset != uintptr(f.Offset) || leaf.GoType.Size() != uintptr(f.Bytes) {
			return false
		}
	}
	return true
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
