package backendtest

import (
	"bytes"
	"slices"
	"strings"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// testLayouts: Declare numbers tables densely and refuses what Validate refuses.
func testLayouts(f *fixture) {
	b, err := f.factory.New(backend.Options{Bounds: types.AllHashes})
	f.must(err)
	defer func() { f.must(b.Close()) }()
	for i, layout := range layouts() {
		id, err := b.Declare(layout)
		f.must(err)
		if int(id) != i {
			f.Errorf("table %d has id %d", i, id)
		}
	}
	if _, err := b.Declare(backend.RowLayout{FixedBytes: 7}); err == nil {
		f.Error("a layout with 7 fixed bytes was accepted")
	}
	if _, err := b.Table(99, 0); err == nil {
		f.Error("a pane of an undeclared table was made")
	}
}

// testResolve: the three modes, zeroed rows, created indexes, equal rows of equal keys.
func testResolve(f *fixture) {
	_, table := f.table()
	keys := f.numbers(0, 3)
	if rows, created := f.resolve(table, backend.Find, keys...); rows[0] != 0 || rows[2] != 0 ||
		len(created) != 0 {
		f.Errorf("Find in an empty table: rows %v, created %v", rows, created)
	}
	rows, created := f.resolve(table, backend.InsertClean, keys[1])
	if diff := cmp.Diff([]int32{0}, created); diff != "" {
		f.Error(diff)
	}
	again := [][]byte{keys[0], keys[1], keys[2], keys[0], keys[2]}
	found := make([]backend.Row, len(again))
	created, err := table.Resolve(keysOf(f.layout, hashOf, again), backend.Insert, found,
		[]int32{77})
	f.must(err)
	if diff := cmp.Diff([]int32{77, 0, 2}, created); diff != "" {
		f.Errorf("created: %s", diff)
	}
	if found[0] != found[3] || found[2] != found[4] || found[0] == found[2] {
		f.Errorf("rows of equal keys differ or the reverse: %v", found)
	}
	rows, _ = f.resolve(table, backend.Find, again...)
	for i, row := range rows {
		f.checkFreshRow(table, row, again[i])
	}
	if table.Len() != 3 {
		f.Errorf("%d rows, want 3", table.Len())
	}
}

// checkFreshRow: key, hash, zeroed and aligned fixed part, empty values.
func (f *fixture) checkFreshRow(table backend.Table, row backend.Row, key []byte) {
	f.Helper()
	if row == 0 {
		f.Fatalf("key %x has no row", key)
	}
	if got := keyBytesOf(table, row); !bytes.Equal(got, key) {
		f.Errorf("key %x, want %x", got, key)
	}
	if got, want := table.Hash(row), uint32(hashOf(key)>>32); got != want {
		f.Errorf("hash %08x, want %08x", got, want)
	}
	fixed := table.Fixed(row)
	if uintptr(fixed)%8 != 0 {
		f.Errorf("fixed part at %v is not aligned", fixed)
	}
	if backend.Addresses(table) && uintptr(fixed) != uintptr(row) {
		f.Errorf("row %x is not the address of its fixed part %v", uintptr(row), fixed)
	}
	for i, b := range unsafe.Slice((*byte)(fixed), f.layout.FixedBytes) {
		if b != 0 {
			f.Fatalf("byte %d of a new row is %d", i, b)
		}
	}
	for slot := range f.layout.VarSlots {
		if len(table.Value(row, slot)) > 0 {
			f.Errorf("slot %d of a new row is not empty", slot)
		}
	}
}

// testResolveMany: a batch far larger than any sub-batch, making the table grow, still
// returns rows that all are valid together; none is lost by growth.
func testResolveMany(f *fixture) {
	_, table := f.table()
	const n = 40_000
	for _, batch := range []int{1, 300, n} {
		keys := f.numbers(0, batch)
		rows, _ := f.resolve(table, backend.Insert, keys...)
		for i, row := range rows {
			if !bytes.Equal(keyBytesOf(table, row), keys[i]) {
				f.Fatalf("batch of %d: row %d has another key", batch, i)
			}
			if at := plainWord(f.layout); at >= 0 {
				*word(table, row, at) = uint64(i)
			}
		}
	}
	if table.Len() != n {
		f.Fatalf("%d rows, want %d", table.Len(), n)
	}
	keys := f.numbers(0, n+100)
	slices.Reverse(keys)
	rows, created := f.resolve(table, backend.Find, keys...)
	if len(created) > 0 {
		f.Errorf("Find created %v", created)
	}
	for i, row := range rows {
		number := len(keys) - 1 - i
		if (row != 0) != (number < n) {
			f.Fatalf("key %d: row %v", number, row)
		}
		if at := plainWord(f.layout); at >= 0 && row != 0 {
			if got := *word(table, row, at); got != uint64(number) {
				f.Fatalf("key %d holds %d", number, got)
			}
		}
	}
}

// testOneHash: keys that all have one hash are slow, not wrong.
func testOneHash(f *fixture) {
	_, table := f.table()
	same := func([]byte) uint64 { return 0xabcdef0123456789 }
	keys := f.numbers(0, 700)
	for range 2 {
		rows := make([]backend.Row, len(keys))
		_, err := table.Resolve(keysOf(f.layout, same, keys), backend.Insert, rows, nil)
		f.must(err)
		for i, row := range rows {
			if !bytes.Equal(keyBytesOf(table, row), keys[i]) {
				f.Fatalf("row %d has another key", i)
			}
		}
	}
	if table.Len() != len(keys) {
		f.Errorf("%d rows, want %d", table.Len(), len(keys))
	}
}

// testValues: values are copied, replaced, emptied, may be those of the table itself, and
// may be large; rows stay valid meanwhile.
func testValues(f *fixture) {
	if len(f.layout.VarSlots) == 0 {
		return
	}
	_, table := f.table()
	keys := f.numbers(0, 200)
	rows, _ := f.resolve(table, backend.Insert, keys...)
	value := func(round, i, slot int) string {
		return strings.Repeat("v", (i*7+slot)%90*(round%3)) + string(rune('a'+round))
	}
	for round := range 20 {
		for i, row := range rows {
			for slot := range f.layout.VarSlots {
				given := []byte(value(round, i, slot))
				f.must(table.Change(row))
				f.must(table.SetValue(row, slot, given))
				clear(given)
			}
		}
		for i, row := range rows {
			for slot := range f.layout.VarSlots {
				if got := string(table.Value(row, slot)); got != value(round, i, slot) {
					f.Fatalf("round %d, row %d, slot %d: %q", round, i, slot, got)
				}
			}
		}
	}
	f.must(table.SetValue(rows[0], 0, bytes.Repeat([]byte("large"), 1<<18)))
	f.must(table.SetValue(rows[1], 0, table.Value(rows[0], 0)))
	f.must(table.SetValue(rows[1], 0, table.Value(rows[1], 0)[5:]))
	if got := table.Value(rows[1], 0); len(got) != 5<<18-5 || string(got[:10]) != "largelarge" {
		f.Errorf("a value set from the table has %d bytes", len(got))
	}
	f.must(table.SetValue(rows[0], 0, nil))
	if got := table.Value(rows[0], 0); len(got) != 0 {
		f.Errorf("an emptied value has %d bytes", len(got))
	}
	if got := *word(table, rows[0], f.layout.VarSlots[0]); got != 0 {
		f.Errorf("the slot of an empty value is %x, want 0", got)
	}
}

// testKeyBounds: the empty key and the longest key are keys; a longer one is refused and
// leaves the table usable.
func testKeyBounds(f *fixture) {
	if f.layout.KeyWords > 0 {
		return
	}
	_, table := f.table()
	long := bytes.Repeat([]byte("k"), backend.MaxKeyBytes+1)
	keys := [][]byte{nil, {0}, {0, 0}, long[:backend.MaxKeyBytes], long[:12], long[:13]}
	rows, created := f.resolve(table, backend.Insert, keys...)
	if len(created) != len(keys) {
		f.Errorf("%d rows created, want %d", len(created), len(keys))
	}
	for i, row := range rows {
		f.checkFreshRow(table, row, keys[i])
	}
	one := make([]backend.Row, 1)
	_, err := table.Resolve(keysOf(f.layout, hashOf, [][]byte{long}), backend.Insert, one, nil)
	if err == nil {
		f.Error("a key above MaxKeyBytes was accepted")
	}
	if rows, _ = f.resolve(table, backend.Find, keys...); slices.Contains(rows, 0) {
		f.Error("a key is gone after the error")
	}
}

// testDelete: a deleted key is absent, other rows of the batch stay valid, a key inserted
// again has a zeroed row.
func testDelete(f *fixture) {
	_, table := f.table()
	keys := f.numbers(0, 100)
	for i, key := range keys {
		f.put(table, key, uint64(i)+1)
	}
	rows, _ := f.resolve(table, backend.Find, keys...)
	for i := 0; i < len(rows); i += 2 {
		f.must(table.Delete(rows[i]))
	}
	for i := 1; i < len(rows); i += 2 {
		if !bytes.Equal(keyBytesOf(table, rows[i]), keys[i]) {
			f.Fatalf("row %d has another key after deleting others", i)
		}
	}
	if table.Len() != 50 {
		f.Errorf("%d rows, want 50", table.Len())
	}
	found, _ := f.resolve(table, backend.Find, keys...)
	for i, row := range found {
		if (row == 0) != (i%2 == 0) {
			f.Errorf("key %d after deletion: row %v", i, row)
		}
	}
	again, created := f.resolve(table, backend.Insert, keys...)
	if len(created) != 50 || created[1] != 2 {
		f.Errorf("created %v", created)
	}
	for i := 0; i < len(again); i += 2 {
		f.checkFreshRow(table, again[i], keys[i])
	}
}

// testScan: every row once, stop when told, rows may be changed meanwhile.
func testScan(f *fixture) {
	_, table := f.table()
	for i, key := range f.numbers(0, 500) {
		f.put(table, key, uint64(i))
	}
	f.remove(table, keyOf(f.layout, 3))
	seen := map[string]bool{}
	table.Scan(func(row backend.Row) bool {
		seen[string(keyBytesOf(table, row))] = true
		f.must(table.Change(row))
		if len(f.layout.VarSlots) > 0 {
			f.must(table.SetValue(row, 0, []byte("changed while being scanned")))
		}
		return true
	})
	if len(seen) != 499 || seen[string(keyOf(f.layout, 3))] {
		f.Errorf("%d rows seen, want 499 without the deleted one", len(seen))
	}
	calls := 0
	table.Scan(func(backend.Row) bool {
		calls++
		return calls < 5
	})
	if calls != 5 {
		f.Errorf("%d calls after a stop at 5", calls)
	}
}

// testPanes: panes are made by Table, separate, listed in order, dropped with their rows.
func testPanes(f *fixture) {
	b := f.open()
	for _, pane := range []backend.Pane{5, backend.NoPane, -3, 1 << 60, 7} {
		f.put(f.pane(b, pane), keyOf(f.layout, 1), uint64(pane))
	}
	f.must(b.Drop(0, 7))
	f.must(b.Drop(0, 8))
	want := []backend.Pane{9, backend.NoPane, -3, 5, 1 << 60}
	if diff := cmp.Diff(want, b.Panes(0, []backend.Pane{9})); diff != "" {
		f.Error(diff)
	}
	for _, pane := range want[1:] {
		table := f.pane(b, pane)
		rows, created := f.resolve(table, backend.Insert, keyOf(f.layout, 1))
		if at := plainWord(f.layout); len(created) > 0 ||
			at >= 0 && *word(table, rows[0], at) != uint64(pane) {
			f.Errorf("pane %d lost its row or has another's", pane)
		}
	}
	if n := f.pane(b, 7).Len(); n != 0 {
		f.Errorf("a pane made again after Drop has %d rows", n)
	}
}

// testMemory: the figure follows the state up and, with panes and images gone, down.
func testMemory(f *fixture) {
	b := f.open()
	empty := b.MemoryBytes()
	for i, key := range f.numbers(0, 5000) {
		f.put(f.pane(b, 1), key, uint64(i))
	}
	full := b.MemoryBytes()
	if rows := int64(5000 * f.layout.FixedBytes); full < empty+rows {
		f.Errorf("%d bytes with rows of %d bytes, %d before", full, rows, empty)
	}
	f.must(b.Drop(0, 1))
	if after := b.MemoryBytes(); after > full {
		f.Errorf("%d bytes after the drop, %d before", after, full)
	}
}

// testClosed: Close may be repeated, everything else fails.
func testClosed(f *fixture) {
	b, _ := f.table()
	f.must(b.Close())
	f.must(b.Close())
	if _, err := b.Table(0, 1); err == nil {
		f.Error("a closed backend made a pane")
	}
	if _, err := b.Begin(1, true); err == nil {
		f.Error("a closed backend began a snapshot")
	}
}
