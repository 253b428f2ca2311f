package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

// Functions as objects: each subtask has its own instance, made by a constructor and used by
// one goroutine. One that implements CheckpointedFunction keeps operator state, and needs a
// uid; one that implements io.Closer is closed when its task ends.

// MapFunction makes one record of one record. An error fails the task.
type MapFunction[T, R any] interface {
	Map(value T) (R, error)
}

// FlatMapFunction makes any number of records of one record. An error fails the task.
type FlatMapFunction[T, R any] interface {
	FlatMap(value T, out Collector[R]) error
}

// ProcessFunction handles records one by one. An error fails the task.
//
// Semantics: Flink's ProcessFunction on a stream that is not keyed, which has no timers.
type ProcessFunction[T, R any] interface {
	Process(ctx *ProcessContext, value T, out Collector[R]) error
}

// SinkFunction takes the records at the end of a stream. An error fails the task.
//
// Semantics: Flink's SinkFunction: at least once, unless it keeps what it has not written as
// operator state.
type SinkFunction[T any] interface {
	Invoke(ctx *ProcessContext, value T) error
}

// MapWith applies a function object to every record. uid names its state in checkpoints for
// ever; it may be empty for a function without.
func MapWith[T, R any](
	s *DataStream[T], uid string, create func() MapFunction[T, R],
) *DataStream[R] {
	return withFunction(s, uid, "Map", create,
		func(f MapFunction[T, R], _ *ProcessContext, v T, out Collector[R]) error {
			r, err := f.Map(v)
			if err == nil {
				out.Collect(r)
			}
			return err
		})
}

// FlatMapWith is MapWith for a function that makes any number of records.
func FlatMapWith[T, R any](
	s *DataStream[T], uid string, create func() FlatMapFunction[T, R],
) *DataStream[R] {
	return withFunction(s, uid, "FlatMap", create,
		func(f FlatMapFunction[T, R], _ *ProcessContext, v T, out Collector[R]) error {
			return f.FlatMap(v, out)
		})
}

// ProcessWith is MapWith for a function that makes any number of records, knows times and
// emits to side outputs.
func ProcessWith[T, R any](
	s *DataStream[T], uid string, create func() ProcessFunction[T, R],
) *DataStream[R] {
	return withFunction(s, uid, "Process", create,
		func(f ProcessFunction[T, R], ctx *ProcessContext, v T, out Collector[R]) error {
			return f.Process(ctx, v, out)
		})
}

// ForEachWith gives every record to a function object and ends the stream there. uid names the
// sink.
func ForEachWith[T any](s *DataStream[T], uid string, create func() SinkFunction[T]) *Sink {
	end := withFunction(s, uid, sinkName, create,
		func(f SinkFunction[T], ctx *ProcessContext, v T, _ Collector[struct{}]) error {
			return f.Invoke(ctx, v)
		})
	return &Sink{env: s.env, at: end.at}
}

// withFunction adds the operator of a function object F.
func withFunction[F, T, R any](
	s *DataStream[T], uid, name string, create func() F,
	call func(f F, ctx *ProcessContext, v T, out Collector[R]) error,
) *DataStream[R] {
	sink := name == sinkName
	if uid != "" || sink {
		name += ": " + uid
	}
	t := s.next(name, functionFactory[F, T, R]{create: create, call: call, sink: sink})
	t.uid, t.sink = uid, sink
	s.env.tryFunction(t, create())
	return newStream[R](s.env, t)
}

const sinkName = "Sink"

// tryFunction learns what a function object keeps.
func (e *Env) tryFunction(
	step *transformation, function any, declare ...BroadcastDeclaration,
) {
	if isNil(function) {
		e.fault(fmt.Errorf("%q: %w", step.name, errNoFunction))
		return
	}
	e.keepOperatorState(step, function, declare...)
	e.closeTried(step, function)
}

// closeTried closes a function object that was only made to learn what it keeps.
func (e *Env) closeTried(step *transformation, function any) {
	if err := closeFunction(function); err != nil {
		e.fault(fmt.Errorf("%q: close: %w", step.name, err))
	}
}

