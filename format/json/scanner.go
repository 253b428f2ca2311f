package json

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// errMore says that the data ends within a value.
var errMore = errors.New("the data ends within a value")

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 10_000

// scanner reads JSON from data. Its methods take the place of a value and return its end.
type scanner struct {
	data      []byte
	scratch   []byte // of the last string with escapes
	unescaped bool   // the last string is in scratch
	stack     []byte // closing brackets of the values being skipped
}

// syntaxError is a fault that leaves the rest of the object unreadable.
type syntaxError struct {
	found string
	want  string
}

func (e *syntaxError) Error() string { return e.want + ", found " + e.found }

func (s *scanner) unexpected(p int, want string) error {
	if p >= len(s.data) {
		return errMore
	}
	r, _ := utf8.DecodeRune(s.data[p:])
	return &syntaxError{found: fmt.Sprintf("%q", r), want: want}
}

// space returns the place of the next byte that is not white space.
func (s *scanner) space(p int) int {
	for p < len(s.data) && s.data[p] <= ' ' {
		switch s.data[p] {
		case ' ', '\n', '\t', '\r':
			p++
		default:
			return p
		}
	}
	return p
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// plainBytes returns how many bytes of a word, from the first, are neither quotation marks nor
// backslashes nor control characters nor outside ASCII.
func plainBytes(word uint64) int {
	quote, backslash := word^'"'*eachByte, word^'\\'*eachByte
	found := (quote-eachByte)&^quote | (backslash-eachByte)&^backslash |
		(word-' '*eachByte)&^word | word
	return bits.TrailingZeros64(found&highBits) >> 3
}

// str reads a string. The text aliases the data, or scratch when it has escapes.
func (s *scanner) str(p int) (text []byte, end int, err error) {
	s.unescaped = false
	if p >= len(s.data) || s.data[p] != '"' {
		return nil, 0, s.unexpected(p, "want a string")
	}
	start, ascii := p+1, true
	for p = start; ; {
		if p+8 <= len(s.data) {
			n := plainBytes(binary.LittleEndian.Uint64(s.data[p:]))
			if p += n; n == 8 {
				continue
			}
		}
		if p >= len(s.data) {
			return nil, 0, errMore
		}
		switch c := s.data[p]; {
		case c == '"':
			text = s.data[start:p]
			if !ascii && !utf8.Valid(text) {
				return nil, 0, errNotUTF8
			}
			return text, p + 1, nil
		case c == '\\':
			return s.escaped(start, p)
		case c < ' ':
			return nil, 0, s.unexpected(p, "want no control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		p++
	}
}

var errNotUTF8 = errors.New("a string is not UTF-8")

// escaped is str for a string from start on whose first escape is at p.
func (s *scanner) escaped(start, p int) (text []byte, end int, err error) {
	s.unescaped = true
	s.scratch = append(s.scratch[:0], s.data[start:p]...)
	for p < len(s.data) {
		c := s.data[p]
		switch {
		case c == '"':
			if !utf8.Valid(s.scratch) {
				return nil, 0, errNotUTF8
			}
			return s.scratch, p + 1, nil
		case c < ' ':
			return nil, 0, s.unexpected(p, "want no control character in a string")
		case c != '\\':
			s.scratch = append(s.scratch, c)
			p++
			continue
		}
		if p, err = s.escape(p + 1); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, errMore
}

// escape reads what follows a backslash.
func (s *scanner) escape(p int) (end int, err error) {
	if p >= len(s.data) {
		return 0, errMore
	}
	c := s.data[p]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode(p + 1)
	default:
		return 0, s.unexpected(p, "want an escape")
	}
	s.scratch = append(s.scratch, c)
	return p + 1, nil
}

// unicode reads the four digits of an escape, and the other half of a surrogate pair behind them.
func (s *scanner) unicode(p int) (end int, err error) {
	r, err := s.fourDigits(p)
	if err != nil {
		return 0, err
	}
	end = p + 4
	if utf16.IsSurrogate(r) {
		pair := rune(utf8.RuneError)
		// More data may follow that makes it a pair.
		switch {
		case end >= len(s.data) || s.data[end] == '\\' && end+1 >= len(s.data):
			return 0, errMore
		case s.data[end] == '\\' && s.data[end+1] == 'u':
			low, err := s.fourDigits(end + 2)
			if err != nil {
				return 0, err
			}
			if pair = utf16.DecodeRune(r, low); pair != utf8.RuneError {
				end += 6
			}
		}
		r = pair
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
	return end, nil
}

func (s *scanner) fourDigits(p int) (r rune, err error) {
	for i := p; i < p+4; i++ {
		if i >= len(s.data) {
			return 0, errMore
		}
		c := s.data[i]
		switch {
		case c-'0' <= 9:
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, s.unexpected(i, "want four hexadecimal digits")
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// literal reads true, false or null.
func (s *scanner) literal(p int) (end int, err error) {
	word := "null"
	switch s.data[p] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	for i := range word {
		if p+i >= len(s.data) {
			return 0, errMore
		}
		if s.data[p+i] != word[i] {
			return 0, s.unexpected(p+i, "want "+word)
		}
	}
	return p + len(word), nil
}

// number reads a number. At the end of the data it asks for more: digits may follow, and a number
// is never the last thing of an object.
func (s *scanner) number(p int) (end int, err error) {
	if p < len(s.data) && s.data[p] == '-' {
		p++
	}
	if p < len(s.data) && s.data[p] == '0' {
		p++
	} else if p, err = s.digits(p); err != nil {
		return 0, err
	}
	if p < len(s.data) && s.data[p] == '.' {
		if p, err = s.digits(p + 1); err != nil {
			return 0, err
		}
	}
	if p < len(s.data) && s.data[p]|0x20 == 'e' {
		p++
		if p < len(s.data) && (s.data[p] == '+' || s.data[p] == '-') {
			p++
		}
		if p, err = s.digits(p); err != nil {
			return 0, err
		}
	}
	if p >= len(s.data) {
		return 0, errMore
	}
	return p, nil
}

func (s *scanner) digits(p int) (end int, err error) {
	first := p
	for p < len(s.data) && s.data[p]-'0' <= 9 {
		p++
	}
	if p == first {
		return 0, s.unexpected(p, "want a digit")
	}
	return p, nil
}

// skipValue checks any value and returns its end.
func (s *scanner) skipValue(p int) (end int, err error) {
	s.stack = s.stack[:0]
	for {
		if p = s.space(p); p >= len(s.data) {
			return 0, errMore
		}
		opened := false
		switch c := s.data[p]; {
		case c == '{' || c == '[':
			if len(s.stack) >= maxDepth {
				return 0, fmt.Errorf("values are nested deeper than %d", maxDepth)
			}
			s.stack = append(s.stack, c+2) // the closing bracket
			p = s.space(p + 1)
			opened = p >= len(s.data) || s.data[p] != c+2
			if opened && c == '{' {
				p, err = s.skipName(p)
			}
		case c == '"':
			_, p, err = s.str(p)
		case c == 't' || c == 'f' || c == 'n':
			p, err = s.literal(p)
		default:
			p, err = s.number(p)
		}
		if err == nil && !opened {
			p, err = s.closeValues(p)
		}
		if err != nil || len(s.stack) == 0 {
			return p, err
		}
	}
}

// closeValues goes on behind a value: over the brackets that close and to the value that follows.
func (s *scanner) closeValues(p int) (next int, err error) {
	for len(s.stack) > 0 {
		if p = s.space(p); p >= len(s.data) {
			return 0, errMore
		}
		closing := s.stack[len(s.stack)-1]
		switch s.data[p] {
		case closing:
			s.stack = s.stack[:len(s.stack)-1]
			p++
		case ',':
			if closing == '}' {
				return s.skipName(s.space(p + 1))
			}
			return p + 1, nil
		default:
			return 0, s.unexpected(p, fmt.Sprintf(`want "," or %q`, closing))
		}
	}
	return p, nil
}

// skipName reads a field name and its colon.
func (s *scanner) skipName(p int) (end int, err error) {
	if _, p, err = s.str(p); err != nil {
		return 0, err
	}
	if p = s.space(p); p >= len(s.data) || s.data[p] != ':' {
		return 0, s.unexpected(p, `want ":"`)
	}
	return p + 1, nil
}
