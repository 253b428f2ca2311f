package file

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/format/csv"
	"github.com/leat-io/leat/format/json"
	"github.com/leat-io/leat/internal/base/fault"
)

// read reads everything with one reader and returns rows as lines.
func read(t testing.TB, s *Source, env *connector.Env) (lines []string, splits int, err error) {
	t.Helper()
	e, err := s.NewEnumerator(t.Context(), env, nil)
	if err != nil {
		return nil, 0, err
	}
	r, err := s.NewReader(t.Context(), env)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		out := batch.New(s.Schema(), 100)
		polled, err := r.Poll(t.Context(), out)
		if err != nil {
			return lines, splits, err
		}
		lines = append(lines, linesOf(t, out)...)
		if polled.Status != connector.NeedSplit {
			continue
		}
		split, ok, _, err := e.Next(0)
		if err != nil || !ok {
			return lines, splits, err
		}
		if err := r.AddSplit(split); err != nil {
			return lines, splits, err
		}
		splits++
	}
}

func memFiles() *filesystem.Registry { return filesystem.NewRegistry(mem.New(mem.Options{})) }

// TestPieces reads one file in pieces of every size: each row comes once, with and without a line
// end after the last, with LF and CRLF, with a header.
func TestPieces(t *testing.T) {
	rows := rowsOf(12, 0)
	want := linesOf(t, rows)
	for _, header := range []bool{false, true} {
		f := csvFormat(t, csv.Options{Header: header})
		plain := encode(t, f, rows)
		for i, content := range [][]byte{
			plain, bytes.TrimSuffix(plain, []byte("\n")),
			bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n")),
			bytes.ReplaceAll(plain, []byte("\n"), []byte("\n\n\n")),
		} {
			files := memFiles()
			put(t, files, "mem://b/x.csv", content)
			for size := 1; size <= len(content)+1; size++ {
				s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/x.csv"}, Format: f,
					SplitBytes: int64(size)})
				got, splits, err := read(t, s, envOf(files))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("content %d, header %t, pieces of %d: %s", i, header, size, diff)
				}
				if want := (len(content) + size - 1) / size; splits != want {
					t.Fatalf("%d splits, want %d", splits, want)
				}
			}
		}
	}
}

// TestLargeFile reads a file of many chunks with long rows, plain and compressed, whose strings
// must stay what they are while later chunks are read.
func TestLargeFile(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	f := json.New(json.Options{})
	var content bytes.Buffer
	var want []string
	for i := range 3000 {
		line := fmt.Sprintf(`{"id":%d,"origin":"%s","delay":null}`, i,
			strings.Repeat("abcdefghij", random.IntN(60)))
		if i == 1500 {
			line = fmt.Sprintf(`{"id":%d,"origin":"%s","delay":null}`, i, strings.Repeat("x",
				700_000))
		}
		want = append(want, line)
		content.WriteString(line + "\n")
	}
	files := memFiles()
	put(t, files, "mem://b/plain", content.Bytes())
	put(t, files, "mem://b/zip.gz", zip(t, content.Bytes()))
	put(t, files, "mem://b/members.gz", append(zip(t, content.Bytes()[:99_999]),
		zip(t, content.Bytes()[99_999:])...))
	for _, path := range []string{"mem://b/plain", "mem://b/zip.gz", "mem://b/members.gz"} {
		s := sourceOf(t, SourceOptions{Paths: []string{path}, Format: f, SplitBytes: 100_000})
		got, _, err := read(t, s, envOf(files))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want, got) {
			t.Fatalf("%s: %d rows differ from the %d written (seed %d)", path, len(got),
				len(want), seed)
		}
	}
}

