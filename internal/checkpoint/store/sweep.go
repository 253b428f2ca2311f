package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"

	"github.com/leat-io/leat/filesystem"
)

// InFlight says what the checkpoints in progress may still need. The zero value means: they build
// on the newest completed checkpoint, and all files they wrote have names made for them.
type InFlight struct {
	// BuildsOn is the smallest id of a completed checkpoint on whose files a snapshot in progress
	// may build: a task builds on the last checkpoint of whose completion it has heard. Checkpoints
	// from there on stay even beyond the retained number. 0 = only the newest.
	BuildsOn uint64
	// Keep returns true for a file that must stay though its checkpoint is over and no retained
	// checkpoint refers to it, for instance the result of a merge not yet referred to. May be nil.
	// It is called from the goroutine that sweeps and must not block.
	Keep func(DataFileName) bool
	// Idle says that no task runs any more: files made for checkpoints still to come, such as the
	// results of merges that none has referred to, are of no use either.
	Idle bool
}

// SweepReport says what a sweep did.
type SweepReport struct {
	// Retained are the checkpoints that stay, newest first.
	Retained []uint64
	// Records, Metadata and Files are how many objects of each sort were removed, Bytes the size of
	// the last two.
	Records, Metadata, Files int
	Bytes                    int64
}

// sweptSet is what the last sweep left among the files it judged. In memory only: after a restart
// everything builds on the newest checkpoint anew.
type sweptSet struct {
	judge view // for isOver
	kept  marks
}

// check returns ErrSwept if one of the files referred to was judged and not kept.
func (swept *sweptSet) check(s *Store, wanted marks) error {
	if swept == nil {
		return nil
	}
	shared := path.Join(s.jobDir(swept.judge.jobID), sharedName)
	for p := range wanted {
		name, ok := ParseDataFileName(path.Base(p))
		if !ok || path.Dir(p) != shared {
			continue
		}
		if _, kept := swept.kept[p]; !kept && swept.judge.isOver(name) {
			return fmt.Errorf("%w: %q", ErrSwept, uriOf(s.fs, p))
		}
	}
	return nil
}

// Retain sets how many completed checkpoints of the job stay, at least 1. It takes effect with the
// next sweep.
func (s *Store) Retain(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.retain = max(n, 1)
}

// Sweep removes what neither a retained checkpoint nor one in progress needs: records, then
// metadata, then files with state, among the checkpoints of the adopted job. It asks inFlight (nil
// means the zero InFlight) once, after it has listed the files. Before the master has completed a
// checkpoint of its own it does nothing. It never touches files of a newer generation, other jobs,
// earlier lineages of the name, `taskowned`, or files whose names it does not know.
//
// Before it removes anything it looks whether its generation is still the newest, and otherwise
// returns ErrFenced, which ends this master. After any error something may be left to remove; the
// next sweep does. A retained checkpoint whose metadata cannot be read is an error that names the
// file, and nothing is removed.
func (s *Store) Sweep(
	ctx context.Context, gen Generation, inFlight func() InFlight,
) (SweepReport, error) {
	report, err := s.sweep(ctx, gen, inFlight)
	if err != nil {
		err = fmt.Errorf("store: sweep %q: %w", s.name, err)
	}
	return report, err
}

func (s *Store) sweep(
	ctx context.Context, gen Generation, inFlight func() InFlight,
) (SweepReport, error) {
	v, begun, err := s.beginSweep(gen)
	if err != nil || !begun {
		return SweepReport{}, err
	}
	if err := s.look(ctx, &v); err != nil {
		return SweepReport{}, err
	}
	var needs InFlight
	if inFlight != nil {
		needs = inFlight()
	}
	v.keep, v.idle = needs.Keep, needs.Idle
	if err := s.lookAtRecords(ctx, &v, needs.BuildsOn); err != nil {
		return SweepReport{}, err
	}
	orphans, err := s.lookForOrphans(ctx, v)
	if err != nil {
		return SweepReport{}, err
	}
	p := s.decideSweep(v)
	p.addOrphans(orphans)
	report, err := s.execute(ctx, gen, p, v.jobID)
	for i := len(v.listed.checkpoints) - 1; i >= 0; i-- {
		if number := v.listed.checkpoints[i]; v.retained[number] {
			report.Retained = append(report.Retained, number)
		}
	}
	return report, err
}

