// Package backend is the implementer's face of keyed state: what an operator asks of the
// place where its rows live, and what the checkpoint takes out of it.
//
// Main types: [Backend], all keyed state of one task; [Table], the rows of one operator
// state table in one pane; [Snapshot], a consistent image being copied while records flow.
// Two implementations exist: the row table (internal/state/table) and a deliberately naive
// one (state/backend/naive) that serves as oracle. Kit: state/backend/backendtest. The
// package holds no rows itself; it defines the serial form of a row's value ([AppendValue],
// [SplitValue]; docs/formats/row.md), which all backends share so that state written by one
// is read by every other.
//
// Everything but the iteration of a finished [Part] is called by the task goroutine only.
// Lifecycle: Declare every table, restore, then records; Close last.
//
// Semantics: Flink's keyed state backends; snapshots follow the asynchronous barrier
// snapshot with a cooperative copy (a state version flips at the barrier, rows changed
// later are saved to an undo log before their first change).
package backend

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/types"
)

// TableID numbers the state tables of a task, dense from 0, in order of declaration.
type TableID uint16

// Pane separates rows of one table by window: the pane of a window is its end in
// milliseconds; state without windows lives in NoPane.
type Pane int64

// NoPane is the pane of state that is not windowed.
const NoPane Pane = -1 << 63

// RowLayout is the shape of every row of a table.
type RowLayout struct {
	// KeyWords is 1 or 2 when a key is exactly that many 8-byte words; 0 when keys are
	// byte strings of any length up to MaxKeyBytes.
	KeyWords int
	// FixedBytes is the size of the fixed part, a multiple of 8, at most MaxFixedBytes.
	FixedBytes int
	// VarSlots are the offsets, in the fixed part, of 8-byte slots owned by the backend that
	// refer to values of variable length. A zero slot is an empty value. Offsets are
	// multiples of 8 and distinct; their order numbers the slots. Callers never write them.
	VarSlots []int
	// Collections are those of every row. Their slots are multiples of 8, distinct, and no
	// VarSlots.
	Collections []CollectionLayout
}

// Bounds of what a row holds, in bytes.
const (
	MaxKeyBytes   = 1 << 20   // a variable-length key
	MaxFixedBytes = 32 << 10  // the fixed part of a row
	MaxValueBytes = 1<<27 - 1 // one value of variable length
)

// Validate says what is wrong with a layout. Declare calls it.
func (l RowLayout) Validate() error {
	if l.KeyWords < 0 || l.KeyWords > 2 {
		return fmt.Errorf("backend: check row layout: %d key words, want 0 to 2", l.KeyWords)
	}
	if l.FixedBytes < 0 || l.FixedBytes > MaxFixedBytes || l.FixedBytes%8 != 0 {
		return fmt.Errorf("backend: check row layout: fixed part of %d bytes, "+
			"want a multiple of 8 up to %d", l.FixedBytes, MaxFixedBytes)
	}
	for i, slot := range l.VarSlots {
		if slot < 0 || slot%8 != 0 || slot+8 > l.FixedBytes {
			return fmt.Errorf("backend: check row layout: variable slot at byte %d, "+
				"want a multiple of 8 inside %d bytes", slot, l.FixedBytes)
		}
		if slices.Contains(l.VarSlots[:i], slot) {
			return fmt.Errorf("backend: check row layout: two variable slots at byte %d", slot)
		}
	}
	return l.validateCollections()
}

func (l RowLayout) validateCollections() error {
	for i, c := range l.Collections {
		switch {
		case c.Kind != OrderedMap && c.Kind != List:
			return fmt.Errorf("backend: check row layout: %v", c.Kind)
		case c.Slot < 0 || c.Slot%8 != 0 || c.Slot+8 > l.FixedBytes:
			return fmt.Errorf("backend: check row layout: collection at byte %d, "+
				"want a multiple of 8 inside %d bytes", c.Slot, l.FixedBytes)
		case slices.Contains(l.VarSlots, c.Slot) || slices.ContainsFunc(l.Collections[:i],
			func(other CollectionLayout) bool { return other.Slot == c.Slot }):
			return fmt.Errorf("backend: check row layout: two slots at byte %d", c.Slot)
		}
	}
	return nil
}

