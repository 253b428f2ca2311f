package json

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// encoder implements format.Encoder.
type encoder struct {
	options Options
	columns []column
	names   [][]byte // in quotes, with the colon
}

func newEncoder(options Options, schema *types.Schema) *encoder {
	e := &encoder{options: options}
	for _, f := range schema.Fields {
		e.columns = append(e.columns,
			column{kind: f.Type.Kind, nullable: f.Type.Nullable, name: f.Name})
		e.names = append(e.names, append(appendString(nil, []byte(f.Name)), ':'))
	}
	return e
}

// Header implements format.Encoder.
func (e *encoder) Header(dst []byte) []byte { return dst }

// Extension implements format.Encoder.
func (e *encoder) Extension() string { return ".json" }

// Encode implements format.Encoder.
func (e *encoder) Encode(dst []byte, rows *batch.Columns, selection []uint16) ([]byte, error) {
	if len(rows.Columns) != len(e.columns) {
		return dst, fmt.Errorf("json: encode rows of %d columns, want %d",
			len(rows.Columns), len(e.columns))
	}
	if selection == nil {
		for row := range rows.Len {
			dst = e.appendRow(dst, rows, row)
		}
		return dst, nil
	}
	for _, row := range selection {
		dst = e.appendRow(dst, rows, int(row))
	}
	return dst, nil
}

func (e *encoder) appendRow(dst []byte, rows *batch.Columns, row int) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for i := range e.columns {
		null := e.columns[i].nullable && rows.IsNull(i, row)
		if null && e.options.OmitNull {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, e.names[i]...)
		if null {
			dst = append(dst, "null"...)
			continue
		}
		dst = appendValue(dst, e.columns[i].kind, rows, i, row)
	}
	return append(dst, '}', '\n')
}

// appendValue appends a value that is not null.
func appendValue(dst []byte, kind types.Kind, rows *batch.Columns, col, row int) []byte {
	column := &rows.Columns[col]
	switch kind {
	case types.String:
		return appendString(dst, rows.Text(col, row))
	case types.BigInt:
		return strconv.AppendInt(dst, column.Int64[row], 10)
	case types.Int, types.SmallInt, types.TinyInt:
		return strconv.AppendInt(dst, int64(column.Int32[row]), 10)
	case types.Boolean:
		return strconv.AppendBool(dst, column.Bool[row])
	case types.Float:
		return appendFloat(dst, float64(column.Float32[row]), 32)
	case types.Double:
		return appendFloat(dst, column.Float64[row], 64)
	}
	dst = append(dst, '"')
	switch kind {
	case types.Timestamp, types.TimestampLTZ:
		dst = format.AppendTimestamp(dst, column.Int64[row], ' ')
	case types.Date:
		dst = format.AppendDate(dst, column.Int32[row])
	case types.Time:
		dst = format.AppendTime(dst, column.Int32[row])
	case types.Bytes:
		dst = base64.StdEncoding.AppendEncode(dst, rows.Text(col, row))
	}
	return append(dst, '"')
}

// appendFloat puts what JSON has no number for in quotes.
func appendFloat(dst []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(format.AppendFloat(append(dst, '"'), v, bits), '"')
	}
	return format.AppendFloat(dst, v, bits)
}

const hexDigits = "0123456789abcdef"

// appendString appends text as a string; bytes that are not UTF-8 become U+FFFD.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		n := plainPrefix(text)
		dst = append(dst, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			break
		}
		c := text[0]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(text)
			dst = utf8.AppendRune(dst, r)
			text = text[size:]
			continue
		}
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		text = text[1:]
	}
	return append(dst, '"')
}

// plainPrefix returns how many bytes of text need neither an escape nor a look as UTF-8.
func plainPrefix(text []byte) int {
	n := 0
	for n+8 <= len(text) {
		plain := plainBytes(binary.LittleEndian.Uint64(text[n:]))
		if n += plain; plain < 8 {
			return n
		}
	}
	for n < len(text) {
		if c := text[n]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return n
		}
		n++
	}
	return n
}
