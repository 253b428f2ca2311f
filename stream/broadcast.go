package stream

import (
	"fmt"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// BroadcastDescriptor names a broadcast state and gives it its types. It is a value, safe to
// share.
//
// Semantics: Flink's MapStateDescriptor as given to broadcast.
type BroadcastDescriptor[K comparable, V any] struct {
	name string
}

// NewBroadcastDescriptor returns the descriptor of a broadcast state, whose name is unique
// within an operator. For K and V see DeclareBroadcastState.
func NewBroadcastDescriptor[K comparable, V any](name string) BroadcastDescriptor[K, V] {
	return BroadcastDescriptor[K, V]{name}
}

// BroadcastDeclaration is a BroadcastDescriptor of any type.
type BroadcastDeclaration interface {
	declare(store *OperatorStateStore)
}

func (d BroadcastDescriptor[K, V]) declare(store *OperatorStateStore) {
	newBroadcastMap[K, V](store, d.name)
}

// BroadcastReader is a context through which a function reads broadcast state: those of
// functions with a broadcast stream.
type BroadcastReader interface {
	// broadcasts returns the operator's environment and the operator state.
	broadcasts() (*operator.Env, *OperatorStateStore)
}

// BroadcastWriter is a context through which a function changes broadcast state: that of the
// records of the broadcast stream.
type BroadcastWriter interface {
	BroadcastReader
	writesBroadcast()
}

// Read returns the state, to be read.
func (d BroadcastDescriptor[K, V]) Read(ctx BroadcastReader) ReadOnlyBroadcastState[K, V] {
	env, store := ctx.broadcasts()
	for _, s := range store.states {
		if s.named() == d.name {
			if m, ok := s.(*broadcastMap[K, V]); ok {
				return ReadOnlyBroadcastState[K, V]{m}
			}
		}
	}
	env.Failure.Set(userFault(env, fmt.Errorf("broadcast state %q of %v is not declared: give "+
		"its descriptor to stream.Broadcast", d.name, d)))
	return ReadOnlyBroadcastState[K, V]{&broadcastMap[K, V]{values: map[K]V{}}}
}

// String names the types of the state.
func (d BroadcastDescriptor[K, V]) String() string {
	return fmt.Sprintf("map[%T]%T", *new(K), *new(V))
}

// Write returns the state, to be read and changed. Every subtask must change it alike.
func (d BroadcastDescriptor[K, V]) Write(ctx BroadcastWriter) *BroadcastState[K, V] {
	return &BroadcastState[K, V]{d.Read(ctx)}
}

// BroadcastStream is a stream of which every subtask of an operator gets all records, each in
// the order of its sender only: what they do to broadcast state must not depend on the order of
// records of several senders. As with all connected streams the watermark is the smallest of
// both.
//
// Semantics: Flink's BroadcastStream.
type BroadcastStream[T any] struct {
	of      *DataStream[T]
	declare []BroadcastDeclaration
}

// Broadcast lets every subtask of an operator have all records of a stream. The descriptors
// are those of the states its records change.
func Broadcast[T any](s *DataStream[T], states ...BroadcastDeclaration) *BroadcastStream[T] {
	return &BroadcastStream[T]{s, states}
}

// inputs are those of a step that takes a broadcast stream.
func (b *BroadcastStream[T]) inputs() []input {
	return b.of.inputs(input{
		exchange: protocol.Exchange_EXCHANGE_BROADCAST, output: plainOutputs[T]{toAll: true},
	})
}

// BroadcastContext tells a function about a record of a broadcast stream, and lets it change
// broadcast state. It is valid during the call.
type BroadcastContext struct {
	*ProcessContext
}

// BroadcastProcessFunction handles the records of a stream and those of a broadcast stream. An
// error fails the task. It is a function object: see MapWith.
//
// Semantics: Flink's BroadcastProcessFunction.
type BroadcastProcessFunction[T, B, R any] interface {
	// Process handles a record; it may read broadcast state.
	Process(ctx *ProcessContext, value T, out Collector[R]) error
	// ProcessBroadcast handles a record of the broadcast stream, and may change broadcast
	// state, alike in every subtask.
	ProcessBroadcast(ctx *BroadcastContext, value B, out Collector[R]) error
}

// BroadcastConnectedStreams are a stream and a broadcast stream.
type BroadcastConnectedStreams[T, B any] struct {
	connected *ConnectedStreams[T, B]
	declare   []BroadcastDeclaration
}

// ConnectBroadcast connects a stream without keys to a broadcast stream.
func ConnectBroadcast[T, B any](
	s *DataStream[T], b *BroadcastStream[B],
) *BroadcastConnectedStreams[T, B] {
	inputs := connected(s.env, b.of.env, s.forward(), b.inputs())
	return &BroadcastConnectedStreams[T, B]{&ConnectedStreams[T, B]{s.env, inputs}, b.declare}
}

// ProcessBroadcast applies a function object to a stream and a broadcast stream. uid names
// its state in checkpoints for ever.
func ProcessBroadcast[T, B, R any](
	c *BroadcastConnectedStreams[T, B], uid string,
	create func() BroadcastProcessFunction[T, B, R],
) *DataStream[R] {
	return applyTo(c.connected, uid, "BroadcastProcess", func() CoProcessFunction[T, B, R] {
		f := create()
		if isNil(f) {
			return nil
		}
		return broadcastFunction[T, B, R]{f}
	}, c.declare)
}

// broadcastFunction is a BroadcastProcessFunction as CoProcessFunction.
type broadcastFunction[T, B, R any] struct {
	of BroadcastProcessFunction[T, B, R]
}

func (f broadcastFunction[T, B, R]) adapts() any { return f.of }

// Process1 handles a record.
func (f broadcastFunction[T, B, R]) Process1(
	ctx *ProcessContext, v T, out Collector[R],
) error {
	return f.of.Process(ctx, v, out)
}

// Process2 handles a record of the broadcast stream.
func (f broadcastFunction[T, B, R]) Process2(
	ctx *ProcessContext, v B, out Collector[R],
) error {
	return f.of.ProcessBroadcast(&BroadcastContext{ctx}, v, out)
}

// broadcasts implements BroadcastReader.
func (c *ProcessContext) broadcasts() (*operator.Env, *OperatorStateStore) {
	return c.env, c.states
}

// broadcasts implements BroadcastReader, for timers too.
func (c *Context[K]) broadcasts() (*operator.Env, *OperatorStateStore) {
	return c.timers.env, c.states
}

func (*BroadcastContext) writesBroadcast() {}
