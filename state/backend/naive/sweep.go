package naive

import (
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// Sweep lists all rows at the beginning of a pass, for a map cannot be left and entered again,
// and visits those that are still there. The cursor is a place in the list.
func (t *Table) Sweep(
	cursor uint64, rows int, f func(row backend.Row) bool,
) (next uint64, done bool) {
	if cursor == 0 {
		t.unswept = t.unswept[:0]
		t.each(func(r *row) bool {
			t.unswept = append(t.unswept, r)
			return true
		})
	}
	for next = cursor; next < uint64(len(t.unswept)); rows-- {
		if rows <= 0 {
			return next, false
		}
		r := t.unswept[next]
		next++
		if t.holds(r) && !f(backend.Row(unsafe.Pointer(r))) {
			return next, false
		}
	}
	t.unswept = nil
	return 0, true
}

// holds reports whether a row is still the one of its key.
func (t *Table) holds(r *row) bool {
	switch t.layout.KeyWords {
	case 1:
		return t.one[r.words[0]] == r
	case 2:
		return t.two[r.words] == r
	}
	return t.many[r.key] == r
}

var _ backend.Sweeper = (*Table)(nil)
