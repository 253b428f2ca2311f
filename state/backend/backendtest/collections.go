package backendtest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// runCollections checks the sentences about collections and timers one by one.
func runCollections(t *testing.T, factory backend.Factory) {
	for keyWords := range 3 {
		for _, test := range []struct {
			name string
			run  func(*fixture)
		}{
			{"bounds", testElementBounds},
			{"row made again", testRowMadeAgain},
			{"tables", testElementTables},
			{"restore makes rows", testRestoreMakesRows},
			{"restore refuses", testRestoreElementsRefuses},
			{"memory", testElementMemory},
			{"timers", testTimers},
		} {
			t.Run(fmt.Sprintf("words=%d/%s", keyWords, test.name), func(t *testing.T) {
				test.run(&fixture{T: t, factory: factory, layout: elementLayout(keyWords)})
			})
		}
	}
}

// row returns a row of a table, made when it is new.
func (f *fixture) row(table backend.Table, key []byte) backend.Row {
	f.Helper()
	rows, _ := f.resolve(table, backend.InsertClean, key)
	return rows[0]
}

// Goal: what is too large is refused and changes nothing. Method: keys at and over the bound.
func testElementBounds(f *fixture) {
	_, table := f.table()
	row := f.row(table, keyOf(f.layout, 1))
	longest := bytes.Repeat([]byte{7}, backend.MaxUserKeyBytes)
	f.must(table.MapPut(row, theMap, longest, []byte("value")))
	if err := table.MapPut(row, theMap, append(longest, 7), nil); err == nil {
		f.Error("a user key over the bound was taken")
	}
	f.must(table.MapPut(row, theMap, nil, nil))
	if value, ok := table.MapGet(row, theMap, nil); !ok || len(value) != 0 {
		f.Errorf("under the empty key: %x, %v", value, ok)
	}
	if value, ok := table.MapGet(row, theMap, longest); !ok || string(value) != "value" {
		f.Errorf("under the longest key: %x, %v", value, ok)
	}
	if n := table.Elements(row, theMap); n != 2 {
		f.Errorf("%d entries, want 2", n)
	}
	large := bytes.Repeat([]byte{9}, 1<<20)
	f.must(table.ListAppend(row, theList, large))
	f.must(table.ListAppend(row, theList, nil))
	var sizes []int
	table.ListScan(row, theList, func(element []byte) bool {
		sizes = append(sizes, len(element))
		return true
	})
	if fmt.Sprint(sizes) != fmt.Sprint([]int{1 << 20, 0}) {
		f.Errorf("elements of %d bytes, want %d and 0", sizes, 1<<20)
	}
}

// Goal: a row that is deleted takes its collections along. Method: it is made again, also
// while a snapshot still holds the old one.
func testRowMadeAgain(f *fixture) {
	b, table := f.table()
	key := keyOf(f.layout, 3)
	row := f.row(table, key)
	f.must(table.MapPut(row, theMap, []byte("k"), []byte("v")))
	f.must(table.ListAppend(row, theList, []byte("e")))
	snapshot, err := b.Begin(1, false)
	f.must(err)
	f.must(table.Delete(f.row(table, key)))
	row = f.row(table, key)
	if n := table.Elements(row, theMap) + table.Elements(row, theList); n != 0 {
		f.Errorf("%d elements in a row that was made again", n)
	}
	f.must(table.MapPut(row, theMap, []byte("k"), []byte("w")))
	for done := false; !done; {
		done, err = snapshot.Step(100)
		f.must(err)
	}
	parts, err := readEntries(snapshot.Parts())
	f.must(err)
	snapshot.Release()
	var found []string
	for _, p := range parts {
		for _, e := range p.entries {
			if p.Table > 0 {
				found = append(found, fmt.Sprintf("%d %q", p.Table, e.Value))
			}
		}
	}
	if got := strings.Join(found, ", "); got != `1 "v", 2 "\x01e"` {
		f.Errorf("the snapshot holds %s", got)
	}
}

// Goal: a table number means what was declared. Method: each used as another kind.
func testElementTables(f *fixture) {
	b := f.open()
	timers, err := b.DeclareTimers(backend.TimerLayout{KeyWords: f.layout.KeyWords})
	f.must(err)
	next, err := b.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8})
	f.must(err)
	if timers != 3 || next != 4 {
		f.Errorf("timers have table %d, the next one %d, want 3 and 4", timers, next)
	}
	for _, id := range []backend.TableID{1, 2, 3, 5} {
		if _, err := b.Table(id, backend.NoPane); err == nil {
			f.Errorf("table %d has rows", id)
		}
	}
	for _, id := range []backend.TableID{0, 1, 4, 5} {
		if _, err := b.Timers(id); err == nil {
			f.Errorf("table %d holds timers", id)
		}
	}
	for _, layout := range []backend.TimerLayout{
		{KeyWords: 3}, {KeyWords: -1}, {NamespaceWords: 3}, {NamespaceWords: -1},
	} {
		if _, err := b.DeclareTimers(layout); err == nil {
			f.Errorf("timers of layout %+v were declared", layout)
		}
	}
}

func (f *fixture) entry(i int, suffix, value string) backend.Entry {
	key := keyOf(f.layout, i)
	return backend.Entry{
		Hash:  uint32(hashOf(key) >> 32),
		Key:   backend.AppendEntryKey(nil, f.layout.KeyWords, key, []byte(suffix)),
		Value: []byte(value),
	}
}

