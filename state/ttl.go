package state

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// TTL is an option: the state expires when it has not been used for some processing time. A
// map expires entry by entry, a list element by element.
//
// What has expired is removed when it is met, and when the files of checkpoints are merged or
// restored; until then it takes room. The time to live may be changed between two runs of a
// job; giving one to a state that had none, or taking it away, changes the state's bytes and
// is refused when the job starts.
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
	case s.expiry.millis != 0:
		s.err = fmt.Errorf("it has two times to live; give one")
	case t.After < time.Millisecond || t.After%time.Millisecond != 0:
		s.err = fmt.Errorf("its time to live is %v; use whole milliseconds, at least one", t.After)
	case t.Update > OnReadAndWrite || t.Visibility > ReturnExpiredIfNotCleanedUp:
		s.err = fmt.Errorf("its time to live has update %d and visibility %d; use the constants",
			t.Update, t.Visibility)
	}
	s.expiry = expiry{
		millis: t.After.Milliseconds(), onRead: t.Update == OnReadAndWrite,
		show: t.Visibility == ReturnExpiredIfNotCleanedUp,
	}
}

// expiry is a TTL as states use it. The zero expiry never comes.
type expiry struct {
	millis int64 // 0: for ever
	onRead bool  // reading prolongs
	show   bool  // what has expired is returned once
}

// timeBytes is the size of the time of the last use.
const timeBytes = 8

// prefix is the number of bytes before a value.
func (e *expiry) prefix() int {
	if e.millis == 0 {
		return 0
	}
	return timeBytes
}

func (e *expiry) expired(lastUse, now int64) bool {
	return lastUse <= math.MaxInt64-e.millis && lastUse+e.millis <= now
}

// part is a state in the row.
type part struct {
	expiry
	present uint64  // its bit in the presence word
	offset  uintptr // of the time of the last use, if it expires, and the value behind it
}

func (p *part) lastUse(fixed unsafe.Pointer) int64 {
	return *(*int64)(unsafe.Add(fixed, p.offset))
}

func wordAt(fixed unsafe.Pointer, offset uintptr) *uint64 {
	return (*uint64)(unsafe.Add(fixed, offset))
}
