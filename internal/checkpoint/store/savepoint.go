package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// SavepointDir returns the URI of a directory for one savepoint of the adopted job below base, a
// URI or a path: "savepoint-", the first 6 digits of the job id, "-", 12 random digits. Nothing is
// written.
func (s *Store) SavepointDir(base string) (string, error) {
	files, dir, err := s.registry.Resolve(base)
	if err != nil {
		return "", fmt.Errorf("store: find savepoint directory %q: %w", base, err)
	}
	unique, err := s.draw(6)
	if err != nil {
		return "", fmt.Errorf("store: name savepoint: %w", err)
	}
	return uriOf(files, path.Join(dir, savepointPrefix+s.Identity().JobID[:6]+"-"+unique)), nil
}

// IsSavepointDir tells whether the last element of a path has the form of SavepointDir.
func IsSavepointDir(p string) bool {
	rest, ok := strings.CutPrefix(path.Base(p), savepointPrefix)
	job, unique, cut := strings.Cut(rest, "-")
	const digits = "0123456789abcdef"
	return ok && cut && len(job) == 6 && len(unique) == 12 && strings.Trim(job+unique, digits) == ""
}

// PublishSavepoint completes a savepoint in a directory that SavepointDir gave: it writes
// `_metadata` there, then `contents.json`. Every file it refers to must be there already.
//
// The rules for the header are those of PublishCheckpoint; the id is taken from the same sequence,
// which fences a stale master too. A savepoint with which the job is stopped (header, stop) gets a
// checkpoint record, and is from then on the newest state of the job; any other one leaves no trace
// under the root but its number. What the outcomes and errors mean is as for PublishCheckpoint;
// Committed says that the savepoint is complete.
func (s *Store) PublishSavepoint(
	ctx context.Context, gen Generation, c *meta.Checkpoint, directory string,
) (Outcome, error) {
	outcome, err := s.publishSavepoint(ctx, gen, c, directory)
	if err != nil {
		err = fmt.Errorf("store: write savepoint %q: %w", directory, err)
	}
	return outcome, err
}

func (s *Store) publishSavepoint(
	ctx context.Context, gen Generation, c *meta.Checkpoint, directory string,
) (Outcome, error) {
	files, dir, err := s.registry.Resolve(directory)
	if err != nil {
		return Failed, err
	}
	a, err := s.prepareSavepoint(gen, c, files, dir)
	if err != nil {
		return outcomeOf(err), err
	}
	outcome, err := s.runSavepoint(ctx, gen, a, files)
	switch {
	case outcome == Fenced || outcome == Unknown:
		err = s.stop(err)
	case outcome == Committed && c.Header.GetStop():
		s.commit(a)
	}
	return outcome, err
}

func (s *Store) prepareSavepoint(
	gen Generation, c *meta.Checkpoint, files filesystem.FileSystem, dir filesystem.Path,
) (*attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped != nil {
		return nil, s.mu.stopped
	}
	if gen.Number == 0 || gen.Number != s.mu.generation {
		return nil, fmt.Errorf("%w: generation is %d here, not %d",
			ErrFenced, s.mu.generation, gen.Number)
	}
	if err := s.checkHeaderLocked(c.Header); err != nil {
		return nil, err
	}
	if k := c.Header.GetKind(); k != meta.KindSavepoint {
		return nil, fmt.Errorf("kind %q is not that of a savepoint", k)
	}
	a, err := s.encodeAt(c, files, dir)
	if err != nil {
		return nil, err
	}
	a.record.URI, a.terminal = uriOf(files, dir), c.Header.GetStop()
	a.claimed, a.record.Parent = s.mu.claimed, s.mu.parent
	return a, nil
}

func (s *Store) runSavepoint(
	ctx context.Context, gen Generation, a *attempt, files filesystem.FileSystem,
) (Outcome, error) {
	last := a.number
	if a.terminal {
		last-- // The record takes it.
	}
	if outcome, err := s.skipTo(ctx, gen, a.claimed, last); err != nil {
		return outcome, err
	}
	// Everything the metadata will say must be true before it says it.
	for p := range a.marks {
		if _, err := files.Stat(ctx, p); err != nil {
			return Failed, fmt.Errorf("look at its file: %w", err)
		}
	}
	metadata := path.Join(a.dir, metadataName)
	verdict, err := create(ctx, files, metadata, a.metadata, atOnce)
	if err == nil && verdict == verdictTheirs {
		err = fmt.Errorf("another file is at %q", uriOf(files, metadata))
	}
	if err != nil {
		return Failed, failed(err)
	}
	_ = filesystem.WriteFile(ctx, files, path.Join(a.dir, contentsName), a.contents)
	if !a.terminal {
		return Committed, nil
	}
	return s.complete(ctx, a)
}

