package ordered

import (
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
)

// ref names a block of a store: number of the page 23 bits, offset in it, in granules, 9
// bits. Zero is none.
type ref uint32

const (
	granule    = 32
	offsetBits = 9
	maxPages   = 1 << (32 - offsetBits)
	pageBytes  = 12 << 10 // a multiple of every class
	firstBytes = 1536     // about, of the first page of a class: most panes are small
	pooled     = 256      // empty pages kept for later
	wholePage  = 255      // class of a block that is its page
)

// sizes of blocks, by class.
var sizes = [...]uint16{64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096}

const (
	classes   = len(sizes)
	lastClass = uint8(classes - 1)
	lastSize  = 4096
)

// classes by size in granules, rounded up.
var classAt = func() (at [lastSize/granule + 1]uint8) {
	class := uint8(0)
	for i := range at {
		if i*granule > int(sizes[class]) {
			class++
		}
		at[i] = class
	}
	return at
}()

// classFor returns the smallest class that holds n bytes, at most lastSize.
func classFor(n int) uint8 { return classAt[(n+granule-1)/granule] }

// page is the account of one page.
type page struct {
	class      uint8
	slots      uint16 // blocks that fit
	tail       uint16 // blocks handed out at least once
	used       uint16 // blocks in use
	free       uint32 // a block that was freed, which links the next; 0 = none
	size       int
	prev, next uint32 // pages of this class with room
}

const perPage = int64(unsafe.Sizeof(page{})) + 8

// Shared is what the stores of a backend have in common: limits, pages and blocks of logs
// without a use just now, and the account of memory.
type Shared struct {
	limits Limits
	pages  []unsafe.Pointer
	blocks []unsafe.Pointer
	bytes  int64
}

// NewShared returns what new stores share. Zero limits are the default ones.
func NewShared(l Limits) *Shared {
	if l == (Limits{}) {
		l = DefaultLimits
	}
	return &Shared{limits: l}
}

// MemoryBytes is what all stores occupy, and what they share.
func (sh *Shared) MemoryBytes() int64 { return sh.bytes }

// noscan allocates zeroed memory, 8-byte aligned, that the collector does not scan.
func noscan(bytes int) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(make([]uint64, (bytes+7)/8)))
}

// account changes the count of bytes.
func (s *Store) account(delta int64) {
	s.bytes += delta
	s.shared.bytes += delta
}

// node returns the block a ref names.
func (s *Store) node(r ref) *node {
	return (*node)(unsafe.Add(s.memory[r>>offsetBits], uintptr(r&(1<<offsetBits-1))*granule))
}

// alloc returns a block of a class with undefined content.
func (s *Store) alloc(class uint8) (ref, *node, error) {
	number := s.rooms[class]
	if number == 0 {
		slots := pageBytes / int(sizes[class])
		if s.counts[class] == 0 {
			slots = max(1, firstBytes/int(sizes[class]))
		}
		var err error
		if number, err = s.addPage(class, slots, slots*int(sizes[class])); err != nil {
			return 0, nil, err
		}
		s.counts[class]++
		s.link(number)
	}
	p := &s.pages[number]
	r := ref(p.free)
	if r != 0 {
		p.free = s.node(r).freeLink()
	} else {
		r = ref(number<<offsetBits) + ref(int(p.tail)*int(sizes[class])/granule)
		p.tail++
	}
	p.used++
	if p.used == p.slots {
		s.unlink(number)
	}
	return r, s.node(r), nil
}

// allocWhole returns a block of its own size.
func (s *Store) allocWhole(size int) (ref, *node, error) {
	number, err := s.addPage(wholePage, 1, size)
	if err != nil {
		return 0, nil, err
	}
	p := &s.pages[number]
	p.tail, p.used = 1, 1
	r := ref(number << offsetBits)
	return r, s.node(r), nil
}

