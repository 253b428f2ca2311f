package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// JobListing is what a root holds under one job name.
type JobListing struct {
	Name       string
	Generation uint64 // newest
	Newest     uint64 // newest number claimed, by whatever record
	// Checkpoints are the completed ones, newest first.
	Checkpoints []CheckpointListing
	// Problems are records that cannot be read.
	Problems []error
}

// CheckpointListing is one completed checkpoint.
type CheckpointListing struct {
	Record    *Record
	URI       string // of its directory
	Committed bool   // the sinks have committed it
	Files     int    // with state, distinct
	// StateBytes is everything it refers to, metadata included; NewBytes is what of it was written
	// for this checkpoint.
	StateBytes, NewBytes int64
	// Problem is why its metadata cannot be read, nil when it can.
	Problem error
}

// ListJobs lists the jobs that have checkpoints below a root, by name, and changes nothing.
// ErrNoCheckpoint: there are none, and the error says what was looked for.
func ListJobs(
	ctx context.Context, registry *filesystem.Registry, root string,
) ([]JobListing, error) {
	names, problems, err := jobNames(ctx, registry, root)
	if err != nil {
		return nil, fmt.Errorf("store: list jobs of %q: %w", root, err)
	}
	var jobs []JobListing
	for _, name := range names {
		s, err := Open(ctx, registry, root, name)
		if err != nil {
			return nil, err
		}
		job, err := s.listing(ctx)
		if err != nil {
			return nil, fmt.Errorf("store: list job %q: %w", name, err)
		}
		jobs = append(jobs, job)
	}
	if len(problems) > 0 {
		jobs = append(jobs, JobListing{Problems: problems})
	}
	return jobs, nil
}

// jobNames returns the names under which a root has records, sorted, and what could not be read.
func jobNames(
	ctx context.Context, registry *filesystem.Registry, root string,
) (names []string, problems []error, err error) {
	files, rootPath, err := registry.Resolve(root)
	if err != nil {
		return nil, nil, err
	}
	control := path.Join(rootPath, controlName)
	seen := map[filesystem.Path]bool{} // directories whose name is known
	for entry, err := range files.List(ctx, control, true) {
		if err != nil {
			return nil, nil, err
		}
		dir := path.Dir(entry.Path)
		if seen[dir] || path.Dir(dir) != control || !isRecordName(path.Base(entry.Path)) {
			continue
		}
		file, err := filesystem.ReadFile(ctx, files, entry.Path)
		if errors.Is(err, filesystem.ErrNotExist) {
			continue // a master beside us removed it
		}
		if err != nil {
			return nil, nil, err
		}
		r, err := decodeRecord(file)
		if err != nil {
			problems = append(problems, fmt.Errorf("read record %q: %w",
				uriOf(files, entry.Path), err))
			continue
		}
		seen[dir] = true
		names = append(names, r.Name)
	}
	if len(names) == 0 && len(problems) == 0 {
		return nil, nil, explainNoJobs(ctx, files, rootPath)
	}
	slices.Sort(names)
	return slices.Compact(names), withoutKnown(problems, files, seen), nil
}

// withoutKnown drops the problems of directories that were read in the end: their listing tells of
// damaged records itself.
func withoutKnown(
	problems []error, files filesystem.FileSystem, seen map[filesystem.Path]bool,
) []error {
	return slices.DeleteFunc(problems, func(err error) bool {
		for dir := range seen {
			if strings.Contains(err.Error(), uriOf(files, dir)+"/") {
				return true
			}
		}
		return false
	})
}

func isRecordName(base string) bool {
	if _, ok := parseNumbered(base, generationPrefix); ok || base == fenceZero {
		return true
	}
	_, ok := parseNumbered(strings.TrimSuffix(base, committedSuffix), checkpointPrefix)
	return ok
}

func explainNoJobs(
	ctx context.Context, files filesystem.FileSystem, root filesystem.Path,
) error {
	uri := uriOf(files, root)
	if _, err := files.Stat(ctx, path.Join(root, metadataName)); err == nil {
		return fmt.Errorf("%w: %q is one checkpoint; give the directory above that holds %q",
			ErrNoCheckpoint, uri, controlName)
	}
	if _, err := files.Stat(ctx, root); errors.Is(err, filesystem.ErrNotExist) {
		return fmt.Errorf("%w: there is no directory %q", ErrNoCheckpoint, uri)
	} else if err != nil {
		return err
	}
	return fmt.Errorf("%w: %q has no records below %q", ErrNoCheckpoint, uri, controlName)
}

// listing reads what the records of the name say.
func (s *Store) listing(ctx context.Context) (JobListing, error) {
	listed, err := s.list(ctx)
	if err != nil {
		return JobListing{}, err
	}
	job := JobListing{Name: s.name, Generation: listed.newestGeneration(),
		Newest: listed.newestCheckpoint()}
	for _, number := range slices.Backward(listed.checkpoints) {
		r, err := s.record(ctx, number)
		if errors.Is(err, filesystem.ErrNotExist) {
			continue
		}
		if err != nil {
			job.Problems = append(job.Problems, err)
			continue
		}
		if r.IsCheckpoint() {
			job.Checkpoints = append(job.Checkpoints, s.describe(ctx, r, listed))
		}
	}
	return job, nil
}

