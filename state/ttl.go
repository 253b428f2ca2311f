package state

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/state/declared"
)

// TTL is an option: the state expires when it has not been used for some processing time. A
// map expires entry by entry, a list element by element.
//
// What has expired is removed when it is met, when the files of checkpoints are merged or
// restored, and from memory by and by while the job runs, fast enough for memory to stay in
// proportion to what lives. States of window functions are the exception to the last.
//
// The time to live may be changed between two runs of a job; giving one to a state that had none,
// or taking it away, changes the state's bytes and is refused when the job starts.
//
// Semantics: Flink's StateTtlConfig.
type TTL struct {
	// After is the time to live since the last use, in whole milliseconds, at least one.
	After time.Duration
	// Update says what a use is. Default: OnCreateAndWrite.
	Update TTLUpdate
	// Visibility says whether what has expired can be read. Default: NeverReturnExpired.
	Visibility TTLVisibility
}

// TTLUpdate says what prolongs the life of a state.
type TTLUpdate uint8

const (
	// OnCreateAndWrite: writing does.
	OnCreateAndWrite TTLUpdate = iota
	// OnReadAndWrite: reading does, too. Every read is a write then.
	OnReadAndWrite
)

// TTLVisibility says whether a state that has expired is returned.
type TTLVisibility uint8

const (
	// NeverReturnExpired: it is as if it were not there.
	NeverReturnExpired TTLVisibility = iota
	// ReturnExpiredIfNotCleanedUp: reading returns it one last time, if it is still there.
	ReturnExpiredIfNotCleanedUp
)

func (t TTL) apply(s *settings) {
	switch {
	case s.expiry.Millis != 0:
		s.err = fmt.Errorf("it has two times to live; give one")
	case t.After < time.Millisecond || t.After%time.Millisecond != 0:
		s.err = fmt.Errorf("its time to live is %v; use whole milliseconds, at least one", t.After)
	case t.Update > OnReadAndWrite || t.Visibility > ReturnExpiredIfNotCleanedUp:
		s.err = fmt.Errorf("its time to live has update %d and visibility %d; use the constants",
			t.Update, t.Visibility)
	}
	s.expiry = declared.Expiry{
		Millis: t.After.Milliseconds(), OnRead: t.Update == OnReadAndWrite,
		Show: t.Visibility == ReturnExpiredIfNotCleanedUp,
	}
}
