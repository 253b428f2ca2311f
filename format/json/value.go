package json

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// value reads the value at p, which is within the data, into a column and returns its end.
func (d *decoder) value(col, p, row int) (end int, err error) {
	c := &d.columns[col]
	if d.data[p] == 'n' {
		return d.null(c, col, p, row)
	}
	to := &d.out.Columns[col]
	if to.Valid != nil {
		d.out.SetValid(col, row) // the field may have been null when it came first
	}
	switch c.kind {
	case types.BigInt, types.Int, types.SmallInt, types.TinyInt:
		return d.integer(c, to, p, row)
	case types.Double, types.Float:
		return d.float(c, to, p, row)
	case types.Boolean:
		return d.boolean(c, to, p, row)
	}
	if d.data[p] != '"' {
		return 0, d.fault(c, p, wants[c.kind])
	}
	if c.kind == types.String {
		return d.text(col, p, row)
	}
	if (c.kind == types.Timestamp || c.kind == types.TimestampLTZ) &&
		p+1+format.LeadingBytes <= len(d.data) {
		millis, n := c.times.Leading(d.data[p+1:])
		if n > 0 && d.data[p+1+n] == '"' {
			to.Int64[row] = millis
			return p + n + 2, nil
		}
	}
	text, end, err := d.str(p)
	if err != nil {
		return 0, err
	}
	ok := false
	switch c.kind {
	case types.Timestamp, types.TimestampLTZ:
		to.Int64[row], ok = format.ParseTimestamp(text)
	case types.Date:
		to.Int32[row], ok = format.ParseDate(text)
	case types.Time:
		to.Int32[row], ok = format.ParseTime(text)
	case types.Bytes:
		d.decoded, err = base64.StdEncoding.AppendDecode(d.decoded[:0], text)
		d.out.SetString(col, row, d.decoded)
		ok = err == nil
	}
	if !ok {
		return 0, &fieldError{c.name, d.data[p:end], fmt.Errorf("want %s", wants[c.kind])}
	}
	return end, nil
}

// wants says what a column of a kind wants.
var wants = map[types.Kind]string{
	types.BigInt: "an integer of 64 bits", types.Int: "an integer of 32 bits",
	types.SmallInt: "an integer of 16 bits", types.TinyInt: "an integer of 8 bits",
	types.Double: "a number", types.Float: "a number", types.Boolean: "true or false",
	types.String: "a string", types.Bytes: "a string in base64",
	types.Date: `a string such as "2001-01-31"`, types.Time: `a string such as "23:59:59"`,
	types.Timestamp:    `a string such as "2001-01-31 23:59:59"`,
	types.TimestampLTZ: `a string such as "2001-01-31 23:59:59"`,
}

func (d *decoder) null(c *column, col, p, row int) (end int, err error) {
	if end, err = d.literal(p); err != nil {
		return 0, err
	}
	if !c.nullable {
		return 0, d.fault(c, p, wants[c.kind])
	}
	d.out.SetNull(col, row)
	return end, nil
}

func (d *decoder) integer(c *column, to *batch.Column, p, row int) (end int, err error) {
	if p+format.LeadingBytes <= len(d.data) {
		b := d.data[p : p+format.LeadingBytes]
		v, n := format.LeadingInt(b)
		first := b[0]
		if first == '-' {
			first = b[1]
		}
		if n > 0 && (b[n] == ',' || b[n] == '}') && first != '0' { // a zero cannot come first
			switch {
			case c.kind == types.BigInt:
				to.Int64[row] = v
				return p + n, nil
			case c.kind == types.Int && v == int64(int32(v)):
				to.Int32[row] = int32(v)
				return p + n, nil
			}
		}
	}
	end, err = d.number(p)
	if err != nil {
		if first := d.data[p]; first != '-' && first-'0' > 9 {
			return 0, d.fault(c, p, wants[c.kind])
		}
		return 0, err
	}
	v, ok := format.ParseInt(d.data[p:end])
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	switch c.kind {
	case types.Int:
		least, most = math.MinInt32, math.MaxInt32
	case types.SmallInt:
		least, most = math.MinInt16, math.MaxInt16
	case types.TinyInt:
		least, most = math.MinInt8, math.MaxInt8
	}
	if !ok || v < least || v > most {
		return 0, &fieldError{c.name, d.data[p:end], fmt.Errorf("want %s", wants[c.kind])}
	}
	if c.kind == types.BigInt {
		to.Int64[row] = v
	} else {
		to.Int32[row] = int32(v)
	}
	return end, nil
}

func (d *decoder) float(c *column, to *batch.Column, p, row int) (end int, err error) {
	var text []byte
	first := d.data[p]
	switch {
	case first == '-' || first-'0' <= 9:
		end, err = d.number(p)
		if err == nil {
			text = d.data[p:end]
		}
	case first == '"':
		text, end, err = d.str(p)
		if s := string(text); err == nil && s != "NaN" && s != "Infinity" && s != "-Infinity" {
			return 0, d.fault(c, p, wants[c.kind])
		}
	default:
		return 0, d.fault(c, p, wants[c.kind])
	}
	if err != nil {
		return 0, err
	}
	bits := 64
	if c.kind == types.Float {
		bits = 32
	}
	v, ok := format.ParseFloat(text, bits)
	if !ok {
		return 0, &fieldError{c.name, d.data[p:end], fmt.Errorf("want %s of %d bits",
			wants[c.kind], bits)}
	}
	if bits == 32 {
		to.Float32[row] = float32(v)
	} else {
		to.Float64[row] = v
	}
	return end, nil
}

func (d *decoder) boolean(c *column, to *batch.Column, p, row int) (end int, err error) {
	first := d.data[p]
	if first != 't' && first != 'f' {
		return 0, d.fault(c, p, wants[c.kind])
	}
	end, err = d.literal(p)
	to.Bool[row] = first == 't'
	return end, err
}

// text reads the string at p into a column.
func (d *decoder) text(col, p, row int) (end int, err error) {
	start := p + 1
	if start+16 <= len(d.data) {
		low := binary.LittleEndian.Uint64(d.data[start:])
		if n := plainBytes(low); n < 8 && d.data[start+n] == '"' {
			d.out.Columns[col].Views[row].SetInline(n, low&(1<<(8*n)-1), 0)
			return start + n + 1, nil
		}
	}
	text, end, err := d.str(p)
	switch {
	case err != nil:
		return 0, err
	case len(text) > batch.InlineBytes && !d.unescaped:
		d.out.SetStringView(col, row, d.share(), start, len(text))
	default:
		d.out.SetString(col, row, text)
	}
	return end, nil
}
