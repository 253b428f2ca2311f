package app

import (
	"testing"
	"time"
)

// Goal: a point in time is read in every form that people write, and a place is not taken for one.
// Method: a table, with a clock that stands at noon in a zone of its own.
func TestMomentOf(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, zone)
	for _, c := range []struct{ text, want string }{
		{"2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"},
		{"2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z"},
		{"2026-11-20T10:00:00.5Z", "2026-11-20T10:00:00.5Z"},
		{"2026-11-20 10:00:07", "2026-11-20T08:00:07.999Z"},
		{"2026-11-20T10:00:07", "2026-11-20T08:00:07.999Z"},
		{"2026-11-20 10:00", "2026-11-20T08:00:59.999Z"},
		{"2026-11-20T10:00", "2026-11-20T08:00:59.999Z"},
		{"2026-11-20", "2026-11-20T21:59:59.999Z"},
		{"11:59", "2026-11-21T09:59:59.999Z"},
		{"12:00", "2026-11-21T10:00:59.999Z"},
		{"12:01", "2026-11-20T10:01:59.999Z"},
		{"00:00", "2026-11-20T22:00:59.999Z"},
		{"latest", ""}, {"", ""}, {"chk-7", ""}, {"./10:00", ""}, {"file:///10:00", ""},
		{"25:00", ""}, {"2026-13-01", ""}, {"1700000000", ""},
	} {
		at, ok := momentOf(c.text, now)
		got := ""
		if ok {
			got = at.UTC().Format(time.RFC3339Nano)
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
