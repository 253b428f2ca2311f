package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Found is a checkpoint to restore from. It is immutable and safe for concurrent use.
type Found struct {
	// Meta is the verified content. The caller must not change it.
	Meta *meta.Checkpoint
	// FS and Dir are where the metadata was read: a store and the directory in it.
	FS  filesystem.FileSystem
	Dir filesystem.Path
	// Record is the record of this name that names exactly this metadata; nil without one.
	Record *Record
	// Newest: it is the newest checkpoint of the name, read where it was written. Only then may new
	// checkpoints refer to its files; after any other start the first checkpoint must be a full
	// one, because the files may belong to another job, be removed by the retention of the master
	// before, be lost where they were and live in a copy only, or have stayed behind when the
	// checkpoint was copied here.
	Newest bool
	// NeedsCommit: nothing says that the sinks have committed it. They must do so before the job
	// runs; if they have done it already, that changes nothing.
	NeedsCommit bool

	registry *filesystem.Registry
}

// URI returns where the metadata file is.
func (f *Found) URI() string { return uriOf(f.FS, path.Join(f.Dir, metadataName)) }

// Directory returns the URI of the directory that the metadata file is in.
func (f *Found) Directory() string { return uriOf(f.FS, f.Dir) }

// OpenFile opens a file by a reference from the metadata: relative to where the metadata was found
// or, if nothing is there, to where it was written first. The caller closes it and verifies size
// and digest. A file missing in both places gives filesystem.ErrNotExist and the names of both.
func (f *Found) OpenFile(
	ctx context.Context, reference string,
) (filesystem.ReadAtCloser, error) {
	if err := meta.CheckReference(reference); err != nil {
		return nil, fmt.Errorf("store: open file of %q: %w", f.URI(), err)
	}
	here := path.Join(f.Dir, reference)
	file, err := f.FS.Open(ctx, here)
	if err == nil {
		return file, nil
	}
	missing := fmt.Errorf("store: open file of %q: %w", f.URI(), err)
	if !errors.Is(err, filesystem.ErrNotExist) {
		return nil, missing
	}
	files, dir, err := f.registry.Resolve(f.Meta.Header.GetOrigin())
	if err != nil {
		return nil, fmt.Errorf("%w; nor where it was written first: %w", missing, err)
	}
	there := path.Join(dir, reference)
	if files.Scheme() == f.FS.Scheme() && there == here {
		return nil, missing
	}
	file, err = files.Open(ctx, there)
	if err != nil {
		return nil, fmt.Errorf("%w; nor where it was written first: %w", missing, err)
	}
	return file, nil
}

// Latest finds the newest checkpoint of the job name. ErrNoCheckpoint: the store answered, and
// there is none. A record whose metadata is missing or damaged is an error that names the file;
// an older checkpoint is never taken in its place. A master calls it after NewGeneration, so that
// what it finds stays the newest.
func (s *Store) Latest(ctx context.Context) (*Found, error) {
	found, err := s.latest(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: find newest checkpoint of %q: %w", s.name, err)
	}
	return found, nil
}

func (s *Store) latest(ctx context.Context) (*Found, error) {
	listed, err := s.list(ctx)
	for err == nil {
		var found *Found
		found, err = s.newestOf(ctx, listed)
		gone := errors.Is(err, ErrNoMetadata) || errors.Is(err, filesystem.ErrNotExist)
		if !gone {
			return found, err
		}
		// To a reader beside a running master things may vanish between listing and reading. They
		// do so only after something newer has come.
		was, cause := listed.newestCheckpoint(), err
		if listed, err = s.list(ctx); err == nil && listed.newestCheckpoint() == was {
			return nil, cause
		}
	}
	return nil, err
}

func (s *Store) newestOf(ctx context.Context, listed control) (*Found, error) {
	r, err := s.newestRecord(ctx, listed)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fmt.Errorf("%w: no record is in %q", ErrNoCheckpoint, uriOf(s.fs, s.control))
	}
	found, err := s.loadRecord(ctx, r)
	if err != nil {
		return nil, err
	}
	found.Newest, found.NeedsCommit = s.isAtHome(found), !listed.isMarked(r.Checkpoint)
	return found, nil
}

// newestRecord returns the newest record of a checkpoint, nil if there is none.
func (s *Store) newestRecord(ctx context.Context, listed control) (*Record, error) {
	for i := len(listed.checkpoints) - 1; i >= 0; i-- {
		r, err := s.record(ctx, listed.checkpoints[i])
		if err != nil {
			return nil, err
		}
		if r.IsCheckpoint() {
			return r, nil
		}
	}
	return nil, nil
}

