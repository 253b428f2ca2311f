package store

import (
	"context"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
)

// createAttempts bounds how often an unclear answer is followed up.
const createAttempts = 4

// firstPause is the pause before the first repetition; each further one is four times longer.
const firstPause = 100 * time.Millisecond

// Pace sets the clock for the pauses between the attempts to find out what became of a checkpoint
// record: an unknown outcome ends the master for good, and an outage of seconds should not. Without
// a clock there are no pauses. To be called before anything else.
func (s *Store) Pace(c clock.Clock) { s.clock = c }

// pause waits before a repetition, counted from 1. The error says that ctx has ended.
type pause func(ctx context.Context, repetition int) error

// atOnce is for what may fail: whoever asked can ask again.
func atOnce(context.Context, int) error { return nil }

// patiently is for what has to be found out.
func (s *Store) patiently(ctx context.Context, repetition int) error {
	if s.clock == nil {
		return nil
	}
	return clock.Sleep(ctx, s.clock, firstPause<<(2*(repetition-1)))
}

// listPatiently is list for where the answer decides about a record that is written already.
func (s *Store) listPatiently(ctx context.Context) (control, error) {
	for repetition := 1; ; repetition++ {
		listed, err := s.list(ctx)
		if err == nil || repetition == createAttempts || s.patiently(ctx, repetition) != nil {
			return listed, err
		}
	}
}
