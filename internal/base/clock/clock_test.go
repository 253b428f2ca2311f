package clock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fired reports whether the timer has fired since the last call.
func fired(timer clock.Timer) bool {
	select {
	case <-timer.C():
		return true
	default:
		return false
	}
}

// Goal: a manual timer fires exactly when the clock reaches it, and Stop and Reset take back an
// unreceived firing as time.Timer does. Method: step the clock around the due time.
func TestManualTimer(t *testing.T) {
	m := clock.NewManual(start)
	timer := m.NewTimer(time.Second)
	m.Advance(time.Second - 1)
	if fired(timer) {
		t.Error("fired early")
	}
	m.Advance(1)
	if !fired(timer) {
		t.Error("did not fire when due")
	}
	if timer.Stop() {
		t.Error("Stop reports a received timer as armed")
	}
	if timer.Reset(time.Second) {
		t.Error("Reset reports a stopped timer as armed")
	}
	m.Advance(time.Hour)
	if !timer.Reset(time.Minute) {
		t.Error("Reset must take back the firing nobody received")
	}
	if fired(timer) {
		t.Error("an old firing was received after Reset")
	}
	if !timer.Stop() || timer.Stop() {
		t.Error("Stop must report an armed timer once")
	}
	m.Advance(time.Hour)
	if fired(timer) {
		t.Error("a stopped timer fired")
	}
	if !fired(m.NewTimer(0)) || !fired(m.NewTimer(-1)) {
		t.Error("a timer without delay must fire at once")
	}
}

// Goal: time never runs backwards, and Next tells the earliest timer. Method: set and look.
func TestManualTime(t *testing.T) {
	m := clock.NewManual(start)
	m.Set(start.Add(-time.Hour))
	m.Advance(-time.Hour)
	if got := m.Now(); !got.Equal(start) {
		t.Errorf("time ran back to %v", got)
	}
	if due, ok := m.Next(); ok {
		t.Errorf("a timer at %v without any armed", due)
	}
	late, early := m.NewTimer(2*time.Second), m.NewTimer(time.Second)
	if due, ok := m.Next(); !ok || !due.Equal(start.Add(time.Second)) {
		t.Errorf("next timer at %v, %v", due, ok)
	}
	m.Set(start.Add(time.Second))
	if !fired(early) || fired(late) {
		t.Error("Set must fire what is due and nothing else")
	}
	if due, ok := m.Next(); !ok || !due.Equal(start.Add(2*time.Second)) {
		t.Errorf("next timer at %v, %v", due, ok)
	}
	late.Stop()
}

// Goal: Sleep ends with the time or with the context, and AwaitTimers lets a test step a clock
// another goroutine waits on. Method: sleep in a group, advance when the sleeper has armed.
func TestSleep(t *testing.T) {
	m := clock.NewManual(start)
	group := lifecycle.NewGroup(t.Context(), "test")
	group.Go("sleeper", func(ctx context.Context) error { return clock.Sleep(ctx, m, time.Hour) })
	m.AwaitTimers(1)
	m.Advance(time.Hour)
	if err := group.Wait(); err != nil {
		t.Errorf("Sleep returned %v", err)
	}
	cause := errors.New("job cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := clock.Sleep(ctx, m, time.Hour); err != cause {
		t.Errorf("Sleep returned %v, want the cause", err)
	}
	if due, ok := m.Next(); ok {
		t.Errorf("Sleep left a timer at %v", due)
	}
}

// Goal: the real clock follows the machine's, and Monotonic does not go backwards or allocate.
// Method: read both around a timer that fires at once.
func TestReal(t *testing.T) {
	before, c := time.Now(), clock.Real()
	steady := clock.Monotonic()
	timer := c.NewTimer(time.Microsecond)
	<-timer.C()
	if passed := clock.Monotonic() - steady; passed < int64(time.Microsecond) {
		t.Errorf("monotonic clock advanced %d ns over a timer of 1000 ns", passed)
	}
	if now := c.Now(); now.Before(before) {
		t.Errorf("real clock at %v, before %v", now, before)
	}
	if timer.Reset(time.Hour) || !timer.Stop() {
		t.Error("the real timer must report whether it was armed")
	}
	if allocs := testing.AllocsPerRun(100, func() { clock.Monotonic() }); allocs != 0 {
		t.Errorf("%v allocations per reading", allocs)
	}
}

// BenchmarkMonotonic measures one reading of the steady counter.
func BenchmarkMonotonic(b *testing.B) {
	for b.Loop() {
		clock.Monotonic()
	}
}
