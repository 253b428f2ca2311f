package ordered

import "unsafe"

// Get returns the value under a user key.
func (s *Store) Get(slot uint64, userKey []byte) ([]byte, bool) {
	if slot == 0 {
		return nil, false
	}
	s.wanted = true
	nd := s.node(ref(slot))
	if nd.kind == kindTree {
		_, nd = s.leafOf(nd, userKey)
	}
	pos, found := s.find(nd, userKey)
	if !found {
		return nil, false
	}
	return s.value(nd, nd.slot(pos)), true
}

// Put inserts or replaces a value, which may be one that Get returned.
func (s *Store) Put(slot *uint64, o Owner, userKey, value []byte) error {
	if err := checkSizes(userKey, value); err != nil {
		return err
	}
	s.out, s.wanted = s.out[:0], true
	if *slot == 0 {
		return s.first(slot, o, userKey, value)
	}
	r := ref(*slot)
	nd := s.node(r)
	if nd.kind == kindTree {
		return s.treePut(slot, userKey, value)
	}
	pos, found := s.find(nd, userKey)
	s.touch(r, nd)
	if found && s.overwrite(nd, pos, value) {
		return nil
	}
	e, err := s.encode(nd, userKey, value)
	if err != nil {
		return err
	}
	if found {
		e.version = s.now() | nd.slot(pos).version&isNew
		s.freeOutside(nd, nd.slot(pos))
		nd.removeSlot(pos)
	}
	need := slotBytes + e.bytes(0)
	if nd.room() < need {
		if nd, err = s.makeRoom(slot, nd, need); err != nil {
			return err
		}
		if nd == nil { // it is a tree now
			return s.treeInsert(slot, &e)
		}
	}
	s.insert(nd, pos, &e, 0)
	return nil
}

// first makes the block of a collection that was empty.
func (s *Store) first(slot *uint64, o Owner, userKey, value []byte) error {
	e, err := s.encode(nil, userKey, value)
	if err != nil {
		return err
	}
	start := keyAt + s.ownerRoom(o.Key)
	size := start + slotBytes + e.bytes(0)
	class := classFor(min(size, s.limits.Block))
	r, nd, err := s.newNode(kindBlock, class)
	if err != nil {
		return err
	}
	nd.first = uint16(start)
	if err := s.setOwner(nd, o); err != nil {
		s.free(r)
		return err
	}
	*slot = uint64(r)
	if size <= s.limits.Block {
		s.insert(nd, 0, &e, 0)
		return nil
	}
	if err := s.promote(slot, nd); err != nil {
		return err
	}
	return s.treeInsert(slot, &e)
}

// Delete removes a user key.
func (s *Store) Delete(slot *uint64, userKey []byte) (existed bool, err error) {
	if *slot == 0 {
		return false, nil
	}
	s.out, s.wanted = s.out[:0], true
	r := ref(*slot)
	nd := s.node(r)
	if nd.kind == kindTree {
		return s.treeDelete(slot, userKey)
	}
	pos, found := s.find(nd, userKey)
	if !found {
		return false, nil
	}
	s.touch(r, nd)
	s.drop(nd, nd, nd.slot(pos))
	nd.removeSlot(pos)
	if nd.n == 0 {
		s.freeOwner(nd)
		s.free(r)
		*slot = 0
		return true, nil
	}
	need := int(nd.first) + nd.live()
	if class := classFor(need); class+2 < nd.class {
		_, err = s.resize(slot, nd, class+1)
	}
	return true, err
}

// made is an entry on its way into a node.
type made struct {
	key     []byte
	keyRef  ref // when the key lies outside
	value   []byte
	version uint16
	far     ref // when the value lies outside
	length  int
	farKey  [farBytes]byte
	farVal  [farBytes]byte
}

// encode stores outside what must lie there, and saves a value that lies in the node which
// is about to change.
func (s *Store) encode(nd *node, userKey, value []byte) (e made, err error) {
	e = made{key: userKey, value: value, version: s.stamp(), length: len(value)}
	if len(userKey) > s.inline {
		if e.keyRef, err = s.storeOutside(userKey); err != nil {
			return e, err
		}
	}
	if len(value) > s.inline {
		if e.far, err = s.storeOutside(value); err != nil && e.keyRef != 0 {
			s.free(e.keyRef)
		}
		return e, err
	}
	if nd != nil && nd.holds(value) {
		s.saved = append(s.saved[:0], value...)
		e.value = s.saved
	}
	return e, nil
}

// discard frees what encode stored.
func (s *Store) discard(e *made) {
	if e.keyRef != 0 {
		s.free(e.keyRef)
	}
	if e.far != 0 {
		s.free(e.far)
	}
}

// holds reports whether bytes lie in the node.
func (nd *node) holds(bytes []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(bytes)))
	return len(bytes) > 0 && at-uintptr(unsafe.Pointer(nd)) < uintptr(nd.size())
}

// bytes is what the entry needs in the heap of a node whose prefix has cut bytes.
func (e *made) bytes(cut int) int {
	n := farBytes
	if e.keyRef == 0 {
		n = max(0, len(e.key)-cut-headBytes)
	}
	if e.far != 0 {
		return n + farBytes
	}
	return n + len(e.value)
}

// insert puts an entry into slot pos of a node that has room, and whose prefix has cut bytes.
func (s *Store) insert(nd *node, pos int, e *made, cut int) {
	suffix := e.key[cut:]
	sl := nd.insertSlot(pos, e.bytes(cut))
	sl.head, sl.klen = headOf(suffix), uint16(len(suffix))
	at := nd.raw(nd.size()-int(sl.off), e.bytes(cut))
	if e.keyRef != 0 {
		sl.klen = longKey
		appendFar(at[:0], e.keyRef, len(e.key))
		at = at[farBytes:]
	} else if len(suffix) > headBytes {
		at = at[copy(at, suffix[headBytes:]):]
	}
	sl.version = e.version
	if e.far != 0 {
		sl.vlen = outside
		appendFar(at[:0], e.far, e.length)
		return
	}
	sl.vlen = uint16(len(e.value))
	copy(at, e.value)
}

// overwrite replaces a value by one of the same size in place.
func (s *Store) overwrite(nd *node, pos int, value []byte) bool {
	sl := nd.slot(pos)
	if int(sl.vlen) != len(value) || sl.vlen == outside {
		return false
	}
	_, old := nd.heapOf(sl)
	copy(old, value)
	sl.version = s.now() | sl.version&isNew
	return true
}

// makeRoom gives a block need bytes between slots and heap: by dropping garbage, by a larger
// class, or by making a tree of it, when it returns nil.
func (s *Store) makeRoom(slot *uint64, nd *node, need int) (*node, error) {
	total := int(nd.first) + nd.live() + need
	if total <= nd.size() {
		s.rebuild(nd, nil)
		return nd, nil
	}
	if total <= s.limits.Block {
		return s.resize(slot, nd, classFor(total))
	}
	return nil, s.promote(slot, nd)
}

// resize moves a block to another class.
func (s *Store) resize(slot *uint64, nd *node, class uint8) (*node, error) {
	r, bigger, err := s.newNode(kindBlock, class)
	if err != nil {
		return nd, err
	}
	bigger.first = nd.first
	s.giveOwner(bigger, nd)
	s.move(bigger, nd, 0, int(nd.n))
	s.free(ref(*slot))
	*slot = uint64(r)
	return bigger, nil
}
