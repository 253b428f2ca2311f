// Package declared is what the engine sees of the states an operator declares, and what the
// handles of package state are made of.
//
// Main types: [States], behind a state.Declarations: [Of] finds it; [Cursor], where the handles
// look; [Codec], which stores values of a Go type in rows and in collections. Handles and
// options, which programs use, are in package state; there are no rows here.
//
// Lifecycle: a function declares, Layout seals, then the engine points the Cursor at rows. Task
// goroutine only; a Codec may be shared.
//
// Semantics: those of package state.
package declared

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/state/backend"
)

// maxStates is state.MaxStates.
const maxStates = 64

// Description is what is written down about a declared state, so that later code can be
// judged against it and its bytes be read without it.
type Description struct {
	Name   string
	Kind   string // "value", "reducing", "aggregating", "map", "ordered-map", "list"
	Schema string // of a value, entry or element, in SQL spelling
	// UserKeySchema is that of the keys of a map, for types.ParseOrdered.
	UserKeySchema string
	// Table is where the bytes lie, counted from the table of the rows: 0, or
	// backend.CollectionTable of a map or list.
	Table int
	// PresenceBit is the bit of the row's first word that says whether a state in the row is
	// set.
	PresenceBit int
	// TTLMillis is the time to live, 0 = for ever. TTLOffset is where in the row the time of
	// the last use lies; in maps and lists it leads the value of every entry or element.
	TTLMillis int64
	TTLOffset int
}

// States are the states an operator declares. The zero value is ready.
type States struct {
	described []Description
	fixed     int // bytes used so far, without the presence word
	slots     []int
	present   int         // presence bits used so far
	timed     []timedPart // states in the row that have a time to live
	aging     []timedCollection
	births    int // see Births
	// collections are the maps and lists; their slots lie at the end of the fixed part.
	collections []backend.CollectionLayout
	sealed      bool
	keyWords    int
	err         error
	cursor      Cursor
}

// presenceBytes is the size of the word at the start of a row that says which states are
// set.
const presenceBytes = 8

// Layout seals the declarations and returns the row they need; keyWords is
// types.KeyCodec.Words of the key. Declaring a state afterwards is an error.
func (d *States) Layout(keyWords int) (backend.RowLayout, error) {
	d.sealed, d.keyWords = true, keyWords
	layout := backend.RowLayout{
		KeyWords: keyWords, FixedBytes: presenceBytes + d.fixed, VarSlots: d.slots,
	}
	for i := range d.collections {
		d.collections[i].Slot = layout.FixedBytes
		layout.FixedBytes += 8
	}
	layout.Collections = d.collections
	return layout, d.err
}

// Described returns the declared states in order.
func (d *States) Described() []Description { return d.described }

// Err returns the first fault of a declaration or of a later write.
func (d *States) Err() error { return d.err }

// Cursor returns where the handles look: the engine points it at a row per record.
func (d *States) Cursor() *Cursor {
	d.cursor.of = d
	return &d.cursor
}

// Here is the cursor as the engine left it, for handles.
func (d *States) Here() *Cursor { return &d.cursor }

// Cursor is the row the handles of an operator speak of. It belongs to the engine. Table is
// never nil in one that handles see: it is nowhere before the first row.
type Cursor struct {
	Table backend.Table
	Row   backend.Row
	// Now is the time by which states expire, in Unix milliseconds.
	Now int64

	of *States
}

// Empty reports whether nothing of the row is set, or only what has expired, so that the row
// can be deleted. Entries of maps and lists that have expired, and were not met since, count.
func (c *Cursor) Empty() bool {
	fixed := c.Table.Fixed(c.Row)
	present := *(*uint64)(fixed)
	if c.of == nil || present == 0 && len(c.of.collections) == 0 {
		return present == 0
	}
	for i := range c.of.timed {
		p := &c.of.timed[i]
		if present&p.Present != 0 && p.Expired(p.LastUse(fixed), c.Now) {
			present &^= p.Present
		}
	}
	if present != 0 {
		return false
	}
	for _, collection := range c.of.collections {
		if *Word(fixed, uintptr(collection.Slot)) != 0 {
			return false
		}
	}
	return true
}

// Admit says what keeps a state of this name from being declared.
func (d *States) Admit(name string) error {
	if d.sealed {
		return fmt.Errorf("the operator already runs; declare every state when it is opened")
	}
	if d.cursor.Table == nil {
		d.Cursor().Leave()
	}
	if name == "" {
		return fmt.Errorf("the name is empty")
	}
	if len(d.described) == maxStates {
		return fmt.Errorf("an operator has at most %d states; use one state of a struct type",
			maxStates)
	}
	for _, known := range d.described {
		if known.Name == name {
			return fmt.Errorf("the name is declared twice")
		}
	}
	return nil
}

