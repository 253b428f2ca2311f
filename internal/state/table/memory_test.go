package table

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// recount adds up what the structures of a backend occupy, without the running account.
func (b *Backend) recount() int64 {
	total := backendBytes + int64(len(b.pool.slabs))*slabBytes
	blocks := len(b.blocks)
	tables := map[*Table]bool{}
	b.all(func(_ backend.TableID, _ backend.Pane, t *Table) { tables[t] = true })
	if s := b.snapshot; s != nil {
		blocks += len(s.copies.blocks) + len(s.undo.blocks)
		for _, t := range s.dropped {
			tables[t] = true
		}
	}
	for t := range tables {
		for id, memory := range t.arena.memory {
			if memory != nil {
				total += int64(t.arena.chunks[id].size)
			}
		}
		if t.directory == nil {
			continue
		}
		total += tableBytes + int64(len(t.directory))*8
		t.segments(func(s *segment) {
			total += segmentSize + int64(s.mask+1)*4
			if len(s.pages) > 0 && s.first < pageBytes {
				total += int64(s.first)
			}
		})
	}
	return total + int64(blocks)*blockBytes
}

// checkArena compares the accounts of a pane's segments and chunks with its rows.
func (t *Table) checkArena() error {
	live := map[uint32]int{}
	var failed error
	t.segments(func(s *segment) {
		sum, size := 0, 0
		for page := range s.pages {
			t.each(s, page, func(row unsafe.Pointer, id uint32) {
				for _, at := range t.shape.refAt {
					if r := ref(*word(row, at)); r != 0 && t.isRef(row, at) {
						live[r.chunk()] += t.arena.size(r)
						sum += t.arena.size(r)
						if owner := t.arena.header(r).row; uint32(owner) != id {
							failed = fmt.Errorf("entry of row %d says row %d", id, owner)
						}
					}
				}
			})
		}
		for _, id := range s.arena.chunks {
			size += int(t.arena.chunks[id].size)
		}
		if sum != s.arena.live || size != s.arena.size {
			failed = fmt.Errorf("segment says %d of %d bytes, has %d of %d", s.arena.live,
				s.arena.size, sum, size)
		}
	})
	for id, c := range t.arena.chunks {
		if int(c.live) != live[uint32(id)] {
			failed = fmt.Errorf("chunk %d says %d live bytes, has %d", id, c.live, live[uint32(id)])
		}
	}
	return failed
}

