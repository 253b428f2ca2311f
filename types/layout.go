package types

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
	Bytes    int // 1, 2, 4, 8 or 16; 8 for a slot
	Variable bool
	// NullBit is the number of the null bit, or -1: bit NullBit%64 of word NullBit/64.
	NullBit int
}

// LayoutOf returns the row layout of the schema of s.
func LayoutOf(s *Struct) *Layout { return LayoutOfSchema(s.Schema) }

// LayoutOfSchema returns the row layout of a schema. Fields of nested rows are laid out in place,
// depth first. It panics on a schema that is not valid.
func LayoutOfSchema(s *Schema) *Layout { panic("unbuilt") }

// Schema returns the schema that l lays out.
func (l *Layout) Schema() *Schema { return l.schema }

// Describe returns the stable text stored beside state: equal texts mean equal layouts.
func (l *Layout) Describe() string { return l.schema.Describe() }

// DirectFor reports whether the memory of the Go type of s equals a row of this layout, so that a
// row may be used through a *T: s is Plain and Whole, nothing is nullable, every leaf has the
// offset and size the layout gives it, and T is no larger than the fixed part. T may hold
// padding; who stores a T by copying its bytes must store zeros there and after T.
func (l *Layout) DirectFor(s *Struct) bool { panic("unbuilt") }
