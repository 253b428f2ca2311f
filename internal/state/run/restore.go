package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Opener opens the object a reference names. It knows the directory paths are relative to, and
// where else to look. Restore closes what it opens.
type Opener func(ctx context.Context, path string) (filesystem.ReadAtCloser, error)

// RestoreStats say what a restore read.
type RestoreStats struct {
	Runs  int
	Bytes int64 // tables fetched, whole
}

// Restorer fills a backend with rows. The zero value of Expiry keeps rows of any age.
type Restorer struct {
	Open    Opener
	Bounds  types.HashRange // of the task
	Backend backend.Backend
	// Expiry and NowMillis, the time of day, say which rows are left out because their time to
	// live is over.
	Expiry    Expiry
	NowMillis int64
}

// Restore is Restorer.Restore for rows of any age.
func Restore(ctx context.Context, open Opener, panes []*protocol.PaneRuns, bounds types.HashRange,
	b backend.Backend,
) (RestoreStats, error) {
	return Restorer{Open: open, Bounds: bounds, Backend: b}.Restore(ctx, panes)
}

// Restore fills the backend with the rows inside the bounds that recorded lists amount to: the
// panes of every subtask whose bounds overlap, as for Lists.Adopt. Every table is fetched whole and
// its digest verified before it is opened. The hash ranges of a pane come one after the other, and
// only the tables that one of them needs are in memory.
//
// An error names the object and the offset of the run. Errors: ErrTruncated, ErrDigest, ErrCorrupt,
// those of Open and of the backend, which is of no use after an error.
func (r Restorer) Restore(
	ctx context.Context, panes []*protocol.PaneRuns,
) (RestoreStats, error) {
	lists, err := arrange(panes, r.Bounds)
	if err != nil {
		return RestoreStats{}, fmt.Errorf("run: restore: %w", err)
	}
	f := &fetcher{open: r.Open, objects: map[string]filesystem.ReadAtCloser{}}
	for _, list := range lists {
		if err = r.restorePane(ctx, f, list); err != nil {
			err = fmt.Errorf("%v: %w", list.id, err)
			break
		}
	}
	if err = errors.Join(err, f.close()); err != nil {
		return RestoreStats{}, fmt.Errorf("run: restore: %w", err)
	}
	return f.stats, nil
}

func (r Restorer) restorePane(ctx context.Context, f *fetcher, list paneList) (err error) {
	open := &openTables{fetcher: f, runs: list.runs}
	defer func() { err = errors.Join(err, open.closeUpTo(math.MaxUint32)) }()
	for _, bounds := range pieces(list.runs, r.Bounds) {
		if err := r.restorePiece(ctx, open, list, bounds); err != nil {
			return err
		}
		if err := open.closeUpTo(bounds.Hi); err != nil {
			return err
		}
	}
	return nil
}

// reserver is a backend that can prepare for about so many rows inside bounds, restored in the
// order of their hashes.
type reserver interface {
	Reserve(id backend.TableID, pane backend.Pane, bounds types.HashRange, rows int64) error
}

