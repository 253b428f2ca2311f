package table

import (
	"slices"
	"unsafe"
)

// Pages of 64 KiB are carved from slabs at a stride that is no power of two: the first rows
// of all segments, often the hottest, would otherwise compete for the same cache sets.
const (
	slabBytes    = 4 << 20
	pageStride   = pageBytes + 320
	pagesPerSlab = slabBytes / pageStride
)

// pool hands out pages of one backend. Smaller first pages are allocated one by one.
type pool struct {
	slabs []*slab
	bytes *int64 // memory account of the backend
}

type slab struct {
	memory []uint64
	free   []uint8 // page numbers
}

// noscan allocates zeroed memory, 8-byte aligned, that the collector does not scan.
func noscan(bytes int) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(make([]uint64, (bytes+7)/8)))
}

// page returns a page with undefined content.
func (p *pool) page() unsafe.Pointer {
	for i := len(p.slabs) - 1; i >= 0; i-- {
		if s := p.slabs[i]; len(s.free) > 0 {
			return s.take()
		}
	}
	s := &slab{memory: make([]uint64, slabBytes/8), free: make([]uint8, pagesPerSlab)}
	for i := range s.free {
		s.free[i] = uint8(pagesPerSlab - 1 - i)
	}
	p.slabs = append(p.slabs, s)
	*p.bytes += slabBytes
	return s.take()
}

func (s *slab) take() unsafe.Pointer {
	number := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return unsafe.Pointer(&s.memory[int(number)*pageStride/8])
}

// put takes a page back. Of slabs that are free altogether one is kept.
func (p *pool) put(page unsafe.Pointer) {
	idle := 0
	for i, s := range p.slabs {
		offset := uintptr(page) - uintptr(unsafe.Pointer(&s.memory[0]))
		if offset < slabBytes {
			s.free = append(s.free, uint8(offset/pageStride))
			if len(s.free) == pagesPerSlab {
				idle = i + 1
			}
			break
		}
	}
	if idle == 0 {
		return
	}
	for i, s := range p.slabs {
		if i != idle-1 && len(s.free) == pagesPerSlab {
			p.slabs = slices.Delete(p.slabs, i, i+1)
			*p.bytes -= slabBytes
			return
		}
	}
}