func (s *Store) addPage(class uint8, slots, size int) (uint32, error) {
	var number uint32
	if n := len(s.numbers); n > 0 {
		number = s.numbers[n-1]
		s.numbers = s.numbers[:n-1]
	} else {
		if len(s.pages) == 0 { // number 0 is no page
			s.pages, s.memory = append(s.pages, page{}), append(s.memory, nil)
		}
		if len(s.pages) == maxPages {
			return 0, fmt.Errorf("%d pages are all there can be", maxPages)
		}
		number = uint32(len(s.pages))
		s.pages, s.memory = append(s.pages, page{}), append(s.memory, nil)
		s.account(perPage)
	}
	s.pages[number] = page{class: class, slots: uint16(slots), size: size}
	free := s.shared.pages
	if n := len(free); size == pageBytes && class != wholePage && n > 0 {
		s.memory[number] = free[n-1]
		s.shared.pages = free[:n-1]
		s.bytes += pageBytes
	} else {
		s.memory[number] = noscan(size)
		s.account(int64(size))
	}
	return number, nil
}

// free gives a block back.
func (s *Store) free(r ref) {
	number := uint32(r >> offsetBits)
	p := &s.pages[number]
	nd := s.node(r)
	if nd.kind == kindFree {
		invariant.Fail("block %x is freed twice", uint32(r))
	}
	nd.kind = kindFree
	nd.setFreeLink(p.free)
	p.free = uint32(r)
	if p.used == p.slots && p.class != wholePage {
		s.link(number)
	}
	p.used--
	if p.used == 0 {
		s.dropPage(number)
	}
}

// freeLater is free for a block that the image may refer to.
func (s *Store) freeLater(r ref) {
	if s.image != nil {
		s.quarantine = append(s.quarantine, r)
		return
	}
	s.free(r)
}

func (s *Store) dropPage(number uint32) {
	p := &s.pages[number]
	if p.class != wholePage {
		s.unlink(number)
		s.counts[p.class]--
	}
	s.putPage(s.memory[number], p)
	*p, s.memory[number] = page{}, nil
	s.numbers = append(s.numbers, number)
}

func (s *Store) putPage(memory unsafe.Pointer, p *page) {
	sh := s.shared
	s.bytes -= int64(p.size)
	if p.size == pageBytes && p.class != wholePage && len(sh.pages) < pooled {
		sh.pages = append(sh.pages, memory)
	} else {
		sh.bytes -= int64(p.size)
	}
}

// link puts a page at the head of those of its class with room.
func (s *Store) link(number uint32) {
	p := &s.pages[number]
	head := s.rooms[p.class]
	p.prev, p.next = 0, head
	if head != 0 {
		s.pages[head].prev = number
	}
	s.rooms[p.class] = number
}

func (s *Store) unlink(number uint32) {
	p := &s.pages[number]
	if p.prev != 0 {
		s.pages[p.prev].next = p.next
	} else if s.rooms[p.class] == number {
		s.rooms[p.class] = p.next
	}
	if p.next != 0 {
		s.pages[p.next].prev = p.prev
	}
	p.prev, p.next = 0, 0
}

// content returns the block a ref named once if elements lie there now, else nil.
func (s *Store) content(r ref) *node {
	number, offset := r>>offsetBits, int(r&(1<<offsetBits-1))*granule
	if int(number) >= len(s.pages) || s.memory[number] == nil {
		return nil
	}
	if p := &s.pages[number]; p.class != wholePage {
		size := int(sizes[p.class])
		if offset%size != 0 || offset/size >= int(p.tail) {
			return nil
		}
	} else if offset != 0 {
		return nil
	}
	if nd := s.node(r); nd.hasElements() {
		return nd
	}
	return nil
}

// Bytes outside of nodes lie in a block behind its kind.
const outsideAt = 8

// storeOutside copies bytes into a block of their own.
func (s *Store) storeOutside(bytes []byte) (ref, error) {
	size := outsideAt + len(bytes)
	var r ref
	var nd *node
	var err error
	if size <= lastSize {
		r, nd, err = s.alloc(classFor(size))
	} else {
		r, nd, err = s.allocWhole(size)
	}
	if err != nil {
		return 0, err
	}
	nd.kind = kindOutside
	copy(s.outside(r, len(bytes)), bytes)
	return r, nil
}

// outside returns bytes stored outside of nodes.
func (s *Store) outside(r ref, length int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s.node(r)), outsideAt)), length)
}
