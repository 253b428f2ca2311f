// Package types describes data: logical types, schemas, the row layout derived from a
// schema, the mapping of Go structs to schemas, the canonical form of keys and the hash
// over values (hash id 1).
//
// Main types: [Type], [Schema], [Struct] (a Go struct seen as a schema), [Layout] (how a
// row of a schema lies in bytes) and [KeyCodec] (hash and canonical bytes of a key type).
// The package holds no data itself: columns are in package batch, rows in the state
// tables.
//
// Everything here is built once, when a graph is built, and immutable afterwards; all
// values are safe for concurrent use. Reflection is used only while building.
//
// Semantics: Flink's LogicalType hierarchy; the hash is described byte by byte in
// docs/formats/hash.md.
package types

// Kind is the root of a logical type.
type Kind uint8

// The kinds, as in Flink's LogicalTypeRoot, under their SQL names.
const (
	Invalid      Kind = iota
	Boolean           // bool
	TinyInt           // 8-bit signed
	SmallInt          // 16-bit signed
	Int               // 32-bit signed
	BigInt            // 64-bit signed
	Float             // 32-bit IEEE 754
	Double            // 64-bit IEEE 754
	Decimal           // unscaled int128, precision and scale
	String            // UTF-8 text of any length (STRING, VARCHAR, CHAR)
	Bytes             // octets of any length (BYTES, VARBINARY)
	Date              // days since 1970-01-01
	Time              // milliseconds of the day
	Timestamp         // without zone; milliseconds since 1970-01-01T00:00 at precision <= 3
	TimestampLTZ      // instant; milliseconds since the Unix epoch at precision <= 3
	Row               // nested fields
)

var kindNames = [...]string{
	Invalid: "INVALID", Boolean: "BOOLEAN", TinyInt: "TINYINT", SmallInt: "SMALLINT", Int: "INT",
	BigInt: "BIGINT", Float: "FLOAT", Double: "DOUBLE", Decimal: "DECIMAL", String: "STRING",
	Bytes: "BYTES", Date: "DATE", Time: "TIME", Timestamp: "TIMESTAMP",
	TimestampLTZ: "TIMESTAMP_LTZ", Row: "ROW",
}

// String returns the SQL name of k.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Invalid]
}

// Physical is the kind of slice a column of a logical type is held in.
type Physical uint8

// Small integers, DATE and TIME travel as Int32, BIGINT and timestamps up to
// precision 3 as Int64; strings and bytes as 16-byte views. NoPhysical stands for types that
// columns cannot hold yet: DECIMAL, ROW and timestamps beyond precision 3.
const (
	NoPhysical Physical = iota
	Bool8               // []bool
	Int32               // []int32
	Int64               // []int64
	Float32             // []float32
	Float64             // []float64
	Views               // []batch.View
)

var physicalNames = [...]string{"none", "bool8", "int32", "int64", "float32", "float64", "views"}

// String returns the name of p in lower case.
func (p Physical) String() string {
	if int(p) < len(physicalNames) {
		return physicalNames[p]
	}
	return physicalNames[NoPhysical]
}

// Limits of precisions.
const (
	MaxDecimalPrecision   = 38
	MaxTimestampPrecision = 9
	MaxTimePrecision      = 3 // digits of a second that a TIME keeps
	MillisPrecision       = 3 // digits of a second that a timestamp in one word keeps
)

// Type is a logical type. The zero Type is invalid.
type Type struct {
	Kind      Kind
	Nullable  bool    // whether null is a value of the type
	Precision int     // Decimal, Time, Timestamp, TimestampLTZ: digits; else 0
	Scale     int     // Decimal only
	Fields    []Field // Row only
}

// Field is a named column of a schema or row.
type Field struct {
	Name string
	Type Type
}

// Schema is an ordered list of uniquely named fields.
type Schema struct {
	Fields []Field
}

// TypeOf returns the nullable type of a kind without parameters: neither Decimal, Time, Timestamp,
// TimestampLTZ nor Row, which have constructors of their own.
func TypeOf(k Kind) Type { return Type{Kind: k, Nullable: true} }

// DecimalOf returns DECIMAL(precision, scale), nullable.
func DecimalOf(precision, scale int) Type {
	return Type{Kind: Decimal, Nullable: true, Precision: precision, Scale: scale}
}

// TimeOf returns TIME(precision), nullable.
func TimeOf(precision int) Type { return Type{Kind: Time, Nullable: true, Precision: precision} }

// TimestampOf returns TIMESTAMP(precision), nullable.
func TimestampOf(precision int) Type {
	return Type{Kind: Timestamp, Nullable: true, Precision: precision}
}

// TimestampLTZOf returns TIMESTAMP_LTZ(precision), nullable.
func TimestampLTZOf(precision int) Type {
	return Type{Kind: TimestampLTZ, Nullable: true, Precision: precision}
}

// RowOf returns ROW<fields>, nullable. It keeps the slice.
func RowOf(fields ...Field) Type { return Type{Kind: Row, Nullable: true, Fields: fields} }

// NotNull returns t without null.
func (t Type) NotNull() Type {
	t.Nullable = false
	return t
}

// OrNull returns t with null.
func (t Type) OrNull() Type {
	t.Nullable = true
	return t
}

// Equal reports whether t and other are the same type, including nullability and the names of
// nested fields.
func (t Type) Equal(other Type) bool {
	return t.Kind == other.Kind && t.Nullable == other.Nullable &&
		t.Precision == other.Precision && t.Scale == other.Scale &&
		equalFields(t.Fields, other.Fields)
}

func equalFields(a, b []Field) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !a[i].Type.Equal(b[i].Type) {
			return false
		}
	}
	return true
}

// Physical returns the kind of column that holds values of t, NoPhysical when none can.
func (t Type) Physical() Physical {
	switch t.Kind {
	case Boolean:
		return Bool8
	case TinyInt, SmallInt, Int, Date, Time:
		return Int32
	case BigInt:
		return Int64
	case Timestamp, TimestampLTZ:
		if t.Precision <= MillisPrecision {
			return Int64
		}
	case Float:
		return Float32
	case Double:
		return Float64
	case String, Bytes:
		return Views
	}
	return NoPhysical
}

// Col returns the field name of type t: shorthand for schema literals.
func Col(name string, t Type) Field { return Field{Name: name, Type: t} }

// NewSchema returns the schema of the given fields after validating it. It keeps the slice.
func NewSchema(fields ...Field) (*Schema, error) {
	s := &Schema{Fields: fields}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// Index returns the position of the field of that name, matched exactly, or -1.
func (s *Schema) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Project returns the schema of the given columns of s, in that order.
func (s *Schema) Project(columns []int) *Schema {
	fields := make([]Field, len(columns))
	for i, c := range columns {
		fields[i] = s.Fields[c]
	}
	return &Schema{Fields: fields}
}

// Equal reports whether s and other have the same fields in the same order.
func (s *Schema) Equal(other *Schema) bool {
	return s == other || s != nil && other != nil && equalFields(s.Fields, other.Fields)
}
