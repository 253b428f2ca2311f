package csv

import (
	"bytes"
	"errors"

	"github.com/leat-io/leat/format"
)

var errAfterQuote = errors.New("text follows the closing quotation mark")

// split cuts the row at p into fields and returns where the next row starts, or p when the row is
// not whole and more data may follow.
func (d *decoder) split(p int, atEOF bool) (next int, err *format.RowError) {
	d.fields = d.fields[:0]
	d.scratch = d.scratch[:0]
	for at := p; ; {
		var f field
		end := at
		if at < len(d.data) && d.data[at] == d.options.Quote && !d.options.NoQuote {
			f, end = d.quoted(at)
		} else {
			f, end = d.unquoted(at)
		}
		if end == len(d.data) && !atEOF {
			return p, nil
		}
		if end == cutOff {
			if !atEOF {
				return p, nil
			}
			return 0, d.splitError(p, len(d.data), format.ErrIncomplete)
		}
		d.fields = append(d.fields, f)
		next, more := d.fieldEnd(end, atEOF)
		switch {
		case next == cutOff:
			return p, nil
		case next == 0:
			return d.badQuote(p, end, atEOF)
		case !more:
			return next, nil
		}
		at = next
	}
}

// cutOff is the end of a field whose end is not in the data.
const cutOff = -1

// fieldEnd looks at what follows a field: where the next field or row starts, and whether it is a
// field of the same row. next is 0 when neither follows, cutOff when that is not known yet.
func (d *decoder) fieldEnd(end int, atEOF bool) (next int, more bool) {
	rest := d.data[end:]
	switch {
	case len(rest) == 0:
		return end, false
	case rest[0] == d.options.Delimiter:
		return end + 1, true
	case rest[0] == '\n':
		return end + 1, false
	case rest[0] != '\r':
		return 0, false
	case len(rest) > 1 && rest[1] == '\n':
		return end + 2, false
	case len(rest) == 1 && atEOF:
		return end + 1, false
	case len(rest) == 1:
		return cutOff, false
	}
	return 0, false
}

// badQuote refuses the row at p, which goes on at the end of the line of the fault.
func (d *decoder) badQuote(p, fault int, atEOF bool) (int, *format.RowError) {
	n := bytes.IndexByte(d.data[fault:], '\n')
	if n < 0 && !atEOF {
		return p, nil
	}
	if n < 0 {
		n = len(d.data) - fault - 1
	}
	return 0, d.splitError(p, fault+n+1, errAfterQuote)
}

func (d *decoder) splitError(p, next int, cause error) *format.RowError {
	row := d.data[p:next]
	return &format.RowError{
		Skip: len(row), Text: format.Excerpt(bytes.TrimRight(row, "\r\n")), Cause: cause,
	}
}

// unquoted reads the field at p up to the delimiter or the line end.
func (d *decoder) unquoted(p int) (f field, end int) {
	escaped := false
	end = p
	for end < len(d.data) {
		c := d.data[end]
		if c == d.options.Delimiter || c == '\n' {
			break
		}
		if c == d.options.Escape && c != 0 {
			escaped = true
			end++
		}
		end++
	}
	if end > len(d.data) {
		return field{}, cutOff
	}
	lineEnd := end == len(d.data) || d.data[end] == '\n'
	if lineEnd && end > p && d.data[end-1] == '\r' && !(escaped && d.escapedAt(p, end-1)) {
		end--
	}
	f = field{text: d.data[p:end], start: p}
	if escaped {
		f = d.unescape(f.text)
		f.quoted = true // an escaped text never means null
	}
	return f, end
}

// escapedAt reports whether the character at a place of the unquoted field at p is escaped.
func (d *decoder) escapedAt(p, place int) bool {
	for p < place {
		if d.data[p] == d.options.Escape {
			p++
			if p == place {
				return true
			}
		}
		p++
	}
	return false
}

// quoted reads the field whose quotation mark is at p up to behind the closing one.
func (d *decoder) quoted(p int) (f field, end int) {
	quote, escape := d.options.Quote, d.options.Escape
	plain := true
	for end = p + 1; end < len(d.data); end++ {
		switch c := d.data[end]; {
		case c == escape && c != 0:
			plain = false
			end++
		case c == quote && end+1 < len(d.data) && d.data[end+1] == quote:
			plain = false
			end++
		case c == quote:
			f = field{text: d.data[p+1 : end], start: p + 1, quoted: true}
			if !plain {
				f = d.unescape(f.text)
				f.quoted = true
			}
			return f, end + 1
		}
	}
	return field{}, cutOff
}

// unescape puts a text together in the scratch space, where it stays until the next row.
func (d *decoder) unescape(text []byte) field {
	start := len(d.scratch)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == d.options.Escape && c != 0 && i+1 < len(text):
			i++
			c = escapeMeaning(text[i])
		case c == d.options.Quote && !d.options.NoQuote && i+1 < len(text) && text[i+1] == c:
			i++
		}
		d.scratch = append(d.scratch, c)
	}
	end := len(d.scratch)
	return field{text: d.scratch[start:end:end], start: unescaped}
}

func escapeMeaning(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case '0':
		return 0
	}
	return c
}
