package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// fastColumn is a column as the fast path sees it during one call of Decode.
type fastColumn struct {
	column
	end   byte // what ends the field: the delimiter or LF
	other byte // what must not be in it: the other of the two
	int32 []int32
	int64 []int64
	float []float64
	views []batch.View
	times format.TimestampReader
}

// lookAhead is what the fast path may look at behind the start of a field. Rows that are nearer to
// the end of the data go the slow way.
const lookAhead = format.LeadingBytes

// markSpecial finds the bytes at the start of a field that the fast path stops at.
func (d *decoder) markSpecial() {
	o := d.options
	for _, c := range []byte{o.Delimiter, '\n', '\r'} {
		d.special[c] = true
	}
	if !o.NoQuote {
		d.special[o.Quote] = true
	}
	if o.Null != "" {
		d.special[o.Null[0]] = true
	}
	if o.Escape != 0 {
		for c := range d.special {
			d.special[c] = true // an escape may be anywhere in the field
		}
	}
}

// prepareFast points the fast columns at the batch.
func (d *decoder) prepareFast() {
	if len(d.fast) != len(d.columns) {
		d.fast = make([]fastColumn, len(d.columns))
	}
	for i, c := range d.columns {
		f := &d.fast[i]
		f.column = c
		f.end, f.other = d.options.Delimiter, '\n'
		if i == len(d.columns)-1 {
			f.end, f.other = f.other, f.end
		}
		if c.index != skipped {
			to := &d.out.Columns[c.index]
			f.int32, f.int64, f.float, f.views = to.Int32, to.Int64, to.Float64, to.Views
		}
	}
}

// fastRow reads the plain row at p into a row of the batch and returns where the next one starts,
// or 0 when it is not plain or not whole; then the row of the batch is in no particular state.
func (d *decoder) fastRow(p, row int) (next int) {
	data := d.data
	for i := range d.fast {
		c := &d.fast[i]
		if p+lookAhead > len(data) {
			return 0
		}
		b := data[p : p+lookAhead]
		n := 0 // length of the field; 0 when it is unusual
		if d.special[b[0]] {
			if b[0] != c.end || !c.nullable || len(d.fast) == 1 {
				return 0
			}
			d.out.SetNull(c.index, row)
			p++
			continue
		}
		switch c.kind {
		case types.String:
			n = d.fastText(c, p, row)
		case types.Int:
			var v int64
			v, n = format.LeadingInt(b)
			if v != int64(int32(v)) {
				return 0
			}
			c.int32[row] = int32(v)
		case types.BigInt:
			c.int64[row], n = format.LeadingInt(b)
		case types.Double:
			c.float[row], n = fastFloat(b)
		case types.Timestamp, types.TimestampLTZ:
			if c.end == ' ' {
				return 0 // the timestamp may have a delimiter in it
			}
			c.int64[row], n = c.times.Leading(b)
		default:
			n = d.fastOther(c, p, row)
		}
		if n == 0 {
			return 0
		}
		p += n
		if data[p] != c.end { // the readers leave two bytes behind the field
			if data[p] != '\r' || c.end != '\n' || data[p+1] != '\n' {
				return 0
			}
			p++
		}
		p++
	}
	return p
}

// fastFloat reads up to 17 characters of digits, minus and point.
func fastFloat(b []byte) (v float64, n int) {
	for n < 18 && (b[n]-'0' <= 9 || b[n] == '.' || b[n] == '-') {
		n++
	}
	v, ok := format.ParseFloat(b[:n], 64)
	if !ok || n == 18 {
		return 0, 0
	}
	return v, n
}

// fastText reads a string of the bytes up to the end byte, or up to the CR before it, which is not
// empty.
func (d *decoder) fastText(c *fastColumn, p, row int) (n int) {
	b := d.data[p : p+lookAhead]
	low := binary.LittleEndian.Uint64(b)
	n = firstOf(low, c.end, c.other)
	if n == 8 {
		return d.longText(c, p, row)
	}
	if c.end == '\n' && b[n-1] == '\r' { // n > 0: the byte at p is not special
		n--
	}
	// When it is the other byte, the caller gives up at it.
	c.views[row].SetInline(n, low&(1<<(8*n)-1), 0)
	return n
}

// longText is fastText for eight bytes and more.
func (d *decoder) longText(c *fastColumn, p, row int) (n int) {
	n = d.plainField(c, p)
	if n <= batch.InlineBytes {
		c.views[row] = batch.InlineView(d.data[p : p+n])
		return n
	}
	c.views[row] = batch.MakeView(d.data[p:p+n], d.share(), uint32(p))
	return n
}

// plainField returns the length of the field at p, 0 when it is not whole.
func (d *decoder) plainField(c *fastColumn, p int) (n int) {
	n = bytes.IndexByte(d.data[p:], c.end)
	if n < 0 || p+n+2 > len(d.data) || bytes.IndexByte(d.data[p:p+n], c.other) >= 0 {
		return 0
	}
	if c.end == '\n' && d.data[p+n-1] == '\r' {
		n--
	}
	return n
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// firstOf returns the index of the first byte of the word that equals a or b, 8 when none does.
func firstOf(word uint64, a, b byte) int {
	x, y := word^eachByte*uint64(a), word^eachByte*uint64(b)
	found := (x-eachByte)&^x | (y-eachByte)&^y
	return bits.TrailingZeros64(found&highBits) >> 3
}

// fastOther reads the less usual types by way of their texts.
func (d *decoder) fastOther(c *fastColumn, p, row int) (n int) {
	n = d.plainField(c, p)
	if n == 0 || c.kind == types.Bytes {
		return 0
	}
	if c.index != skipped && d.setValue(&c.column, row, d.data[p:p+n]) != nil {
		return 0
	}
	return n
}
