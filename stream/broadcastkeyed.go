package stream

import (
	"fmt"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
)

// KeyedBroadcastConnectedStreams are a keyed stream and a broadcast stream.
type KeyedBroadcastConnectedStreams[K, T, B any] struct {
	keyed     *KeyedStream[K, T]
	broadcast *BroadcastStream[B]
}

// ConnectKeyedBroadcast connects a keyed stream to a broadcast stream.
func ConnectKeyedBroadcast[K, T, B any](
	k *KeyedStream[K, T], b *BroadcastStream[B],
) *KeyedBroadcastConnectedStreams[K, T, B] {
	return &KeyedBroadcastConnectedStreams[K, T, B]{k, b}
}

// KeyedBroadcastProcessFunction handles the records of a keyed stream, with state for each key,
// and those of a broadcast stream. It is a function object as KeyedProcessFunction is, and has
// timers by the same method OnTimer, for the keyed side.
//
// Semantics: Flink's KeyedBroadcastProcessFunction.
type KeyedBroadcastProcessFunction[K, T, B, R any] interface {
	// Open declares the states the function uses, as that of KeyedProcessFunction.
	Open(d *state.Declarations) error
	// Process handles a record of the keyed stream; it may read broadcast state.
	Process(ctx *Context[K], value T, out Collector[R]) error
	// ProcessBroadcast handles a record of the broadcast stream, and may change broadcast
	// state, alike in every subtask. It has no key: state handles are for ApplyToKeyedState.
	ProcessBroadcast(ctx *KeyedBroadcastContext[K], value B, out Collector[R]) error
}

// KeyedBroadcastProcess applies a function with state to a keyed stream and a broadcast
// stream. uid names the state in checkpoints for ever.
func KeyedBroadcastProcess[K, T, B, R any](
	c *KeyedBroadcastConnectedStreams[K, T, B], uid string,
	create func() KeyedBroadcastProcessFunction[K, T, B, R],
) *DataStream[R] {
	b := c.broadcast
	return applyKeyed(c.keyed, b.of.env, b.inputs(), uid, "KeyedBroadcastProcess",
		keyedBroadcastFactory[K, T, B, R]{
			processFactory[K, T, R]{keyed: c.keyed, declare: b.declare,
				create: func() KeyedProcessFunction[K, T, R] {
					if f := create(); f != nil {
						return keyedSide[K, T, B, R]{f}
					}
					return nil
				}}})
}

// keyedSide is a KeyedBroadcastProcessFunction as function of its keyed stream.
type keyedSide[K, T, B, R any] struct {
	KeyedBroadcastProcessFunction[K, T, B, R]
}

func (f keyedSide[K, T, B, R]) adapts() any { return f.KeyedBroadcastProcessFunction }

// KeyedBroadcastContext tells a function about a record of a broadcast stream, and lets it
// change broadcast state and walk over keyed state. It is valid during the call.
type KeyedBroadcastContext[K any] struct {
	BroadcastContext
	apply func(f func(key K) error) error
}

// ApplyToKeyedState calls f for every key of this subtask that has state, in no particular
// order; state handles speak of that key during the call. An error ends the walk.
func (c *KeyedBroadcastContext[K]) ApplyToKeyedState(f func(key K) error) error {
	return c.apply(f)
}

type keyedBroadcastFactory[K, T, B, R any] struct {
	keyed processFactory[K, T, R]
}

func (m keyedBroadcastFactory[K, T, B, R]) ofFirst() processFactory[K, T, R] { return m.keyed }

// New makes the operator of one subtask.
func (m keyedBroadcastFactory[K, T, B, R]) New(
	env *operator.Env, payload []byte, next any,
) (operator.Built, error) {
	built, err := m.keyed.New(env, payload, next)
	if err != nil {
		return built, err
	}
	p := built.Operator.(*process[K, T, R])
	o := &keyedBroadcast[K, T, B, R]{
		process: p, call: p.function.(keyedSide[K, T, B, R]).ProcessBroadcast,
	}
	about := &ProcessContext{env: env, states: &p.operatorState.store}
	o.about = KeyedBroadcastContext[K]{BroadcastContext{about}, o.applyToKeyedState}
	return operator.Built{Operator: o}, nil
}

// keyedBroadcast is the head that calls a KeyedBroadcastProcessFunction.
type keyedBroadcast[K, T, B, R any] struct {
	*process[K, T, R]
	about KeyedBroadcastContext[K]
	call  func(ctx *KeyedBroadcastContext[K], v B, out Collector[R]) error
	walk  []backend.Row

	walking bool // ApplyToKeyedState is at work
}

// ProcessInput handles a batch of one of the inputs.
func (p *keyedBroadcast[K, T, B, R]) ProcessInput(number int, b *record.Batch) error {
	if number == 0 {
		return p.process.Process(b)
	}
	items, err := itemsOf[B](b)
	if err != nil {
		return err
	}
	p.about.watermark = p.watermark.current
	// There is no key: state handles and timers that are used all the same leave a fault.
	p.states.Cursor().Leave()
	p.service.keys = backend.Keys{}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		p.about.timestamp = timestampAt(b, row)
		p.out.out.ts = p.about.timestamp
		if err := p.call(&p.about, items[row], p.out); err != nil {
			return userFault(p.env, err)
		}
		if p.env.Failure.Failed() {
			break
		}
	}
	return p.faults()
}

// Process is for heads with one input.
func (p *keyedBroadcast[K, T, B, R]) Process(*record.Batch) error { return oneInput(p.env) }

// applyToKeyedState walks over all rows. They are gathered first: f changes them.
func (p *keyedBroadcast[K, T, B, R]) applyToKeyedState(f func(key K) error) error {
	if !p.keepsState {
		return nil
	}
	if p.walking {
		return userFault(p.env, fmt.Errorf("ApplyToKeyedState is called by a function given to "+
			"ApplyToKeyedState: let it return first"))
	}
	p.walking = true
	defer func() { p.walking = false }()
	if err := p.resolve(backend.Keys{}); err != nil {
		return err
	}
	cursor := p.states.Cursor()
	p.walk = p.walk[:0]
	cursor.Table.Scan(func(row backend.Row) bool {
		p.walk = append(p.walk, row)
		return true
	})
	var err error
	for _, cursor.Row = range p.walk {
		err = f(keyOf(p.keys.codec, cursor.Table, cursor.Row))
		p.settle()
		if err != nil {
			break
		}
	}
	if errEnd := p.afterBatch(); err == nil {
		err = errEnd
	}
	cursor.Leave()
	return err
}

var _ operator.InputHead = (*keyedBroadcast[int, int, int, int])(nil)
var _ operator.Alarm = (*keyedBroadcast[int, int, int, int])(nil)
