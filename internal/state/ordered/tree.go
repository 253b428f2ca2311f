package ordered

// treeRoot follows the owner in the block of a tree.
type treeRoot struct {
	node   ref    // a leaf when height is 0
	height uint32 // inner nodes above a leaf
	count  uint64 // entries
}

const treeRootBytes = 16

func (nd *node) tree() *treeRoot { return (*treeRoot)(nd.at(nd.ownerEnd())) }

// path leads from the root of a tree to a leaf.
type path struct {
	steps  []step
	leaf   ref
	leafAt *node
}

// step is an inner node and which child the path takes: that of a slot, or -1 for the first.
type step struct {
	nd *node
	at int
}

func (nd *node) childAt(at int) ref {
	if at < 0 {
		return ref(nd.a)
	}
	return nd.slot(at).child()
}

// childFor returns the place of the child that holds a key.
func (s *Store) childFor(nd *node, key []byte) int {
	at, found := s.find(nd, key)
	if found {
		return at
	}
	return at - 1
}

// leafOf returns the leaf for a key.
func (s *Store) leafOf(tree *node, key []byte) (ref, *node) {
	root := tree.tree()
	r := root.node
	for range root.height {
		nd := s.node(r)
		r = nd.childAt(s.childFor(nd, key))
	}
	return r, s.node(r)
}

// descend fills the path to the leaf for a key.
func (s *Store) descend(tree *node, key []byte) {
	root := tree.tree()
	s.path.steps = s.path.steps[:0]
	r := root.node
	for range root.height {
		nd := s.node(r)
		at := s.childFor(nd, key)
		s.path.steps = append(s.path.steps, step{nd, at})
		r = nd.childAt(at)
	}
	s.path.leaf, s.path.leafAt = r, s.node(r)
}

// promote makes a tree of a block.
func (s *Store) promote(slot *uint64, block *node) error {
	r, tree, err := s.alloc(classFor(block.ownerEnd() + treeRootBytes))
	if err != nil {
		return err
	}
	size := prefixAt + block.moved(0, int(block.n), 0)
	class := min(classFor(min(size+size/2, lastSize)), s.full)
	leafRef, leaf, err := s.newNode(kindLeaf, class)
	if err != nil {
		tree.kind = kindTree
		s.free(r)
		return err
	}
	*tree = node{kind: kindTree, class: classFor(block.ownerEnd() + treeRootBytes)}
	s.giveOwner(tree, block)
	*tree.tree() = treeRoot{node: leafRef, count: uint64(block.n)}
	leaf.a = uint32(r)
	s.move(leaf, block, 0, int(block.n))
	s.free(ref(*slot))
	*slot = uint64(r)
	return nil
}

// demote makes a block of a tree that is a small leaf.
func (s *Store) demote(slot *uint64, tree *node) error {
	leafRef := tree.tree().node
	leaf := s.node(leafRef)
	size := tree.ownerEnd() + leaf.moved(0, int(leaf.n), 0)
	if size > s.limits.Demote {
		return nil
	}
	r, block, err := s.newNode(kindBlock, classFor(size))
	if err != nil {
		return err
	}
	s.giveOwner(block, tree)
	block.first = uint16(block.ownerEnd())
	s.move(block, leaf, 0, int(leaf.n))
	s.free(leafRef)
	s.free(ref(*slot))
	*slot = uint64(r)
	return nil
}

func (s *Store) treePut(slot *uint64, userKey, value []byte) error {
	tree := s.node(ref(*slot))
	s.descend(tree, userKey)
	leaf := s.path.leafAt
	pos, found := s.find(leaf, userKey)
	s.touch(s.path.leaf, leaf)
	if found && s.overwrite(leaf, pos, value) {
		return nil
	}
	e, err := s.encode(leaf, userKey, value)
	if err != nil {
		return err
	}
	if found {
		e.version = s.now() | leaf.slot(pos).version&isNew
		s.freeOutside(leaf, leaf.slot(pos))
		leaf.removeSlot(pos)
		tree.tree().count--
	}
	return s.treeInsertHere(slot, &e)
}

