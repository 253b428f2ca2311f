package stream

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/window"
)

// listedContents are all records of each window, numbered in the order in which they came, each
// behind its timestamp.
type listedContents[T any] struct {
	at        *windowCell
	watermark *inputWatermark
	codec     *declared.Codec[T]
	evictor   window.Evictor // nil: none
	finish    func(w Window, elements iter.Seq[T]) error

	key, value []byte // scratch

	// The window being evicted from.
	window   Window
	elements []listedElement[T]
}

type listedElement[T any] struct {
	value   T
	ts      eventtime.Timestamp
	number  int64
	evicted bool
}

const (
	numberBytes    = 8
	timestampBytes = 8
)

func (l *listedContents[T]) add(state Window, value *T, ts eventtime.Timestamp) error {
	number, err := l.at.nextNumber()
	if err != nil {
		return err
	}
	l.key = appendElement(l.key[:0], state, number)
	l.value = binary.LittleEndian.AppendUint64(l.value[:0], uint64(ts))
	l.value = l.codec.Append(l.value, value)
	return l.at.table.MapPut(l.at.row, windowContentsMap, l.key, l.value)
}

// scan calls f for the entries of a window until it returns false.
func (l *listedContents[T]) scan(state Window, f func(key, value []byte) bool) {
	from := appendWindow(l.key[:0], state)
	l.key = from
	to := afterPrefix(from)
	l.at.table.MapScan(l.at.row, windowContentsMap, from, to, func(key, value []byte) bool {
		if len(key) != windowKeyBytes+numberBytes || len(value) < timestampBytes {
			l.at.fail(fault.Internal(fmt.Errorf(
				"read window: an entry of %d and %d bytes", len(key), len(value))))
			return false
		}
		return f(key, value)
	})
}

func (l *listedContents[T]) fire(actual, state Window) error {
	found := false
	l.scan(state, func([]byte, []byte) bool { found = true; return false })
	if !found {
		return l.at.err
	}
	if l.evictor != nil {
		return l.fireEvicting(actual, state)
	}
	var value T
	return l.finish(actual, func(yield func(T) bool) {
		l.scan(state, func(_, b []byte) bool {
			if err := l.codec.LoadBytes(b[timestampBytes:], &value); err != nil {
				l.at.fail(err)
				return false
			}
			return yield(value)
		})
	})
}

// fireEvicting loads the window, as evictors may look at all of it.
func (l *listedContents[T]) fireEvicting(actual, state Window) error {
	l.window, l.elements = actual, l.elements[:0]
	l.scan(state, func(key, b []byte) bool {
		l.elements = append(l.elements, listedElement[T]{
			ts:     eventtime.Timestamp(binary.LittleEndian.Uint64(b)),
			number: int64(binary.BigEndian.Uint64(key[windowKeyBytes:]) ^ 1<<63),
		})
		err := l.codec.LoadBytes(b[timestampBytes:], &l.elements[len(l.elements)-1].value)
		if err != nil {
			l.at.fail(err)
		}
		return err == nil
	})
	if l.at.err != nil {
		return l.at.err
	}
	l.evictor.EvictBefore(l)
	if err := l.sweep(state); err != nil {
		return err
	}
	err := l.finish(actual, func(yield func(T) bool) {
		for i := range l.elements {
			if !yield(l.elements[i].value) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	l.evictor.EvictAfter(l)
	err = l.sweep(state)
	clear(l.elements)
	return err
}

// sweep removes what was evicted.
func (l *listedContents[T]) sweep(state Window) error {
	for i := range l.elements {
		if !l.elements[i].evicted {
			continue
		}
		l.key = appendElement(l.key[:0], state, l.elements[i].number)
		if _, err := l.at.table.MapDelete(l.at.row, windowContentsMap, l.key); err != nil {
			return err
		}
	}
	l.elements = slices.DeleteFunc(l.elements,
		func(e listedElement[T]) bool { return e.evicted })
	return nil
}

func (l *listedContents[T]) clear(state Window) error {
	var err error
	l.value, err = l.at.deletePrefix(windowContentsMap, appendWindow(nil, state), l.value)
	return err
}

// merge moves entries some at a time: what a scan hands out is valid until the next write.
func (l *listedContents[T]) merge(state Window, others []Window) error {
	const atOnce = 256
	into := appendWindow(nil, state)
	for _, other := range others {
		for more := true; more; {
			var moved []byte // numbers and values
			var sizes []int
			l.scan(other, func(key, value []byte) bool {
				moved = append(append(moved, key[windowKeyBytes:]...), value...)
				sizes = append(sizes, numberBytes+len(value))
				return len(sizes) < atOnce
			})
			more = len(sizes) == atOnce
			from := appendWindow(nil, other)
			for _, size := range sizes {
				number, value := moved[:numberBytes], moved[numberBytes:size]
				l.key = append(append(l.key[:0], into...), number...)
				if err := l.at.table.MapPut(
					l.at.row, windowContentsMap, l.key, value); err != nil {
					return err
				}
				l.key = append(append(l.key[:0], from...), number...)
				if _, err := l.at.table.MapDelete(
					l.at.row, windowContentsMap, l.key); err != nil {
					return err
				}
				moved = moved[size:]
			}
		}
	}
	return l.at.err
}

// What follows is window.Contents.

// Window returns the window that fires.
func (l *listedContents[T]) Window() Window { return l.window }

// Watermark returns the current watermark.
func (l *listedContents[T]) Watermark() eventtime.Timestamp { return l.watermark.current }

// ProcessingTime returns the time of the clock.
func (l *listedContents[T]) ProcessingTime() eventtime.Timestamp {
	return eventtime.Timestamp(l.at.now)
}

// Len is the number of records.
func (l *listedContents[T]) Len() int { return len(l.elements) }

// Timestamp returns the event time of a record.
func (l *listedContents[T]) Timestamp(i int) eventtime.Timestamp { return l.elements[i].ts }

// Element returns a pointer to a record.
func (l *listedContents[T]) Element(i int) any { return &l.elements[i].value }

// Evict takes a record out.
func (l *listedContents[T]) Evict(i int) { l.elements[i].evicted = true }

var _ window.Contents = (*listedContents[int])(nil)
