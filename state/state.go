// Package state is how a program declares and uses keyed state.
//
// Main types: [Value], one value per key; [Map] and [OrderedMap], entries per key; [List],
// elements per key; [Reducing] and [Aggregating], a value that folds what is added;
// [Declarations], the states of one operator, collected while the graph is built and again
// when a task opens; [TTL], how long a state lives. A function declares its states when it is
// opened and uses the handles while it handles a record or timer; the handle always speaks of
// the current key.
//
// All states of an operator share one row per key: a word of presence bits, then the fixed
// part and slots of each state that is one value, then a reference for each map and list,
// whose entries lie beside the row. A program never sees rows. What is empty takes no room.
//
// Handles are used by the task goroutine only, and only inside the call that handles a
// record. What they return is a copy, safe to keep. A fault, such as a value that is too
// large, is kept and fails the job after the batch.
//
// [Codec], [Cursor], [Description] and the methods of Declarations are for the engine, which
// points the handles at a row; programs have no use for them.
//
// Semantics: Flink's ValueState, MapState, ListState, ReducingState, AggregatingState and
// their descriptors with StateTtlConfig; late registration is refused.
package state

import (
	"fmt"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/state/backend"
)

// MaxStates bounds the states of one operator.
const MaxStates = 64

// Kinds of states in descriptions.
const (
	kindValue       = "value"
	kindReducing    = "reducing"
	kindAggregating = "aggregating"
	kindMap         = "map"
	kindOrderedMap  = "ordered-map"
	kindList        = "list"
)

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

// Declarations collects the states an operator declares. The zero value is ready.
type Declarations struct {
	described []Description
	fixed     int // bytes used so far, without the presence word
	slots     []int
	present   int    // presence bits used so far
	timed     []part // states in the row that have a time to live
	// collections are the maps and lists; their slots lie at the end of the fixed part.
	collections []backend.CollectionLayout
	sealed      bool
	err         error
	cursor      Cursor
}

// presenceBytes is the size of the word at the start of a row that says which states are
// set.
const presenceBytes = 8

// Layout seals the declarations and returns the row they need; keyWords is
// types.KeyCodec.Words of the key. Declaring a state afterwards is an error.
func (d *Declarations) Layout(keyWords int) (backend.RowLayout, error) {
	d.sealed = true
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
func (d *Declarations) Described() []Description { return d.described }

// Err returns the first fault of a declaration or of a later write.
func (d *Declarations) Err() error { return d.err }

// Cursor returns where the handles look: the engine points it at a row per record.
func (d *Declarations) Cursor() *Cursor {
	d.cursor.of = d
	return &d.cursor
}

// Cursor is the row the handles of an operator speak of. It belongs to the engine.
type Cursor struct {
	Table backend.Table
	Row   backend.Row
	// Now is the time by which states expire, in Unix milliseconds.
	Now int64

	of *Declarations
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
		if present&p.present != 0 && p.expired(p.lastUse(fixed), c.Now) {
			present &^= p.present
		}
	}
	if present != 0 {
		return false
	}
	for _, collection := range c.of.collections {
		if *wordAt(fixed, uintptr(collection.Slot)) != 0 {
			return false
		}
	}
	return true
}

// settings are what options say about a state.
type settings struct {
	expiry expiry
	err    error
}

// Option is a choice about a declared state: a [TTL].
type Option interface{ apply(s *settings) }

// admit takes a state up, or says why not.
func (d *Declarations) admit(name string, options []Option) (settings, error) {
	var s settings
	if d.sealed {
		return s, fmt.Errorf("the operator already runs; declare every state when it is opened")
	}
	if name == "" {
		return s, fmt.Errorf("the name is empty")
	}
	if len(d.described) == MaxStates {
		return s, fmt.Errorf("an operator has at most %d states; use one state of a struct type",
			MaxStates)
	}
	for _, known := range d.described {
		if known.Name == name {
			return s, fmt.Errorf("the name is declared twice")
		}
	}
	for _, option := range options {
		option.apply(&s)
	}
	return s, s.err
}

// refuse keeps the first fault of a declaration.
func (d *Declarations) refuse(kind, name string, err error) {
	if d.err == nil {
		d.err = fault.User(fmt.Errorf("state: declare %s state %q: %w", kind, name, err))
	}
}

// collect takes a map or list up and returns its number.
func (d *Declarations) collect(kind backend.CollectionKind, described Description) int {
	number := len(d.collections)
	d.collections = append(d.collections, backend.CollectionLayout{Kind: kind})
	described.Table = int(backend.CollectionTable(0, number))
	d.described = append(d.described, described)
	return number
}

// fail keeps the first fault of a write.
func (d *Declarations) fail(err error) {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("state: write: %w", err)
	}
}

// failRead keeps a fault of bytes that no program wrote.
func (d *Declarations) failRead(err error) {
	if d.err == nil {
		d.err = err
	}
}
