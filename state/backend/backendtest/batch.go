package backendtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/leat-io/leat/state/backend"
)

// batch resolves random keys of one pane, checks every row, and changes some of them.
func (r *random) batch() error {
	id := r.pane()
	mode := backend.Mode(r.rng.IntN(3))
	keys := r.keys()
	if r.model[id] == nil {
		r.model[id] = map[string]content{}
	}
	if r.changed[id] == nil {
		r.changed[id] = map[string]int{}
	}
	table, err := r.backend.Table(id.Table, id.Pane)
	if err != nil {
		return err
	}
	rows := make([]backend.Row, len(keys))
	created, err := table.Resolve(keysOf(r.layout, hashOf, keys), mode, rows, nil)
	if err != nil {
		return err
	}
	if err := r.checkRows(id, table, mode, keys, rows, created); err != nil {
		return fmt.Errorf("mode %d, %d keys of pane %v: %w", mode, len(keys), id, err)
	}
	gone := map[backend.Row]bool{}
	kill := r.rng.IntN(4) == 0
	for i, row := range rows {
		draw := r.rng.IntN(100)
		value, slot := r.text(), r.rng.IntN(8)
		if row == 0 || gone[row] {
			continue
		}
		if draw < 30 || kill && draw < 70 {
			gone[row] = true
			delete(r.model[id], string(keys[i]))
			r.changed[id][string(keys[i])] = r.now
			if err := table.Delete(row); err != nil {
				return err
			}
		} else if draw < 95 {
			if err := r.write(id, table, row, keys[i], value, slot); err != nil {
				return err
			}
		}
	}
	if table.Len() != len(r.model[id]) {
		return fmt.Errorf("pane %v has %d rows, want %d", id, table.Len(), len(r.model[id]))
	}
	return nil
}

// keys draws the keys of a batch: near each other in some, far in others, some equal.
func (r *random) keys() [][]byte {
	n, first, width := 1+r.rng.IntN(700), 0, r.universe
	if r.rng.IntN(3) == 0 {
		first, width = r.rng.IntN(r.universe), 1+r.rng.IntN(50)
	}
	if r.rng.IntN(40) == 0 {
		n = r.universe
	}
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = keyOf(r.layout, first+r.rng.IntN(width))
	}
	return keys
}

// checkRows compares what Resolve answered with the model, to which it adds the new rows.
func (r *random) checkRows(
	id backend.PaneID, table backend.Table, mode backend.Mode,
	keys [][]byte, rows []backend.Row, created []int32,
) error {
	fresh := contentOf(r.layout, make([]byte, r.layout.FixedBytes),
		func(int) []byte { return nil })
	var want []int32
	for i, key := range keys {
		_, known := r.model[id][string(key)]
		if !known && mode != backend.Find {
			r.model[id][string(key)] = content{hash: uint32(hashOf(key) >> 32), row: fresh}
			want = append(want, int32(i))
		}
		if mode == backend.Insert || mode == backend.InsertClean && !known {
			r.changed[id][string(key)] = r.now
		}
	}
	if !slices.Equal(want, created) {
		return fmt.Errorf("created %v, want %v", created, want)
	}
	for i, key := range keys {
		expected, known := r.model[id][string(key)]
		if known != (rows[i] != 0) {
			return fmt.Errorf("key %x: row %v, known %v", key, rows[i], known)
		}
		if !known {
			continue
		}
		if got := keyBytesOf(table, rows[i]); !bytes.Equal(got, key) {
			return fmt.Errorf("key %x: the row's key is %x", key, got)
		}
		if got := readRow(r.layout, table, rows[i]); got != expected {
			return fmt.Errorf("key %x: %08x %q, want %08x %q", key, got.hash, got.row,
				expected.hash, expected.row)
		}
	}
	return nil
}

// write changes the plain words of a row and one of its values.
func (r *random) write(
	id backend.PaneID, table backend.Table, row backend.Row, key, value []byte, slot int,
) error {
	if err := table.Change(row); err != nil {
		return err
	}
	for at := 0; at < r.layout.FixedBytes; at += 8 {
		if !isSlot(r.layout, at) {
			number := uint64(r.now)<<32 | uint64(len(value))
			number = number*0x9e3779b97f4a7c15 + uint64(at)
			*word(table, row, at) = number
		}
	}
	if n := len(r.layout.VarSlots); n > 0 {
		if err := table.SetValue(row, slot%n, value); err != nil {
			return err
		}
	}
	r.changed[id][string(key)] = r.now
	now := r.model[id][string(key)]
	now.row = r.expected(now.row, value, slot)
	r.model[id][string(key)] = now
	return nil
}

// expected is the content that write makes of old, without asking the backend.
func (r *random) expected(old string, value []byte, slot int) string {
	fixed := []byte(old[:r.layout.FixedBytes])
	for at := 0; at < r.layout.FixedBytes; at += 8 {
		if !isSlot(r.layout, at) {
			number := uint64(r.now)<<32 | uint64(len(value))
			binary.LittleEndian.PutUint64(fixed[at:], number*0x9e3779b97f4a7c15+uint64(at))
		}
	}
	n := len(r.layout.VarSlots)
	if n == 0 {
		return string(fixed)
	}
	values := splitContent(old[r.layout.FixedBytes:], n)
	values[slot%n] = value
	return contentOf(r.layout, fixed, func(slot int) []byte { return values[slot] })
}

// splitContent takes the values out of what contentOf made; no value holds '|'.
func splitContent(text string, slots int) [][]byte {
	values := make([][]byte, slots)
	for slot, piece := range bytes.Split([]byte(text), []byte("|"))[1:] {
		values[slot] = piece[len(fmt.Sprint(slot))+1:]
	}
	return values
}
