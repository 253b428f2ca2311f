package types

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// orderedKind is the type of a column of an ordered key.
type orderedKind uint8

const (
	orderedInvalid orderedKind = iota
	orderedBool
	orderedTinyInt
	orderedSmallInt
	orderedInt
	orderedBigInt
	orderedUnsigned
	orderedFloat
	orderedDouble
	orderedTimestamp
	orderedString
	orderedBytes
	orderedBinary
	orderedArray
	orderedRow
)

// orderedNames are the SQL spellings; those of parameters come after them.
var orderedNames = [...]string{
	orderedBool: "BOOLEAN", orderedTinyInt: "TINYINT", orderedSmallInt: "SMALLINT",
	orderedInt: "INT", orderedBigInt: "BIGINT", orderedUnsigned: "BIGINT UNSIGNED",
	orderedFloat: "FLOAT", orderedDouble: "DOUBLE", orderedTimestamp: "TIMESTAMP(3)",
	orderedString: "STRING", orderedBytes: "BYTES", orderedBinary: "BINARY",
	orderedArray: "ARRAY", orderedRow: "ROW",
}

// orderedWidths are the sizes of numbers in bytes.
var orderedWidths = [...]int{
	orderedBool: 1, orderedTinyInt: 1, orderedSmallInt: 2, orderedInt: 4, orderedBigInt: 8,
	orderedUnsigned: 8, orderedFloat: 4, orderedDouble: 8, orderedTimestamp: 8,
	orderedRow: 0,
}

// orderedType is a column type of an ordered key.
type orderedType struct {
	kind     orderedKind
	nullable bool
	length   int // of BINARY and ARRAY
	names    []string
	parts    []orderedType // of ROW, or the element of ARRAY
}

// schema returns the text of a whole key.
func (t *orderedType) schema() string {
	var b strings.Builder
	b.WriteByte('(')
	if t.kind == orderedRow {
		t.writeFields(&b)
	} else {
		b.WriteString("`value` ")
		t.write(&b)
	}
	b.WriteByte(')')
	return b.String()
}

func (t *orderedType) writeFields(b *strings.Builder) {
	for i := range t.parts {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + strings.ReplaceAll(t.names[i], "`", "``") + "` ")
		t.parts[i].write(b)
	}
}

func (t *orderedType) write(b *strings.Builder) {
	b.WriteString(orderedNames[t.kind])
	switch t.kind {
	case orderedBinary:
		b.WriteString("(" + strconv.Itoa(t.length) + ")")
	case orderedArray:
		b.WriteString("<" + strconv.Itoa(t.length) + ", ")
		t.parts[0].write(b)
		b.WriteByte('>')
	case orderedRow:
		b.WriteByte('<')
		t.writeFields(b)
		b.WriteByte('>')
	}
	if !t.nullable {
		b.WriteString(" NOT NULL")
	}
}

// orderedBuilder collects the parts of a key type, and all faults rather than the first.
type orderedBuilder struct {
	key    reflect.Type
	parts  []orderedPart
	faults []error
}

// orderedPlace is where in the key a part lies.
type orderedPlace struct {
	path       string // of Go names
	offset     uintptr
	nullable   bool
	nullOffset uintptr
}

func (b *orderedBuilder) fault(path, problem, cure string) {
	where := ""
	if path != "" {
		where = fmt.Sprintf("field %q: ", path)
	}
	b.faults = append(b.faults, fmt.Errorf("use type %s as ordered key: %s%s; %s",
		b.key, where, problem, cure))
}

var orderedKinds = map[reflect.Kind]orderedKind{
	reflect.Bool: orderedBool, reflect.Int8: orderedTinyInt, reflect.Int16: orderedSmallInt,
	reflect.Uint8: orderedSmallInt, reflect.Int32: orderedInt, reflect.Uint16: orderedInt,
	reflect.Int64: orderedBigInt, reflect.Int: orderedBigInt, reflect.Uint32: orderedBigInt,
	reflect.Uint64: orderedUnsigned, reflect.Uint: orderedUnsigned,
	reflect.Uintptr: orderedUnsigned, reflect.Float32: orderedFloat,
	reflect.Float64: orderedDouble, reflect.String: orderedString,
}

// add adds the parts of a value of type t.
func (b *orderedBuilder) add(t reflect.Type, at orderedPlace) orderedType {
	if v, null := nullOf(t); null && !at.nullable {
		if isRecord(v) || v.Kind() == reflect.Array && v.Elem().Kind() != reflect.Uint8 {
			b.fault(at.path, fmt.Sprintf("%s cannot be nullable", v),
				"make its parts nullable instead")
			return orderedType{}
		}
		at.nullable, at.nullOffset = true, at.offset+t.Field(1).Offset
		return b.add(v, at)
	}
	if isRecord(t) {
		return b.addFields(t, at)
	}
	out := orderedType{kind: orderedKinds[t.Kind()], nullable: at.nullable}
	switch {
	case t == timestampType:
		out.kind = orderedTimestamp
	case t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8:
		out.kind, out.length = orderedBinary, t.Len()
	case t.Kind() == reflect.Array:
		return b.addElements(t, at)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		out.kind = orderedBytes
	}
	if out.kind == orderedInvalid {
		b.fault(at.path, fmt.Sprintf("%s has no order here", t), orderedCure(t))
		return out
	}
	part := orderedPart{
		kind: out.kind, goKind: t.Kind(), offset: at.offset, nullable: at.nullable,
		nullOffset: at.nullOffset, width: out.length,
	}
	if out.kind < orderedString {
		part.width = orderedWidths[out.kind]
	}
	b.parts = append(b.parts, part)
	return out
}

func orderedCure(t reflect.Type) string {
	switch {
	case t == timeType:
		return "use eventtime.Timestamp"
	case t.Kind() == reflect.Pointer:
		return fmt.Sprintf("use %s, or types.Null[%s] when it may be missing", t.Elem(), t.Elem())
	}
	return "use a bool, a number, string, []byte, or a struct or array of these"
}

func (b *orderedBuilder) addFields(t reflect.Type, at orderedPlace) orderedType {
	out := orderedType{kind: orderedRow}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		inner := orderedPlace{path: f.Name, offset: at.offset + f.Offset}
		if at.path != "" {
			inner.path = at.path + "." + f.Name
		}
		tag := f.Tag.Get("leat")
		if tag == "-" {
			b.fault(inner.path, "its tag leaves it out, and keys that differ would be one",
				"take the tag away")
		}
		out.names = append(out.names, columnName(f.Name, tag))
		out.parts = append(out.parts, b.add(f.Type, inner))
	}
	return out
}

func (b *orderedBuilder) addElements(t reflect.Type, at orderedPlace) orderedType {
	out := orderedType{kind: orderedArray, length: t.Len()}
	if t.Len() > maxOrderedParts {
		b.fault(at.path, fmt.Sprintf("%s is longer than %d", t, maxOrderedParts),
			"use a string or byte array")
		return out
	}
	for i := range t.Len() {
		inner := orderedPlace{
			path: at.path + "[0]", offset: at.offset + uintptr(i)*t.Elem().Size(),
		}
		out.parts = append(out.parts[:0], b.add(t.Elem(), inner))
		if len(b.parts) > maxOrderedParts || len(b.faults) > 0 {
			break
		}
	}
	if t.Len() == 0 {
		none := orderedBuilder{key: b.key}
		out.parts = []orderedType{none.add(t.Elem(), at)}
		b.faults = append(b.faults, none.faults...)
	}
	return out
}
