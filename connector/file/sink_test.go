package file

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	storefault "github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/format/csv"
	basefault "github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/types"
)

func sinkOf(t testing.TB, options SinkOptions) *Sink {
	t.Helper()
	if options.Format == nil {
		options.Format = csvFormat(t, csv.Options{})
	}
	if options.Schema == nil {
		options.Schema = schema
	}
	s, err := NewSink(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sinkEnv(files *filesystem.Registry) *connector.Env {
	env := envOf(files)
	env.Subtask = 3
	env.Identity = connector.Identity{JobName: "flights", Lineage: "0a1b2c3d", Generation: 5,
		Attempt: 2, Operator: "sink"}
	return env
}

// commit writes rows as one checkpoint.
func commit(t *testing.T, s *Sink, env *connector.Env, rows *batch.Columns) error {
	t.Helper()
	w, err := s.NewWriter(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), rows, nil); err != nil {
		t.Fatal(err)
	}
	committables, err := w.Prepare(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.NewCommitter(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(c.Commit(t.Context(), 1, committables), c.Close(), w.Close())
}

// contents returns the visible files.
func contents(t *testing.T, files *filesystem.Registry, uri string) map[string]string {
	t.Helper()
	store, p, _ := files.Resolve(uri)
	found := make(map[string]string)
	for e, err := range store.List(t.Context(), p, true) {
		if err != nil {
			t.Fatal(err)
		}
		content, err := filesystem.ReadFile(t.Context(), store, e.Path)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(e.Path, p+"/")] = string(content)
	}
	return found
}

// TestPartitions checks directories, names and contents of a few rows of every awkward kind.
func TestPartitions(t *testing.T) {
	schema := &types.Schema{Fields: []types.Field{
		types.Col("day", types.TypeOf(types.Date)), types.Col("delay", types.TypeOf(types.Int)),
		types.Col("air port", types.TypeOf(types.String)),
	}}
	rows := batch.New(schema, 5)
	rows.Len = 5
	for row, port := range []string{"DTW", "a/b:c=%", "", "DTW", "x"} {
		rows.Columns[0].Int32[row] = 11323
		rows.Columns[1].Int32[row] = int32(row)
		rows.SetString(2, row, []byte(port))
	}
	rows.SetNull(2, 4)
	rows.SetNull(0, 4)
	files := memFiles()
	s := sinkOf(t, SinkOptions{Dir: "mem://b/out", Schema: schema, Prefix: "flights",
		Format: csvFormat(t, csv.Options{Header: true}), PartitionBy: []string{"air port", "day"}})
	if err := commit(t, s, sinkEnv(files), rows); err != nil {
		t.Fatal(err)
	}
	owner := nameOf("", sinkEnv(files), "").owner
	file := func(dir string, number int) string {
		return fmt.Sprintf("%s/flights-0a1b2c3d-%s-003-%06d-5-2.csv", dir, owner, number)
	}
	want := map[string]string{
		file("air port=DTW/day=2001-01-01", 0):                              "delay\n0\n3\n",
		file("air port=a%2Fb%3Ac%3D%25/day=2001-01-01", 1):                  "delay\n1\n",
		file("air port=__DEFAULT_PARTITION__/day=2001-01-01", 2):            "delay\n2\n",
		file("air port=__DEFAULT_PARTITION__/day=__DEFAULT_PARTITION__", 3): "delay\n4\n",
	}
	if diff := cmp.Diff(want, contents(t, files, "mem://b/out")); diff != "" {
		t.Fatal(diff)
	}
}

// TestNames checks that no two writers ever use the same name.
func TestNames(t *testing.T) {
	files := memFiles()
	s := sinkOf(t, SinkOptions{Dir: "mem://b/out"})
	changes := []func(*connector.Env){
		func(*connector.Env) {},
		func(env *connector.Env) { env.Subtask = 4 },
		func(env *connector.Env) { env.Identity.Attempt = 3 },
		func(env *connector.Env) { env.Identity.Generation = 6 },
		func(env *connector.Env) { env.Identity.Lineage = "0a1b2c3e" },
		func(env *connector.Env) { env.Identity.JobName = "other" },
		// A job that starts in another place from a checkpoint of this one counts anew.
		func(env *connector.Env) { env.Identity.JobID = strings.Repeat("0a", 16) },
		func(env *connector.Env) { env.Identity.Operator = "other" },
	}
	for _, change := range changes {
		env := sinkEnv(files)
		change(env)
		if err := commit(t, s, env, rowsOf(3, 0)); err != nil {
			t.Fatal(err)
		}
	}
	names := slices.Sorted(maps.Keys(contents(t, files, "mem://b/out")))
	if len(names) != len(changes) {
		t.Fatalf("%d names for %d writers: %q", len(names), len(changes), names)
	}
}

// TestMissing checks that a file taken away before the repeated commit is an error, or by option
// not.
func TestMissing(t *testing.T) {
	files := memFiles()
	store, _, _ := files.Resolve("mem://b/out")
	for _, ignore := range []bool{false, true} {
		s := sinkOf(t, SinkOptions{Dir: fmt.Sprintf("mem://b/out%t", ignore),
			IgnoreMissing: ignore})
		env := sinkEnv(files)
		w, _ := s.NewWriter(t.Context(), env)
		if err := w.Write(t.Context(), rowsOf(3, 0), nil); err != nil {
			t.Fatal(err)
		}
		committables, _ := w.Prepare(t.Context(), 1)
		c, _ := s.NewCommitter(t.Context(), env)
		if err := c.Commit(t.Context(), 1, committables); err != nil {
			t.Fatal(err)
		}
		for e := range store.List(t.Context(), fmt.Sprintf("/b/out%t", ignore), true) {
			if err := store.Remove(t.Context(), e.Path); err != nil {
				t.Fatal(err)
			}
		}
		err := c.Commit(t.Context(), 1, committables)
		if (err == nil) != ignore {
			t.Errorf("ignoring %t: %v", ignore, err)
		}
	}
}

// TestFaults fails every operation of the store once, before and after its effect: the error is
// reported as the store's, and doing it again, in a new attempt where the writer failed, leaves the
// rows visible once and nothing else.
func TestFaults(t *testing.T) {
	away := errors.New("store away")
	for _, op := range []storefault.Op{
		storefault.OpCreate, storefault.OpWrite, storefault.OpPrepare, storefault.OpPublish,
	} {
		for name, rule := range map[string]storefault.Rule{
			"before": {Name: "fault", Op: op, Hit: 1, Before: away},
			"after":  {Name: "fault", Op: op, Hit: 1, After: away},
		} {
			t.Run(fmt.Sprintf("%s %s", op, name), func(t *testing.T) {
				plan, err := storefault.NewPlan(rule)
				if err != nil {
					t.Fatal(err)
				}
				files := filesystem.NewRegistry(storefault.New(mem.New(mem.Options{}), plan))
				testFault(t, files, away)
				if plan.Hits("fault") == 0 {
					t.Fatal("the fault was not injected")
				}
			})
		}
	}
}

func testFault(t *testing.T, files *filesystem.Registry, away error) {
	rows := rowsOf(10, 0)
	env := sinkEnv(files)
	s := sinkOf(t, SinkOptions{Dir: "mem://b/out"})
	c, _ := s.NewCommitter(t.Context(), env)
	var committables []connector.Committable
	failed := 0
	for attempt := uint32(2); attempt < 4 && len(committables) == 0; attempt++ {
		env.Identity.Attempt = attempt
		c, _ = s.NewCommitter(t.Context(), env)
		if err := c.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		w, _ := s.NewWriter(t.Context(), env)
		err := w.Write(t.Context(), rows, nil)
		if err == nil {
			committables, err = w.Prepare(t.Context(), 1)
		}
		if err != nil {
			failed++
			if !errors.Is(err, away) || basefault.DomainOf(err) != basefault.DomainExternal {
				t.Fatalf("got %v", err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := c.Commit(t.Context(), 1, committables); err != nil {
			failed++
			if basefault.DomainOf(err) != basefault.DomainExternal {
				t.Fatalf("got %v", err)
			}
		}
	}
	if failed != 1 {
		t.Fatalf("%d calls failed, want 1", failed)
	}
	got := slices.Collect(maps.Values(contents(t, files, "mem://b/out")))
	want := []string{string(encode(t, s.options.Format, rows))}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	env.Identity.Attempt++
	c, _ = s.NewCommitter(t.Context(), env)
	if err := c.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	store, p, _ := files.Resolve("mem://b/out")
	for e, err := range store.ListInProgress(t.Context(), p) {
		t.Errorf("left over: %q, %v", e.Path, err)
	}
}

// TestAllocations checks that writing allocates nothing for a row, with partitions and without.
func TestAllocations(t *testing.T) {
	if invariant.Enabled {
		t.Skip("the checks of the invariants build allocate")
	}
	rows := rowsOf(1024, 0)
	for _, partitionBy := range [][]string{nil, {"origin"}} {
		s := sinkOf(t, SinkOptions{Dir: "mem://b/out", PartitionBy: partitionBy})
		w, _ := s.NewWriter(t.Context(), sinkEnv(filesystem.NewRegistry(mem.New(mem.Options{}))))
		write := func() {
			for _, p := range w.(*writer).parts {
				p.buffer = p.buffer[:0] // the store keeps bytes, which is not what is measured
			}
			if err := w.Write(t.Context(), rows, nil); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if got := testing.AllocsPerRun(20, write); got > 1 {
			t.Errorf("partitions %v: %v allocations for a batch", partitionBy, got)
		}
	}
}

// BenchmarkWrite encodes rows into one file and into partitions.
func BenchmarkWrite(b *testing.B) {
	for _, partitionBy := range [][]string{nil, {"origin"}} {
		b.Run(fmt.Sprint(partitionBy), func(b *testing.B) {
			rows := rowsOf(1024, 0)
			s := sinkOf(b, SinkOptions{Dir: "mem://b/out", PartitionBy: partitionBy})
			w, _ := s.NewWriter(b.Context(), sinkEnv(memFiles()))
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(b.Context(), rows, nil); err != nil {
					b.Fatal(err)
				}
				for _, p := range w.(*writer).parts {
					p.buffer = p.buffer[:0]
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1024, "ns/row")
		})
	}
}
