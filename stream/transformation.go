package stream

import (
	"fmt"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// transformation is one step of the program as the user wrote it, without its types: they
// live in the factories.
type transformation struct {
	number      int
	uid         string // "" for operators without state of any kind
	name        string
	parallelism int // 0 = the environment's default
	factory     operator.Factory
	input       *transformation // nil for sources
	exchange    protocol.Exchange
	// output makes the sending half of the edge from input, when the two are not chained.
	output operator.OutputFactory
	// unbatch makes the head that feeds this operator from an edge, when it is no head itself.
	unbatch operator.Factory
	// head says that the operator takes batches: it starts a chain.
	head bool
	// sink says that the stream ends here.
	sink bool
	// stateful operators have descriptors of keyed state.
	stateful    bool
	descriptors []*protocol.StateDescriptor
	// keySchema is the key's schema when the input is keyed.
	keySchema string
}

// add appends a transformation to the environment's graph.
func (e *Env) add(t *transformation) *transformation {
	t.number = len(e.transformations)
	e.transformations = append(e.transformations, t)
	return t
}

// DataStream is a stream of T within the graph of an environment. It is a handle: copying it
// does not copy the stream, and it may be consumed any number of times.
type DataStream[T any] struct {
	env *Env
	at  *transformation
}

// Named gives the operator that makes this stream a name for people.
func (s *DataStream[T]) Named(name string) *DataStream[T] {
	s.at.name = name
	return s
}

// Parallelism sets the number of subtasks of the operator that makes this stream.
func (s *DataStream[T]) Parallelism(p int) *DataStream[T] {
	if p < 1 {
		s.env.fault(fmt.Errorf("set parallelism of %q to %d: want at least 1", s.at.name, p))
		return s
	}
	s.at.parallelism = p
	return s
}

func newStream[T any](e *Env, t *transformation) *DataStream[T] {
	return &DataStream[T]{env: e, at: t}
}

// next is a transformation that takes the records of s where they are made, when it can be
// chained, or over a forward edge.
func (s *DataStream[T]) next(name string, f operator.Factory) *transformation {
	return s.env.add(&transformation{
		name: name, factory: f, input: s.at, exchange: protocol.Exchange_EXCHANGE_FORWARD,
		output: plainOutputs[T]{}, unbatch: unbatchFactory[T]{},
	})
}
