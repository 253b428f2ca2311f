package clock

import (
	"slices"
	"sync"
	"time"
)

// Manual is a clock for tests: its time moves only when told. Timers fire inside Advance and Set,
// in the order of their times, and in the order they were armed when times are equal.
// It may be used from any goroutine.
type Manual struct {
	mu struct {
		sync.Mutex
		now time.Time
		// armed is sorted by due time; timers of one time stand in the order of arming.
		armed []*manualTimer
		// changed is closed and replaced when a timer is armed.
		changed chan struct{}
	}
}

// NewManual returns a clock that stands at start.
func NewManual(start time.Time) *Manual {
	m := &Manual{}
	m.mu.now = start
	m.mu.changed = make(chan struct{})
	return m
}

// Now returns the time the clock stands at.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.now
}

// NewTimer returns a timer that fires when the clock is moved to d from now or beyond.
func (m *Manual) NewTimer(d time.Duration) Timer {
	// One firing is all a timer can have outstanding.
	t := &manualTimer{clock: m, fired: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// Advance moves the clock forward by d and fires what is due. A negative d is refused by doing
// nothing: time does not run backwards.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setLocked(m.mu.now.Add(d))
}

// Set moves the clock forward to now and fires what is due. An earlier time does nothing.
func (m *Manual) Set(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setLocked(now)
}

// Next returns the time of the earliest armed timer, and whether there is one.
func (m *Manual) Next() (due time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.armed) == 0 {
		return time.Time{}, false
	}
	return m.mu.armed[0].due, true
}

// AwaitTimers returns once at least n timers are armed: a test calls it before Advance, to know
// that the code under test has come to its waiting point.
func (m *Manual) AwaitTimers(n int) {
	for {
		m.mu.Lock()
		armed, changed := len(m.mu.armed), m.mu.changed
		m.mu.Unlock()
		if armed >= n {
			return
		}
		<-changed
	}
}

func (m *Manual) setLocked(now time.Time) {
	if !now.After(m.mu.now) {
		return
	}
	m.mu.now = now
	due := 0
	for due < len(m.mu.armed) && !m.mu.armed[due].due.After(now) {
		m.mu.armed[due].fireLocked(now)
		due++
	}
	m.mu.armed = slices.Delete(m.mu.armed, 0, due)
}

// disarmLocked removes t from the armed timers and reports whether it was among them.
func (m *Manual) disarmLocked(t *manualTimer) bool {
	i := slices.Index(m.mu.armed, t)
	if i < 0 {
		return false
	}
	m.mu.armed = slices.Delete(m.mu.armed, i, i+1)
	return true
}

func (m *Manual) armLocked(t *manualTimer) {
	i := len(m.mu.armed)
	for i > 0 && m.mu.armed[i-1].due.After(t.due) {
		i--
	}
	m.mu.armed = slices.Insert(m.mu.armed, i, t)
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}

// manualTimer is guarded by its clock's lock.
type manualTimer struct {
	clock *Manual
	due   time.Time
	fired chan time.Time
}

func (t *manualTimer) C() <-chan time.Time { return t.fired }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stopLocked()
}

func (t *manualTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	wasArmed := t.stopLocked()
	t.due = t.clock.mu.now.Add(d)
	if d <= 0 {
		t.fireLocked(t.clock.mu.now)
	} else {
		t.clock.armLocked(t)
	}
	return wasArmed
}

// stopLocked disarms the timer and takes back a firing nobody has received. Like time.Timer, it
// counts such a firing as not having happened.
func (t *manualTimer) stopLocked() bool {
	wasArmed := t.clock.disarmLocked(t)
	select {
	case <-t.fired:
		wasArmed = true
	default:
	}
	return wasArmed
}

func (t *manualTimer) fireLocked(now time.Time) { t.fired <- now }
