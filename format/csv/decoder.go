package csv

import (
	"bytes"
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// decoder implements format.Decoder.
//
// Every row is tried on the fast path first, which either writes the whole row or gives up without
// a reason; the slow path then starts at the beginning of the row and knows everything.
type decoder struct {
	options  Options
	schema   *types.Schema
	columns  []column // in the order of the file
	fast     []fastColumn
	first    bool      // at the first byte of an object
	header   bool      // the header line is to come
	oneNull  bool      // blank lines are nulls
	nullable []int     // schema columns that may be null
	special  [256]bool // first bytes of fields that are not what the column says

	// Of the current call of Decode.
	data   []byte
	out    *batch.Columns
	buffer uint32
	shared bool // data is buffer of out

	// Of the slow path.
	fields  []field
	scratch []byte
	decoded []byte // base64
}

func newDecoder(options Options, schema *types.Schema) *decoder {
	d := &decoder{options: options, schema: schema, columns: columnsOf(schema)}
	for _, c := range d.columns {
		if c.nullable {
			d.nullable = append(d.nullable, c.index)
		}
	}
	d.oneNull = len(d.columns) == 1 && d.columns[0].nullable
	d.markSpecial()
	d.Start(true)
	return d
}

// Start implements format.Decoder. Without first, the columns stay as the last header named them.
func (d *decoder) Start(first bool) {
	d.first = first
	d.header = first && d.options.Header
}

// Decode implements format.Decoder.
func (d *decoder) Decode(data []byte, atEOF bool, out *batch.Columns) (used, lines int, err error) {
	d.data, d.out, d.shared = data, out, false
	defer func() { d.data, d.out = nil, nil }()
	if used, lines, err = d.start(atEOF); err != nil || d.first || d.header {
		return used, lines, err
	}
	d.prepareFast()
	for used < len(data) && out.Len < out.Capacity() {
		if next := d.fastRow(used, out.Len); next > 0 {
			out.Len++
			used = next
			lines++
			continue
		}
		row, err := d.slowRow(used, atEOF)
		if err != nil {
			err.Line = lines
			return used, lines, err
		}
		if row.next == used {
			break // incomplete
		}
		if row.filled {
			out.Len++
		}
		lines += bytes.Count(data[used:row.next], newline)
		used = row.next
	}
	return used, lines, nil
}

var (
	newline       = []byte{'\n'}
	byteOrderMark = []byte("\xef\xbb\xbf")
)

// start reads what comes before the first row.
func (d *decoder) start(atEOF bool) (used, lines int, err error) {
	if d.first {
		if len(d.data) < len(byteOrderMark) && !atEOF && bytes.HasPrefix(byteOrderMark, d.data) {
			return 0, 0, nil
		}
		if bytes.HasPrefix(d.data, byteOrderMark) {
			used = len(byteOrderMark)
		}
		d.first = false
	}
	if !d.header || used == len(d.data) {
		return used, 0, nil
	}
	next, rowErr := d.split(used, atEOF)
	if rowErr != nil {
		rowErr.Skip = 0
		return used, 0, rowErr
	}
	if next == used {
		d.first = used > 0 // the mark is not used up
		return 0, 0, nil
	}
	if rowErr := d.readHeader(d.data[used:next]); rowErr != nil {
		return used, 0, rowErr
	}
	d.header = false
	return next, bytes.Count(d.data[used:next], newline), nil
}

// readHeader maps the columns by the names split has found.
func (d *decoder) readHeader(line []byte) *format.RowError {
	bad := func(text []byte, name, reason string, args ...any) *format.RowError {
		return &format.RowError{
			Column: name, Text: format.Excerpt(bytes.TrimRight(text, "\r\n")),
			Cause: fmt.Errorf(reason, args...),
		}
	}
	byIndex := columnsOf(d.schema)
	columns := make([]column, 0, len(d.fields))
	seen := make([]bool, len(byIndex))
	for _, f := range d.fields {
		name := string(f.text)
		i := d.schema.Index(name)
		if i < 0 {
			columns = append(columns, column{index: skipped, name: name})
			continue
		}
		if seen[i] {
			return bad(line, name, "the header names the column twice")
		}
		seen[i] = true
		columns = append(columns, byIndex[i])
	}
	for i, ok := range seen {
		if !ok {
			return bad(line, byIndex[i].name, "the header does not name the column")
		}
	}
	d.columns = columns
	d.oneNull = len(columns) == 1 && columns[0].nullable
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
