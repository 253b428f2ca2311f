package state

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

// chunk is a copy of some entries of a map, which stays as it is while the map changes.
type chunk struct {
	bytes    []byte
	ends     []int // of key and entry, in turn
	from, to []byte
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

// fill copies up to limit entries and reports whether there may be more.
func (c *chunk) fill(cursor *Cursor, number int, back bool, limit int) (more bool) {
	c.clear()
	add := func(key, entry []byte) bool {
		c.add(key, entry)
		more = c.len() >= limit || len(c.bytes) >= mostBytes
		return !more
	}
	if back {
		cursor.Table.MapScanBack(cursor.Row, number, c.from, c.to, add)
	} else {
		cursor.Table.MapScan(cursor.Row, number, c.from, c.to, add)
	}
	return more
}

func (c *chunk) clear() { c.bytes, c.ends = c.bytes[:0], c.ends[:0] }

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
	cursor := Cursor{Table: c.d.cursor.Table, Row: c.d.cursor.Row}
	if cursor.Table.Elements(cursor.Row, c.number) == 0 || emptyRange(w) {
		return
	}
	chunk := c.chunks.take()
	defer c.chunks.give(chunk)
	chunk.bound(w)
	limit := w.limit
	if limit == 0 {
		limit = leastEntries
	}
	for more := true; more; {
		writes := c.writes
		more = chunk.fill(&cursor, c.number, w.back, limit)
		limit = min(4*limit, mostEntries)
		for i := range chunk.len() {
			key, entry := chunk.at(i)
			if i == chunk.len()-1 {
				chunk.pass(key, w.back)
			}
			if c.millis != 0 && !w.silent {
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
				limit, more = leastEntries/4, true
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
		return &chunk{}
	}
	out := (*c)[n-1]
	*c = (*c)[:n-1]
	out.clear()
	return out
}

func (c *chunks) give(back *chunk) { *c = append(*c, back) }
