package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/types"
)

// Verified is what Verify found about one checkpoint or savepoint.
type Verified struct {
	// Found is what was read; nil when the metadata is no good.
	Found *Found
	// Files are the metadata first, then the files it refers to in the order of the metadata.
	Files []VerifiedFile
}

// VerifiedFile is one file.
type VerifiedFile struct {
	Path     string // a URI for the metadata, else the reference as it stands in the metadata
	Bytes    int64
	Runs     int   // sorted runs in it that the checkpoint refers to
	Rows     int64 // rows read from them
	Problems []error
}

// OK tells whether nothing was wrong.
func (v *Verified) OK() bool {
	for _, f := range v.Files {
		if len(f.Problems) > 0 {
			return false
		}
	}
	return true
}

// Verify reads a checkpoint or savepoint whole: that the metadata is what its record names, and of
// every file it refers to that it exists, has its size, that each run has its digest and decodes.
// What is wrong is in the result, file by file; the error is for a place where nothing is.
func Verify(
	ctx context.Context, registry *filesystem.Registry, uriOrPath string,
) (*Verified, error) {
	files, p, err := registry.Resolve(uriOrPath)
	if err != nil {
		return nil, fmt.Errorf("store: verify %q: %w", uriOrPath, err)
	}
	if path.Base(p) != metadataName {
		p = path.Join(p, metadataName)
	}
	v := &Verified{}
	head := VerifiedFile{Path: uriOf(files, p)}
	found, digest, err := read(ctx, registry, uriOrPath)
	switch {
	case errors.Is(err, ErrNoMetadata):
		return nil, fmt.Errorf("store: verify %q: %w", uriOrPath, err)
	case err != nil:
		head.Problems = append(head.Problems, err)
		v.Files = append(v.Files, head)
		return v, nil
	}
	v.Found = found
	if entry, err := files.Stat(ctx, p); err == nil {
		head.Bytes = entry.Size
	}
	head.fault(found.checkRecord(ctx, digest))
	head.fault(found.checkContents(ctx))
	v.Files = append(v.Files, head)
	v.verifyFiles(ctx)
	return v, nil
}

func (f *VerifiedFile) fault(err error) {
	if err != nil {
		f.Problems = append(f.Problems, err)
	}
}

// checkRecord compares the metadata with the record of its number, if it lies in the directories of
// a job.
func (f *Found) checkRecord(ctx context.Context, digest string) error {
	h := f.Meta.Header
	if _, ok := parseNumbered(path.Base(f.Dir), chkPrefix); !ok ||
		path.Base(path.Dir(f.Dir)) != h.GetJobId() {
		return nil
	}
	root := path.Dir(path.Dir(f.Dir))
	s, err := Open(ctx, f.registry, uriOf(f.FS, root), h.GetJobName())
	if err != nil {
		return err
	}
	r, err := s.record(ctx, h.GetCheckpointId())
	switch {
	case errors.Is(err, filesystem.ErrNotExist):
		return nil // Copied here, or never completed: it can be restored from by its path.
	case err != nil:
		return err
	case r.IsCheckpoint() && path.Join(root, r.Path) == path.Join(f.Dir, metadataName) &&
		r.Digest != digest:
		return fmt.Errorf("%w: it is not the file which the record of checkpoint %d names",
			ErrDamaged, r.Checkpoint)
	}
	return nil
}

