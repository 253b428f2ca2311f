package docstest

import (
	"strings"
	"testing"
)

// TestMatch compares pairs of what a document shows and what came, by table: each differs in what
// may differ, or in what may not.
func TestMatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, shown, printed string
		exact                bool
		want                 int
	}{
		{"equal", "a\nb", "a\nb", false, -1},
		{"another word", "job flights", "job hourly", false, 0},
		{"second line", "a\nb", "a\nc", false, 1},
		{"a line more", "a", "a\nb", false, 1},
		{"a line less", "a\nb", "a", false, 1},
		{"blanks", "ROWS  SIZE", "ROWS      SIZE", false, -1},
		{"no blank", "a b", "ab", false, 0},
		{"number", "2,820 rows", "17 rows", false, -1},
		{"number, exact", "2,820 rows", "17 rows", true, 0},
		{"size", "83.8 KiB of state", "612 B of state", false, -1},
		{"size, exact", "83.8 KiB of state", "83.9 KiB of state", true, 0},
		{"no number", "12 rows", "no rows", false, 0},
		{"time, exact", "final 1, 2026-11-21 17:32:23 UTC", "final 1, 2027-01-02 00:00:00 UTC",
			true, -1},
		{"identifier, exact", "id ca88eee0095684d687a1b6495617f957, 1",
			"id 00000000000000000000000000000000, 1", true, -1},
		{"path", "in file:///home/you/leat/.leat/ca88", "in file:///tmp/x/.leat/75e3", false, -1},
		{"duration", "took 13ms", "took 2.5s", true, -1},
		{"savepoint", "Path: savepoint-96824c-886a245b3e57", "Path: savepoint-000000-000000000000",
			true, -1},
		{"elided lines", "a\n…\nz", "a\nb\nc\nz", false, -1},
		{"nothing elided", "a\n…\nz", "a\nz", false, -1},
		{"elided lines, another end", "a\n…\nz", "a\nb\nc", false, 2},
		{"elided words", "error: … (1/1)", "error: it broke (1/1)", false, -1},
		{"dots mean dots", "a.b", "axb", false, 0},
	} {
		got := Match(strings.Split(test.shown, "\n"), strings.Split(test.printed, "\n"), test.exact)
		if got != test.want {
			t.Errorf("%s: Match = %d, want %d", test.name, got, test.want)
		}
	}
}
