// Package clock is where time comes from. Code that needs the time of day or a timer is given a
// [Clock]: [Real] in a running job, a [Manual] in tests. [Monotonic] reads the machine's steady
// counter for busy, idle and latency accounting.
//
// The package knows nothing of event time, which comes with the records (package eventtime).
//
// Clocks may be used from any goroutine; a [Timer] belongs to the goroutine that made it, except
// that any goroutine may receive from its channel.
package clock

import (
	"context"
	"time"
)

// Clock tells the time of day and makes timers.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// NewTimer returns a timer that fires once, d from now; at once when d is zero or less. The
	// caller stops it when it is no longer needed.
	NewTimer(d time.Duration) Timer
}

// Timer fires once, by sending the time on its channel. After Stop or Reset no older firing is
// received any more.
//
// Semantics: time.Timer as of Go 1.23.
type Timer interface {
	// C returns the channel on which the timer fires. It is never closed.
	C() <-chan time.Time
	// Stop disarms the timer and reports whether it was still armed. It may be called again.
	Stop() bool
	// Reset arms the timer to fire d from now and reports whether it was still armed.
	Reset(d time.Duration) bool
}

// Real returns the machine's clock.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) NewTimer(d time.Duration) Timer { return realTimer{time.NewTimer(d)} }

type realTimer struct{ timer *time.Timer }

func (t realTimer) C() <-chan time.Time        { return t.timer.C }
func (t realTimer) Stop() bool                 { return t.timer.Stop() }
func (t realTimer) Reset(d time.Duration) bool { return t.timer.Reset(d) }

// started anchors Monotonic, so that its values are small and never mistaken for a time of day.
var started = time.Now()

// Monotonic returns nanoseconds since the program started. It never goes backwards, ignores
// changes of the wall clock, allocates nothing and costs about as much as one clock read (tens of
// nanoseconds): call it per batch, not per record.
func Monotonic() int64 { return int64(time.Since(started)) }

// Sleep waits for d on c. It returns nil when the time has passed, and the cause of ctx's end when
// that comes first.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
