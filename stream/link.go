package stream

import (
	"fmt"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

// linkOf returns the typed link of what follows, or one that drops records when nothing takes
// them.
func linkOf[T any](next any) *operator.Link[T] {
	if link, ok := next.(*operator.Link[T]); ok {
		return link
	}
	dropping := &operator.Link[T]{Record: func(T, eventtime.Timestamp) {}, Control: noControl{}}
	if next != nil {
		dropping.Control = next.(operator.Control) // only side outputs are taken
	}
	return dropping
}

type noControl struct{}

func (noControl) Watermark(eventtime.Timestamp) {}
func (noControl) Status(bool)                   {}
func (noControl) EndOfData()                    {}

// userFault wraps an error of a user's function with the operator it came from.
func userFault(env *operator.Env, err error) error {
	return fault.User(fmt.Errorf("operator %q: %w", env.Name, err))
}

// unbatchFactory makes heads that feed a fused operator from an edge.
type unbatchFactory[T any] struct{}

func (unbatchFactory[T]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out := linkOf[T](next)
	return operator.Built{Operator: &unbatch[T]{
		Control: out.Control, record: out.Record, failure: env.Failure,
	}}, nil
}

// unbatch is a head that calls the chain record by record.
type unbatch[T any] struct {
	stateless
	operator.Control
	record  func(T, eventtime.Timestamp)
	failure *operator.Failure
}

// Process passes the records of a batch on.
func (u *unbatch[T]) Process(b *record.Batch) error {
	items, err := itemsOf[T](b)
	if err != nil {
		return err
	}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		u.record(items[row], timestampAt(b, row))
		if u.failure.Failed() {
			break
		}
	}
	return u.failure.Err()
}

// itemsOf returns the typed payload of a batch.
func itemsOf[T any](b *record.Batch) ([]T, error) {
	rows, ok := b.Payload.(*record.Rows[T])
	if !ok {
		return nil, fault.Internal(fmt.Errorf(
			"take batch: payload is %T, want rows of %T", b.Payload, *new(T)))
	}
	return rows.Items, nil
}

// rowAt returns where in the payload the i-th record of a batch lies.
func rowAt(selection []uint16, i int) int {
	if selection == nil {
		return i
	}
	return int(selection[i])
}

// timestampAt returns the event time of a row of the payload.
func timestampAt(b *record.Batch, row int) eventtime.Timestamp {
	if b.Timestamps == nil {
		return eventtime.None
	}
	return b.Timestamps[row]
}