// pieces cuts bounds where base runs begin, which is where most tables are no longer needed.
func pieces(runs []*protocol.Run, bounds types.HashRange) []types.HashRange {
	starts := []uint32{bounds.Lo}
	for _, r := range runs {
		if r.Base && r.HashLo > bounds.Lo && r.HashLo <= bounds.Hi {
			starts = append(starts, r.HashLo)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	out := make([]types.HashRange, len(starts))
	for i, lo := range starts {
		out[i] = types.HashRange{Lo: lo, Hi: bounds.Hi}
		if i > 0 {
			out[i-1].Hi = lo - 1
		}
	}
	return out
}

func (r Restorer) restorePiece(
	ctx context.Context, open *openTables, list paneList, bounds types.HashRange,
) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var sources []Source
	rows := 0.0
	for _, run := range list.runs {
		clip, ok := intersect(boundsOf(run), bounds)
		if !ok {
			continue
		}
		here := float64(run.Rows) * width(clip) / width(tableBounds(run))
		if !run.Base {
			here /= 2 // Many of them are newer versions of others.
		}
		rows += here
		reader, err := open.reader(ctx, run)
		if err != nil {
			return err
		}
		sources = append(sources, Source{Run: reader, Bounds: boundsOf(run)})
	}
	merged := merge(sources, mergeOptions{
		bounds: bounds, isOver: r.Expiry.of(list.id.Table, r.NowMillis),
	})
	defer func() { err = errors.Join(err, merged.Close()) }()
	if b, ok := r.Backend.(reserver); ok {
		if err := b.Reserve(list.id.Table, list.id.Pane, bounds, int64(rows)); err != nil {
			return err
		}
	}
	if err := r.Backend.Restore(list.id.Table, list.id.Pane, bounds, merged); err != nil {
		return err
	}
	return merged.Err() // A backend may have taken it for the end.
}

// openTables are the tables of a pane in memory. Several slices of one are one table.
type openTables struct {
	fetcher *fetcher
	runs    []*protocol.Run // the list
	tables  []openedTable
}

type openedTable struct {
	run    *protocol.Run
	reader *Reader
	last   uint32 // last hash for which it is needed
}

// reader opens the table of a run, once.
func (o *openTables) reader(ctx context.Context, run *protocol.Run) (*Reader, error) {
	for _, t := range o.tables {
		if isSlice(t.run, run) {
			return t.reader, nil
		}
	}
	last := run.HashHi
	for _, other := range o.runs {
		if isSlice(other, run) {
			last = max(last, other.HashHi)
		}
	}
	content, err := o.fetcher.fetch(ctx, run)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", place(run), err)
	}
	reader, err := open(content, run.Digest)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", place(run), err)
	}
	reader.name = place(run)
	o.tables = append(o.tables, openedTable{run: run, reader: reader, last: last})
	o.fetcher.stats.Runs++
	o.fetcher.stats.Bytes += int64(len(content))
	return reader, nil
}

// isSlice tells whether two references are to one table, and say the same of its content.
func isSlice(a, b *protocol.Run) bool {
	return sameTable(a, b) && a.Length == b.Length && string(a.Digest) == string(b.Digest)
}

// closeUpTo closes the tables that no hash beyond hi needs.
func (o *openTables) closeUpTo(hi uint32) error {
	var errs []error
	o.tables = slices.DeleteFunc(o.tables, func(t openedTable) bool {
		if t.last > hi {
			return false
		}
		errs = append(errs, t.reader.Close())
		return true
	})
	return errors.Join(errs...)
}

// fetcher keeps the objects of one restore open: one object holds runs of many panes.
type fetcher struct {
	open    Opener
	objects map[string]filesystem.ReadAtCloser
	stats   RestoreStats
}

func (f *fetcher) close() error {
	var errs []error
	for path, o := range f.objects {
		if err := o.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %q: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// fetch returns the bytes of a run, not verified yet.
func (f *fetcher) fetch(ctx context.Context, r *protocol.Run) ([]byte, error) {
	if r.File == nil {
		if have := int64(len(r.Inline)); have < r.Length {
			return nil, fmt.Errorf("%w: it has %d bytes of %d", ErrTruncated, have, r.Length)
		}
		return r.Inline, nil
	}
	object, err := f.object(ctx, r.File)
	if err != nil {
		return nil, err
	}
	content := make([]byte, r.Length) // Bounded by the size of the object: see object.
	n, err := object.ReadAt(content, r.Offset)
	if n == len(content) {
		return content, nil // io.ReaderAt may return io.EOF together with the last byte.
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the object ends after %d bytes of %d", ErrTruncated, n, r.Length)
	}
	return nil, err
}

// object opens an object, once, and compares its size with the recorded one, so that every run
// that passed validate lies inside it.
func (f *fetcher) object(ctx context.Context, file *protocol.DataFile) (
	filesystem.ReadAtCloser, error,
) {
	o := f.objects[file.Path]
	if o == nil {
		var err error
		if o, err = f.open(ctx, file.Path); err != nil {
			return nil, err
		}
		f.objects[file.Path] = o
	}
	switch size := o.Size(); {
	case size < file.Size:
		return nil, fmt.Errorf("%w: the object has %d bytes of %d", ErrTruncated, size, file.Size)
	case size > file.Size:
		return nil, fmt.Errorf("%w: the object has %d bytes, recorded are %d",
			ErrCorrupt, size, file.Size)
	}
	return o, nil
}

// place names a run in errors.
func place(r *protocol.Run) string {
	switch {
	case r == nil:
		return "run"
	case r.File == nil:
		return "inline run"
	}
	return fmt.Sprintf("%q at offset %d", r.File.Path, r.Offset)
}
