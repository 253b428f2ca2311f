package ordered

import (
	"encoding/binary"

	"github.com/leat-io/leat/state/backend"
)

// changes are what happened in one version: which blocks changed, what was deleted. A later
// version does not change them, so that an image may read them on another goroutine.
type changes struct {
	version uint16
	dirty   [][]ref
	deletes [][]byte // records: hash 4, length 4, entry key
	count   int      // records
	size    int64    // of entry keys
	bytes   int64    // allocated
}

const (
	firstDirty   = 16
	mostDirty    = 4 << 10
	firstDeletes = 256
	mostDeletes  = 64 << 10
	deleteHeader = 8
)

// current returns the changes of the current version.
func (s *Store) current() *changes {
	if n := len(s.changes); n > 0 && s.changes[n-1].version == s.versions.Current {
		return s.changes[n-1]
	}
	c := &changes{version: s.versions.Current}
	s.changes = append(s.changes, c)
	return c
}

// save copies a block to the image before its first change.
func (s *Store) save(r ref, nd *node) {
	if s.image != nil && nd.copied != s.versions.Image {
		s.push(r, nd)
	}
}

// touch prepares the change of elements in a block.
func (s *Store) touch(r ref, nd *node) {
	if s.image != nil && nd.copied != s.versions.Image {
		s.push(r, nd)
	}
	if nd.newest != s.versions.Current {
		s.mark(r, nd)
	}
}

// mark lists a block as changed in this version.
func (s *Store) mark(r ref, nd *node) {
	nd.newest = s.now()
	if s.restoring {
		return
	}
	c := s.current()
	n := len(c.dirty)
	if n == 0 || len(c.dirty[n-1]) == cap(c.dirty[n-1]) {
		size := firstDirty
		if n > 0 {
			size = min(2*cap(c.dirty[n-1]), mostDirty)
		}
		c.dirty = append(c.dirty, make([]ref, 0, size))
		c.bytes += int64(size) * 4
		s.account(int64(size) * 4)
		n++
	}
	c.dirty[n-1] = append(c.dirty[n-1], r)
}

// deleted remembers that an entry of an owner has gone which some snapshot may hold.
func (s *Store) deleted(owner *node, suffix []byte) {
	c := s.current()
	key := s.ownerKey(owner)
	size := deleteHeader + 4 + len(key) + len(suffix)
	n := len(c.deletes)
	if n == 0 || cap(c.deletes[n-1])-len(c.deletes[n-1]) < size {
		grown := firstDeletes
		if n > 0 {
			grown = min(2*cap(c.deletes[n-1]), mostDeletes)
		}
		grown = max(grown, size)
		c.deletes = append(c.deletes, make([]byte, 0, grown))
		c.bytes += int64(grown)
		s.account(int64(grown))
		n++
	}
	to := c.deletes[n-1]
	start := len(to)
	to = binary.LittleEndian.AppendUint32(to, owner.a)
	to = append(to, 0, 0, 0, 0)
	to = backend.AppendEntryKey(to, s.keyWords, key, suffix)
	length := len(to) - start - deleteHeader
	binary.LittleEndian.PutUint32(to[start+4:], uint32(length))
	c.deletes[n-1] = to
	c.count++
	c.size += int64(length)
}

// Confirmed forgets what confirmed versions changed.
func (s *Store) Confirmed() {
	n := 0
	for n < len(s.changes) && s.changes[n].version <= s.versions.Confirmed {
		s.account(-s.changes[n].bytes)
		n++
	}
	s.changes = append(s.changes[:0:0], s.changes[n:]...)
}

// Renumber replaces all versions.
func (s *Store) Renumber(mapped func(uint16) uint16) {
	for number := range s.pages {
		s.eachContent(number, func(_ ref, nd *node) {
			nd.copied, nd.newest = 0, mapped(nd.newest)
			if nd.isList() {
				return
			}
			slots := nd.slots()
			for i := range slots {
				v := slots[i].version
				slots[i].version = mapped(v&versionMask) | v&isNew
			}
		})
	}
	for _, c := range s.changes {
		c.version = mapped(c.version)
	}
}

// eachContent calls f for the blocks with elements of a page.
func (s *Store) eachContent(number int, f func(r ref, nd *node)) {
	p := &s.pages[number]
	if p.used == 0 {
		return
	}
	step := p.size
	if p.class != wholePage {
		step = int(sizes[p.class])
	}
	for i := range int(p.tail) {
		r := ref(number<<offsetBits) + ref(i*step/granule)
		if nd := s.node(r); nd.hasElements() {
			f(r, nd)
		}
	}
}
