package stream

import (
	"fmt"
	"math"
	"time"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// sweeper removes expired state of a keyed operator from memory, between batches and while there
// are none. Task goroutine only.
//
// It goes over all rows in passes that begin an eighth of the shortest time to live apart, and
// looks at a few places each time. Where most keys are new ones, memory depends on how it keeps
// up with them: for each row, entry and element that was written it removes one and looks at four
// places, so that of what there is about a quarter has expired. Where keys come again there is
// little to remove, and the pauses between passes make it cheap.
type sweeper struct {
	env    *operator.Env
	states *declared.States
	sweep  *declared.Sweep
	table  backend.TableID
	pause  int64 // from the beginning of a pass to that of the next, in milliseconds

	active bool  // in a pass
	next   int64 // when the next pass begins at the earliest
	credit int   // places to look at between batches; less than 0 after a long list
	busy   bool  // there was a batch since the last slice
	wake   int64 // the wish that is open; math.MaxInt64 without
}

// How many places are looked at, a removal counting as four: after a batch, and for each row,
// entry or element that was written; in a slice, which takes less than a millisecond, and in one
// while batches come; and how long from slice to slice.
const (
	placesPerBatch = 64
	placesPerBirth = 4 + declared.RemovalCost
	placesPerSlice = 4096
	placesWhenBusy = placesPerSlice / 8
	sliceMillis    = 10
)

// Bounds of the pause between passes, in milliseconds.
const (
	leastSweepPause = 100
	mostSweepPause  = int64(time.Hour / time.Millisecond)
)

// newSweeper returns the sweeper of a table, nil when none of its states has a time to live.
func newSweeper(
	env *operator.Env, states *declared.States, table backend.TableID,
) *sweeper {
	ttl := states.ShortestTTL()
	if ttl == 0 {
		return nil
	}
	return &sweeper{
		env: env, states: states, sweep: declared.NewSweep(states), table: table,
		pause: min(max(ttl/8, leastSweepPause), mostSweepPause), wake: math.MaxInt64,
	}
}

// open plans the first pass: what had expired was not restored.
func (s *sweeper) open() {
	if s == nil {
		return
	}
	now := s.env.Clock.Now().UnixMilli()
	s.next = now + s.pause
	s.wish(s.next)
}

// wish asks to be woken, earlier or at the same time.
func (s *sweeper) wish(at int64) {
	if at < s.wake {
		s.wake = at
		s.env.WakeAt(at)
	}
}

// due reports whether there is a pass to go on with, and begins one when it is time.
func (s *sweeper) due(now int64) bool {
	s.next = min(s.next, now+s.pause) // The clock may have been set back.
	if !s.active && now >= s.next {
		s.active, s.next = true, now+s.pause
	}
	return s.active
}

// afterBatch looks at a few rows of the table, where the batch has made some.
func (s *sweeper) afterBatch(table backend.Table, now int64, made int) error {
	if s == nil {
		return nil
	}
	made += s.states.Births()
	s.busy = true
	if !s.due(now) {
		s.wish(s.next)
		return nil
	}
	s.wish(now + sliceMillis)
	s.credit += placesPerBatch + placesPerBirth*made
	budget := min(s.credit, placesPerSlice+placesPerBirth*made)
	if budget <= 0 {
		return nil
	}
	spent, err := s.step(table, now, budget)
	s.credit -= spent
	return err
}

// alarm does a slice when its time has come. The call has used up the wish.
func (s *sweeper) alarm(now int64) error {
	if s == nil {
		return nil
	}
	wake := s.wake
	s.wake = math.MaxInt64
	if now < wake {
		s.wish(wake)
		return nil
	}
	table, err := s.env.Keyed.Table(s.table, backend.NoPane)
	if err != nil {
		return err
	}
	if s.due(now) {
		err = s.slice(table, now)
	}
	switch {
	case s.active:
		s.wish(now + sliceMillis)
	case table.Len() > 0:
		s.wish(s.next)
	default: // The next batch does.
	}
	return err
}

func (s *sweeper) slice(table backend.Table, now int64) error {
	budget := placesPerSlice
	if s.busy {
		budget = placesWhenBusy
	}
	s.busy = false
	if s.credit < 0 {
		s.credit += budget
		return nil
	}
	spent, err := s.step(table, now, budget)
	s.credit -= max(0, spent-budget)
	return err
}

func (s *sweeper) step(table backend.Table, now int64, budget int) (spent int, err error) {
	spent, done, err := s.sweep.Step(table, now, budget)
	if err != nil {
		return spent, fmt.Errorf("operator %q: %w", s.env.Name, err)
	}
	if done {
		s.active, s.credit = false, min(s.credit, 0)
	}
	return spent, nil
}