// TestBadRows checks the place named for a bad row, and that it can be skipped and counted.
func TestBadRows(t *testing.T) {
	good, bad := "1,DTW,5\n", "2,DTW,abc\n"
	content := []byte(strings.Repeat(good, 16) + bad + good + bad + good)
	files := memFiles()
	put(t, files, "mem://b/dir/x.csv", content)
	put(t, files, "mem://b/dir/y.csv.gz", zip(t, content))
	f := csvFormat(t, csv.Options{})
	for _, test := range []struct {
		path  string
		split int64
		want  string
	}{
		{"mem://b/dir/x.csv", 0,
			`file: decode "mem://b/dir/x.csv" line 17: column "delay" from "abc": ` +
				`want an integer of 32 bits`},
		{"mem://b/dir/y.csv.gz", 0,
			`file: decode "mem://b/dir/y.csv.gz" line 17: column "delay" from ` +
				`"abc": want an integer of 32 bits`},
		{"mem://b/dir/x.csv", 100,
			`file: decode "mem://b/dir/x.csv" at byte 128 (line 4 from byte 104): ` +
				`column "delay" from "abc": want an integer of 32 bits`},
	} {
		s := sourceOf(t, SourceOptions{Paths: []string{test.path}, Format: f,
			SplitBytes: test.split})
		_, _, err := read(t, s, envOf(files))
		if err == nil || err.Error() != test.want {
			t.Errorf("got error %v\nwant %s", err, test.want)
		}
		var rowErr *format.RowError
		if fault.DomainOf(err) != fault.DomainUser || !errors.As(err, &rowErr) {
			t.Errorf("%v is not a bad row of the user", err)
		}
	}
	var log bytes.Buffer
	counted := uint64(0)
	env := envOf(files)
	env.Logger = slog.New(slog.NewTextHandler(&log, nil))
	env.Count = func(name string, delta uint64) {
		if name == "numRecordsInErrors" {
			counted += delta
		}
	}
	s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/dir"}, Format: f, OnBadRow: Skip})
	lines, _, err := read(t, s, env)
	if err != nil || len(lines) != 36 || counted != 4 {
		t.Fatalf("%d rows, %d counted, %v", len(lines), counted, err)
	}
	for _, place := range []string{"x.csv", "y.csv.gz", "line 17", "line 19"} {
		if !strings.Contains(log.String(), place) {
			t.Errorf("the log does not name %q:\n%s", place, &log)
		}
	}
}

// TestRowAcrossPieces checks that a line end within quotes is right in one piece, and never wrong
// in several: where a piece ends in it the job fails, even when told to skip.
func TestRowAcrossPieces(t *testing.T) {
	content := "1,a,5\n2,\"b\nc,d\n3,x,4\n\",6\n4,e,7\n"
	files := memFiles()
	put(t, files, "mem://b/x.csv", []byte(content))
	f := csvFormat(t, csv.Options{})
	failed := 0
	for size := int64(1); size <= int64(len(content)); size++ {
		s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/x.csv"}, Format: f,
			SplitBytes: size,
			OnBadRow:   Skip})
		lines, _, err := read(t, s, envOf(files))
		if err != nil {
			failed++
			if !errors.Is(err, format.ErrIncomplete) || !strings.Contains(err.Error(),
				"SplitBytes") {
				t.Errorf("pieces of %d: %v", size, err)
			}
			continue
		}
		if len(lines) != 3 {
			t.Errorf("pieces of %d: %q", size, lines)
		}
	}
	if failed == 0 || failed == len(content) {
		t.Errorf("%d sizes fail", failed)
	}
}

// TestCutOff checks a file whose last row is not whole.
func TestCutOff(t *testing.T) {
	files := memFiles()
	put(t, files, "mem://b/x", []byte("{\"id\":1}\n{\"id\":2,\"ori"))
	put(t, files, "mem://b/whole.gz", zip(t, bytes.Repeat([]byte("{\"id\":1}\n"), 1000)))
	zipped := zip(t, []byte(strings.Repeat("{\"id\":1}\n", 1000)))
	put(t, files, "mem://b/cut.gz", zipped[:len(zipped)-10])
	put(t, files, "mem://b/not.gz", []byte("{\"id\":1}\n"))
	put(t, files, "mem://b/empty.gz", nil)
	for path, want := range map[string]string{
		"x": "line 2", "cut.gz": "damaged or cut off", "not.gz": "damaged or cut off",
		"empty.gz": "",
	} {
		s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/" + path},
			Format: json.New(json.Options{})})
		_, _, err := read(t, s, envOf(files))
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(),
			path) ||
			fault.DomainOf(err) != fault.DomainUser {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/x"}, Format: json.New(json.Options{}),
		OnBadRow: Skip})
	if lines, _, err := read(t, s, envOf(files)); err != nil || len(lines) != 1 {
		t.Errorf("skipping: %q, %v", lines, err)
	}
}

