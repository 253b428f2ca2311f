package run

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/types"
)

// This file is the only one that knows Pebble. Keys and values of its iterators have types without
// a public name, so they are taken apart here, where they are produced.

const (
	tableFormat     = sstable.TableFormatPebblev7
	blockBytes      = 16 << 10
	indexBlockBytes = 256 << 10
	// foreignAttributes are features that format 1 does not use.
	foreignAttributes = sstable.AttributeValueBlocks | sstable.AttributeBlobValues |
		sstable.AttributeRangeKeySets | sstable.AttributeRangeKeyUnsets |
		sstable.AttributeRangeKeyDels
)

type pinned struct {
	writer sstable.WriterOptions
	reader sstable.ReaderOptions
}

// pinnedOptions are those of format 1; see docs/formats/run.md before changing any.
var pinnedOptions = sync.OnceValue(func() pinned {
	options := &pebble.Options{
		Comparer:           pebble.DefaultComparer,
		FormatMajorVersion: pebble.FormatMajorVersion(24),
	}
	options.Levels[0].BlockSize = blockBytes
	options.Levels[0].IndexBlockSize = indexBlockBytes
	options.Levels[0].FilterPolicy = pebble.NoFilterPolicy
	options.Levels[0].Compression = func() *sstable.CompressionProfile {
		return sstable.SnappyCompression
	}
	options.EnsureDefaults()
	p := pinned{
		writer: options.MakeWriterOptions(0, tableFormat),
		reader: options.MakeReaderOptions(),
	}
	p.writer.BlockPropertyCollectors = nil
	p.writer.DisableValueBlocks = true
	return p
})

// writable passes what Pebble writes on to an io.Writer, which by contract neither keeps nor
// changes the slice: nothing has to be copied.
type writable struct{ w io.Writer }

func (w writable) Write(p []byte) error {
	_, err := w.w.Write(p)
	return err
}

func (writable) Finish() error { return nil }
func (writable) Abort()        {}

// newTableWriter returns a writer of format 1. Close must be called on every path: a goroutine of
// Pebble writes the data blocks until then.
func newTableWriter(w io.Writer) *sstable.Writer {
	return sstable.NewWriter(writable{w}, pinnedOptions().writer)
}

// guard turns a panic of Pebble over bytes it cannot make sense of into an error. A broken
// invariant of our own goes on.
func guard(err *error) {
	switch r := recover().(type) {
	case nil:
	case *invariant.Violation:
		invariant.Fail("%s", r.Message)
	default:
		*err = fmt.Errorf("%w: %v", ErrCorrupt, r)
	}
}

// sortedTable is an open table in memory.
type sortedTable struct {
	r *sstable.Reader
}

func openTable(content []byte) (t sortedTable, err error) {
	defer guard(&err)
	return admit(sstable.NewMemReader(content, pinnedOptions().reader))
}

// openTableIn is openTable for a table of which only what is asked for is read.
func openTableIn(ctx context.Context, part *section) (t sortedTable, err error) {
	defer guard(&err)
	return admit(sstable.NewReader(ctx, part, pinnedOptions().reader))
}

// admit refuses a table that is not of format 1.
func admit(r *sstable.Reader, err error) (sortedTable, error) {
	if err != nil {
		return sortedTable{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	t := sortedTable{r: r}
	format, err := r.TableFormat()
	if err == nil && format != tableFormat {
		err = fmt.Errorf("table format %v, want %v", format, tableFormat)
	}
	if err == nil && r.Attributes.Intersects(foreignAttributes) {
		err = fmt.Errorf("table has %v", r.Attributes)
	}
	if err != nil {
		_ = t.close() // The first error says more.
		return sortedTable{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return t, nil
}

func (t sortedTable) close() (err error) {
	defer guard(&err)
	return t.r.Close()
}

// rangeDeletes returns the hash ranges that the table deletes, in order.
func (t sortedTable) rangeDeletes() (ranges []types.HashRange, err error) {
	defer guard(&err)
	it, err := t.r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms,
		sstable.NoReadEnv)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if it == nil {
		return nil, nil
	}
	defer it.Close()
	span, err := it.First()
	for ; span != nil && err == nil; span, err = it.Next() {
		r, ok := parseSpan(span.Start, span.End)
		if !ok || len(ranges) > 0 && r.Lo <= ranges[len(ranges)-1].Hi {
			return nil, fmt.Errorf("%w: range delete %x to %x", ErrCorrupt, span.Start, span.End)
		}
		ranges = append(ranges, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return ranges, nil
}

// pointIterator walks the points of a table in order. key and value are valid until the next step.
type pointIterator struct {
	it   sstable.Iterator
	pool block.BufferPool

	key, value []byte
	deleted    bool
}

// points starts a walk over the points inside bounds; seek places it on the first.
func (t sortedTable) points(bounds types.HashRange) (p *pointIterator, err error) {
	defer guard(&err)
	p = &pointIterator{}
	p.pool.Init(4)
	var upper []byte
	if bounds.Hi != types.AllHashes.Hi {
		upper = appendEnd(nil, bounds.Hi)
	}
	p.it, err = t.r.NewPointIter(context.Background(), sstable.IterOptions{
		Lower:                appendKey(nil, bounds.Lo, nil),
		Upper:                upper,
		Env:                  sstable.ReadEnv{Block: block.ReadEnv{BufferPool: &p.pool}},
		FilterBlockSizeLimit: sstable.NeverUseFilterBlock,
		ReaderProvider:       sstable.MakeTrivialReaderProvider(t.r),
		BlobContext:          sstable.AssertNoBlobHandles,
	})
	if err != nil {
		p.pool.Release()
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return p, nil
}

// seek moves to the first point at or after hash. It returns false when there is none.
func (p *pointIterator) seek(hash uint32) (ok bool, err error) {
	defer guard(&err)
	kv := p.it.SeekGE(appendKey(nil, hash, nil), 0)
	if kv == nil {
		return false, p.end()
	}
	kind := kv.Kind()
	p.key, p.deleted = kv.K.UserKey, kind == pebble.InternalKeyKindDelete
	if p.value, _, err = kv.Value(nil); err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return true, p.check(kind)
}

// next moves to the next point. It returns false at the end.
func (p *pointIterator) next() (ok bool, err error) {
	defer guard(&err)
	kv := p.it.Next()
	if kv == nil {
		return false, p.end()
	}
	kind := kv.Kind()
	p.key, p.deleted = kv.K.UserKey, kind == pebble.InternalKeyKindDelete
	if p.value, _, err = kv.Value(nil); err != nil {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return true, p.check(kind)
}

func (p *pointIterator) end() error {
	if err := p.it.Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func (p *pointIterator) check(kind pebble.InternalKeyKind) error {
	if kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindDelete {
		return fmt.Errorf("%w: point of kind %v", ErrCorrupt, kind)
	}
	if len(p.key) < prefixBytes {
		return fmt.Errorf("%w: key %x is too short", ErrCorrupt, p.key)
	}
	return nil
}

// close frees the buffers. Idempotent.
func (p *pointIterator) close() (err error) {
	if p.it == nil {
		return nil
	}
	defer guard(&err)
	it := p.it
	p.it, p.key, p.value = nil, nil, nil
	err = it.Close()
	p.pool.Release()
	return err
}
