package operator

import (
	"fmt"

	"github.com/leat-io/leat/eventtime"
)

// Control is the in-band part of a link.
type Control interface {
	// Watermark says that no record at or before ts follows.
	Watermark(ts eventtime.Timestamp)
	// Status says that the stream is idle or active again.
	Status(idle bool)
	// EndOfData says that no record follows; what is buffered goes out before it is passed
	// on. Watermark(eventtime.Max) has come before it when the input ended by itself.
	EndOfData()
}

// Link is the typed way into an operator or output. Record takes one record by value; ts
// is eventtime.None for a record without time.
type Link[T any] struct {
	Record  func(value T, ts eventtime.Timestamp)
	Control Control
}

// Joint is what can be done with a link by who does not know its type. *Link[T] implements
// it.
type Joint interface {
	// InBand returns the Control of the link.
	InBand() Control
	// Join returns a link that passes every record to this link and then to the others, which
	// must be of its type; control becomes its Control.
	Join(others []any, control Control) (any, error)
}

// InBand returns the Control of the link.
func (l *Link[T]) InBand() Control { return l.Control }

// Join returns a link that passes every record to this link and then to the others; control
// becomes its Control.
func (l *Link[T]) Join(others []any, control Control) (any, error) {
	records := []func(T, eventtime.Timestamp){l.Record}
	for _, other := range others {
		typed, ok := other.(*Link[T])
		if !ok {
			return nil, fmt.Errorf("join links: one takes %T, another %T", l, other)
		}
		records = append(records, typed.Record)
	}
	joined := &Link[T]{Record: l.Record, Control: control}
	switch len(records) {
	case 1:
	case 2:
		first, second := records[0], records[1]
		joined.Record = func(v T, ts eventtime.Timestamp) {
			first(v, ts)
			second(v, ts)
		}
	default:
		joined.Record = func(v T, ts eventtime.Timestamp) {
			for _, record := range records {
				record(v, ts)
			}
		}
	}
	return joined, nil
}

// Controls passes everything to all of its controls, in order.
type Controls []Control

// Watermark passes a watermark on.
func (c Controls) Watermark(ts eventtime.Timestamp) {
	for _, each := range c {
		each.Watermark(ts)
	}
}

// Status passes a status on.
func (c Controls) Status(idle bool) {
	for _, each := range c {
		each.Status(idle)
	}
}

// EndOfData passes the end on.
func (c Controls) EndOfData() {
	for _, each := range c {
		each.EndOfData()
	}
}
