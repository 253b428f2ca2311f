package ordered

import (
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// WarmBatch is the number of rows that Warm takes at most.
const WarmBatch = 256

const line = 64

// StartBatch decides whether Warm does anything for the rows of a batch: only if elements
// were asked for in the batch before.
func (s *Store) StartBatch() { s.warm, s.wanted = s.wanted, false }

// Warm loads what the collections of rows begin with, so that the cache misses of a batch
// overlap; offset is that of the slot behind the address a row is. The result only keeps the
// loads.
func (s *Store) Warm(rows []backend.Row, offset uintptr) (loaded uint64) {
	if !s.warm {
		return 0
	}
	if s.kind == backend.List {
		return s.warmTails(rows, offset)
	}
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
		if nd.kind == kindTree {
			at[i] = s.node(nd.tree().node)
		}
	}
	for _, nd := range at[:n] {
		if nd.kind != kindBlock {
			loaded += uint64(nd.kind)
		} else if size := nd.size(); size > line {
			loaded += uint64(*(*uint8)(nd.at(line)))
			loaded += uint64(*(*uint8)(nd.at(size - line)))
		}
	}
	return loaded
}

// warmTails loads the last blocks of lists, and where the next elements go.
func (s *Store) warmTails(rows []backend.Row, offset uintptr) (loaded uint64) {
	var at [WarmBatch]*node
	n := 0
	for _, row := range rows[:min(len(rows), WarmBatch)] {
		if row == 0 {
			continue
		}
		address := row + backend.Row(offset)
		if tail := lastOf(**(**uint64)(unsafe.Pointer(&address))); tail != 0 {
			at[n] = s.node(tail)
			n++
		}
	}
	for _, nd := range at[:n] {
		loaded += uint64(nd.kind)
	}
	for _, nd := range at[:n] {
		if nd.class != wholePage {
			end := min(int(nd.first)+nd.used(), nd.size()-1)
			loaded += uint64(*(*uint8)(nd.at(end)))
		}
	}
	return loaded
}
