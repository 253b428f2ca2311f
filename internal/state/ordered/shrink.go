package ordered

func (s *Store) treeDelete(slot *uint64, userKey []byte) (bool, error) {
	tree := s.node(ref(*slot))
	s.descend(tree, userKey)
	leaf := s.path.leafAt
	pos, found := s.find(leaf, userKey)
	if !found {
		return false, nil
	}
	s.touch(s.path.leaf, leaf)
	s.drop(tree, leaf, leaf.slot(pos))
	leaf.removeSlot(pos)
	root := tree.tree()
	root.count--
	if root.count == 0 {
		s.freeTree(ref(*slot), tree)
		*slot = 0
		return true, nil
	}
	if last := len(s.path.steps); last > 0 {
		s.shrink(last)
		s.collapse(root)
	}
	if root.height == 0 && s.node(root.node).live() < s.limits.Demote {
		return true, s.demote(slot, tree)
	}
	return true, nil
}

// shrink removes the leaf at the end of the path when it is empty, or merges it with a
// sibling when both are small; level is the number of inner nodes above.
func (s *Store) shrink(level int) {
	leaf := s.path.leafAt
	switch {
	case leaf.n == 0:
		s.unlinkLeaf(leaf)
		s.free(s.path.leaf)
		s.removeChild(level - 1)
	case leaf.live() < s.limits.Node/4:
		s.mergeLeaf(level - 1)
	}
}

func (s *Store) unlinkLeaf(leaf *node) {
	if leaf.b != 0 {
		s.node(ref(leaf.b)).c = leaf.c
	}
	if leaf.c != 0 {
		s.node(ref(leaf.c)).b = leaf.b
	}
}

// removeChild takes the child on the path, which is freed, out of the inner node at a level,
// and removes that node when it has no other.
func (s *Store) removeChild(level int) {
	nd, at := s.path.steps[level].nd, s.path.steps[level].at
	if at < 0 && nd.n == 0 {
		// Never the root: the tree has entries.
		up := s.path.steps[level-1]
		s.free(up.nd.childAt(up.at))
		s.removeChild(level - 1)
		return
	}
	if at < 0 {
		nd.a = uint32(nd.slot(0).child())
		at = 0
	}
	s.removeSeparator(level, at)
}

// removeSeparator takes a slot out of an inner node, whose child is elsewhere by now, and
// merges the node when it is small.
func (s *Store) removeSeparator(level, at int) {
	nd := s.path.steps[level].nd
	s.freeOutside(nd, nd.slot(at))
	nd.removeSlot(at)
	if level > 0 && nd.live() < s.limits.Node/4 {
		s.mergeInner(level - 1)
	}
}

// siblings returns the child on the path and one beside it: places and nodes of the left and
// the right one. False when there is no other.
func (s *Store) siblings(level int) (leftAt int, left, right ref, ok bool) {
	nd, at := s.path.steps[level].nd, s.path.steps[level].at
	if at+1 == int(nd.n) {
		at--
	}
	if at < -1 {
		return 0, 0, 0, false
	}
	return at, nd.childAt(at), nd.childAt(at + 1), true
}

// mergeLeaf merges the leaf below a level with a sibling if both fill three quarters of one.
func (s *Store) mergeLeaf(level int) {
	leftAt, l, r, ok := s.siblings(level)
	if !ok {
		return
	}
	left, right := s.node(l), s.node(r)
	if left.live()+right.live() > s.limits.Node*3/4 {
		return
	}
	var prefix []byte
	if left.n > 0 && right.n > 0 {
		s.temp2 = s.appendKey(s.temp2[:0], left, left.slot(0))
		s.temp = s.appendKey(s.temp[:0], right, right.slot(int(right.n)-1))
		prefix = s.prefixOf()
	}
	cut, ln, rn := len(prefix), int(left.n), int(right.n)
	if prefixAt+(cut+7)&^7+left.moved(0, ln, cut)+right.moved(0, rn, cut) > s.limits.Node*3/4 {
		return
	}
	s.touch(l, left)
	s.touch(r, right)
	s.rebuild(left, prefix)
	s.move(left, right, 0, rn)
	left.setLastInsert(int(left.n))
	s.unlinkLeaf(right)
	s.free(r)
	s.removeSeparator(level, leftAt+1)
}

// mergeInner merges the inner node below a level with a sibling likewise; what separates
// them comes down.
func (s *Store) mergeInner(level int) {
	leftAt, l, r, ok := s.siblings(level)
	if !ok {
		return
	}
	parent, left, right := s.path.steps[level].nd, s.node(l), s.node(r)
	if left.live()+right.live() > s.limits.Node*3/4 {
		return
	}
	down := parent.slot(leftAt + 1)
	e := made{key: s.appendKey(nil, parent, down)}
	if down.klen == longKey {
		rest, _ := parent.heapOf(down)
		e.keyRef, _ = far(rest)
	}
	ln, rn := int(left.n), int(right.n)
	total := prefixAt + left.moved(0, ln, 0) + right.moved(0, rn, 0) + slotBytes + e.bytes(0)
	if total > s.limits.Node*3/4 {
		return
	}
	s.rebuild(left, nil)
	s.insert(left, ln, &e, 0)
	left.slot(ln).setChild(ref(right.a))
	s.move(left, right, 0, rn)
	s.free(r)
	if e.keyRef != 0 { // it has gone down, so it must not be freed
		down.klen = 0
		parent.garbage += farBytes
	}
	s.removeSeparator(level, leftAt+1)
}

// collapse removes inner nodes at the top which have one child.
func (s *Store) collapse(root *treeRoot) {
	for root.height > 0 {
		nd := s.node(root.node)
		if nd.n > 0 {
			return
		}
		r := root.node
		root.node = ref(nd.a)
		root.height--
		s.free(r)
	}
}

// clearTree gives up a tree with all its entries.
func (s *Store) clearTree(r ref, tree *node) {
	root := tree.tree()
	at := root.node
	for range root.height {
		at = ref(s.node(at).a)
	}
	for at != 0 {
		leaf := s.node(at)
		s.clearEntries(tree, at, leaf)
		at = ref(leaf.b)
	}
	s.freeTree(r, tree)
}

// freeTree frees the nodes of a tree, whose entries have been given up.
func (s *Store) freeTree(r ref, tree *node) {
	root := tree.tree()
	s.freeNodes(root.node, int(root.height))
	s.freeOwner(tree)
	s.free(r)
}

func (s *Store) freeNodes(r ref, height int) {
	if height > 0 {
		nd := s.node(r)
		s.freeNodes(ref(nd.a), height-1)
		for i := range int(nd.n) {
			s.freeNodes(nd.slot(i).child(), height-1)
			s.freeOutside(nd, nd.slot(i))
		}
	}
	s.free(r)
}
