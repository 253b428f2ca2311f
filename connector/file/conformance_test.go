package file

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/connector/connectortest"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/format/csv"
	"github.com/leat-io/leat/format/json"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var schema = &types.Schema{Fields: []types.Field{
	types.Col("id", types.TypeOf(types.BigInt).NotNull()),
	types.Col("origin", types.TypeOf(types.String)),
	types.Col("delay", types.TypeOf(types.Int)),
}}

// rowsOf makes n rows; origin is of three values, of null too, or long.
func rowsOf(n, seed int) *batch.Columns {
	c := batch.New(schema, max(n, 1))
	c.Len = n
	for row := range n {
		c.Columns[0].Int64[row] = int64(seed*1_000_000 + row)
		c.SetString(1, row, []byte([]string{"DTW", "a/long:airport=name", ""}[row%3]))
		if row%4 == 3 {
			c.SetNull(1, row)
		}
		c.Columns[2].Int32[row] = int32(row*7919%200 - 30)
	}
	return c
}

func csvFormat(t testing.TB, options csv.Options) format.Format {
	t.Helper()
	f, err := csv.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func encode(t testing.TB, f format.Format, rows *batch.Columns) []byte {
	t.Helper()
	e, err := f.NewEncoder(rows.Schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Encode(e.Header(nil), rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func linesOf(t testing.TB, rows *batch.Columns) []string {
	t.Helper()
	text := strings.TrimSuffix(string(encode(t, json.New(json.Options{}), rows)), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func put(t testing.TB, files *filesystem.Registry, uri string, content []byte) {
	t.Helper()
	store, p, err := files.Resolve(uri)
	if err != nil {
		t.Fatal(err)
	}
	if err := filesystem.WriteFile(t.Context(), store, p, content); err != nil {
		t.Fatal(err)
	}
}

// stores are the stores to test with, each with the place for files.
var stores = map[string]func(t testing.TB) (files *filesystem.Registry, dir string){
	"local": func(t testing.TB) (*filesystem.Registry, string) {
		return filesystem.NewRegistry(local.New(local.Options{})), t.TempDir()
	},
	"mem": func(testing.TB) (*filesystem.Registry, string) {
		return filesystem.NewRegistry(mem.New(mem.Options{})), "mem://bucket/dir"
	},
}

func envOf(files *filesystem.Registry) *connector.Env {
	return &connector.Env{Files: files, Parallelism: 1, Logger: slog.New(slog.DiscardHandler),
		Count: func(string, uint64) {}}
}

func sourceOf(t testing.TB, options SourceOptions) *Source {
	t.Helper()
	if options.Schema == nil {
		options.Schema = schema
	}
	s, err := NewSource(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSourceConformance runs the kit over stores, formats, compression and sizes of pieces.
func TestSourceConformance(t *testing.T) {
	formats := map[string]format.Format{
		"csv":    csvFormat(t, csv.Options{}),
		"header": csvFormat(t, csv.Options{Header: true}),
		"json":   json.New(json.Options{}),
	}
	for storeName, open := range stores {
		for formatName, f := range formats {
			for _, zipped := range []bool{false, true} {
				for _, splitBytes := range []int64{-1, 200, 0} {
					name := fmt.Sprintf("%s/%s/gzip %t/pieces %d", storeName, formatName, zipped,
						splitBytes)
					t.Run(name, func(t *testing.T) {
						testSource(t, f, zipped, splitBytes, open)
					})
				}
			}
		}
	}
}

func testSource(t *testing.T, f format.Format, zipped bool, splitBytes int64,
	open func(t testing.TB) (*filesystem.Registry, string),
) {
	files, dir := open(t)
	var want []string
	for i, n := range []int{30, 0, 1, 20} {
		rows := rowsOf(n, i)
		content, name := encode(t, f, rows), fmt.Sprintf("%s/sub/%d.txt", dir, i)
		if zipped {
			content, name = zip(t, content), name+".gz"
		}
		put(t, files, name, content)
		want = append(want, linesOf(t, rows)...)
	}
	put(t, files, dir+"/.hidden", []byte("x"))
	put(t, files, dir+"/_temporary/x.csv", []byte("x"))
	connectortest.TestBoundedSource(t, connectortest.BoundedSource{
		Source: sourceOf(t, SourceOptions{Paths: []string{dir}, Format: f, SplitBytes: splitBytes}),
		Env:    envOf(files), Want: want, Text: json.New(json.Options{}),
	})
}

// TestSinkConformance runs the kit over stores, formats and partitions.
func TestSinkConformance(t *testing.T) {
	for storeName, open := range stores {
		for _, partitionBy := range [][]string{nil, {"origin"}, {"delay", "origin"}} {
			for _, f := range []format.Format{
				csvFormat(t, csv.Options{Header: true}), json.New(json.Options{}),
			} {
				if storeName == "local" && len(partitionBy) > 1 {
					continue // hundreds of files, each of them synced
				}
				name := fmt.Sprintf("%s/%s/%v", storeName, f.Name(), partitionBy)
				t.Run(name, func(t *testing.T) { testSink(t, f, partitionBy, open) })
			}
		}
	}
}

func testSink(t *testing.T, f format.Format, partitionBy []string,
	open func(t testing.TB) (*filesystem.Registry, string),
) {
	_, dir := open(t)
	sink, err := NewSink(SinkOptions{Dir: dir, Format: f, Schema: schema, PartitionBy: partitionBy})
	if err != nil {
		t.Fatal(err)
	}
	connectortest.TestExactlyOnceSink(t, connectortest.ExactlyOnceSink{
		New:  func(*testing.T) connector.Sink { return sink },
		Rows: rowsOf,
		Texts: func(rows *batch.Columns) []string {
			text := *sink
			w := writer{sink: &text}
			return linesOf(t, w.project(rows))
		},
		Files: func(t *testing.T) *filesystem.Registry {
			if strings.HasPrefix(dir, "mem") {
				files, _ := open(t)
				return files
			}
			return filesystem.NewRegistry(local.New(local.Options{Root: t.TempDir()}))
		},
		Visible: func(t *testing.T, files *filesystem.Registry) []string {
			return readAll(t, files, dir, f, sink.encoded)
		},
		Leftovers: func(t *testing.T, files *filesystem.Registry) int {
			store, p, _ := files.Resolve(dir)
			n := 0
			for _, err := range store.ListInProgress(t.Context(), p) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		},
		Crash: func(t *testing.T, files *filesystem.Registry) *filesystem.Registry {
			store, _, _ := files.Resolve(dir)
			if m, ok := store.(*mem.Store); ok {
				return filesystem.NewRegistry(m.CrashClone())
			}
			return files // a process that dies takes nothing of the disk with it
		},
	})
}

// readAll returns the rows of all visible files as lines.
func readAll(t *testing.T, files *filesystem.Registry, dir string, f format.Format,
	schema *types.Schema,
) []string {
	t.Helper()
	store, p, err := files.Resolve(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for e, err := range store.List(context.Background(), p, true) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Size == 0 {
			t.Fatalf("%q is empty", e.Path)
		}
		content, err := filesystem.ReadFile(t.Context(), store, e.Path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := f.NewDecoder(schema)
		if err != nil {
			t.Fatal(err)
		}
		d.Start(true)
		out := batch.New(schema, 1<<15)
		used, _, err := d.Decode(content, true, out)
		if err != nil || used != len(content) {
			t.Fatalf("%q: %d of %d bytes: %v", e.Path, used, len(content), err)
		}
		lines = append(lines, linesOf(t, out)...)
	}
	return slices.Clip(lines)
}