// TestPaths checks what paths, directories and patterns stand for.
func TestPaths(t *testing.T) {
	files := memFiles()
	for _, p := range []string{"a/1.csv", "a/2.csv", "a/_x.csv", "a/.y.csv", "b/1.csv",
		"b/deep/1.csv",
		"b/_deep/1.csv", "c/x[1].csv", "c/x1.csv", "d/1.txt"} {
		put(t, files, "mem://r/"+p, []byte("1,x,2\n"))
	}
	for _, test := range []struct {
		paths string
		want  string // files, or "error" and what it names
	}{
		{"a", "a/1.csv a/2.csv"},
		{"a/_x.csv", "a/_x.csv"},
		{"*/1.csv", "a/1.csv b/1.csv"},
		{"?/1.*", "a/1.csv b/1.csv d/1.txt"},
		{"a/_*", "a/_x.csv"},
		{"[bc]", "b/1.csv b/deep/1.csv c/x1.csv c/x[1].csv"},
		{"c/x[1].csv", "c/x[1].csv"},
		{"b a/1.csv a", "a/1.csv a/2.csv b/1.csv b/deep/1.csv"},
		{"a/3.csv", "error a/3.csv"},
		{"a/*.txt", "error a/*.txt"},
		{"z*/1.csv", "error z*/1.csv"},
		{"a/[.csv", "error a/[.csv"},
	} {
		var paths []string
		for p := range strings.SplitSeq(test.paths, " ") {
			paths = append(paths, "mem://r/"+p)
		}
		s := sourceOf(t, SourceOptions{Paths: paths, Format: csvFormat(t, csv.Options{})})
		e, err := s.NewEnumerator(t.Context(), envOf(files), nil)
		if named, ok := strings.CutPrefix(test.want, "error "); ok {
			if err == nil || !strings.Contains(err.Error(), named) ||
				fault.DomainOf(err) != fault.DomainUser {
				t.Errorf("%s: got %v", test.paths, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.paths, err)
			continue
		}
		var got []string
		for {
			split, ok, done, _ := e.Next(0)
			if done {
				break
			}
			if ok {
				got = append(got, strings.TrimSuffix(strings.TrimPrefix(split.ID, "mem://r/"),
					":0"))
			}
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", test.paths, diff)
		}
	}
}

// TestChangedFile checks that a file which was replaced is refused by name on restore.
func TestChangedFile(t *testing.T) {
	files := memFiles()
	put(t, files, "mem://b/x.csv", []byte("1,x,2\n"))
	s := sourceOf(t, SourceOptions{Paths: []string{"mem://b/x.csv"}, Format: csvFormat(t,
		csv.Options{})})
	e, err := s.NewEnumerator(t.Context(), envOf(files), nil)
	if err != nil {
		t.Fatal(err)
	}
	state, _ := e.Snapshot()
	store, p, _ := files.Resolve("mem://b/x.csv")
	if err := store.Remove(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"removed", "replaced"} {
		if change == "replaced" {
			put(t, files, "mem://b/x.csv", []byte("1,x,2\n1,y,3\n"))
		}
		e, err = s.NewEnumerator(t.Context(), envOf(files), state)
		if err != nil {
			t.Fatal(err)
		}
		split, _, _, _ := e.Next(0)
		r, _ := s.NewReader(t.Context(), envOf(files))
		if err := r.AddSplit(split); err != nil {
			t.Fatal(err)
		}
		_, err = r.Poll(t.Context(), batch.New(schema, 10))
		if err == nil || !strings.Contains(err.Error(), "mem://b/x.csv") ||
			fault.DomainOf(err) != fault.DomainUser {
			t.Errorf("%s: got %v", change, err)
		}
		t.Log(err)
	}
}

// FuzzStored checks that damaged state is refused and nothing else.
func FuzzStored(f *testing.F) {
	s := split{uri: "/a/b.csv", size: 10, start: 0, end: 10}
	f.Add(s.encode().Data)
	e := enumerator{left: []*split{&s, &s}}
	state, _ := e.Snapshot()
	f.Add(state)
	f.Add(encodeCommittable("/a", filesystem.Token("token")).Data)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeSplit(connector.Split{Version: splitVersion, Data: b}); err == nil {
			again, err := decodeSplit(s.encode())
			if err != nil || *again != *s {
				t.Fatalf("%+v becomes %+v, %v", s, again, err)
			}
		}
		if e, err := restoreEnumerator(b); err == nil {
			if _, err := e.Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		_, _, _ = decodeCommittable(connector.Committable{Version: committableVersion, Data: b})
	})
}

// BenchmarkReadCSV reads a file from memory through the source; the decoder alone is in format/csv.
func BenchmarkReadCSV(b *testing.B) {
	const n = 50_000
	f := csvFormat(b, csv.Options{})
	files := memFiles()
	put(b, files, "mem://b/x.csv", encode(b, f, rowsOf(n, 0)))
	s := sourceOf(b, SourceOptions{Paths: []string{"mem://b/x.csv"}, Format: f})
	env := envOf(files)
	out := batch.New(schema, batch.DefaultRows)
	b.ReportAllocs()
	for b.Loop() {
		e, _ := s.NewEnumerator(b.Context(), env, nil)
		r, _ := s.NewReader(b.Context(), env)
		split, _, _, _ := e.Next(0)
		if err := r.AddSplit(split); err != nil {
			b.Fatal(err)
		}
		for polled := (connector.Polled{}); polled.Status != connector.NeedSplit; {
			out.Reset()
			var err error
			if polled, err = r.Poll(b.Context(), out); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
}
