// Package naive is a state backend of plain Go maps: what an average engineer would write.
//
// Main types: [Factory], [Backend], [Table]. It is the oracle the row table is compared
// with and the baseline it is measured against. A snapshot copies everything at the
// barrier, every part is full, and nothing is done to spare memory or pauses; it is not
// meant for production.
//
// One goroutine uses a Backend, except that a finished part may be iterated by another.
// Lifecycle and semantics are those of package state/backend.
package naive

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Name is the value of state.backend.type that selects this backend.
const Name = "naive"

// Factory makes backends of Go maps. The zero Factory is ready for use.
type Factory struct{}

// Name returns "naive".
func (Factory) Name() string { return Name }

// New returns an empty backend. It never fails.
func (Factory) New(options backend.Options) (backend.Backend, error) {
	return &Backend{}, nil
}

// Backend is the keyed state of one task in Go maps.
type Backend struct {
	tables      []declared
	snapshot    *snapshot // nil unless one is being copied or written
	memoryBytes int64
	closed      bool
}

// declared is what a table number stands for: the rows of a table, a collection of the rows
// of another, or timers.
type declared struct {
	layout     backend.RowLayout
	panes      map[backend.Pane]*Table // shared by the collections of a table
	collection int                     // -1: the rows themselves
	timers     *timers                 // nil: no timers
}

// Declare adds a table.
func (b *Backend) Declare(layout backend.RowLayout) (backend.TableID, error) {
	if err := layout.Validate(); err != nil {
		return 0, fmt.Errorf("naive: declare table: %w", err)
	}
	if len(b.tables)+len(layout.Collections) > maxTables-1 {
		return 0, fmt.Errorf("naive: declare table: %d tables already", len(b.tables))
	}
	layout.VarSlots = slices.Clone(layout.VarSlots)
	layout.Collections = slices.Clone(layout.Collections)
	id, panes := backend.TableID(len(b.tables)), map[backend.Pane]*Table{}
	for i := -1; i < len(layout.Collections); i++ {
		b.tables = append(b.tables, declared{layout: layout, panes: panes, collection: i})
	}
	return id, nil
}

const maxTables = 1 << 16

// DeclareTimers adds a service of timers.
func (b *Backend) DeclareTimers(layout backend.TimerLayout) (backend.TableID, error) {
	if err := layout.Validate(); err != nil {
		return 0, fmt.Errorf("naive: declare timers: %w", err)
	}
	if len(b.tables) == maxTables {
		return 0, fmt.Errorf("naive: declare timers: %d tables already", len(b.tables))
	}
	b.tables = append(b.tables, declared{
		timers: &timers{layout: layout, set: map[timer]uint32{}}, collection: -1,
	})
	return backend.TableID(len(b.tables) - 1), nil
}

// Timers returns a service of timers.
func (b *Backend) Timers(id backend.TableID) (backend.Timers, error) {
	if err := b.check(id); err != nil {
		return nil, err
	}
	if b.tables[id].timers == nil {
		return nil, fmt.Errorf("naive: table %d holds no timers", id)
	}
	return b.tables[id].timers, nil
}

// check returns an error unless id is a declared table of an open backend.
func (b *Backend) check(id backend.TableID) error {
	if b.closed {
		return fmt.Errorf("naive: backend is closed")
	}
	if int(id) >= len(b.tables) {
		return fmt.Errorf("naive: table %d is not declared", id)
	}
	return nil
}

// Table returns a pane of a declared table, making it when it does not exist.
func (b *Backend) Table(id backend.TableID, pane backend.Pane) (backend.Table, error) {
	if err := b.check(id); err != nil {
		return nil, err
	}
	if d := b.tables[id]; d.timers != nil || d.collection >= 0 {
		return nil, fmt.Errorf("naive: table %d has no rows of its own", id)
	}
	return b.table(id, pane), nil
}

