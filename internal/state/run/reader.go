package run

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/leat-io/leat/types"
)

// Reader is an open run. It may be read by several merges, one after the other.
type Reader struct {
	table   sortedTable
	deletes []types.HashRange
	name    string // of the run, for errors; may be empty
}

// Open verifies the digest of content and opens it as a run. The Reader keeps content, which must
// not change until Close. Errors: ErrDigest, ErrCorrupt.
func Open(content []byte, digest []byte) (*Reader, error) {
	r, err := open(content, digest)
	if err != nil {
		return nil, fmt.Errorf("run: open: %w", err)
	}
	return r, nil
}

func open(content []byte, digest []byte) (*Reader, error) {
	if got := sha256.Sum256(content); string(got[:]) != string(digest) {
		return nil, fmt.Errorf("%w: sha-256 is %x, want %x", ErrDigest, got, digest)
	}
	table, err := openTable(content)
	if err != nil {
		return nil, err
	}
	return readerOf(table)
}

// readerOf takes over a table.
func readerOf(table sortedTable) (*Reader, error) {
	deletes, err := table.rangeDeletes()
	if err != nil {
		return nil, errors.Join(err, table.close())
	}
	return &Reader{table: table, deletes: deletes}, nil
}

// RangeDeletes returns the hash ranges that the run deletes in older runs, in order and disjoint.
// The slice belongs to the Reader.
func (r *Reader) RangeDeletes() []types.HashRange { return r.deletes }

// Close releases the run. No merge of it may be in use.
func (r *Reader) Close() error {
	if err := r.table.close(); err != nil {
		return fmt.Errorf("run: close: %w", err)
	}
	return nil
}
