package table

import (
	"fmt"

	"github.com/leat-io/leat/internal/state/ordered"
	"github.com/leat-io/leat/state/backend"
)

// makeStores makes the stores of the collections of a new pane.
func (t *Table) makeStores() {
	for i, c := range t.shape.layout.Collections {
		t.stores = append(t.stores, ordered.New(ordered.Options{
			Kind: c.Kind, KeyWords: t.shape.layout.KeyWords, Versions: &t.b.versions,
			Shared: t.b.shared, Rows: collectionRows{t, i},
		}))
	}
}

// discardStores frees all collections.
func (t *Table) discardStores() {
	for _, store := range t.stores {
		store.Discard()
	}
	t.stores = nil
}

// warm loads those collections of a sub-batch that the batch before used.
func (t *Table) warm(rows []backend.Row) {
	for i, store := range t.stores {
		offset := uintptr(t.shape.layout.Collections[i].Slot)
		t.b.scratch.touched += store.Warm(rows, offset)
	}
}

// slot is where a row refers to a collection. Writing it is no change of the row.
func (t *Table) slot(row backend.Row, i int) *uint64 {
	return (*uint64)(at(uintptr(row) + uintptr(t.shape.layout.Collections[i].Slot)))
}

// owner is what a store needs of a row.
func (t *Table) owner(row backend.Row) ordered.Owner {
	p := t.start(row)
	return ordered.Owner{Hash: headerOf(p).hash, Key: t.shape.keyBytesOf(p, t.arena.memory)}
}

// collectionRows makes the rows of a collection that is restored.
type collectionRows struct {
	t *Table
	i int
}

// Slot returns the slot in the row of an owner, and makes a clean row if there is none.
func (r collectionRows) Slot(o ordered.Owner) (*uint64, error) {
	t := r.t
	k := t.shape.keyFrom(o.Key)
	s := t.segmentOf(o.Hash)
	row, slot := t.find(s, o.Hash, &k)
	if row == nil {
		var err error
		if row, err = t.insert(s, slot, o.Hash, &k, 0, flagLive); err != nil {
			return nil, err
		}
	}
	return t.slot(backend.Row(uintptr(row)+t.shape.fixedAt), r.i), nil
}

// MapGet returns the value under a user key.
func (t *Table) MapGet(row backend.Row, i int, userKey []byte) ([]byte, bool) {
	return t.stores[i].Get(*t.slot(row, i), userKey)
}

// MapPut inserts or replaces a value.
func (t *Table) MapPut(row backend.Row, i int, userKey, value []byte) error {
	if err := t.stores[i].Put(t.slot(row, i), t.owner(row), userKey, value); err != nil {
		return fmt.Errorf("table: put into map: %w", err)
	}
	return nil
}

// MapDelete removes a user key.
func (t *Table) MapDelete(row backend.Row, i int, userKey []byte) (bool, error) {
	existed, err := t.stores[i].Delete(t.slot(row, i), userKey)
	if err != nil {
		return existed, fmt.Errorf("table: delete from map: %w", err)
	}
	return existed, nil
}

// MapScan calls f for a range of entries, ascending.
func (t *Table) MapScan(
	row backend.Row, i int, from, to []byte, f func(userKey, value []byte) bool,
) {
	t.stores[i].Scan(*t.slot(row, i), from, to, f)
}

// MapScanBack calls f for a range of entries, descending.
func (t *Table) MapScanBack(
	row backend.Row, i int, from, to []byte, f func(userKey, value []byte) bool,
) {
	t.stores[i].ScanBack(*t.slot(row, i), from, to, f)
}

// ListAppend adds an element at the end.
func (t *Table) ListAppend(row backend.Row, i int, element []byte) error {
	store, slot := t.stores[i], t.slot(row, i)
	if store.Extend(slot, element) {
		return nil
	}
	if err := store.Append(slot, t.owner(row), element); err != nil {
		return fmt.Errorf("table: append to list: %w", err)
	}
	return nil
}

// ListScan calls f for the elements.
func (t *Table) ListScan(row backend.Row, i int, f func(element []byte) bool) {
	t.stores[i].ScanList(*t.slot(row, i), f)
}

// Elements is the number of entries or elements.
func (t *Table) Elements(row backend.Row, i int) int {
	return t.stores[i].Elements(*t.slot(row, i))
}

// Clear removes all elements.
func (t *Table) Clear(row backend.Row, i int) error {
	t.stores[i].Clear(t.slot(row, i))
	return nil
}
