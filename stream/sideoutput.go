package stream

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// OutputTag names a side output of operators and gives it a type. Two tags of one name are the
// same tag. It is a value, safe to share.
//
// Semantics: Flink's OutputTag.
type OutputTag[T any] struct {
	name string
}

// NewOutputTag returns the tag of a name, which is unique within an operator.
func NewOutputTag[T any](name string) OutputTag[T] { return OutputTag[T]{name} }

// Name returns the name of the tag.
func (t OutputTag[T]) Name() string { return t.name }

// SideContext is a context that reaches side outputs: those of process and window functions.
type SideContext interface {
	// side returns the operator's environment and the timestamp for what is emitted.
	side() (*operator.Env, eventtime.Timestamp)
}

// Emit sends a value to the side output of the operator that ctx belongs to, with the
// timestamp of the record or timer being handled. When nobody takes the side output, it does
// nothing.
func (t OutputTag[T]) Emit(ctx SideContext, value T) {
	env, ts := ctx.side()
	if to, ok := env.Sides[t.name]; ok {
		t.send(env, to, value, ts)
	}
}

func (t OutputTag[T]) send(env *operator.Env, to any, value T, ts eventtime.Timestamp) {
	link, ok := to.(*operator.Link[T])
	if !ok {
		env.Failure.Set(userFault(env, t.mismatch(to)))
		return
	}
	link.Record(value, ts)
}

func (t OutputTag[T]) mismatch(to any) error {
	taken := strings.TrimPrefix(fmt.Sprintf("%T", to), "*operator.Link[")
	return fmt.Errorf("emit %v to side output %q, which is taken as %s: use one tag for both",
		reflect.TypeFor[T](), t.name, strings.TrimSuffix(taken, "]"))
}

// linkOf returns what takes the side output of an operator, nil when nobody does. It is for
// operators that emit often; only Record of the link is to be used.
func (t OutputTag[T]) linkOf(env *operator.Env) (*operator.Link[T], error) {
	to, ok := env.Sides[t.name]
	if !ok {
		return nil, nil
	}
	link, ok := to.(*operator.Link[T])
	if !ok {
		return nil, userFault(env, t.mismatch(to))
	}
	return link, nil
}

// SideOutput is the stream of what the operator that makes s emits to a side output. It has the
// watermarks of s and is consumed as any stream.
func SideOutput[T, U any](s *DataStream[T], tag OutputTag[U]) *DataStream[U] {
	side := &DataStream[U]{
		env: s.env, at: s.at, origins: []origin{{step: s.at, tag: tag.name}},
	}
	switch other, taken := s.at.sides[tag.name], s.at.sides[tag.name] != nil; {
	case tag.name == "":
		s.env.fault(fmt.Errorf("side output of %q: the tag has no name", s.at.name))
	case s.origins != nil:
		s.env.fault(fmt.Errorf("side output %q: the stream after %q is a union or side output "+
			"itself; take it from the stream of the operator that emits", tag.name, s.at.name))
	case taken && other != reflect.TypeFor[U]():
		s.env.fault(fmt.Errorf("side output %q of %q: it is taken as %v and as %v; use one tag",
			tag.name, s.at.name, other, reflect.TypeFor[U]()))
	default:
		if s.at.sides == nil {
			s.at.sides = map[string]reflect.Type{}
		}
		s.at.sides[tag.name] = reflect.TypeFor[U]()
	}
	return side
}

// side implements SideContext.
func (c *Context[K]) side() (*operator.Env, eventtime.Timestamp) {
	return c.timers.env, c.timestamp
}

// side implements SideContext: what a timer of processing time emits has no timestamp.
func (c *TimerContext[K]) side() (*operator.Env, eventtime.Timestamp) {
	if c.domain == DomainProcessingTime {
		return c.timers.env, eventtime.None
	}
	return c.timers.env, c.timestamp
}
