package table

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// subBatch is the number of keys that go through the passes of Resolve together: its
// scratch, keys and rows fill half of a first-level cache.
const subBatch = 256

// scratch is shared by all panes of a backend.
type scratch struct {
	segments [subBatch]uintptr
	entries  [subBatch]uintptr
	misses   [subBatch]uint16
	touched  uint64 // keeps the loads that only touch
	key      key    // of the slow path
}

// Resolve looks up a batch. Every sub-batch goes through passes that do one thing for all
// keys, so that cache misses overlap: find the index entry and touch it; probe, which gives
// a row address without looking at the row; touch the rows; compare the keys. What is left
// takes the slow path in the order of the batch: absent keys, tags that lied, tombstones.
func (t *Table) Resolve(
	keys backend.Keys, mode backend.Mode, rows []backend.Row, created []int32,
) ([]int32, error) {
	moves := t.moves
	for _, store := range t.stores {
		store.StartBatch()
	}
	for from := 0; from < len(keys.Hashes); from += subBatch {
		to := min(from+subBatch, len(keys.Hashes))
		t.locate(keys.Hashes[from:to], rows[from:to])
		misses := t.verify(&keys, from, rows[from:to], mode)
		for _, i := range t.b.scratch.misses[:misses] {
			row, made, err := t.settle(&keys, from+int(i), mode)
			if err != nil {
				return created, fmt.Errorf("table: resolve keys: %w", err)
			}
			rows[from+int(i)] = row
			if made {
				created = append(created, int32(from+int(i)))
			}
		}
		if t.moves == moves {
			t.warm(rows[from:to])
		}
	}
	if t.moves == moves {
		return created, nil
	}
	// Rows moved while others of the batch were resolved. All are marked and exist now.
	for from := 0; from < len(keys.Hashes); from += subBatch {
		to := min(from+subBatch, len(keys.Hashes))
		t.locate(keys.Hashes[from:to], rows[from:to])
		misses := t.verify(&keys, from, rows[from:to], backend.Find)
		for _, i := range t.b.scratch.misses[:misses] {
			row, _, err := t.settle(&keys, from+int(i), backend.Find)
			if err != nil {
				return created, fmt.Errorf("table: resolve keys: %w", err)
			}
			rows[from+int(i)] = row
		}
	}
	return created, nil
}

// locate stores the start of the row that the tag suggests for every hash, or 0 when the
// key is absent for certain, and touches the rows.
func (t *Table) locate(hashes []uint64, rows []backend.Row) {
	sc := &t.b.scratch
	directory, shift := t.directory, t.directoryShift&31
	touched := sc.touched
	for i, hash := range hashes {
		top := uint32(hash >> 32)
		s := directory[top>>shift]
		entry := unsafe.Add(s.index, uintptr(s.home(top))*4)
		sc.segments[i&(subBatch-1)] = uintptr(unsafe.Pointer(s))
		sc.entries[i&(subBatch-1)] = uintptr(entry)
	}
	// Touching in a loop of its own, here and below, puts several times as many cache misses
	// into the processor's window as touching between other work.
	for _, entry := range sc.entries[:len(hashes)] {
		touched += uint64(*(*uint32)(at(entry)))
	}
	idShift, slotMask, rowBytes := t.shape.idShift&31, t.shape.idMask, t.shape.rowBytes
	rows = rows[:len(hashes)]
	for i, hash := range hashes {
		want := entryOf(uint32(hash >> 32))
		s := (*segment)(at(sc.segments[i&(subBatch-1)]))
		address := sc.entries[i&(subBatch-1)]
		entry := *(*uint32)(at(address))
		for entry&^idMask != want && entry != 0 {
			slot := (uint32(address-uintptr(s.index))>>2 + 1) & s.mask
			address = uintptr(s.index) + uintptr(slot)*4
			entry = *(*uint32)(at(address))
		}
		if entry == 0 {
			rows[i] = 0
			continue
		}
		page := *(*uintptr)(unsafe.Add(s.pageTable, uintptr(entry&idMask>>idShift)*8))
		rows[i] = backend.Row(page + uintptr(entry&slotMask)*rowBytes)
	}
	// A row may begin in one cache line and end in the next, which the caller is about to write.
	end := rowBytes - 8
	for _, row := range rows {
		if row != 0 {
			touched += *(*uint64)(at(uintptr(row))) + *(*uint64)(at(uintptr(row) + end))
		}
	}
	sc.touched = touched
}

