package backend

import (
	"encoding/binary"
	"fmt"
)

// CollectionKind says how the elements of a collection are found.
type CollectionKind uint8

const (
	// OrderedMap holds entries under user keys, ordered by the bytes of these.
	OrderedMap CollectionKind = iota + 1
	// List holds elements in the order in which they were appended.
	List
)

// String returns the name of k in lower case.
func (k CollectionKind) String() string {
	switch k {
	case OrderedMap:
		return "ordered map"
	case List:
		return "list"
	}
	return fmt.Sprintf("collection kind %d", uint8(k))
}

// CollectionLayout is one collection that every row of a table has.
type CollectionLayout struct {
	Kind CollectionKind
	// Slot is the offset, in the fixed part, of the 8 bytes that refer to the collection. They
	// belong to the backend, are zero exactly when the collection is empty, and are zeros in
	// the serial form of the row, which leaves out those at the end of the fixed part. Callers
	// may compare them with zero and nothing else.
	Slot int
}

// MaxUserKeyBytes bounds a user key of an ordered map.
const MaxUserKeyBytes = 64 << 10

// Collections are the collections of the rows of a table; collection numbers index
// RowLayout.Collections. Their elements are no part of the row: they are changed without
// Table.Change, and each has an entry of its own in snapshots, in the table
// [CollectionTable] of the same pane. Deleting a row clears its collections. No call here
// moves rows.
//
// Bytes passed in are copied; bytes passed out, and cursors, are valid until the next write
// to the table or Snapshot.Step.
type Collections interface {
	// MapGet returns the value under a user key.
	MapGet(row Row, collection int, userKey []byte) (value []byte, ok bool)
	// MapPut inserts or replaces a value. The value may be one that MapGet returned.
	MapPut(row Row, collection int, userKey, value []byte) error
	// MapDelete removes a user key and reports whether it was there.
	MapDelete(row Row, collection int, userKey []byte) (existed bool, err error)
	// MapScan calls f for the entries whose user keys are at least from and below to, in
	// ascending order, until f returns false. A nil to is no bound. f must not write to the
	// table.
	MapScan(row Row, collection int, from, to []byte, f func(userKey, value []byte) bool)
	// MapScanBack is MapScan in descending order.
	MapScanBack(row Row, collection int, from, to []byte, f func(userKey, value []byte) bool)
	// ListAppend adds an element at the end.
	ListAppend(row Row, collection int, element []byte) error
	// ListScan calls f for the elements, the first one first, until f returns false. f must not
	// write to the table.
	ListScan(row Row, collection int, f func(element []byte) bool)
	// Elements is the number of entries of a map or elements of a list, at no cost.
	Elements(row Row, collection int) int
	// Clear removes all elements.
	Clear(row Row, collection int) error
}

// CollectionTable is the table number under which the elements of a collection of a declared
// table are found in snapshots and given to Restore.
func CollectionTable(declared TableID, collection int) TableID {
	return declared + 1 + TableID(collection)
}

// AppendEntryKey appends the key under which something that belongs to a row, such as an
// entry of a collection, lies in a run: the key of the row, led by its length unless all keys
// have the same size, then suffix. keyWords is that of the layout. All entries of a row are
// neighbours, in the order of their suffixes. docs/formats/row.md describes the bytes.
func AppendEntryKey(dst []byte, keyWords int, key, suffix []byte) []byte {
	if keyWords == 0 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(key)))
	}
	return append(append(dst, key...), suffix...)
}

// SplitEntryKey is the inverse of AppendEntryKey. The results alias entryKey.
func SplitEntryKey(keyWords int, entryKey []byte) (key, suffix []byte, err error) {
	size, rest := 8*keyWords, entryKey
	if keyWords == 0 {
		if len(rest) < 4 {
			return nil, nil, fmt.Errorf("backend: split entry key: %d bytes, want at least 4",
				len(rest))
		}
		length := binary.BigEndian.Uint32(rest)
		if length > MaxKeyBytes {
			return nil, nil, fmt.Errorf("backend: split entry key: it says that the key of its "+
				"row has %d bytes, at most %d are possible", length, MaxKeyBytes)
		}
		size, rest = int(length), rest[4:]
	}
	if len(rest) < size {
		return nil, nil, fmt.Errorf("backend: split entry key: the key of its row has %d bytes, "+
			"%d are left", size, len(rest))
	}
	return rest[:size:size], rest[size:], nil
}

// A list lies in a run in blocks: the suffix of the entry key is the block's number, 8 bytes
// big endian, the value is its elements, each led by its length as a uvarint. Numbers ascend
// and may have gaps; elements are never split. A block holds at most BlockBytes, unless it
// is a single element that is larger.
const BlockBytes = 4 << 10

// AppendBlockNumber appends the number of a block as the suffix of its entry key.
func AppendBlockNumber(dst []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(dst, number)
}

// BlockNumber is the inverse of AppendBlockNumber.
func BlockNumber(suffix []byte) (uint64, error) {
	if len(suffix) != 8 {
		return 0, fmt.Errorf("backend: read list block: a number of %d bytes, want 8", len(suffix))
	}
	return binary.BigEndian.Uint64(suffix), nil
}

// AppendElement appends an element to the value of a block.
func AppendElement(block, element []byte) []byte {
	block = binary.AppendUvarint(block, uint64(len(element)))
	return append(block, element...)
}

// NextElement takes the first element off the value of a block. rest is empty after the last
// one. Both alias block.
func NextElement(block []byte) (element, rest []byte, err error) {
	length, n := binary.Uvarint(block)
	if n <= 0 || length > uint64(len(block)-n) {
		return nil, nil, fmt.Errorf("backend: read list block: an element runs past its end")
	}
	end := n + int(length)
	return block[n:end:end], block[end:], nil
}
