package timer

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/leat-io/leat/state/backend"
)

// entries puts an image in the order of a run: by hash and entry key.
type entries struct {
	layout backend.TimerLayout
	lists  []*records // what has gone first, then the operations
	starts []int      // the number of the first record of each list
	full   bool
	items  []item
	next   int

	key, suffix, scratch []byte
}

// newEntries sorts an image. A stable sort keeps the operations on a timer in order, behind
// its going in an earlier life.
func newEntries(layout backend.TimerLayout, im *image) *entries {
	e := &entries{layout: layout, full: im.full}
	total := 0
	for i := range im.gone {
		e.lists, e.starts = append(e.lists, &im.gone[i]), append(e.starts, total)
		total += im.gone[i].n
	}
	e.lists, e.starts = append(e.lists, &im.operations), append(e.starts, total)
	total += im.operations.n
	s := sorter{items: make([]item, 0, total)}
	for l, list := range e.lists {
		for i := range list.n {
			rec := list.at(i)
			s.items = append(s.items, item{
				prefix: rec[1]&^(1<<32-1) | list.entryHead(rec), at: uint32(e.starts[l] + i),
			})
		}
	}
	s.sort(64, false, func(a, b uint32) int {
		r, x := e.record(a)
		s, y := e.record(b)
		return compareEntries(r, x, s, y)
	})
	e.items = s.items
	return e
}

// record finds a record by its number.
func (e *entries) record(at uint32) (*records, []uint64) {
	i := len(e.lists) - 1
	if int(at) < e.starts[i] {
		found, ok := slices.BinarySearch(e.starts, int(at))
		if i = found; !ok {
			i--
		}
	}
	return e.lists[i], e.lists[i].at(int(at) - e.starts[i])
}

// entryHead returns 32 bits of a record whose order is that of entry keys.
func (r *records) entryHead(rec []uint64) uint64 {
	if r.shape.keyWords > 0 {
		return bits.ReverseBytes64(rec[2]) >> 32
	}
	return rec[2] & (1<<21 - 1) // The length leads.
}

// compareEntries puts records in the order of their hashes and entry keys.
func compareEntries(r *records, a []uint64, s *records, b []uint64) int {
	if c := cmp.Compare(a[1]>>32, b[1]>>32); c != 0 {
		return c
	}
	if r.shape.keyWords == 0 {
		if c := cmp.Compare(r.entryHead(a), s.entryHead(b)); c != 0 {
			return c
		}
	}
	if c := compareKeys(r, a, s, b); c != 0 {
		return c
	}
	if c := cmp.Compare(a[0], b[0]); c != 0 {
		return c
	}
	return slices.Compare(a[r.shape.namespaceAt:], b[r.shape.namespaceAt:])
}

// Next returns the next entry: what the operations on a timer come to.
func (e *entries) Next() (backend.Entry, bool) {
	for e.next < len(e.items) {
		prefix := e.items[e.next].prefix
		list, rec := e.record(e.items[e.next].at)
		last := rec
		for e.next++; e.next < len(e.items) && e.items[e.next].prefix == prefix; e.next++ {
			other, next := e.record(e.items[e.next].at)
			if compareEntries(list, rec, other, next) != 0 {
				break
			}
			last = next
		}
		if e.full && deletes(last) {
			continue
		}
		namespace := rec[list.shape.namespaceAt:]
		e.suffix = backend.AppendTimerSuffix(e.suffix[:0], timestampOf(rec[0]), namespace)
		e.scratch = append(e.scratch[:0], list.key(rec, e.scratch)...)
		e.key = backend.AppendEntryKey(e.key[:0], e.layout.KeyWords, e.scratch, e.suffix)
		return backend.Entry{
			Hash: uint32(rec[1] >> 32), Key: e.key, Deleted: deletes(last),
		}, true
	}
	return backend.Entry{}, false
}

// Err is nil: an image can be read.
func (e *entries) Err() error { return nil }