// checkContents compares the twin for people, which may be missing.
func (f *Found) checkContents(ctx context.Context) error {
	p := path.Join(f.Dir, contentsName)
	have, err := filesystem.ReadFile(ctx, f.FS, p)
	if errors.Is(err, filesystem.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	want, err := meta.ContentsJSON(f.Meta)
	if err == nil && !bytes.Equal(have, want) {
		err = fmt.Errorf("%q differs from what _metadata says; it is for people only: "+
			"remove it", uriOf(f.FS, p))
	}
	return err
}

// verifyFiles verifies the runs, file after file.
func (v *Verified) verifyFiles(ctx context.Context) {
	at := map[string]int{}
	checked := map[string]bool{}
	for _, operator := range v.Found.Meta.Operators {
		for _, subtask := range operator.GetSubtasks() {
			for _, pane := range subtask.GetKeyed().GetPanes() {
				for _, r := range pane.GetRuns() {
					name := r.GetFile().GetPath()
					i, known := at[name]
					if r.GetFile() == nil {
						i, known = 0, true // in the metadata
					}
					if !known {
						i = len(v.Files)
						at[name] = i
						v.Files = append(v.Files, VerifiedFile{Path: name,
							Bytes: r.GetFile().GetSize()})
					}
					// Rescaling refers to one run several times.
					key := fmt.Sprint(name, r.GetOffset(), r.GetLength(), r.GetDigest())
					if checked[key] {
						continue
					}
					checked[key] = true
					v.Files[i].run(ctx, v.Found, r)
				}
			}
		}
	}
}

// run verifies one run of the file.
func (f *VerifiedFile) run(ctx context.Context, found *Found, r *protocol.Run) {
	f.Runs++
	rows, err := verifyRun(ctx, found, r)
	f.Rows += rows
	if err == nil {
		return
	}
	for _, known := range f.Problems {
		if known.Error() == err.Error() {
			return // a missing file, say, once for all its runs
		}
	}
	f.Problems = append(f.Problems, err)
}

func verifyRun(ctx context.Context, found *Found, r *protocol.Run) (rows int64, err error) {
	if r.GetFile() == nil {
		reader, err := run.Open(r.GetInline(), r.GetDigest())
		if err != nil {
			return 0, fmt.Errorf("inline run: %w", err)
		}
		return readRun(ctx, reader, r)
	}
	object, err := found.OpenFile(ctx, r.GetFile().GetPath())
	if err != nil {
		return 0, errors.New(strings.TrimPrefix(err.Error(), "store: "))
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	if have, want := object.Size(), r.GetFile().GetSize(); have != want {
		return 0, fmt.Errorf("it has %d bytes, recorded are %d", have, want)
	}
	digest := sha256.New()
	part := io.NewSectionReader(object, r.GetOffset(), r.GetLength())
	if _, err := io.Copy(digest, part); err != nil {
		return 0, fmt.Errorf("read run at offset %d: %w", r.GetOffset(), err)
	}
	if !bytes.Equal(digest.Sum(nil), r.GetDigest()) {
		return 0, fmt.Errorf("run at offset %d: %w: sha-256 is %x, want %x",
			r.GetOffset(), run.ErrDigest, digest.Sum(nil), r.GetDigest())
	}
	reader, err := run.OpenAt(ctx, object, r.GetOffset(), r.GetLength())
	if err != nil {
		return 0, fmt.Errorf("run at offset %d: %w", r.GetOffset(), err)
	}
	rows, err = readRun(ctx, reader, r)
	if err != nil {
		err = fmt.Errorf("run at offset %d: %w", r.GetOffset(), err)
	}
	return rows, err
}

// readRun reads all rows of a run and closes it.
func readRun(ctx context.Context, reader *run.Reader, r *protocol.Run) (rows int64, err error) {
	defer func() { err = errors.Join(err, reader.Close()) }()
	merged := run.Merge([]run.Source{{Run: reader, Bounds: types.AllHashes}}, types.AllHashes)
	defer func() { err = errors.Join(err, merged.Close()) }()
	for _, ok := merged.Next(); ok; _, ok = merged.Next() {
		if rows++; rows&0xfff == 0 && ctx.Err() != nil {
			return rows, ctx.Err()
		}
	}
	if err := merged.Err(); err != nil {
		return rows, err
	}
	if rows > r.GetRows() {
		return rows, fmt.Errorf("it has %d rows, recorded are %d", rows, r.GetRows())
	}
	return rows, nil
}