func (b *Backend) table(id backend.TableID, pane backend.Pane) *Table {
	t := b.tables[id].panes[pane]
	if t == nil {
		t = newTable(b, b.tables[id].layout)
		b.tables[id].panes[pane] = t
	}
	return t
}

// Panes appends the panes of a table in ascending order.
func (b *Backend) Panes(id backend.TableID, dst []backend.Pane) []backend.Pane {
	if b.check(id) != nil {
		return dst
	}
	if b.tables[id].timers != nil {
		return append(dst, backend.NoPane)
	}
	start := len(dst)
	for pane := range b.tables[id].panes {
		dst = append(dst, pane)
	}
	slices.Sort(dst[start:])
	return dst
}

// Drop removes a pane with all its rows.
func (b *Backend) Drop(id backend.TableID, pane backend.Pane) error {
	if err := b.check(id); err != nil {
		return err
	}
	if t := b.tables[id].panes[pane]; t != nil {
		t.each(func(r *row) bool {
			b.memoryBytes -= r.bytes()
			return true
		})
		delete(b.tables[id].panes, pane)
	}
	return nil
}

// Restore inserts entries into a pane.
func (b *Backend) Restore(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	if err := b.check(id); err != nil {
		return err
	}
	if err := b.restore(id, pane, bounds, entries); err != nil {
		return fmt.Errorf("naive: restore table %d: %w", id, err)
	}
	return nil
}

func (b *Backend) restore(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	d := &b.tables[id]
	var t *Table
	if d.timers == nil {
		t = b.table(id, pane)
	} else if pane != backend.NoPane {
		return fmt.Errorf("timers in pane %d", pane)
	}
	var order backend.Order
	for entry, ok := entries.Next(); ok; entry, ok = entries.Next() {
		check := func() error { return order.CheckEntry(bounds, entry) }
		add := func() error { return t.restoreElement(d.collection, entry) }
		switch {
		case d.timers != nil:
			add = func() error { return d.timers.restore(entry) }
		case d.collection < 0:
			check = func() error { return order.Check(d.layout, bounds, entry) }
			add = func() error { return t.restore(entry) }
		}
		if err := check(); err != nil {
			return err
		}
		if err := add(); err != nil {
			return err
		}
	}
	return entries.Err()
}

// Confirm has nothing to do: every part is full.
func (b *Backend) Confirm(uint64) {}

// MemoryBytes estimates what rows, values and copies occupy; what Go's maps add is left out.
func (b *Backend) MemoryBytes() int64 {
	total := b.memoryBytes
	if b.snapshot != nil {
		total += b.snapshot.bytes
	}
	return total
}

// Close frees all state.
func (b *Backend) Close() error {
	*b = Backend{closed: true}
	return nil
}

var (
	_ backend.Factory = Factory{}
	_ backend.Backend = (*Backend)(nil)
	_ backend.Table   = (*Table)(nil)
)

// row is the state of one key. Its address is its backend.Row; it stays where it is while
// the map of its table holds it.
type row struct {
	collections []collection // by number; nil without

	fixed  []uint64 // in inline when it fits
	values [][]byte // by slot; nil without slots
	inline [4]uint64
	words  [2]uint64
	key    string // variable-length keys only
	hash   uint32
}

// rowOf turns a handle back into the row. The handle is an address that the map keeps
// alive, never one that arithmetic made.
func rowOf(handle backend.Row) *row {
	return *(**row)(unsafe.Pointer(&handle))
}

func (r *row) bytes() int64 {
	total := int64(unsafe.Sizeof(*r)) + int64(len(r.key)) + int64(len(r.values))*24
	if len(r.fixed) > len(r.inline) {
		total += int64(len(r.fixed)) * 8
	}
	for _, value := range r.values {
		total += int64(len(value))
	}
	for _, c := range r.collections {
		for _, e := range c.entries {
			total += int64(e.bytes())
		}
	}
	return total
}
