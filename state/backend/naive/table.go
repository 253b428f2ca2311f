package naive

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// Table holds the rows of one pane in the one of three maps that suits its keys.
type Table struct {
	backend *Backend
	layout  backend.RowLayout
	one     map[uint64]*row
	two     map[[2]uint64]*row
	many    map[string]*row
	unswept []*row // of the pass that Sweep is in
}

func newTable(b *Backend, layout backend.RowLayout) *Table {
	t := &Table{backend: b, layout: layout}
	switch layout.KeyWords {
	case 1:
		t.one = map[uint64]*row{}
	case 2:
		t.two = map[[2]uint64]*row{}
	default:
		t.many = map[string]*row{}
	}
	return t
}

// Resolve looks keys up one by one.
func (t *Table) Resolve(
	keys backend.Keys, mode backend.Mode, rows []backend.Row, created []int32,
) ([]int32, error) {
	for i, hash := range keys.Hashes {
		var r *row
		switch t.layout.KeyWords {
		case 1:
			r = t.one[keys.Words[i]]
		case 2:
			r = t.two[[2]uint64(keys.Words[2*i:])]
		default:
			r = t.many[string(keys.Bytes[i])]
		}
		if r == nil && mode != backend.Find {
			if t.layout.KeyWords == 0 && len(keys.Bytes[i]) > backend.MaxKeyBytes {
				return created, fmt.Errorf("naive: resolve keys: key of %d bytes, at most %d "+
					"are possible", len(keys.Bytes[i]), backend.MaxKeyBytes)
			}
			r = t.insert(keys, i, uint32(hash>>32))
			created = append(created, int32(i))
		}
		rows[i] = backend.Row(unsafe.Pointer(r))
	}
	return created, nil
}

// insert makes the row of key i.
func (t *Table) insert(keys backend.Keys, i int, hash uint32) *row {
	r := &row{hash: hash}
	switch t.layout.KeyWords {
	case 1:
		r.words[0] = keys.Words[i]
		t.one[r.words[0]] = r
	case 2:
		r.words = [2]uint64(keys.Words[2*i:])
		t.two[r.words] = r
	default:
		r.key = string(keys.Bytes[i])
		t.many[r.key] = r
	}
	// One word at least, so that every row has a fixed part to point to.
	words := max(1, t.layout.FixedBytes/8)
	if words <= len(r.inline) {
		r.fixed = r.inline[:words]
	} else {
		r.fixed = make([]uint64, words)
	}
	if n := len(t.layout.VarSlots); n > 0 {
		r.values = make([][]byte, n)
	}
	if n := len(t.layout.Collections); n > 0 {
		r.collections = make([]collection, n)
	}
	t.backend.memoryBytes += r.bytes()
	return r
}

// Fixed returns the fixed part of a row.
func (t *Table) Fixed(handle backend.Row) unsafe.Pointer {
	return unsafe.Pointer(&rowOf(handle).fixed[0])
}

// Change has nothing to do: the barrier copies everything.
func (t *Table) Change(backend.Row) error { return nil }

// Value returns the bytes of a slot.
func (t *Table) Value(handle backend.Row, slot int) []byte {
	return rowOf(handle).values[slot]
}

// SetValue replaces the bytes of a slot. The slot of the fixed part holds their length, so
// that it is zero for an empty value only.
func (t *Table) SetValue(handle backend.Row, slot int, value []byte) error {
	if len(value) > backend.MaxValueBytes {
		return fmt.Errorf("naive: set value: %d bytes, at most %d are possible",
			len(value), backend.MaxValueBytes)
	}
	r := rowOf(handle)
	t.backend.memoryBytes += int64(len(value) - len(r.values[slot]))
	r.values[slot] = append([]byte(nil), value...)
	r.fixed[t.layout.VarSlots[slot]/8] = uint64(len(value))
	return nil
}

// Delete removes a row.
func (t *Table) Delete(handle backend.Row) error {
	r := rowOf(handle)
	t.backend.memoryBytes -= r.bytes()
	switch t.layout.KeyWords {
	case 1:
		delete(t.one, r.words[0])
	case 2:
		delete(t.two, r.words)
	default:
		delete(t.many, r.key)
	}
	return nil
}

// Key returns the key of a row.
func (t *Table) Key(handle backend.Row) (words []uint64, bytes []byte) {
	r := rowOf(handle)
	if n := t.layout.KeyWords; n > 0 {
		return r.words[:n:n], nil
	}
	return nil, unsafe.Slice(unsafe.StringData(r.key), len(r.key))
}

// Hash returns the top 32 bits of the hash of a row's key.
func (t *Table) Hash(handle backend.Row) uint32 { return rowOf(handle).hash }

// Scan calls f for every row until it returns false.
func (t *Table) Scan(f func(backend.Row) bool) {
	t.each(func(r *row) bool { return f(backend.Row(unsafe.Pointer(r))) })
}

func (t *Table) each(f func(*row) bool) {
	for _, r := range t.one {
		if !f(r) {
			return
		}
	}
	for _, r := range t.two {
		if !f(r) {
			return
		}
	}
	for _, r := range t.many {
		if !f(r) {
			return
		}
	}
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.one) + len(t.two) + len(t.many) }
