package table

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/internal/state/ordered"
	"github.com/leat-io/leat/internal/state/timer"
	"github.com/leat-io/leat/internal/state/version"
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
	ordered      ordered.Limits
}

var defaultLimits = limits{
	segmentBits: segmentBits, segmentBytes: segmentBytes, firstVersion: 1,
	ordered: ordered.DefaultLimits,
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
	b := &Backend{limits: l, shared: ordered.NewShared(l.ordered)}
	b.versions.Current = l.firstVersion
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
	memoryBytes int64           // of rows, values, copies and undo log
	shared      *ordered.Shared // of all collections
	closed      bool

	versions version.Versions // Confirmed < Current; every pending one lies between
	pending  []pendingVersion // ascending
	snapshot *snapshot        // from Begin to Release
	blocks   []unsafe.Pointer // of released logs, for the next
}

// pendingVersion is the state version of a checkpoint that may still be confirmed.
type pendingVersion struct {
	checkpoint uint64
	version    uint16
}

// declared is what a table number stands for: the rows of a table, a collection of the rows
// of another, or timers.
type declared struct {
	shape      *shape
	panes      []paneTable     // ascending; of the rows only
	rows       backend.TableID // where the rows of a collection are; else its own number
	collection int             // -1: not a collection
	timers     *timer.Service  // nil: no timers
}

// hasRows reports whether the number is that of rows.
func (d *declared) hasRows() bool { return d.collection < 0 && d.timers == nil }

type paneTable struct {
	pane  backend.Pane
	table *Table
}

const maxTables = 1 << 16

// Declare adds a table, and one for each collection of its rows.
func (b *Backend) Declare(layout backend.RowLayout) (backend.TableID, error) {
	if b.closed {
		return 0, errClosed
	}
	if err := layout.Validate(); err != nil {
		return 0, fmt.Errorf("table: declare: %w", err)
	}
	if len(b.tables)+len(layout.Collections) >= maxTables {
		return 0, fmt.Errorf("table: declare: %d tables already", len(b.tables))
	}
	layout.VarSlots = slices.Clone(layout.VarSlots)
	layout.Collections = slices.Clone(layout.Collections)
	id, sh := backend.TableID(len(b.tables)), newShape(layout)
	for i := -1; i < len(layout.Collections); i++ {
		b.tables = append(b.tables, declared{shape: sh, rows: id, collection: i})
	}
	return id, nil
}

// DeclareTimers adds a service of timers.
func (b *Backend) DeclareTimers(layout backend.TimerLayout) (backend.TableID, error) {
	if b.closed {
		return 0, errClosed
	}
	if err := layout.Validate(); err != nil {
		return 0, fmt.Errorf("table: declare timers: %w", err)
	}
	if len(b.tables) >= maxTables {
		return 0, fmt.Errorf("table: declare timers: %d tables already", len(b.tables))
	}
	id := backend.TableID(len(b.tables))
	b.tables = append(b.tables, declared{rows: id, collection: -1,
		timers: timer.New(layout, &b.versions)})
	return id, nil
}

// Timers returns a service of timers.
func (b *Backend) Timers(id backend.TableID) (backend.Timers, error) {
	if err := b.check(id); err != nil {
		return nil, err
	}
	if b.tables[id].timers == nil {
		return nil, fmt.Errorf("table: table %d holds no timers", id)
	}
	return b.tables[id].timers, nil
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
	if !b.tables[id].hasRows() {
		return nil, fmt.Errorf("table: table %d has no rows of its own", id)
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
	if b.tables[id].timers != nil {
		return append(dst, backend.NoPane)
	}
	for _, p := range b.tables[b.tables[id].rows].panes {
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
	if !d.hasRows() {
		return fmt.Errorf("table: drop pane: table %d has no rows of its own", id)
	}
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
		t.discardStores()
	}
	return nil
}

// MemoryBytes is what state, copies and undo log occupy now, pooled pages included.
func (b *Backend) MemoryBytes() int64 {
	if b.closed {
		return 0
	}
	total := b.memoryBytes + b.shared.MemoryBytes()
	for i := range b.tables {
		if service := b.tables[i].timers; service != nil {
			total += service.MemoryBytes()
		}
	}
	return total
}

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
		b.versions.Confirmed = p.version
		b.pending = slices.Delete(b.pending, 0, i+1)
		b.stores(func(_ backend.PaneID, _ *Table, s version.Store) { s.Confirmed() })
		return
	}
}

// forget removes a checkpoint that cannot be confirmed any more.
func (b *Backend) forget(checkpoint uint64) {
	b.pending = slices.DeleteFunc(b.pending, func(p pendingVersion) bool {
		return p.checkpoint == checkpoint
	})
}

// all calls f for every pane of rows.
func (b *Backend) all(f func(id backend.TableID, pane backend.Pane, t *Table)) {
	for id := range b.tables {
		for _, p := range b.tables[id].panes {
			f(backend.TableID(id), p.pane, p.table)
		}
	}
}

// stores calls f for everything that lies beside rows, in the order of (table, pane): the
// collections of each pane, with its table, and timers.
func (b *Backend) stores(f func(id backend.PaneID, t *Table, s version.Store)) {
	for id := range b.tables {
		d := &b.tables[id]
		if d.timers != nil {
			f(backend.PaneID{Table: backend.TableID(id), Pane: backend.NoPane}, nil, d.timers)
		}
		if d.collection < 0 {
			continue
		}
		for _, p := range b.tables[d.rows].panes {
			paneID := backend.PaneID{Table: backend.TableID(id), Pane: p.pane}
			f(paneID, p.table, p.table.stores[d.collection])
		}
	}
}

// Restore inserts entries into a pane as clean ones.
func (b *Backend) Restore(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	if err := b.check(id); err != nil {
		return err
	}
	if err := b.restore(id, pane, bounds, entries); err != nil {
		return fmt.Errorf("table: restore table %d, pane %d: %w", id, pane, err)
	}
	return nil
}

func (b *Backend) restore(
	id backend.TableID, pane backend.Pane, bounds types.HashRange, entries backend.Entries,
) error {
	d := &b.tables[id]
	if d.timers != nil {
		if pane != backend.NoPane {
			return fmt.Errorf("timers in a pane")
		}
		return restoreStore(d.timers, bounds, entries)
	}
	t := b.table(d.rows, pane)
	if t.changed == 0 {
		t.born = 0
	}
	if d.collection < 0 {
		return t.restore(bounds, entries)
	}
	store := t.stores[d.collection]
	defer store.EndRestore()
	return restoreStore(store, bounds, entries)
}

var (
	_ backend.Factory = Factory{}
	_ backend.Backend = (*Backend)(nil)
)
