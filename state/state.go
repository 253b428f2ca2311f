// Package state is how a program declares and uses keyed state.
//
// Main types: [Value], one value per key; [Declarations], the states of one operator,
// collected while the graph is built and again when a task opens; [Codec], which stores
// values of a Go type in rows. A function declares its states when it is opened and uses
// the handles while it handles a record; the handle always speaks of the current key.
//
// All states of an operator share one row per key: a word of presence bits, then each
// state's fixed part and slots for its strings. A program never sees rows.
//
// Handles are used by the task goroutine only, and only inside the call that handles a
// record. What Get returns is a copy, safe to keep.
//
// Semantics: Flink's ValueState and ValueStateDescriptor; late registration is refused.
package state

import (
	"fmt"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/state/backend"
)

// MaxStates bounds the states of one operator.
const MaxStates = 64

// Description is what is written down about a declared state, so that later code can be
// judged against it.
type Description struct {
	Name   string
	Kind   string // "value"
	Schema string // in SQL spelling
}

// Declarations collects the states an operator declares. The zero value is ready.
type Declarations struct {
	described []Description
	fixed     int // bytes used so far, without the presence word
	slots     []int
	sealed    bool
	err       error
	cursor    Cursor
}

// presenceBytes is the size of the word at the start of a row that says which states are
// set.
const presenceBytes = 8

// Layout seals the declarations and returns the row they need; keyWords is
// types.KeyCodec.Words of the key. Declaring a state afterwards is an error.
func (d *Declarations) Layout(keyWords int) (backend.RowLayout, error) {
	d.sealed = true
	return backend.RowLayout{
		KeyWords: keyWords, FixedBytes: presenceBytes + d.fixed, VarSlots: d.slots,
	}, d.err
}

// Described returns the declared states in order.
func (d *Declarations) Described() []Description { return d.described }

// Err returns the first fault of a declaration or of a later write.
func (d *Declarations) Err() error { return d.err }

// Cursor returns where the handles look: the engine points it at a row per record.
func (d *Declarations) Cursor() *Cursor { return &d.cursor }

// Cursor is the row the handles of an operator speak of. It belongs to the engine.
type Cursor struct {
	Table backend.Table
	Row   backend.Row
}

// Empty reports whether no state of the row is set, so that the row can be deleted.
func (c *Cursor) Empty() bool { return *(*uint64)(c.Table.Fixed(c.Row)) == 0 }

// Value is one value of T for each key. The zero Value is unusable: declare it.
type Value[T any] struct {
	cell *cell[T]
}

type cell[T any] struct {
	declarations *Declarations
	present      uint64 // the bit in the presence word
	offset       uintptr
	codec        *Codec[T] // nil when the declaration failed: the handle does nothing then
}

// DeclareValue declares a value state under a name that is unique in its operator. T is a
// bool, number, string, []byte, eventtime.Timestamp or a struct of these and types.Null. A
// fault is kept in d and fails the job: before any task runs, or after the batch when a state
// is declared too late.
func DeclareValue[T any](d *Declarations, name string) Value[T] {
	codec, err := NewCodec[T]()
	if err == nil {
		err = d.admit(name)
	}
	if err != nil {
		if d.err == nil {
			d.err = fault.User(fmt.Errorf("state: declare value state %q: %w", name, err))
		}
		return Value[T]{cell: &cell[T]{declarations: d}}
	}
	c := &cell[T]{
		declarations: d,
		present:      1 << len(d.described),
		offset:       uintptr(presenceBytes + d.fixed),
	}
	c.codec = codec.at(int(c.offset), len(d.slots))
	for _, slot := range codec.layout.VarSlots {
		d.slots = append(d.slots, int(c.offset)+slot)
	}
	d.fixed += codec.layout.RowBytes
	d.described = append(d.described, Description{
		Name: name, Kind: "value", Schema: codec.layout.Describe(),
	})
	return Value[T]{cell: c}
}

func (d *Declarations) admit(name string) error {
	if d.sealed {
		return fmt.Errorf("the operator already runs; declare every state when it is opened")
	}
	if name == "" {
		return fmt.Errorf("the name is empty")
	}
	if len(d.described) == MaxStates {
		return fmt.Errorf("an operator has at most %d states; use one state of a struct type",
			MaxStates)
	}
	for _, known := range d.described {
		if known.Name == name {
			return fmt.Errorf("the name is declared twice")
		}
	}
	return nil
}

// Get returns the value of the current key, or false when it is not set.
func (v Value[T]) Get() (value T, ok bool) {
	c := v.cell
	if c.codec == nil {
		return value, false
	}
	cursor := &c.declarations.cursor
	fixed := cursor.Table.Fixed(cursor.Row)
	if *(*uint64)(fixed)&c.present == 0 {
		return value, false
	}
	c.codec.Load(cursor.Table, cursor.Row, &value)
	return value, true
}

// Set replaces the value of the current key.
func (v Value[T]) Set(value T) {
	c := v.cell
	if c.codec == nil {
		return
	}
	cursor := &c.declarations.cursor
	if err := cursor.Table.Change(cursor.Row); err != nil {
		c.declarations.fail(err)
		return
	}
	*(*uint64)(cursor.Table.Fixed(cursor.Row)) |= c.present
	if err := c.codec.Store(cursor.Table, cursor.Row, &value); err != nil {
		c.declarations.fail(err)
	}
}

// Clear unsets the value of the current key.
func (v Value[T]) Clear() {
	c := v.cell
	if c.codec == nil {
		return
	}
	cursor := &c.declarations.cursor
	if *(*uint64)(cursor.Table.Fixed(cursor.Row))&c.present == 0 {
		return
	}
	if err := cursor.Table.Change(cursor.Row); err != nil {
		c.declarations.fail(err)
		return
	}
	*(*uint64)(cursor.Table.Fixed(cursor.Row)) &^= c.present
	var none T
	if err := c.codec.Store(cursor.Table, cursor.Row, &none); err != nil {
		c.declarations.fail(err)
	}
}

func (d *Declarations) fail(err error) {
	if d.err == nil {
		d.err = fmt.Errorf("state: write: %w", err)
	}
}
