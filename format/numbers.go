package format

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"
)

// ParseInt reads a decimal integer with an optional sign and nothing else. ok is false for any
// other text and for numbers beyond 64 bits.
func ParseInt(b []byte) (v int64, ok bool) {
	digits := b
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		digits = b[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		// 922337203685477580 is the largest that can take one more digit.
		if u > math.MaxInt64/10 {
			return 0, false
		}
		u = u*10 + uint64(c)
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u <= math.MaxInt64
}

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// ParseFloat reads a decimal number, with a fraction and an exponent if need be, or one of NaN,
// Infinity and Inf with an optional sign, in any case. bits, 32 or 64, is the precision to round
// to. ok is false for any other text and for numbers beyond the range.
func ParseFloat(b []byte, bits int) (v float64, ok bool) {
	if v, ok := parseShortFloat(b); ok && bits == 64 {
		return v, true
	}
	if bytes.ContainsAny(b, "xXpP_") {
		return 0, false // Go's own spellings
	}
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), bits)
	return v, err == nil
}

// parseShortFloat reads up to 15 digits with an optional point: digits and power of ten are exact
// then, and their quotient is rounded once, hence right.
func parseShortFloat(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > 17 {
		return 0, false
	}
	i := 0
	if b[0] == '-' || b[0] == '+' {
		i = 1
	}
	var mantissa uint64
	digits, point := 0, -1
	for ; i < len(b); i++ {
		c := b[i] - '0'
		switch {
		case c <= 9:
			mantissa = mantissa*10 + uint64(c)
			digits++
		case b[i] == '.' && point < 0:
			point = digits
		default:
			return 0, false
		}
	}
	if digits == 0 || digits > 15 {
		return 0, false
	}
	v := float64(mantissa)
	if point >= 0 {
		v /= exactPowers[digits-point]
	}
	if b[0] == '-' {
		v = -v
	}
	return v, true
}

// AppendFloat appends the shortest decimal that reads back as v in the given precision, 32 or 64
// bits; with an exponent only below 1e-6 and from 1e21 on; NaN, Infinity and -Infinity as such.
func AppendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	if whole := int64(v); float64(whole) == v && whole > -1e15 && whole < 1e15 &&
		(whole != 0 || !math.Signbit(v)) && bits == 64 {
		return strconv.AppendInt(dst, whole, 10)
	}
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, v, form, -1, bits)
}

// ParseBool reads true or false, in any case.
func ParseBool(b []byte) (v, ok bool) {
	switch {
	case len(b) == 4 && bytes.EqualFold(b, []byte("true")):
		return true, true
	case len(b) == 5 && bytes.EqualFold(b, []byte("false")):
		return false, true
	}
	return false, false
}
