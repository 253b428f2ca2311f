package table

import (
	"fmt"
	"slices"
	"unsafe"
)

// rowLog is an append-only sequence of row images in blocks. An offset counts 8-byte words
// from its start; an image lies in one block, the next one when it would not fit.
type rowLog struct {
	b      *Backend
	blocks []unsafe.Pointer
	used   uintptr // bytes of the last block
}

const (
	blockBytes = 256 << 10
	blockWords = blockBytes / 8
	maxBlocks  = 1<<32/blockWords - 1
	keptBlocks = 16 // for the next snapshot, at least

	undoLinkBytes = 8 // offset+1 of the undo record before, of the same pane
)

// add makes room for up to n images and returns for how many: as many as the block takes.
func (l *rowLog) add(size uintptr, n int) (p unsafe.Pointer, offset uint32, fits int, err error) {
	if len(l.blocks) == 0 || l.used+size > blockBytes {
		if len(l.blocks) == maxBlocks {
			return nil, 0, 0, fmt.Errorf("table: copy rows: log of %d blocks is full", maxBlocks)
		}
		l.blocks = append(l.blocks, l.b.takeBlock())
		l.used = 0
	}
	block := len(l.blocks) - 1
	p = unsafe.Add(l.blocks[block], l.used)
	offset = uint32(block*blockWords) + uint32(l.used/8)
	fits = min(n, int((blockBytes-l.used)/size))
	l.used += size * uintptr(fits)
	return p, offset, fits, nil
}

// image returns what lies at an offset.
func image(blocks []unsafe.Pointer, offset uint32) unsafe.Pointer {
	return unsafe.Add(blocks[offset/blockWords], uintptr(offset%blockWords)*8)
}

// next returns the offset of the image behind one of the same size.
func next(offset uint32, size uintptr) uint32 {
	in := uintptr(offset%blockWords)*8 + size
	if in+size > blockBytes {
		return (offset/blockWords + 1) * blockWords
	}
	return offset + uint32(size/8)
}

func (b *Backend) takeBlock() unsafe.Pointer {
	if n := len(b.blocks); n > 0 {
		block := b.blocks[n-1]
		b.blocks = b.blocks[:n-1]
		return block
	}
	b.memoryBytes += blockBytes
	return noscan(blockBytes)
}

// releaseLogs keeps the blocks of a snapshot for the next one, and no more: fresh memory
// costs several times what copying into it does, and the next peak is as high anyway.
func (b *Backend) releaseLogs(copies, undo *rowLog) {
	keep := max(keptBlocks, len(copies.blocks)+len(undo.blocks))
	b.blocks = append(append(b.blocks, copies.blocks...), undo.blocks...)
	if surplus := len(b.blocks) - keep; surplus > 0 {
		b.blocks = slices.Delete(b.blocks, keep, len(b.blocks))
		b.memoryBytes -= int64(surplus) * blockBytes
	}
	copies.blocks, undo.blocks = nil, nil
}
