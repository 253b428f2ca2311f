package state

import "github.com/leat-io/leat/state/backend"

// walk is a way through a map.
type walk struct {
	from, to []byte // at least from and below to; a nil to is no bound
	back     bool
	limit    int  // entries of the first chunk; 0 means leastEntries
	silent   bool // looking does not count as use, and what has expired is shown
}

// Bounds of what a walk copies at once: while nothing disturbs it, each chunk has four times
// the entries of the one before.
const (
	leastEntries = 8
	mostEntries  = 512
	mostBytes    = 32 << 10
)

// chunk is a copy of some entries of a map, or elements of a list, which stays as it is while
// these change.
type chunk struct {
	bytes    []byte
	ends     []int // of key and entry, in turn
	from, to []byte

	// What is copied: so many entries at most, the elements behind so many; and whether there
	// may be more. The functions that copy are made once, for calls allocate them.
	limit, skip int
	more        bool
	addEntry    func(key, entry []byte) bool
	addElement  func(element []byte) bool
}

func newChunk() *chunk {
	c := &chunk{}
	c.addEntry = func(key, entry []byte) bool {
		c.add(key, entry)
		c.more = c.len() >= c.limit || len(c.bytes) >= mostBytes
		return !c.more
	}
	c.addElement = func(element []byte) bool {
		if c.skip > 0 {
			c.skip--
			return true
		}
		c.add(nil, element)
		return c.len() < c.limit
	}
	return c
}

func (c *chunk) add(key, entry []byte) {
	c.bytes = append(c.bytes, key...)
	c.ends = append(c.ends, len(c.bytes))
	c.bytes = append(c.bytes, entry...)
	c.ends = append(c.ends, len(c.bytes))
}

// len is the number of entries.
func (c *chunk) len() int { return len(c.ends) / 2 }

func (c *chunk) at(i int) (key, entry []byte) {
	start := 0
	if i > 0 {
		start = c.ends[2*i-1]
	}
	middle, end := c.ends[2*i], c.ends[2*i+1]
	return c.bytes[start:middle:middle], c.bytes[middle:end:end]
}

// fill copies entries between the bounds, and reports whether there may be more.
func (c *chunk) fill(table backend.Table, row backend.Row, number int, back bool) (more bool) {
	c.clear()
	if back {
		table.MapScanBack(row, number, c.from, c.to, c.addEntry)
	} else {
		table.MapScan(row, number, c.from, c.to, c.addEntry)
	}
	return c.more
}

func (c *chunk) clear() { c.bytes, c.ends, c.more = c.bytes[:0], c.ends[:0], false }

// bound sets the bounds.
func (c *chunk) bound(w walk) {
	c.from = append(c.from[:0], w.from...)
	c.to = append(c.to[:0], w.to...)
	if w.to == nil {
		c.to = nil
	}
}

// pass moves the bounds behind an entry. Nothing lies between a key and the key with a zero
// behind it.
func (c *chunk) pass(key []byte, back bool) {
	if back {
		c.to = append(c.to[:0], key...)
		if c.to == nil { // the empty key
			c.to = []byte{}
		}
	} else {
		c.from = append(append(c.from[:0], key...), 0)
	}
}

// scan yields entries of the map that the cursor is at. They are copied out chunk by chunk,
// so that f may write; when it wrote to this map, the rest of the chunk is copied anew.
func (c *mapCell[K, V]) scan(w walk, f func(key, entry []byte) bool) {
	if c.codec == nil {
		return
	}
	table, row := c.d.Here().Table, c.d.Here().Row
	if table.Elements(row, c.number) == 0 || emptyRange(w) {
		return
	}
	chunk := c.chunks.take()
	defer c.chunks.give(chunk)
	chunk.bound(w)
	if chunk.limit = w.limit; chunk.limit == 0 {
		chunk.limit = leastEntries
	}
	for more := true; more; {
		writes := c.writes
		more = chunk.fill(table, row, c.number, w.back)
		chunk.limit = min(4*chunk.limit, mostEntries)
		for i := range chunk.len() {
			key, entry := chunk.at(i)
			if i == chunk.len()-1 {
				chunk.pass(key, w.back)
			}
			if c.Millis != 0 && !w.silent {
				before := c.writes
				visible := c.meet(key, entry)
				writes += c.writes - before // the rest of the chunk is as it was
				if !visible {
					continue
				}
			}
			if !f(key, entry) {
				return
			}
			if c.writes != writes {
				chunk.pass(key, w.back)
				chunk.limit, more = leastEntries/4, true
				break
			}
		}
	}
}

func emptyRange(w walk) bool { return w.to != nil && string(w.from) >= string(w.to) }

// chunks are those that no loop uses. Loops within loops have one each.
type chunks []*chunk

func (c *chunks) take() *chunk {
	n := len(*c)
	if n == 0 {
		return newChunk()
	}
	out := (*c)[n-1]
	*c = (*c)[:n-1]
	out.clear()
	return out
}

func (c *chunks) give(back *chunk) { *c = append(*c, back) }
