package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/leat-io/leat/filesystem"
)

// Fate is what a sweep would do with one object and why.
type Fate struct {
	URI    string
	Bytes  int64
	Remove bool
	Why    string
}

// SweepPlan is what a sweep of one job would do now.
type SweepPlan struct {
	JobID      string
	Generation uint64
	Retained   []uint64 // checkpoints that stay, newest first
	Fates      []Fate   // in the order in which a sweep removes, then what stays by place
	Bytes      int64    // of what would be removed
}

// PlanSweep says what a sweep would remove and keep, by the rules of Sweep, as a master of the
// newest generation would decide that had nothing in progress and retains as many checkpoints as
// Retain says. It changes nothing. ErrNoCheckpoint: the name has no complete one.
func (s *Store) PlanSweep(ctx context.Context) (*SweepPlan, error) {
	plan, err := s.planSweep(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: plan sweep of %q: %w", s.name, err)
	}
	return plan, nil
}

func (s *Store) planSweep(ctx context.Context) (*SweepPlan, error) {
	listed, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := s.newestRecord(ctx, listed)
	if err != nil {
		return nil, err
	}
	if newest == nil {
		return nil, fmt.Errorf("%w: no record is in %q", ErrNoCheckpoint, uriOf(s.fs, s.control))
	}
	v := view{generation: listed.newestGeneration(), jobID: newest.JobID}
	if err := s.look(ctx, &v); err != nil {
		return nil, err
	}
	if err := s.lookAtRecords(ctx, &v, 0); err != nil {
		return nil, err
	}
	result := &SweepPlan{JobID: v.jobID, Generation: v.generation}
	for _, number := range slices.Backward(v.listed.checkpoints) {
		if v.retained[number] {
			result.Retained = append(result.Retained, number)
		}
	}
	users, err := s.usersOf(ctx, v)
	if err != nil {
		return nil, err
	}
	result.fill(s, v, makePlan(v, s), users)
	return result, nil
}

// usersOf returns the retained checkpoints that refer to each file.
func (s *Store) usersOf(ctx context.Context, v view) (map[filesystem.Path][]uint64, error) {
	users := map[filesystem.Path][]uint64{}
	for _, number := range v.listed.checkpoints {
		if !v.retained[number] {
			continue
		}
		marks, err := s.marksOfRecord(ctx, v.records[number])
		if err != nil && !errors.Is(err, ErrNoMetadata) {
			return nil, err
		}
		for p := range marks {
			users[p] = append(users[p], number)
		}
	}
	return users, nil
}

// fill lists the fates: first what goes, then what stays.
func (plan *SweepPlan) fill(
	s *Store, v view, p plan, users map[filesystem.Path][]uint64,
) {
	sizes := map[filesystem.Path]int64{}
	for _, entry := range slices.Concat(v.job, v.inProgress) {
		sizes[entry.Path] = entry.Size
	}
	gone := map[filesystem.Path]bool{}
	for _, step := range []struct {
		paths []filesystem.Path
		why   string
	}{
		{p.records, "record of what is over"},
		{p.metadata, "checkpoint not retained"},
		{p.files, "no retained checkpoint refers to it"},
	} {
		for _, removed := range step.paths {
			gone[removed] = true
			plan.Fates = append(plan.Fates, Fate{URI: uriOf(s.fs, removed),
				Bytes: sizes[removed], Remove: true, Why: step.why})
		}
	}
	plan.Bytes = p.bytes
	job := s.jobDir(v.jobID)
	for _, entry := range v.job {
		if !gone[entry.Path] {
			plan.Fates = append(plan.Fates, Fate{URI: uriOf(s.fs, entry.Path),
				Bytes: entry.Size, Why: whyKept(v, entry.Path, job, users[entry.Path])})
		}
	}
	for _, entry := range v.inProgress {
		if !gone[entry.Path] {
			plan.Fates = append(plan.Fates, Fate{URI: uriOf(s.fs, entry.Path), Bytes: entry.Size,
				Why: "may still be written"})
		}
	}
}

// whyKept says why an object of the job stays.
func whyKept(v view, p, job filesystem.Path, users []uint64) string {
	if len(users) > 0 {
		numbers := make([]string, len(users))
		for i, n := range users {
			numbers[i] = fmt.Sprint(n)
		}
		if len(users) == 1 {
			return "checkpoint " + numbers[0] + " refers to it"
		}
		return "checkpoints " + strings.Join(numbers, ", ") + " refer to it"
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(p, job+"/"), "/")
	if number, ok := parseNumbered(top, chkPrefix); ok {
		if v.retained[number] {
			return "checkpoint is retained"
		}
		return "number not yet claimed: may be in the making"
	}
	name, ok := ParseDataFileName(path.Base(p))
	switch {
	case !ok || top != sharedName:
		return "not a name that a sweep knows"
	case name.Generation > v.generation:
		return "of a newer generation"
	}
	return fmt.Sprintf("made for checkpoint %d, which may be in the making", name.Checkpoint)
}
