package stream

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state"
)

// Window is a span of event time from Start up to but not including End.
type Window struct {
	Start, End eventtime.Timestamp
}

// String returns "[start, end)".
func (w Window) String() string { return fmt.Sprintf("[%v, %v)", w.Start, w.End) }

// WindowedStream is a keyed stream cut into windows.
type WindowedStream[K, T any] struct {
	keyed        *KeyedStream[K, T]
	size, offset int64 // milliseconds
}

// Tumbling cuts a keyed stream into windows of a fixed size that do not overlap, aligned to
// the Unix epoch plus offset (UTC): Tumbling(k, 24*time.Hour, -9*time.Hour) are the days of
// Tokyo. size is at least a millisecond, offset smaller than size in either direction.
//
// Semantics: Flink's TumblingEventTimeWindows.
func Tumbling[K, T any](
	k *KeyedStream[K, T], size time.Duration, offset ...time.Duration,
) *WindowedStream[K, T] {
	w := &WindowedStream[K, T]{keyed: k, size: size.Milliseconds()}
	for _, o := range offset {
		w.offset += o.Milliseconds()
	}
	if w.size < 1 || w.offset <= -w.size || w.offset >= w.size {
		k.env.fault(fmt.Errorf(
			"tumbling windows of %v at offset %d ms: want a size of at least 1 ms and an offset "+
				"within it", size, w.offset))
		w.size, w.offset = 1, 0
	}
	return w
}

// kind describes the state of the windows in checkpoints. A pane is named by the end of its
// window alone, so that size and offset are part of what must not change: the records of
// another size would go into panes that happen to end with theirs.
func (w *WindowedStream[K, T]) kind() string {
	offset := (w.offset%w.size + w.size) % w.size
	return fmt.Sprintf("window-aggregate(%d ms, offset %d ms)", w.size, offset)
}

// Aggregator folds the records of a window into an accumulator A. It must not change itself:
// all subtasks share it. A is a struct of bools, numbers, strings, []byte and
// eventtime.Timestamp; it starts as its zero value.
//
// Semantics: the add half of Flink's AggregateFunction; the result half is the emit function
// of Aggregate.
type Aggregator[T, A any] interface {
	Add(acc *A, value T)
}

// AggregatorFunc is a function as Aggregator.
type AggregatorFunc[T, A any] func(acc *A, value T)

// Add calls f.
func (f AggregatorFunc[T, A]) Add(acc *A, value T) { f(acc, value) }

// Aggregate folds the records of every key and window, and when the watermark passes the end
// of a window emits one result, with the window's last millisecond as its timestamp. Records
// of a window that was emitted already are late: they are dropped and counted as
// "numLateRecordsDropped". A record without event time fails the task. uid names the state in
// checkpoints for ever.
func Aggregate[K, T, A, R any](
	w *WindowedStream[K, T], uid string, aggregator Aggregator[T, A],
	emit func(key K, window Window, acc *A) R,
) *DataStream[R] {
	k := w.keyed
	codec, err := state.NewCodec[A]()
	if err != nil {
		k.env.fault(fmt.Errorf("aggregate %q: accumulator: %w", uid, err))
	}
	t := k.next(uid, "TumblingWindow: "+uid, windowFactory[K, T, A, R]{
		windowed: w, aggregator: aggregator, emit: emit, codec: codec,
	})
	if err == nil {
		t.descriptors = []*protocol.StateDescriptor{{
			Name: "window-contents", Kind: w.kind(), KeySchema: k.name,
			ValueSchema: codec.Layout().Describe(), HashId: 1,
		}}
	}
	return newStream[R](k.env, t)
}

type windowFactory[K, T, A, R any] struct {
	windowed   *WindowedStream[K, T]
	aggregator Aggregator[T, A]
	emit       func(K, Window, *A) R
	codec      *state.Codec[A]
}

// New makes the operator of one subtask.
func (f windowFactory[K, T, A, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, k := linkOf[R](next), f.windowed.keyed
	o := &windowAggregate[K, T, A, R]{
		windowFactory: f, next: out.Control, record: out.Record, env: env,
		keys:   k.scratch(),
		late:   env.Counters.Counter("numLateRecordsDropped"),
		direct: f.codec.InPlace(), add: f.aggregator.Add,
	}
	if function, ok := f.aggregator.(AggregatorFunc[T, A]); ok {
		o.add = function // one call instead of two
	}
	var err error
	o.table, err = env.Keyed.Declare(f.codec.Row(k.codec.Words()))
	return operator.Built{Operator: o}, err
}
