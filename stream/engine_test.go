package stream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/connector/file"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	formatjson "github.com/leat-io/leat/format/json"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// The job under attack: numbers, counted by key with state that is cleared now and then, to
// one sink, and summed per bucket and window to another. Each number must come out of the
// first exactly once, each key's counts must be 1, 2, 3, ..., each window must be exact.
type (
	number struct{ ID, Key int64 }
	// counted is a number with the count of its key.
	counted struct{ ID, Key, Count int64 }
	// sum is of the numbers of a bucket in a window.
	sum struct{ Bucket, Start, Count, Sum int64 }
)

const (
	clearAt = 5 // the count at which the state of a key is cleared
	buckets = 13
	padding = "state that is too large to lie in the metadata of a checkpoint"
)

// attack is a job and what is done to it.
type attack struct {
	files                 *filesystem.Registry
	root                  string // of checkpoints
	numbers, keys         int64
	window                time.Duration
	rate                  int
	parallelism, retained int
	attempts              int // restarts
	interval, backend     string
	tolerable             int
	fromFile              bool
	restore               string
	name                  string            // of the job; "" = attacked
	written               bool              // the input
	adjust                func(*stream.Env) // the environment, last; may be nil
	// quiet is where the test looks for itself, when files has planted faults.
	quiet *filesystem.Registry

	calls atomic.Int64           // of user functions
	fail  map[int64]func() error // by number of the call
	stop  chan struct{}
}

func newAttack() *attack {
	return &attack{
		files: filesystem.NewRegistry(mem.New(mem.Options{})), root: "mem://test/checkpoints",
		numbers: 6000, keys: 1500, window: 300 * time.Millisecond, rate: 30000,
		parallelism: 2, retained: 1, interval: "3 ms", backend: "hashmap",
	}
}

func (a *attack) called() error {
	if f := a.fail[a.calls.Add(1)]; f != nil {
		return f()
	}
	return nil
}

// stopAt makes the job stop when user functions have been called so often.
func (a *attack) stopAt(call int64) {
	stop := make(chan struct{})
	a.calls.Store(0)
	a.stop = stop
	a.fail = map[int64]func() error{call: func() error { close(stop); return nil }}
}

// undisturbed makes the next run go to its end.
func (a *attack) undisturbed() {
	a.fail, a.stop, a.rate, a.restore, a.attempts = nil, nil, 0, "latest", 0
}

// counter is the state of a key.
type counter struct {
	attack *attack
	count  state.Value[int64]
	text   state.Value[string]
}

func (c *counter) Open(d *state.Declarations) error {
	c.count = state.DeclareValue[int64](d, "count")
	c.text = state.DeclareValue[string](d, "text")
	return nil
}

func textOf(key, count int64) string { return fmt.Sprint(key, " ", count, " ", padding) }

func (c *counter) Process(
	_ *stream.Context[int64], n number, out stream.Collector[counted],
) error {
	count, _ := c.count.Get()
	if text, ok := c.text.Get(); ok != (count > 0) || ok && text != textOf(n.Key, count) {
		return fmt.Errorf("key %d has count %d and text %q", n.Key, count, text)
	}
	count++
	out.Collect(counted{n.ID, n.Key, count})
	if count == clearAt {
		c.count.Clear()
		c.text.Clear()
	} else {
		c.count.Set(count)
		c.text.Set(textOf(n.Key, count))
	}
	return c.attack.called()
}

func (a *attack) keyOf(id int64) int64 { return id * 7919 % a.keys }

func (a *attack) configure() *stream.Env {
	name := a.name
	if name == "" {
		name = "attacked"
	}
	e := stream.NewEnv(name)
	e.SetFiles(a.files)
	e.SetParallelism(a.parallelism)
	e.Restore(a.restore)
	if a.stop != nil {
		e.StopOn(a.stop)
	}
	e.Set("execution.checkpointing.dir", a.root)
	e.Set("execution.checkpointing.interval", a.interval)
	e.Set("execution.checkpointing.num-retained", fmt.Sprint(a.retained))
	e.Set("execution.checkpointing.tolerable-failed-checkpoints", fmt.Sprint(a.tolerable))
	e.Set("state.backend.type", a.backend)
	e.Set("restart-strategy.type", "none")
	if a.attempts > 0 {
		e.Set("restart-strategy.type", "fixed-delay")
		e.Set("restart-strategy.fixed-delay.attempts", fmt.Sprint(a.attempts))
		e.Set("restart-strategy.fixed-delay.delay", "1 ms")
	}
	if a.adjust != nil {
		a.adjust(e)
	}
	return e
}

