package declared

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/state/backend"
)

// timedPart is a state in the row that has a time to live.
type timedPart struct {
	Part
	bytes       int // from Offset on
	slot, slots int // its variable slots
}

// timedCollection is a map or list that has one.
type timedCollection struct {
	Expiry
	number int
	list   bool
}

// ShortestTTL is the shortest time to live of all states, in milliseconds; 0 when none has one,
// so that there is nothing to sweep.
func (d *States) ShortestTTL() (millis int64) {
	for i := range d.timed {
		millis = shorter(millis, d.timed[i].Millis)
	}
	for i := range d.aging {
		millis = shorter(millis, d.aging[i].Millis)
	}
	return millis
}

func shorter(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// Bear notes that an entry or element was written that will expire.
func (d *States) Bear() { d.births++ }

// Births is the number of calls of Bear since the last call of Births.
func (d *States) Births() int {
	n := d.births
	d.births = 0
	return n
}

// Sweep removes what has expired from the rows of a table, a little at a time, so that states
// which nobody uses any more do not stay in memory. A pass goes over all rows; Step does a part
// of it. The zero Sweep of an operator's States is at the beginning of a pass. Task goroutine,
// between batches: it deletes rows.
//
// What programs see does not change, but for what state.ReturnExpiredIfNotCleanedUp shows.
//
// Semantics: the incremental cleanup of Flink's StateTtlConfig, which comes by itself here.
type Sweep struct {
	states *States
	cursor uint64
	within within

	// Of the step being done.
	table backend.Table
	now   int64
	left  int
	err   error

	expiry Expiry // of the collection at hand
	scan   scan

	// User keys that have expired or elements that live, one behind the other, and their ends.
	keys    []byte
	ends    []int
	probe   [1]backend.Row
	hash    [1]uint64
	bytes   [1][]byte
	visit   func(row backend.Row) bool
	entry   func(key, entry []byte) bool
	element func(element []byte) bool
}

// within is where a step ended in the middle of a map that is too long for one.
type within struct {
	active bool
	hash   uint32
	words  [2]uint64
	key    []byte // of the row
	at     int    // which timed collection
	from   []byte // user key
}

// scan is what is known of a stretch of a map, or of a list.
type scan struct {
	seen int
	most int    // entries to look at, or elements there are
	last []byte // the user key looked at last, when there are more
	more bool
	over int // elements at the start of a list that have expired
}

// RemovalCost is what removing something counts, in places looked at.
const RemovalCost = 4

// mostScanned is how many entries are looked at before those that have expired are removed.
const mostScanned = 256

// NewSweep returns a Sweep of the states of an operator, which have been laid out.
func NewSweep(of *States) *Sweep {
	s := &Sweep{states: of}
	s.visit, s.entry, s.element = s.visitRow, s.scanEntry, s.scanElement
	return s
}

// Step looks at about budget rows, entries and elements in all, removing counting more; only a
// list is always handled whole. It returns what it did in the same measure, and whether the
// pass is over. No cursor or Row of the table is valid afterwards.
func (s *Sweep) Step(
	table backend.Table, now int64, budget int,
) (spent int, done bool, err error) {
	sweeper, ok := table.(backend.Sweeper)
	if !ok {
		return 0, true, nil
	}
	s.table, s.now, s.left, s.err = table, now, budget, nil
	if s.within.active {
		s.resume()
	}
	if s.left > 0 && s.err == nil && !s.within.active {
		places := s.left
		s.cursor, done = sweeper.Sweep(s.cursor, places, s.visit)
		if !done && !s.within.active && s.left > 0 {
			s.left = 0 // Places without a row were looked at, too.
		}
		done = done && !s.within.active
	}
	s.table = nil
	if s.err != nil {
		return budget - s.left, false, fmt.Errorf("state: sweep: %w", s.err)
	}
	return budget - s.left, done, nil
}

// visitRow handles a row and reports whether there is budget left.
func (s *Sweep) visitRow(row backend.Row) bool {
	s.left--
	s.row(row, 0, nil)
	return s.left > 0 && s.err == nil && !s.within.active
}

// resume goes on in the map in which the last step ended, if its row still exists.
func (s *Sweep) resume() {
	w := &s.within
	w.active = false
	// Rows are found by the top half of their hash, which is all that runs hold of it.
	s.hash[0], s.bytes[0] = uint64(w.hash)<<32, w.key
	keys := backend.Keys{Hashes: s.hash[:], Bytes: s.bytes[:]}
	if w.key == nil {
		keys = backend.Keys{Hashes: s.hash[:], Words: w.words[:s.states.keyWords]}
	}
	if _, s.err = s.table.Resolve(keys, backend.Find, s.probe[:], nil); s.err != nil {
		return
	}
	if s.left--; s.probe[0] != 0 {
		s.row(s.probe[0], w.at, w.from)
	}
}

// row removes what has expired of a row: of its timed collections from one on, in a map from a
// user key on, and of its values; and the row when nothing is left.
func (s *Sweep) row(row backend.Row, at int, from []byte) {
	for ; at < len(s.states.aging) && s.err == nil; at++ {
		c := &s.states.aging[at]
		switch {
		case s.table.Elements(row, c.number) == 0:
		case c.list:
			s.list(row, c)
		case !s.entries(row, c, from):
			s.stop(row, at)
			return
		}
		from = nil
	}
	if s.err == nil {
		s.values(row)
	}
}

// stop remembers where in a map the step ended: s.scan.last was looked at.
func (s *Sweep) stop(row backend.Row, at int) {
	if s.err != nil {
		return
	}
	w := &s.within
	w.active, w.at, w.hash = true, at, s.table.Hash(row)
	// Nothing lies between a key and the key with a zero behind it.
	w.from = append(append(w.from[:0], s.scan.last...), 0)
	words, bytes := s.table.Key(row)
	if s.states.keyWords > 0 {
		w.key = nil
		copy(w.words[:], words)
		return
	}
	w.key = append(w.key[:0], bytes...)
	if w.key == nil {
		w.key = []byte{}
	}
}

// values clears the values that have expired. A row of which nothing is left goes instead.
func (s *Sweep) values(row backend.Row) {
	d, fixed := s.states, s.table.Fixed(row)
	present := *(*uint64)(fixed)
	over := uint64(0)
	for i := range d.timed {
		p := &d.timed[i]
		if present&p.Present != 0 && p.Expired(p.LastUse(fixed), s.now) {
			over |= p.Present
		}
	}
	if present == over && !d.holdsElements(fixed) {
		s.left -= RemovalCost
		s.err = s.table.Delete(row)
		return
	}
	if over == 0 {
		return
	}
	s.left -= RemovalCost
	if s.err = s.table.Change(row); s.err != nil {
		return
	}
	for i := range d.timed {
		if d.timed[i].Present&over != 0 {
			s.clear(row, &d.timed[i])
		}
	}
	*(*uint64)(s.table.Fixed(row)) &^= over
}

// clear makes a part zeros, as that of a state that was never set.
func (s *Sweep) clear(row backend.Row, p *timedPart) {
	for i := range p.slots {
		if err := s.table.SetValue(row, p.slot+i, nil); err != nil && s.err == nil {
			s.err = err
		}
	}
	part := unsafe.Add(s.table.Fixed(row), p.Offset)
	clear(unsafe.Slice((*byte)(part), p.bytes)) // The slots are zeros already.
}

// holdsElements reports whether a map or list of a row holds something.
func (d *States) holdsElements(fixed unsafe.Pointer) bool {
	for i := range d.collections {
		if *Word(fixed, uintptr(d.collections[i].Slot)) != 0 {
			return true
		}
	}
	return false
}

// entries removes the entries of a map that have expired, and reports whether it came to the
// end of the map.
func (s *Sweep) entries(row backend.Row, c *timedCollection, from []byte) bool {
	s.expiry = c.Expiry
	for {
		s.keys, s.ends = s.keys[:0], s.ends[:0]
		s.scan = scan{most: max(1, min(s.left, mostScanned)), last: s.scan.last[:0]}
		s.table.MapScan(row, c.number, from, nil, s.entry)
		s.left -= s.scan.seen + RemovalCost*len(s.ends)
		start := 0
		for _, end := range s.ends {
			if _, err := s.table.MapDelete(row, c.number, s.keys[start:end]); err != nil {
				s.err = err
			}
			start = end
		}
		if s.err != nil || !s.scan.more {
			return s.err == nil
		}
		if s.left <= 0 {
			return false
		}
		s.within.from = append(append(s.within.from[:0], s.scan.last...), 0)
		from = s.within.from
	}
}

// scanEntry notes the entry when it has expired.
func (s *Sweep) scanEntry(key, entry []byte) bool {
	if len(entry) < TimeBytes {
		s.err = noTime("map entry", entry)
		return false
	}
	s.scan.seen++
	if s.expiry.Expired(int64(binary.LittleEndian.Uint64(entry)), s.now) {
		s.keys = append(s.keys, key...)
		s.ends = append(s.ends, len(s.keys))
	}
	if s.scan.seen < s.scan.most {
		return true
	}
	s.scan.last, s.scan.more = append(s.scan.last[:0], key...), true
	return false
}

// list removes the elements that have expired from the start of a list, as reading it does:
// when they are at least half, by writing the others anew. They lie at the start since elements
// are appended, and used, in the order of time.
func (s *Sweep) list(row backend.Row, c *timedCollection) {
	s.expiry, s.scan = c.Expiry, scan{most: s.table.Elements(row, c.number)}
	s.keys, s.ends = s.keys[:0], s.ends[:0]
	s.table.ListScan(row, c.number, s.element)
	s.left -= s.scan.seen
	if s.err != nil || 2*s.scan.over < s.scan.most {
		return
	}
	s.left -= RemovalCost * (1 + len(s.ends))
	s.err = s.table.Clear(row, c.number)
	start := 0
	for _, end := range s.ends {
		if s.err == nil {
			s.err = s.table.ListAppend(row, c.number, s.keys[start:end])
		}
		start = end
	}
}

// scanElement counts the elements before the first that lives, and keeps it and those behind
// when they have to be written anew.
func (s *Sweep) scanElement(element []byte) bool {
	if len(element) < TimeBytes {
		s.err = noTime("list element", element)
		return false
	}
	s.scan.seen++
	lastUse := int64(binary.LittleEndian.Uint64(element))
	if len(s.ends) == 0 && s.expiry.Expired(lastUse, s.now) {
		s.scan.over++
		return true
	}
	if 2*s.scan.over < s.scan.most {
		return false
	}
	s.keys = append(s.keys, element...)
	s.ends = append(s.ends, len(s.keys))
	return true
}

func noTime(what string, b []byte) error {
	return fault.Internal(fmt.Errorf("%s of %d bytes, want its time of last use", what, len(b)))
}
