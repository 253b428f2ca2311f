package stream

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

var recordBarrier = record.Barrier{Checkpoint: 1}

// positions is restored state of a source.
func positions(elements ...string) operator.Restored {
	list := &protocol.NamedState{Name: positionState}
	for _, e := range elements {
		list.Elements = append(list.Elements, []byte(e))
	}
	return operator.Restored{Checkpoint: 1, List: []*protocol.NamedState{list}}
}

// memorySink keeps what is written to it.
type memorySink struct {
	codec                *batch.StructCodec[tick]
	open, write, prepare error
	written              []tick
	lengths              []int
	prepared             []uint64
	closed               int
}

func (s *memorySink) NewWriter(context.Context, *connector.Env) (connector.Writer, error) {
	if s.open != nil {
		return nil, s.open
	}
	return s, nil
}

func (s *memorySink) NewCommitter(context.Context, *connector.Env) (connector.Committer, error) {
	return nil, errUser
}

func (s *memorySink) Write(_ context.Context, rows *batch.Columns, sel []uint16) error {
	if s.write != nil {
		return s.write
	}
	var err error
	s.written, err = s.codec.Read(rows, sel, s.written)
	s.lengths = append(s.lengths, rows.Len)
	return err
}

func (s *memorySink) Prepare(_ context.Context, id uint64) ([]connector.Committable, error) {
	s.prepared = append(s.prepared, id)
	data := fmt.Sprint("up to ", len(s.written))
	return []connector.Committable{{Version: 4, Data: []byte(data)}, {Version: 5}}, s.prepare
}

func (s *memorySink) Close() error {
	s.closed++
	return nil
}

func newSink(t *testing.T) (*memorySink, *operator.Env, *operator.Link[tick], operator.Operator) {
	t.Helper()
	s := &memorySink{}
	var err error
	s.codec, err = batch.CodecOf[tick]()
	must(t, err)
	e, env := NewEnv("test"), envOf(0, 1)
	f := SinkTo(FromSlice[tick](e, "in", nil), "out", s).at.factory
	link, o := linkFrom[tick](t, f, env, nil)
	must(t, o.Open(t.Context(), operator.Restored{}))
	return s, env, link, o
}

// Goal: a sink writes full batches at once, the rest on a flush, before a checkpoint and at
// the end, and hands on what the writer prepared. Method: count what a writer is given.
func TestSink(t *testing.T) {
	s, env, link, o := newSink(t)
	var want []tick
	put := func(n int) {
		for range n {
			v := tick{Split: fmt.Sprint("split ", len(want)), N: int64(len(want))}
			want = append(want, v)
			link.Record(v, eventtime.None)
		}
	}
	put(1500)
	same(t, []int{1024}, s.lengths)
	o.(operator.Flusher).Flush()
	o.(operator.Flusher).Flush()
	same(t, []int{1024, 476}, s.lengths)
	put(3)
	link.Control.Watermark(5)
	link.Control.Status(true)
	state, err := o.Snapshot(t.Context(), record.Barrier{Checkpoint: 12})
	must(t, err)
	same(t, []int{1024, 476, 3}, s.lengths)
	same(t, []uint64{12}, s.prepared)
	same(t, 2, len(state.Committables))
	same(t, "up to 1503", string(state.Committables[0].Data))
	same(t, uint32(5), state.Committables[1].Version)
	put(1)
	link.Control.EndOfData()
	same(t, []int{1024, 476, 3, 1}, s.lengths)
	must(t, o.CheckpointComplete(12))
	must(t, o.Close())
	same(t, want, s.written)
	same(t, 1, s.closed)
	must(t, env.Failure.Err())
}

// Goal: an error of the writer fails the task, and nothing is written or prepared after it.
// Method: writers that fail.
func TestSinkFaults(t *testing.T) {
	s, env, link, o := newSink(t)
	s.write = errUser
	link.Record(tick{}, 0)
	if _, err := o.Snapshot(t.Context(), recordBarrier); !errors.Is(err, errUser) {
		t.Errorf("error %v", err)
	}
	if !errors.Is(env.Failure.Err(), errUser) || s.prepared != nil {
		t.Errorf("failure %v, prepared %v", env.Failure.Err(), s.prepared)
	}
	must(t, o.Close())

	s, _, _, o = newSink(t)
	s.prepare = errUser
	_, err := o.Snapshot(t.Context(), recordBarrier)
	if !errors.Is(err, errUser) || fault.DomainOf(err) != fault.DomainExternal ||
		fault.RetryOf(err) != fault.RetryLater ||
		err.Error() != `sink "uid": prepare checkpoint 1: no such number` {
		t.Errorf("error %v", err)
	}
	must(t, o.Close())

	f := sinkFactory[tick]{sink: &memorySink{open: errUser}, codec: s.codec}
	_, o = linkFrom[tick](t, f, envOf(0, 1), nil)
	if err := o.Open(t.Context(), operator.Restored{}); err != errUser {
		t.Errorf("error %v", err)
	}
	must(t, o.Close())
	if _, err := f.NewCommitter(t.Context(), nil); err != errUser {
		t.Errorf("committer: %v", err)
	}
}
