package types

import (
	"fmt"
	"slices"
)

// OrderedDecoder reads ordered keys of which nothing but the schema is known. It is immutable
// and safe to share.
type OrderedDecoder struct {
	names []string
	parts []orderedType
}

// ParseOrdered returns the decoder for what [OrderedCodec.Schema] returned.
func ParseOrdered(schema string) (*OrderedDecoder, error) {
	p := typeParser{text: schema}
	root := orderedType{kind: orderedRow}
	err := p.expect("(")
	if err == nil {
		err = p.parseOrderedFields(&root, ")", 0)
	}
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, fmt.Errorf("read schema of ordered key %q: %w", schema, err)
	}
	return &OrderedDecoder{names: root.names, parts: root.parts}, nil
}

// Names returns the names of the columns.
func (d *OrderedDecoder) Names() []string { return slices.Clone(d.names) }

// Decode takes the key that b starts with off it. It returns one value for each column: nil
// for null, bool, int64 (all integers with sign), uint64, float32, float64,
// eventtime.Timestamp, string, []byte, or []any for the parts of a row or array.
func (d *OrderedDecoder) Decode(b []byte) (values []any, rest []byte, err error) {
	values, rest, err = decodeParts(d.parts, b)
	if err != nil {
		return nil, nil, fmt.Errorf("decode ordered key from %x: %w", b, err)
	}
	return values, rest, nil
}

func decodeParts(parts []orderedType, b []byte) (values []any, rest []byte, err error) {
	values = make([]any, len(parts))
	for i := range parts {
		if values[i], b, err = parts[i].decode(b); err != nil {
			return nil, nil, err
		}
	}
	return values, b, nil
}

func (t *orderedType) decode(b []byte) (value any, rest []byte, err error) {
	if t.nullable {
		valid, rest, err := cutNull(b)
		if err != nil || !valid {
			return nil, rest, err
		}
		b = rest
	}
	width := t.length
	switch t.kind {
	case orderedString, orderedBytes:
		content, rest, err := cutEscaped(b)
		if err != nil {
			return nil, nil, err
		}
		if t.kind == orderedString {
			return string(content), rest, nil
		}
		return append([]byte{}, content...), rest, nil
	case orderedRow:
		return unboxed(decodeParts(t.parts, b))
	case orderedArray:
		return t.decodeElements(b)
	case orderedBinary:
	default:
		width = orderedWidths[t.kind]
	}
	if len(b) < width {
		return nil, nil, errOrderedEnd
	}
	if t.kind == orderedBinary {
		return append([]byte{}, b[:width]...), b[width:], nil
	}
	value, ok := t.kind.goValue(loadWidth(b, width), width)
	if !ok {
		return nil, nil, fmt.Errorf("no %s is written %x", orderedNames[t.kind], b[:width])
	}
	return value, b[width:], nil
}

func unboxed(values []any, rest []byte, err error) (any, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	return values, rest, nil
}

func (t *orderedType) decodeElements(b []byte) (value any, rest []byte, err error) {
	var values []any
	for range t.length {
		element, rest, err := t.parts[0].decode(b)
		if err != nil {
			return nil, nil, err
		}
		values, b = append(values, element), rest
	}
	return values, b, nil
}

// parseOrderedFields reads fields up to and with the closing token; the opening one has been
// read.
func (p *typeParser) parseOrderedFields(row *orderedType, closing string, depth int) error {
	if p.accept(closing) {
		return nil
	}
	for {
		name, err := p.parseName()
		if err != nil {
			return err
		}
		t, err := p.parseOrderedType(depth)
		if err != nil {
			return err
		}
		row.names, row.parts = append(row.names, name), append(row.parts, t)
		if !p.accept(",") {
			return p.expect(closing)
		}
	}
}

func (p *typeParser) parseOrderedType(depth int) (orderedType, error) {
	if depth > maxDepth {
		return orderedType{}, fmt.Errorf("nest at most %d rows and arrays", maxDepth)
	}
	start := p.at
	name := p.word()
	if name == "TIMESTAMP" {
		if n, err := p.parsePrecision(MillisPrecision); err != nil || n != MillisPrecision {
			return orderedType{}, fmt.Errorf("find TIMESTAMP(%d) at offset %d", MillisPrecision,
				start)
		}
		name = orderedNames[orderedTimestamp]
	}
	t := orderedType{kind: orderedKind(max(0, slices.Index(orderedNames[:], name))), nullable: true}
	var err error
	switch t.kind {
	case orderedInvalid:
		return t, fmt.Errorf("find a type at offset %d: got %q", start, name)
	case orderedBigInt:
		before := p.at
		if p.word() == "UNSIGNED" {
			t.kind = orderedUnsigned
		} else {
			p.at = before
		}
	case orderedBinary:
		if err = p.expect("("); err == nil {
			if t.length, err = p.parseNumber(); err == nil {
				err = p.expect(")")
			}
		}
	case orderedArray:
		err = p.parseOrderedArray(&t, depth+1)
	case orderedRow:
		if err = p.expect("<"); err == nil {
			err = p.parseOrderedFields(&t, ">", depth+1)
		}
	}
	if err != nil {
		return t, err
	}
	return p.parseOrderedNullability(t)
}

func (p *typeParser) parseOrderedArray(t *orderedType, depth int) (err error) {
	if err = p.expect("<"); err != nil {
		return err
	}
	if t.length, err = p.parseNumber(); err != nil {
		return err
	}
	if err = p.expect(","); err != nil {
		return err
	}
	element, err := p.parseOrderedType(depth)
	if err != nil {
		return err
	}
	t.parts = []orderedType{element}
	if t.length > maxOrderedParts || t.count() > maxOrderedParts {
		return fmt.Errorf("hold at most %d parts in arrays", maxOrderedParts)
	}
	return p.expect(">")
}

// count is about the number of values that a value of type t is made of.
func (t *orderedType) count() int {
	if t.kind != orderedArray && t.kind != orderedRow {
		return 1
	}
	n := 1
	for i := range t.parts {
		n += t.parts[i].count()
	}
	if t.kind == orderedArray {
		n *= t.length
	}
	return n
}

func (p *typeParser) parseOrderedNullability(t orderedType) (orderedType, error) {
	before := p.at
	switch p.word() {
	case "NULL":
	case "NOT":
		if p.word() != "NULL" {
			return t, fmt.Errorf(`find "NULL" after "NOT" at offset %d`, p.at)
		}
		t.nullable = false
	default:
		p.at = before
	}
	if t.nullable && (t.kind == orderedRow || t.kind == orderedArray) {
		return t, fmt.Errorf("use a %s that is not null at offset %d", orderedNames[t.kind], before)
	}
	return t, nil
}
