package json

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// decoder implements format.Decoder.
type decoder struct {
	scanner // over the data of the current call
	columns []column
	byName  map[string]int

	// order is the column of each field of the last object, unknown for fields without one; an
	// object is expected to look like it.
	order []int
	// seen[i] == row says that column i has a value in the current row.
	seen []uint64
	row  uint64

	out     *batch.Columns
	buffer  uint32
	shared  bool   // the data is buffer of out
	decoded []byte // base64
}

// column is what a decoder knows of a column.
type column struct {
	kind     types.Kind
	nullable bool
	name     string
	pattern  []byte // the name in quotes and a colon; nil when the name has escapes
	times    format.TimestampReader
	// Of a pattern of 8 to 16 bytes its first and its last 8, which may overlap.
	head, tail uint64
}

const unknown = -1

func newDecoder(schema *types.Schema) *decoder {
	d := &decoder{byName: make(map[string]int), seen: make([]uint64, len(schema.Fields))}
	for i, f := range schema.Fields {
		c := column{kind: f.Type.Kind, nullable: f.Type.Nullable, name: f.Name}
		pattern := appendString(nil, []byte(f.Name))
		if len(pattern) == len(f.Name)+2 {
			c.pattern = append(pattern, ':')
			if n := len(c.pattern); n >= 8 && n <= 16 {
				c.head = binary.LittleEndian.Uint64(c.pattern)
				c.tail = binary.LittleEndian.Uint64(c.pattern[n-8:])
			}
		}
		d.columns = append(d.columns, c)
		d.byName[f.Name] = i
		d.order = append(d.order, i)
	}
	return d
}

// Start implements format.Decoder.
func (d *decoder) Start(bool) {}

// Decode implements format.Decoder.
func (d *decoder) Decode(data []byte, atEOF bool, out *batch.Columns) (used, lines int, err error) {
	d.data, d.out, d.shared = data, out, false
	defer func() { d.data, d.out = nil, nil }()
	for out.Len < out.Capacity() {
		used = d.skipSeparators(used)
		if used == len(data) {
			break
		}
		next, err := d.object(used, out.Len)
		if err == nil {
			used = next
			out.Len++
			continue
		}
		d.dropRow(out.Len)
		if errors.Is(err, errMore) && !atEOF {
			break
		}
		rowErr := d.rowError(used, err, atEOF)
		if rowErr == nil {
			break
		}
		rowErr.Line = bytes.Count(data[:used], newline)
		return used, rowErr.Line, rowErr
	}
	return used, bytes.Count(data[:used], newline), nil
}

var (
	newline       = []byte{'\n'}
	byteOrderMark = []byte("\xef\xbb\xbf")
)

// skipSeparators returns the place of the next byte that does not merely separate objects.
func (d *decoder) skipSeparators(p int) int {
	if bytes.HasPrefix(d.data[p:], byteOrderMark) && p == 0 {
		p = len(byteOrderMark)
	}
	for p < len(d.data) {
		switch d.data[p] {
		case ' ', '\t', '\r', '\n', ',', '[', ']':
			p++
		default:
			return p
		}
	}
	return p
}

// dropRow takes back the nulls of a row that was not finished.
func (d *decoder) dropRow(row int) {
	for i := range d.columns {
		d.out.SetValid(i, row)
	}
}

// fieldError is a fault in one field, which leaves the object readable.
type fieldError struct {
	column string
	text   []byte
	cause  error
}

func (e *fieldError) Error() string { return e.cause.Error() }

// rowError describes the object at p, which is bad, and finds where to go on behind it: behind the
// object, or if that is not JSON, behind its line. It returns nil when that is not in the data yet.
func (d *decoder) rowError(p int, cause error, atEOF bool) *format.RowError {
	end := len(d.data)
	var field *fieldError
	syntactic := !errors.As(cause, &field)
	if !syntactic {
		after, err := d.skipValue(p)
		switch {
		case err == nil:
			end = after
		case errors.Is(err, errMore) && !atEOF:
			return nil
		default:
			syntactic = true
		}
	}
	if errors.Is(cause, errMore) {
		cause = format.ErrIncomplete
	} else if syntactic {
		n := bytes.IndexByte(d.data[p:], '\n')
		if n < 0 && !atEOF {
			return nil
		}
		if n >= 0 {
			end = p + n + 1
		}
	}
	if field != nil {
		text := field.text
		if text == nil {
			text = d.data[p:end]
		}
		return &format.RowError{
			Skip: end - p, Column: field.column, Text: format.Excerpt(text), Cause: field.cause,
		}
	}
	return &format.RowError{
		Skip: end - p, Text: format.Excerpt(bytes.TrimRight(d.data[p:end], "\r\n")), Cause: cause,
	}
}

