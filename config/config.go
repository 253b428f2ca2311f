// Package config holds typed settings: options declared by the packages that own them, and
// the values a user gave.
//
// Main types: [Option], a key with type, default and documentation; [Settings], the values
// by key. Options are declared in package variables; All lists them for help and reference
// pages. The package reads no files.
//
// Options are immutable. Settings belong to one goroutine.
//
// Semantics: Flink's ConfigOption and its value syntax: durations such as "10 s" or "500 ms"
// (a bare number is milliseconds).
package config

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/leat-io/leat/internal/base/invariant"
)

// Description is what All tells of an option.
type Description struct {
	Key     string
	Type    string   // "int", "duration", "bool", "string", or the choices
	Default string   // in value syntax
	Doc     string   // one sentence or two
	Old     []string // earlier keys that still work
}

// Option is a typed setting.
type Option[T any] struct {
	d     Description
	parse func(string) (T, error)
	def   T
}

var declared struct {
	sync.Mutex
	byKey map[string]Description
	check map[string]func(text string) error
}

func declare[T any](d Description, def T, parse func(string) (T, error)) Option[T] {
	declared.Lock()
	defer declared.Unlock()
	if declared.byKey == nil {
		declared.byKey = map[string]Description{}
		declared.check = map[string]func(string) error{}
	}
	declared.check[d.Key] = func(text string) error {
		_, err := parse(text)
		return err
	}
	if _, taken := declared.byKey[d.Key]; taken {
		invariant.Fail("option %q is declared twice", d.Key)
	}
	declared.byKey[d.Key] = d
	return Option[T]{d: d, parse: parse, def: def}
}

// All returns the options of this program by key.
func All() []Description {
	declared.Lock()
	defer declared.Unlock()
	all := make([]Description, 0, len(declared.byKey))
	for _, d := range declared.byKey {
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Key < all[j].Key })
	return all
}

// Key returns the key.
func (o Option[T]) Key() string { return o.d.Key }

// Default returns the value that holds when the user gave none.
func (o Option[T]) Default() T { return o.def }

// Get returns the value in s, or the default. The error names key, value and what is wanted.
func (o Option[T]) Get(s Settings) (T, error) {
	for _, key := range append([]string{o.d.Key}, o.d.Old...) {
		text, ok := s.values[key]
		if !ok {
			continue
		}
		v, err := o.parse(strings.TrimSpace(text))
		if err != nil {
			return o.def, refused(key, text, err)
		}
		return v, nil
	}
	return o.def, nil
}

// Settings are values by key.
type Settings struct {
	values map[string]string
}

// SettingsOf returns settings with the given values, which are copied.
func SettingsOf(values map[string]string) Settings {
	return Settings{values: maps.Clone(values)}
}

// NewSettings returns empty settings.
func NewSettings() Settings { return Settings{values: map[string]string{}} }

// Set gives key a value, replacing an earlier one.
func (s Settings) Set(key, value string) { s.values[strings.TrimSpace(key)] = value }

// Map returns a copy of the values.
func (s Settings) Map() map[string]string {
	m := make(map[string]string, len(s.values))
	for key, value := range s.values {
		m[key] = value
	}
	return m
}

// Faults returns an error for every key that no option has, each naming the nearest known
// key, and for every value that its option refuses, sorted by key.
func (s Settings) Faults() []error {
	known := map[string]Description{}
	var keys []string
	for _, d := range All() {
		for _, key := range append([]string{d.Key}, d.Old...) {
			known[key] = d
			keys = append(keys, key)
		}
	}
	given := slices.Sorted(maps.Keys(s.values))
	var faults []error
	for _, key := range given {
		d, ok := known[key]
		if !ok {
			faults = append(faults, unknown(key, keys))
			continue
		}
		if err := checkOf(d.Key)(strings.TrimSpace(s.values[key])); err != nil {
			faults = append(faults, refused(key, s.values[key], err))
		}
	}
	return faults
}

func checkOf(key string) func(string) error {
	declared.Lock()
	defer declared.Unlock()
	return declared.check[key]
}

func unknown(key string, keys []string) error {
	if near := Nearest(key, keys); near != "" {
		return fmt.Errorf("config: unknown key %q: did you mean %q?", key, near)
	}
	return fmt.Errorf("config: unknown key %q: no key is like it", key)
}

func refused(key, text string, err error) error {
	return fmt.Errorf("config: read %q = %q: %w", key, text, err)
}

// Nearest returns the candidate with the smallest edit distance to word, or "" when none is
// within half of its length. Ties go to the first in order.
func Nearest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/2+1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
