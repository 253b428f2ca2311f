package backend

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// SerialFixed is the size of the fixed part in the serial form of a row: FixedBytes without
// the slots of collections at its end, so that a row written before its operator had another
// collection is read by one that has it, and the other way round.
func (l RowLayout) SerialFixed() int {
	size := l.FixedBytes
	for slices.ContainsFunc(l.Collections, func(c CollectionLayout) bool {
		return c.Slot == size-8
	}) {
		size -= 8
	}
	return size
}

// AppendValue appends the serial form of a row's value to dst and returns it: the first
// SerialFixed bytes of the fixed part, in which each variable slot holds the length of its
// value, then the values in slot order. Slots of collections that are not left out are zeros.
// fixed is FixedBytes long; what it holds in slots is ignored. values returns the bytes of a
// slot; it is called twice for each and must answer alike. The key is not part of the value.
//
// The bytes are described in docs/formats/row.md.
func AppendValue(dst []byte, layout RowLayout, fixed []byte, values func(slot int) []byte) []byte {
	start, size := len(dst), layout.SerialFixed()
	dst = append(dst, fixed[:size]...)
	for _, c := range layout.Collections {
		if c.Slot < size {
			clear(dst[start+c.Slot : start+c.Slot+8])
		}
	}
	for slot, at := range layout.VarSlots {
		length := uint64(len(values(slot)))
		binary.LittleEndian.PutUint64(dst[start+at:], length)
	}
	for slot := range layout.VarSlots {
		dst = append(dst, values(slot)...)
	}
	return dst
}

// SplitValue takes the serial form of a row's value apart: fixed is the fixed part, of
// SerialFixed bytes, whose variable slots hold lengths and must be overwritten in the copy
// that is kept; vars has the bytes of every slot. All alias value. It fails when the lengths
// do not add up.
func SplitValue(layout RowLayout, value []byte) (fixed []byte, vars [][]byte, err error) {
	return AppendSplit(nil, layout, value)
}

// AppendSplit is SplitValue which appends the values to vars, to spare the allocation.
func AppendSplit(
	vars [][]byte, layout RowLayout, value []byte,
) (fixed []byte, _ [][]byte, err error) {
	size := layout.SerialFixed()
	if len(value) < size {
		return nil, vars, fmt.Errorf("backend: split row value: %d bytes, "+
			"want at least the fixed part of %d", len(value), size)
	}
	fixed, rest := value[:size:size], value[size:]
	for slot, at := range layout.VarSlots {
		length := binary.LittleEndian.Uint64(fixed[at:])
		if length > uint64(len(rest)) || length > MaxValueBytes {
			return nil, vars, fmt.Errorf("backend: split row value: slot %d says %d bytes, "+
				"%d are left", slot, length, len(rest))
		}
		vars = append(vars, rest[:length:length])
		rest = rest[length:]
	}
	if len(rest) > 0 {
		return nil, vars, fmt.Errorf("backend: split row value: %d bytes after the last slot",
			len(rest))
	}
	return fixed, vars, nil
}
