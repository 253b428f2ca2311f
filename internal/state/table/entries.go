package table

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// imageRef is the hash of a row in the upper half and the log offset of its image in the
// lower, so that sorting refs as numbers sorts by hash.
type imageRef uint64

func (r imageRef) hash() uint32   { return uint32(r >> 32) }
func (r imageRef) offset() uint32 { return uint32(r) }

// entries merges the copied rows of a pane, sorted segment by segment, with the undo images
// of all of it, sorted at once. No key is in both. It reads what nobody writes any more, and
// values and long keys through the chunk table of the image.
type entries struct {
	im     *paneImage
	copies []unsafe.Pointer
	undo   []unsafe.Pointer

	segment int        // next one to sort
	sorted  []imageRef // copied rows of the segments before, not yet yielded
	undone  []imageRef // undo images not yet yielded
	refs    []imageRef
	spare   []imageRef

	row   unsafe.Pointer // being yielded
	value []byte
	slot  func(int) []byte
}

func newEntries(im *paneImage, copies, undo []unsafe.Pointer) *entries {
	e := &entries{im: im, copies: copies, undo: undo}
	e.slot = func(slot int) []byte {
		return ref(*word(e.row, im.shape.varAt[slot])).bytes(im.chunks)
	}
	undone := make([]imageRef, 0, im.undoRows)
	for last := im.undoLast; last != 0; {
		record := image(undo, last-1)
		hash := headerOf(unsafe.Add(record, undoLinkBytes)).hash
		undone = append(undone, imageRef(hash)<<32|imageRef(last-1+undoLinkBytes/8))
		last = uint32(*(*uint64)(record))
	}
	e.undone = e.sort(undone, make([]imageRef, len(undone)), undo, 0)
	return e
}

// Next yields the next entry.
func (e *entries) Next() (backend.Entry, bool) {
	for len(e.sorted) == 0 && e.segment < len(e.im.segments) {
		e.load(e.im.segments[e.segment])
		e.segment++
	}
	switch {
	case len(e.sorted) == 0 && len(e.undone) == 0:
		return backend.Entry{}, false
	case len(e.undone) == 0 || len(e.sorted) > 0 && e.compareHeads() < 0:
		e.row = image(e.copies, e.sorted[0].offset())
		e.sorted = e.sorted[1:]
	default:
		e.row = image(e.undo, e.undone[0].offset())
		e.undone = e.undone[1:]
	}
	return e.entry(), true
}

// Err returns nil: nothing can fail.
func (e *entries) Err() error { return nil }

func (e *entries) compareHeads() int {
	copied, undone := e.sorted[0], e.undone[0]
	if c := cmp.Compare(copied.hash(), undone.hash()); c != 0 {
		return c
	}
	return bytes.Compare(e.key(e.copies, copied), e.key(e.undo, undone))
}

func (e *entries) key(blocks []unsafe.Pointer, r imageRef) []byte {
	return e.im.shape.keyBytesOf(image(blocks, r.offset()), e.im.chunks)
}

// entry renders the row.
func (e *entries) entry() backend.Entry {
	sh, head := e.im.shape, headerOf(e.row)
	out := backend.Entry{Hash: head.hash, Key: sh.keyBytesOf(e.row, e.im.chunks)}
	if head.flags&flagTomb != 0 {
		out.Deleted = true
		return out
	}
	fixed := raw(e.row, sh.fixedAt, uintptr(sh.layout.FixedBytes))
	if len(sh.varAt)+len(sh.layout.Collections) == 0 {
		out.Value = fixed
		return out
	}
	e.value = backend.AppendValue(e.value[:0], sh.layout, fixed, e.slot)
	out.Value = e.value
	return out
}

// load sorts the rows of a segment.
func (e *entries) load(s segmentImage) {
	if cap(e.refs) < int(s.rows) {
		e.refs = make([]imageRef, s.rows)
		e.spare = make([]imageRef, s.rows)
	}
	refs := e.refs[:s.rows]
	offset := s.start
	for i := range refs {
		refs[i] = imageRef(headerOf(image(e.copies, offset)).hash)<<32 | imageRef(offset)
		offset = next(offset, e.im.shape.rowBytes)
	}
	e.sorted = e.sort(refs, e.spare[:s.rows], e.copies, s.depth)
}

const (
	digitBits  = 12
	radixLeast = 256 // below, comparing is as fast
)

// sort orders refs, all with the same depth leading hash bits, by (hash, key): radix passes
// over 24 bits below the prefix (36 without one: all), then runs of what these leave equal
// are settled by comparison. It may return either slice.
func (e *entries) sort(refs, spare []imageRef, blocks []unsafe.Pointer, depth uint8) []imageRef {
	compare := func(a, b imageRef) int {
		if c := cmp.Compare(a.hash(), b.hash()); c != 0 {
			return c
		}
		return bytes.Compare(e.key(blocks, a), e.key(blocks, b))
	}
	if len(refs) < radixLeast {
		slices.SortFunc(refs, compare)
		return refs
	}
	digits, low := 2, 32
	if depth < 8 {
		low = 40 - int(depth)
	}
	if len(refs) > 1<<16 {
		digits, low = 3, 32
	}
	for digit := range digits {
		scatter(refs, spare, low+digit*digitBits)
		refs, spare = spare, refs
	}
	for from := 0; from < len(refs); {
		to := from + 1
		for to < len(refs) && refs[to]>>low == refs[from]>>low {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(refs[from:to], compare)
		}
		from = to
	}
	return refs
}

// scatter is one pass of a radix sort, stable.
func scatter(from, to []imageRef, shift int) {
	var starts [1 << digitBits]int32
	for _, r := range from {
		starts[r>>shift&(1<<digitBits-1)]++
	}
	sum := int32(0)
	for i, n := range starts {
		starts[i] = sum
		sum += n
	}
	for _, r := range from {
		digit := r >> shift & (1<<digitBits - 1)
		to[starts[digit]] = r
		starts[digit]++
	}
}
