package naive

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/state/backend"
)

// collection is a map in the order of its user keys, or a list, whose user keys are empty.
type collection struct{ entries []entry }

type entry struct {
	userKey string
	value   []byte
}

func (e entry) bytes() int { return 40 + len(e.userKey) + len(e.value) }

func (c *collection) search(userKey []byte) (int, bool) {
	return slices.BinarySearchFunc(c.entries, userKey, func(e entry, key []byte) int {
		return strings.Compare(e.userKey, string(key))
	})
}

// changed keeps the slot of a collection and the count of bytes, which change by delta.
func (t *Table) changed(r *row, i, delta int) {
	t.backend.memoryBytes += int64(delta)
	r.fixed[t.layout.Collections[i].Slot/8] = uint64(len(r.collections[i].entries))
}

// MapGet returns the value under a user key.
func (t *Table) MapGet(handle backend.Row, i int, userKey []byte) ([]byte, bool) {
	c := &rowOf(handle).collections[i]
	at, ok := c.search(userKey)
	if !ok {
		return nil, false
	}
	return c.entries[at].value, true
}

// MapPut inserts or replaces a value.
func (t *Table) MapPut(handle backend.Row, i int, userKey, value []byte) error {
	if err := checkElement(userKey, value); err != nil {
		return err
	}
	r := rowOf(handle)
	c := &r.collections[i]
	at, ok := c.search(userKey)
	e := entry{value: append([]byte(nil), value...)}
	if ok {
		e.userKey = c.entries[at].userKey
		delta := len(value) - len(c.entries[at].value)
		c.entries[at] = e
		t.changed(r, i, delta)
		return nil
	}
	e.userKey = string(userKey)
	c.entries = slices.Insert(c.entries, at, e)
	t.changed(r, i, e.bytes())
	return nil
}

func checkElement(userKey, value []byte) error {
	if len(userKey) > backend.MaxUserKeyBytes {
		return fmt.Errorf(
			"naive: put into collection: user key of %d bytes, at most %d are possible",
			len(userKey),
			backend.MaxUserKeyBytes,
		)
	}
	if len(value) > backend.MaxValueBytes {
		return fmt.Errorf("naive: put into collection: value of %d bytes, at most %d are possible",
			len(value), backend.MaxValueBytes)
	}
	return nil
}

// MapDelete removes a user key.
func (t *Table) MapDelete(handle backend.Row, i int, userKey []byte) (bool, error) {
	r := rowOf(handle)
	c := &r.collections[i]
	at, ok := c.search(userKey)
	if !ok {
		return false, nil
	}
	delta := -c.entries[at].bytes()
	c.entries = slices.Delete(c.entries, at, at+1)
	t.changed(r, i, delta)
	return true, nil
}

// between returns the entries from from, inclusive, to to.
func (c *collection) between(from, to []byte) []entry {
	first, _ := c.search(from)
	last := len(c.entries)
	if to != nil {
		last, _ = c.search(to)
	}
	return c.entries[first:max(first, last)]
}

// MapScan calls f for a range of entries, ascending.
func (t *Table) MapScan(
	handle backend.Row, i int, from, to []byte, f func(userKey, value []byte) bool,
) {
	for _, e := range rowOf(handle).collections[i].between(from, to) {
		if !f([]byte(e.userKey), e.value) {
			return
		}
	}
}

// MapScanBack calls f for a range of entries, descending.
func (t *Table) MapScanBack(
	handle backend.Row, i int, from, to []byte, f func(userKey, value []byte) bool,
) {
	for _, e := range slices.Backward(rowOf(handle).collections[i].between(from, to)) {
		if !f([]byte(e.userKey), e.value) {
			return
		}
	}
}

// ListAppend adds an element at the end.
func (t *Table) ListAppend(handle backend.Row, i int, element []byte) error {
	if err := checkElement(nil, element); err != nil {
		return err
	}
	r := rowOf(handle)
	e := entry{value: append([]byte(nil), element...)}
	r.collections[i].entries = append(r.collections[i].entries, e)
	t.changed(r, i, e.bytes())
	return nil
}

// ListScan calls f for the elements.
func (t *Table) ListScan(handle backend.Row, i int, f func(element []byte) bool) {
	for _, e := range rowOf(handle).collections[i].entries {
		if !f(e.value) {
			return
		}
	}
}

// Elements is the number of elements.
func (t *Table) Elements(handle backend.Row, i int) int {
	return len(rowOf(handle).collections[i].entries)
}

// Clear removes all elements.
func (t *Table) Clear(handle backend.Row, i int) error {
	r := rowOf(handle)
	delta := 0
	for _, e := range r.collections[i].entries {
		delta -= e.bytes()
	}
	r.collections[i].entries = nil
	t.changed(r, i, delta)
	return nil
}

// serial appends the run entries of a collection, whose row has this hash and key.
func (c *collection) serial(
	dst []backend.Entry, layout backend.RowLayout, kind backend.CollectionKind, hash uint32,
	key []byte,
) []backend.Entry {
	add := func(suffix, value []byte) {
		entryKey := backend.AppendEntryKey(nil, layout.KeyWords, key, suffix)
		dst = append(dst, backend.Entry{Hash: hash, Key: entryKey, Value: value})
	}
	if kind == backend.OrderedMap {
		for _, e := range c.entries {
			add([]byte(e.userKey), e.value)
		}
		return dst
	}
	number, block := uint64(0), []byte(nil)
	for i, e := range c.entries {
		block = backend.AppendElement(block, e.value)
		last := i == len(c.entries)-1
		if last || len(block)+len(c.entries[i+1].value)+10 > backend.BlockBytes {
			add(backend.AppendBlockNumber(nil, number), block)
			number, block = number+1, nil
		}
	}
	return dst
}

// restoreElement adds what an entry of a collection's run holds.
func (t *Table) restoreElement(i int, e backend.Entry) error {
	key, suffix, err := backend.SplitEntryKey(t.layout.KeyWords, e.Key)
	if err != nil {
		return err
	}
	row, err := t.rowFor(e.Hash, key)
	if err != nil {
		return err
	}
	if t.layout.Collections[i].Kind == backend.OrderedMap {
		return t.MapPut(row, i, suffix, e.Value)
	}
	if _, err := backend.BlockNumber(suffix); err != nil {
		return err
	}
	for rest := e.Value; len(rest) > 0; {
		var element []byte
		if element, rest, err = backend.NextElement(rest); err != nil {
			return err
		}
		if err := t.ListAppend(row, i, element); err != nil {
			return err
		}
	}
	return nil
}
