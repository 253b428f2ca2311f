package stream

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/types"
)

// program is a named way to fill an environment.
type program struct {
	name  string
	build func(e *Env)
}

func numbers(e *Env) *DataStream[int64] {
	return Generate(e, "numbers", 10, func(i int64) int64 { return i })
}

func ignore(int64) error { return nil }

var programs = []program{
	{"chained", func(e *Env) {
		e.SetParallelism(2)
		plus := Map(numbers(e), func(v int64) int64 { return v + 1 }).Named("Plus one")
		ForEach(Filter(plus, func(v int64) bool { return v > 3 }), "out", ignore)
	}},
	{"not chained", func(e *Env) {
		e.Set("pipeline.operator-chaining", "false")
		e.Set("pipeline.max-parallelism", "8")
		ForEach(Map(numbers(e), func(v int64) int64 { return v }), "out", ignore)
	}},
	{"fan-out", func(e *Env) {
		n := numbers(e)
		ForEach(Map(n, func(v int64) int64 { return v }), "a", ignore)
		ForEach(Filter(n, func(v int64) bool { return true }), "b", ignore)
	}},
	{"rescaled", func(e *Env) {
		n := numbers(e).Parallelism(1)
		s := ForEach(Map(n, func(v int64) int64 { return v }).Parallelism(3), "out", ignore)
		s.Parallelism(2)
	}},
	{"keyed", func(e *Env) {
		e.SetParallelism(2)
		k := KeyBy(numbers(e), func(v int64) benchmarkKey { return benchmarkKey{v, ""} })
		totals := Aggregate(Tumbling(k, time.Minute), "totals",
			AggregatorFunc[int64, sums](func(a *sums, v int64) { a.Sum += v }),
			func(_ benchmarkKey, _ Window, a *sums) int64 { return a.Sum })
		ForEach(Map(totals, func(v int64) int64 { return v }), "out", ignore)
		ForEach(Process(k, "count", func() KeyedProcessFunction[benchmarkKey, int64, int64] {
			return &countNumbers{}
		}), "counts", ignore)
	}},
	{"side outputs", func(e *Env) {
		e.SetParallelism(2)
		k := KeyBy(numbers(e), func(v int64) benchmarkKey { return benchmarkKey{v, ""} })
		main := Process(k, "count", func() KeyedProcessFunction[benchmarkKey, int64, int64] {
			return &countNumbers{}
		})
		late := SideOutput(main, NewOutputTag[int64]("late"))
		ForEach(Map(late, func(v int64) int64 { return v }), "late", ignore)
		ForEach(late, "late elsewhere", ignore).Parallelism(1)
		ForEach(main, "out", ignore)
	}},
	{"union", func(e *Env) {
		n := numbers(e)
		more := Filter(n, func(v int64) bool { return true }).Parallelism(2)
		ForEach(Map(Union(n, more, n), func(v int64) int64 { return v }), "out", ignore)
	}},
}

// countNumbers is a function with one state.
type countNumbers struct{ counting[benchmarkKey] }

func (c *countNumbers) Process(*Context[benchmarkKey], int64, Collector[int64]) error { return nil }

