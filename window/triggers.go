package window

import (
	"fmt"
	"math"
	"time"

	"github.com/leat-io/leat/eventtime"
)

// EventTime fires when the watermark passes the end of a window, and again for every late
// record within the allowed lateness. It is the default of windows in event time.
//
// Semantics: Flink's EventTimeTrigger.
func EventTime() Trigger { return eventTime{} }

type eventTime struct{}

// OnElement fires a window that has fired before, else waits for the watermark.
func (eventTime) OnElement(ctx Context) Result {
	end := ctx.Window().MaxTimestamp()
	if end <= ctx.Watermark() {
		return Fire
	}
	ctx.RegisterEventTimer(end)
	return Continue
}

// OnEventTime fires at the end of the window.
func (eventTime) OnEventTime(ctx Context, time eventtime.Timestamp) Result {
	if time == ctx.Window().MaxTimestamp() {
		return Fire
	}
	return Continue
}

// OnProcessingTime does nothing.
func (eventTime) OnProcessingTime(Context, eventtime.Timestamp) Result { return Continue }

// CanMerge is true.
func (eventTime) CanMerge() bool { return true }

// OnMerge waits for the new end.
func (eventTime) OnMerge(ctx Context) {
	if end := ctx.Window().MaxTimestamp(); end > ctx.Watermark() {
		ctx.RegisterEventTimer(end)
	}
}

// Clear deletes the timer.
func (eventTime) Clear(ctx Context) { ctx.DeleteEventTimer(ctx.Window().MaxTimestamp()) }

// String describes the trigger.
func (eventTime) String() string { return "event time" }

// ProcessingTime fires when the clock passes the end of a window. It is the default of windows
// in processing time.
//
// Semantics: Flink's ProcessingTimeTrigger.
func ProcessingTime() Trigger { return processingTime{} }

type processingTime struct{}

// OnElement waits for the end of the window.
func (processingTime) OnElement(ctx Context) Result {
	ctx.RegisterProcessingTimer(ctx.Window().MaxTimestamp())
	return Continue
}

// OnEventTime does nothing.
func (processingTime) OnEventTime(Context, eventtime.Timestamp) Result { return Continue }

// OnProcessingTime fires.
func (processingTime) OnProcessingTime(Context, eventtime.Timestamp) Result { return Fire }

// CanMerge is true.
func (processingTime) CanMerge() bool { return true }

// OnMerge waits for the new end.
func (processingTime) OnMerge(ctx Context) {
	if end := ctx.Window().MaxTimestamp(); end > ctx.ProcessingTime() {
		ctx.RegisterProcessingTimer(end)
	}
}

// Clear deletes the timer.
func (processingTime) Clear(ctx Context) {
	ctx.DeleteProcessingTimer(ctx.Window().MaxTimestamp())
}

// String describes the trigger.
func (processingTime) String() string { return "processing time" }

// Never does not fire. It is the default of the global window.
//
// Semantics: Flink's GlobalWindows.NeverTrigger.
func Never() Trigger { return never{} }

type never struct{}

// OnElement does nothing.
func (never) OnElement(Context) Result { return Continue }

// OnEventTime does nothing.
func (never) OnEventTime(Context, eventtime.Timestamp) Result { return Continue }

// OnProcessingTime does nothing.
func (never) OnProcessingTime(Context, eventtime.Timestamp) Result { return Continue }

// CanMerge is true.
func (never) CanMerge() bool { return true }

// OnMerge does nothing.
func (never) OnMerge(Context) {}

// Clear does nothing.
func (never) Clear(Context) {}

// String describes the trigger.
func (never) String() string { return "never" }

// Count fires after every n records of a key and window. n is at least 1.
//
// Semantics: Flink's CountTrigger.
func Count(n int64) Trigger {
	if n < 1 {
		return invalid{err: fmt.Errorf("trigger on every %d records: want at least 1", n)}
	}
	return count{n: n}
}

type count struct {
	never
	n int64
}

const countState Number = "count"

// OnElement counts.
func (c count) OnElement(ctx Context) Result {
	seen, _ := countState.Get(ctx)
	if seen++; seen >= c.n {
		countState.Clear(ctx)
		return Fire
	}
	countState.Set(ctx, seen)
	return Continue
}

// OnMerge adds the counts; only the next record fires.
func (c count) OnMerge(ctx Context) {
	countState.Merge(ctx, func(a, b int64) int64 { return a + b })
}

// Clear forgets the count.
func (c count) Clear(ctx Context) { countState.Clear(ctx) }

// String describes the trigger.
func (c count) String() string { return fmt.Sprintf("count(%d)", c.n) }

// Purging drops the contents of a window whenever t fires it.
//
// Semantics: Flink's PurgingTrigger.
func Purging(t Trigger) Trigger { return purging{Trigger: t} }

type purging struct{ Trigger }

func purged(r Result) Result {
	if r.Fires() {
		return FireAndPurge
	}
	return r
}

// OnElement asks the trigger inside.
func (p purging) OnElement(ctx Context) Result { return purged(p.Trigger.OnElement(ctx)) }

// OnEventTime asks the trigger inside.
func (p purging) OnEventTime(ctx Context, time eventtime.Timestamp) Result {
	return purged(p.Trigger.OnEventTime(ctx, time))
}

// OnProcessingTime asks the trigger inside.
func (p purging) OnProcessingTime(ctx Context, time eventtime.Timestamp) Result {
	return purged(p.Trigger.OnProcessingTime(ctx, time))
}

// Validate says what is wrong with the trigger inside.
func (p purging) Validate() error { return Validate(p.Trigger) }

// String describes the trigger.
func (p purging) String() string { return fmt.Sprintf("purging(%v)", p.Trigger) }

// invalid is what a constructor returns that was given nonsense. Graphs with it are refused.
type invalid struct {
	never
	err error
}

// Validate returns the fault.
func (i invalid) Validate() error { return i.err }

// Validate says what is wrong with a trigger or evictor: nil is, and whatever its own method
// Validate() error says, if it has one.
func Validate(v any) error {
	switch v := v.(type) {
	case nil:
		return fmt.Errorf("it is nil")
	case interface{ Validate() error }:
		return v.Validate()
	}
	return nil
}

// next returns the start of the interval of length length after that of time, at most last.
func next(time, last eventtime.Timestamp, length int64) eventtime.Timestamp {
	since := int64(time) % length
	if since < 0 {
		since += length
	}
	if int64(time) > math.MaxInt64-(length-since) {
		return last
	}
	return min(time+eventtime.Timestamp(length-since), last)
}

func intervalMillis(d time.Duration) (int64, error) {
	if d < time.Millisecond {
		return 0, fmt.Errorf("trigger every %v: want at least 1 ms", d)
	}
	return d.Milliseconds(), nil
}
