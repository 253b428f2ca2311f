package stream

import (
	"fmt"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state"
)

// KeyedConnectedStreams are two streams with keys of one type: the records of a key meet,
// whichever stream they are of, and share state and timers.
//
// Semantics: Flink's ConnectedStreams of two keyed streams.
type KeyedConnectedStreams[K, A, B any] struct {
	first  *KeyedStream[K, A]
	second *KeyedStream[K, B]
}

// ConnectKeyed connects two streams by key.
func ConnectKeyed[K, A, B any](
	a *KeyedStream[K, A], b *KeyedStream[K, B],
) *KeyedConnectedStreams[K, A, B] {
	return &KeyedConnectedStreams[K, A, B]{a, b}
}

// KeyedCoProcessFunction handles the records of two keyed streams with state for each key. It
// is a function object as KeyedProcessFunction is, and has timers by the same method OnTimer.
//
// Semantics: Flink's KeyedCoProcessFunction.
type KeyedCoProcessFunction[K, A, B, R any] interface {
	// Open declares the states the function uses, as that of KeyedProcessFunction.
	Open(d *state.Declarations) error
	// Process1 handles a record of the first, Process2 one of the second stream. State handles
	// speak of the record's key.
	Process1(ctx *Context[K], value A, out Collector[R]) error
	Process2(ctx *Context[K], value B, out Collector[R]) error
}

// KeyedCoProcess applies a function with state to two streams connected by key. uid names the
// state in checkpoints for ever.
func KeyedCoProcess[K, A, B, R any](
	c *KeyedConnectedStreams[K, A, B], uid string,
	create func() KeyedCoProcessFunction[K, A, B, R],
) *DataStream[R] {
	second := c.second
	return applyKeyed(c.first, second.env, second.inputs(), uid, "KeyedCoProcess",
		coProcessFactory[K, A, B, R]{
			first: processFactory[K, A, R]{keyed: c.first,
				create: func() KeyedProcessFunction[K, A, R] {
					if f := create(); f != nil {
						return firstFunction[K, A, B, R]{f}
					}
					return nil
				}},
			second: second,
		})
}

// firstFunction is a KeyedCoProcessFunction as function of its first stream.
type firstFunction[K, A, B, R any] struct {
	KeyedCoProcessFunction[K, A, B, R]
}

func (f firstFunction[K, A, B, R]) adapts() any { return f.KeyedCoProcessFunction }

// Process handles a record of the first stream.
func (f firstFunction[K, A, B, R]) Process(
	ctx *Context[K], v A, out Collector[R],
) error {
	return f.Process1(ctx, v, out)
}

// firstKeyedFactory makes heads with a keyed first input.
type firstKeyedFactory[K, A, R any] interface {
	operator.Factory
	ofFirst() processFactory[K, A, R]
}

// applyKeyed adds the operator of a keyed function with a second input.
func applyKeyed[K, A, R any](
	first *KeyedStream[K, A], other *Env, second []input, uid, name string,
	f firstKeyedFactory[K, A, R],
) *DataStream[R] {
	t := first.env.add(&transformation{
		uid: uid, name: name + ": " + uid, factory: f, head: true, stateful: true,
		inputs: connected(first.env, other, first.inputs(), second),
	})
	of := f.ofFirst()
	function := of.create()
	t.descriptors = describeFunction(first, uid, function)
	if function != nil {
		first.env.keepOperatorState(t, function, of.declare...)
		first.env.closeTried(t, function)
	}
	return newStream[R](first.env, t)
}

type coProcessFactory[K, A, B, R any] struct {
	first  processFactory[K, A, R]
	second *KeyedStream[K, B]
}

func (m coProcessFactory[K, A, B, R]) ofFirst() processFactory[K, A, R] { return m.first }

// New makes the operator of one subtask.
func (m coProcessFactory[K, A, B, R]) New(
	env *operator.Env, payload []byte, next any,
) (operator.Built, error) {
	built, err := m.first.New(env, payload, next)
	if err != nil {
		return built, err
	}
	p := built.Operator.(*process[K, A, R])
	return operator.Built{Operator: &coProcess[K, A, B, R]{
		process: p, keys: m.second.scratch(),
		call: p.function.(firstFunction[K, A, B, R]).Process2,
	}}, nil
}

// coProcess is the head that calls a KeyedCoProcessFunction: a process for the first input,
// with whose rows, timers and states it handles the second.
type coProcess[K, A, B, R any] struct {
	*process[K, A, R]
	keys keyScratch[B, K]
	call func(ctx *Context[K], v B, out Collector[R]) error
}

// ProcessInput handles a batch of one of the inputs.
func (p *coProcess[K, A, B, R]) ProcessInput(number int, b *record.Batch) error {
	if number == 0 {
		return p.process.Process(b)
	}
	items, err := itemsOf[B](b)
	if err != nil {
		return err
	}
	p.keys.load(items, b)
	p.service.keys = p.keys.keys()
	if err := p.resolve(p.service.keys); err != nil {
		return err
	}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		p.context.key = p.keys.values[i]
		p.context.timestamp = timestampAt(b, row)
		p.out.out.ts = p.context.timestamp
		p.point(i)
		if err := p.call(&p.context, items[row], p.out); err != nil {
			return userFault(p.env, err)
		}
		p.settle()
		if p.env.Failure.Failed() {
			break
		}
	}
	return p.afterBatch()
}

// Process is for heads with one input.
func (p *coProcess[K, A, B, R]) Process(*record.Batch) error { return oneInput(p.env) }

// oneInput is what a head with two inputs says when it is not told which.
func oneInput(env *operator.Env) error {
	return fault.Internal(fmt.Errorf("take batch: operator %q has two inputs", env.Name))
}

var _ operator.InputHead = (*coProcess[int, int, int, int])(nil)
var _ operator.Alarm = (*coProcess[int, int, int, int])(nil)
