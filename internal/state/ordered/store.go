package ordered

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
)

// Limits are the sizes at which structures change. Tests make them small.
type Limits struct {
	Block  int // bytes of a small map at most; an eighth of it is the longest owner inside
	Demote int // bytes below which a tree becomes a block
	// Node is the size of nodes, that of a class; an eighth of it is the longest key or value
	// inside.
	Node int
}

// DefaultLimits are those of production.
var DefaultLimits = Limits{Block: 1024, Demote: 512, Node: lastSize}

// Owner is the row that has a collection.
type Owner struct {
	Hash uint32 // top 32 bits of the hash of its key
	Key  []byte // canonical bytes; only read during the call
}

// Rows finds the slots of rows when a store restores itself.
type Rows interface {
	// Slot returns the slot of the collection in the row of an owner, and makes a clean row if
	// there is none. It is valid until the next call.
	Slot(owner Owner) (*uint64, error)
}

// Options say what a store keeps.
type Options struct {
	Kind     backend.CollectionKind
	KeyWords int // RowLayout.KeyWords of the owners
	Versions *version.Versions
	Shared   *Shared
	Rows     Rows
}

// Store holds all collections of one number of the rows of one pane. A collection is named
// by its slot, 8 bytes of the row that the store alone writes: zero when it is empty. Slots
// may move between calls. It implements version.Store.
type Store struct {
	kind     backend.CollectionKind
	keyWords int
	versions *version.Versions
	shared   *Shared
	rows     Rows
	limits   Limits
	inline   int   // longest key or value inside a node
	full     uint8 // class of a node

	memory  []unsafe.Pointer // of pages; read by others, for what lies outside, during images
	pages   []page
	rooms   [classes]uint32 // first page of a class with room
	counts  [classes]int    // pages of a class
	numbers []uint32        // of pages that are free
	bytes   int64

	image      *image
	quarantine []ref // freed, but the image refers to them
	changes    []*changes
	restoring  bool
	wanted     bool     // elements were asked for since the batch started
	warm       bool     // they were in the batch before
	restored   struct { // last owner
		owner Owner
		slot  *uint64
	}

	out     []byte // keys handed out, until the next write
	temp    []byte // a key, within a call
	temp2   []byte
	saved   []byte // a value that a write may move
	path    path
	scratch scratch
}

// New returns an empty store.
func New(o Options) *Store {
	s := &Store{kind: o.Kind, keyWords: o.KeyWords, versions: o.Versions, shared: o.Shared,
		rows: o.Rows, limits: o.Shared.limits}
	s.inline = s.limits.Node / 8
	s.full = classFor(s.limits.Node)
	s.account(int64(unsafe.Sizeof(*s)))
	return s
}

// Discard gives all memory back. Parts of a released image must not be read any more.
func (s *Store) Discard() {
	for number := range s.pages {
		if p := &s.pages[number]; p.size > 0 {
			s.putPage(s.memory[number], p)
		}
	}
	s.pages, s.memory = nil, nil
	s.account(-s.bytes)
}

// MemoryBytes is what the store occupies.
func (s *Store) MemoryBytes() int64 { return s.bytes }

// now is the version of what changes.
func (s *Store) now() uint16 {
	if s.restoring {
		return 0
	}
	return s.versions.Current
}

// stamp is the version of an entry that is made.
func (s *Store) stamp() uint16 {
	if s.restoring {
		return 0
	}
	return s.versions.Current | isNew
}

// newNode returns an empty block that is in no image and has changed.
func (s *Store) newNode(kind, class uint8) (ref, *node, error) {
	r, nd, err := s.alloc(class)
	if err != nil {
		return 0, nil, err
	}
	*nd = node{}
	s.setUp(r, nd, kind, class)
	return r, nd, nil
}

func (s *Store) setUp(r ref, nd *node, kind, class uint8) {
	nd.kind, nd.class = kind, class
	if nd.hasPrefix() {
		nd.first = prefixAt
	}
	if nd.hasElements() {
		if s.image != nil {
			nd.copied = s.versions.Image
		}
		s.mark(r, nd)
	}
}

// The owner of a block, tree or head: a is the hash, b the length of the key.

const farOwner = 1<<32 - 1

func ownerBytes(length int) int { return (length + 7) &^ 7 }

