package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	testInterval = Duration("test.checkpointing.interval", 10*time.Second, "Doc.", "test.old")
	testAttempts = Int("test.attempts", 3, 1, "Doc.")
	testBackend  = Choice("test.backend", "hashmap", "Doc.", []string{"hashmap", "naive"},
		map[string]string{"filesystem": "hashmap"})
	testFlag = Bool("test.flag", false, "Doc.")
)

// TestParseDuration goes through Flink's spellings and what is refused.
func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Millisecond, "10 s": 10 * time.Second, "500ms": 500 * time.Millisecond,
		"1 min": time.Minute, "2 h": 2 * time.Hour, "1 d": 24 * time.Hour, "0": 0,
		"7 SECONDS": 7 * time.Second,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
		if back, err := ParseDuration(FormatDuration(got)); err != nil || back != got {
			t.Errorf("FormatDuration(%v) does not read back: %v, %v", got, back, err)
		}
	}
	for _, text := range []string{"", "s", "ten s", "10 parsec", "-1 s", "1.5 s", "99999999999 d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

// TestSettings checks defaults, old keys, aliases and that a bad value names key and value.
func TestSettings(t *testing.T) {
	s := NewSettings()
	if d, err := testInterval.Get(s); err != nil || d != 10*time.Second {
		t.Fatalf("default = %v, %v", d, err)
	}
	s.Set("test.old", "1 min")
	if d, err := testInterval.Get(s); err != nil || d != time.Minute {
		t.Fatalf("old key = %v, %v", d, err)
	}
	s.Set("test.backend", "FileSystem")
	if b, err := testBackend.Get(s); err != nil || b != "hashmap" {
		t.Fatalf("alias = %q, %v", b, err)
	}
	s.Set("test.attempts", "0")
	_, err := testAttempts.Get(s)
	if err == nil || !strings.Contains(err.Error(), `"test.attempts" = "0": want at least 1`) {
		t.Fatalf("error = %v", err)
	}
	s.Set("test.flag", "yes")
	if _, err := testFlag.Get(s); err == nil {
		t.Fatal("a flag of \"yes\" is accepted")
	}
}

// TestFaults checks that a misspelt key is reported with the nearest known one, and a bad
// value too.
func TestFaults(t *testing.T) {
	s := NewSettings()
	s.Set("test.checkpointing.intervall", "1 s")
	s.Set("zzz", "1")
	s.Set("test.flag", "true")
	s.Set("test.old", "soon")
	var got []string
	for _, err := range s.Faults() {
		got = append(got, err.Error())
	}
	want := []string{
		`config: unknown key "test.checkpointing.intervall": did you mean "test.checkpointing.interval"?`,
		`config: read "test.old" = "soon": want a duration such as "10 s", "500 ms" or "1 min"`,
		`config: unknown key "zzz": no key is like it`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// TestFormatDuration checks the unit that defaults are shown in.
func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", time.Hour: "1 h", 90 * time.Minute: "90 min", 1500 * time.Millisecond: "1500 ms",
		time.Microsecond: "1000 ns",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

// TestDeclaredTwice checks that two packages cannot own one key.
func TestDeclaredTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a key was declared twice")
		}
	}()
	Int("test.attempts", 3, 1, "Doc.")
}

// TestAll checks that options are described, sorted by key.
func TestAll(t *testing.T) {
	var got []Description
	for _, d := range All() {
		if strings.HasPrefix(d.Key, "test.b") || strings.HasPrefix(d.Key, "test.c") {
			got = append(got, d)
		}
	}
	want := []Description{
		{Key: "test.backend", Type: "hashmap|naive", Default: "hashmap", Doc: "Doc."},
		{Key: "test.checkpointing.interval", Type: "duration", Default: "10 s", Doc: "Doc.",
			Old: []string{"test.old"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPrecedence checks that the key beats its old spelling, and that an error names the key the
// user wrote.
func TestPrecedence(t *testing.T) {
	s := NewSettings()
	s.Set("test.old", "soon")
	if _, err := testInterval.Get(s); err == nil || !strings.Contains(err.Error(), `"test.old"`) {
		t.Errorf("error %v", err)
	}
	s.Set(" test.checkpointing.interval ", " 3 s ")
	if d, err := testInterval.Get(s); err != nil || d != 3*time.Second {
		t.Errorf("interval %v, %v", d, err)
	}
	s.Map()["test.flag"] = "true"
	if _, ok := s.Map()["test.flag"]; ok {
		t.Error("Map is no copy")
	}
}