func (a *attack) source(t *testing.T, e *stream.Env) *stream.DataStream[number] {
	options := []stream.SourceOption[number]{
		stream.WithRate[number](a.rate),
		stream.WithEventTime(
			func(n number) eventtime.Timestamp { return eventtime.Timestamp(n.ID) },
			eventtime.MonotonousTimestamps()),
	}
	if !a.fromFile {
		return stream.Generate(e, "numbers", a.numbers,
			func(i int64) number { return number{i, a.keyOf(i)} }, options...)
	}
	source, err := file.NewSource(file.SourceOptions{
		Paths: []string{a.writeInput(t)}, Format: formatjson.New(formatjson.Options{}),
		Schema: stream.SchemaOf[number](), SplitBytes: 10000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return stream.From(e, "numbers", source, options...)
}

// writeInput writes the numbers to a file, once.
func (a *attack) writeInput(t *testing.T) string {
	const uri = "mem://test/input.json"
	if a.written {
		return uri
	}
	a.written = true
	files, p, err := a.files.Resolve(uri)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for i := range a.numbers {
		fmt.Fprintf(&b, "{\"id\":%d,\"key\":%d}\n", i, a.keyOf(i))
	}
	if err := filesystem.WriteFile(t.Context(), files, p, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	return uri
}

func sinkFor[T any](t *testing.T, dir string) *file.Sink {
	t.Helper()
	s, err := file.NewSink(file.SinkOptions{
		Dir: "mem://test/" + dir, Format: formatjson.New(formatjson.Options{}),
		Schema: stream.SchemaOf[T](),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run builds the job anew and runs it to its end.
func (a *attack) run(t *testing.T, ctx context.Context) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	looked := stream.TryMap(a.source(t, e), func(n number) (number, error) {
		return n, a.called()
	})
	counts := stream.Process(
		stream.KeyBy(looked, func(n number) int64 { return n.Key }), "counts",
		func() stream.KeyedProcessFunction[int64, number, counted] {
			return &counter{attack: a}
		})
	stream.SinkTo(counts, "counted", sinkFor[counted](t, "counted"))
	sums := stream.Aggregate(stream.Tumbling(
		stream.KeyBy(counts, func(c counted) int64 { return c.ID % buckets }),
		a.window), "windows",
		stream.AggregatorFunc[counted, sum](func(s *sum, c counted) { s.Count++; s.Sum += c.ID }),
		func(bucket int64, w stream.Window, s *sum) sum {
			return sum{bucket, int64(w.Start), s.Count, s.Sum}
		})
	stream.SinkTo(sums, "sums", sinkFor[sum](t, "sums"))
	return e.Execute(ctx)
}

// mustEnd runs the job and fails the test unless it ends with a status.
func (a *attack) mustEnd(t *testing.T, status string) *stream.Result {
	t.Helper()
	r, err := a.run(t, t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != status {
		t.Fatalf("status %s, want %s", r.Status, status)
	}
	return r
}

// mustStop runs a job that is to stop. On a slow machine it may come to its end before it
// has stopped: then it continues with nothing left, from a checkpoint all the same.
func (a *attack) mustStop(t *testing.T) {
	t.Helper()
	r, err := a.run(t, t.Context())
	if err != nil || r.Status != "SUSPENDED" && r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
}

// rowsOf counts the rows in the visible files of a directory.
func rowsOf[T comparable](t *testing.T, a *attack, dir string) map[T]int {
	t.Helper()
	files, p, err := a.files.Resolve("mem://test/" + dir)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[T]int{}
	for e, err := range files.List(context.Background(), p, true) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := filesystem.ReadFile(context.Background(), files, e.Path)
		if err != nil {
			t.Fatal(err)
		}
		for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
			var row T
			if err := d.Decode(&row); err != nil {
				t.Fatalf("%s: %v", e.Path, err)
			}
			rows[row]++
		}
	}
	return rows
}

// check compares the output with what is computed here.
func (a *attack) check(t *testing.T) {
	t.Helper()
	type pair struct{ a, b int64 }
	wantIDs, wantCounts, wantSums := map[int64]int{}, map[pair]int{}, map[sum]int{}
	window := a.window.Milliseconds()
	counts, sums := map[int64]int64{}, map[pair]*sum{}
	for id := range a.numbers {
		wantIDs[id]++
		key := a.keyOf(id)
		counts[key]++
		wantCounts[pair{key, counts[key]}]++
		if counts[key] == clearAt {
			counts[key] = 0
		}
		at := pair{id % buckets, id / window * window}
		if sums[at] == nil {
			sums[at] = &sum{Bucket: at.a, Start: at.b}
		}
		sums[at].Count++
		sums[at].Sum += id
	}
	for _, s := range sums {
		wantSums[*s]++
	}
	gotIDs, gotCounts := map[int64]int{}, map[pair]int{}
	for row, n := range rowsOf[counted](t, a, "counted") {
		gotIDs[row.ID] += n
		gotCounts[pair{row.Key, row.Count}] += n
	}
	different(t, "numbers", wantIDs, gotIDs)
	different(t, "counts", wantCounts, gotCounts)
	different(t, "sums", wantSums, rowsOf[sum](t, a, "sums"))
}

// different reports rows that are missing, too many or wrong, a few of them.
func different[K comparable](t *testing.T, what string, want, got map[K]int) {
	t.Helper()
	if maps.Equal(want, got) {
		return
	}
	lines := strings.Split(cmp.Diff(want, got), "\n")
	t.Errorf("%s differ:\n%s", what, strings.Join(lines[:min(len(lines), 12)], "\n"))
}

// newest returns the newest checkpoint and checks that every file it refers to is beside it.
func (a *attack) newest(t *testing.T) *store.Found {
	t.Helper()
	files := a.files
	if a.quiet != nil {
		files = a.quiet
	}
	s, err := store.Open(t.Context(), files, a.root, "attacked")
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Latest(t.Context())
	if errors.Is(err, store.ErrNoCheckpoint) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for reference := range found.Meta.Files {
		if _, err := found.FS.Stat(t.Context(), path.Join(found.Dir, reference)); err != nil {
			t.Errorf("checkpoint %d: %v", found.Meta.Header.CheckpointId, err)
		}
	}
	return found
}
