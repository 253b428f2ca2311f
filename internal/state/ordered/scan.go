package ordered

const outBytes = 4 << 10

// keyOut returns the key of a slot, which stays as it is until the next write.
func (s *Store) keyOut(nd *node, sl *slot) []byte {
	if sl.klen == longKey {
		key := s.longKeyOf(nd, sl)
		return key[:len(key):len(key)]
	}
	if need := len(s.out) + int(sl.klen) + len(nd.prefix()); need > cap(s.out) {
		s.out = make([]byte, 0, max(outBytes, need-len(s.out)))
	}
	start := len(s.out)
	s.out = s.appendKey(s.out, nd, sl)
	return s.out[start:len(s.out):len(s.out)]
}

// Scan calls f for the entries whose user keys are at least from and below to, ascending,
// until f returns false. A nil to is no bound.
func (s *Store) Scan(slot uint64, from, to []byte, f func(userKey, value []byte) bool) {
	if slot == 0 {
		return
	}
	s.wanted = true
	nd := s.node(ref(slot))
	next := ref(0)
	if nd.kind == kindTree {
		_, nd = s.leafOf(nd, from)
		next = ref(nd.b)
	}
	pos, _ := s.find(nd, from)
	for {
		end := int(nd.n)
		if to != nil {
			end, _ = s.find(nd, to)
		}
		for ; pos < end; pos++ {
			sl := nd.slot(pos)
			if !f(s.keyOut(nd, sl), s.value(nd, sl)) {
				return
			}
		}
		if end < int(nd.n) || next == 0 {
			return
		}
		nd, pos = s.node(next), 0
		next = ref(nd.b)
	}
}

// ScanBack is Scan in descending order.
func (s *Store) ScanBack(slot uint64, from, to []byte, f func(userKey, value []byte) bool) {
	if slot == 0 {
		return
	}
	s.wanted = true
	nd := s.node(ref(slot))
	next := ref(0)
	if nd.kind == kindTree {
		if to != nil {
			_, nd = s.leafOf(nd, to)
		} else {
			nd = s.lastLeaf(nd)
		}
		next = ref(nd.c)
	}
	pos := int(nd.n)
	if to != nil {
		pos, _ = s.find(nd, to)
	}
	for {
		start, _ := s.find(nd, from)
		for pos--; pos >= start; pos-- {
			sl := nd.slot(pos)
			if !f(s.keyOut(nd, sl), s.value(nd, sl)) {
				return
			}
		}
		if start > 0 || next == 0 {
			return
		}
		nd = s.node(next)
		next, pos = ref(nd.c), int(nd.n)
	}
}

func (s *Store) lastLeaf(tree *node) *node {
	root := tree.tree()
	r := root.node
	for range root.height {
		nd := s.node(r)
		r = nd.childAt(int(nd.n) - 1)
	}
	return s.node(r)
}