// Goal: the account of memory is exact at every moment, and that of arenas consistent.
// Method: random rows, values, drops and snapshots, each followed by a recount.
func TestMemoryAccount(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, words := range []int{0, 1} {
		made, _ := small.New(backend.Options{})
		b := made.(*Backend)
		empty := b.MemoryBytes()
		if _, err := b.Declare(backend.RowLayout{KeyWords: words, FixedBytes: 16,
			VarSlots: []int{8}}); err != nil {
			t.Fatal(err)
		}
		var taken backend.Snapshot
		for round := range uint64(300) {
			randomRound(t, rng, b, backend.Pane(rng.IntN(3)))
			switch what := rng.IntN(10); {
			case what == 0:
				_ = b.Drop(0, backend.Pane(rng.IntN(3)))
			case what < 3 && taken == nil:
				taken, _ = b.Begin(round, what == 1)
			case taken != nil && what < 6:
				_, _ = taken.Step(3000)
			case taken != nil && what == 6:
				taken.Release()
				taken = nil
			}
			if got, want := b.MemoryBytes(), b.recount(); got != want {
				t.Fatalf("round %d: %d bytes on account, %d found", round, got, want)
			}
			b.all(func(_ backend.TableID, pane backend.Pane, table *Table) {
				if err := table.checkArena(); err != nil {
					t.Fatalf("round %d, pane %d: %v", round, pane, err)
				}
			})
		}
		if taken != nil {
			taken.Release()
		}
		for pane := range backend.Pane(3) {
			_ = b.Drop(0, pane)
		}
		left := b.MemoryBytes() - int64(len(b.blocks))*blockBytes
		if left > empty+slabBytes {
			t.Errorf("%d bytes after everything was dropped, %d at the start", left, empty)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// randomRound inserts, writes and deletes rows of a pane.
func randomRound(t *testing.T, rng *rand.Rand, b *Backend, pane backend.Pane) {
	table, err := b.Table(0, pane)
	if err != nil {
		t.Fatal(err)
	}
	var keys backend.Keys
	for range 300 {
		number := uint64(rng.IntN(1500))
		keys.Hashes = append(keys.Hashes, mix(number))
		keys.Words = append(keys.Words, number)
		keys.Bytes = append(keys.Bytes, fmt.Appendf(nil, "key %d of many others", number))
	}
	rows := make([]backend.Row, len(keys.Hashes))
	if _, err := table.Resolve(keys, backend.Insert, rows, nil); err != nil {
		t.Fatal(err)
	}
	gone := map[backend.Row]bool{}
	for _, row := range rows {
		size := rng.IntN(120)
		if rng.IntN(100) == 0 {
			size = rng.IntN(50_000)
		}
		if gone[row] {
			continue
		}
		if rng.IntN(4) == 0 {
			gone[row] = true
			err = table.Delete(row)
		} else {
			err = table.SetValue(row, 0, bytes.Repeat([]byte{7}, size))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Goal: a pane of few keys stays near 2 KB, since windows make many. Method: count.
func TestSmallPane(t *testing.T) {
	bt := openBench(t, Factory{}, benchLayout)
	before := bt.backend.MemoryBytes()
	bt.fill(t, 10)
	if grown := bt.backend.MemoryBytes() - before + tableBytes + segmentSize; grown > 2100 {
		t.Errorf("a pane of ten keys occupies %d bytes, want at most 2100", grown)
	}
}

// Goal: the steady state allocates nothing. Method: count allocations of known keys, with
// and without a snapshot being copied.
func TestResolveDoesNotAllocate(t *testing.T) {
	bt := openBench(t, Factory{}, benchLayout)
	const keys = 50_000
	bt.fill(t, keys)
	drawn := draw(keys)
	from := 0
	if allocs := testing.AllocsPerRun(200, func() {
		bt.update(t, drawn[from:from+benchBatch])
		from += benchBatch
	}); allocs != 0 {
		t.Errorf("%v allocations a batch", allocs)
	}
}

// Goal: an image that is nearly all undo log is complete and in order. Method: more rows
// than two radix passes settle, all changed between the barrier and the copy.
func TestLargeUndo(t *testing.T) {
	bt := openBench(t, Factory{}, benchLayout)
	const keys = 100_000
	bt.fill(t, keys)
	taken, err := bt.backend.Begin(1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	if _, err := taken.Step(64 << 10); err != nil {
		t.Fatal(err)
	}
	bt.fill(t, keys)
	for done := false; !done; {
		if done, err = taken.Step(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	if undone := taken.(*snapshot).images[0].undoRows; undone < 1<<16 {
		t.Fatalf("only %d rows in the undo log", undone)
	}
	it := taken.Parts()[0].Entries()
	var last backend.Entry
	rows := 0
	for entry, ok := it.Next(); ok; entry, ok = it.Next() {
		if rows > 0 && (entry.Hash < last.Hash ||
			entry.Hash == last.Hash && bytes.Compare(entry.Key, last.Key) <= 0) {
			t.Fatalf("entry %d is out of order", rows)
		}
		if entry.Value[0] != 1 || entry.Value[8] != 3 {
			t.Fatalf("key %x has value %x", entry.Key, entry.Value)
		}
		last = backend.Entry{Hash: entry.Hash, Key: bytes.Clone(entry.Key)}
		rows++
	}
	if rows != keys {
		t.Errorf("%d rows, want %d", rows, keys)
	}
}
