package mini

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/leat-io/leat/internal/checkpoint/store"
)

// sweeper removes checkpoints that are no longer kept, beside everything else. Safe for
// concurrent use.
type sweeper struct {
	store  *store.Store
	logger *slog.Logger
	// wanted has room for one token: a sweep covers everything completed before it.
	wanted chan struct{}
	mu     struct {
		sync.Mutex
		generation store.Generation
		// newest and before are the last two completed checkpoints.
		newest, before uint64
		chores         []func(context.Context, store.Generation)
	}
}

func newSweeper(s *store.Store, logger *slog.Logger) *sweeper {
	return &sweeper{store: s, logger: logger, wanted: make(chan struct{}, 1)}
}

func (s *sweeper) begin(g store.Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.generation = g
}

func (s *sweeper) completed(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.mu.newest {
		s.mu.newest, s.mu.before = id, s.mu.newest
	}
}

// later lets something else be removed, before the next sweep.
func (s *sweeper) later(chore func(context.Context, store.Generation)) {
	s.mu.Lock()
	s.mu.chores = append(s.mu.chores, chore)
	s.mu.Unlock()
	s.wake()
}

func (s *sweeper) wake() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

func (s *sweeper) run(ctx context.Context) error {
	for {
		select {
		case <-s.wanted:
			// A task may meet the barrier of the next checkpoint before it reads that the newest
			// has completed, and then builds on the one before.
			s.sweep(ctx, func() store.InFlight {
				s.mu.Lock()
				defer s.mu.Unlock()
				return store.InFlight{BuildsOn: s.mu.before}
			})
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// last sweeps when no task runs any more.
func (s *sweeper) last(ctx context.Context) {
	s.sweep(ctx, func() store.InFlight { return store.InFlight{Idle: true} })
}

func (s *sweeper) sweep(ctx context.Context, inFlight func() store.InFlight) {
	s.mu.Lock()
	generation, chores := s.mu.generation, s.mu.chores
	s.mu.chores = nil
	s.mu.Unlock()
	for _, chore := range chores {
		chore(ctx, generation)
	}
	report, err := s.store.Sweep(ctx, generation, inFlight)
	switch {
	case err != nil && ctx.Err() != nil:
	case errors.Is(err, store.ErrFenced):
		// The next checkpoint will find out too, and end the job.
		s.logger.Debug("another master has taken over; nothing is removed")
	case err != nil:
		s.logger.Warn("removing old checkpoints failed", slog.Any("error", err))
	default:
		s.logger.Debug("old checkpoints removed", slog.Int("records", report.Records),
			slog.Int("files", report.Files), slog.Int64("bytes", report.Bytes))
	}
}
