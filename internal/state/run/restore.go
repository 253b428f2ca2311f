package run

import (
	"context"
	"errors"
	"fmt"
	"io"

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

// Restore fills a backend with the rows inside bounds that recorded lists amount to: the panes of
// every subtask whose bounds overlap, as for Lists.Adopt. Every table is fetched whole and its
// digest verified before it is opened; one pane's tables are in memory at a time.
//
// An error names the object and the offset of the run. Errors: ErrTruncated, ErrDigest, ErrCorrupt,
// those of open and of the backend, which is of no use after an error.
func Restore(ctx context.Context, open Opener, panes []*protocol.PaneRuns, bounds types.HashRange,
	b backend.Backend,
) (RestoreStats, error) {
	lists, err := arrange(panes, bounds)
	if err != nil {
		return RestoreStats{}, fmt.Errorf("run: restore: %w", err)
	}
	f := &fetcher{open: open, objects: map[string]filesystem.ReadAtCloser{}}
	for _, list := range lists {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = f.restorePane(ctx, list, bounds, b); err != nil {
			err = fmt.Errorf("table %d, pane %d: %w", list.id.Table, list.id.Pane, err)
			break
		}
	}
	if err = errors.Join(err, f.close()); err != nil {
		return RestoreStats{}, fmt.Errorf("run: restore: %w", err)
	}
	return f.stats, nil
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

func (f *fetcher) restorePane(
	ctx context.Context, list paneList, bounds types.HashRange, b backend.Backend,
) (err error) {
	sources, err := f.sources(ctx, list.runs)
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.Run.Close())
		}
	}()
	if err != nil {
		return err
	}
	merged := Merge(sources, bounds)
	defer func() { err = errors.Join(err, merged.Close()) }()
	if err := b.Restore(list.id.Table, list.id.Pane, bounds, merged); err != nil {
		return err
	}
	return merged.Err() // A backend may have taken it for the end.
}

// sources opens the runs of a list. What it returns has to be closed, also after an error.
func (f *fetcher) sources(ctx context.Context, runs []*protocol.Run) ([]Source, error) {
	sources := make([]Source, 0, len(runs))
	for _, r := range runs {
		content, err := f.fetch(ctx, r)
		if err != nil {
			return sources, fmt.Errorf("read %s: %w", place(r), err)
		}
		reader, err := open(content, r.Digest)
		if err != nil {
			return sources, fmt.Errorf("open %s: %w", place(r), err)
		}
		sources = append(sources, Source{Run: reader, Bounds: boundsOf(r)})
		f.stats.Runs++
		f.stats.Bytes += int64(len(content))
	}
	return sources, nil
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
