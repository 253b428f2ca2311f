package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/leat-io/leat/filesystem"
)

// fenceAttempts bounds how often a master that is overtaken while it fences claims again.
const fenceAttempts = 1000

// Generation is a master's term of office under one job name.
type Generation struct {
	// Number is the fencing token: unique and growing for ever under one job name.
	Number uint64
	// Fence is the checkpoint number claimed by the fence, 0 for the first master of a name.
	// Checkpoint ids of this generation are larger; the first one is Fence + 1.
	Fence uint64
}

// NewGeneration makes this process the master of the job name: it creates the next generation
// record and then claims the next checkpoint number with a fence record, after which no earlier
// master can complete a checkpoint any more. What Latest finds from then on stays the newest until
// this master completes one.
//
// A number taken by somebody else is followed by an attempt at the next; a master that finds a
// newer generation before its fence stands has lost and gets ErrFenced. Any other error: nothing is
// known to have happened, and calling again is right.
func (s *Store) NewGeneration(ctx context.Context) (Generation, error) {
	fresh, err := s.draw(16)
	if err != nil {
		return Generation{}, fmt.Errorf("store: begin generation of %q: %w", s.name, err)
	}
	number, err := s.claimGeneration(ctx, fresh)
	if err != nil {
		return Generation{}, fmt.Errorf("store: begin generation of %q: %w", s.name, err)
	}
	fence, err := s.claimFence(ctx, number)
	if err != nil {
		return Generation{}, fmt.Errorf("store: fence with generation %d of %q: %w",
			number, s.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.generation, s.mu.claimed, s.mu.fresh = number, fence, fresh
	s.mu.identity, s.mu.parent = Identity{}, 0
	s.mu.completed, s.mu.stopped = false, nil
	s.mu.swept, s.mu.publish = nil, make(map[uint64]*publishing)
	return Generation{Number: number, Fence: fence}, nil
}

// claimGeneration creates the generation record. It says under which job id files will lie if the
// master does not continue another one: should it end before its first checkpoint, nothing else
// tells whose they are.
func (s *Store) claimGeneration(ctx context.Context, fresh string) (uint64, error) {
	for range fenceAttempts {
		listed, err := s.list(ctx)
		if err != nil {
			return 0, err
		}
		number := listed.newestGeneration() + 1
		r := &Record{Kind: kindGeneration, Name: s.name, Generation: number, Owner: s.owner,
			JobID: fresh}
		verdict, err := s.createRecord(ctx, s.recordPath(generationPrefix, number, ""), r, atOnce)
		if err != nil {
			return 0, err
		}
		if verdict == verdictMine {
			return number, nil
		}
	}
	return 0, fmt.Errorf("%d generations were taken meanwhile", fenceAttempts)
}

func (s *Store) claimFence(ctx context.Context, generation uint64) (uint64, error) {
	for range fenceAttempts {
		listed, newest, err := s.listWithNewest(ctx)
		if err != nil {
			return 0, err
		}
		if decideFence(generation, listed, newest) == fenceLost {
			return 0, fmt.Errorf("%w: generation %d is there", ErrFenced,
				max(newest, listed.newestGeneration()))
		}
		number := listed.nextFence()
		r := &Record{Kind: kindFence, Name: s.name, Generation: generation, Owner: s.owner,
			Checkpoint: number}
		verdict, err := s.createRecord(ctx, s.recordPath(checkpointPrefix, number, ""), r, atOnce)
		if err != nil {
			return 0, err
		}
		if verdict == verdictTheirs {
			continue
		}
		if listed, err = s.listPatiently(ctx); err != nil {
			return 0, err
		}
		switch confirmFence(generation, number, listed) {
		case fenceHolds:
			return number, nil
		case fenceBeaten:
			return 0, fmt.Errorf("%w: generation %d is there", ErrFenced,
				listed.newestGeneration())
		}
	}
	return 0, fmt.Errorf("%d checkpoint numbers were taken meanwhile", fenceAttempts)
}

// listWithNewest lists and returns the generation in the newest checkpoint record, 0 without one.
func (s *Store) listWithNewest(ctx context.Context) (control, uint64, error) {
	listed, err := s.list(ctx)
	if err != nil || len(listed.checkpoints) == 0 {
		return listed, 0, err
	}
	r, err := s.record(ctx, listed.newestCheckpoint())
	if errors.Is(err, filesystem.ErrNotExist) {
		return listed, 0, nil // Gone since: the claim or its confirmation meets what came instead.
	}
	if err != nil {
		return control{}, 0, err
	}
	return listed, r.Generation, nil
}

// stop ends the work of this master for good and returns why.
func (s *Store) stop(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped == nil {
		s.mu.stopped = err
	}
	return s.mu.stopped
}
