package run

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/objstorage"
)

// readAheadBytes is what is read of an object at once while a table in it is walked.
const readAheadBytes = 256 << 10

// section is the part of an object that holds one table, as Pebble reads it.
type section struct {
	object         io.ReaderAt
	offset, length int64
	// ahead says that the table is walked, not looked into: a walk reads ahead.
	ahead bool
}

// ReadAt reads a piece of the table.
func (s *section) ReadAt(_ context.Context, p []byte, off int64) error {
	if off < 0 || off > s.length-int64(len(p)) {
		return fmt.Errorf("%w: %d bytes at %d of a table of %d bytes",
			ErrCorrupt, len(p), off, s.length)
	}
	n, err := s.object.ReadAt(p, s.offset+off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the object ends %d bytes early", ErrTruncated, len(p)-n)
	}
	return err
}

// Close leaves the object open: several tables lie in one.
func (s *section) Close() error { return nil }

// Size returns the length of the table.
func (s *section) Size() int64 { return s.length }

// NewReadHandle returns a handle for the reads of one walk.
func (s *section) NewReadHandle(objstorage.ReadBeforeSize) objstorage.ReadHandle {
	if s.ahead {
		return &readAhead{section: s}
	}
	handle := objstorage.MakeNoopReadHandle(s)
	return &handle
}

// digest verifies the SHA-256 of the table. Every piece read is followed by a call of pause.
func (s *section) digest(want []byte, pause func() error) error {
	hash, piece := sha256.New(), make([]byte, readAheadBytes)
	for off := int64(0); off < s.length; off += int64(len(piece)) {
		piece = piece[:min(s.length-off, readAheadBytes)]
		if err := s.ReadAt(context.Background(), piece, off); err != nil {
			return err
		}
		hash.Write(piece)
		if err := pause(); err != nil {
			return err
		}
	}
	if got := hash.Sum(nil); string(got) != string(want) {
		return fmt.Errorf("%w: sha-256 is %x, want %x", ErrDigest, got, want)
	}
	return nil
}

// readAhead serves the reads of one walk, most of which follow one another, from larger ones.
type readAhead struct {
	section *section
	buffer  []byte
	start   int64 // of buffer, in the table
}

// ReadAt reads a piece of the table.
func (r *readAhead) ReadAt(ctx context.Context, p []byte, off int64) error {
	if at := off - r.start; at >= 0 && at <= int64(len(r.buffer)-len(p)) {
		copy(p, r.buffer[at:])
		return nil
	}
	if len(p) >= readAheadBytes || off < 0 || off > r.section.length-int64(len(p)) {
		return r.section.ReadAt(ctx, p, off)
	}
	if r.buffer == nil {
		r.buffer = make([]byte, min(readAheadBytes, r.section.length))
	}
	r.buffer = r.buffer[:min(int64(cap(r.buffer)), r.section.length-off)]
	if err := r.section.ReadAt(ctx, r.buffer, off); err != nil {
		r.buffer = r.buffer[:0]
		return err
	}
	r.start = off
	copy(p, r.buffer)
	return nil
}

// Close frees the buffer.
func (r *readAhead) Close() error {
	r.buffer = nil
	return nil
}

// SetupForCompaction changes nothing.
func (r *readAhead) SetupForCompaction() {}

// RecordCacheHit changes nothing.
func (r *readAhead) RecordCacheHit(context.Context, int64, int64) {}
