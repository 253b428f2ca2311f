package view

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/leat-io/leat/types"
)

// keyForm is how the keys of a schema, as types.DescribeKey wrote it, lie in bytes and hash.
type keyForm struct {
	root  keyNode
	parts []*keyNode // the numbers and octets, depth first
	words int        // 0 when keys are bytes
}

// keyNode is a number, octets, or a composite of other nodes.
type keyNode struct {
	name   string
	kind   types.Kind // of a leaf; Row for a composite
	octets int        // length of a byte array, else 0
	// unsigned numbers take the whole word.
	unsigned bool
	parts    []keyNode
}

var errKeySchema = errors.New("the schema of the key is of a form this version does not know")

func parseKeyForm(schema string) (*keyForm, error) {
	root, err := parseKeyNode(schema)
	if err != nil {
		return nil, fmt.Errorf("read key schema %q: %w", schema, err)
	}
	f := &keyForm{root: root.unwrap()}
	f.root.flatten(&f.parts, "")
	if n := len(f.parts); n == 1 || n == 2 {
		f.words = n
	}
	for _, p := range f.parts {
		if !p.isNumber() {
			f.words = 0
		}
	}
	return f, nil
}

func parseKeyNode(schema string) (keyNode, error) {
	schema = strings.TrimSpace(schema)
	switch {
	case strings.HasPrefix(schema, "("):
		s, err := types.ParseSchema(schema)
		if err != nil {
			return keyNode{}, err
		}
		return nodeOfFields(s.Fields), nil
	case strings.HasPrefix(schema, "ARRAY<"):
		return parseKeyArray(strings.TrimSuffix(schema[len("ARRAY<"):], ">"))
	case strings.HasPrefix(schema, "ROW<"):
		node := keyNode{kind: types.Row}
		for i, part := range splitTop(strings.TrimSuffix(schema[len("ROW<"):], ">")) {
			inner, err := parseKeyNode(part)
			if err != nil {
				return keyNode{}, err
			}
			inner.name = strconv.Itoa(i)
			node.parts = append(node.parts, inner)
		}
		return node, nil
	case schema == "UINT64", schema == "UINT", schema == "UINTPTR":
		return keyNode{kind: types.BigInt, unsigned: true}, nil
	}
	return keyNode{}, errKeySchema
}

// parseKeyArray reads "length, element". The text does not tell bytes from short integers; arrays
// of either are read as bytes first, see decode.
func parseKeyArray(text string) (keyNode, error) {
	length, element, ok := strings.Cut(text, ",")
	n, err := strconv.Atoi(strings.TrimSpace(length))
	if !ok || err != nil || n < 0 || n > 1<<16 {
		return keyNode{}, errKeySchema
	}
	inner, err := parseKeyNode(element)
	if err != nil {
		return keyNode{}, err
	}
	inner = inner.unwrap()
	if inner.kind == types.SmallInt {
		return keyNode{kind: types.Bytes, octets: n}, nil
	}
	node := keyNode{kind: types.Row}
	for i := range n {
		part, err := parseKeyNode(element) // anew: parts must not share memory
		if err != nil {
			return keyNode{}, err
		}
		part = part.unwrap()
		part.name = strconv.Itoa(i)
		node.parts = append(node.parts, part)
	}
	return node, nil
}

// splitTop splits at the commas outside brackets and back quotes.
func splitTop(text string) []string {
	var parts []string
	depth, start, quoted := 0, 0, false
	for i, c := range []byte(text) {
		switch {
		case c == '`':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '<':
			depth++
		case c == ')' || c == '>':
			depth--
		case c == ',' && depth == 0:
			parts, start = append(parts, text[start:i]), i+1
		}
	}
	return append(parts, text[start:])
}

func nodeOfFields(fields []types.Field) keyNode {
	node := keyNode{kind: types.Row}
	for _, f := range fields {
		inner := keyNode{kind: f.Type.Kind}
		if f.Type.Kind == types.Row {
			inner = nodeOfFields(f.Type.Fields)
		}
		inner.name = f.Name
		node.parts = append(node.parts, inner)
	}
	return node
}

// unwrap returns the only part of a composite of one.
func (n keyNode) unwrap() keyNode {
	for i := range n.parts {
		n.parts[i] = n.parts[i].unwrapInner()
	}
	if n.kind == types.Row && len(n.parts) == 1 {
		return n.parts[0]
	}
	return n
}

// unwrapInner is unwrap that keeps the name of the outer field.
func (n keyNode) unwrapInner() keyNode {
	inner := n.unwrap()
	inner.name = n.name
	return inner
}

func (n *keyNode) flatten(to *[]*keyNode, prefix string) {
	n.name = prefix + n.name
	if n.kind != types.Row {
		*to = append(*to, n)
		return
	}
	if n.name != "" {
		n.name += "."
	}
	for i := range n.parts {
		n.parts[i].flatten(to, n.name)
	}
}

func (n *keyNode) isNumber() bool { return n.kind != types.String && n.kind != types.Bytes }

// names are those of the parts; none for a key that is one value.
func (f *keyForm) names() []string {
	if len(f.parts) == 1 {
		return nil
	}
	names := make([]string, len(f.parts))
	for i, p := range f.parts {
		names[i] = p.name
	}
	return names
}

// decode reads the canonical bytes of a key, words little endian. What does not fit the schema
// comes back as Octets.
func (f *keyForm) decode(b []byte) any {
	values, ok := f.values(b)
	switch {
	case !ok:
		return Octets(append([]byte(nil), b...))
	case len(values) == 1:
		return values[0]
	}
	record := make(Record, len(values))
	for i, v := range values {
		record[i] = Field{Name: f.parts[i].name, Value: v}
	}
	return record
}

func (f *keyForm) values(b []byte) ([]any, bool) {
	if f.words == 0 && len(f.parts) == 1 {
		v, ok := f.parts[0].ofOctets(b)
		return []any{v}, ok
	}
	values := make([]any, 0, len(f.parts))
	for _, p := range f.parts {
		if p.isNumber() {
			if len(b) < 8 {
				return nil, false
			}
			values = append(values, p.ofWord(binary.LittleEndian.Uint64(b)))
			b = b[8:]
			continue
		}
		if len(b) < 4 {
			return nil, false
		}
		length := uint64(binary.LittleEndian.Uint32(b))
		if b = b[4:]; length > uint64(len(b)) {
			return nil, false
		}
		v, ok := p.ofOctets(b[:length])
		if !ok {
			return nil, false
		}
		values = append(values, v)
		b = b[length:]
	}
	return values, len(b) == 0
}

func (n *keyNode) ofOctets(b []byte) (any, bool) {
	if n.kind == types.String {
		return string(b), true
	}
	return Octets(append([]byte(nil), b...)), n.octets == 0 || len(b) == n.octets
}

func (n *keyNode) ofWord(w uint64) any {
	switch {
	case n.unsigned:
		return w
	case n.kind == types.Float || n.kind == types.Double:
		return math.Float64frombits(w)
	}
	return ofInteger(n.kind, int64(w), 0)
}
