package ordered

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
)

// Kinds of blocks.
const (
	kindFree    = iota
	kindBlock   // a small map
	kindLeaf    // of a tree
	kindInner   // of a tree
	kindTree    // root of a tree: owner, size, first node
	kindList    // of a list, not the first
	kindHead    // first block of a list
	kindOutside // bytes
)

// node leads every block but bytes stored outside. a to d depend on the kind:
//
//	block  a hash, b length of the owner's key, which follows at keyAt, then slots
//	leaf   a tree, b next leaf, c leaf before, low half of d length of the prefix, upper half
//	       where the last insert went; the prefix at prefixAt, then slots
//	inner  a first child, d as in a leaf
//	tree, head, list: see there
type node struct {
	kind, class uint8
	n           uint16 // slots in use
	heap        uint16 // bytes in use at the end, garbage included
	garbage     uint16
	copied      uint16 // the version in whose image it is, or came after
	newest      uint16 // highest version inside
	flags       uint16
	first       uint16 // offset of the slots, or of a list's elements
	a, b        uint32
	c, d        uint32
}

const (
	keyAt     = 24
	prefixAt  = 32
	slotBytes = 16
	headBytes = 8 // of a key, in a slot
	longKey   = 1<<16 - 1
	outside   = 1<<16 - 1
	farBytes  = 8 // ref and length of what lies outside

	isNew       = 1 << 15 // flag of a version: in no image
	versionMask = isNew - 1
)

// slot is an entry of a node. Behind it belong, in the heap of the node, the rest of the key,
// which is what head does not hold, and the value.
type slot struct {
	head    uint64 // first bytes of the key without the prefix, as a big-endian number
	off     uint16 // from the end of the node back to what belongs to it
	klen    uint16 // of the key without the prefix; longKey: all of it lies outside
	version uint16 // and isNew; in an inner node the lower half of the child
	vlen    uint16 // outside: the value does; in an inner node the upper half of the child
}

func (nd *node) freeLink() uint32 { return *(*uint32)(unsafe.Pointer(&nd.heap)) }

func (nd *node) setFreeLink(r uint32) { *(*uint32)(unsafe.Pointer(&nd.heap)) = r }

func (nd *node) hasElements() bool {
	return nd.kind == kindBlock || nd.kind == kindLeaf || nd.isList()
}

func (nd *node) isList() bool { return nd.kind == kindList || nd.kind == kindHead }

func (nd *node) hasPrefix() bool { return nd.kind == kindLeaf || nd.kind == kindInner }

func (nd *node) size() int { return int(sizes[nd.class]) }

func (nd *node) at(offset int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nd), offset) }

// raw is n bytes from an offset; nil for none, which may be wanted at the very end.
func (nd *node) raw(offset, n int) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(nd.at(offset)), n)
}

func (nd *node) slots() []slot {
	return unsafe.Slice((*slot)(nd.at(int(nd.first))), int(nd.n))
}

func (nd *node) slot(i int) *slot { return (*slot)(nd.at(int(nd.first) + i*slotBytes)) }

func (s *slot) child() ref { return ref(s.version) | ref(s.vlen)<<16 }

func (s *slot) setChild(r ref) { s.version, s.vlen = uint16(r), uint16(r>>16) }

// rest is the number of bytes of the key in the heap.
func (s *slot) rest() int {
	if s.klen == longKey {
		return farBytes
	}
	return max(0, int(s.klen)-headBytes)
}

// held is the number of bytes of the value in the heap.
func (s *slot) held(kind uint8) int {
	switch {
	case kind == kindInner:
		return 0
	case s.vlen == outside:
		return farBytes
	}
	return int(s.vlen)
}

// heapOf is what belongs to slot i: the rest of the key, the value.
func (nd *node) heapOf(sl *slot) (rest, value []byte) {
	r := sl.rest()
	all := nd.body(sl)
	return all[:r:r], all[r:]
}

// body is heapOf in one piece.
func (nd *node) body(sl *slot) []byte {
	return nd.raw(nd.size()-int(sl.off), sl.rest()+sl.held(nd.kind))
}

