package store

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/leat-io/leat/filesystem"
)

// lookForOrphans returns what lies under job ids that earlier generations of this name began and
// never completed a checkpoint under. A directory with metadata in it is left alone, whoever put
// it there: without doubt garbage is only what nothing refers to.
func (s *Store) lookForOrphans(ctx context.Context, v view) ([]filesystem.Entry, error) {
	completed := map[string]bool{v.jobID: true}
	for _, r := range v.records {
		if r.IsCheckpoint() {
			completed[r.JobID] = true
		}
	}
	var orphans []filesystem.Entry
	for _, number := range v.listed.generations {
		if number >= v.generation {
			continue
		}
		r, err := s.generationRecord(ctx, number)
		if errors.Is(err, filesystem.ErrNotExist) {
			continue // Removed by a newer master, which execute will notice.
		}
		if err != nil {
			return nil, err
		}
		if r.JobID == "" || completed[r.JobID] {
			continue
		}
		left, err := s.leftUnder(ctx, r.JobID)
		if err != nil {
			return nil, err
		}
		orphans = append(orphans, left...)
	}
	return orphans, nil
}

func (s *Store) generationRecord(ctx context.Context, number uint64) (*Record, error) {
	p := s.recordPath(generationPrefix, number, "")
	file, err := filesystem.ReadFile(ctx, s.fs, p)
	if err != nil {
		return nil, fmt.Errorf("read record %q: %w", uriOf(s.fs, p), err)
	}
	r, err := decodeRecord(file)
	if err == nil && (r.Kind != kindGeneration || r.Name != s.name || r.Generation != number) {
		err = fmt.Errorf("%w: it is a record of kind %q of generation %d of %q",
			ErrDamaged, r.Kind, r.Generation, r.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("read record %q: %w", uriOf(s.fs, p), err)
	}
	return r, nil
}

// leftUnder lists the files with state under a job id, in progress or not, or nothing when there
// is metadata.
func (s *Store) leftUnder(ctx context.Context, jobID string) ([]filesystem.Entry, error) {
	dir := s.jobDir(jobID)
	entries, err := collect(s.fs.List(ctx, dir, true))
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", uriOf(s.fs, dir), err)
	}
	shared := path.Join(dir, sharedName)
	var left []filesystem.Entry
	for _, e := range entries {
		if path.Base(e.Path) == metadataName {
			return nil, nil
		}
		if _, ok := ParseDataFileName(path.Base(e.Path)); ok && path.Dir(e.Path) == shared {
			left = append(left, e)
		}
	}
	inProgress, err := collect(s.fs.ListInProgress(ctx, dir))
	if err != nil {
		return nil, fmt.Errorf("list objects in progress in %q: %w", uriOf(s.fs, dir), err)
	}
	return append(left, inProgress...), nil
}

// addOrphans lets a sweep remove them too.
func (p *plan) addOrphans(orphans []filesystem.Entry) {
	p.orphaned = map[filesystem.Path]bool{}
	for _, e := range orphans {
		p.files = append(p.files, e.Path)
		p.bytes += e.Size
		p.orphaned[path.Dir(e.Path)] = true
	}
}
