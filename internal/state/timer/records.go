package timer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/leat-io/leat/state/backend"
)

// shape is the form of the records of a service. A record is one operation on one timer, in
// words:
//
//	0       timestamp with the sign bit turned over, so that the order is that of numbers
//	1       hash of the key 32 bits, zeros 16, version 15, delete 1
//	2..     words of the key; or where its bytes lie in the arena
//	..      words of the namespace
type shape struct {
	keyWords, namespaceWords int
	namespaceAt, stride      int
}

func shapeOf(layout backend.TimerLayout) shape {
	at := 2 + max(layout.KeyWords, 1)
	return shape{
		keyWords: layout.KeyWords, namespaceWords: layout.NamespaceWords,
		namespaceAt: at, stride: at + layout.NamespaceWords,
	}
}

func timeOf(timestamp int64) uint64 { return uint64(timestamp) ^ 1<<63 }
func timestampOf(time uint64) int64 { return int64(time ^ 1<<63) }
func versionOf(rec []uint64) uint16 { return uint16(rec[1]) >> 1 }
func deletes(rec []uint64) bool     { return rec[1]&1 != 0 }

// operation is word 1 of a record.
func operation(hash uint64, version uint16, deletes bool) uint64 {
	word := hash&^(1<<32-1) | uint64(version)<<1
	if deletes {
		word |= 1
	}
	return word
}

const (
	chunkShift   = 10
	chunkRecords = 1 << chunkShift
	leastChunk   = 8  // records of the first chunk of a log, which grows
	pooledChunks = 64 // at least, else
	pooledShare  = 4  // one in so many
)

// memory hands out chunks of records and keeps account.
type memory struct {
	shape shape
	bytes int64
	free  [][]uint64 // whole chunks
}

// take returns a chunk for n records.
func (m *memory) take(n int) []uint64 {
	if last := len(m.free) - 1; n == chunkRecords && last >= 0 {
		chunk := m.free[last]
		m.free = m.free[:last]
		return chunk
	}
	m.bytes += int64(8 * n * m.shape.stride)
	return make([]uint64, n*m.shape.stride)
}

// give takes back a chunk that nobody reads any more.
func (m *memory) give(chunk []uint64) {
	most := max(pooledChunks, int(m.bytes)/(8*chunkRecords*m.shape.stride*pooledShare))
	if len(chunk) == chunkRecords*m.shape.stride && len(m.free) < most {
		m.free = append(m.free, chunk)
		return
	}
	m.forget(chunk)
}

// forget takes a chunk off the account that somebody may still read.
func (m *memory) forget(chunk []uint64) { m.bytes -= int64(8 * len(chunk)) }

// records is a list of records in chunks.
type records struct {
	shape  shape
	n      int
	chunks [][]uint64 // nil where given back
	tail   []uint64   // of the last chunk, up to the last record
	arena  arena
}

// at returns the i-th record.
func (r *records) at(i int) []uint64 {
	chunk := r.chunks[i>>chunkShift]
	from := (i & (chunkRecords - 1)) * r.shape.stride
	return chunk[from : from+r.shape.stride : from+r.shape.stride]
}

// stretch returns the words of the records from one on that lie together, and how many
// records these are: those before to at most.
func (r *records) stretch(from, to int) (words []uint64, n int) {
	inside := from & (chunkRecords - 1)
	n = min(chunkRecords-inside, to-from)
	stride := r.shape.stride
	return r.chunks[from>>chunkShift][inside*stride : (inside+n)*stride], n
}

// extend adds a record, whose words are to be written.
func (r *records) extend(m *memory) []uint64 {
	from := len(r.tail)
	to := from + r.shape.stride
	if to > cap(r.tail) {
		from, to = r.grow(m)
	}
	r.tail = r.tail[:to]
	r.n++
	return r.tail[from:to:to]
}

// grow makes room for one more record, and returns where in tail it lies.
func (r *records) grow(m *memory) (from, to int) {
	inside := r.n & (chunkRecords - 1)
	last := len(r.chunks) - 1
	switch {
	case inside == 0 && last < 0:
		r.chunks = append(r.chunks, m.take(leastChunk))
	case inside == 0:
		r.chunks = append(r.chunks, m.take(chunkRecords))
	case inside*r.shape.stride == len(r.chunks[last]):
		old := r.chunks[last]
		r.chunks[last] = m.take(2 * inside)
		copy(r.chunks[last], old)
		m.forget(old)
	}
	last = len(r.chunks) - 1
	from = inside * r.shape.stride
	r.tail = r.chunks[last][:from:len(r.chunks[last])]
	return from, from + r.shape.stride
}

