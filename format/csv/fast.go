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
	end    byte // what ends the field: the delimiter or LF
	other  byte // what must not be in it: the other of the two
	int32  []int32
	int64  []int64
	float  []float64
	views  []batch.View
	cached cachedDay
}

// cachedDay is the last date read in a column: most rows have that of the row before.
type cachedDay struct {
	text   uint64 // the first eight bytes
	tail   uint16 // the other two
	known  bool
	millis int64 // at midnight
}

// lookAhead is what the fast path may look at behind the start of a field. Rows that are nearer to
// the end of the data go the slow way.
const lookAhead = 32

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
		switch {
		case d.special[b[0]]:
			if b[0] != c.end || !c.nullable || len(d.fast) == 1 {
				return 0
			}
			d.out.SetNull(c.index, row)
			p++
			continue
		case c.kind == types.String:
			n = d.fastText(c, p, row)
		case c.kind == types.Int:
			var v int64
			v, n = fastInt(b)
			if v != int64(int32(v)) {
				return 0
			}
			c.int32[row] = int32(v)
		case c.kind == types.BigInt:
			c.int64[row], n = fastInt(b)
		case c.kind == types.Double:
			c.float[row], n = fastFloat(b)
		case c.kind == types.Timestamp || c.kind == types.TimestampLTZ:
			c.int64[row], n = c.fastTimestamp(b)
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

const (
	eachByte  = 0x0101010101010101
	lowBits   = 0x7f * eachByte
	highBits  = 0x80 * eachByte
	zeroChars = '0' * eachByte
)

// fastInt reads up to 18 digits with an optional minus and returns their length.
//
// It takes eight characters as one word and has no branch on sign or length: a wrong guess of the
// processor costs more than reading a number of usual size.
func fastInt(b []byte) (v int64, n int) {
	minus := (uint64(b[0]^'-') - 1) >> 63 // 1 or 0
	x := binary.LittleEndian.Uint64(b[minus:]) ^ zeroChars
	// A byte of 10 and more gets its high bit set.
	others := ((x & lowBits) + (128-10)*eachByte | x) & highBits
	digits := bits.TrailingZeros64(others) >> 3
	if digits == 0 {
		return 0, 0
	}
	if digits == 8 {
		return longInt(b, int(minus))
	}
	// The digits go to the end of the word, zeros before them, and are then added up in pairs:
	// eight of one digit, four of two, two of four.
	x <<= 64 - 8*digits
	x = x*10 + x>>8
	x = ((x&0x000000ff000000ff)*(100+1000000<<32) + (x>>16&0x000000ff000000ff)*(1+10000<<32)) >> 32
	v = int64(x&0xffffffff ^ -minus + minus)
	return v, digits + int(minus)
}

// longInt is fastInt for eight digits and more.
func longInt(b []byte, first int) (v int64, n int) {
	for n = first; n < first+19; n++ {
		digit := b[n] - '0'
		if digit > 9 {
			break
		}
		v = v*10 + int64(digit)
	}
	if n-first > 18 {
		return 0, 0
	}
	if first == 1 {
		v = -v
	}
	return v, n
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

// fastTimestamp reads a timestamp of whole minutes or seconds.
func (c *fastColumn) fastTimestamp(b []byte) (millis int64, n int) {
	if c.end == ' ' {
		return 0, 0 // the timestamp may have a delimiter in it
	}
	text, tail := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
	h0, h1, m0, m1 := b[11]-'0', b[12]-'0', b[14]-'0', b[15]-'0'
	minutes := (int64(h0)*10+int64(h1))*60 + int64(m0)*10 + int64(m1)
	day := &c.cached
	if text != day.text || tail != day.tail || !day.known {
		millis, ok := format.ParseMinute(b)
		if !ok {
			return 0, 0
		}
		*day = cachedDay{text, tail, true, millis - minutes*60_000}
	} else if h0 > 2 || h1 > 9 || h0 == 2 && h1 > 3 || m0 > 5 || m1 > 9 || b[13] != ':' ||
		b[10] != ' ' && b[10] != 'T' {
		return 0, 0
	}
	millis = day.millis + minutes*60_000
	if b[16] != ':' {
		return millis, 16
	}
	s0, s1 := b[17]-'0', b[18]-'0'
	if s0 > 5 || s1 > 9 {
		return 0, 0
	}
	return millis + 1000*(10*int64(s0)+int64(s1)), 19
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