// beginSweep checks that this master may sweep, and forgets the checkpoints that were completed
// before: the records that the sweep will read have them.
func (s *Store) beginSweep(gen Generation) (v view, begun bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.stopped != nil:
		return view{}, false, s.mu.stopped
	case gen.Number == 0 || gen.Number != s.mu.generation:
		return view{}, false, fmt.Errorf("%w: generation is %d here, not %d",
			ErrFenced, s.mu.generation, gen.Number)
	case !s.mu.completed:
		return view{}, false, nil
	}
	for number, p := range s.mu.publish {
		if p.done {
			delete(s.mu.publish, number)
		}
	}
	return view{generation: gen.Number, jobID: s.mu.identity.JobID}, true, nil
}

// look lists the objects. What is missing here because it came later is judged by a later sweep.
func (s *Store) look(ctx context.Context, v *view) error {
	job := s.jobDir(v.jobID)
	var err error
	if v.job, err = collect(s.fs.List(ctx, job, true)); err != nil {
		return fmt.Errorf("list %q: %w", uriOf(s.fs, job), err)
	}
	for _, dir := range []filesystem.Path{job, s.control} {
		entries, err := collect(s.fs.ListInProgress(ctx, dir))
		if err != nil {
			return fmt.Errorf("list objects in progress in %q: %w", uriOf(s.fs, dir), err)
		}
		v.inProgress = append(v.inProgress, entries...)
	}
	return nil
}

