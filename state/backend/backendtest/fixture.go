package backendtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// fixture is what one test of one sentence needs.
type fixture struct {
	*testing.T
	factory backend.Factory
	layout  backend.RowLayout
}

// open makes an empty backend with one declared table, closed at the end of the test.
func (f *fixture) open() backend.Backend {
	f.Helper()
	b, err := f.factory.New(backend.Options{Bounds: types.AllHashes})
	f.must(err)
	f.Cleanup(func() { f.must(b.Close()) })
	_, err = b.Declare(f.layout)
	f.must(err)
	return b
}

// table makes a backend and returns it with the unwindowed pane.
func (f *fixture) table() (backend.Backend, backend.Table) {
	f.Helper()
	b := f.open()
	return b, f.pane(b, backend.NoPane)
}

func (f *fixture) pane(b backend.Backend, pane backend.Pane) backend.Table {
	f.Helper()
	table, err := b.Table(0, pane)
	f.must(err)
	return table
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// keyOf returns the canonical bytes of key i of a layout. Variable-length keys have 0 to 43
// bytes, many with a common prefix of more than 12.
func keyOf(layout backend.RowLayout, i int) []byte {
	switch layout.KeyWords {
	case 1:
		return binary.LittleEndian.AppendUint64(nil, uint64(i))
	case 2:
		key := binary.LittleEndian.AppendUint64(nil, uint64(i/3))
		return binary.LittleEndian.AppendUint64(key, uint64(i))
	}
	if i == 0 {
		return nil
	}
	key := []byte(fmt.Sprint(i))
	if i%4 != 0 {
		key = append([]byte("a prefix in common "[:4*(i%4)+4]), key...)
	}
	return append(key, bytes.Repeat([]byte{'+'}, i%20)...)
}

// hashOf is some hash of key bytes; a backend must take any.
func hashOf(key []byte) uint64 {
	h := uint64(len(key)) * 0x9e3779b97f4a7c15
	for len(key) > 0 {
		var word [8]byte
		n := copy(word[:], key)
		key = key[n:]
		h = (h ^ binary.LittleEndian.Uint64(word[:])) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>29
}

// keysOf makes the Keys of key bytes.
func keysOf(layout backend.RowLayout, hash func([]byte) uint64, keys [][]byte) backend.Keys {
	out := backend.Keys{Hashes: make([]uint64, 0, len(keys))}
	for _, key := range keys {
		out.Hashes = append(out.Hashes, hash(key))
		for word := range layout.KeyWords {
			out.Words = append(out.Words, binary.LittleEndian.Uint64(key[8*word:]))
		}
		if layout.KeyWords == 0 {
			out.Bytes = append(out.Bytes, key)
		}
	}
	return out
}

// numbers returns keys first to first+n-1.
func (f *fixture) numbers(first, n int) [][]byte {
	var keys [][]byte
	for i := range n {
		keys = append(keys, keyOf(f.layout, first+i))
	}
	return keys
}

// resolve resolves keys with hashOf.
func (f *fixture) resolve(
	table backend.Table, mode backend.Mode, keys ...[]byte,
) ([]backend.Row, []int32) {
	f.Helper()
	rows := make([]backend.Row, len(keys))
	created, err := table.Resolve(keysOf(f.layout, hashOf, keys), mode, rows, nil)
	f.must(err)
	return rows, created
}

// put writes a row recognisable by number.
func (f *fixture) put(table backend.Table, key []byte, number uint64) {
	f.Helper()
	rows, _ := f.resolve(table, backend.Insert, key)
	if at := plainWord(f.layout); at >= 0 {
		*word(table, rows[0], at) = number
	}
	for slot := range f.layout.VarSlots {
		f.must(table.SetValue(rows[0], slot, fmt.Appendf(nil, "%d in slot %d", number, slot)))
	}
}

func (f *fixture) remove(table backend.Table, key []byte) {
	f.Helper()
	rows, _ := f.resolve(table, backend.Find, key)
	if rows[0] == 0 {
		f.Fatalf("key %x to delete is absent", key)
	}
	f.must(table.Delete(rows[0]))
}

// plainWord returns the offset of the last word of the fixed part that is no variable slot,
// or -1.
func plainWord(layout backend.RowLayout) int {
	for at := layout.FixedBytes - 8; at >= 0; at -= 8 {
		if !isSlot(layout, at) {
			return at
		}
	}
	return -1
}

func isSlot(layout backend.RowLayout, at int) bool {
	for _, slot := range layout.VarSlots {
		if slot == at {
			return true
		}
	}
	return false
}

// word points to the word at offset at of a row's fixed part.
func word(table backend.Table, row backend.Row, at int) *uint64 {
	return (*uint64)(unsafe.Add(table.Fixed(row), at))
}

// keyBytesOf returns the canonical key bytes of a row.
func keyBytesOf(table backend.Table, row backend.Row) []byte {
	words, raw := table.Key(row)
	key := append([]byte(nil), raw...)
	for _, word := range words {
		key = binary.LittleEndian.AppendUint64(key, word)
	}
	return key
}

// image is the content of panes, comparable and independent of any backend.
type image map[backend.PaneID]map[string]content

// content is a row outside a backend: plain words of the fixed part, slots zeroed, and
// values, all in one string; and the hash.
type content struct {
	hash uint32
	row  string
}

// contentOf renders a fixed part and values.
func contentOf(layout backend.RowLayout, fixed []byte, value func(slot int) []byte) string {
	out := append([]byte(nil), fixed...)
	for _, slot := range layout.VarSlots {
		clear(out[slot : slot+8])
	}
	for slot := range layout.VarSlots {
		out = fmt.Appendf(out, "|%d:", slot)
		out = append(out, value(slot)...)
	}
	return string(out)
}

// readPane reads a pane through Scan.
func readPane(layout backend.RowLayout, table backend.Table) map[string]content {
	rows := map[string]content{}
	table.Scan(func(row backend.Row) bool {
		rows[string(keyBytesOf(table, row))] = readRow(layout, table, row)
		return true
	})
	return rows
}

func readRow(layout backend.RowLayout, table backend.Table, row backend.Row) content {
	fixed := unsafe.Slice((*byte)(table.Fixed(row)), layout.FixedBytes)
	return content{hash: table.Hash(row), row: contentOf(layout, fixed,
		func(slot int) []byte { return table.Value(row, slot) })}
}

// readBackend reads all panes of the tables, which have one layout.
func readBackend(layout backend.RowLayout, b backend.Backend, tables int) (image, error) {
	out := image{}
	for id := range backend.TableID(tables) {
		for _, pane := range b.Panes(id, nil) {
			table, err := b.Table(id, pane)
			if err != nil {
				return nil, err
			}
			out[backend.PaneID{Table: id, Pane: pane}] = readPane(layout, table)
		}
	}
	return out, nil
}

// compareImages returns the first difference found, or nil.
func compareImages(want, got image) error {
	for pane := range want {
		if _, ok := got[pane]; !ok {
			return fmt.Errorf("pane %v is missing", pane)
		}
	}
	for pane, rows := range got {
		if _, ok := want[pane]; !ok {
			return fmt.Errorf("pane %v is too many, with %d rows", pane, len(rows))
		}
		if err := comparePanes(want[pane], rows); err != nil {
			return fmt.Errorf("pane %v: %w", pane, err)
		}
	}
	return nil
}

func comparePanes(want, got map[string]content) error {
	for key, row := range want {
		if found, ok := got[key]; !ok {
			return fmt.Errorf("key %x is missing (%d rows, want %d)", key, len(got), len(want))
		} else if found != row {
			return fmt.Errorf("key %x: %08x %q, want %08x %q", key, found.hash, found.row,
				row.hash, row.row)
		}
	}
	for key, row := range got {
		if _, ok := want[key]; !ok {
			return fmt.Errorf("key %x is too many: %08x %q", key, row.hash, row.row)
		}
	}
	return nil
}

// clone copies an image; contents are immutable.
func (im image) clone() image {
	out := make(image, len(im))
	for pane, rows := range im {
		copied := make(map[string]content, len(rows))
		for key, row := range rows {
			copied[key] = row
		}
		out[pane] = copied
	}
	return out
}
