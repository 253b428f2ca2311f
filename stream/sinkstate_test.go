package stream_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/stream"
)

// countingWriters is a sink whose writers count the rows in operator state.
type countingWriters struct {
	mu      sync.Mutex
	writers []*countingWriter
	closed  int
}

// DeclareState declares what a writer does.
func (s *countingWriters) DeclareState(store *stream.OperatorStateStore) error {
	return (&countingWriter{}).InitializeState(store)
}

func (s *countingWriters) NewWriter(context.Context, *connector.Env) (connector.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers = append(s.writers, &countingWriter{})
	return s.writers[len(s.writers)-1], nil
}

func (s *countingWriters) NewCommitter(
	context.Context, *connector.Env,
) (connector.Committer, error) {
	return nil, nil
}

type countingWriter struct {
	rows     int64
	prepared bool
	list     *stream.ListState[int64]
}

func (w *countingWriter) InitializeState(store *stream.OperatorStateStore) error {
	w.list = stream.DeclareListState[int64](store, "rows")
	for n := range w.list.All() {
		w.rows += n
	}
	return nil
}

func (w *countingWriter) SnapshotState(stream.SnapshotContext) error {
	if !w.prepared {
		return errors.New("snapshot before the writer has prepared")
	}
	w.prepared = false
	w.list.Update([]int64{w.rows})
	return nil
}

func (w *countingWriter) Write(_ context.Context, c *batch.Columns, _ []uint16) error {
	w.rows += int64(c.Len)
	return nil
}

func (w *countingWriter) Prepare(context.Context, uint64) ([]connector.Committable, error) {
	w.prepared = true
	return nil, nil
}

func (w *countingWriter) Close() error { return nil }

// silentWriters is countingWriters which does not declare.
type silentWriters struct{ connector.Sink }

// Goal: the writers of a sink keep operator state, which the sink declares; one that does not
// is refused. Method: count rows, stop, continue at another parallelism.
func TestSinkWriterState(t *testing.T) {
	a := newAttack()
	sink := &countingWriters{}
	run := func(to connector.Sink) (*stream.Result, error) {
		sink.writers = nil
		e := a.configure()
		numbers := stream.TryMap(a.source(t, e), func(n number) (number, error) {
			return n, a.called()
		})
		stream.SinkTo(numbers, "out", to)
		return e.Execute(t.Context())
	}
	a.stopAt(a.numbers / 3)
	if r, err := run(sink); err != nil || r.Status == "FAILED" {
		t.Fatalf("%+v, %v", r, err)
	}
	a.undisturbed()
	a.parallelism = 3
	if r, err := run(sink); err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	rows := int64(0)
	for _, w := range sink.writers {
		rows += w.rows
	}
	if rows != a.numbers || len(sink.writers) != 3 {
		t.Errorf("%d writers counted %d rows, want %d", len(sink.writers), rows, a.numbers)
	}
	a.restore = ""
	_, err := run(silentWriters{sink})
	want := "it declares [rows], and declared [] when the graph was built"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nwant %q in it", err, want)
	}
}
