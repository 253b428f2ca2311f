package ordered

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// A list is a chain of blocks. Its slot names the first block in the lower half and the last
// one in the upper half, so that an append looks at the last block only. Of a block that is
// not the first, a is the head, b the next block, c and d the number, and its listTail follows.
// The first one has an owner as maps do, and listHead behind it. Elements follow, each led by
// its length, as in a run; heap and garbage together are the number of bytes of all. n is how
// many were appended to this block. flags is isNew until the block is in an image.
type listHead struct {
	next   ref
	_      uint32
	number uint64 // of this block
	listTail
}

// listTail counts elements. That of the last block counts for the list.
type listTail struct {
	before uint64 // elements of the list but those that n of this block counts
}

const (
	listHeadBytes = 24
	listTailAt    = 32
	listAt        = 40 // elements of a block that is not the first
)

func listSlot(head, tail ref) uint64 { return uint64(head) | uint64(tail)<<32 }

func firstOf(slot uint64) ref { return ref(slot) }
func lastOf(slot uint64) ref  { return ref(slot >> 32) }

func (nd *node) head() *listHead { return (*listHead)(nd.at(nd.ownerEnd())) }

func (nd *node) tail() *listTail {
	if nd.kind == kindHead {
		return &nd.head().listTail
	}
	return (*listTail)(nd.at(listTailAt))
}

// length is the number of elements of the list whose last block this is.
func (nd *node) length() uint64 { return nd.tail().before + uint64(nd.n) }

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

// Extend adds an element at the end of a list when the last block has room for it.
func (s *Store) Extend(slot *uint64, element []byte) bool {
	tail := lastOf(*slot)
	if tail == 0 {
		return false
	}
	nd := s.node(tail)
	length := len(element)
	lead := (bits.Len(uint(length)|1) + 6) / 7
	at := int(nd.first) + nd.used()
	if nd.class == wholePage || at+lead+length > nd.size() {
		return false
	}
	s.wanted = true
	s.touch(tail, nd)
	nd.appendElement(at, lead, element)
	return true
}

// appendElement writes an element at an offset, behind the others.
func (nd *node) appendElement(at, lead int, element []byte) {
	to := nd.raw(at, lead+len(element))
	if lead == 1 {
		to[0] = byte(len(element))
	} else {
		binary.PutUvarint(to, uint64(len(element)))
	}
	copy(to[lead:], element)
	nd.setUsed(at + len(to) - int(nd.first))
	nd.n++
}

// Append adds an element at the end of a list.
func (s *Store) Append(slot *uint64, o Owner, element []byte) error {
	if s.Extend(slot, element) {
		return nil
	}
	if err := checkSizes(nil, element); err != nil {
		return err
	}
	s.wanted = true
	lead := (bits.Len(uint(len(element))|1) + 6) / 7
	size := lead + len(element)
	var nd *node
	var err error
	if *slot == 0 {
		nd, err = s.newHead(slot, o, 0, size)
	} else {
		last, grown := s.node(lastOf(*slot)), s.limits.Node
		if last.class != wholePage {
			grown = min(grown, last.size()*3/2)
		}
		nd, err = s.newTail(slot, last.number()+1, size, grown)
	}
	if err != nil {
		return err
	}
	nd.appendElement(int(nd.first), lead, element)
	return nil
}

// newHead makes a list with an empty block for size bytes and as many again.
func (s *Store) newHead(slot *uint64, o Owner, number uint64, size int) (*node, error) {
	first := keyAt + s.ownerRoom(o.Key) + listHeadBytes
	r, nd, err := s.newListBlock(kindHead, first+size, first+2*size)
	if err != nil {
		return nil, err
	}
	if err := s.setOwner(nd, o); err != nil {
		s.free(r)
		return nil, err
	}
	nd.first = uint16(first)
	*nd.head() = listHead{number: number}
	*slot = listSlot(r, r)
	return nd, nil
}

// newTail adds an empty block for size bytes to a list.
func (s *Store) newTail(slot *uint64, number uint64, size, grown int) (*node, error) {
	r, nd, err := s.newListBlock(kindList, listAt+size, grown)
	if err != nil {
		return nil, err
	}
	head, last := firstOf(*slot), s.node(lastOf(*slot))
	nd.a, nd.first = uint32(head), listAt
	*(*uint64)(unsafe.Pointer(&nd.c)) = number
	nd.tail().before = last.length()
	if last.kind == kindHead {
		last.head().next = r
	} else {
		last.b = uint32(r)
	}
	*slot = listSlot(head, r)
	return nd, nil
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
	for r := firstOf(slot); r != 0; {
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
