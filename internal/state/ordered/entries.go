package ordered

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// frozen is a complete image. Nobody writes what it refers to.
type frozen struct {
	log     [][]byte
	memory  []unsafe.Pointer
	deletes [][]byte
}

// Result describes the complete image.
func (s *Store) Result() (rows int, bytes int64, entries func() backend.Entries) {
	im := s.image
	f := &frozen{log: im.log.blocks, memory: s.memory[:len(s.memory):len(s.memory)]}
	for _, c := range im.changes {
		f.deletes = append(f.deletes, c.deletes...)
	}
	return im.rows, im.bytes, func() backend.Entries { return newEntries(f) }
}

// place is where a record lies, led by its hash, so that sorting places sorts by hash.
type place struct {
	hash   uint32
	block  int32
	offset int32
}

// entries merges the records of an image, in the order of their first entries, with the keys
// that were deleted. Records of one owner do not overlap: each was a block at the barrier.
type entries struct {
	f       *frozen
	places  []place
	deletes []deletedKey

	hash  uint32 // of the record being read
	lead  int    // bytes of the owner's part, at the start of key
	left  int    // entries of the record not read
	rest  []byte
	key   []byte // of the next entry that is set, if set
	value []byte
	set   bool
	// consumed says that key and value were handed out, and must stay until the next call.
	consumed bool
}

type deletedKey struct {
	hash uint32
	key  []byte
}

func newEntries(f *frozen) *entries {
	e := &entries{f: f}
	for i, block := range f.log {
		for at := 0; at < len(block); {
			size := binary.LittleEndian.Uint32(block[at:])
			hash := binary.LittleEndian.Uint32(block[at+4:])
			e.places = append(e.places, place{hash: hash, block: int32(i), offset: int32(at)})
			at += int(size)
		}
	}
	e.places = sortPlaces(e.places, func(a, b place) int {
		leadA, firstA := f.first(a)
		leadB, firstB := f.first(b)
		return cmp.Or(bytes.Compare(leadA, leadB), bytes.Compare(firstA, firstB))
	})
	for _, block := range f.deletes {
		for len(block) > 0 {
			end := deleteHeader + binary.LittleEndian.Uint32(block[4:])
			key := block[deleteHeader:end:end]
			e.deletes = append(e.deletes, deletedKey{binary.LittleEndian.Uint32(block), key})
			block = block[end:]
		}
	}
	slices.SortFunc(e.deletes, deletedKey.compare)
	e.load()
	return e
}

func (d deletedKey) compare(other deletedKey) int {
	if c := cmp.Compare(d.hash, other.hash); c != 0 {
		return c
	}
	return bytes.Compare(d.key, other.key)
}

// first returns the owner's part of a record and the suffix of its first entry.
func (f *frozen) first(p place) (lead, suffix []byte) {
	record := f.log[p.block][p.offset:]
	length := binary.LittleEndian.Uint32(record[8:])
	lead = record[recordHeader : recordHeader+length]
	entry := record[recordHeader+length:]
	return lead, entry[8 : 8+binary.LittleEndian.Uint32(entry)]
}

// load makes the next entry that is set ready.
func (e *entries) load() {
	e.set = false
	if e.left == 0 {
		if len(e.places) == 0 {
			return
		}
		p := e.places[0]
		e.places = e.places[1:]
		record := e.f.log[p.block][p.offset:]
		e.hash, e.left = p.hash, int(binary.LittleEndian.Uint32(record[12:]))
		e.lead = int(binary.LittleEndian.Uint32(record[8:]))
		e.rest = record[recordHeader+e.lead:]
		e.key = append(e.key[:0], record[recordHeader:recordHeader+e.lead]...)
	}
	suffix := int(binary.LittleEndian.Uint32(e.rest))
	length := binary.LittleEndian.Uint32(e.rest[4:])
	e.key = append(e.key[:e.lead], e.rest[8:8+suffix]...)
	e.rest = e.rest[8+suffix:]
	if length&farValue == 0 {
		e.value = e.rest[:length:length]
		e.rest = e.rest[length:]
	} else {
		r, at := far(e.rest)
		p := unsafe.Add(e.f.memory[r>>offsetBits], uintptr(r&(1<<offsetBits-1))*granule)
		e.value = unsafe.Slice((*byte)(unsafe.Add(p, at)), length&^farValue)
		e.rest = e.rest[farBytes:]
	}
	e.left--
	e.set = true
}

// Next yields the next entry. Of a key that was deleted and is there again, or was deleted
// several times, one is left.
func (e *entries) Next() (backend.Entry, bool) {
	if e.consumed {
		e.load()
		e.consumed = false
	}
	for len(e.deletes) > 0 {
		d := e.deletes[0]
		order := -1
		if e.set {
			order = d.compare(deletedKey{e.hash, e.key})
		}
		if order > 0 {
			break
		}
		e.deletes = e.deletes[1:]
		if order == 0 || len(e.deletes) > 0 && d.compare(e.deletes[0]) == 0 {
			continue
		}
		return backend.Entry{Hash: d.hash, Key: d.key, Deleted: true}, true
	}
	if !e.set {
		return backend.Entry{}, false
	}
	e.consumed = true
	return backend.Entry{Hash: e.hash, Key: e.key, Value: e.value}, true
}

// Err returns nil: nothing can fail.
func (e *entries) Err() error { return nil }

const (
	digitBits  = 11
	radixLeast = 256 // below, comparing is as fast
)

// sortPlaces sorts by hash with three radix passes, then what has one hash by compare. It
// may return another slice.
func sortPlaces(places []place, compare func(a, b place) int) []place {
	if len(places) < radixLeast {
		slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.hash, b.hash) })
	} else {
		spare := make([]place, len(places))
		for shift := 0; shift < 32; shift += digitBits {
			scatter(places, spare, shift)
			places, spare = spare, places
		}
	}
	for from := 0; from < len(places); {
		to := from + 1
		for to < len(places) && places[to].hash == places[from].hash {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(places[from:to], compare)
		}
		from = to
	}
	return places
}

// scatter is one pass of a radix sort, stable.
func scatter(from, to []place, shift int) {
	var starts [1 << digitBits]int32
	for _, p := range from {
		starts[p.hash>>shift&(1<<digitBits-1)]++
	}
	sum := int32(0)
	for i, n := range starts {
		starts[i] = sum
		sum += n
	}
	for _, p := range from {
		digit := p.hash >> shift & (1<<digitBits - 1)
		to[starts[digit]] = p
		starts[digit]++
	}
}
