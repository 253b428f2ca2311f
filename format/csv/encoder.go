package csv

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// encoder implements format.Encoder. Empty strings are quoted where they could be taken for null.
type encoder struct {
	options Options
	columns []column
	special [256]bool // bytes that need quotes
	careful bool      // values other than strings may need quotes too
	value   []byte
}

func newEncoder(options Options, schema *types.Schema) *encoder {
	e := &encoder{options: options, columns: columnsOf(schema)}
	for _, c := range []byte{options.Delimiter, options.Quote, '\n', '\r', options.Escape} {
		e.special[c] = true
	}
	// Zero stands for "no escape"; a mark at the start of an object is taken for a byte order mark.
	e.special[0], e.special[byteOrderMark[0]] = false, true
	e.careful = options.Null != "" || options.Delimiter == ' ' || options.Delimiter == '=' ||
		options.Escape == '='
	return e
}

// Header implements format.Encoder.
func (e *encoder) Header(dst []byte) []byte {
	if !e.options.Header {
		return dst
	}
	for i, c := range e.columns {
		if i > 0 {
			dst = append(dst, e.options.Delimiter)
		}
		dst, _ = e.appendText(dst, []byte(c.name), len(e.columns) == 1)
	}
	return append(dst, '\n')
}

// Extension implements format.Encoder.
func (e *encoder) Extension() string { return ".csv" }

// Encode implements format.Encoder.
func (e *encoder) Encode(dst []byte, rows *batch.Columns, selection []uint16) ([]byte, error) {
	if len(rows.Columns) != len(e.columns) {
		return dst, fmt.Errorf("csv: encode rows of %d columns, want %d",
			len(rows.Columns), len(e.columns))
	}
	var err error
	if selection == nil {
		for row := range rows.Len {
			if dst, err = e.appendRow(dst, rows, row); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	for _, row := range selection {
		if dst, err = e.appendRow(dst, rows, int(row)); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (e *encoder) appendRow(dst []byte, rows *batch.Columns, row int) ([]byte, error) {
	for i := range e.columns {
		c := &e.columns[i]
		if i > 0 {
			dst = append(dst, e.options.Delimiter)
		}
		if c.nullable && rows.IsNull(i, row) {
			dst = append(dst, e.options.Null...)
			continue
		}
		var text []byte
		switch {
		case c.kind == types.String:
			text = rows.Text(i, row)
		case c.kind == types.Bytes:
			e.value = base64.StdEncoding.AppendEncode(e.value[:0], rows.Text(i, row))
			text = e.value
		case e.careful:
			e.value = format.AppendValue(e.value[:0], c.kind, rows, i, row)
			text = e.value
		default:
			dst = format.AppendValue(dst, c.kind, rows, i, row)
			continue
		}
		var err error
		dst, err = e.appendText(dst, text, c.nullable || len(e.columns) == 1)
		if err != nil {
			return dst, fmt.Errorf("csv: encode column %q: %w", c.name, err)
		}
	}
	return append(dst, '\n'), nil
}

// appendText appends a string, in quotes if need be; quoteEmpty says that it needs them when it is
// empty.
func (e *encoder) appendText(dst, text []byte, quoteEmpty bool) ([]byte, error) {
	quote := len(text) == 0 && quoteEmpty || e.options.Null != "" && string(text) == e.options.Null
	for _, c := range text {
		if e.special[c] {
			quote = true
			break
		}
	}
	if !quote {
		return append(dst, text...), nil
	}
	if e.options.NoQuote {
		if !e.ambiguous(text) {
			return append(dst, text...), nil
		}
		return dst, fmt.Errorf("%q needs quotation marks, which are switched off",
			format.Excerpt(text))
	}
	dst = append(dst, e.options.Quote)
	for _, c := range text {
		if c == e.options.Quote || c == e.options.Escape && c != 0 {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, e.options.Quote), nil
}

// ambiguous reports whether text without quotes would be read as something else than it is.
func (e *encoder) ambiguous(text []byte) bool {
	if len(text) == 0 || string(text) == e.options.Null || bytes.HasPrefix(text, byteOrderMark) {
		return true
	}
	for _, c := range text {
		if e.special[c] && c != e.options.Quote && c != byteOrderMark[0] {
			return true
		}
	}
	return false
}