// describe reads the metadata that a record names and sums up what it refers to.
func (s *Store) describe(ctx context.Context, r *Record, listed control) CheckpointListing {
	c := CheckpointListing{
		Record: r, URI: uriOf(s.fs, path.Dir(path.Join(s.root, r.Path))),
		Committed: listed.isMarked(r.Checkpoint),
	}
	if r.IsSavepoint() {
		c.URI = r.URI
	}
	found, err := s.loadRecord(ctx, r)
	if err != nil {
		c.Problem = err
		return c
	}
	c.Files, c.StateBytes, c.NewBytes = sizesOf(found.Meta, r.Bytes)
	return c
}

// sizesOf sums up the runs of a checkpoint, and the files written for it.
func sizesOf(c *meta.Checkpoint, metadataBytes int64) (files int, state, fresh int64) {
	state, fresh = metadataBytes, metadataBytes
	type table struct {
		path   string
		offset int64
	}
	seen, counted := map[string]bool{}, map[table]bool{}
	for _, operator := range c.Operators {
		for _, subtask := range operator.GetSubtasks() {
			for _, pane := range subtask.GetKeyed().GetPanes() {
				for _, run := range pane.GetRuns() {
					file := run.GetFile()
					if file == nil {
						continue // inside the metadata
					}
					// After rescaling several subtasks have slices of one table.
					if at := (table{file.GetPath(), run.GetOffset()}); !counted[at] {
						counted[at] = true
						state += run.GetLength()
					}
					if seen[file.GetPath()] {
						continue
					}
					seen[file.GetPath()] = true
					name, ok := ParseDataFileName(path.Base(file.GetPath()))
					if ok && name.Checkpoint == c.Header.GetCheckpointId() {
						fresh += file.GetSize()
					}
				}
			}
		}
	}
	return len(seen), state, fresh
}

// SavepointListing is a directory that looks like a savepoint.
type SavepointListing struct {
	URI   string
	Found *Found // nil without readable metadata
	Files int
	Bytes int64 // of all objects in it
	// Problem says why it is no savepoint: half written, or damaged.
	Problem error
}

// ListSavepoints lists the savepoints directly below a directory, newest first. A directory that is
// a savepoint itself is listed alone.
func ListSavepoints(
	ctx context.Context, registry *filesystem.Registry, dir string,
) ([]SavepointListing, error) {
	files, p, err := registry.Resolve(dir)
	if err != nil {
		return nil, fmt.Errorf("store: list savepoints: %w", err)
	}
	var dirs []filesystem.Path
	if _, err := files.Stat(ctx, path.Join(p, metadataName)); err == nil {
		dirs = append(dirs, p)
	}
	for entry, err := range files.List(ctx, p, false) {
		if err != nil {
			return nil, fmt.Errorf("store: list savepoints: %w", err)
		}
		name := path.Base(entry.Path)
		if !entry.Dir || len(dirs) > 0 && dirs[0] == p {
			continue
		}
		_, statErr := files.Stat(ctx, path.Join(entry.Path, metadataName))
		if statErr == nil || strings.HasPrefix(name, savepointPrefix) {
			dirs = append(dirs, entry.Path)
		}
	}
	if _, err := files.Stat(ctx, p); len(dirs) == 0 && errors.Is(err, filesystem.ErrNotExist) {
		return nil, fmt.Errorf("store: list savepoints: there is no directory %q: %w",
			uriOf(files, p), filesystem.ErrNotExist)
	}
	listings := make([]SavepointListing, 0, len(dirs))
	for _, dir := range dirs {
		listings = append(listings, describeSavepoint(ctx, registry, files, dir))
	}
	slices.SortStableFunc(listings, func(a, b SavepointListing) int {
		return int(min(1, max(-1, b.millis()-a.millis())))
	})
	return listings, nil
}

func (l SavepointListing) millis() int64 {
	if l.Found == nil {
		return 0
	}
	return l.Found.Meta.Header.GetTriggerMillis()
}

func describeSavepoint(
	ctx context.Context, registry *filesystem.Registry, files filesystem.FileSystem,
	dir filesystem.Path,
) SavepointListing {
	l := SavepointListing{URI: uriOf(files, dir)}
	l.Found, _, l.Problem = read(ctx, registry, l.URI)
	if errors.Is(l.Problem, ErrNoMetadata) {
		l.Problem = errors.New("half written: it has no _metadata")
	}
	for entry, err := range files.List(ctx, dir, true) {
		if err != nil {
			l.Problem = errors.Join(l.Problem, err)
			break
		}
		l.Files++
		l.Bytes += entry.Size
	}
	return l
}
