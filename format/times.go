package format

import (
	"math"
	"strconv"
)

const (
	millisPerSecond = 1000
	millisPerMinute = 60 * millisPerSecond
	millisPerHour   = 60 * millisPerMinute
	millisPerDay    = 24 * millisPerHour

	// Days from 0000-03-01, on which the calendar below is built, to 1970-01-01.
	daysToUnix = 719468
	daysPerEra = 146097 // 400 years

	// A timestamp lies on the days -maxTimestampDay-1 to maxTimestampDay.
	maxTimestampDay = math.MaxInt64 / millisPerDay
	maxYear         = 999_999_999
)

// daysOf returns the days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years
// start in March, so that the leap day comes last.
func daysOf(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := int64((153*(month-3)+2)/5 + day - 1)
	return era*daysPerEra + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - daysToUnix
}

// dateOf is the reverse of daysOf.
func dateOf(days int64) (year int64, month, day int) {
	days += daysToUnix
	era := floorDiv(days, daysPerEra)
	dayOfEra := days - era*daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/(daysPerEra-1)) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	year = yearOfEra + era*400
	month = int(shifted) + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, int(dayOfYear-(153*shifted+2)/5) + 1
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

var monthDays = [...]uint8{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// validDate reports whether month and day exist in year.
func validDate(year int64, month, day int) bool {
	if month < 1 || month > 12 || day < 1 || day > int(monthDays[month]) {
		return false
	}
	return month != 2 || day < 29 || year%4 == 0 && (year%100 != 0 || year%400 == 0)
}

// twoDigits returns the number in the first two bytes, or one above 99.
func twoDigits(b []byte) int {
	high, low := b[0]-'0', b[1]-'0'
	if high > 9 || low > 9 {
		return 100
	}
	return int(high)*10 + int(low)
}

// ParseDate reads 2001-01-31 or 2001/01/31 as days since 1970-01-01. Years beyond 9999 and before
// 0 have a sign.
func ParseDate(b []byte) (days int32, ok bool) {
	long, rest, ok := cutDate(b)
	if !ok || len(rest) > 0 || long != int64(int32(long)) {
		return 0, false
	}
	return int32(long), true
}

// cutDate reads a date at the start of b and returns what follows.
func cutDate(b []byte) (days int64, rest []byte, ok bool) {
	year, rest, ok := cutYear(b)
	if !ok || len(rest) < 6 || rest[0] != '-' && rest[0] != '/' || rest[3] != rest[0] {
		return 0, nil, false
	}
	month, day := twoDigits(rest[1:]), twoDigits(rest[4:])
	if !validDate(year, month, day) {
		return 0, nil, false
	}
	return daysOf(year, month, day), rest[6:], true
}

func cutYear(b []byte) (year int64, rest []byte, ok bool) {
	signed := len(b) > 0 && (b[0] == '+' || b[0] == '-')
	i := 0
	if signed {
		i = 1
	}
	first := i
	for i < len(b) && b[i]-'0' <= 9 && year <= maxYear {
		year = year*10 + int64(b[i]-'0')
		i++
	}
	if i-first < 4 || !signed && i-first > 4 || year > maxYear {
		return 0, nil, false
	}
	if b[0] == '-' {
		year = -year
	}
	return year, b[i:], true
}

// ParseTimestamp reads a date as [ParseDate] does, a space or T, and a time of day as [ParseTime]
// does, followed by nothing or Z. The result is in milliseconds since the Unix epoch (UTC).
func ParseTimestamp(b []byte) (millis int64, ok bool) {
	if len(b) >= 16 {
		if millis, ok = ParseMinute(b); ok && len(b) == 16 {
			return millis, true
		}
		if ok && len(b) == 19 && b[16] == ':' {
			if second := twoDigits(b[17:]); second < 60 {
				return millis + int64(second)*millisPerSecond, true
			}
		}
	}
	days, rest, ok := cutDate(b)
	if !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != 'T' {
		return 0, false
	}
	rest = rest[1:]
	if n := len(rest) - 1; n >= 0 && rest[n] == 'Z' {
		rest = rest[:n]
	}
	ofDay, ok := ParseTime(rest)
	if !ok || days > maxTimestampDay || days < -maxTimestampDay-1 {
		return 0, false
	}
	millis = days*millisPerDay + int64(ofDay) // wraps on the first and the last day
	return millis, (millis < 0) == (days < 0)
}

// ParseMinute reads the 16 bytes of 2001-01-31 23:59 at the start of b, which is at least as long,
// in any of the separators that [ParseTimestamp] accepts. It is the quick way to what nearly all
// timestamps start with; where ok is false ParseTimestamp may know better.
func ParseMinute(b []byte) (millis int64, ok bool) {
	_ = b[15]
	y0, y1, y2, y3 := b[0]-'0', b[1]-'0', b[2]-'0', b[3]-'0'
	m0, m1, d0, d1 := b[5]-'0', b[6]-'0', b[8]-'0', b[9]-'0'
	h0, h1, n0, n1 := b[11]-'0', b[12]-'0', b[14]-'0', b[15]-'0'
	if y0 > 9 || y1 > 9 || y2 > 9 || y3 > 9 || m0 > 1 || m1 > 9 || d0 > 3 || d1 > 9 ||
		h0 > 2 || h1 > 9 || n0 > 5 || n1 > 9 {
		return 0, false
	}
	if b[4] != '-' && b[4] != '/' || b[7] != b[4] || b[10] != ' ' && b[10] != 'T' || b[13] != ':' {
		return 0, false
	}
	year := int64(y0)*1000 + int64(y1)*100 + int64(y2)*10 + int64(y3)
	month, day := int(m0)*10+int(m1), int(d0)*10+int(d1)
	hour := int(h0)*10 + int(h1)
	if !validDate(year, month, day) || hour > 23 {
		return 0, false
	}
	minutes := int64(hour*60 + int(n0)*10 + int(n1))
	return daysOf(year, month, day)*millisPerDay + minutes*millisPerMinute, true
}

// ParseTime reads 23:59, 23:59:59 or 23:59:59.999 as milliseconds of the day. Of a fraction of up
// to nine digits those behind the milliseconds are cut off.
func ParseTime(b []byte) (millis int32, ok bool) {
	if len(b) < 5 || b[2] != ':' {
		return 0, false
	}
	hour, minute, second := twoDigits(b), twoDigits(b[3:]), 0
	rest := b[5:]
	fraction := 0
	if len(rest) > 0 {
		if len(rest) < 3 || rest[0] != ':' {
			return 0, false
		}
		second = twoDigits(rest[1:])
		if fraction, ok = parseFraction(rest[3:]); !ok {
			return 0, false
		}
	}
	if hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	seconds := (hour*60+minute)*60 + second
	return int32(seconds*millisPerSecond + fraction), true
}

// parseFraction reads nothing or a point and one to nine digits, as milliseconds.
func parseFraction(b []byte) (millis int, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != '.' || len(b) < 2 || len(b) > 10 {
		return 0, false
	}
	scale := 100
	for _, c := range b[1:] {
		if c -= '0'; c > 9 {
			return 0, false
		}
		millis += int(c) * scale
		scale /= 10
	}
	return millis, true
}

// AppendDate appends days since 1970-01-01 as 2001-01-31.
func AppendDate(dst []byte, days int32) []byte { return appendDate(dst, int64(days)) }

func appendDate(dst []byte, days int64) []byte {
	year, month, day := dateOf(days)
	switch {
	case year < 0:
		dst = append(dst, '-')
		year = -year
	case year > 9999:
		dst = append(dst, '+')
	}
	if year > 9999 {
		dst = strconv.AppendInt(dst, year, 10)
	} else {
		dst = appendTwo(appendTwo(dst, int(year/100)), int(year%100))
	}
	dst = appendTwo(append(dst, '-'), month)
	return appendTwo(append(dst, '-'), day)
}

func appendTwo(dst []byte, v int) []byte {
	return append(dst, byte('0'+v/10), byte('0'+v%10))
}

// AppendTimestamp appends milliseconds since the Unix epoch as 2001-01-31 23:59:59, with the
// separator between date and time that is given, and the milliseconds when they are not zero.
func AppendTimestamp(dst []byte, millis int64, separator byte) []byte {
	days := floorDiv(millis, millisPerDay)
	dst = append(appendDate(dst, days), separator)
	// On the first day the product alone does not fit, the difference does.
	return AppendTime(dst, int32(millis-days*millisPerDay))
}

// AppendTime appends milliseconds of the day as 23:59:59, and the milliseconds when they are not
// zero.
func AppendTime(dst []byte, millis int32) []byte {
	v := int(millis)
	dst = appendTwo(dst, v/millisPerHour)
	dst = appendTwo(append(dst, ':'), v/millisPerMinute%60)
	dst = appendTwo(append(dst, ':'), v/millisPerSecond%60)
	if rest := v % millisPerSecond; rest != 0 {
		dst = append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return dst
}
