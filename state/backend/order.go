package backend

import (
	"bytes"
	"fmt"

	"github.com/leat-io/leat/types"
)

// Order checks entries that are being restored, for implementers of Backend.Restore. The
// zero Order is ready for the first entry. It keeps a copy of the last key.
type Order struct {
	started bool
	hash    uint32
	key     []byte
}

// Check returns an error when entry must not be restored: its hash lies out of bounds, it
// does not come after the entry checked before, its key has a wrong size, or it is deleted.
func (o *Order) Check(layout RowLayout, bounds types.HashRange, entry Entry) error {
	switch {
	case layout.KeyWords > 0 && len(entry.Key) != 8*layout.KeyWords:
		return fmt.Errorf("key of %d bytes, want %d", len(entry.Key), 8*layout.KeyWords)
	case len(entry.Key) > MaxKeyBytes:
		return fmt.Errorf("key of %d bytes, at most %d are possible", len(entry.Key), MaxKeyBytes)
	}
	return o.CheckEntry(bounds, entry)
}

// CheckEntry is Check for entries that are no rows: those of collections and timers.
func (o *Order) CheckEntry(bounds types.HashRange, entry Entry) error {
	switch {
	case entry.Hash < bounds.Lo || entry.Hash > bounds.Hi:
		return fmt.Errorf("hash %08x is out of bounds %v", entry.Hash, bounds)
	case entry.Deleted:
		return fmt.Errorf("key %x is deleted", entry.Key)
	}
	if o.started && (entry.Hash < o.hash ||
		entry.Hash == o.hash && bytes.Compare(entry.Key, o.key) <= 0) {
		return fmt.Errorf("key %x with hash %08x comes after key %x with hash %08x",
			entry.Key, entry.Hash, o.key, o.hash)
	}
	o.started, o.hash = true, entry.Hash
	o.key = append(o.key[:0], entry.Key...)
	return nil
}
