package state

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"

	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// List is elements of T for each key, in the order in which they were appended. An empty list
// takes no room. The zero List is unusable: declare it.
//
// Semantics: Flink's ListState.
type List[T any] struct {
	cell *listCell[T]
}

// DeclareList declares a list state: DeclareValue says what T and name may be.
func DeclareList[T any](declarations *Declarations, name string, options ...Option) List[T] {
	d := &declarations.states
	codec, err := declared.NewCodec[T]()
	var s settings
	if err == nil {
		s, err = admit(d, name, options)
	}
	if err != nil {
		d.Refuse(kindList, name, err)
		return List[T]{&listCell[T]{d: d}}
	}
	c := &listCell[T]{
		Expiry: s.expiry, d: d, codec: codec,
		number: d.Collect(backend.List, declared.Description{
			Name: name, Kind: kindList, Schema: codec.Layout().Describe(),
			TTLMillis: s.expiry.Millis,
		}),
	}
	c.id = d.Last()
	return List[T]{c}
}

// Append adds an element at the end.
func (l List[T]) Append(value T) {
	if c := l.cell; c.codec != nil {
		c.append(&value)
	}
}

// AppendAll adds elements at the end.
func (l List[T]) AppendAll(values []T) {
	if c := l.cell; c.codec != nil {
		for i := range values {
			c.append(&values[i])
		}
	}
}

// Replace makes values all elements of the list. It is Flink's update.
func (l List[T]) Replace(values []T) {
	l.Clear()
	l.AppendAll(values)
}

// All yields the elements there are when the loop begins, the first one first. The body of
// the loop may change the list and every other state; when it replaces or clears the list,
// the loop ends.
func (l List[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		l.cell.scan(func(element []byte) bool {
			var value T
			if err := l.cell.codec.LoadBytes(element, &value); err != nil {
				l.cell.d.FailRead(err)
				return false
			}
			return yield(value)
		})
	}
}

// Len is the number of elements. With a TTL, it looks at all of them.
func (l List[T]) Len() int {
	c := l.cell
	if c.codec == nil {
		return 0
	}
	if c.Millis != 0 {
		return c.count(math.MaxInt)
	}
	cursor := c.d.Here()
	return cursor.Table.Elements(cursor.Row, c.number)
}

// IsEmpty reports whether there is no element.
func (l List[T]) IsEmpty() bool {
	if c := l.cell; c.codec != nil && c.Millis != 0 {
		return c.count(1) == 0
	}
	return l.Len() == 0
}

// Clear removes all elements.
func (l List[T]) Clear() {
	c := l.cell
	if c.codec == nil {
		return
	}
	c.rewrites++
	cursor := c.d.Here()
	if cursor.Table.Elements(cursor.Row, c.number) > 0 {
		c.d.Fail(c.id, cursor.Table.Clear(cursor.Row, c.number))
	}
}

// listCell is what the handles of a list share.
type listCell[T any] struct {
	declared.Expiry
	d        *declared.States
	number   int                // of the collection
	id       int                // number of the state
	codec    *declared.Codec[T] // nil when the declaration failed: the handle does nothing then
	rewrites uint64             // counts what ends loops

	element []byte // scratch
	chunks  chunks
}

func (c *listCell[T]) append(value *T) {
	element := c.element[:0]
	if c.Millis != 0 {
		element = binary.LittleEndian.AppendUint64(element, uint64(c.d.Here().Now))
		c.d.Bear()
	}
	c.element = c.codec.Append(element, value)
	cursor := c.d.Here()
	if err := cursor.Table.ListAppend(cursor.Row, c.number, c.element); err != nil {
		c.d.Fail(c.id, declared.Oversized(err, "element", len(c.element), backend.MaxValueBytes,
			"divide it among several elements"))
	}
}

// scan yields the elements, without the time of their last use. They are copied out, so that
// f may write: a list that does not expire in growing chunks, each found by walking from the
// start of the list, one that does at once, since it may have to be written anew.
func (c *listCell[T]) scan(f func(element []byte) bool) {
	if c.codec == nil {
		return
	}
	table, row := c.d.Here().Table, c.d.Here().Row
	n := table.Elements(row, c.number)
	if n == 0 {
		return
	}
	chunk, rewrites := c.chunks.take(), c.rewrites
	defer c.chunks.give(chunk)
	limit := 8 * leastEntries
	if c.Millis != 0 {
		limit = n
	}
	for next := 0; next < n && c.rewrites == rewrites; {
		chunk.clear()
		chunk.skip, chunk.limit = next, min(n-next, limit)
		table.ListScan(row, c.number, chunk.addElement)
		if chunk.len() == 0 {
			return
		}
		next, limit = next+chunk.len(), 4*limit
		if c.Millis != 0 && !c.meet(chunk) {
			return
		}
		for i := range chunk.len() {
			_, element := chunk.at(i)
			if c.hidden(element) {
				continue
			}
			if !f(element[c.Prefix():]) {
				return
			}
			if c.rewrites != rewrites {
				return
			}
		}
	}
}

// hidden reports whether an element has expired and must not be seen.
func (c *listCell[T]) hidden(element []byte) bool {
	return c.Millis != 0 && !c.Show && c.gone(element)
}

func (c *listCell[T]) gone(element []byte) bool {
	return c.Expired(int64(binary.LittleEndian.Uint64(element)), c.d.Here().Now)
}

// meet does what meeting all elements of a list that expires means for their lives, and
// reports whether they can be read. Elements are removed by writing the others anew: when at
// least half have expired, so that the work is in proportion to what was appended.
func (c *listCell[T]) meet(chunk *chunk) bool {
	gone, old, now := 0, 0, c.d.Here().Now
	for i := range chunk.len() {
		_, element := chunk.at(i)
		if len(element) < declared.TimeBytes {
			c.d.FailRead(fmt.Errorf("state: read list element: %d bytes, want its time of last use",
				len(element)))
			return false
		}
		switch {
		case c.gone(element):
			gone++
		case c.OnRead && int64(binary.LittleEndian.Uint64(element)) != now:
			old++
		}
	}
	if old == 0 && 2*gone < chunk.len() {
		return true
	}
	cursor := c.d.Here()
	c.d.Fail(c.id, cursor.Table.Clear(cursor.Row, c.number))
	for i := range chunk.len() {
		_, element := chunk.at(i)
		if c.gone(element) {
			continue
		}
		if c.OnRead {
			binary.LittleEndian.PutUint64(element, uint64(now))
		}
		c.d.Fail(c.id, cursor.Table.ListAppend(cursor.Row, c.number, element))
	}
	return true
}

// count returns how many elements have not expired, at most limit.
func (c *listCell[T]) count(limit int) (n int) {
	cursor := c.d.Here()
	cursor.Table.ListScan(cursor.Row, c.number, func(element []byte) bool {
		if len(element) >= declared.TimeBytes && !c.gone(element) {
			n++
		}
		return n < limit
	})
	return n
}
