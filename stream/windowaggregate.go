package stream

import (
	"iter"
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// Aggregator folds the records of a window into an accumulator A. It must not change itself:
// all subtasks share it. A is a struct of bools, numbers, strings, []byte and
// eventtime.Timestamp; it starts as its zero value.
//
// Semantics: the add half of Flink's AggregateFunction; the result half is the emit function
// of Aggregate.
type Aggregator[T, A any] interface {
	Add(acc *A, value T)
}

// MergingAggregator is an Aggregator that can also put two accumulators together. Sessions
// need one; sliding windows are cheaper with one. See Folding.
//
// Semantics: the add and merge halves of Flink's AggregateFunction.
type MergingAggregator[T, A any] interface {
	Aggregator[T, A]
	// Merge adds other, whose records came later if that can be said, to acc. It must
	// neither change nor keep other.
	Merge(acc, other *A)
}

// AggregatorFunc is a function as Aggregator.
type AggregatorFunc[T, A any] func(acc *A, value T)

// Add calls f.
func (f AggregatorFunc[T, A]) Add(acc *A, value T) { f(acc, value) }

// Folding makes a MergingAggregator of two functions.
func Folding[T, A any](
	add func(acc *A, value T), merge func(acc, other *A),
) MergingAggregator[T, A] {
	return foldingFuncs[T, A]{AggregatorFunc[T, A](add), merge}
}

type foldingFuncs[T, A any] struct {
	AggregatorFunc[T, A]
	merge func(acc, other *A)
}

// Merge calls the function.
func (f foldingFuncs[T, A]) Merge(acc, other *A) { f.merge(acc, other) }

// folding is how records become an accumulator.
type folding[T, A any] struct {
	begin func(acc *A, value T) // with the first record; nil when the zero A will do
	add   func(acc *A, value T)
	merge func(acc, other *A) // nil when accumulators cannot be merged
}

// fold folds elements into acc and reports whether there is a result: not without a first
// record.
func (f folding[T, A]) fold(acc *A, elements iter.Seq[T]) bool {
	begun := f.begin == nil
	for value := range elements {
		if begun {
			f.add(acc, value)
		} else {
			f.begin(acc, value)
			begun = true
		}
	}
	return begun
}

func foldingOf[T, A any](aggregator Aggregator[T, A]) folding[T, A] {
	f := folding[T, A]{add: aggregator.Add}
	switch a := aggregator.(type) { // one call instead of two
	case AggregatorFunc[T, A]:
		f.add = a
	case foldingFuncs[T, A]:
		f.add, f.merge = a.AggregatorFunc, a.merge
	case MergingAggregator[T, A]:
		f.merge = a.Merge
	}
	return f
}

func reducing[T any](reduce func(a, b T) T) folding[T, T] {
	return folding[T, T]{
		begin: func(acc *T, value T) { *acc = value },
		add:   func(acc *T, value T) { *acc = reduce(*acc, value) },
		merge: func(acc, other *T) { *acc = reduce(*acc, *other) },
	}
}

// Aggregate folds the records of every key and window, and when the window fires, by default
// when the watermark passes its end, emits one result, with the window's last millisecond as
// its timestamp. Records that come too late for all their windows are dropped and counted as
// "numLateRecordsDropped". In windows of event time a record without it fails the task. uid
// names the state in checkpoints for ever.
//
// Semantics: WindowedStream.aggregate of Flink.
func Aggregate[K, T, A, R any](
	w *WindowedStream[K, T], uid string, aggregator Aggregator[T, A],
	emit func(key K, window Window, acc *A) R,
) *DataStream[R] {
	return windowStep[K, T, A, R]{
		windowed: w, what: "aggregate", uid: uid, folding: foldingOf(aggregator),
		end: windowEnd[K, A, R]{emit: emit},
	}.add()
}

// Reduce is Aggregate with the records of a window put together two by two: what it emits is
// a record too. reduce must be associative. T is a type that state can hold, as A of an
// Aggregator.
//
// Semantics: WindowedStream.reduce of Flink.
func Reduce[K, T any](
	w *WindowedStream[K, T], uid string, reduce func(a, b T) T,
) *DataStream[T] {
	return windowStep[K, T, T, T]{
		windowed: w, what: "reduce", uid: uid, folding: reducing(reduce),
		end: windowEnd[K, T, T]{emit: func(_ K, _ Window, acc *T) T { return *acc }},
	}.add()
}

// lateness is what becomes of late records.
type lateness[T any] struct {
	dropped *atomic.Uint64
	side    func(T, eventtime.Timestamp) // nil: they are dropped
}

func (l *lateness[T]) take(value T, ts eventtime.Timestamp) {
	if l.side != nil {
		l.side(value, ts)
		return
	}
	l.dropped.Add(1)
}

func latenessOf[T any](tag *OutputTag[T], env *operator.Env) (lateness[T], error) {
	l := lateness[T]{dropped: env.Counters.Counter("numLateRecordsDropped")}
	if tag == nil {
		return l, nil
	}
	link, err := tag.linkOf(env)
	if l.side = func(T, eventtime.Timestamp) {}; link != nil {
		l.side = link.Record
	}
	return l, err
}
