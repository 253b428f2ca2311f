package stream

import (
	"fmt"
	"iter"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
)

// ProcessWindowFunction makes results of a window that fires. Every subtask has its own
// instance, used by one goroutine. One that keeps state implements WindowStateFunction too; one
// that implements io.Closer is closed when its task ends.
//
// Semantics: Flink's ProcessWindowFunction.
type ProcessWindowFunction[K, In, R any] interface {
	// Process handles a window that fires. elements are its records in the order in which they
	// came, or the one accumulator they were folded into; they may be gone through again during
	// the call. What is collected has the window's last millisecond as timestamp.
	Process(ctx *WindowContext[K], elements iter.Seq[In], out Collector[R]) error
}

// WindowStateFunction is implemented by a ProcessWindowFunction that keeps state.
//
// Semantics: globalState and windowState of Flink's ProcessWindowFunction.Context. Flink too
// has no state of windows for sessions, which merge.
type WindowStateFunction interface {
	// OpenStates declares the states the function uses: global ones of the key, and ones of the
	// key and window, which are cleared when the window is cleared away. It is called once while
	// the graph is built, to learn what is declared, and once in every subtask.
	OpenStates(global, window *state.Declarations) error
}

// WindowContext tells a function about the window that fires. It is valid during the call.
type WindowContext[K any] struct {
	key       K
	window    Window
	env       *operator.Env
	watermark *inputWatermark
}

// Key returns the key.
func (c *WindowContext[K]) Key() K { return c.key }

// Window returns the window.
func (c *WindowContext[K]) Window() Window { return c.window }

// Watermark returns the current watermark, eventtime.None before the first.
func (c *WindowContext[K]) Watermark() eventtime.Timestamp { return c.watermark.current }

// ProcessingTime returns the time of the machine.
func (c *WindowContext[K]) ProcessingTime() eventtime.Timestamp {
	return eventtime.FromTime(c.env.Clock.Now())
}

// side implements SideContext.
func (c *WindowContext[K]) side() (*operator.Env, eventtime.Timestamp) {
	return c.env, c.window.MaxTimestamp()
}

// ProcessWindow keeps all records of every key and window until the window is cleared away, and
// calls a function with them when it fires. create makes one instance for each subtask. T is a
// type that state can hold: a bool, number, string, []byte, eventtime.Timestamp or a struct of
// these. uid names the state in checkpoints for ever.
//
// Semantics: WindowedStream.process of Flink.
func ProcessWindow[K, T, R any](
	w *WindowedStream[K, T], uid string, create func() ProcessWindowFunction[K, T, R],
) *DataStream[R] {
	return windowStep[K, T, T, R]{
		windowed: w, what: "process windows", uid: uid, end: windowEnd[K, T, R]{create: create},
		lists: true,
	}.add()
}

// ApplyWindow is ProcessWindow with a plain function.
//
// Semantics: WindowedStream.apply of Flink.
func ApplyWindow[K, T, R any](
	w *WindowedStream[K, T], uid string,
	apply func(key K, window Window, elements iter.Seq[T], out Collector[R]) error,
) *DataStream[R] {
	return ProcessWindow(w, uid, func() ProcessWindowFunction[K, T, R] {
		return applied[K, T, R](apply)
	})
}

type applied[K, T, R any] func(K, Window, iter.Seq[T], Collector[R]) error

// Process calls the function.
func (f applied[K, T, R]) Process(
	ctx *WindowContext[K], elements iter.Seq[T], out Collector[R],
) error {
	return f(ctx.key, ctx.window, elements, out)
}

// AggregateProcess is Aggregate with a function that makes results of the accumulator, which is
// the only element it gets.
//
// Semantics: WindowedStream.aggregate(AggregateFunction, ProcessWindowFunction) of Flink.
func AggregateProcess[K, T, A, R any](
	w *WindowedStream[K, T], uid string, aggregator Aggregator[T, A],
	create func() ProcessWindowFunction[K, A, R],
) *DataStream[R] {
	return windowStep[K, T, A, R]{
		windowed: w, what: "aggregate", uid: uid, folding: foldingOf(aggregator),
		end: windowEnd[K, A, R]{create: create},
	}.add()
}

// ReduceProcess is Reduce with a function that makes results of the record the window was
// reduced to, which is the only element it gets.
//
// Semantics: WindowedStream.reduce(ReduceFunction, ProcessWindowFunction) of Flink.
func ReduceProcess[K, T, R any](
	w *WindowedStream[K, T], uid string, reduce func(a, b T) T,
	create func() ProcessWindowFunction[K, T, R],
) *DataStream[R] {
	return windowStep[K, T, T, R]{
		windowed: w, what: "reduce", uid: uid, folding: reducing(reduce),
		end: windowEnd[K, T, R]{create: create},
	}.add()
}

// windowEnd makes results of windows that fire, by one of two functions.
type windowEnd[K, In, R any] struct {
	emit   func(K, Window, *In) R
	create func() ProcessWindowFunction[K, In, R]
}

// states returns what the function declares, nil when it keeps no state.
func (e windowEnd[K, In, R]) states() (*windowStates, error) {
	if e.create == nil {
		return nil, nil
	}
	f := e.create()
	if any(f) == nil {
		return nil, fmt.Errorf("its constructor returns nil")
	}
	states, err := statesOf(f)
	if errClose := closeFunction(f); errClose != nil && err == nil {
		err = fmt.Errorf("close: %w", errClose)
	}
	return states, err
}

func statesOf(f any) (*windowStates, error) {
	stateful, ok := f.(WindowStateFunction)
	if !ok {
		return nil, nil
	}
	var global, window state.Declarations
	s := &windowStates{global: declared.Of(&global), window: declared.Of(&window)}
	if err := stateful.OpenStates(&global, &window); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if err := s.global.Err(); err != nil {
		return nil, err
	}
	return s, s.window.Err()
}

// windowResults are a windowEnd in a subtask.
type windowResults[K, In, R any] struct {
	emit     func(K, Window, *In) R
	function ProcessWindowFunction[K, In, R]
	states   *windowStates // of the function; nil when it has none
	context  WindowContext[K]
	out      Collector[R]
}

func (e windowEnd[K, In, R]) open(
	env *operator.Env, next *operator.Link[R], watermark *inputWatermark,
) (*windowResults[K, In, R], error) {
	r := &windowResults[K, In, R]{
		emit: e.emit, context: WindowContext[K]{env: env, watermark: watermark},
		out: Collector[R]{&collecting[R]{record: next.Record}},
	}
	if e.create == nil {
		return r, nil
	}
	r.function = e.create()
	var err error
	if r.states, err = statesOf(r.function); err != nil {
		return nil, userFault(env, err)
	}
	return r, nil
}

// one makes results of an accumulator.
func (r *windowResults[K, In, R]) one(key K, w Window, acc *In) error {
	if r.emit != nil {
		r.out.out.record(r.emit(key, w, acc), w.MaxTimestamp())
		return nil
	}
	return r.all(key, w, func(yield func(In) bool) { yield(*acc) })
}

// all makes results of many elements.
func (r *windowResults[K, In, R]) all(key K, w Window, elements iter.Seq[In]) error {
	r.context.key, r.context.window = key, w
	r.out.out.ts = w.MaxTimestamp()
	if err := r.function.Process(&r.context, elements, r.out); err != nil {
		return userFault(r.context.env, err)
	}
	return nil
}
