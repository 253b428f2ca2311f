package ordered

import (
	"encoding/binary"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/state/backend"
)

// image is what a snapshot has of a store.
type image struct {
	full    bool
	base    uint16
	log     log
	rows    int   // entries in the log
	bytes   int64 // of them
	changes []*changes
	done    bool

	// The walk: of a full image over pages, else over the dirty lists.
	pages       int
	page        int
	list, chunk int
	at          int
}

// log is an append-only sequence of records, each for one block: the entries of one owner
// that were copied together, in order. Records lie at multiples of 8 bytes:
//
//	size 4 | hash 4 | length of the owner's part 4 | entries 4 | owner's part of entry keys |
//	for each entry: length of the suffix 4 | length of the value 4 | suffix | value
//
// The value of an entry that is far is 8 bytes: ref and offset in that block.
type log struct {
	blocks [][]byte
	bytes  int64
}

const (
	recordHeader = 16
	firstLog     = 4 << 10
	logBlock     = 256 << 10
	keptBlocks   = 16
	farValue     = 1 << 31 // flag of the length of a value
	lookedAt     = 4       // bytes only looked at count a quarter of those copied
	few          = 64      // blocks of a dirty list visited at once
)

// addRecord returns a record of size bytes, with undefined content but for the size.
func (s *Store) addRecord(size int) []byte {
	l := &s.image.log
	size = (size + 7) &^ 7
	n := len(l.blocks)
	if n == 0 || cap(l.blocks[n-1])-len(l.blocks[n-1]) < size {
		grown := firstLog
		if n > 0 {
			grown = min(4*cap(l.blocks[n-1]), logBlock)
		}
		l.blocks = append(l.blocks, s.logBlock(max(grown, size)))
		l.bytes += int64(cap(l.blocks[n]))
		n++
		if n >= 1<<17 {
			invariant.Fail("log of %d blocks is full", n)
		}
	}
	block := l.blocks[n-1]
	start := len(block)
	l.blocks[n-1] = block[:start+size]
	block = block[:start+size]
	binary.LittleEndian.PutUint32(block[start:], uint32(size))
	return block[start : start+size : start+size]
}

// logBlock takes a block for a log.
func (s *Store) logBlock(size int) []byte {
	sh := s.shared
	if n := len(sh.blocks); size == logBlock && n > 0 {
		block := sh.blocks[n-1]
		sh.blocks = sh.blocks[:n-1]
		s.bytes += logBlock
		return unsafe.Slice((*byte)(block), logBlock)[:0]
	}
	s.account(int64(size))
	return unsafe.Slice((*byte)(noscan(size)), size)[:0]
}

// putLog gives the blocks of a log back.
func (s *Store) putLog(l *log) {
	sh := s.shared
	for _, block := range l.blocks {
		if cap(block) == logBlock && len(sh.blocks) < keptBlocks {
			sh.blocks = append(sh.blocks, unsafe.Pointer(unsafe.SliceData(block)))
			s.bytes -= logBlock
		} else {
			s.account(-int64(cap(block)))
		}
	}
	l.blocks = nil
}

// Begin takes the image of this moment.
func (s *Store) Begin(full bool) {
	im := &image{full: full, base: s.versions.Base, pages: len(s.pages)}
	s.image = im
	if full {
		return
	}
	for _, c := range s.changes {
		if c.version > s.versions.Base && c.version <= s.versions.Image {
			im.changes = append(im.changes, c)
			im.rows += c.count
			im.bytes += c.size
		}
	}
}

// Step copies blocks until budget bytes are used.
func (s *Store) Step(budget int) (used int, done bool, err error) {
	im := s.image
	for used < budget && !im.done {
		if im.full {
			used += s.copyPage()
		} else {
			used += s.copyDirty()
		}
	}
	return used, im.done, nil
}

// copyPage copies the blocks of one page and returns what that costs.
func (s *Store) copyPage() int {
	im := s.image
	if im.page >= im.pages {
		im.done = true
		return 0
	}
	before := im.bytes
	s.eachContent(im.page, func(r ref, nd *node) { s.save(r, nd) })
	looked := s.pages[im.page].size
	if s.pages[im.page].class == wholePage {
		looked = granule
	}
	im.page++
	return max(int(im.bytes-before), looked/lookedAt, 1)
}

