package batch

import (
	"math"

	"github.com/leat-io/leat/internal/base/invariant"
)

const (
	firstChunkBytes = 16 << 10
	mostChunkBytes  = 256 << 10
	// A remainder smaller than this is not worth going on with after its batch was exposed.
	leastRemainderBytes = 4 << 10
	// A batch that once held a few huge strings must not keep their memory for ever.
	mostKeptBytes = 4 << 20
)

// arena holds the bytes copied into a batch. It writes into one chunk at a time, which is also
// Buffers[index] of the batch, up to its length.
//
// A chunk that views point into from elsewhere is never rewound: the batch goes on behind the
// bytes in use, which are left to whoever points into them.
type arena struct {
	chunk []byte // from the first byte that may be written on, up to the bytes in use
	index int    // in Buffers, or unlisted
	total int    // bytes copied into all chunks since the last reset
	next  int    // size of the next chunk
}

const unlisted = -1

// reset prepares the arena for an empty batch. kept says that bytes in use stay in use.
func (a *arena) reset(kept bool) {
	used := len(a.chunk)
	switch {
	case cap(a.chunk) > mostKeptBytes:
		a.chunk = nil
	case !kept && a.total > cap(a.chunk):
		a.chunk = make([]byte, 0, min(a.total+a.total/4, mostKeptBytes)) // one chunk next time
	case !kept:
		a.chunk = a.chunk[:0]
	case cap(a.chunk)-used < leastRemainderBytes:
		a.chunk = nil
	default:
		a.chunk = a.chunk[used:used:cap(a.chunk)]
	}
	a.index = unlisted
	a.total = 0
}

// reserve returns n bytes to write to, their buffer index and offset.
func (c *Columns) reserve(n int) (to []byte, buf, off uint32) {
	if n > math.MaxUint32 {
		invariant.Fail("string of %d bytes in a batch, want at most %d", n, uint32(math.MaxUint32))
	}
	a := &c.arena
	used := len(a.chunk)
	if a.index == unlisted || cap(a.chunk)-used < n {
		c.openChunk(n)
		used = len(a.chunk)
	}
	a.total += n
	a.chunk = a.chunk[:used+n]
	c.Buffers[a.index] = a.chunk
	return a.chunk[used:], uint32(a.index), uint32(used)
}

// openChunk lists the chunk in Buffers, after replacing it if it has not n bytes left.
func (c *Columns) openChunk(n int) {
	a := &c.arena
	if cap(a.chunk)-len(a.chunk) < n {
		a.next = min(max(firstChunkBytes, 2*a.next), mostChunkBytes)
		a.chunk = make([]byte, 0, max(a.next, n))
	}
	a.index = len(c.Buffers)
	c.Buffers = append(c.Buffers, a.chunk)
}
