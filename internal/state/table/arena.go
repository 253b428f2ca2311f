package table

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/state/backend"
)

// ref names bytes in the arena: chunk 24 bits, offset/8 of the entry 13 bits, length of the
// bytes 27 bits. Zero is the empty value; no other ref has length 0.
type ref uint64

const (
	chunkBits  = 24
	offsetBits = 13
	lengthBits = 27
)

func makeRef(chunk uint32, offset, length int) ref {
	return ref(chunk)<<(offsetBits+lengthBits) | ref(offset/8)<<lengthBits | ref(length)
}

func (r ref) chunk() uint32 { return uint32(r >> (offsetBits + lengthBits)) }
func (r ref) offset() int   { return int(r>>lengthBits&(1<<offsetBits-1)) * 8 }
func (r ref) length() int   { return int(r & (1<<lengthBits - 1)) }

// place is the ref without the length: where the entry lies.
func (r ref) place() ref { return r >> lengthBits }

// bytes returns what a ref names in a table of chunks.
func (r ref) bytes(chunks []unsafe.Pointer) []byte {
	if r == 0 {
		return nil
	}
	p := unsafe.Add(chunks[r.chunk()], r.offset()+entryHeaderBytes)
	return unsafe.Slice((*byte)(p), r.length())
}

// entryHeader leads every arena entry. row is the id, in the segment that owns the chunk, of
// the row that refers to the entry if any does: compaction asks that row.
type entryHeader struct {
	words uint16 // size of the entry in 8-byte words, this header included; 0 = the chunk
	row   uint16
}

const (
	entryHeaderBytes = 4
	minChunkBytes    = 1 << 10
	maxChunkBytes    = 16 << 10 // small, so that a segment has many victims to choose from
	ownChunkBytes    = 2 << 10  // an entry from this size on has a chunk to itself
	livePercent      = 60       // of a segment's chunks; compaction starts below
	victimsAtOnce    = 4
)

// chunk is the account of one chunk; its memory is in arena.memory.
type chunk struct {
	size int32 // bytes allocated
	used int32 // bytes handed out
	live int32 // bytes of entries some row refers to
	own  bool  // holds one entry only
}

// arena holds the values and long keys of one table. Segments own its chunks.
type arena struct {
	memory []unsafe.Pointer // by chunk id; read by others while a snapshot exists
	chunks []chunk
	free   []uint32 // ids for reuse
	b      *Backend
	// quarantine holds ids whose memory a snapshot may still read: neither memory nor id
	// is released before it.
	quarantine []uint32
}

// owned is the part of an arena that one segment owns.
type owned struct {
	chunks []uint32
	open   uint32 // id+1 of the chunk being filled, 0 = none
	live   int    // bytes of entries in use
	size   int    // bytes of all chunks
}

func (a *arena) bytes(r ref) []byte { return r.bytes(a.memory) }

func entrySize(length int) int { return (length + entryHeaderBytes + 7) &^ 7 }

// header returns the header of the entry at a ref.
func (a *arena) header(r ref) *entryHeader {
	return (*entryHeader)(unsafe.Add(a.memory[r.chunk()], r.offset()))
}

// capacity is the number of bytes the entry can hold.
func (a *arena) capacity(r ref) int { return a.size(r) - entryHeaderBytes }

// size is the size of the entry at a ref.
func (a *arena) size(r ref) int {
	if c := &a.chunks[r.chunk()]; c.own {
		return int(c.size)
	}
	return int(a.header(r).words) * 8
}

// newChunk adds a chunk to a segment's.
func (a *arena) newChunk(o *owned, size int, own bool) (uint32, error) {
	var id uint32
	if n := len(a.free); n > 0 {
		id = a.free[n-1]
		a.free = a.free[:n-1]
	} else {
		if len(a.chunks) >= 1<<chunkBits {
			return 0, fmt.Errorf("arena of %d chunks is full", len(a.chunks))
		}
		id = uint32(len(a.chunks))
		a.chunks = append(a.chunks, chunk{})
		a.memory = append(a.memory, nil)
	}
	a.chunks[id] = chunk{size: int32(size), own: own}
	a.memory[id] = noscan(size)
	o.chunks = append(o.chunks, id)
	o.size += size
	a.b.memoryBytes += int64(size)
	return id, nil
}

// store copies value into a new entry of at least capacity bytes that belongs to a row.
func (a *arena) store(o *owned, row uint16, value []byte, capacity int) (ref, error) {
	if len(value) > backend.MaxValueBytes {
		return 0, fmt.Errorf("value of %d bytes, at most %d are possible", len(value),
			backend.MaxValueBytes)
	}
	size := entrySize(max(len(value), capacity))
	own := size >= ownChunkBytes
	var id uint32
	var err error
	if own {
		id, err = a.newChunk(o, size, true)
	} else {
		id, err = a.opened(o, size)
	}
	if err != nil {
		return 0, err
	}
	c := &a.chunks[id]
	r := makeRef(id, int(c.used), len(value))
	words := uint16(size / 8)
	if own {
		words = 0
	}
	*a.header(r) = entryHeader{words: words, row: row}
	copy(a.bytes(r), value)
	c.used += int32(size)
	c.live += int32(size)
	o.live += size
	return r, nil
}