// Place takes up a state that lies in the row: its bytes, and its slots by their offsets in
// these. It returns the part, and the number of the first slot.
func (d *States) Place(
	described Description, expiry Expiry, bytes int, slots []int,
) (part Part, slot int) {
	part = Part{
		Expiry: expiry, Present: 1 << d.present, Offset: uintptr(presenceBytes + d.fixed),
	}
	described.PresenceBit, described.TTLMillis = d.present, expiry.Millis
	if expiry.Millis != 0 {
		described.TTLOffset = int(part.Offset)
		d.timed = append(d.timed, timedPart{
			Part: part, bytes: expiry.Prefix() + bytes, slot: len(d.slots), slots: len(slots),
		})
	}
	slot = len(d.slots)
	for _, at := range slots {
		d.slots = append(d.slots, int(part.Value())+at)
	}
	d.described = append(d.described, described)
	d.present++
	d.fixed += expiry.Prefix() + bytes
	return part, slot
}

// Refuse keeps the first fault of a declaration.
func (d *States) Refuse(kind, name string, err error) {
	if d.err == nil {
		d.err = fault.User(fmt.Errorf("state: declare %s state %q: %w", kind, name, err))
	}
}

// Collect takes a map or list up and returns its number.
func (d *States) Collect(kind backend.CollectionKind, described Description) int {
	number := len(d.collections)
	d.collections = append(d.collections, backend.CollectionLayout{Kind: kind})
	if described.TTLMillis != 0 {
		d.aging = append(d.aging, timedCollection{
			Expiry{Millis: described.TTLMillis}, number, kind == backend.List,
		})
	}
	described.Table = int(backend.CollectionTable(0, number))
	d.described = append(d.described, described)
	return number
}

// Fail keeps the first fault of a write to a state, given by its number.
func (d *States) Fail(state int, err error) {
	if err != nil && d.err == nil {
		s := &d.described[state]
		d.err = fmt.Errorf("state: write %s state %q: %w", s.Kind, s.Name, err)
	}
}

// Last is the number of the state declared last.
func (d *States) Last() int { return len(d.described) - 1 }

// Oversized marks the error of a write as the program's when it is what was written that is
// too long, and says what helps.
func Oversized(err error, what string, bytes, most int, cure string) error {
	if err == nil || bytes <= most {
		return err
	}
	return fault.User(fmt.Errorf("%s of %d bytes, at most %d are possible: %s",
		what, bytes, most, cure))
}

// FailRead keeps a fault of bytes that no program wrote.
func (d *States) FailRead(err error) {
	if d.err == nil {
		d.err = err
	}
}

// find returns the states behind a *state.Declarations.
var find func(declarations any) *States

// Provide says how Of finds states; package state calls it, once.
func Provide(of func(declarations any) *States) { find = of }

// Of returns the states behind declarations, a *state.Declarations.
func Of(declarations any) *States { return find(declarations) }

// Expiry is a time to live as states use it. The zero Expiry never comes.
type Expiry struct {
	Millis int64 // 0: for ever
	OnRead bool  // reading prolongs
	Show   bool  // what has expired is returned once
}

// TimeBytes is the size of the time of the last use.
const TimeBytes = 8

// Prefix is the number of bytes before a value.
func (e *Expiry) Prefix() int {
	if e.Millis == 0 {
		return 0
	}
	return TimeBytes
}

// Expired reports whether a state used last at one time has expired at another.
func (e *Expiry) Expired(lastUse, now int64) bool {
	return lastUse <= math.MaxInt64-e.Millis && lastUse+e.Millis <= now
}

// Part is a state in the row.
type Part struct {
	Expiry
	Present uint64  // its bit in the presence word
	Offset  uintptr // of the time of the last use, if it expires, and the value behind it
}

// Value is where the value begins in the row.
func (p *Part) Value() uintptr { return p.Offset + uintptr(p.Prefix()) }

// LastUse reads the time of the last use from the fixed part of a row.
func (p *Part) LastUse(fixed unsafe.Pointer) int64 { return int64(*Word(fixed, p.Offset)) }

// Word is 8 bytes of the fixed part of a row.
func Word(fixed unsafe.Pointer, offset uintptr) *uint64 {
	return (*uint64)(unsafe.Add(fixed, offset))
}
