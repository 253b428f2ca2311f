package types

import (
	"reflect"
)

// Struct is a Go type seen as a schema. A struct has a column for each exported field, named as
// the field with its first letter lowered, or as its tag `leat:"name"` says; `leat:"-"` leaves a
// field out. Any other supported type is a schema of one column called "value".
type Struct struct {
	Go     reflect.Type
	Schema *Schema
	// Leaves are the fields that hold values, depth first; nested structs, ROW in the schema,
	// contribute theirs.
	Leaves []Leaf
	// Plain says that T holds no pointers, so that its bytes are all of its value.
	Plain bool
	// Whole says that no field was left out by a tag.
	Whole bool
	Size  uintptr // of T in bytes
	Align uintptr
}

// Leaf is a field of a Go struct that holds a value.
type Leaf struct {
	Name   string // path of column names, joined by "."
	Column int    // position in Schema.Fields of the column that holds it
	Index  []int  // for reflect.Value.FieldByIndex; empty when T is no struct
	Offset uintptr
	// GoKind is the kind of the Go value: a bool, integer, float or String kind, or Slice for
	// []byte. Of Null[V] it is that of V, and Offset is that of V.
	GoKind   reflect.Kind
	GoType   reflect.Type // V for Null[V]
	Type     Type
	Physical Physical
	// NullOffset is the offset of Null.Valid; it counts only when Type.Nullable.
	NullOffset uintptr
}

// StructOf returns T as a schema. The error names the type, the field and the cure.
func StructOf[T any]() (*Struct, error) { return StructOfType(reflect.TypeFor[T]()) }

// StructOfType is [StructOf] for a type known at run time only.
func StructOfType(t reflect.Type) (*Struct, error) { panic("unbuilt") }
