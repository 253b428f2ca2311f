package mini_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// item is what the test job works on: Number counts, Key is what it is counted by.
type item struct{ Key, Number int64 }

// keys is how many keys there are: Number modulo keys.
const keys = 7

// numbers is a bounded source of 0..perSplit*splits-1 with an enumerator, which stops before
// number holdAt (negative: never) until hold is closed.
type numbers struct {
	splits, perSplit int64
	holdAt           int64
	hold             chan struct{}
	dry              int    // calls of the enumerator that find nothing yet
	next             func() // called by Next of the enumerator; may be nil
	snapshot         func() // called by Snapshot of readers; may be nil
}

func (s *numbers) Schema() *types.Schema { return stream.SchemaOf[item]() }
func (s *numbers) Bounded() bool         { return true }

func (s *numbers) NewEnumerator(
	_ context.Context, _ *connector.Env, restored []byte,
) (connector.Enumerator, error) {
	e := &numberSplits{source: s}
	if restored != nil {
		e.next = int64(binary.LittleEndian.Uint64(restored))
	}
	return e, nil
}

func (s *numbers) NewReader(context.Context, *connector.Env) (connector.Reader, error) {
	return &numberReader{source: s}, nil
}

type numberSplits struct {
	source *numbers
	next   int64
}

func (e *numberSplits) Next(int) (connector.Split, bool, bool, error) {
	if e.source.next != nil {
		e.source.next()
	}
	if e.source.dry > 0 {
		e.source.dry--
		return connector.Split{}, false, false, nil
	}
	if e.next == e.source.splits {
		return connector.Split{}, false, true, nil
	}
	from := e.next * e.source.perSplit
	split := numberRange{e.next, from, from + e.source.perSplit}.split()
	e.next++
	return split, true, false, nil
}
func (e *numberSplits) Return([]connector.Split) {}
func (e *numberSplits) Snapshot() ([]byte, error) {
	return binary.LittleEndian.AppendUint64(nil, uint64(e.next)), nil
}
func (e *numberSplits) Close() error { return nil }

type numberRange struct{ ID, From, To int64 }

func (r numberRange) split() connector.Split {
	data, _ := json.Marshal(r)
	return connector.Split{ID: fmt.Sprint(r.ID), Version: 1, Data: data}
}

type numberReader struct {
	source *numbers
	ranges []numberRange
}

func (r *numberReader) AddSplit(s connector.Split) error {
	var n numberRange
	if err := json.Unmarshal(s.Data, &n); err != nil {
		return err
	}
	r.ranges = append(r.ranges, n)
	return nil
}

func (r *numberReader) Poll(_ context.Context, out *batch.Columns) (connector.Polled, error) {
	for i := range r.ranges {
		n := &r.ranges[i]
		if n.From == n.To {
			continue
		}
		for out.Len < 10 && n.From < n.To {
			if r.held(n.From) {
				break
			}
			out.Columns[0].Int64[out.Len] = n.From % keys
			out.Columns[1].Int64[out.Len] = n.From
			out.Len++
			n.From++
		}
		if out.Len == 0 {
			return connector.Polled{Status: connector.Wait, Split: i}, nil
		}
		return connector.Polled{Status: connector.More, Split: i, Ended: n.From == n.To}, nil
	}
	return connector.Polled{Status: connector.NeedSplit}, nil
}

func (r *numberReader) held(n int64) bool {
	if r.source.holdAt < 0 || n < r.source.holdAt {
		return false
	}
	select {
	case <-r.source.hold:
		return false
	default:
		return true
	}
}
func (r *numberReader) Ready() <-chan struct{} { return r.source.hold }
func (r *numberReader) Snapshot() ([]connector.Split, error) {
	if r.source.snapshot != nil {
		r.source.snapshot()
	}
	var out []connector.Split
	for _, n := range r.ranges {
		if n.From < n.To {
			out = append(out, n.split())
		}
	}
	return out, nil
}
func (r *numberReader) Close() error { return nil }

// counted is what the job puts out: the Count-th record of a key.
type counted struct{ Key, Count int64 }

// ledger is a sink that publishes into memory. It outlives jobs and processes.
type ledger struct {
	mu        sync.Mutex
	published map[string][]counted // by committable
	commits   []uint64
	cleaned   int
	written   chan struct{}                 // closed by the first Write; may be nil
	onCommit  func(checkpoint uint64) error // may be nil; no lock is held
	onClose   func() error                  // of writers; may be nil
}

func (l *ledger) NewWriter(_ context.Context, env *connector.Env) (connector.Writer, error) {
	return &ledgerWriter{ledger: l, env: env}, nil
}

func (l *ledger) NewCommitter(context.Context, *connector.Env) (connector.Committer, error) {
	return ledgerCommitter{l}, nil
}

// rows returns everything published, sorted.
func (l *ledger) rows() []counted {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []counted
	for _, id := range slices.Sorted(maps.Keys(l.published)) {
		out = append(out, l.published[id]...)
	}
	slices.SortFunc(out, func(a, b counted) int {
		if a.Key != b.Key {
			return int(a.Key - b.Key)
		}
		return int(a.Count - b.Count)
	})
	return out
}

