package backendtest

import (
	"errors"
	"strings"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

func (f *fixture) begin(b backend.Backend, checkpoint uint64, full bool) backend.Snapshot {
	f.Helper()
	snapshot, err := b.Begin(checkpoint, full)
	f.must(err)
	return snapshot
}

// take makes a snapshot on top of base and checks that it adds up to the backend's rows.
func (f *fixture) take(
	b backend.Backend, checkpoint uint64, full bool, base image,
) (image, []part) {
	f.Helper()
	want, err := readBackend(f.layout, b, 1)
	f.must(err)
	got, parts, err := finish(f.layout, base, f.begin(b, checkpoint, full))
	f.must(err)
	f.must(compareImages(want, got))
	return got, parts
}

// testEmptySnapshot: a backend without panes, and one with an empty pane, have images; only
// one snapshot exists at a time; Release may be repeated.
func testEmptySnapshot(f *fixture) {
	b := f.open()
	snapshot := f.begin(b, 1, false)
	if _, err := b.Begin(2, false); err == nil {
		f.Error("a second snapshot was begun")
	}
	if got, _, err := finish(f.layout, nil, snapshot); err != nil || len(got) != 0 {
		f.Errorf("image of an empty backend: %v, error %v", got, err)
	}
	snapshot.Release()
	f.pane(b, 4)
	if got, _ := f.take(b, 2, true, nil); len(got) != 1 {
		f.Errorf("image of an empty pane: %v", got)
	}
}

// testIsolation: what happens between Begin and the end of the copy is not in the image,
// whether the row was copied already or not.
func testIsolation(f *fixture) {
	for _, full := range []bool{true, false} {
		b, table := f.table()
		const n = 3000
		for i, key := range f.numbers(0, n) {
			f.put(table, key, uint64(i))
		}
		want, err := readBackend(f.layout, b, 1)
		f.must(err)
		snapshot := f.begin(b, 1, full)
		for done, i := false, 0; !done; i += 3 {
			f.put(table, keyOf(f.layout, i%n), 1<<40)
			if i%n < n-10 {
				f.put(table, keyOf(f.layout, n+i), 7)
			}
			if rows, _ := f.resolve(table, backend.Find, keyOf(f.layout, n-1-i%n)); rows[0] != 0 {
				f.must(table.Delete(rows[0]))
			}
			done, err = snapshot.Step(64)
			f.must(err)
		}
		f.put(table, keyOf(f.layout, 2), 1<<41)
		got, _, err := finish(f.layout, nil, snapshot)
		f.must(err)
		f.must(compareImages(want, got))
	}
}

// testConfirm: deltas hold what changed since the last confirmed snapshot, no matter how
// many were taken in between; Confirm implies earlier checkpoints and forgives unknown ones.
func testConfirm(f *fixture) {
	b, table := f.table()
	for i, key := range f.numbers(0, 100) {
		f.put(table, key, uint64(i))
	}
	first, _ := f.take(b, 1, false, nil)
	b.Confirm(1)
	f.put(table, keyOf(f.layout, 5), 500)
	f.remove(table, keyOf(f.layout, 6))
	second, _ := f.take(b, 2, false, first)
	f.put(table, keyOf(f.layout, 7), 700)
	f.put(table, keyOf(f.layout, 6), 600)
	f.remove(table, keyOf(f.layout, 5))
	_, parts := f.take(b, 3, false, first)
	f.checkDelta(parts, 3)
	b.Confirm(2)
	b.Confirm(99)
	b.Confirm(1)
	third, parts := f.take(b, 4, false, second)
	f.checkDelta(parts, 3)
	b.Confirm(4)
	last, parts := f.take(b, 5, false, third)
	f.checkDelta(parts, 0)
	_, parts = f.take(b, 6, true, nil)
	if len(parts) != 1 || !parts[0].Full || parts[0].Rows != 99 {
		f.Errorf("%d full parts of %d rows, want one of 99", len(parts), parts[0].Rows)
	}
	b.Confirm(5)
	f.take(b, 7, false, last)
}

// checkDelta: parts that are not full have n entries in all.
func (f *fixture) checkDelta(parts []part, n int) {
	f.Helper()
	rows := 0
	for _, p := range parts {
		if p.Full {
			return
		}
		rows += p.Rows
	}
	if rows != n {
		f.Errorf("%d entries in a delta, want %d", rows, n)
	}
}

// testAbort: a snapshot released before its end, or finished and never confirmed, leaves
// its rows changed; deletions too.
func testAbort(f *fixture) {
	b, table := f.table()
	for i, key := range f.numbers(0, 2000) {
		f.put(table, key, uint64(i))
	}
	base, _ := f.take(b, 1, false, nil)
	b.Confirm(1)
	for i := range 1000 {
		f.put(table, keyOf(f.layout, i*2), 1<<30)
		f.remove(table, keyOf(f.layout, i*2+1))
	}
	snapshot := f.begin(b, 2, false)
	done, err := snapshot.Step(64)
	f.must(err)
	f.put(table, keyOf(f.layout, 1), 5)
	f.remove(table, keyOf(f.layout, 0))
	snapshot.Release()
	if !done {
		b.Confirm(2)
	}
	f.take(b, 3, false, base)
	f.put(table, keyOf(f.layout, 9000), 5)
	image, _ := f.take(b, 4, false, base)
	b.Confirm(4)
	f.remove(table, keyOf(f.layout, 9000))
	f.take(b, 5, false, image)
}

// testDropDuringCopy: a pane dropped while it is copied is in the image, with its rows at
// the barrier; the next image does not list it.
func testDropDuringCopy(f *fixture) {
	for steps := range 3 {
		b := f.open()
		for pane := range backend.Pane(3) {
			for i, key := range f.numbers(0, 1000) {
				f.put(f.pane(b, pane), key, uint64(i))
			}
		}
		want, err := readBackend(f.layout, b, 1)
		f.must(err)
		snapshot := f.begin(b, 1, false)
		f.put(f.pane(b, 1), keyOf(f.layout, 4), 1<<50)
		for range steps * 100 {
			_, err := snapshot.Step(64)
			f.must(err)
		}
		f.put(f.pane(b, 1), keyOf(f.layout, 900), 1<<51)
		f.must(b.Drop(0, 1))
		for i, key := range f.numbers(0, 3000) {
			f.put(f.pane(b, 7), key, uint64(i))
		}
		got, _, err := finish(f.layout, nil, snapshot)
		f.must(err)
		f.must(compareImages(want, got))
		b.Confirm(1)
		f.take(b, 2, false, got)
	}
}

// testPaneMadeAgain: the rows of a dropped pane are not those of a pane of the same name
// made later, in deltas neither.
func testPaneMadeAgain(f *fixture) {
	b := f.open()
	for i, key := range f.numbers(0, 10) {
		f.put(f.pane(b, 1), key, uint64(i))
	}
	first, _ := f.take(b, 1, false, nil)
	b.Confirm(1)
	f.must(b.Drop(0, 1))
	f.put(f.pane(b, 1), keyOf(f.layout, 3), 33)
	f.take(b, 2, false, first)
	f.must(b.Drop(0, 1))
	f.pane(b, 1)
	third, _ := f.take(b, 3, false, first)
	b.Confirm(3)
	f.put(f.pane(b, 1), keyOf(f.layout, 4), 44)
	f.take(b, 4, false, third)
}

// testRestoreRefuses: entries that a faithful reader cannot deliver are errors.
func testRestoreRefuses(f *fixture) {
	value := backend.AppendValue(nil, f.layout, make([]byte, f.layout.FixedBytes),
		func(int) []byte { return []byte("v") })
	entry := func(hash uint32, number int) backend.Entry {
		return backend.Entry{Hash: hash, Key: keyOf(f.layout, number), Value: value}
	}
	deleted := entry(5, 5)
	deleted.Deleted = true
	damaged := entry(5, 5)
	damaged.Value = value[:len(value)-1]
	bounds := types.HashRange{Lo: 4, Hi: 10}
	lost := errors.New("file lost")
	for name, test := range map[string]struct {
		entries []backend.Entry
		err     error
		want    string
	}{
		"below bounds": {[]backend.Entry{entry(3, 1)}, nil, "out of bounds"},
		"above bounds": {[]backend.Entry{entry(11, 1)}, nil, "out of bounds"},
		"out of order": {[]backend.Entry{entry(6, 1), entry(5, 2)}, nil, "comes after"},
		"twice":        {[]backend.Entry{entry(6, 1), entry(6, 1)}, nil, "comes after"},
		"deleted":      {[]backend.Entry{deleted}, nil, "deleted"},
		"damaged":      {[]backend.Entry{damaged}, nil, "split row value"},
		"read error":   {nil, lost, "file lost"},
	} {
		b := f.open()
		err := b.Restore(0, 1, bounds, &entriesOf{rest: test.entries, err: test.err})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			f.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
	b := f.open()
	f.must(b.Restore(0, 1, bounds, &entriesOf{rest: []backend.Entry{entry(4, 1)}}))
	f.must(b.Restore(0, 2, bounds, &entriesOf{}))
	if panes := b.Panes(0, nil); len(panes) != 2 {
		f.Errorf("panes %v after restoring two, one empty", panes)
	}
	if err := b.Restore(0, 1, bounds,
		&entriesOf{rest: []backend.Entry{entry(4, 1)}}); err == nil {
		f.Error("a key was restored twice")
	}
}