// copyDirty copies a few blocks of the dirty lists and returns what that costs.
func (s *Store) copyDirty() int {
	im := s.image
	if im.list == len(im.changes) {
		im.done = true
		return 0
	}
	dirty := im.changes[im.list].dirty
	if im.chunk == len(dirty) {
		im.list, im.chunk = im.list+1, 0
		return 0
	}
	refs := dirty[im.chunk]
	before := im.bytes
	end := min(im.at+few, len(refs))
	for _, r := range refs[im.at:end] {
		if nd := s.content(r); nd != nil {
			s.save(r, nd)
		}
	}
	cost := (end - im.at) * granule
	if im.at = end; end == len(refs) {
		im.chunk, im.at = im.chunk+1, 0
	}
	return max(int(im.bytes-before), cost)
}

// push copies what of a block belongs to the image, which is then no longer new.
func (s *Store) push(r ref, nd *node) {
	im := s.image
	nd.copied = s.versions.Image
	if !im.full && nd.newest <= im.base {
		return
	}
	switch nd.kind {
	case kindBlock:
		s.pushEntries(nd, nd)
	case kindLeaf:
		s.pushEntries(s.node(ref(nd.a)), nd)
	case kindList:
		s.pushList(s.node(ref(nd.a)), r, nd)
	case kindHead:
		s.pushList(nd, r, nd)
	}
}

// newRecord makes a record for n entries of an owner, and returns the room for them: bytes.
func (s *Store) newRecord(owner *node, n, bytes int) []byte {
	key := s.ownerKey(owner)
	lead := len(key)
	if s.keyWords == 0 {
		lead += 4
	}
	all := s.addRecord(recordHeader + lead + bytes)
	binary.LittleEndian.PutUint32(all[4:], owner.a)
	binary.LittleEndian.PutUint32(all[8:], uint32(lead))
	binary.LittleEndian.PutUint32(all[12:], uint32(n))
	backend.AppendEntryKey(all[:recordHeader], s.keyWords, key, nil)
	s.image.rows += n
	s.image.bytes += int64(n*lead + bytes)
	return all[recordHeader+lead : recordHeader+lead : len(all)]
}

// pushEntries copies the entries of a block or leaf.
func (s *Store) pushEntries(owner, nd *node) {
	im := s.image
	n, bytes, cut := 0, 0, len(nd.prefix())
	slots := nd.slots()
	for i := range slots {
		sl := &slots[i]
		if !im.full && sl.version&versionMask <= im.base {
			continue
		}
		n++
		bytes += 8 + sl.held(nd.kind)
		if sl.klen == longKey {
			bytes += len(s.longKeyOf(nd, sl))
		} else {
			bytes += cut + int(sl.klen)
		}
	}
	if n == 0 {
		return
	}
	to := s.newRecord(owner, n, bytes)
	for i := range slots {
		sl := &slots[i]
		if !im.full && sl.version&versionMask <= im.base {
			continue
		}
		sl.version &^= isNew
		start := len(to)
		to = append(to, 0, 0, 0, 0, 0, 0, 0, 0)
		to = s.appendKey(to, nd, sl)
		binary.LittleEndian.PutUint32(to[start:], uint32(len(to)-start-8))
		_, value := nd.heapOf(sl)
		if sl.vlen != outside {
			binary.LittleEndian.PutUint32(to[start+4:], uint32(len(value)))
			to = append(to, value...)
			continue
		}
		r, length := far(value)
		binary.LittleEndian.PutUint32(to[start+4:], uint32(length)|farValue)
		to = appendFar(to, r, outsideAt)
		im.bytes += int64(length)
	}
}

// pushList copies a block of a list; a large one is only referred to.
func (s *Store) pushList(head *node, r ref, nd *node) {
	nd.flags &^= isNew
	elements, length := nd.elements(), uint32(nd.used())
	if nd.class == wholePage {
		s.image.bytes += int64(length)
		var far [farBytes]byte
		elements, length = appendFar(far[:0], r, int(nd.first)), length|farValue
	}
	to := s.newRecord(head, 1, 8+8+len(elements))
	to = binary.LittleEndian.AppendUint32(to, 8)
	to = binary.LittleEndian.AppendUint32(to, length)
	to = backend.AppendBlockNumber(to, nd.number())
	copy(to[len(to):cap(to)], elements)
}

// Release frees the image.
func (s *Store) Release() {
	im := s.image
	if im == nil {
		return
	}
	s.image = nil
	s.putLog(&im.log)
	for _, r := range s.quarantine {
		s.free(r)
	}
	s.quarantine = nil
}