// opened returns a chunk with size free bytes, opening one twice as large as the last.
func (a *arena) opened(o *owned, size int) (uint32, error) {
	next := minChunkBytes
	if o.open > 0 {
		id := o.open - 1
		c := &a.chunks[id]
		if int(c.size-c.used) >= size {
			return id, nil
		}
		next = min(max(minChunkBytes, 2*int(c.size)), maxChunkBytes)
		o.open = 0
		if c.live == 0 {
			a.drop(o, id)
		}
	}
	id, err := a.newChunk(o, max(next, size), false)
	if err == nil {
		o.open = id + 1
	}
	return id, err
}

// release gives up the entry at a ref. Its bytes stay as they are while its chunk exists.
func (a *arena) release(o *owned, r ref) {
	if r == 0 {
		return
	}
	size := a.size(r)
	c := &a.chunks[r.chunk()]
	c.live -= int32(size)
	o.live -= size
	if c.live < 0 || o.live < 0 {
		invariant.Fail("arena entry %x released twice", uint64(r))
	}
	if c.live == 0 && o.open != r.chunk()+1 {
		a.drop(o, r.chunk())
	}
}

// drop takes an empty chunk from its segment and frees it, or quarantines it while a
// snapshot may refer to it.
func (a *arena) drop(o *owned, id uint32) {
	for i, owned := range o.chunks {
		if owned == id {
			last := len(o.chunks) - 1
			o.chunks[i] = o.chunks[last]
			o.chunks = o.chunks[:last]
			break
		}
	}
	o.size -= int(a.chunks[id].size)
	if a.b.snapshot != nil {
		a.quarantine = append(a.quarantine, id)
		return
	}
	a.discard(id)
}

// discard frees a chunk. Its memory goes to the collector, not to a pool: slices that Value
// and Key returned may still look at it.
func (a *arena) discard(id uint32) {
	a.b.memoryBytes -= int64(a.chunks[id].size)
	a.chunks[id] = chunk{}
	a.memory[id] = nil
	a.free = append(a.free, id)
}

// endQuarantine frees what waited for the snapshot.
func (a *arena) endQuarantine() {
	for _, id := range a.quarantine {
		a.discard(id)
	}
	a.quarantine = nil
}

// total is the bytes of all chunks, for the account when a table goes.
func (a *arena) total() int64 {
	var total int64
	for _, c := range a.chunks {
		total += int64(c.size)
	}
	return total
}

// wantsCompaction reports whether too little of a segment's chunks is live. A segment with
// few chunks is left alone.
func (o *owned) wantsCompaction() bool {
	return o.size > 4*minChunkBytes && o.live*100 < o.size*livePercent
}

// compact moves the live entries out of the emptiest chunks of a segment. Rows do not move;
// their references change. It walks each chunk once, asking for every entry the row that it
// once belonged to.
func (t *Table) compact(s *segment) error {
	a := &t.arena
	for range victimsAtOnce {
		if !s.arena.wantsCompaction() {
			return nil
		}
		victim, best := uint32(0), livePercent
		for _, id := range s.arena.chunks {
			c := &a.chunks[id]
			if c.own || s.arena.open == id+1 {
				continue
			}
			if live := int(c.live) * 100 / int(c.size); live < best {
				victim, best = id+1, live
			}
		}
		if victim == 0 {
			return nil
		}
		if err := t.empty(s, victim-1); err != nil {
			return err
		}
	}
	return nil
}

// empty moves every live entry of a chunk to the open one.
func (t *Table) empty(s *segment, id uint32) error {
	a := &t.arena
	for offset, used := 0, int(a.chunks[id].used); offset < used; {
		place := makeRef(id, offset, 0)
		head := a.header(place)
		offset += int(head.words) * 8
		row := t.rowAt(s, head.row)
		if row == nil {
			continue
		}
		for _, at := range t.shape.refAt {
			old := ref(*word(row, at))
			if old == 0 || old.place() != place.place() || !t.isRef(row, at) {
				continue
			}
			moved, err := a.store(&s.arena, head.row, a.bytes(old), a.capacity(old))
			if err != nil {
				return err
			}
			*word(row, at) = uint64(moved)
			a.release(&s.arena, old)
			if a.chunks[id].live == 0 {
				return nil // dropped
			}
		}
	}
	return nil
}

// isRef reports whether the word at an offset of refAt is a reference: the key slot of a
// short key holds the key itself.
func (t *Table) isRef(row unsafe.Pointer, offset uintptr) bool {
	return offset >= t.shape.fixedAt || headerOf(row).inline == longKey
}
