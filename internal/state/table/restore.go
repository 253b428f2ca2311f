package table

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// restore inserts entries as rows of version 0, which no delta contains.
func (t *Table) restore(bounds types.HashRange, entries backend.Entries) error {
	layout := t.shape.layout
	var order backend.Order
	var vars [][]byte
	for {
		entry, ok := entries.Next()
		if !ok {
			return entries.Err()
		}
		if err := order.Check(layout, bounds, entry); err != nil {
			return err
		}
		fixed, values, err := backend.AppendSplit(vars[:0], layout, entry.Value)
		if err != nil {
			return err
		}
		vars = values
		if err := t.restoreRow(&entry, fixed, vars); err != nil {
			return err
		}
	}
}

// restoreStore inserts entries of a collection or of timers.
func restoreStore(
	store version.Store, bounds types.HashRange, entries backend.Entries,
) error {
	var order backend.Order
	for entry, ok := entries.Next(); ok; entry, ok = entries.Next() {
		if err := order.CheckEntry(bounds, entry); err != nil {
			return err
		}
		if err := store.Restore(entry); err != nil {
			return err
		}
	}
	return entries.Err()
}

// keyFrom makes a key of canonical bytes.
func (s *shape) keyFrom(bytes []byte) (k key) {
	if n := s.layout.KeyWords; n > 0 {
		for i := range n {
			k.words[i] = binary.LittleEndian.Uint64(bytes[8*i:])
		}
		return k
	}
	return key{bytes: bytes}
}

func (t *Table) restoreRow(entry *backend.Entry, fixed []byte, vars [][]byte) error {
	k := t.shape.keyFrom(entry.Key)
	s := t.segmentOf(entry.Hash)
	row, slot := t.find(s, entry.Hash, &k)
	if row != nil {
		return fmt.Errorf("key %x was restored before", entry.Key)
	}
	row, err := t.insert(s, slot, entry.Hash, &k, 0, flagLive)
	if err != nil {
		return err
	}
	copy(raw(row, t.shape.fixedAt, uintptr(len(fixed))), fixed)
	for i, c := range t.shape.layout.Collections {
		if at := word(row, t.shape.fixedAt+uintptr(c.Slot)); *at != 0 {
			*at = 0
			return fmt.Errorf("slot of collection %d of key %x is not zero", i, entry.Key)
		}
	}
	s = t.segmentOf(entry.Hash)
	for i, offset := range t.shape.varAt {
		*word(row, offset) = 0
		if len(vars[i]) == 0 {
			continue
		}
		stored, err := t.arena.store(&s.arena, t.idOf(s, row), vars[i], 0)
		if err != nil {
			return err
		}
		*word(row, offset) = uint64(stored)
	}
	return nil
}