type ledgerWriter struct {
	ledger *ledger
	env    *connector.Env
	rows   []counted
}

func (w *ledgerWriter) Write(_ context.Context, rows *batch.Columns, selection []uint16) error {
	w.ledger.mu.Lock()
	if w.ledger.written != nil {
		close(w.ledger.written)
		w.ledger.written = nil
	}
	w.ledger.mu.Unlock()
	for i := range rows.Len {
		w.rows = append(w.rows, counted{rows.Columns[0].Int64[i], rows.Columns[1].Int64[i]})
	}
	return nil
}

// prepared is a committable.
type prepared struct {
	ID   string
	Rows []counted
}

func (w *ledgerWriter) Prepare(
	_ context.Context, checkpoint uint64,
) ([]connector.Committable, error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	id := w.env.Identity
	data, err := json.Marshal(prepared{
		ID: fmt.Sprintf("%s-%03d-%03d-%d-%d", id.Lineage, id.Generation, checkpoint,
			id.Attempt, w.env.Subtask),
		Rows: w.rows,
	})
	w.rows = nil
	return []connector.Committable{{Version: 1, Data: data}}, err
}
func (w *ledgerWriter) Close() error {
	if w.ledger.onClose != nil {
		return w.ledger.onClose()
	}
	return nil
}

type ledgerCommitter struct{ ledger *ledger }

func (c ledgerCommitter) Commit(
	_ context.Context, checkpoint uint64, committables []connector.Committable,
) error {
	if c.ledger.onCommit != nil {
		if err := c.ledger.onCommit(checkpoint); err != nil {
			return err
		}
	}
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	if c.ledger.published == nil {
		c.ledger.published = map[string][]counted{}
	}
	for _, committable := range committables {
		var p prepared
		if err := json.Unmarshal(committable.Data, &p); err != nil {
			return err
		}
		c.ledger.published[p.ID] = p.Rows
	}
	c.ledger.commits = append(c.ledger.commits, checkpoint)
	return nil
}
func (c ledgerCommitter) Abort(context.Context, []connector.Committable) error { return nil }
func (c ledgerCommitter) CleanUp(context.Context) error {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	c.ledger.cleaned++
	return nil
}
func (c ledgerCommitter) Close() error { return nil }

// counter counts the records of each key.
type counter struct{ count state.Value[int64] }

func (c *counter) Open(d *state.Declarations) error {
	c.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (c *counter) Process(
	ctx *stream.Context[int64], _ item, out stream.Collector[counted],
) error {
	n, _ := c.count.Get()
	c.count.Set(n + 1)
	out.Collect(counted{ctx.Key(), n + 1})
	return nil
}

// job is the test job on a store: numbers -> look -> count by key -> ledger.
type job struct {
	env    *stream.Env
	source *numbers
	sink   *ledger
	// look sees every item on its way; may be nil.
	look func(item) (item, error)
	log  *logText
}

// newStore returns a store in memory with a registry around it.
func newStore() *filesystem.Registry {
	return filesystem.NewRegistry(mem.New(mem.Options{}))
}

func newJob(t *testing.T, files *filesystem.Registry, source *numbers, sink *ledger) *job {
	t.Helper()
	e := stream.NewEnv("count")
	e.SetFiles(files)
	dir := "mem://test/checkpoints"
	if _, _, err := files.Resolve(dir); err != nil {
		dir = "checkpoints" // The working directory of a test on the local store is its own.
	}
	e.Set("execution.checkpointing.dir", dir)
	e.Set("execution.checkpointing.interval", "0")
	e.Set("restart-strategy.type", "none")
	log := &logText{t: t}
	e.SetLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return &job{env: e, source: source, sink: sink, log: log}
}

// logText keeps what a job logs, and shows it when the test fails.
type logText struct {
	t    *testing.T
	mu   sync.Mutex
	text strings.Builder
}

func (w *logText) Write(b []byte) (int, error) {
	w.t.Logf("%s", b)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *logText) says(message string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.text.String(), message)
}

func (j *job) build() *job {
	items := stream.From[item](j.env, "numbers", j.source)
	look := j.look
	if look == nil {
		look = func(i item) (item, error) { return i, nil }
	}
	looked := stream.TryMap(items, look)
	keyed := stream.KeyBy(looked, func(i item) int64 { return i.Key })
	counts := stream.Process[int64, item, counted](keyed, "counter",
		func() stream.KeyedProcessFunction[int64, item, counted] { return &counter{} })
	stream.SinkTo(counts, "ledger", connector.Sink(j.sink))
	return j
}

// want is what the ledger must hold after n numbers.
func want(n int64) []counted {
	var out []counted
	for k := range int64(keys) {
		for c := int64(1); (c-1)*keys+k < n; c++ {
			out = append(out, counted{k, c})
		}
	}
	return out
}

func (j *job) checkRows(t *testing.T, n int64) {
	t.Helper()
	if diff := cmp.Diff(want(n), j.sink.rows()); diff != "" {
		t.Errorf("published rows (-want +got):\n%s", diff)
	}
}
