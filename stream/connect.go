package stream

import (
	"errors"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

// ConnectedStreams are two streams of different types that one operator takes, so that their
// records share state. Their watermark is the smallest of both streams: one without event
// time holds the other back until it ends.
//
// Semantics: Flink's ConnectedStreams.
type ConnectedStreams[A, B any] struct {
	env    *Env
	inputs []input
}

// Connect connects two streams without keys: each subtask gets some records of both.
func Connect[A, B any](a *DataStream[A], b *DataStream[B]) *ConnectedStreams[A, B] {
	return &ConnectedStreams[A, B]{a.env, connected(a.env, b.env, a.forward(), b.forward())}
}

// connected are the inputs of an operator with two.
func connected(first, second *Env, a, b []input) []input {
	if first != second {
		first.fault(errors.New("connect: the streams are of different environments"))
		return a
	}
	for i := range b {
		b[i].number = 1
	}
	return append(a, b...)
}

// CoProcessFunction handles the records of two streams. An error fails the task. It is a
// function object: see MapWith.
//
// Semantics: Flink's CoProcessFunction without timers, which need keys.
type CoProcessFunction[A, B, R any] interface {
	Process1(ctx *ProcessContext, value A, out Collector[R]) error
	Process2(ctx *ProcessContext, value B, out Collector[R]) error
}

// CoProcess applies a function object to connected streams. uid names its state in checkpoints
// for ever; it may be empty for a function without.
func CoProcess[A, B, R any](
	c *ConnectedStreams[A, B], uid string, create func() CoProcessFunction[A, B, R],
) *DataStream[R] {
	return applyTo(c, uid, "CoProcess", create, nil)
}

// CoMap applies f to the records of the first and g to those of the second stream.
func CoMap[A, B, R any](c *ConnectedStreams[A, B], f func(A) R, g func(B) R) *DataStream[R] {
	return applyTo(c, "", "CoMap", func() CoProcessFunction[A, B, R] {
		return coFunctions[A, B, R]{
			func(v A, out Collector[R]) error { out.Collect(f(v)); return nil },
			func(v B, out Collector[R]) error { out.Collect(g(v)); return nil },
		}
	}, nil)
}

// CoFlatMap is CoMap for functions that make any number of records. An error fails the task.
func CoFlatMap[A, B, R any](
	c *ConnectedStreams[A, B],
	f func(A, Collector[R]) error, g func(B, Collector[R]) error,
) *DataStream[R] {
	return applyTo(c, "", "CoFlatMap", func() CoProcessFunction[A, B, R] {
		return coFunctions[A, B, R]{f, g}
	}, nil)
}

// coFunctions are two functions as CoProcessFunction.
type coFunctions[A, B, R any] struct {
	first  func(A, Collector[R]) error
	second func(B, Collector[R]) error
}

// Process1 calls the first function.
func (f coFunctions[A, B, R]) Process1(_ *ProcessContext, v A, out Collector[R]) error {
	return f.first(v, out)
}

// Process2 calls the second function.
func (f coFunctions[A, B, R]) Process2(_ *ProcessContext, v B, out Collector[R]) error {
	return f.second(v, out)
}

// applyTo adds the operator of a function of two streams, with the states of a broadcast one.
func applyTo[A, B, R any](
	c *ConnectedStreams[A, B], uid, name string, create func() CoProcessFunction[A, B, R],
	declare []BroadcastDeclaration,
) *DataStream[R] {
	if uid != "" {
		name += ": " + uid
	}
	t := c.env.add(&transformation{
		uid: uid, name: name, inputs: c.inputs, head: true,
		factory: coFactory[A, B, R]{create: create, declare: declare},
	})
	c.env.tryFunction(t, create(), declare...)
	return newStream[R](c.env, t)
}

type coFactory[A, B, R any] struct {
	create  func() CoProcessFunction[A, B, R]
	declare []BroadcastDeclaration
}

// New makes the operator of one subtask.
func (m coFactory[A, B, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, f := linkOf[R](next), m.create()
	if isNil(f) {
		return operator.Built{}, userFault(env, errNoFunction)
	}
	return operator.Built{Operator: &coHead[A, B, R]{
		function: newFunction(env, f, out.Control, m.declare...), call: f,
		out: Collector[R]{&collecting[R]{record: out.Record}},
	}}, nil
}

// coHead is the head that calls a CoProcessFunction.
type coHead[A, B, R any] struct {
	*function
	call CoProcessFunction[A, B, R]
	out  Collector[R]
}

// Process is for heads with one input.
func (o *coHead[A, B, R]) Process(*record.Batch) error {
	return oneInput(o.context.env)
}

// ProcessInput calls the function for every record of a batch of one of the inputs.
func (o *coHead[A, B, R]) ProcessInput(number int, b *record.Batch) error {
	if number == 0 {
		return processEach(o.function, b, o.call.Process1, o.out)
	}
	return processEach(o.function, b, o.call.Process2, o.out)
}

// processEach calls a function for every record of a batch.
func processEach[T, R any](
	o *function, b *record.Batch,
	call func(ctx *ProcessContext, v T, out Collector[R]) error, out Collector[R],
) error {
	items, err := itemsOf[T](b)
	if err != nil {
		return err
	}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		o.context.timestamp = timestampAt(b, row)
		out.out.ts = o.context.timestamp
		if err := call(&o.context, items[row], out); err != nil {
			return userFault(o.context.env, err)
		}
		if o.context.env.Failure.Failed() {
			break
		}
	}
	o.count += uint64(b.Len)
	return o.context.env.Failure.Err()
}
