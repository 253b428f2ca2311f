package timer

import (
	"unsafe"

	"github.com/leat-io/leat/state/backend"
)

// recent remembers timers that are registered, so that doing it again, as programs do for
// every record of a key, costs no operation. It is made when a log turns out to be full of
// repetitions, and for keys of fixed form only. An entry counts while its time is after
// wheel.base: nothing of that is taken out of a service without Delete.
type recent struct {
	entries []recentTimer
}

type recentTimer struct {
	time uint64 // 0: none; it is never after base
	key  [2]uint64
	name [2]uint64
}

const (
	recentBits = 13
	// A log of which fewer timers in a hundred are left is full of repetitions.
	fewLeft = 75
)

// recentOf names a timer by what counts of it, and returns the entry in which it belongs.
func (s *Service) recentOf(time uint64, t *backend.Timer) (recentTimer, *recentTimer) {
	name := recentTimer{time: time, key: t.Words, name: t.Namespace}
	for i := s.layout.KeyWords; i < len(name.key); i++ {
		name.key[i] = 0
	}
	for i := s.layout.NamespaceWords; i < len(name.name); i++ {
		name.name[i] = 0
	}
	mixed := (t.Hash>>32 ^ name.name[0]) + time*0x9e3779b97f4a7c15
	return name, &s.recent.entries[mixed*0xd6e8feb86659fd93>>(64-recentBits)]
}

// knows reports whether a timer is registered for sure, and remembers it, which is about to
// be.
func (s *Service) knows(time uint64, t *backend.Timer) bool {
	if s.recent.entries == nil || time <= s.wheel.base {
		return false
	}
	name, e := s.recentOf(time, t)
	known := *e == name
	*e = name
	return known
}

// forget is told that a timer is deleted.
func (s *Service) forget(time uint64, t *backend.Timer) {
	if s.recent.entries == nil {
		return
	}
	if name, e := s.recentOf(time, t); *e == name {
		*e = recentTimer{}
	}
}

// repeated is told how many timers a log of so many operations came to.
func (s *Service) repeated(operations, timers int) {
	if s.recent.entries == nil && s.memory.shape.keyWords > 0 && operations >= leastLog &&
		100*timers < fewLeft*operations {
		s.remembers()
	}
}

func (s *Service) remembers() {
	s.recent.entries = make([]recentTimer, 1<<recentBits)
	s.memory.bytes += int64(unsafe.Sizeof(recentTimer{})) << recentBits
}
