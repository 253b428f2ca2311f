package view

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Octets is a value of bytes. Its text and its JSON are "0x" and hexadecimal digits.
type Octets []byte

// String returns the octets in hexadecimal.
func (o Octets) String() string { return "0x" + hex.EncodeToString(o) }

// MarshalJSON returns String in quotes.
func (o Octets) MarshalJSON() ([]byte, error) { return json.Marshal(o.String()) }

// Time is a date, a time of day or a timestamp, in SQL's spelling. Its JSON is a string.
type Time string

// String returns the spelling.
func (t Time) String() string { return string(t) }

// Field is a named part of a Record.
type Field struct {
	Name  string
	Value any
}

// Record is a value of several fields, in order.
type Record []Field

// MarshalJSON returns an object whose keys are in the order of the fields.
func (r Record) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range r {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(f.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// marshal is json.Marshal, but NaN and infinities become strings.
func marshal(v any) ([]byte, error) {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		v = floatText(f)
	}
	return json.Marshal(v)
}

// Text returns a value as a person reads it in one line: strings plain unless they would be
// mistaken for something else, a record as JSON does.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return plain(v)
	case float64:
		return floatText(v)
	case Record:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = f.Name + ": " + inRecord(f.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func inRecord(v any) string {
	if s, ok := v.(string); ok && strings.ContainsAny(s, ",:{}\"") {
		return strconv.Quote(s)
	}
	return Text(v)
}

// plain quotes what would not show, or show as something else.
func plain(s string) string {
	odd := s == "" || s == "null" || strings.TrimSpace(s) != s || !utf8.ValidString(s)
	if odd || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// timeText writes milliseconds since 1970 without a zone, leaving out what is zero at the end.
func timeText(millis int64, nanos int64) Time {
	switch millis {
	case math.MinInt64:
		return "none"
	case math.MaxInt64:
		return "end of time"
	}
	at := time.UnixMilli(millis).UTC().Add(time.Duration(nanos))
	text := at.Format("2006-01-02 15:04:05")
	if at.Nanosecond() != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", at.Nanosecond()), "0")
	}
	return Time(text)
}

// MillisText returns a timestamp in milliseconds since 1970 as UTC without a zone.
func MillisText(millis int64) string { return string(timeText(millis, 0)) }