// prefix is what all keys of the node begin with.
func (nd *node) prefix() []byte {
	if !nd.hasPrefix() {
		return nil
	}
	return nd.raw(prefixAt, int(nd.d&0xffff))
}

func (nd *node) setPrefix(prefix []byte) {
	nd.d = nd.d&^0xffff | uint32(len(prefix))
	nd.first = uint16(prefixAt + (len(prefix)+7)&^7)
	copy(nd.raw(prefixAt, len(prefix)), prefix)
}

// lastInsert is the slot of the last insert into a node of a tree.
func (nd *node) lastInsert() int { return int(nd.d >> 16) }

func (nd *node) setLastInsert(pos int) { nd.d = nd.d&0xffff | uint32(pos)<<16 }

// room is what is left between slots and heap.
func (nd *node) room() int {
	return nd.size() - int(nd.first) - int(nd.n)*slotBytes - int(nd.heap)
}

// live is what slots and heap need.
func (nd *node) live() int { return int(nd.n)*slotBytes + int(nd.heap) - int(nd.garbage) }

// far reads ref and length of what lies outside.
func far(at []byte) (ref, int) {
	return ref(binary.LittleEndian.Uint32(at)), int(binary.LittleEndian.Uint32(at[4:]))
}

func appendFar(dst []byte, r ref, length int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r))
	return binary.LittleEndian.AppendUint32(dst, uint32(length))
}

// headOf is the head of a key.
func headOf(key []byte) uint64 {
	if len(key) >= headBytes {
		return binary.BigEndian.Uint64(key)
	}
	head := uint64(0)
	for i, b := range key {
		head |= uint64(b) << (56 - 8*i)
	}
	return head
}

// value returns the value of a slot.
func (s *Store) value(nd *node, sl *slot) []byte {
	_, value := nd.heapOf(sl)
	if sl.vlen != outside {
		return value[:len(value):len(value)]
	}
	r, length := far(value)
	return s.outside(r, length)[:length:length]
}

// longKeyOf returns a key that lies outside.
func (s *Store) longKeyOf(nd *node, sl *slot) []byte {
	rest, _ := nd.heapOf(sl)
	r, length := far(rest)
	return s.outside(r, length)
}

// appendKey appends the key of a slot.
func (s *Store) appendKey(dst []byte, nd *node, sl *slot) []byte {
	if sl.klen == longKey {
		return append(dst, s.longKeyOf(nd, sl)...)
	}
	dst = append(dst, nd.prefix()...)
	if sl.klen < headBytes {
		var head [headBytes]byte
		binary.BigEndian.PutUint64(head[:], sl.head)
		return append(dst, head[:sl.klen]...)
	}
	dst = binary.BigEndian.AppendUint64(dst, sl.head)
	if sl.klen > headBytes {
		rest, _ := nd.heapOf(sl)
		dst = append(dst, rest...)
	}
	return dst
}

// find returns the first slot whose key is not below key, and whether it is key.
func (s *Store) find(nd *node, key []byte) (pos int, found bool) {
	cut := 0
	if nd.hasPrefix() {
		if cut = int(nd.d & 0xffff); cut > 0 {
			prefix := nd.raw(prefixAt, cut)
			if c := bytes.Compare(key[:min(cut, len(key))], prefix); c < 0 {
				return 0, false
			} else if c > 0 {
				return int(nd.n), false
			}
		}
	}
	suffix := key[cut:]
	head, slots := headOf(suffix), nd.slots()
	lo, hi := 0, len(slots)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		at := slots[mid].head
		if at < head || at == head && s.compareTie(nd, &slots[mid], suffix, cut) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(slots) && slots[lo].head == head &&
		s.compareTie(nd, &slots[lo], suffix, cut) == 0
}