// Keys are the keys of the rows a batch asks for. Exactly one of Words and Bytes is used,
// by RowLayout.KeyWords. The backend copies what it keeps.
type Keys struct {
	Hashes []uint64 // hash id 1 of each key
	Words  []uint64 // len = len(Hashes) * KeyWords
	Bytes  [][]byte // len = len(Hashes)
}

// Row addresses a row of a table. Zero means absent. A Row is valid until the next call
// that may move rows (Resolve with Insert or InsertClean on the same pane, Restore), until
// the row itself is deleted or its pane dropped, and at most until the end of the batch or
// the next Snapshot.Step. Deleting other rows does not matter. It must never be stored
// beyond the batch.
type Row uintptr

// Direct is implemented by tables of which a Row is the address of its fixed part, for as
// long as the Row is valid: after Resolve, unsafe.Pointer(row) is what Fixed(row) returns.
type Direct interface {
	// RowIsAddress has no effect; having it is the statement.
	RowIsAddress()
}

// Addresses reports whether rows of t are addresses of their fixed parts, so that a loop
// over a resolved batch may skip the call of Fixed.
func Addresses(t Table) bool {
	_, ok := t.(Direct)
	return ok
}

// Mode says what Resolve does.
type Mode uint8

const (
	// Find leaves 0 for keys without a row.
	Find Mode = iota
	// Insert makes a zeroed row for keys without one and declares every row changed, as
	// Change would: the fixed part may be written at once.
	Insert
	// InsertClean makes a zeroed row for keys without one but declares nothing changed:
	// call Change before writing. A new row counts as changed already.
	InsertClean
)

// Table holds the rows of one declared table in one pane. It must not be used after its
// pane was dropped.
type Table interface {
	// Resolve looks up all keys at once and stores a Row for each in rows, which has
	// len(keys.Hashes) entries. Equal keys get equal rows. The indexes of keys for which a
	// row was made (first occurrence) are appended to created, ascending, and returned. A
	// row made for a key deleted before is zeroed like any other. After an error, which
	// only a key that is too long or a full table causes, rows is undefined and the table
	// remains usable.
	Resolve(keys Keys, mode Mode, rows []Row, created []int32) ([]int32, error)
	// Fixed returns the fixed part of a row, FixedBytes long, 8-byte aligned. It may be
	// written only after Change (or Insert) in the current state version.
	Fixed(row Row) unsafe.Pointer
	// Change declares that a row is about to be written: the backend saves the old image
	// when a snapshot needs it and marks the row. Cheap when repeated.
	Change(row Row) error
	// Value returns the bytes of variable slot i. They are valid until the next write to
	// the table.
	Value(row Row, slot int) []byte
	// SetValue replaces the bytes of variable slot i, copying value; the row must have been
	// declared changed. Rows stay valid. An empty value zeroes the slot. The value may be
	// one that Value returned.
	SetValue(row Row, slot int, value []byte) error
	// Delete removes a row, which needs no Change before; the row is invalid afterwards.
	Delete(row Row) error
	// Key returns the key of a row: its words when KeyWords > 0, else its bytes, valid as
	// long as the row. The caller must not write them.
	Key(row Row) (words []uint64, bytes []byte)
	// Hash returns the top 32 bits of the hash of a row's key.
	Hash(row Row) uint32
	// Scan calls f for every row, in no particular order, until f returns false. f may
	// write the row after Change but neither insert nor delete.
	Scan(f func(row Row) bool)
	// Len is the number of rows.
	Len() int
	// The collections of rows.
	Collections
}

// Entry is one row on its way into or out of a run. The slices are valid until the next
// entry.
type Entry struct {
	Hash    uint32 // top 32 bits of the key's hash
	Key     []byte // words little endian, or the key bytes
	Value   []byte // serial form, see AppendValue; nil when Deleted
	Deleted bool
}

// Entries yields entries in order (Hash, Key), each key once.
type Entries interface {
	// Next returns the next entry, or false at the end or on error.
	Next() (Entry, bool)
	// Err returns what ended the iteration early, nil at its end.
	Err() error
}