// Goal: programs become the job graphs we think they do: what is fused, which exchange joins
// what is not, uids, states. Method: the plans of a few programs, in testdata/plans.txt;
// LEAT_REWRITE=1 writes the file anew.
func TestPlan(t *testing.T) {
	var got strings.Builder
	for _, p := range programs {
		e := NewEnv(p.name)
		p.build(e)
		plan, err := e.Plan()
		must(t, err)
		got.WriteString(plan + "\n")
		again, err := e.Plan()
		must(t, err)
		same(t, plan, again)
	}
	path := filepath.Join("testdata", "plans.txt")
	if os.Getenv("LEAT_REWRITE") != "" {
		must(t, os.WriteFile(path, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

// Goal: every kind and edge shape of a graph is registered, for all programs; programs of other
// steps have other kinds, those of the same steps the same, whatever their settings. Method:
// resolve them all, compare digests.
func TestRegistry(t *testing.T) {
	digests := map[string][]string{}
	for _, p := range programs {
		var first []string
		for range 2 {
			e := NewEnv(p.name)
			p.build(e)
			plan, err := e.translate()
			must(t, err)
			var found []string
			for _, v := range plan.graph.Vertices {
				for _, o := range v.Operators {
					_, err := plan.registry.Factory(o.Kind)
					must(t, err)
					found = append(found, o.Kind)
				}
			}
			for _, edge := range plan.graph.Edges {
				_, err := plan.registry.Output(edge.ShapeKind)
				must(t, err)
				found = append(found, edge.ShapeKind)
			}
			if first == nil {
				first = found
			}
			same(t, first, found)
		}
		e := NewEnv("another name")
		p.build(e)
		digests[e.digest()] = append(digests[e.digest()], p.name)
	}
	for _, names := range digests {
		if len(names) > 1 && !slices.Equal(names, []string{"not chained", "rescaled"}) {
			t.Errorf("programs %q have one digest", names)
		}
	}
}

// Goal: a fault of a graph is told when the job is executed, with the place and the cure, and
// all faults at once. Method: a table of programs and what Plan and Execute say.
func TestGraphFaults(t *testing.T) {
	type bad struct{ At time.Time }
	for _, c := range []struct {
		name  string
		build func(e *Env)
		want  []string
	}{
		{"no operators", func(e *Env) {}, []string{
			`the job has no operators; add a source and a sink`}},
		{"no name", func(e *Env) { e.SetName(""); numbers(e) }, []string{
			`the job has no name; give it one`}},
		{"no uid", func(e *Env) {
			n := Generate(e, "", 1, func(i int64) int64 { return i })
			ForEach(n, "", ignore)
			k := KeyBy(n, func(v int64) int64 { return v })
			Process(k, "", func() KeyedProcessFunction[int64, int64, int64] { return &nobody{} })
		}, []string{
			`operator "Source: " has no uid; give it one that never changes`,
			`operator "Sink: " has no uid; give it one that never changes`,
			`operator "Process: " has no uid; give it one that never changes`}},
		{"same uid", func(e *Env) { ForEach(numbers(e), "numbers", ignore) }, []string{
			`operators "Source: numbers" and "Sink: numbers" have the same uid "numbers"`}},
		{"parallelism", func(e *Env) {
			e.SetParallelism(0)
			e.Set("pipeline.max-parallelism", "4")
			ForEach(numbers(e).Parallelism(-1), "out", ignore).Parallelism(0)
			ForEach(numbers(e).Named("many").Parallelism(5), "out2", ignore)
		}, []string{
			`set parallelism of "Source: numbers" to -1: want at least 1`,
			`set parallelism of "Sink: out" to 0: want at least 1`,
			`config: read "parallelism.default" = "0": want at least 1`,
			`operators "Source: numbers" and "many" have the same uid "numbers"`,
			`operator "many": parallelism 5 is above pipeline.max-parallelism 4`}},
		{"key", func(e *Env) {
			k := KeyBy(numbers(e), func(v int64) []byte { return nil })
			Tumbling(k, 0)
			Tumbling(k, time.Hour, -time.Hour)
			KeyBy(numbers(e).Named("more"), func(v int64) bad { return bad{} })
		}, []string{
			`key after "Source: numbers": use type []uint8 as key: it has no canonical form; ` +
				`use string, or a byte array of fixed length`,
			`tumbling windows of 0s at offset 0 ms: want a size of at least 1 ms and an offset ` +
				`within it`,
			`tumbling windows of 1h0m0s at offset -3600000 ms: want a size of at least 1 ms and ` +
				`an offset within it`,
			`key after "more": use type stream.bad as key: field "At" of type time.Time has no ` +
				`canonical form; use eventtime.Timestamp`,
			`operators "Source: numbers" and "more" have the same uid "numbers"`}},
		{"accumulator", func(e *Env) {
			k := KeyBy(numbers(e), func(v int64) int64 { return v })
			Aggregate(Tumbling(k, time.Hour), "w", AggregatorFunc[int64, bad](nil),
				func(int64, Window, *bad) int64 { return 0 })
		}, []string{`aggregate "w": accumulator: map field "At" of type stream.bad to a schema: ` +
			`time.Time is not supported; use eventtime.Timestamp`}},
		{"settings", func(e *Env) {
			numbers(e)
			e.Set("parallelism.defualt", "2")
			e.Set("execution.checkpointing.interval", "often")
			e.Set("pipeline.max-parallelism", "40000")
			e.Set("state.backend.type", "floppy")
		}, []string{
			`config: read "execution.checkpointing.interval" = "often": want a duration such as ` +
				`"10 s", "500 ms" or "1 min"`,
			`config: unknown key "parallelism.defualt": did you mean "parallelism.default"?`,
			`config: read "state.backend.type" = "floppy": want one of hashmap, naive; ` +
				"other spellings: filesystem, fsstatebackend, hashmapstatebackend, jobmanager, " +
				"memory, memorystatebackend",
			`config: read "pipeline.max-parallelism" = 40000: want at most 32768`}},
		{"source", func(e *Env) {
			From[tick](e, "a", nil)
			From[benchmarkKey](e, "b", &scripted{schema: SchemaOf[tick]()})
			From[bad](e, "c", &scripted{})
			Generate(e, "d", -2, func(int64) tick { return tick{} }, WithRate[tick](-1),
				WithEventTime(func(tick) eventtime.Timestamp { return 0 },
					eventtime.BoundedOutOfOrderness(-time.Second)))
		}, []string{
			`source "a": no source given`,
			"source \"b\": it delivers (`split` STRING NOT NULL, `n` BIGINT NOT NULL, " +
				"`at` TIMESTAMP(3) NOT NULL), but stream.benchmarkKey is " +
				"(`key` BIGINT NOT NULL, `name` STRING NOT NULL)",
			`source "c": map field "At" of type stream.bad to a schema: time.Time is not ` +
				`supported; use eventtime.Timestamp`,
			`source "d": generate -2 records: want -1 or more`,
			`source "d": use out-of-orderness bound "-1s": it must not be negative`,
			`source "d": rate of -1 records a second: want 0 or more`}},
		{"sink", func(e *Env) {
			SinkTo(numbers(e), "a", nil)
			SinkTo(FromSlice(e, "bad", []bad{}), "b", &memorySink{})
		}, []string{
			`sink "a": no sink given`,
			`sink "b": map field "At" of type stream.bad to a schema: time.Time is not ` +
				`supported; use eventtime.Timestamp`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := NewEnv("job")
			c.build(e)
			_, planned := e.Plan()
			result, executed := e.Execute(t.Context())
			if planned == nil || executed == nil || result != nil {
				t.Fatalf("plan: %v; execute: %v, %v", planned, result, executed)
			}
			want := `stream: build job "` + e.Name() + `": ` + strings.Join(c.want, "\n")
			same(t, want, planned.Error())
			same(t, want, executed.Error())
			if _, err := e.Execute(t.Context()); err == nil ||
				!strings.Contains(err.Error(), "executed already") {
				t.Errorf("second execution: %v", err)
			}
		})
	}
}

type nobody struct{ counting[int64] }

func (*nobody) Process(*Context[int64], int64, Collector[int64]) error { return nil }

// Goal: names and uids cannot collide with the kinds Leat makes up for operators without uid.
// Method: uids that look like them.
func TestKinds(t *testing.T) {
	e := NewEnv("job")
	n := Generate(e, "#1", 1, func(i int64) int64 { return i })
	ForEach(Map(n, func(v int64) int64 { return v }).Named("Sink: named so"), "op#/1", ignore)
	plan, err := e.translate()
	must(t, err)
	same(t, "op#/1", plan.graph.Vertices[0].Operators[2].Uid)
}

// Goal: settings reach the run. Method: set all, read what a run gets.
func TestOptions(t *testing.T) {
	e := NewEnv("job")
	numbers(e)
	e.Set("state.checkpoints.dir", "/somewhere")
	e.Set("execution.checkpointing.interval", "5 s")
	e.Set("restart-strategy.fixed-delay.attempts", "7")
	e.Set("state.backend.type", "naive")
	e.Restore("latest")
	e.RequireState()
	e.AllowNonRestoredState()
	job, err := e.job()
	must(t, err)
	if job.CheckpointRoot != "/somewhere" || job.CheckpointInterval != 5*time.Second ||
		job.CheckpointTimeout != 10*time.Minute || job.Retained != 1 ||
		job.Restart.Attempts != 7 || job.Restart.Delay != time.Second ||
		job.Backend.Name() != "naive" || job.Restore != "latest" || !job.RequireState ||
		!job.AllowNonRestored || !e.Restored() || job.Name != "job" {
		t.Errorf("job %+v", job)
	}
	e.Set("restart-strategy.type", "off")
	e.Set("state.backend.type", "filesystem")
	if job, err = e.job(); err != nil || job.Restart.Attempts != 0 ||
		job.Backend.Name() != "hashmap" {
		t.Errorf("job %+v, %v", job, err)
	}
}

// TestSinkSchema checks that a sink of another schema is refused when the job is built, and a
// constructor that returns nothing too.
func TestSinkSchema(t *testing.T) {
	e := NewEnv("job")
	SinkTo(FromSlice(e, "ticks", []tick{{}}), "out", shapedSink{})
	Process(KeyBy(FromSlice(e, "more", []tick{{}}), func(tick) int64 { return 0 }), "none",
		func() KeyedProcessFunction[int64, tick, int64] { return nil })
	_, err := e.Plan()
	for _, want := range []string{
		`sink "out": it takes (`, "give it stream.SchemaOf", `process "none": its constructor`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Plan: %v, want %q in it", err, want)
		}
	}
}

// shapedSink takes rows of one other schema.
type shapedSink struct{ connector.Sink }

func (shapedSink) Schema() *types.Schema { return SchemaOf[struct{ Other bool }]() }
