package ordered

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// A list is a chain of blocks. Of a block that is not the first, a is the head, b the next
// block, c and d the number. The first one has an owner as maps do, and listHead behind it.
// Elements follow, each led by its length, as in a run; heap and garbage together are the
// number of bytes of all. flags is isNew until the block is in an image.
type listHead struct {
	tail, next ref
	count      uint64
	number     uint64 // of this block
}

const (
	listHeadBytes = 24
	listAt        = 32 // elements of a block that is not the first
)

func (nd *node) head() *listHead { return (*listHead)(nd.at(nd.ownerEnd())) }

func (nd *node) used() int { return int(nd.freeLink()) }

func (nd *node) setUsed(n int) { nd.setFreeLink(uint32(n)) }

// elements are the elements of a block in serial form.
func (nd *node) elements() []byte { return nd.raw(int(nd.first), nd.used()) }

func (nd *node) number() uint64 {
	if nd.kind == kindHead {
		return nd.head().number
	}
	return *(*uint64)(unsafe.Pointer(&nd.c))
}

func (nd *node) nextBlock() ref {
	if nd.kind == kindHead {
		return nd.head().next
	}
	return ref(nd.b)
}

// takes reports whether a block has room for size more bytes of elements.
func (nd *node) takes(size int) bool {
	return nd.class != wholePage && int(nd.first)+nd.used()+size <= nd.size()
}

// Append adds an element at the end of a list.
func (s *Store) Append(slot *uint64, o Owner, element []byte) error {
	if err := checkSizes(nil, element); err != nil {
		return err
	}
	s.out, s.wanted = s.out[:0], true
	size := (bits.Len(uint(len(element))|1)+6)/7 + len(element)
	r, nd, err := s.tailFor(slot, o, size)
	if err != nil {
		return err
	}
	s.touch(r, nd)
	at := nd.raw(int(nd.first)+nd.used(), size)
	copy(at[binary.PutUvarint(at, uint64(len(element))):], element)
	nd.setUsed(nd.used() + size)
	s.node(ref(*slot)).head().count++
	return nil
}

// tailFor returns the block at the end of a list, with room for size more bytes.
func (s *Store) tailFor(slot *uint64, o Owner, size int) (ref, *node, error) {
	if *slot == 0 {
		return s.newHead(slot, o, 0, size)
	}
	tail := s.node(ref(*slot)).head().tail
	nd := s.node(tail)
	if nd.takes(size) {
		return tail, nd, nil
	}
	grown := s.limits.Node
	if nd.class != wholePage {
		grown = min(grown, nd.size()*3/2)
	}
	return s.newTail(ref(*slot), nd.number()+1, size, grown)
}

// newHead makes a list with an empty block for size bytes and as many again.
func (s *Store) newHead(slot *uint64, o Owner, number uint64, size int) (ref, *node, error) {
	first := keyAt + s.ownerRoom(o.Key) + listHeadBytes
	r, nd, err := s.newListBlock(kindHead, first+size, first+2*size)
	if err != nil {
		return 0, nil, err
	}
	if err := s.setOwner(nd, o); err != nil {
		s.free(r)
		return 0, nil, err
	}
	nd.first = uint16(first)
	*nd.head() = listHead{tail: r, number: number}
	*slot = uint64(r)
	return r, nd, nil
}

// newTail adds an empty block for size bytes to a list.
func (s *Store) newTail(head ref, number uint64, size, grown int) (ref, *node, error) {
	r, nd, err := s.newListBlock(kindList, listAt+size, grown)
	if err != nil {
		return 0, nil, err
	}
	nd.a, nd.first = uint32(head), listAt
	*(*uint64)(unsafe.Pointer(&nd.c)) = number
	h := s.node(head).head()
	if h.tail == head {
		h.next = r
	} else {
		s.node(h.tail).b = uint32(r)
	}
	h.tail = r
	return r, nd, nil
}

// newListBlock returns a block of need bytes, or up to grown unless that is more than a node.
func (s *Store) newListBlock(kind uint8, need, grown int) (ref, *node, error) {
	var r ref
	var nd *node
	var err error
	if need > s.limits.Node {
		if r, nd, err = s.allocWhole(need); err != nil {
			return 0, nil, err
		}
		*nd = node{}
		s.setUp(r, nd, kind, wholePage)
	} else {
		r, nd, err = s.newNode(kind, classFor(max(need, min(grown, s.limits.Node))))
		if err != nil {
			return 0, nil, err
		}
	}
	if !s.restoring {
		nd.flags = isNew
	}
	return r, nd, nil
}

// ScanList calls f for the elements of a list until f returns false.
func (s *Store) ScanList(slot uint64, f func(element []byte) bool) {
	for r := ref(slot); r != 0; {
		nd := s.node(r)
		for rest := nd.elements(); len(rest) > 0; {
			length, n := binary.Uvarint(rest)
			end := n + int(length)
			if !f(rest[n:end:end]) {
				return
			}
			rest = rest[end:]
		}
		r = nd.nextBlock()
	}
}

// clearList gives up a list.
func (s *Store) clearList(r ref, head *node) {
	for at := r; at != 0; {
		nd := s.node(at)
		next := nd.nextBlock()
		s.save(at, nd)
		if nd.flags&isNew == 0 {
			s.temp = backend.AppendBlockNumber(s.temp[:0], nd.number())
			s.deleted(head, s.temp)
		}
		if at != r {
			s.freeList(at, nd)
		}
		at = next
	}
	s.freeOwner(head)
	s.freeList(r, head)
}

// freeList frees a block of a list. The image does not copy large ones.
func (s *Store) freeList(r ref, nd *node) {
	if nd.class == wholePage {
		s.freeLater(r)
	} else {
		s.free(r)
	}
}