// loadRecord reads the metadata that a record names. Errors: ErrNoMetadata, ErrDamaged.
func (s *Store) loadRecord(ctx context.Context, r *Record) (*Found, error) {
	files, p := s.fs, path.Join(s.root, r.Path)
	if r.IsSavepoint() {
		var dir filesystem.Path
		var err error
		if files, dir, err = s.registry.Resolve(r.URI); err != nil {
			return nil, fmt.Errorf("find savepoint %q: %w", r.URI, err)
		}
		p = path.Join(dir, metadataName)
	}
	file, c, err := readMetadata(ctx, files, p)
	if errors.Is(err, filesystem.ErrNotExist) {
		err = fmt.Errorf("%w: %q is missing, and the record of checkpoint %d names it",
			ErrNoMetadata, uriOf(files, p), r.Checkpoint)
		if r.IsSavepoint() {
			err = fmt.Errorf("%w: the job was stopped with this savepoint; if it was moved, start "+
				"from its new place, and if it is gone, from an older checkpoint", err)
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if digestOf(file) != r.Digest {
		return nil, fmt.Errorf("%w: %q is not the file which the record of checkpoint %d names",
			ErrDamaged, uriOf(files, p), r.Checkpoint)
	}
	return &Found{Meta: c, FS: files, Dir: path.Dir(p), Record: r, registry: s.registry}, nil
}

func digestOf(file []byte) string {
	digest := sha256.Sum256(file)
	return hex.EncodeToString(digest[:])
}

// readMetadata reads and decodes a metadata file. Errors name the file.
func readMetadata(
	ctx context.Context, files filesystem.FileSystem, p filesystem.Path,
) ([]byte, *meta.Checkpoint, error) {
	file, err := filesystem.ReadFile(ctx, files, p)
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", uriOf(files, p), err)
	}
	c, err := meta.Decode(file)
	if errors.Is(err, meta.ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %q: %w", uriOf(files, p), err)
	}
	return file, c, nil
}

// Load finds a checkpoint or savepoint by URI or path: of its directory, with or without a slash at
// the end, or of its `_metadata` file. If it is one of this job name, Record is set. ErrNoMetadata
// says what was looked for and, if there are checkpoints below the directory, names the newest.
func (s *Store) Load(ctx context.Context, uriOrPath string) (*Found, error) {
	found, digest, err := read(ctx, s.registry, uriOrPath)
	if err == nil && found.Meta.Header.GetJobName() == s.name {
		err = s.attach(ctx, found, digest)
	}
	if err != nil {
		return nil, fmt.Errorf("store: load %q: %w", uriOrPath, err)
	}
	return found, nil
}

// Read is Load without a job name, for tools.
func Read(ctx context.Context, registry *filesystem.Registry, uriOrPath string) (*Found, error) {
	found, _, err := read(ctx, registry, uriOrPath)
	if err != nil {
		return nil, fmt.Errorf("store: load %q: %w", uriOrPath, err)
	}
	return found, nil
}

func read(
	ctx context.Context, registry *filesystem.Registry, uriOrPath string,
) (found *Found, digest string, err error) {
	files, p, err := registry.Resolve(uriOrPath)
	if err != nil {
		return nil, "", err
	}
	if path.Base(p) != metadataName {
		p = path.Join(p, metadataName)
	}
	file, c, err := readMetadata(ctx, files, p)
	if errors.Is(err, filesystem.ErrNotExist) {
		return nil, "", explainMissing(ctx, files, p)
	}
	if err != nil {
		return nil, "", err
	}
	return &Found{Meta: c, FS: files, Dir: path.Dir(p), NeedsCommit: true, registry: registry},
		digestOf(file), nil
}

// explainMissing says what was looked for and what may have been meant.
func explainMissing(ctx context.Context, files filesystem.FileSystem, p filesystem.Path) error {
	err := fmt.Errorf("%w: looked for %q", ErrNoMetadata, uriOf(files, p))
	dir := path.Dir(p)
	if entry, statErr := files.Stat(ctx, dir); statErr == nil && !entry.Dir {
		return fmt.Errorf("%w, but %q is a file", err, uriOf(files, dir))
	}
	newest := uint64(0)
	for entry, listErr := range files.List(ctx, dir, false) {
		if listErr != nil {
			return err // The cure is a favour; what was asked for has its answer.
		}
		n, ok := parseNumbered(path.Base(entry.Path), chkPrefix)
		if !ok || n < newest {
			continue
		}
		if _, statErr := files.Stat(ctx, path.Join(entry.Path, metadataName)); statErr == nil {
			newest = n
		}
	}
	if newest > 0 {
		cure := path.Join(dir, chkPrefix+strconv.FormatUint(newest, 10))
		return fmt.Errorf("%w; the newest checkpoint below is %q", err, uriOf(files, cure))
	}
	return err
}

// attach finds out what the records of the name say about a checkpoint.
func (s *Store) attach(ctx context.Context, found *Found, digest string) error {
	listed, err := s.list(ctx)
	if err != nil {
		return err
	}
	number := found.Meta.Header.GetCheckpointId()
	if _, ok := slices.BinarySearch(listed.checkpoints, number); !ok {
		return nil
	}
	r, err := s.record(ctx, number)
	if errors.Is(err, filesystem.ErrNotExist) {
		return nil
	}
	if err != nil || !r.IsCheckpoint() || r.Digest != digest {
		return err
	}
	newest, err := s.newestRecord(ctx, listed)
	if err != nil {
		return err
	}
	found.Record, found.NeedsCommit = r, !listed.isMarked(number)
	found.Newest = newest != nil && newest.Checkpoint == number && s.isAtHome(found)
	return nil
}