// compareTie compares the key of a slot with one of the same head, both without the prefix.
func (s *Store) compareTie(nd *node, sl *slot, suffix []byte, cut int) int {
	if sl.klen <= headBytes || len(suffix) <= headBytes && sl.klen != longKey {
		return int(sl.klen) - len(suffix)
	}
	var rest []byte
	if sl.klen == longKey {
		full := s.longKeyOf(nd, sl)
		if len(full)-cut <= headBytes || len(suffix) <= headBytes {
			return len(full) - cut - len(suffix)
		}
		rest = full[cut+headBytes:]
	} else {
		rest, _ = nd.heapOf(sl)
	}
	return bytes.Compare(rest, suffix[headBytes:])
}

// insertSlot makes room for slot i, for which there must be room, with n bytes in the heap.
func (nd *node) insertSlot(i, n int) *slot {
	if invariant.Enabled {
		invariant.Check(nd.room() >= slotBytes+n, "a node of %d bytes has %d left, not %d",
			nd.size(), nd.room(), slotBytes+n)
	}
	slots := unsafe.Slice((*slot)(nd.at(int(nd.first))), int(nd.n)+1)
	copy(slots[i+1:], slots[i:])
	nd.n++
	nd.heap += uint16(n)
	slots[i] = slot{off: nd.heap}
	return &slots[i]
}

// removeSlot takes slot i out.
func (nd *node) removeSlot(i int) {
	slots := nd.slots()
	n := uint16(slots[i].rest() + slots[i].held(nd.kind))
	if slots[i].off == nd.heap {
		nd.heap -= n
	} else {
		nd.garbage += n
	}
	copy(slots[i:], slots[i+1:])
	nd.n--
	if nd.n == 0 {
		nd.heap, nd.garbage = 0, 0
	}
}

// move appends the slots [from, to) of src to dst, whose prefix all their keys have, with
// what belongs to them; dst has room. What lies outside is handed on, src must be forgotten.
func (s *Store) move(dst, src *node, from, to int) {
	cut, had := int(dst.d&0xffff), int(src.d&0xffff)
	if !dst.hasPrefix() {
		cut = 0
	}
	if !src.hasPrefix() {
		had = 0
	}
	for i := from; i < to; i++ {
		old := src.slot(i)
		if cut == had {
			body := src.body(old)
			sl := dst.insertSlot(int(dst.n), len(body))
			off := sl.off
			*sl = *old
			sl.off = off
			copy(dst.body(sl), body)
			continue
		}
		rest, value := src.heapOf(old)
		s.temp = s.appendKey(s.temp[:0], src, old)
		suffix := s.temp[cut:]
		klen := uint16(longKey)
		if old.klen != longKey {
			klen = uint16(len(suffix))
			rest = suffix[min(len(suffix), headBytes):]
		}
		sl := dst.insertSlot(int(dst.n), len(rest)+len(value))
		sl.head, sl.klen, sl.version, sl.vlen = headOf(suffix), klen, old.version, old.vlen
		at := dst.body(sl)
		copy(at[copy(at, rest):], value)
	}
}

// moved is the number of bytes that move needs for slots whose keys lose cut bytes.
func (nd *node) moved(from, to, cut int) int {
	had, total := 0, 0
	if nd.hasPrefix() {
		had = int(nd.d & 0xffff)
	}
	for i := from; i < to; i++ {
		sl := nd.slot(i)
		total += slotBytes + sl.held(nd.kind)
		if sl.klen == longKey {
			total += farBytes
		} else {
			total += max(0, int(sl.klen)+had-cut-headBytes)
		}
	}
	return total
}

// rebuild gives a node another prefix, which all its keys have, and drops its garbage.
func (s *Store) rebuild(nd *node, prefix []byte) {
	s.scratch.keep(nd)
	src := s.scratch.node()
	n := int(nd.n)
	nd.n, nd.heap, nd.garbage = 0, 0, 0
	if nd.hasPrefix() {
		nd.setPrefix(prefix)
	}
	s.move(nd, src, 0, n)
}

// scratch holds a copy of a node.
type scratch [lastSize / 8]uint64

func (c *scratch) node() *node { return (*node)(unsafe.Pointer(c)) }

func (c *scratch) keep(nd *node) {
	copy(c.node().raw(0, nd.size()), nd.raw(0, nd.size()))
}

// commonPrefix is the number of bytes at the start of both.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