// closeFunction closes a function object that can be closed.
func closeFunction(function any) error {
	if c, ok := original(function).(io.Closer); ok {
		return c.Close()
	}
	return nil
}

var errNoFunction = errors.New("its constructor returns nil")

// isNil reports whether a constructor returned nothing.
func isNil(function any) bool { return function == nil }

// ProcessContext tells a function about the record it handles. It is valid during the call.
type ProcessContext struct {
	env       *operator.Env
	timestamp eventtime.Timestamp
	watermark eventtime.Timestamp
	states    *OperatorStateStore
}

// Timestamp returns the event time of the record, eventtime.None when it has none.
func (c *ProcessContext) Timestamp() eventtime.Timestamp { return c.timestamp }

// Watermark returns the current watermark, eventtime.None before the first of this run.
func (c *ProcessContext) Watermark() eventtime.Timestamp { return c.watermark }

// CurrentProcessingTime returns the time of the machine, in milliseconds.
func (c *ProcessContext) CurrentProcessingTime() eventtime.Timestamp {
	return eventtime.FromTime(c.env.Clock.Now())
}

// Subtask returns the number of the subtask, from 0, and how many there are.
func (c *ProcessContext) Subtask() (number, of int) { return c.env.Subtask, c.env.Parallelism }

// side implements SideContext.
func (c *ProcessContext) side() (*operator.Env, eventtime.Timestamp) {
	return c.env, c.timestamp
}

type functionFactory[F, T, R any] struct {
	create func() F
	call   func(f F, ctx *ProcessContext, v T, out Collector[R]) error
	sink   bool // count what is taken
}

// New makes the operator of one subtask.
func (m functionFactory[F, T, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, f, call := linkOf[R](next), m.create(), m.call
	if isNil(f) {
		return operator.Built{}, userFault(env, errNoFunction)
	}
	o := newFunction(env, f, out.Control)
	if m.sink {
		o.taken = env.Counters.Counter(operator.CounterSinkRecords)
	}
	collecting := &collecting[R]{record: out.Record}
	failure, ctx := env.Failure, &o.context
	return operator.Built{Operator: o, Link: &operator.Link[T]{
		Record: func(v T, ts eventtime.Timestamp) {
			o.count++
			ctx.timestamp, collecting.ts = ts, ts
			if err := call(f, ctx, v, Collector[R]{collecting}); err != nil {
				failure.Set(userFault(env, err))
			}
		},
		Control: o,
	}}, nil
}

func newFunction(
	env *operator.Env, f any, next operator.Control, declare ...BroadcastDeclaration,
) *function {
	o := &function{
		next: next, states: checkpointedOf(env, f, declare...), of: original(f),
		context: ProcessContext{env: env, watermark: eventtime.None},
		taken:   new(atomic.Uint64),
	}
	o.context.states = &o.states.store
	return o
}

// function is the operator of a function object, in the middle or at the end of a chain, and
// the common part of heads that call one.
type function struct {
	next    operator.Control
	states  checkpointed
	of      any
	context ProcessContext
	count   uint64         // since the last Flush
	taken   *atomic.Uint64 // of all sinks of the task, if this is one
}

// Flush publishes the count.
func (o *function) Flush() {
	o.taken.Add(o.count)
	o.count = 0
}

// Open restores operator state.
func (o *function) Open(_ context.Context, restored operator.Restored) error {
	return o.states.open(restored)
}

// Snapshot writes operator state.
func (o *function) Snapshot(ctx context.Context, b record.Barrier) (operator.State, error) {
	var list []*protocol.NamedState
	list, err := o.states.snapshot(ctx, b)
	return operator.State{List: list}, err
}

// CheckpointComplete needs nothing.
func (o *function) CheckpointComplete(uint64) error { return nil }

// Close closes the function.
func (o *function) Close() error { return closeFunction(o.of) }

// Watermark notes the watermark and passes it on.
func (o *function) Watermark(ts eventtime.Timestamp) {
	o.context.watermark = ts
	o.next.Watermark(ts)
}

// Status passes the status on.
func (o *function) Status(idle bool) { o.next.Status(idle) }

// EndOfData publishes the count and passes the end on.
func (o *function) EndOfData() {
	o.Flush()
	o.next.EndOfData()
}