// Part is what one table and pane adds to a snapshot.
type Part struct {
	Table TableID
	Pane  Pane
	// Full says that Entries are all rows of the pane and replace what earlier snapshots
	// hold; else they are the rows changed since the snapshot that was last confirmed when
	// this one began, deleted ones included. A part may be full without having been asked
	// for; that of a pane made (or made again) since then always is.
	Full bool
	// Rows is the number of entries, Bytes about their serial size. With AtMost both may be
	// too large: how many entries there are shows while they are put in order.
	Rows   int
	AtMost bool
	Bytes  int64
	// Entries starts an iteration; it may be used by one other goroutine while the task
	// goes on, until Snapshot.Release.
	Entries func() Entries
}

// Snapshot is an image of the state at one barrier.
type Snapshot interface {
	// Step copies about budget bytes and reports whether the image is complete. Task
	// goroutine, between batches.
	Step(budget int) (done bool, err error)
	// Parts lists what to write, once Step has reported done: one Part for every pane that
	// changed (or exists, when full). Panes lists every pane alive in the image, changed or
	// not, ordered by (Table, Pane): a pane not listed was dropped.
	Parts() []Part
	Panes() []PaneID
	// Release frees the image. Task goroutine. Legal before done, when the checkpoint was
	// aborted: changed rows stay marked. A second call has no effect.
	Release()
}

// PaneID names a pane of a table.
type PaneID struct {
	Table TableID
	Pane  Pane
}

// String names the table, and the pane if it is one of a window.
func (id PaneID) String() string {
	if id.Pane == NoPane {
		return fmt.Sprintf("table %d", id.Table)
	}
	return fmt.Sprintf("table %d, pane %d", id.Table, id.Pane)
}

// Backend is the keyed state of one task.
type Backend interface {
	// Declare adds a table, and a numbered table for each of its collections, see
	// CollectionTable. All tables are declared before the first record.
	Declare(layout RowLayout) (TableID, error)
	// DeclareTimers adds a service of timers. It takes a table number too: its timers lie there
	// in snapshots, in NoPane, and are restored by it.
	DeclareTimers(layout TimerLayout) (TableID, error)
	// Timers returns a declared service.
	Timers(id TableID) (Timers, error)
	// Table returns a pane of a declared table, making it empty when it does not exist. id must
	// be what Declare returned.
	Table(id TableID, pane Pane) (Table, error)
	// Panes appends the panes of a table in ascending order.
	Panes(id TableID, dst []Pane) []Pane
	// Drop removes a pane with all its rows; a pane that does not exist is no error. A
	// snapshot begun before still holds the pane.
	Drop(id TableID, pane Pane) error
	// Begin flips the state version: the image is the state at this moment. One snapshot at
	// a time: the one before must have been released, yet need not have been confirmed.
	// Checkpoint ids ascend. full asks for complete parts.
	Begin(checkpoint uint64, full bool) (Snapshot, error)
	// Confirm says that the snapshot of this checkpoint is durable: rows unchanged since it
	// are clean. It implies all earlier ones. A checkpoint that is never confirmed needs no
	// call; its rows stay changed. An unknown checkpoint, one released before its image was
	// complete, or one before the last confirmed has no effect. It may come while a later
	// snapshot is being copied, which it does not change.
	Confirm(checkpoint uint64)
	// Restore inserts entries, whose keys lie inside bounds, into a pane as clean rows: an
	// entry out of bounds, out of order, deleted or damaged is an error, after which the
	// backend is only good for Close. May be called repeatedly, with disjoint keys. Makes
	// the pane also when there are no entries. The table may be that of a collection or of
	// timers; the rows of a table are restored before its collections, and an entry of a
	// collection whose row is not there makes it. Before the first record.
	Restore(id TableID, pane Pane, bounds types.HashRange, entries Entries) error
	// MemoryBytes is what the state occupies now, copies and undo log included.
	MemoryBytes() int64
	// Close frees all state. Parts that are being read stay readable; nothing else may follow.
	Close() error
}

// Factory makes a backend. Name is the value of state.backend.type it serves.
type Factory interface {
	Name() string
	New(options Options) (Backend, error)
}

// Options are what a backend gets from its task.
type Options struct {
	// Bounds are the hashes this subtask owns.
	Bounds types.HashRange
}
