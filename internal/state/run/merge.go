package run

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Source is one run of a list and the slice of it that counts.
type Source struct {
	Run    *Reader
	Bounds types.HashRange
}

// Merged streams the rows that a list of runs amounts to. It is a backend.Entries that yields no
// deleted entry, unless asked to. Close it when it is not read to its end; afterwards it is over.
type Merged struct {
	heap    []candidate // smallest key first; of equal keys the newest first
	all     []*cursor
	cover   cover
	options mergeOptions
	// taken says that the entry of heap[0] was returned by the last Next. Its bytes must stay
	// until the next call, so its cursor moves only then.
	taken bool
	err   error
}

var _ backend.Entries = (*Merged)(nil)

// mergeOptions say what a merge leaves out.
type mergeOptions struct {
	bounds types.HashRange
	// keepDeletes yields deletes too, for a run that will have older ones beneath it.
	keepDeletes bool
	// isOver tells whether a row has outlived its use; it is as good as deleted. May be nil.
	isOver func(value []byte) bool
}

// cursor is a place in one source.
type cursor struct {
	points *pointIterator
	age    int    // place of the source in the list: larger is newer
	name   string // of the run, for errors
}

// candidate is a cursor in the heap with the first 8 bytes of its key, zero padded, so that most
// comparisons touch nothing else.
type candidate struct {
	head   uint64
	cursor *cursor
}

// Merge starts a merge of runs, oldest first, cut to bounds. Of every key the newest version
// counts; a delete, or a range delete of a newer run, removes it. A source counts, with its points
// and its range deletes, only inside its own bounds. Errors of reading show in Err.
//
// The readers must stay open until the merge is over. The caller may reuse the slice.
func Merge(runs []Source, bounds types.HashRange) *Merged {
	return merge(runs, mergeOptions{bounds: bounds})
}

func merge(runs []Source, options mergeOptions) *Merged {
	m := &Merged{
		heap: make([]candidate, 0, len(runs)), cover: newCover(runs, options.bounds),
		options: options,
	}
	for age, source := range runs {
		clip, ok := intersect(source.Bounds, options.bounds)
		if !ok {
			continue
		}
		points, err := source.Run.table.points(clip)
		if err != nil {
			return m.fail(source.Run.name, err)
		}
		m.all = append(m.all, &cursor{points: points, age: age, name: source.Run.name})
		ok, err = points.seek(clip.Lo)
		if err != nil {
			return m.fail(source.Run.name, err)
		}
		if ok {
			m.heap = append(m.heap, candidate{head(points.key), m.all[len(m.all)-1]})
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sift(i)
	}
	return m
}

// Next returns the next row, or false at the end or on error.
func (m *Merged) Next() (backend.Entry, bool) {
	if m.taken {
		m.taken = false
		if !m.advance(0) {
			return backend.Entry{}, false
		}
	}
	for len(m.heap) > 0 {
		if !m.passOlder() {
			return backend.Entry{}, false
		}
		top := m.heap[0]
		points := top.cursor.points
		hash := uint32(top.head >> 32)
		if !m.cover.covers(hash, top.cursor.age) {
			deleted := points.deleted ||
				m.options.isOver != nil && m.options.isOver(points.value)
			if !deleted || m.options.keepDeletes {
				m.taken = true
				return entryOf(hash, points, deleted), true
			}
		}
		if !m.advance(0) {
			return backend.Entry{}, false
		}
	}
	_ = m.Close() // Keeps its error in m.err.
	return backend.Entry{}, false
}

func entryOf(hash uint32, points *pointIterator, deleted bool) backend.Entry {
	e := backend.Entry{Hash: hash, Key: points.key[prefixBytes:], Deleted: deleted}
	if !deleted {
		e.Value = points.value
	}
	return e
}

// passOlder moves every cursor but the first beyond the key of the first, whose version is the
// newest. Candidates with that key are children of one another up to the root.
func (m *Merged) passOlder() bool {
	for child := 1; child <= 2; {
		if child >= len(m.heap) || !m.sameKey(child) {
			child++
			continue
		}
		if !m.advance(child) {
			return false
		}
	}
	return true
}

func (m *Merged) sameKey(i int) bool {
	return m.heap[i].head == m.heap[0].head &&
		bytes.Equal(m.heap[i].cursor.points.key, m.heap[0].cursor.points.key)
}

// advance moves the cursor at place i of the heap on. It returns false on error.
func (m *Merged) advance(i int) bool {
	c := &m.heap[i]
	ok, err := c.cursor.points.next()
	if err != nil {
		m.fail(c.cursor.name, err)
		return false
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[i] = m.heap[last]
		m.heap = m.heap[:last]
		if i < last {
			// What comes from the end of the heap is below another parent only when i is not an
			// ancestor of it; i is 0, 1 or 2, and a key smaller than that of its new parent 0
			// cannot be in the heap. So it never has to move up.
			m.sift(i)
		}
		return true
	}
	next := head(c.cursor.points.key)
	if next < c.head {
		m.fail(c.cursor.name,
			fmt.Errorf("%w: key %x is out of order", ErrCorrupt, c.cursor.points.key))
		return false
	}
	c.head = next
	m.sift(i)
	return true
}

// sift moves the candidate at i down to where it belongs.
func (m *Merged) sift(i int) {
	h := m.heap
	moving := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if right := child + 1; right < len(h) && before(h[right], h[child]) {
			child = right
		}
		if !before(h[child], moving) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = moving
}

func before(a, b candidate) bool {
	if a.head != b.head {
		return a.head < b.head
	}
	if c := bytes.Compare(a.cursor.points.key, b.cursor.points.key); c != 0 {
		return c < 0
	}
	return a.cursor.age > b.cursor.age
}

// head returns the first 8 bytes of a key, of which 4 are the hash, zero padded.
func head(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var padded [8]byte
	copy(padded[:], key)
	return binary.BigEndian.Uint64(padded[:])
}

// Err returns what ended the merge early, nil at its end.
func (m *Merged) Err() error { return m.err }

func (m *Merged) fail(name string, err error) *Merged {
	if name != "" {
		err = fmt.Errorf("read %s: %w", name, err)
	}
	m.err = fmt.Errorf("run: merge: %w", err)
	_ = m.Close()
	return m
}

// Close frees what the merge holds; the readers stay open. Idempotent.
func (m *Merged) Close() error {
	m.heap, m.taken = nil, false
	var errs []error
	for _, c := range m.all {
		errs = append(errs, c.points.close())
	}
	m.all = nil
	err := errors.Join(errs...)
	if m.err == nil && err != nil {
		m.err = fmt.Errorf("run: close merge: %w", err)
	}
	return err
}
