package naive

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// snapshot is a copy of all rows, made at the barrier.
type snapshot struct {
	backend *Backend
	panes   []backend.PaneID
	entries [][]backend.Entry // one per pane
	bytes   int64
}

// Begin copies everything. Whether full parts are asked for makes no difference.
func (b *Backend) Begin(checkpoint uint64, full bool) (backend.Snapshot, error) {
	if b.closed {
		return nil, fmt.Errorf("naive: begin snapshot %d: backend is closed", checkpoint)
	}
	if b.snapshot != nil {
		return nil, fmt.Errorf("naive: begin snapshot %d: the one before is not released",
			checkpoint)
	}
	s := &snapshot{backend: b}
	for id := range b.tables {
		for _, pane := range b.Panes(backend.TableID(id), nil) {
			s.add(id, pane, b.tables[id].copy(pane))
		}
	}
	b.snapshot = s
	return s, nil
}

// add puts a pane into the image.
func (s *snapshot) add(id int, pane backend.Pane, entries []backend.Entry) {
	s.panes = append(s.panes, backend.PaneID{Table: backend.TableID(id), Pane: pane})
	for _, entry := range entries {
		s.bytes += int64(len(entry.Key) + len(entry.Value))
	}
	s.entries = append(s.entries, entries)
}

// copy returns all entries of a pane in order.
func (d *declared) copy(pane backend.Pane) []backend.Entry {
	switch {
	case d.timers != nil:
		return d.timers.copy()
	case d.collection < 0:
		return d.panes[pane].copy()
	}
	var entries []backend.Entry
	t := d.panes[pane]
	t.each(func(r *row) bool {
		entries = r.collections[d.collection].serial(entries, t.layout,
			t.layout.Collections[d.collection].Kind, r.hash, t.keyBytes(r))
		return true
	})
	slices.SortFunc(entries, compareEntries)
	return entries
}

func compareEntries(a, b backend.Entry) int {
	return cmp.Or(cmp.Compare(a.Hash, b.Hash), slices.Compare(a.Key, b.Key))
}

// copy returns all rows in serial form, in order.
func (t *Table) copy() []backend.Entry {
	var entries []backend.Entry
	t.each(func(r *row) bool {
		fixed := unsafe.Slice((*byte)(unsafe.Pointer(&r.fixed[0])), t.layout.FixedBytes)
		entries = append(entries, backend.Entry{
			Hash: r.hash,
			Key:  t.keyBytes(r),
			Value: backend.AppendValue(nil, t.layout, fixed,
				func(slot int) []byte { return r.values[slot] }),
		})
		return true
	})
	slices.SortFunc(entries, compareEntries)
	return entries
}

func (t *Table) keyBytes(r *row) []byte {
	if t.layout.KeyWords == 0 {
		return []byte(r.key)
	}
	var key []byte
	for _, word := range r.words[:t.layout.KeyWords] {
		key = binary.LittleEndian.AppendUint64(key, word)
	}
	return key
}

// restore inserts the row of an entry, which has passed backend.Order.
func (t *Table) restore(entry backend.Entry) error {
	fixed, vars, err := backend.SplitValue(t.layout, entry.Value)
	if err != nil {
		return err
	}
	before := t.Len()
	row, err := t.rowFor(entry.Hash, entry.Key)
	if err != nil {
		return err
	}
	if t.Len() == before {
		return fmt.Errorf("key %x was restored before", entry.Key)
	}
	copy(unsafe.Slice((*byte)(t.Fixed(row)), len(fixed)), fixed)
	for slot, value := range vars {
		if err := t.SetValue(row, slot, value); err != nil {
			return err
		}
	}
	return nil
}

// rowFor returns the row of a key, making it when it does not exist.
func (t *Table) rowFor(hash uint32, key []byte) (backend.Row, error) {
	keys := backend.Keys{Hashes: []uint64{uint64(hash) << 32}}
	if n := t.layout.KeyWords; n > 0 {
		for i := range n {
			keys.Words = append(keys.Words, binary.LittleEndian.Uint64(key[8*i:]))
		}
	} else {
		keys.Bytes = [][]byte{key}
	}
	var rows [1]backend.Row
	_, err := t.Resolve(keys, backend.Insert, rows[:], nil)
	return rows[0], err
}

// Step has nothing left to do.
func (s *snapshot) Step(budget int) (bool, error) { return true, nil }

// Parts returns a full part for every pane.
func (s *snapshot) Parts() []backend.Part {
	var parts []backend.Part
	for i, pane := range s.panes {
		part := backend.Part{Table: pane.Table, Pane: pane.Pane, Full: true,
			Rows: len(s.entries[i])}
		for _, entry := range s.entries[i] {
			part.Bytes += int64(len(entry.Key) + len(entry.Value))
		}
		entries := s.entries[i]
		part.Entries = func() backend.Entries { return &iterator{rest: entries} }
		parts = append(parts, part)
	}
	return parts
}

// Panes lists the panes that were alive at the barrier.
func (s *snapshot) Panes() []backend.PaneID { return s.panes }

// Release frees the copy.
func (s *snapshot) Release() {
	if s.backend.snapshot == s {
		s.backend.snapshot = nil
	}
}

// iterator yields entries of a slice.
type iterator struct{ rest []backend.Entry }

func (it *iterator) Next() (backend.Entry, bool) {
	if len(it.rest) == 0 {
		return backend.Entry{}, false
	}
	entry := it.rest[0]
	it.rest = it.rest[1:]
	return entry, true
}

func (it *iterator) Err() error { return nil }
