package format

import (
	"encoding/binary"
	"math/bits"
)

// LeadingBytes is how many bytes LeadingInt and TimestampReader.Leading may look at: what is given
// to them must be at least as long, whatever follows the value.
const LeadingBytes = 32

const (
	eachByte  = 0x0101010101010101
	lowBits   = 0x7f * eachByte
	highBits  = 0x80 * eachByte
	zeroChars = '0' * eachByte
)

// LeadingInt reads up to 18 digits with an optional minus at the start of b, and returns how many
// bytes they take. n is 0 when there are no digits or more of them.
//
// It takes eight characters as one word and has no branch on sign or length: a wrong guess of the
// processor costs more than reading a number of usual size.
func LeadingInt(b []byte) (v int64, n int) {
	b = b[:LeadingBytes]
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

// longInt is LeadingInt for eight digits and more.
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

// TimestampReader reads the timestamps of a column. It remembers the last date, as most rows have
// that of the row before. The zero value is ready; it belongs to one goroutine.
type TimestampReader struct {
	text   uint64 // the first eight bytes of the date
	tail   uint16 // the other two
	known  bool
	millis int64 // at midnight
}

// Leading reads a timestamp of whole minutes or seconds at the start of b, and returns how many
// bytes it takes, 16 or 19. n is 0 for all other forms, which [ParseTimestamp] may know.
func (r *TimestampReader) Leading(b []byte) (millis int64, n int) {
	b = b[:LeadingBytes]
	text, tail := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])
	h0, h1, m0, m1 := b[11]-'0', b[12]-'0', b[14]-'0', b[15]-'0'
	minutes := (int64(h0)*10+int64(h1))*60 + int64(m0)*10 + int64(m1)
	if text != r.text || tail != r.tail || !r.known {
		millis, ok := ParseMinute(b)
		if !ok {
			return 0, 0
		}
		*r = TimestampReader{text, tail, true, millis - minutes*millisPerMinute}
	} else if h0 > 2 || h1 > 9 || h0 == 2 && h1 > 3 || m0 > 5 || m1 > 9 || b[13] != ':' ||
		b[10] != ' ' && b[10] != 'T' {
		return 0, 0
	}
	millis = r.millis + minutes*millisPerMinute
	if b[16] != ':' {
		return millis, 16
	}
	s0, s1 := b[17]-'0', b[18]-'0'
	if s0 > 5 || s1 > 9 {
		return 0, 0
	}
	return millis + millisPerSecond*(10*int64(s0)+int64(s1)), 19
}
