package csv

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// field is a field of a row on the slow path.
type field struct {
	text   []byte // without quotes and escapes
	start  int    // of text in the data, or unescaped
	quoted bool
}

// unescaped is the start of a text that had to be put together elsewhere.
const unescaped = -1

// slowResult is what the slow path made of a row.
type slowResult struct {
	next   int  // start of the next row; that of the row itself when it is not whole
	filled bool // the row of the batch is in use: the line was not blank
}

// slowRow reads the row at p into the next row of the batch.
func (d *decoder) slowRow(p int, atEOF bool) (slowResult, *format.RowError) {
	row := d.out.Len
	for _, col := range d.nullable {
		d.out.SetValid(col, row) // an attempt before may have left a null
	}
	if n := blankLine(d.data[p:], atEOF); n > 0 && !d.oneNull {
		return slowResult{next: p + n}, nil
	}
	next, err := d.split(p, atEOF)
	if err != nil {
		return slowResult{}, err
	}
	if next == p {
		return slowResult{next: p}, nil
	}
	if err := d.fill(row, d.data[p:next]); err != nil {
		for _, col := range d.nullable {
			d.out.SetValid(col, row)
		}
		err.Skip = next - p
		return slowResult{}, err
	}
	return slowResult{next: next, filled: true}, nil
}

// blankLine returns the length of an empty line with its end, 0 when the line is not empty.
func blankLine(b []byte, atEOF bool) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	case len(b) == 1 && b[0] == '\r' && atEOF:
		return 1
	}
	return 0
}

// fill sets the columns from the fields of a line.
func (d *decoder) fill(row int, line []byte) *format.RowError {
	if len(d.fields) != len(d.columns) {
		return &format.RowError{
			Text: format.Excerpt(bytes.TrimRight(line, "\r\n")),
			Cause: fmt.Errorf("the row has %d columns, want %d",
				len(d.fields), len(d.columns)),
		}
	}
	for i := range d.columns {
		c, f := &d.columns[i], &d.fields[i]
		if c.index == skipped {
			continue
		}
		if err := d.setField(c, row, f); err != nil {
			return &format.RowError{Column: c.name, Text: format.Excerpt(f.text), Cause: err}
		}
	}
	return nil
}

var errEmpty = errors.New("the field is empty and the column is not nullable")

// setField sets one value, which may be null.
func (d *decoder) setField(c *column, row int, f *field) error {
	if !f.quoted && (len(f.text) == 0 || d.options.Null != "" && string(f.text) == d.options.Null) {
		switch {
		case c.nullable:
			d.out.SetNull(c.index, row)
			return nil
		case len(f.text) == 0 && c.kind != types.String && c.kind != types.Bytes:
			return errEmpty
		}
	}
	if c.kind == types.String && len(f.text) > batch.InlineBytes && f.start != unescaped {
		buffer := d.share()
		d.out.SetStringView(c.index, row, buffer, f.start, len(f.text))
		return nil
	}
	return d.setValue(c, row, f.text)
}

// setValue sets a value that is not null from its text.
func (d *decoder) setValue(c *column, row int, text []byte) error {
	column := &d.out.Columns[c.index]
	ok := false
	switch c.kind {
	case types.String:
		d.out.SetString(c.index, row, text)
		return nil
	case types.Bytes:
		return d.setBytes(c.index, row, text)
	case types.Boolean:
		column.Bool[row], ok = format.ParseBool(text)
	case types.BigInt:
		column.Int64[row], ok = format.ParseInt(text)
	case types.Int, types.SmallInt, types.TinyInt:
		return setSmall(c.kind, &column.Int32[row], text)
	case types.Float:
		var v float64
		v, ok = format.ParseFloat(text, 32)
		column.Float32[row] = float32(v)
	case types.Double:
		column.Float64[row], ok = format.ParseFloat(text, 64)
	case types.Date:
		column.Int32[row], ok = format.ParseDate(text)
	case types.Time:
		column.Int32[row], ok = format.ParseTime(text)
	case types.Timestamp, types.TimestampLTZ:
		column.Int64[row], ok = format.ParseTimestamp(text)
	}
	if !ok {
		return wantErrors[c.kind]
	}
	return nil
}

// wantErrors say what a column wants.
var wantErrors = map[types.Kind]error{
	types.Boolean: errors.New("want true or false"),
	types.BigInt:  errors.New("want an integer of 64 bits"),
	types.Float:   errors.New("want a number"),
	types.Double:  errors.New("want a number"),
	types.Date:    errors.New("want a date such as 2001-01-31"),
	types.Time:    errors.New("want a time such as 23:59:59"),
	types.Timestamp: errors.New(
		"want a timestamp such as 2001-01-31 23:59:59"),
	types.TimestampLTZ: errors.New(
		"want a timestamp such as 2001-01-31 23:59:59"),
	types.TinyInt:  errors.New("want an integer of 8 bits"),
	types.SmallInt: errors.New("want an integer of 16 bits"),
	types.Int:      errors.New("want an integer of 32 bits"),
	types.Bytes:    errors.New("want base64"),
}

func setSmall(kind types.Kind, to *int32, text []byte) error {
	least, most := int64(math.MinInt32), int64(math.MaxInt32)
	switch kind {
	case types.TinyInt:
		least, most = math.MinInt8, math.MaxInt8
	case types.SmallInt:
		least, most = math.MinInt16, math.MaxInt16
	}
	v, ok := format.ParseInt(text)
	if !ok || v < least || v > most {
		return wantErrors[kind]
	}
	*to = int32(v)
	return nil
}

func (d *decoder) setBytes(col, row int, text []byte) error {
	var err error
	d.decoded, err = base64.StdEncoding.AppendDecode(d.decoded[:0], text)
	if err != nil {
		return wantErrors[types.Bytes]
	}
	d.out.SetString(col, row, d.decoded)
	return nil
}
