package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Candidate is a checkpoint or savepoint of a job name that it can be started from.
type Candidate struct {
	Checkpoint uint64
	Kind       string // as in the metadata
	Triggered  time.Time
	URI        string // of its directory
	// Committed: a mark says that the sinks have committed it. Savepoints taken while the job ran
	// on have none.
	Committed bool
}

// String describes it for people: checkpoint 7 of 2026-11-20T10:00:00Z (mem://...).
func (c Candidate) String() string {
	return fmt.Sprintf("%s %d of %s (%s)", c.Kind, c.Checkpoint,
		c.Triggered.UTC().Format(time.RFC3339), c.URI)
}

// Candidates lists the retained checkpoints of the job name and the savepoints of the name directly
// below savepoints, a URI or a path ("" = none), oldest first. What lies there and is no whole
// savepoint of the name is left out.
func (s *Store) Candidates(ctx context.Context, savepoints string) ([]Candidate, error) {
	all, err := s.checkpointCandidates(ctx)
	if err == nil && savepoints != "" {
		var more []Candidate
		more, err = s.savepointCandidates(ctx, savepoints)
		for _, c := range more {
			if !slices.ContainsFunc(all, func(o Candidate) bool { return o.URI == c.URI }) {
				all = append(all, c)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: list states of %q: %w", s.name, err)
	}
	slices.SortFunc(all, func(a, b Candidate) int {
		return cmp.Or(a.Triggered.Compare(b.Triggered), cmp.Compare(a.Checkpoint, b.Checkpoint))
	})
	return all, nil
}

func (s *Store) checkpointCandidates(ctx context.Context) ([]Candidate, error) {
	listed, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	var all []Candidate
	for _, number := range listed.checkpoints {
		r, err := s.record(ctx, number)
		if errors.Is(err, filesystem.ErrNotExist) {
			continue // Swept meanwhile.
		}
		if err != nil {
			return nil, err
		}
		if !r.IsCheckpoint() {
			continue
		}
		c := Candidate{
			Checkpoint: number, Kind: r.Kind, Triggered: time.UnixMilli(r.TriggerMillis),
			URI: r.URI, Committed: listed.isMarked(number),
		}
		if !r.IsSavepoint() {
			c.URI = uriOf(s.fs, path.Join(s.root, path.Dir(r.Path)))
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *Store) savepointCandidates(ctx context.Context, base string) ([]Candidate, error) {
	var all []Candidate
	err := s.eachSavepoint(ctx, base, func(found *Found) error {
		h := found.Meta.Header
		all = append(all, Candidate{
			Checkpoint: h.GetCheckpointId(), Kind: h.GetKind(),
			Triggered: time.UnixMilli(h.GetTriggerMillis()), URI: uriOf(found.FS, found.Dir),
		})
		return nil
	})
	return all, err
}

// eachSavepoint calls f for every whole savepoint of the job name directly below base.
func (s *Store) eachSavepoint(
	ctx context.Context, base string, f func(*Found) error,
) error {
	files, dir, err := s.registry.Resolve(base)
	if err != nil {
		return fmt.Errorf("find savepoint directory %q: %w", base, err)
	}
	for entry, err := range files.List(ctx, dir, false) {
		if err != nil {
			return fmt.Errorf("list %q: %w", uriOf(files, dir), err)
		}
		if !IsSavepointDir(entry.Path) {
			continue
		}
		found, _, err := read(ctx, s.registry, uriOf(files, entry.Path))
		switch {
		case errors.Is(err, ErrNoMetadata), errors.Is(err, ErrDamaged):
			continue
		case err != nil:
			return err
		}
		h := found.Meta.Header
		if h.GetKind() != meta.KindSavepoint || h.GetJobName() != s.name {
			continue
		}
		if err := f(found); err != nil {
			return err
		}
	}
	return nil
}

// At chooses the newest candidate triggered at or before a time, and returns those that are newer,
// oldest first. The error lists what there is.
func At(all []Candidate, at time.Time) (chosen Candidate, newer []Candidate, err error) {
	i := len(all)
	for i > 0 && all[i-1].Triggered.After(at) {
		i--
	}
	if i > 0 {
		return all[i-1], all[i:], nil
	}
	var there []string
	for _, c := range all {
		there = append(there, c.String())
	}
	if len(there) == 0 {
		there = []string{"nothing"}
	}
	return Candidate{}, nil, fmt.Errorf("%w: none was taken at or before %s; there is: %s",
		ErrNoCheckpoint, at.UTC().Format(time.RFC3339), strings.Join(there, ", "))
}