// verify turns the starts of rows that have the key into rows, marks them changed when mode
// says so, and returns the number of keys left over in scratch.misses. Absent keys stay 0
// and are left over only when rows are to be made.
func (t *Table) verify(keys *backend.Keys, from int, rows []backend.Row, mode backend.Mode) int {
	switch t.shape.layout.KeyWords {
	case 1:
		return t.verifyOne(keys.Words[from:from+len(rows)], rows, mode)
	case 2:
		return t.verifyTwo(keys.Words[2*from:2*(from+len(rows))], rows, mode)
	}
	return t.verifyBytes(keys.Bytes[from:from+len(rows)], rows, mode)
}

func (t *Table) verifyOne(words []uint64, rows []backend.Row, mode backend.Mode) int {
	sc, cur, fixedAt := &t.b.scratch, t.b.versions.Current, backend.Row(t.shape.fixedAt)
	misses := 0
	words = words[:len(rows)]
	for i, start := range rows {
		if start != 0 {
			row := at(uintptr(start))
			head := headerOf(row)
			if *word(row, headerBytes) == words[i] && head.flags&flagLive != 0 {
				if mode == backend.Insert && head.version != cur {
					t.change(row)
				}
				rows[i] = start + fixedAt
				continue
			}
		} else if mode == backend.Find {
			continue
		}
		sc.misses[misses&(subBatch-1)] = uint16(i)
		misses++
	}
	return misses
}

func (t *Table) verifyTwo(words []uint64, rows []backend.Row, mode backend.Mode) int {
	sc, cur, fixedAt := &t.b.scratch, t.b.versions.Current, backend.Row(t.shape.fixedAt)
	misses := 0
	for i, start := range rows {
		if start != 0 {
			row := at(uintptr(start))
			head := headerOf(row)
			if *word(row, headerBytes) == words[2*i] &&
				*word(row, headerBytes+8) == words[2*i+1] && head.flags&flagLive != 0 {
				if mode == backend.Insert && head.version != cur {
					t.change(row)
				}
				rows[i] = start + fixedAt
				continue
			}
		} else if mode == backend.Find {
			continue
		}
		sc.misses[misses&(subBatch-1)] = uint16(i)
		misses++
	}
	return misses
}

// touchKeys loads the first byte of every long key.
func (t *Table) touchKeys(rows []backend.Row) {
	touched := t.b.scratch.touched
	for _, start := range rows {
		if start == 0 {
			continue
		}
		if row := at(uintptr(start)); headerOf(row).inline == longKey {
			r := ref(*word(row, headerBytes+8))
			entry := unsafe.Add(t.arena.memory[r.chunk()], r.offset())
			touched += uint64(*(*uint8)(unsafe.Add(entry, entryHeaderBytes)))
		}
	}
	t.b.scratch.touched = touched
}

func (t *Table) verifyBytes(keys [][]byte, rows []backend.Row, mode backend.Mode) int {
	t.touchKeys(rows)
	sc, cur, fixedAt := &t.b.scratch, t.b.versions.Current, backend.Row(t.shape.fixedAt)
	misses := 0
	for i, start := range rows {
		if start != 0 {
			row := at(uintptr(start))
			head := headerOf(row)
			if t.hasBytes(row, keys[i]) && head.flags&flagLive != 0 {
				if mode == backend.Insert && head.version != cur {
					t.change(row)
				}
				rows[i] = start + fixedAt
				continue
			}
		} else if mode == backend.Find {
			continue
		}
		sc.misses[misses&(subBatch-1)] = uint16(i)
		misses++
	}
	return misses
}

// settle finds the row of key i the slow way, or makes or revives it when mode says so, and
// reports whether it did.
func (t *Table) settle(
	keys *backend.Keys, i int, mode backend.Mode,
) (_ backend.Row, made bool, err error) {
	hash := uint32(keys.Hashes[i] >> 32)
	k := &t.b.scratch.key
	t.shape.loadKey(k, keys, i)
	s := t.segmentOf(hash)
	row, slot := t.find(s, hash, k)
	switch {
	case row != nil && headerOf(row).flags&flagLive != 0:
		if mode == backend.Insert && headerOf(row).version != t.b.versions.Current {
			t.change(row)
		}
	case mode == backend.Find:
		return 0, false, nil
	case row != nil:
		t.revive(row)
		made = true
	default:
		row, err = t.insert(s, slot, hash, k, t.b.versions.Current, flagLive|flagNew)
		if err != nil {
			return 0, false, err
		}
		made = true
	}
	return backend.Row(uintptr(row) + t.shape.fixedAt), made, nil
}

// revive makes a zeroed live row of a tombstone.
func (t *Table) revive(row unsafe.Pointer) {
	head := headerOf(row)
	if head.version != t.b.versions.Current {
		t.change(row)
	}
	clear(raw(row, t.shape.fixedAt, t.shape.rowBytes-t.shape.fixedAt))
	head.flags = head.flags&^flagTomb | flagLive
	t.segmentOf(head.hash).tombs--
	t.tombs--
	t.live++
}
