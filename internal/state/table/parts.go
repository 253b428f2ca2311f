package table

import (
	"cmp"
	"slices"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/state/backend"
)

// Panes lists the panes alive at the barrier.
func (s *snapshot) Panes() []backend.PaneID { return s.panes }

func comparePanes(a, b backend.PaneID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Pane, b.Pane))
}

// Parts lists what was copied.
func (s *snapshot) Parts() []backend.Part {
	invariant.Check(s.done && !s.released, "parts of snapshot %d taken before it was done "+
		"or after its release", s.checkpoint)
	var parts []backend.Part
	for _, im := range s.images {
		if im.rows == 0 && !im.full {
			continue
		}
		parts = append(parts, backend.Part{
			Table: im.id.Table, Pane: im.id.Pane, Full: im.full, Rows: im.rows, Bytes: im.bytes,
			Entries: func() backend.Entries {
				return newEntries(im, s.copies.blocks, s.undo.blocks)
			},
		})
	}
	for _, im := range s.stores {
		rows, bytes, entries := im.store.Result()
		if rows == 0 && !im.full {
			continue
		}
		parts = append(parts, backend.Part{
			Table: im.id.Table, Pane: im.id.Pane, Full: im.full, Rows: rows, AtMost: true,
			Bytes: bytes, Entries: entries,
		})
	}
	slices.SortFunc(parts, func(a, b backend.Part) int {
		return comparePanes(backend.PaneID{Table: a.Table, Pane: a.Pane},
			backend.PaneID{Table: b.Table, Pane: b.Pane})
	})
	return parts
}

// Release frees the image.
func (s *snapshot) Release() {
	b := s.b
	if s.released || b.snapshot != s {
		s.released = true
		return
	}
	s.released = true
	b.snapshot, b.versions.Copying = nil, false
	for _, im := range s.stores {
		im.store.Release()
	}
	if !s.done {
		b.forget(s.checkpoint)
	}
	for _, im := range s.images[s.current:] {
		im.table.image = nil
		if im.table.dropped {
			im.table.discardRows()
		}
	}
	b.all(func(_ backend.TableID, _ backend.Pane, t *Table) { t.arena.endQuarantine() })
	for _, t := range s.dropped {
		t.discardArena()
		t.discardStores()
	}
	b.releaseLogs(&s.copies, &s.undo)
	s.images, s.dropped, s.segment, s.stores = nil, nil, nil, nil
}