// treeInsert inserts an entry whose key is not there.
func (s *Store) treeInsert(slot *uint64, e *made) error {
	s.descend(s.node(ref(*slot)), e.key)
	return s.treeInsertHere(slot, e)
}

// treeInsertHere is treeInsert when the path is known.
func (s *Store) treeInsertHere(slot *uint64, e *made) error {
	tree := s.node(ref(*slot))
	for {
		leaf := s.path.leafAt
		s.touch(s.path.leaf, leaf)
		if s.fit(leaf, e) {
			pos, _ := s.find(leaf, e.key)
			s.insert(leaf, pos, e, len(leaf.prefix()))
			leaf.setLastInsert(pos)
			tree.tree().count++
			return nil
		}
		var err error
		if leaf.class < s.full {
			err = s.growLeaf(tree)
		} else {
			err = s.splitLeaf(tree, e.key)
		}
		if err != nil {
			s.discard(e)
			return err
		}
		s.descend(tree, e.key)
	}
}

// fit makes room for an entry in a node of a tree, if it can have room: it shortens the
// prefix or drops garbage when that is needed.
func (s *Store) fit(nd *node, e *made) bool {
	prefix := nd.prefix()
	cut := commonPrefix(prefix, e.key)
	need := slotBytes + e.bytes(cut)
	if cut < len(prefix) {
		if prefixAt+(cut+7)&^7+nd.moved(0, int(nd.n), cut)+need > nd.size() {
			return false
		}
		s.rebuild(nd, prefix[:cut])
		return true
	}
	if nd.room() >= need {
		return true
	}
	if nd.room()+int(nd.garbage) < need {
		return false
	}
	s.rebuild(nd, prefix)
	return true
}

// choosePrefix returns a prefix for a node of the slots [from, to) of src. That of src always
// fits, a longer one need not: keys that lie outside do not get shorter.
func (s *Store) choosePrefix(src *node, from, to int) []byte {
	if to-from < 4 {
		return src.prefix()
	}
	s.temp2 = s.appendKey(s.temp2[:0], src, src.slot(from))
	s.temp = s.appendKey(s.temp[:0], src, src.slot(to-1))
	prefix := s.prefixOf()
	cut := len(prefix)
	if cut < len(src.prefix()) || prefixAt+(cut+7)&^7+src.moved(from, to, cut) > src.size() {
		return src.prefix()
	}
	return prefix
}

// prefixOf returns what temp and temp2 have in common, if that is worth cutting off.
func (s *Store) prefixOf() []byte {
	if len(s.temp) <= headBytes && len(s.temp2) <= headBytes {
		return nil
	}
	return s.temp2[:min(commonPrefix(s.temp, s.temp2), s.limits.Node/16)]
}

// growLeaf gives the only leaf of a tree the next class.
func (s *Store) growLeaf(tree *node) error {
	leaf := s.path.leafAt
	r, bigger, err := s.newNode(kindLeaf, leaf.class+1)
	if err != nil {
		return err
	}
	bigger.a = leaf.a
	bigger.setPrefix(leaf.prefix())
	s.move(bigger, leaf, 0, int(leaf.n))
	bigger.setLastInsert(leaf.lastInsert())
	s.free(s.path.leaf)
	tree.tree().node = r
	return nil
}