// ownerRoom is the number of bytes an owner takes in a block.
func (s *Store) ownerRoom(key []byte) int {
	if len(key) > s.limits.Block/8 {
		return farBytes
	}
	return ownerBytes(len(key))
}

// setOwner writes the owner of a new block.
func (s *Store) setOwner(nd *node, o Owner) error {
	nd.a = o.Hash
	if len(o.Key) <= s.limits.Block/8 {
		nd.b = uint32(len(o.Key))
		copy(nd.raw(keyAt, len(o.Key)), o.Key)
		return nil
	}
	r, err := s.storeOutside(o.Key)
	if err != nil {
		return err
	}
	nd.b = farOwner
	appendFar(nd.raw(keyAt, farBytes)[:0], r, len(o.Key))
	return nil
}

// ownerEnd is the offset behind the owner.
func (nd *node) ownerEnd() int {
	if nd.b == farOwner {
		return keyAt + farBytes
	}
	return keyAt + ownerBytes(int(nd.b))
}

// giveOwner hands the owner of src on to dst; src must be forgotten.
func (s *Store) giveOwner(dst, src *node) {
	dst.a, dst.b = src.a, src.b
	n := src.ownerEnd() - keyAt
	copy(dst.raw(keyAt, n), src.raw(keyAt, n))
}

// ownerKey returns the key of the owner.
func (s *Store) ownerKey(nd *node) []byte {
	if nd.b == farOwner {
		return s.outside(far(nd.raw(keyAt, farBytes)))
	}
	return nd.raw(keyAt, int(nd.b))
}

// freeOwner gives back what of the owner lies outside.
func (s *Store) freeOwner(nd *node) {
	if nd.b == farOwner {
		r, _ := far(nd.raw(keyAt, farBytes))
		s.freeLater(r)
	}
}

// Elements is the number of elements of a collection.
func (s *Store) Elements(slot uint64) int {
	if slot == 0 {
		return 0
	}
	switch nd := s.node(ref(slot)); nd.kind {
	case kindTree:
		return int(nd.tree().count)
	case kindHead:
		return int(s.node(lastOf(slot)).length())
	default:
		return int(nd.n)
	}
}

// Clear removes all elements of a collection.
func (s *Store) Clear(slot *uint64) {
	if *slot == 0 {
		return
	}
	s.out = s.out[:0]
	r := ref(*slot)
	switch nd := s.node(r); nd.kind {
	case kindTree:
		s.clearTree(r, nd)
	case kindHead:
		s.clearList(r, nd)
	default:
		s.clearEntries(nd, r, nd)
		s.freeOwner(nd)
		s.free(r)
	}
	*slot = 0
}

// clearEntries gives up the entries of a block or leaf, which is about to be freed.
func (s *Store) clearEntries(owner *node, r ref, nd *node) {
	s.save(r, nd)
	for i := range int(nd.n) {
		s.drop(owner, nd, nd.slot(i))
	}
}

// drop gives up an entry: what lies outside is freed, and the delete is remembered when some
// snapshot may hold the entry. The node has been saved.
func (s *Store) drop(owner, nd *node, sl *slot) {
	if sl.version&isNew == 0 {
		s.temp = s.appendKey(s.temp[:0], nd, sl)
		s.deleted(owner, s.temp)
	}
	s.freeOutside(nd, sl)
}

// freeOutside frees what of an entry lies outside.
func (s *Store) freeOutside(nd *node, sl *slot) {
	if sl.klen != longKey && (nd.kind == kindInner || sl.vlen != outside) {
		return
	}
	rest, value := nd.heapOf(sl)
	if sl.klen == longKey {
		r, _ := far(rest)
		s.freeLater(r)
	}
	if nd.kind != kindInner && sl.vlen == outside {
		r, _ := far(value)
		s.freeLater(r)
	}
}

func checkSizes(userKey, value []byte) error {
	if len(userKey) > backend.MaxUserKeyBytes {
		return fmt.Errorf("user key of %d bytes, at most %d are possible", len(userKey),
			backend.MaxUserKeyBytes)
	}
	if len(value) > backend.MaxValueBytes {
		return fmt.Errorf("value of %d bytes, at most %d are possible", len(value),
			backend.MaxValueBytes)
	}
	return nil
}

var _ version.Store = (*Store)(nil)
