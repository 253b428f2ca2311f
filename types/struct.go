package types

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/leat-io/leat/eventtime"
)

// Struct is a Go type seen as a schema. A struct has a column for each exported field, named as
// the field with its leading capitals lowered (ID is id), or as its tag `leat:"name"` says;
// `leat:"-"` leaves a field out. Any other supported type is a schema of one column called "value".
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
func StructOfType(t reflect.Type) (*Struct, error) {
	b := structBuilder{root: t, whole: true}
	var fields []Field
	if isRecord(t) {
		fields = b.addFields(t, place{})
	} else {
		fields = b.addValue(t, place{name: "value"})
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, err
	}
	schema := &Schema{Fields: fields}
	if err := schema.Validate(); err != nil {
		return nil, fmt.Errorf("map type %s to a schema: %w", t, err)
	}
	return &Struct{
		Go: t, Schema: schema, Leaves: b.leaves, Plain: isPlain(t), Whole: b.whole,
		Size: t.Size(), Align: uintptr(t.Align()),
	}, nil
}

var (
	timestampType = reflect.TypeFor[eventtime.Timestamp]()
	timeType      = reflect.TypeFor[time.Time]()
)

// isRecord reports whether t is a struct of fields of its own, rather than a single value.
func isRecord(t reflect.Type) bool {
	_, null := nullOf(t)
	return t.Kind() == reflect.Struct && t != timeType && !null
}

// nullOf returns V when t is Null[V].
func nullOf(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct || t.PkgPath() != nullPackage ||
		!strings.HasPrefix(t.Name(), "Null[") {
		return nil, false
	}
	return t.Field(0).Type, true
}

var nullPackage = reflect.TypeFor[Null[bool]]().PkgPath()

// structBuilder collects the leaves of root, and all faults rather than the first.
type structBuilder struct {
	root   reflect.Type
	leaves []Leaf
	faults []error
	whole  bool
}

// place is where in root a field lies.
type place struct {
	name   string // path of column names
	column int
	path   string // path of Go names, for errors
	index  []int
	offset uintptr
}

func (b *structBuilder) fault(at place, problem, cure string) {
	where := fmt.Sprintf("type %s", b.root)
	if at.path != "" {
		where = fmt.Sprintf("field %q of type %s", at.path, b.root)
	}
	b.faults = append(b.faults, fmt.Errorf("map %s to a schema: %s; %s", where, problem, cure))
}

// addFields adds the leaves of the fields of t, a struct that lies at a place, and returns its
// columns.
func (b *structBuilder) addFields(t reflect.Type, at place) []Field {
	var fields []Field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("leat")
		if tag == "-" || f.Name == "_" {
			b.whole = b.whole && f.Name == "_"
			continue
		}
		inner := place{
			name: columnName(f.Name, tag), column: len(fields), path: f.Name,
			index:  append(append([]int(nil), at.index...), i),
			offset: at.offset + f.Offset,
		}
		if at.path != "" {
			inner.name = at.name + "." + inner.name
			inner.column = at.column
			inner.path = at.path + "." + f.Name
		}
		if !f.IsExported() {
			b.fault(inner, "it is not exported", "export it or tag it `leat:\"-\"`")
			continue
		}
		for _, column := range b.addValue(f.Type, inner) {
			column.Name = columnName(f.Name, tag)
			fields = append(fields, column)
		}
	}
	return fields
}

// columnName lowers the capitals a Go name starts with: "MeanDelay" is "meanDelay", "ID" is
// "id", "URLPath" is "urlPath".
func columnName(name, tag string) string {
	if tag != "" {
		return tag
	}
	letters := []rune(name)
	for i := range letters {
		last := i+1 == len(letters)
		if !unicode.IsUpper(letters[i]) || i > 0 && !last && unicode.IsLower(letters[i+1]) {
			break
		}
		letters[i] = unicode.ToLower(letters[i])
	}
	return string(letters)
}

// addValue adds the leaf or, for a struct, the leaves of a value of type t, and returns its
// column: none if t is not supported.
func (b *structBuilder) addValue(t reflect.Type, at place) []Field {
	if isRecord(t) {
		return []Field{{Name: at.name, Type: RowOf(b.addFields(t, at)...).NotNull()}}
	}
	leaf := Leaf{Name: at.name, Column: at.column, Index: at.index, Offset: at.offset, GoType: t}
	inner, null := nullOf(t)
	if null {
		leaf.GoType = inner
		leaf.NullOffset = at.offset + t.Field(1).Offset
		if isRecord(inner) {
			b.fault(at, "a struct cannot be nullable", "make its fields nullable instead")
			return nil
		}
	}
	logical, cure := logicalOf(leaf.GoType)
	if logical.Kind == Invalid {
		b.fault(at, fmt.Sprintf("%s is not supported", leaf.GoType), cure)
		return nil
	}
	leaf.GoKind = leaf.GoType.Kind()
	leaf.Type = logical
	leaf.Type.Nullable = null
	leaf.Physical = leaf.Type.Physical()
	b.leaves = append(b.leaves, leaf)
	return []Field{{Name: at.name, Type: leaf.Type}}
}

// logicalOf returns the type of a column that holds Go values of type t, or the Invalid type and
// what to use instead.
func logicalOf(t reflect.Type) (Type, string) {
	if t == timestampType {
		return TimestampOf(MillisPrecision), ""
	}
	switch t.Kind() {
	case reflect.Bool:
		return TypeOf(Boolean), ""
	case reflect.Int8:
		return TypeOf(TinyInt), ""
	case reflect.Int16, reflect.Uint8:
		return TypeOf(SmallInt), ""
	case reflect.Int32, reflect.Uint16:
		return TypeOf(Int), ""
	case reflect.Int64, reflect.Int, reflect.Uint32:
		return TypeOf(BigInt), ""
	case reflect.Float32:
		return TypeOf(Float), ""
	case reflect.Float64:
		return TypeOf(Double), ""
	case reflect.String:
		return TypeOf(String), ""
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return TypeOf(Bytes), ""
		}
	}
	return Type{}, cureFor(t)
}

// cureFor says what to use instead of an unsupported type.
func cureFor(t reflect.Type) string {
	if t == timeType {
		return "use eventtime.Timestamp"
	}
	switch t.Kind() {
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return "use int64, or uint32 for small values"
	case reflect.Pointer:
		return fmt.Sprintf("use %s, or types.Null[%s] when it may be missing", t.Elem(), t.Elem())
	case reflect.Slice, reflect.Array, reflect.Map:
		return "use []byte with an encoding of your own, or one record for each element"
	case reflect.Struct:
		return "use one types.Null, not two"
	}
	return "use a bool, a number, string, []byte, eventtime.Timestamp or time.Duration"
}

// isPlain reports whether values of t hold no pointers.
func isPlain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return t.Len() == 0 || isPlain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isPlain(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}
