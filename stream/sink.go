package stream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

// SinkTo writes the stream to a sink. What is written becomes visible when a checkpoint
// completes, exactly once, if the sink can do that. uid names the sink in checkpoints.
func SinkTo[T any](s *DataStream[T], uid string, sink connector.Sink) *Sink {
	codec, err := batch.CodecOf[T]()
	if err != nil {
		s.env.fault(fmt.Errorf("sink %q: %w", uid, err))
	}
	if shaped, ok := sink.(connector.Shaped); ok && err == nil &&
		!codec.Schema().Equal(shaped.Schema()) {
		s.env.fault(fmt.Errorf("sink %q: it takes %v, but %T is %v; give it stream.SchemaOf",
			uid, shaped.Schema(), *new(T), codec.Schema()))
	}
	if sink == nil {
		s.env.fault(fmt.Errorf("sink %q: no sink given", uid))
	}
	t := s.next("Sink: "+uid, sinkFactory[T]{sink: sink, codec: codec})
	t.uid, t.sink = uid, true
	if stateful, ok := sink.(StatefulSink); ok {
		s.env.keepOperatorState(t, declaredStates{stateful})
	}
	return &Sink{env: s.env, at: t}
}

// StatefulSink is implemented by a connector.Sink whose writers keep operator state: its
// connector.Writers implement CheckpointedFunction. SnapshotState of a writer is called after
// Prepare.
//
// Semantics: Flink's SupportsWriterState.
type StatefulSink interface {
	// DeclareState declares what InitializeState of every writer declares. It is called while
	// the graph is built, with a store that holds nothing.
	DeclareState(store *OperatorStateStore) error
}

// declaredStates is a StatefulSink as CheckpointedFunction, while the graph is built.
type declaredStates struct{ sink StatefulSink }

// InitializeState declares.
func (d declaredStates) InitializeState(store *OperatorStateStore) error {
	return d.sink.DeclareState(store)
}

// SnapshotState is not called.
func (declaredStates) SnapshotState(SnapshotContext) error { return nil }

// Sink is a handle on a sink within a graph.
type Sink struct {
	env *Env
	at  *transformation
}

// Parallelism sets the number of subtasks that write.
func (s *Sink) Parallelism(p int) *Sink {
	if p < 1 {
		s.env.fault(fmt.Errorf("set parallelism of %q to %d: want at least 1", s.at.name, p))
		return s
	}
	s.at.parallelism = p
	return s
}

type sinkFactory[T any] struct {
	sink  connector.Sink
	codec *batch.StructCodec[T]
}

// NewCommitter makes the committer of the sink.
func (f sinkFactory[T]) NewCommitter(
	ctx context.Context, env *connector.Env,
) (connector.Committer, error) {
	return f.sink.NewCommitter(ctx, env)
}

// New makes the sink operator of one subtask.
func (f sinkFactory[T]) New(
	env *operator.Env, _ []byte, _ any,
) (operator.Built, error) {
	s := &sink[T]{
		env: env, factory: f,
		columns: batch.New(f.codec.Schema(), batch.DefaultRows),
		items:   make([]T, 0, batch.DefaultRows),
		taken:   env.Counters.Counter(operator.CounterSinkRecords),
	}
	return operator.Built{
		Operator: s, Link: &operator.Link[T]{Record: s.record, Control: s},
	}, nil
}

// sink collects records into columns for its writer.
type sink[T any] struct {
	env     *operator.Env
	factory sinkFactory[T]
	ctx     context.Context // of the task, from Open to Close
	writer  connector.Writer
	columns *batch.Columns
	items   []T
	taken   *atomic.Uint64
	states  checkpointed // of the writer
}

// Open makes the writer and restores its operator state.
func (s *sink[T]) Open(ctx context.Context, restored operator.Restored) error {
	s.ctx = ctx
	writer, err := s.factory.sink.NewWriter(ctx, connectorEnv(s.env))
	s.writer = writer
	if err != nil {
		return err
	}
	s.states = checkpointedOf(s.env, writer)
	return s.states.open(restored)
}

func (s *sink[T]) record(v T, _ eventtime.Timestamp) {
	s.items = append(s.items, v)
	if len(s.items) == cap(s.items) {
		s.Flush()
	}
}

// Flush hands what is collected to the writer.
func (s *sink[T]) Flush() {
	if len(s.items) == 0 || s.env.Failure.Failed() {
		return
	}
	s.columns.Reset()
	s.factory.codec.Write(s.items, s.columns, 0)
	s.columns.Len = len(s.items)
	if err := s.writer.Write(s.ctx, s.columns, nil); err != nil {
		s.env.Failure.Set(fmt.Errorf("sink %q: write: %w", s.env.UID, err))
	}
	s.taken.Add(uint64(len(s.items)))
	clear(s.items)
	s.items = s.items[:0]
}

// Watermark does not concern a writer.
func (s *sink[T]) Watermark(eventtime.Timestamp) {}

// Status does not concern a writer.
func (s *sink[T]) Status(bool) {}

// EndOfData writes what is left; the final checkpoint makes it visible.
func (s *sink[T]) EndOfData() { s.Flush() }

// Snapshot prepares what was written for the commit of the checkpoint, then writes the
// writer's operator state.
func (s *sink[T]) Snapshot(ctx context.Context, b record.Barrier) (operator.State, error) {
	s.Flush()
	if err := s.env.Failure.Err(); err != nil {
		return operator.State{}, err
	}
	prepared, err := s.writer.Prepare(ctx, b.Checkpoint)
	if err != nil {
		var marked *fault.Error
		if !errors.As(err, &marked) {
			err = fault.External(err, fault.RetryLater)
		}
		return operator.State{}, fmt.Errorf("sink %q: prepare checkpoint %d: %w",
			s.env.UID, b.Checkpoint, err)
	}
	var state operator.State
	for _, c := range prepared {
		state.Committables = append(state.Committables, &protocol.Committable{
			Version: c.Version, Data: c.Data,
		})
	}
	state.List, err = s.states.snapshot(ctx, b)
	return state, err
}

// CheckpointComplete needs nothing: the committer acts on it.
func (s *sink[T]) CheckpointComplete(uint64) error { return nil }

// Close closes the writer, which drops what was not prepared.
func (s *sink[T]) Close() error {
	if s.writer == nil {
		return nil
	}
	return s.writer.Close()
}