// gather adds the records of another list that items name, as they are. The list is empty.
func (r *records) gather(m *memory, from *records, items []item) {
	stride := r.shape.stride
	for len(items) > 0 {
		n := min(len(items), chunkRecords)
		chunk := m.take(min(chunkRecords, max(leastChunk, 1<<bits.Len(uint(n-1)))))
		r.chunks = append(r.chunks, chunk)
		r.tail = chunk[: n*stride : len(chunk)]
		r.n += n
		to := r.tail
		for i := range items[:n] {
			at := int(items[i].at)
			words := from.chunks[at>>chunkShift][at&(chunkRecords-1)*stride:]
			if stride == 3 {
				rec, words := to[:3], words[:3]
				rec[0], rec[1], rec[2] = words[0], words[1], words[2]
			} else {
				copy(to[:stride], words)
			}
			if to = to[stride:]; r.shape.keyWords == 0 {
				rec := r.tail[i*stride : (i+1)*stride]
				rec[2] = r.arena.add(m, from.arena.bytes(rec[2]))
			}
		}
		items = items[n:]
	}
}

// add appends a record of another list, as an operation of its own.
func (r *records) add(m *memory, from *records, rec []uint64, word uint64) {
	to := r.extend(m)
	if len(to) == 3 && r.shape.keyWords == 1 {
		to[0], to[1], to[2] = rec[0], word, rec[2] // nearly always
		return
	}
	copy(to, rec)
	to[1] = word
	if r.shape.keyWords == 0 {
		to[2] = r.arena.add(m, from.arena.bytes(rec[2]))
	}
}

// discard gives back all memory. Nobody reads it.
func (r *records) discard(m *memory) {
	for _, chunk := range r.chunks {
		if chunk != nil {
			m.give(chunk)
		}
	}
	r.arena.forget(m)
	*r = records{shape: r.shape}
}

// discardBefore gives back the chunks before the i-th record.
func (r *records) discardBefore(m *memory, i int) {
	if at := i>>chunkShift - 1; at >= 0 && r.chunks[at] != nil {
		m.give(r.chunks[at])
		r.chunks[at] = nil
	}
}

// abandon takes the list off the account; others may go on reading it.
func (r *records) abandon(m *memory) {
	for _, chunk := range r.chunks {
		m.forget(chunk)
	}
	r.arena.forget(m)
	*r = records{shape: r.shape}
}

// frozen returns the list as it is now, for a reader on another goroutine while records are
// added.
func (r *records) frozen() records {
	f := *r
	f.chunks = slices.Clone(r.chunks)
	f.arena.chunks = slices.Clone(r.arena.chunks)
	return f
}

// key returns the bytes of the key of a record, canonical; scratch may be used.
func (r *records) key(rec []uint64, scratch []byte) []byte {
	if r.shape.keyWords == 0 {
		return r.arena.bytes(rec[2])
	}
	scratch = scratch[:0]
	for _, word := range rec[2 : 2+r.shape.keyWords] {
		scratch = binary.LittleEndian.AppendUint64(scratch, word)
	}
	return scratch
}

// compare puts timers in firing order: by timestamp, key and namespace.
func compare(r *records, a []uint64, s *records, b []uint64) int {
	if a[0] != b[0] {
		return cmp.Compare(a[0], b[0])
	}
	if c := compareKeys(r, a, s, b); c != 0 {
		return c
	}
	return slices.Compare(a[r.shape.namespaceAt:], b[r.shape.namespaceAt:])
}

func compareKeys(r *records, a []uint64, s *records, b []uint64) int {
	if r.shape.keyWords == 0 {
		return bytes.Compare(r.arena.bytes(a[2]), s.arena.bytes(b[2]))
	}
	for i := 2; i < r.shape.namespaceAt; i++ {
		if a[i] != b[i] {
			return cmp.Compare(bits.ReverseBytes64(a[i]), bits.ReverseBytes64(b[i]))
		}
	}
	return 0
}

// arena holds keys without fixed form.
type arena struct {
	chunks [][]byte
}

const (
	leastArena = 256
	arenaBytes = 64 << 10 // of a chunk; a longer key has one to itself
)

// add copies a key and returns where it lies: chunk 24 bits, offset 17, length 21.
func (a *arena) add(m *memory, key []byte) uint64 {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(key) > cap(a.chunks[last]) {
		size := leastArena
		if last >= 0 {
			size = min(2*cap(a.chunks[last]), arenaBytes)
		}
		size = max(size, len(key))
		m.bytes += int64(size)
		a.chunks = append(a.chunks, make([]byte, 0, size))
		last++
	}
	at := len(a.chunks[last])
	a.chunks[last] = append(a.chunks[last], key...)
	return uint64(last)<<38 | uint64(at)<<21 | uint64(len(key))
}

func (a *arena) bytes(ref uint64) []byte {
	at, length := int(ref>>21&(1<<17-1)), int(ref&(1<<21-1))
	return a.chunks[ref>>38][at : at+length : at+length]
}

func (a *arena) forget(m *memory) {
	for _, chunk := range a.chunks {
		m.bytes -= int64(cap(chunk))
	}
	a.chunks = nil
}