// Goal: an entry of a collection needs no row, since rows without a state of their own may
// have been dropped. Method: entries alone.
func testRestoreMakesRows(f *fixture) {
	b := f.open()
	f.must(b.Restore(1, backend.NoPane, types.AllHashes,
		&entriesOf{rest: []backend.Entry{f.entry(5, "a", "1"), f.entry(5, "b", "2")}}))
	block := backend.AppendElement(backend.AppendElement(nil, []byte("x")), nil)
	number := string(backend.AppendBlockNumber(nil, 7)) // blocks before it expired
	f.must(b.Restore(2, backend.NoPane, types.AllHashes,
		&entriesOf{rest: []backend.Entry{f.entry(5, number, string(block))}}))
	table := f.pane(b, backend.NoPane)
	if table.Len() != 1 {
		f.Fatalf("%d rows, want 1", table.Len())
	}
	row := f.row(table, keyOf(f.layout, 5))
	if value, _ := table.MapGet(row, theMap, []byte("b")); string(value) != "2" {
		f.Errorf("under b: %q", value)
	}
	if n, m := table.Elements(row, theMap), table.Elements(row, theList); n != 2 || m != 2 {
		f.Errorf("%d entries and %d elements, want 2 and 2", n, m)
	}
}

// Goal: damaged entries are errors. Method: each kind of damage.
func testRestoreElementsRefuses(f *fixture) {
	good := f.entry(5, "a", "1")
	short, deleted := good, good
	short.Key = good.Key[:1]
	deleted.Value, deleted.Deleted = nil, true
	number := string(backend.AppendBlockNumber(nil, 0))
	for name, c := range map[string]struct {
		table   backend.TableID
		pane    backend.Pane
		entries []backend.Entry
	}{
		"short key":          {1, backend.NoPane, []backend.Entry{short}},
		"deleted":            {1, backend.NoPane, []backend.Entry{deleted}},
		"twice":              {1, backend.NoPane, []backend.Entry{good, good}},
		"block number":       {2, backend.NoPane, []backend.Entry{f.entry(5, "abc", "\x00")}},
		"element cut":        {2, backend.NoPane, []backend.Entry{f.entry(5, number, "\x05abc")}},
		"timer suffix":       {3, backend.NoPane, []backend.Entry{f.entry(5, "abc", "")}},
		"timers in a pane":   {3, 5, []backend.Entry{f.entry(5, "12345678", "")}},
		"table not declared": {4, backend.NoPane, []backend.Entry{good}},
	} {
		b := f.open()
		_, err := b.DeclareTimers(backend.TimerLayout{KeyWords: f.layout.KeyWords})
		f.must(err)
		if err := b.Restore(c.table, c.pane, types.AllHashes,
			&entriesOf{rest: c.entries}); err == nil {
			f.Errorf("%s: no error", name)
		}
	}
}

// Goal: memory of elements that are gone is used again. Method: fill and empty, many times.
func testElementMemory(f *fixture) {
	b, table := f.table()
	var first int64
	for round := range 20 {
		for i := range 30 {
			row := f.row(table, keyOf(f.layout, i))
			for j := range 100 {
				f.must(table.MapPut(row, theMap, fmt.Appendf(nil, "key %d", j), []byte("value")))
				f.must(table.ListAppend(row, theList, []byte("element")))
			}
			for j := range 50 {
				_, err := table.MapDelete(row, theMap, fmt.Appendf(nil, "key %d", j))
				f.must(err)
			}
		}
		if round == 0 {
			first = b.MemoryBytes()
		}
		for i := range 30 {
			row := f.row(table, keyOf(f.layout, i))
			f.must(table.Clear(row, theMap))
			f.must(table.Clear(row, theList))
		}
	}
	if now := b.MemoryBytes(); now > 2*first {
		f.Errorf("%d bytes in the end, %d in the beginning", now, first)
	}
}

// Goal: timers are a set that is taken in order. Method: a few by hand, at the ends of time.
func testTimers(f *fixture) {
	b := f.open()
	id, err := b.DeclareTimers(backend.TimerLayout{
		KeyWords: f.layout.KeyWords, NamespaceWords: 1,
	})
	f.must(err)
	timers, err := b.Timers(id)
	f.must(err)
	if _, ok := timers.Earliest(); ok {
		f.Error("an earliest timer without timers")
	}
	var due backend.Due
	if timers.Take(math.MaxInt64, 10, &due) {
		f.Error("took a timer without timers")
	}
	register := func(timestamp int64, namespace uint64) {
		key := keyOf(f.layout, 4)
		t := &backend.Timer{Timestamp: timestamp, Hash: hashOf(key), Bytes: key,
			Namespace: [2]uint64{namespace}}
		keys := keysOf(f.layout, hashOf, [][]byte{key})
		copy(t.Words[:], keys.Words)
		f.must(timers.Register(t))
	}
	for range 3 {
		for _, timestamp := range []int64{10, math.MaxInt64, -10, math.MinInt64, 10} {
			register(timestamp, 2)
			register(timestamp, 1)
		}
	}
	var got []string
	for timers.Take(10, 1, &due) {
		got = append(got, fmt.Sprint(due.Timestamp, due.Namespaces))
	}
	if want := fmt.Sprintf("[%d [1] %[1]d [2] -10 [1] -10 [2] 10 [1] 10 [2]]",
		int64(math.MinInt64)); fmt.Sprint(got) != want {
		f.Errorf("took %v, want %s", got, want)
	}
	if !timers.Take(math.MaxInt64, 10, &due) || len(due.Hashes) != 2 {
		f.Errorf("took %d timers at the end of time, want 2", len(due.Hashes))
	}
}