// DiscardSavepoint removes what is left in the directory of a savepoint that failed, metadata
// first, and the directory. Objects that a savepoint does not consist of stay. Tasks that have not
// heard yet may still write into it.
func (s *Store) DiscardSavepoint(ctx context.Context, directory string) error {
	files, dir, err := s.registry.Resolve(directory)
	if err == nil {
		err = removeSavepoint(ctx, files, dir)
	}
	if err != nil {
		return fmt.Errorf("store: remove what is left of savepoint %q: %w", directory, err)
	}
	return nil
}

func removeSavepoint(
	ctx context.Context, files filesystem.FileSystem, dir filesystem.Path,
) error {
	metadata := path.Join(dir, metadataName)
	if err := files.Remove(ctx, metadata); err != nil && !errors.Is(err, filesystem.ErrNotExist) {
		return fmt.Errorf("remove %q: %w", uriOf(files, metadata), err)
	}
	entries, err := collect(files.List(ctx, dir, false))
	if err == nil {
		var inProgress []filesystem.Entry
		inProgress, err = collect(files.ListInProgress(ctx, dir))
		entries = append(entries, inProgress...)
	}
	if err != nil {
		return fmt.Errorf("list %q: %w", uriOf(files, dir), err)
	}
	for _, e := range entries {
		name := path.Base(e.Path)
		if target, ok := filesystem.InProgressTarget(e.Path); ok {
			name = path.Base(target)
		}
		if _, ok := ParseDataFileName(name); !ok && name != contentsName && name != metadataName {
			continue
		}
		err := files.Remove(ctx, e.Path)
		if err != nil && !errors.Is(err, filesystem.ErrNotExist) {
			return fmt.Errorf("remove %q: %w", uriOf(files, e.Path), err)
		}
	}
	if err := files.RemoveEmptyDirs(ctx, dir); err != nil {
		return fmt.Errorf("remove directory %q: %w", uriOf(files, dir), err)
	}
	return nil
}

// ErrNotSavepoint: what is to be disposed of is not a savepoint.
var ErrNotSavepoint = errors.New("it is not a savepoint")

// ErrInUse: what is to be disposed of is needed by a job.
var ErrInUse = errors.New("it is in use")

// Dispose removes a savepoint, found by URI or path as by Load: `_metadata` first, so that whatever
// interrupts it leaves no savepoint that is not whole. It refuses what is not a savepoint
// (ErrNotSavepoint), what cannot be read, and whatever inUse returns an error for; inUse may be
// nil.
func Dispose(
	ctx context.Context, registry *filesystem.Registry, uriOrPath string,
	inUse func(*Found) error,
) error {
	found, err := Read(ctx, registry, uriOrPath)
	if err == nil {
		err = dispose(ctx, found, inUse)
	}
	if err != nil {
		return fmt.Errorf("store: dispose of %q: %w", uriOrPath, err)
	}
	return nil
}

func dispose(ctx context.Context, found *Found, inUse func(*Found) error) error {
	if k := found.Meta.Header.GetKind(); k != meta.KindSavepoint {
		return fmt.Errorf("%w but a %s, which its job %q keeps and removes itself",
			ErrNotSavepoint, k, found.Meta.Header.GetJobName())
	}
	if inUse != nil {
		if err := inUse(found); err != nil {
			return err
		}
	}
	return removeSavepoint(ctx, found.FS, found.Dir)
}

// InUse returns ErrInUse if a savepoint is the newest state of this job name: the job was stopped
// with it and has completed nothing since.
func (s *Store) InUse(ctx context.Context, found *Found) error {
	if found.Meta.Header.GetJobName() != s.name {
		return nil
	}
	listed, err := s.list(ctx)
	if err != nil {
		return fmt.Errorf("look whether it is in use: %w", err)
	}
	r, err := s.newestRecord(ctx, listed)
	if err != nil {
		return fmt.Errorf("look whether it is in use: %w", err)
	}
	if r != nil && r.IsSavepoint() && r.Checkpoint == found.Meta.Header.GetCheckpointId() &&
		r.URI == uriOf(found.FS, found.Dir) {
		return fmt.Errorf("%w: job %q was stopped with it and has no newer state", ErrInUse, s.name)
	}
	return nil
}

// DisposeClaimed removes a checkpoint or savepoint that the job has claimed and no longer needs,
// metadata first. Of a checkpoint it is the directory `chk-N` only: other checkpoints may refer to
// the files beside it. A place where nothing is any more is no error.
func (s *Store) DisposeClaimed(ctx context.Context, gen Generation, uri string) error {
	err := s.disposeClaimed(ctx, gen, uri)
	if err != nil {
		err = fmt.Errorf("store: remove claimed %q: %w", uri, err)
	}
	return err
}

func (s *Store) disposeClaimed(ctx context.Context, gen Generation, uri string) error {
	found, err := Read(ctx, s.registry, uri)
	if errors.Is(err, ErrNoMetadata) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.Confirm(ctx, gen); err != nil {
		return err
	}
	return removeSavepoint(ctx, found.FS, found.Dir)
}
