package run

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Summary says what a run holds.
type Summary struct {
	// Rows is the number of points, deletes included.
	Rows int64
	// SerialBytes is 4 + key + value summed over the points: their size before compression.
	SerialBytes int64
	// Length is the number of bytes written.
	Length int64
	// Digest is the SHA-256 of these bytes.
	Digest [DigestBytes]byte
}

// Builder writes one run to an io.Writer, front to back. Points come in order (hash, key), each key
// once; range deletes in any order and at any time. It ends with Finish or Abort, one of which must
// be called. After an error only Abort is useful. The writer may be called from another goroutine
// than the Builder's, never from two at a time, and not after Finish or Abort has returned.
//
// Equal points and range deletes give equal bytes.
type Builder struct {
	table   *sstable.Writer
	out     *digestWriter
	key     []byte
	deletes []types.HashRange
	summary Summary
	closed  bool
}

// NewBuilder returns a Builder that writes to w.
func NewBuilder(w io.Writer) *Builder {
	out := &digestWriter{w: w, digest: sha256.New()}
	return &Builder{table: newTableWriter(out), out: out}
}

// Set adds a row. It keeps neither slice.
func (b *Builder) Set(hash uint32, key, value []byte) error {
	if len(key) > backend.MaxKeyBytes {
		return fmt.Errorf("run: write row: key of %d bytes, at most %d are possible",
			len(key), backend.MaxKeyBytes)
	}
	b.key = appendKey(b.key[:0], hash, key)
	if err := b.table.Set(b.key, value); err != nil {
		return fmt.Errorf("run: write row: %w", err)
	}
	b.count(len(value))
	return nil
}

// Delete adds the deletion of a row of older runs. It does not keep the slice.
func (b *Builder) Delete(hash uint32, key []byte) error {
	b.key = appendKey(b.key[:0], hash, key)
	if err := b.table.Delete(b.key); err != nil {
		return fmt.Errorf("run: write delete: %w", err)
	}
	b.count(0)
	return nil
}

func (b *Builder) count(valueBytes int) {
	b.summary.Rows++
	b.summary.SerialBytes += int64(len(b.key) + valueBytes)
}

// DeleteHashRange deletes all rows of older runs whose hashes lie in r. It never touches points of
// this run. Ranges may overlap.
func (b *Builder) DeleteHashRange(r types.HashRange) {
	if r.Lo <= r.Hi {
		b.deletes = append(b.deletes, r)
	}
}

// Finish completes the run.
func (b *Builder) Finish() (Summary, error) {
	if err := b.writeDeletes(); err != nil {
		b.Abort()
		return Summary{}, fmt.Errorf("run: write range delete: %w", err)
	}
	b.closed = true
	if err := b.table.Close(); err != nil {
		return Summary{}, fmt.Errorf("run: finish: %w", err)
	}
	b.summary.Length = b.out.written
	b.out.digest.Sum(b.summary.Digest[:0])
	return b.summary, nil
}

// writeDeletes writes the ranges sorted, overlapping and adjacent ones joined.
func (b *Builder) writeDeletes() error {
	slices.SortFunc(b.deletes, func(x, y types.HashRange) int { return cmp.Compare(x.Lo, y.Lo) })
	for i := 0; i < len(b.deletes); {
		r := b.deletes[i]
		for i++; i < len(b.deletes) && uint64(b.deletes[i].Lo) <= uint64(r.Hi)+1; i++ {
			r.Hi = max(r.Hi, b.deletes[i].Hi)
		}
		err := b.table.DeleteRange(appendKey(nil, r.Lo, nil), appendEnd(nil, r.Hi))
		if err != nil {
			return err
		}
	}
	return nil
}

// Abort ends the Builder without a run; what was written so far is worthless. It does nothing after
// Finish.
func (b *Builder) Abort() {
	if b.closed {
		return
	}
	b.closed = true
	b.out.aborted.Store(true)
	_ = b.table.Close() // Fails with errAborted; it only has to end Pebble's goroutine.
}

// BuildOptions say what a run made of entries is.
type BuildOptions struct {
	// Bounds are the hashes of the task; an entry outside is an error.
	Bounds types.HashRange
	// Base makes a base run: a range delete of Bounds comes first and deleted entries are left out.
	Base bool
	// deletes are hash ranges that the run deletes in older ones, even when it has no entries.
	deletes []types.HashRange
}

// Build writes all entries as one run and returns its bytes. No entries, or only deleted ones for
// a base, give no bytes and no error: there is nothing to list then.
func Build(entries backend.Entries, options BuildOptions) ([]byte, Summary, error) {
	var out bytes.Buffer
	summary, _, err := buildTo(&out, entries, options)
	if err != nil {
		return nil, Summary{}, err
	}
	return out.Bytes(), summary, nil
}

// buildTo is Build into a writer. It also returns how many entries it was given.
func buildTo(w io.Writer, entries backend.Entries, options BuildOptions) (
	summary Summary, seen int, err error,
) {
	var b *Builder
	defer func() {
		if b != nil {
			b.Abort()
		}
	}()
	for e, ok := entries.Next(); ok; e, ok = entries.Next() {
		seen++
		if e.Hash < options.Bounds.Lo || e.Hash > options.Bounds.Hi {
			return Summary{}, seen, fmt.Errorf("run: write row: hash %08x is out of bounds %v",
				e.Hash, options.Bounds)
		}
		if e.Deleted && options.Base {
			continue
		}
		if b == nil { // Not earlier: a table without rows would be 800 bytes for nothing.
			b = NewBuilder(w)
		}
		if e.Deleted {
			err = b.Delete(e.Hash, e.Key)
		} else {
			err = b.Set(e.Hash, e.Key, e.Value)
		}
		if err != nil {
			return Summary{}, seen, err
		}
	}
	if err := entries.Err(); err != nil {
		return Summary{}, seen, fmt.Errorf("run: read entries: %w", err)
	}
	if b == nil && len(options.deletes) == 0 {
		return Summary{}, seen, nil
	}
	if b == nil {
		b = NewBuilder(w)
	}
	if options.Base {
		b.DeleteHashRange(options.Bounds)
	}
	for _, r := range options.deletes {
		b.DeleteHashRange(r)
	}
	summary, err = b.Finish()
	return summary, seen, err
}

var (
	errAborted = errors.New("run is given up")
	// errNothing ends an upload that turned out to have no bytes.
	errNothing = errors.New("there is nothing to write")
)

// digestWriter counts and digests what it passes on. Write is called by Pebble's goroutine until
// the table is closed; only aborted is touched by another meanwhile.
type digestWriter struct {
	w       io.Writer
	digest  hash.Hash
	written int64
	aborted atomic.Bool
}

func (d *digestWriter) Write(p []byte) (int, error) {
	if d.aborted.Load() {
		return 0, errAborted
	}
	n, err := d.w.Write(p)
	if err != nil {
		return n, err
	}
	d.digest.Write(p)
	d.written += int64(n)
	return n, nil
}
