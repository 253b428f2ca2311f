package stream

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// Map applies f to every record.
func Map[T, U any](s *DataStream[T], f func(T) U) *DataStream[U] {
	return newStream[U](s.env, s.next("Map", mapFactory[T, U]{f}))
}

// TryMap applies f to every record; an error fails the task.
func TryMap[T, U any](s *DataStream[T], f func(T) (U, error)) *DataStream[U] {
	return newStream[U](s.env, s.next("Map", tryMapFactory[T, U]{f}))
}

// Filter keeps the records for which keep is true.
func Filter[T any](s *DataStream[T], keep func(T) bool) *DataStream[T] {
	return newStream[T](s.env, s.next("Filter", filterFactory[T]{keep}))
}

// FlatMap calls f for every record; what f collects makes up the new stream. An error fails
// the task.
func FlatMap[T, U any](s *DataStream[T], f func(T, Collector[U]) error) *DataStream[U] {
	return newStream[U](s.env, s.next("FlatMap", flatMapFactory[T, U]{f}))
}

// Collector takes the records a function makes. It is valid only during the call it was
// given to, and used by its goroutine.
type Collector[T any] struct {
	out *collecting[T]
}

type collecting[T any] struct {
	record func(T, eventtime.Timestamp)
	ts     eventtime.Timestamp // of the record being handled
}

// Collect emits a record with the timestamp of the record being handled.
func (c Collector[T]) Collect(value T) { c.out.record(value, c.out.ts) }

type mapFactory[T, U any] struct{ f func(T) U }

func (m mapFactory[T, U]) New(_ *operator.Env, _ []byte, next any) (operator.Built, error) {
	out, f := linkOf[U](next), m.f
	record := out.Record
	return built(func(v T, ts eventtime.Timestamp) { record(f(v), ts) }, out.Control), nil
}

type tryMapFactory[T, U any] struct{ f func(T) (U, error) }

func (m tryMapFactory[T, U]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, f := linkOf[U](next), m.f
	record, failure := out.Record, env.Failure
	return built(func(v T, ts eventtime.Timestamp) {
		u, err := f(v)
		if err != nil {
			failure.Set(userFault(env, err))
			return
		}
		record(u, ts)
	}, out.Control), nil
}

type filterFactory[T any] struct{ keep func(T) bool }

func (m filterFactory[T]) New(_ *operator.Env, _ []byte, next any) (operator.Built, error) {
	out, keep := linkOf[T](next), m.keep
	record := out.Record
	return built(func(v T, ts eventtime.Timestamp) {
		if keep(v) {
			record(v, ts)
		}
	}, out.Control), nil
}

type flatMapFactory[T, U any] struct {
	f func(T, Collector[U]) error
}

func (m flatMapFactory[T, U]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, f := linkOf[U](next), m.f
	failure := env.Failure
	collecting := &collecting[U]{record: out.Record}
	return built(func(v T, ts eventtime.Timestamp) {
		collecting.ts = ts
		if err := f(v, Collector[U]{collecting}); err != nil {
			failure.Set(userFault(env, err))
		}
	}, out.Control), nil
}

// built is an operator that is nothing but its link.
func built[T any](
	record func(T, eventtime.Timestamp), control operator.Control,
) operator.Built {
	return operator.Built{Link: &operator.Link[T]{Record: record, Control: control}}
}