// object reads the object at p into a row of the batch and returns its end.
func (d *decoder) object(p, row int) (end int, err error) {
	if d.data[p] != '{' {
		return 0, d.unexpected(p, "want an object")
	}
	d.row++
	found := 0
	p = d.space(p + 1)
	if p < len(d.data) && d.data[p] == '}' {
		return p + 1, d.complete(row, 0)
	}
	for field := 0; ; field++ {
		col, at, err := d.name(p, field)
		if err != nil {
			return 0, err
		}
		p = d.space(at)
		if p == len(d.data) {
			return 0, errMore
		}
		if col == unknown {
			p, err = d.skipValue(p)
		} else {
			if d.seen[col] != d.row {
				d.seen[col] = d.row
				found++
			}
			p, err = d.value(col, p, row)
		}
		if err != nil {
			return 0, err
		}
		if p = d.space(p); p == len(d.data) {
			return 0, errMore
		}
		switch d.data[p] {
		case ',':
			p = d.space(p + 1)
		case '}':
			return p + 1, d.complete(row, found)
		default:
			return 0, d.unexpected(p, `want "," or "}"`)
		}
	}
}

// name reads the name of a field and the colon behind it.
func (d *decoder) name(p, field int) (col, end int, err error) {
	if field < len(d.order) {
		if col = d.order[field]; col != unknown {
			if n := d.columns[col].startsAt(d.data[p:]); n > 0 {
				return col, p + n, nil
			}
		}
	}
	text, end, err := d.str(p)
	if err != nil {
		return 0, 0, err
	}
	col, ok := d.byName[string(text)]
	if !ok {
		col = unknown
	}
	const mostFields = 1 << 12 // beyond that an object's order is not worth keeping
	switch {
	case field < len(d.order):
		d.order[field] = col
	case field < mostFields:
		d.order = append(d.order, col)
	}
	if end = d.space(end); end == len(d.data) {
		return 0, 0, errMore
	}
	if d.data[end] != ':' {
		return 0, 0, d.unexpected(end, `want ":"`)
	}
	return col, end + 1, nil
}

// startsAt returns the length of the pattern if b starts with it, else 0.
func (c *column) startsAt(b []byte) int {
	n := len(c.pattern)
	if c.head != 0 && len(b) >= n {
		if binary.LittleEndian.Uint64(b) != c.head ||
			binary.LittleEndian.Uint64(b[n-8:]) != c.tail {
			return 0
		}
		return n
	}
	if !bytes.HasPrefix(b, c.pattern) {
		return 0
	}
	return n
}

// complete makes the columns null that no field was found for.
func (d *decoder) complete(row, found int) error {
	if found == len(d.columns) {
		return nil
	}
	for i := range d.columns {
		if d.seen[i] == d.row {
			continue
		}
		if !d.columns[i].nullable {
			return &fieldError{column: d.columns[i].name,
				cause: errors.New("the field is missing and the column is not nullable")}
		}
		d.out.SetNull(i, row)
	}
	return nil
}

// share makes the data a buffer of the batch once and returns its index.
func (d *decoder) share() uint32 {
	if !d.shared {
		d.shared = true
		d.buffer = d.out.AddBuffer(d.data)
	}
	return d.buffer
}

// fault describes the value at p, which does not suit the column.
func (d *decoder) fault(c *column, p int, want string) error {
	end, err := d.skipValue(p)
	if err != nil {
		return err
	}
	return &fieldError{c.name, d.data[p:end], fmt.Errorf("want %s, found %s", want,
		kindOf(d.data[p]))}
}

// kindOf names a JSON value by its first byte.
func kindOf(first byte) string {
	switch first {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
