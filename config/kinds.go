package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Int declares an option with an integer value of at least low.
func Int(key string, def, low int, doc string, old ...string) Option[int] {
	d := Description{Key: key, Type: "int", Default: strconv.Itoa(def), Doc: doc, Old: old}
	return declare(d, def, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, errors.New("want a whole number")
		}
		if n < low {
			return 0, fmt.Errorf("want at least %d", low)
		}
		return n, nil
	})
}

// Bool declares an option that is true or false.
func Bool(key string, def bool, doc string, old ...string) Option[bool] {
	d := Description{Key: key, Type: "bool", Default: strconv.FormatBool(def), Doc: doc, Old: old}
	return declare(d, def, func(text string) (bool, error) {
		switch strings.ToLower(text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errors.New(`want "true" or "false"`)
	})
}

// String declares an option with any text.
func String(key, def, doc string, old ...string) Option[string] {
	d := Description{Key: key, Type: "string", Default: def, Doc: doc, Old: old}
	return declare(d, def, func(text string) (string, error) { return text, nil })
}

// Choice declares an option with one of a few words; alias maps other spellings to them.
func Choice(
	key, def, doc string, choices []string, alias map[string]string, old ...string,
) Option[string] {
	d := Description{
		Key: key, Type: strings.Join(choices, "|"), Default: def, Doc: doc, Old: old,
	}
	return declare(d, def, func(text string) (string, error) {
		word := strings.ToLower(text)
		if to, ok := alias[word]; ok {
			word = to
		}
		if !slices.Contains(choices, word) {
			other := ""
			if len(alias) > 0 {
				other = "; other spellings: " + strings.Join(slices.Sorted(maps.Keys(alias)), ", ")
			}
			return "", fmt.Errorf("want one of %s%s", strings.Join(choices, ", "), other)
		}
		return word, nil
	})
}

// Duration declares an option with a duration.
func Duration(key string, def time.Duration, doc string, old ...string) Option[time.Duration] {
	d := Description{
		Key: key, Type: "duration", Default: FormatDuration(def), Doc: doc, Old: old,
	}
	return declare(d, def, ParseDuration)
}

var durationUnits = map[string]time.Duration{
	"": time.Millisecond, "ns": time.Nanosecond, "nano": time.Nanosecond,
	"nanos": time.Nanosecond, "nanosecond": time.Nanosecond, "nanoseconds": time.Nanosecond,
	"us": time.Microsecond, "µs": time.Microsecond, "micro": time.Microsecond,
	"micros": time.Microsecond, "microsecond": time.Microsecond,
	"microseconds": time.Microsecond, "ms": time.Millisecond, "milli": time.Millisecond,
	"millis": time.Millisecond, "millisecond": time.Millisecond,
	"milliseconds": time.Millisecond, "s": time.Second, "sec": time.Second,
	"secs": time.Second, "second": time.Second, "seconds": time.Second, "m": time.Minute,
	"min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hour": time.Hour, "hours": time.Hour, "d": 24 * time.Hour,
	"day": 24 * time.Hour, "days": 24 * time.Hour,
}

// ParseDuration reads a duration such as "10 s", "500ms", "1 min"; a bare number is
// milliseconds. Semantics: Flink's TimeUtils.parseDuration.
func ParseDuration(text string) (time.Duration, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZµ ")
	unit, ok := durationUnits[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 {
		return 0, errors.New(`want a duration such as "10 s", "500 ms" or "1 min"`)
	}
	if d := time.Duration(n) * unit; d/unit == time.Duration(n) {
		return d, nil
	}
	return 0, errors.New("the duration is longer than 292 years")
}

// FormatDuration writes d in the syntax ParseDuration reads, in the largest unit that keeps
// it whole.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0 ms"
	}
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d%unit.of == 0 {
			return fmt.Sprintf("%d %s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%d ns", d)
}