func collect(listing iter.Seq2[filesystem.Entry, error]) ([]filesystem.Entry, error) {
	var entries []filesystem.Entry
	for entry, err := range listing {
		if err != nil {
			return nil, err
		}
		if !entry.Dir {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// lookAtRecords reads the records, chooses the retained checkpoints and marks their files.
func (s *Store) lookAtRecords(ctx context.Context, v *view, buildsOn uint64) error {
	var err error
	if v.listed, err = s.list(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	wanted := s.mu.retain
	s.mu.Unlock()
	v.records = make(map[uint64]*Record, len(v.listed.checkpoints))
	v.retained, v.marks = make(map[uint64]bool), make(marks)
	there := leftOf(*v, plan{})
	for i := len(v.listed.checkpoints) - 1; i >= 0; i-- {
		number := v.listed.checkpoints[i]
		r, err := s.record(ctx, number)
		if errors.Is(err, filesystem.ErrNotExist) {
			continue // Removed by a newer master, which execute will notice.
		}
		if err != nil {
			return err
		}
		v.records[number] = r
		if !r.IsCheckpoint() || r.JobID != v.jobID || r.IsSavepoint() {
			continue // Files of a savepoint are not ours to sweep.
		}
		needed := v.newest == 0 || buildsOn != 0 && number >= buildsOn
		if !needed && len(v.retained) >= wanted {
			continue
		}
		m, err := s.marksOfRecord(ctx, r)
		if err == nil && !needed {
			err = s.checkWhole(ctx, there, m)
		}
		if errors.Is(err, ErrNoMetadata) && !needed {
			continue // Half removed by an interrupted sweep: it is not a checkpoint any more.
		}
		if err != nil {
			return err
		}
		v.newest = max(v.newest, number)
		v.retained[number] = true
		for p := range m {
			v.marks[p] = struct{}{}
		}
	}
	return nil
}

// checkWhole returns ErrNoMetadata for a checkpoint of which files are missing, as a crash can
// leave it that brings back some of what a sweep removed. The listing may be older than the
// checkpoint, so a file is missing only when the store says so once more.
func (s *Store) checkWhole(ctx context.Context, there, wanted marks) error {
	for p := range wanted {
		if _, ok := there[p]; ok {
			continue
		}
		_, err := s.fs.Stat(ctx, p)
		if errors.Is(err, filesystem.ErrNotExist) {
			return fmt.Errorf("%w: %q is missing", ErrNoMetadata, uriOf(s.fs, p))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// marksOfRecord returns the files that a completed checkpoint refers to.
func (s *Store) marksOfRecord(ctx context.Context, r *Record) (marks, error) {
	s.mu.Lock()
	m, ok := s.mu.marks[r.Digest]
	s.mu.Unlock()
	if ok {
		return m, nil
	}
	found, err := s.loadRecord(ctx, r)
	if err != nil {
		return nil, err
	}
	m = marksOf(found.Dir, found.Meta)
	s.mu.Lock()
	s.mu.marks[r.Digest] = m
	s.mu.Unlock()
	return m, nil
}

// decideSweep makes the plan and, in one step with it, the rule by which PublishCheckpoint refuses
// what is to be removed. A checkpoint that got past that rule before is in s.mu.publish, and its
// files are marked here.
func (s *Store) decideSweep(v view) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pending := range s.mu.publish {
		for p := range pending.marks {
			v.marks[p] = struct{}{}
		}
	}
	p := makePlan(v, s)
	s.mu.swept = &sweptSet{
		judge: view{
			generation: v.generation, jobID: v.jobID, newest: v.newest, idle: v.idle,
		},
		kept: leftOf(v, p),
	}
	// Only what may be asked for again stays in memory.
	digests := make(map[string]bool)
	for number, r := range s.mu.records {
		if number > v.newest || v.retained[number] {
			digests[r.Digest] = true
		} else if v.records[number] == nil {
			delete(s.mu.records, number)
		}
	}
	for digest := range s.mu.marks {
		if !digests[digest] {
			delete(s.mu.marks, digest)
		}
	}
	return p
}

// leftOf returns the files that are marked or there when a plan has been executed.
func leftOf(v view, p plan) marks {
	left := make(marks, len(v.marks)+len(v.job))
	maps.Copy(left, v.marks)
	for _, entry := range v.job {
		left[entry.Path] = struct{}{}
	}
	for _, removed := range p.files {
		delete(left, removed)
	}
	return left
}

// execute removes what the plan says, in its order, and nothing any more after an error: what comes
// later in the plan may only go after what comes earlier.
func (s *Store) execute(
	ctx context.Context, gen Generation, p plan, jobID string,
) (report SweepReport, err error) {
	steps := []struct {
		paths   []filesystem.Path
		removed *int
	}{
		{p.records, &report.Records}, {p.metadata, &report.Metadata}, {p.files, &report.Files},
		{p.generations, &report.Records},
	}
	for _, step := range steps {
		if len(step.paths) == 0 {
			continue
		}
		if err := s.stillNewest(ctx, gen); err != nil {
			return report, err
		}
		removed, err := s.removeAll(ctx, step.paths)
		*step.removed += removed
		if err != nil {
			return report, err
		}
	}
	report.Bytes = p.bytes
	return report, s.removeDirs(ctx, p, jobID)
}

// removeDirs removes the directories of checkpoints that the plan has emptied.
func (s *Store) removeDirs(ctx context.Context, p plan, jobID string) error {
	dirs := make(map[filesystem.Path]bool)
	for _, removed := range slices.Concat(p.metadata, p.files) {
		dir := path.Dir(removed)
		if p.orphaned[dir] {
			dirs[dir] = true
			continue
		}
		if _, ok := parseNumbered(path.Base(dir), chkPrefix); ok &&
			path.Dir(dir) == s.jobDir(jobID) {
			dirs[dir] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := s.fs.RemoveEmptyDirs(ctx, dir); err != nil {
			return fmt.Errorf("remove directory %q: %w", uriOf(s.fs, dir), err)
		}
	}
	return nil
}

// Confirm returns ErrFenced, which ends this master, if another one has taken over. A master asks
// before it starts again what it has stopped; nil says how things were, and promises nothing.
func (s *Store) Confirm(ctx context.Context, gen Generation) error {
	s.mu.Lock()
	err := s.mu.stopped
	s.mu.Unlock()
	if err == nil {
		err = s.stillNewest(ctx, gen)
	}
	if err != nil {
		return fmt.Errorf("store: confirm generation %d of %q: %w", gen.Number, s.name, err)
	}
	return nil
}

// stillNewest returns ErrFenced, and ends this master, if a newer generation is there.
func (s *Store) stillNewest(ctx context.Context, gen Generation) error {
	listed, err := s.list(ctx)
	if err != nil {
		return err
	}
	if newest := listed.newestGeneration(); newest > gen.Number {
		return s.stop(fmt.Errorf("%w: generation %d is there", ErrFenced, newest))
	}
	return nil
}

func (s *Store) removeAll(ctx context.Context, paths []filesystem.Path) (removed int, err error) {
	for _, p := range paths {
		err := s.fs.Remove(ctx, p)
		if err != nil && !errors.Is(err, filesystem.ErrNotExist) {
			return removed, fmt.Errorf("remove %q: %w", uriOf(s.fs, p), err)
		}
		removed++
	}
	return removed, nil
}
