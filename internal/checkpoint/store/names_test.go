package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Goal: any job name is one safe path element, and different names differ. Method: table, and the
// rules of paths for each result.
func TestEscapeJobName(t *testing.T) {
	long := strings.Repeat("x", 201)
	cases := map[string]string{
		"flights":               "flights",
		"A-b_c.9":               "A-b_c.9",
		".":                     "%2E",
		"..":                    "%2E.",
		"../../etc":             "%2E.%2F..%2Fetc",
		"a/b":                   "a%2Fb",
		"a b":                   "a%20b",
		"Größe":                 "Gr%C3%B6%C3%9Fe",
		"100%":                  "100%25",
		"~":                     "%7E",
		"\x00":                  "%00",
		".a.b.inprogress":       "%2Ea.b.inprogress",
		long[1:]:                long[1:],
		long:                    long[:167] + "~" + "3ba87a6d0ee4d8f9f8b1d6f3b1d2dd1a",
		strings.Repeat("ß", 60): strings.Repeat("%C3%9F", 27) + "%C3~",
	}
	seen := map[string]string{}
	for name, want := range cases {
		got, err := EscapeJobName(name)
		if err != nil {
			t.Fatal(err)
		}
		if cut, _, isLong := strings.Cut(want, "~"); isLong {
			if !strings.HasPrefix(got, cut+"~") || len(got) != len(cut)+33 {
				t.Errorf("%q: %q, want %q, ~ and a digest", name, got, cut)
			}
		} else if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if err := filesystem.CheckObjectPath("/" + got); err != nil || len(got) > 200 {
			t.Errorf("%q: %d bytes, %v", got, len(got), err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
	}
	for _, bad := range []string{"", "\xff"} {
		if got, err := EscapeJobName(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
	a, _ := EscapeJobName(long + "a")
	b, _ := EscapeJobName(long + "b")
	if a == b {
		t.Error("long names that differ at the end are one")
	}
}

// Goal: file names tell what made the file, and nothing else is taken for one. Method: round trip
// and a table of near misses.
func TestDataFileName(t *testing.T) {
	name := DataFileName{Generation: 12, Checkpoint: 345, Vertex: 6, Subtask: 7, Random: 0xBEEF}
	if got := name.String(); got != "12-345-6-7-0000beef.run" {
		t.Errorf("it is %q", got)
	}
	if got, ok := ParseDataFileName(name.String()); !ok || got != name {
		t.Errorf("parsed: %v, %v", got, ok)
	}
	for _, bad := range []string{"", ".run", "1-2-3-4-0000beef", "1-2-3-4-beef.run",
		"01-2-3-4-0000beef.run", "1-2-3-4-0000BEEF.run", "1-2-3-4-5-0000beef.run",
		"1-2-3-4294967296-0000beef.run", "-1-2-3-4-0000beef.run", "1-2-3-4-0000beef.run.run"} {
		if got, ok := ParseDataFileName(bad); ok {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
	for text, want := range map[string]uint64{"chk-1": 1, "chk-0": 0, "chk-01": 0, "chk-": 0,
		"chk-+1": 0, "chk-1x": 0, "1": 0, "chk-18446744073709551615": 1<<64 - 1} {
		if got, ok := parseNumbered(text, chkPrefix); got != want || ok != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}

func sampleRecord() *Record {
	return &Record{Kind: meta.KindCheckpoint, Name: "Größe <1>", Generation: 3, Owner: "abcd",
		Checkpoint: 7, JobID: strings.Repeat("0a", 16), Lineage: "l", Path: "x/chk-7/_metadata",
		Digest: strings.Repeat("0b", 32), Bytes: 9, Parent: 5, TriggerMillis: 11}
}

// Goal: a record is read as written or refused. Method: round trip, then every truncation and every
// flipped byte.
func TestRecord(t *testing.T) {
	file, err := sampleRecord().encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleRecord(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 1
		for _, bad := range [][]byte{file[:i], damaged} {
			if _, err := decodeRecord(bad); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	for _, spoil := range []func(r *Record){
		func(r *Record) { r.Kind = "savepoint" }, func(r *Record) { r.JobID = "x" },
		func(r *Record) { r.Digest = "" }, func(r *Record) { r.Path = "" },
	} {
		r := sampleRecord()
		spoil(r)
		if file, err = r.encode(); err != nil {
			t.Fatal(err)
		}
		if _, err := decodeRecord(file); !errors.Is(err, ErrDamaged) {
			t.Errorf("accepted: %s", file)
		}
	}
}

// Goal: every build reads the records there ever were. Method: a committed file of version 1,
// compared with what it was made from, and with what is written today.
func TestGoldenRecord(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "v1", "checkpoint-7"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleRecord(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	written, err := sampleRecord().encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(file), string(written)); d != "" {
		t.Errorf("written today (-want +got):\n%s", d)
	}
}

// Goal: no record file makes the reader panic. Method: fuzzing from a whole one.
func FuzzDecodeRecord(f *testing.F) {
	file, err := sampleRecord().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := decodeRecord(input)
		if (r == nil) == (err == nil) || err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%v, %v", r, err)
		}
	})
}
