package state

import (
	"unsafe"

	"github.com/leat-io/leat/internal/state/declared"
)

// Value is one value of T for each key. The zero Value is unusable: declare it.
//
// Semantics: Flink's ValueState.
type Value[T any] struct {
	cell *cell[T]
}

// DeclareValue declares a value state under a name that is unique in its operator. T is a
// bool, number, string, []byte, eventtime.Timestamp or a struct of these and types.Null. A
// fault is kept in d and fails the job: before any task runs, or after the batch when a state
// is declared too late.
func DeclareValue[T any](d *Declarations, name string, options ...Option) Value[T] {
	return Value[T]{declareCell[T](d, kindValue, name, options)}
}

// Get returns the value of the current key, or false when it is not set.
func (v Value[T]) Get() (value T, ok bool) {
	v.cell.get(&value, &ok)
	return value, ok
}

// Set replaces the value of the current key.
func (v Value[T]) Set(value T) { v.cell.set(&value) }

// Update lets f change the value of the current key, which is the zero T when it was not set.
// f must not keep value nor use this handle. It is faster than Get and Set for a T of numbers,
// which f changes where it lies.
func (v Value[T]) Update(f func(value *T)) { v.cell.update(f) }

// Clear unsets the value of the current key.
func (v Value[T]) Clear() { v.cell.clear() }

// cell is a state in the row.
type cell[T any] struct {
	declared.Part
	d     *declared.States
	id    int                // number of the state
	codec *declared.Codec[T] // nil when the declaration failed: the handle does nothing then
}

func declareCell[T any](
	declarations *Declarations, kind, name string, options []Option,
) *cell[T] {
	d := &declarations.states
	codec, err := declared.NewCodec[T]()
	var s settings
	if err == nil {
		s, err = admit(d, name, options)
	}
	if err != nil {
		d.Refuse(kind, name, err)
		return &cell[T]{d: d}
	}
	layout := codec.Layout()
	part, slot := d.Place(
		declared.Description{Name: name, Kind: kind, Schema: layout.Describe()},
		s.expiry, layout.RowBytes, layout.VarSlots)
	return &cell[T]{Part: part, d: d, id: d.Last(), codec: codec.At(int(part.Value()), slot)}
}

// get reads the value; it stores nothing when there is none.
func (c *cell[T]) get(value *T, ok *bool) {
	if c.codec == nil {
		return
	}
	cursor := c.d.Here()
	fixed := cursor.Table.Fixed(cursor.Row)
	if *(*uint64)(fixed)&c.Present == 0 {
		return
	}
	if c.Millis != 0 {
		c.getTimed(fixed, value, ok)
		return
	}
	c.codec.Load(cursor.Table, cursor.Row, value)
	*ok = true
}

// getTimed reads the value of a state that expires.
func (c *cell[T]) getTimed(fixed unsafe.Pointer, value *T, ok *bool) {
	cursor := c.d.Here()
	lastUse := c.LastUse(fixed)
	expired := c.Expired(lastUse, cursor.Now)
	if *ok = !expired || c.Show; *ok {
		c.codec.Load(cursor.Table, cursor.Row, value)
	}
	switch {
	case expired:
		c.clear()
	case c.OnRead && lastUse != cursor.Now:
		if err := cursor.Table.Change(cursor.Row); err != nil {
			c.d.Fail(c.id, err)
			return
		}
		*declared.Word(cursor.Table.Fixed(cursor.Row), c.Offset) = uint64(cursor.Now)
	}
}

// live reports whether there is a value that counts: one that has expired does not, whether
// it may be seen or not.
func (c *cell[T]) live() bool {
	if c.codec == nil {
		return false
	}
	cursor := c.d.Here()
	fixed := cursor.Table.Fixed(cursor.Row)
	return *(*uint64)(fixed)&c.Present != 0 &&
		(c.Millis == 0 || !c.Expired(c.LastUse(fixed), cursor.Now))
}

func (c *cell[T]) set(value *T) {
	if c.codec == nil {
		return
	}
	cursor := c.d.Here()
	if err := cursor.Table.Change(cursor.Row); err != nil {
		c.d.Fail(c.id, err)
		return
	}
	fixed := cursor.Table.Fixed(cursor.Row)
	*(*uint64)(fixed) |= c.Present
	if c.Millis != 0 {
		*declared.Word(fixed, c.Offset) = uint64(cursor.Now)
	}
	if err := c.codec.Store(cursor.Table, cursor.Row, value); err != nil {
		c.d.Fail(c.id, err)
	}
}

// update lets f change the value, the zero T when there is none that counts.
func (c *cell[T]) update(f func(value *T)) {
	if c.codec == nil {
		return
	}
	if !c.codec.Stores() {
		var value T
		if c.live() {
			c.codec.Load(c.d.Here().Table, c.d.Here().Row, &value)
		}
		f(&value)
		c.set(&value)
		return
	}
	cursor := c.d.Here()
	if err := cursor.Table.Change(cursor.Row); err != nil {
		c.d.Fail(c.id, err)
		return
	}
	fixed := cursor.Table.Fixed(cursor.Row)
	value := (*T)(unsafe.Add(fixed, c.codec.Base())) // zeros when it is not set
	if c.Millis != 0 {
		if c.Expired(c.LastUse(fixed), cursor.Now) {
			var none T
			*value = none
		}
		*declared.Word(fixed, c.Offset) = uint64(cursor.Now)
	}
	*(*uint64)(fixed) |= c.Present
	f(value)
}

func (c *cell[T]) clear() {
	if c.codec == nil {
		return
	}
	cursor := c.d.Here()
	if *(*uint64)(cursor.Table.Fixed(cursor.Row))&c.Present == 0 {
		return
	}
	if err := cursor.Table.Change(cursor.Row); err != nil {
		c.d.Fail(c.id, err)
		return
	}
	fixed := cursor.Table.Fixed(cursor.Row)
	*(*uint64)(fixed) &^= c.Present
	if c.Millis != 0 {
		*declared.Word(fixed, c.Offset) = 0
	}
	var none T
	if err := c.codec.Store(cursor.Table, cursor.Row, &none); err != nil {
		c.d.Fail(c.id, err)
	}
}