// splitLeaf splits the leaf at the end of the path, into which a key shall go, or an inner
// node above that would have no room for another child: the caller tries again.
func (s *Store) splitLeaf(tree *node, key []byte) error {
	leaf, n := s.path.leafAt, int(s.path.leafAt.n)
	pos, _ := s.find(leaf, key)
	k := leaf.middle()
	if pos > 0 && pos == leaf.lastInsert()+1 { // ascending: what is before will not grow
		k = pos
	}
	s.temp = s.appendKey(s.temp[:0], leaf, leaf.slot(k-1))
	first := key
	if k < n {
		s.temp2 = s.appendKey(s.temp2[:0], leaf, leaf.slot(k))
		first = s.temp2
	}
	separator := append([]byte(nil), first[:commonPrefix(s.temp, first)+1]...)
	parent, at, ok, err := s.parentFor(tree, len(s.path.steps), separator)
	if err != nil || !ok {
		return err
	}
	r, right, err := s.newNode(kindLeaf, s.full)
	if err != nil {
		return err
	}
	if err := s.addChild(parent, at, separator, r); err != nil {
		s.free(r)
		return err
	}
	s.scratch.keep(leaf)
	src := s.scratch.node()
	s.refill(leaf, src, 0, k)
	s.refill(right, src, k, n)
	right.setLastInsert(max(0, pos-k))
	right.a, right.b, right.c = leaf.a, leaf.b, uint32(s.path.leaf)
	if leaf.b != 0 {
		s.node(ref(leaf.b)).c = uint32(r)
	}
	leaf.b = uint32(r)
	return nil
}

// middle is where a node is split so that both sides have about as many bytes.
func (nd *node) middle() int {
	sum, half := 0, nd.live()/2
	for i := range int(nd.n) {
		sl := nd.slot(i)
		sum += slotBytes + sl.rest() + sl.held(nd.kind)
		if sum >= half {
			return min(i+1, int(nd.n)-1)
		}
	}
	return int(nd.n) - 1
}

// refill makes a node hold the slots [from, to) of src and nothing else.
func (s *Store) refill(nd, src *node, from, to int) {
	nd.n, nd.heap, nd.garbage = 0, 0, 0
	nd.setPrefix(s.choosePrefix(src, from, to))
	s.move(nd, src, from, to)
}

// parentFor returns the inner node above level of the path, which has room for another
// separator, and the place of the child on the path. Without room it splits that node, and
// ok is false. Above the root it makes one.
func (s *Store) parentFor(
	tree *node, level int, separator []byte,
) (parent *node, at int, ok bool, err error) {
	if level == 0 {
		root := tree.tree()
		r, parent, err := s.newNode(kindInner, s.full)
		if err != nil {
			return nil, 0, false, err
		}
		parent.a = uint32(root.node)
		root.node = r
		root.height++
		return parent, -1, true, nil
	}
	up := s.path.steps[level-1]
	e := made{key: separator}
	if len(separator) > s.inline {
		e.keyRef = 1 // any: only sizes count
	}
	if s.fit(up.nd, &e) {
		return up.nd, up.at, true, nil
	}
	return nil, 0, false, s.splitInner(tree, level-1)
}

// addChild puts a child behind place at of an inner node that has room.
func (s *Store) addChild(parent *node, at int, separator []byte, child ref) error {
	e := made{key: separator}
	if len(separator) > s.inline {
		var err error
		if e.keyRef, err = s.storeOutside(separator); err != nil {
			return err
		}
	}
	s.insert(parent, at+1, &e, len(parent.prefix()))
	parent.slot(at + 1).setChild(child)
	return nil
}

// splitInner splits the inner node at a level of the path, or one above.
func (s *Store) splitInner(tree *node, level int) error {
	nd, n := s.path.steps[level].nd, int(s.path.steps[level].nd.n)
	k := n / 2
	if s.path.steps[level].at == n-1 {
		k = n - 1
	}
	separator := s.appendKey(nil, nd, nd.slot(k))
	parent, at, ok, err := s.parentFor(tree, level, separator)
	if err != nil || !ok {
		return err
	}
	r, right, err := s.newNode(kindInner, s.full)
	if err != nil {
		return err
	}
	if err := s.addChild(parent, at, separator, r); err != nil {
		s.free(r)
		return err
	}
	s.scratch.keep(nd)
	src := s.scratch.node()
	right.a = uint32(src.slot(k).child())
	s.freeOutside(src, src.slot(k))
	s.refill(nd, src, 0, k)
	s.refill(right, src, k+1, n)
	return nil
}
