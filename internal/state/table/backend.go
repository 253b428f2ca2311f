package table

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Name is the value of state.backend.type that selects this backend.
const Name = "hashmap"

// limits are the sizes at which structures split. Tests make them small.
type limits struct {
	segmentBits  int    // log2 of the index slots of a full segment
	segmentBytes int    // rows of a full segment
	firstVersion uint16 // state version of an empty backend
}

var defaultLimits = limits{
	segmentBits: segmentBits, segmentBytes: segmentBytes, firstVersion: 1,
}

// Factory makes row table backends. The zero Factory is ready for use.
type Factory struct{ limits limits }

// Name returns "hashmap".
func (Factory) Name() string { return Name }

// New returns an empty backend. It never fails.
func (f Factory) New(options backend.Options) (backend.Backend, error) {
	return newBackend(f.limits), nil
}

func newBackend(l limits) *Backend {
	if l == (limits{}) {
		l = defaultLimits
	}
	b := &Backend{limits: l, cur: l.firstVersion}
	b.pool.bytes = &b.memoryBytes
	b.memoryBytes = backendBytes
	return b
}

const backendBytes = int64(unsafe.Sizeof(Backend{}))

// Backend is all keyed state of one task. It implements backend.Backend.
type Backend struct {
	scratch     scratch
	limits      limits
	tables      []declared
	pool        pool
	memoryBytes int64
	closed      bool

	// State versions: confirmed < cur; every pending one lies between.
	cur       uint16
	confirmed uint16
	pending   []pendingVersion // ascending
	snapshot  *snapshot        // from Begin to Release
	blocks    []unsafe.Pointer // of released logs, for the next
}

// pendingVersion is the state version of a checkpoint that may still be confirmed.
type pendingVersion struct {
	checkpoint uint64
	version    uint16
}

type declared struct {
	shape *shape
	panes []paneTable // ascending
}

type paneTable struct {
	pane  backend.Pane
	table *Table
}

// Declare adds a table.
func (b *Backend) Declare(layout backend.RowLayout) (backend.TableID, error) {
	if b.closed {
		return 0, errClosed
	}
	if err := layout.Validate(); err != nil {
		return 0, fmt.Errorf("table: declare: %w", err)
	}
	if len(b.tables) > 1<<16-1 {
		return 0, fmt.Errorf("table: declare: %d tables already", len(b.tables))
	}
	layout.VarSlots = slices.Clone(layout.VarSlots)
	b.tables = append(b.tables, declared{shape: newShape(layout)})
	return backend.TableID(len(b.tables) - 1), nil
}

var errClosed = fmt.Errorf("table: backend is closed")

func (b *Backend) check(id backend.TableID) error {
	if b.closed {
		return errClosed
	}
	if int(id) >= len(b.tables) {
		return fmt.Errorf("table: table %d is not declared", id)
	}
	return nil
}

// search returns where a pane is or belongs. The last one is tried first: windows move on.
func (d *declared) search(pane backend.Pane) (int, bool) {
	if n := len(d.panes); n > 0 && d.panes[n-1].pane <= pane {
		if d.panes[n-1].pane == pane {
			return n - 1, true
		}
		return n, false
	}
	return slices.BinarySearchFunc(d.panes, pane, func(p paneTable, pane backend.Pane) int {
		return cmp.Compare(p.pane, pane)
	})
}

// Table returns a pane of a declared table, making it when it does not exist.
func (b *Backend) Table(id backend.TableID, pane backend.Pane) (backend.Table, error) {
	if err := b.check(id); err != nil {
		return nil, err
	}
	return b.table(id, pane), nil
}

func (b *Backend) table(id backend.TableID, pane backend.Pane) *Table {
	d := &b.tables[id]
	i, found := d.search(pane)
	if !found {
		t := newTable(b, d.shape)
		d.panes = slices.Insert(d.panes, i, paneTable{pane: pane, table: t})
	}
	return d.panes[i].table
}

// Panes appends the panes of a table in ascending order.
func (b *Backend) Panes(id backend.TableID, dst []backend.Pane) []backend.Pane {
	if b.check(id) != nil {
		return dst
	}
	for _, p := range b.tables[id].panes {
		dst = append(dst, p.pane)
	}
	return dst
}

// Drop removes a pane. When a snapshot has not copied all of it yet, its rows are frozen
// until then; its values stay until the snapshot is released.
func (b *Backend) Drop(id backend.TableID, pane backend.Pane) error {
	if err := b.check(id); err != nil {
		return err
	}
	d := &b.tables[id]
	i, found := d.search(pane)
	if !found {
		return nil
	}
	t := d.panes[i].table
	d.panes = slices.Delete(d.panes, i, i+1)
	t.dropped = true
	if t.image == nil {
		t.discardRows()
	}
	if b.snapshot != nil {
		b.snapshot.dropped = append(b.snapshot.dropped, t)
	} else {
		t.discardArena()
	}
	return nil
}

// MemoryBytes is what state, copies and undo log occupy now, pooled pages included.
func (b *Backend) MemoryBytes() int64 { return b.memoryBytes }

// Close frees everything. Parts that are being read stay readable.
func (b *Backend) Close() error {
	*b = Backend{closed: true}
	return nil
}

// Confirm makes the state version of a checkpoint the confirmed one.
func (b *Backend) Confirm(checkpoint uint64) {
	for i, p := range b.pending {
		if p.checkpoint != checkpoint {
			continue
		}
		if s := b.snapshot; s != nil && s.checkpoint == checkpoint && !s.done {
			return
		}
		b.confirmed = p.version
		b.pending = slices.Delete(b.pending, 0, i+1)
		return
	}
}

// forget removes a checkpoint that cannot be confirmed any more.
func (b *Backend) forget(checkpoint uint64) {
	b.pending = slices.DeleteFunc(b.pending, func(p pendingVersion) bool {
		return p.checkpoint == checkpoint
	})
}

// all calls f for every pane.
func (b *Backend) all(f func(id backend.TableID, pane backend.Pane, t *Table)) {
	for id, d := range b.tables {
		for _, p := range d.panes {
			f(backend.TableID(id), p.pane, p.table)
		}
	}
}

// Restore inserts entries into a pane as clean rows.
func (b *Backend) Restore(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	if err := b.check(id); err != nil {
		return err
	}
	t := b.table(id, pane)
	if t.changed == 0 {
		t.born = 0
	}
	if err := t.restore(bounds, entries); err != nil {
		return fmt.Errorf("table: restore table %d, pane %d: %w", id, pane, err)
	}
	return nil
}

var (
	_ backend.Factory = Factory{}
	_ backend.Backend = (*Backend)(nil)
)

// DeclareTimers adds a service of timers.
func (b *Backend) DeclareTimers(backend.TimerLayout) (backend.TableID, error) {
	return 0, fmt.Errorf("table: timers are not kept yet")
}

// Timers returns a service of timers.
func (b *Backend) Timers(backend.TableID) (backend.Timers, error) {
	return nil, fmt.Errorf("table: timers are not kept yet")
}
