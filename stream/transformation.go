package stream

import (
	"fmt"
	"reflect"

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
	inputs      []input // none for sources
	// unbatch makes the head that feeds this operator from an edge, when it is no head itself.
	unbatch operator.Factory
	// head says that the operator takes batches: it starts a chain.
	head bool
	// sink says that the stream ends here.
	sink bool
	// stateful operators have descriptors of keyed state.
	stateful    bool
	descriptors []*protocol.StateDescriptor
	// operatorStates are the declared ones, without elements.
	operatorStates []*protocol.NamedState
	// sides are the types of the side outputs that are taken, by tag.
	sides map[string]reflect.Type
}

// origin is where records are made: the main output of a step, or a side output.
type origin struct {
	step *transformation
	tag  string // "" for the main output
}

// input is one of the edges into a step, before chaining. A step may have the same one twice.
type input struct {
	origin
	number   uint32 // tells apart inputs of different types
	exchange protocol.Exchange
	// output makes the sending half of the edge, when the two are not chained.
	output    operator.OutputFactory
	keySchema string // of the key when the input is keyed
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
	// at is the operator that makes the stream, of a union the first one.
	at *transformation
	// origins are set when the stream is not the main output of at.
	origins []origin
}

// Named gives the operator that makes this stream a name for people.
func (s *DataStream[T]) Named(name string) *DataStream[T] {
	if s.operates("name it " + fmt.Sprintf("%q", name)) {
		s.at.name = name
	}
	return s
}

// Parallelism sets the number of subtasks of the operator that makes this stream.
func (s *DataStream[T]) Parallelism(p int) *DataStream[T] {
	switch {
	case p < 1:
		s.env.fault(fmt.Errorf("set parallelism of %q to %d: want at least 1", s.at.name, p))
	case s.operates(fmt.Sprintf("set its parallelism to %d", p)):
		s.at.parallelism = p
	}
	return s
}

// operates reports whether the stream is what an operator makes; a union or side output is
// not, and what was to be set for it is a fault.
func (s *DataStream[T]) operates(what string) bool {
	if s.origins == nil {
		return true
	}
	s.env.fault(fmt.Errorf("%s: the stream after %q is a union or side output, which is no "+
		"operator; set it for the operators before or behind", what, s.at.name))
	return false
}

func newStream[T any](e *Env, t *transformation) *DataStream[T] {
	return &DataStream[T]{env: e, at: t}
}

// from returns where the records of s are made.
func (s *DataStream[T]) from() []origin {
	if s.origins != nil {
		return s.origins
	}
	return []origin{{step: s.at}}
}

// inputs are those of a step that takes the records of s over an edge like edge.
func (s *DataStream[T]) inputs(edge input) []input {
	var out []input
	for _, from := range s.from() {
		edge.origin = from
		out = append(out, edge)
	}
	return out
}

// forward are the inputs of a step that takes the records of s where they are made, when it
// can be chained, or over forward edges.
func (s *DataStream[T]) forward() []input {
	return s.inputs(input{
		exchange: protocol.Exchange_EXCHANGE_FORWARD, output: plainOutputs[T]{},
	})
}

// next is a transformation that takes the records of s where they are made, when it can be
// chained, or over forward edges.
func (s *DataStream[T]) next(name string, f operator.Factory) *transformation {
	return s.env.add(&transformation{
		name: name, factory: f, inputs: s.forward(), unbatch: unbatchFactory[T]{},
	})
}
