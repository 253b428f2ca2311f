package ordered

import (
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// WarmBatch is the number of rows that Warm takes at most.
const WarmBatch = 256

const line = 64

// Warm loads what the collections of rows begin with, so that the cache misses of a batch
// overlap; offset is that of the slot behind the address a row is. It does so only if
// elements were asked for since it was last called. The result only keeps the loads.
func (s *Store) Warm(rows []backend.Row, offset uintptr) (loaded uint64) {
	if !s.wanted {
		return 0
	}
	s.wanted = false
	// Loading in loops of their own puts more misses into the processor's window.
	var at [WarmBatch]*node
	n := 0
	for _, row := range rows[:min(len(rows), WarmBatch)] {
		if row == 0 {
			continue
		}
		address := row + backend.Row(offset)
		slot := **(**uint64)(unsafe.Pointer(&address))
		if slot != 0 {
			at[n] = s.node(ref(slot))
			n++
		}
	}
	for _, nd := range at[:n] {
		loaded += uint64(nd.kind)
	}
	for i, nd := range at[:n] {
		switch nd.kind {
		case kindTree:
			at[i] = s.node(nd.tree().node)
		case kindHead:
			nd = s.node(nd.head().tail)
			at[i] = nd
		}
		if nd.class < classes2Lines {
			continue
		}
		loaded += uint64(*(*uint8)(nd.at(line)))
	}
	for _, nd := range at[:n] {
		loaded += uint64(nd.kind)
		if nd.kind == kindBlock && nd.class > 0 {
			loaded += uint64(*(*uint8)(nd.at(nd.size() - 1)))
			loaded += uint64(*(*uint8)(nd.at(nd.size() - line)))
		}
	}
	return loaded
}

// classes2Lines is the first class of more than one line.
const classes2Lines = 1
