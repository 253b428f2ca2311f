package window

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/eventtime"
)

// ContinuousEventTime fires a window that has records whenever the watermark passes a multiple
// of interval, and at its end. interval is at least a millisecond.
//
// Semantics: Flink's ContinuousEventTimeTrigger.
func ContinuousEventTime(interval time.Duration) Trigger {
	millis, err := intervalMillis(interval)
	if err != nil {
		return invalid{err: err}
	}
	return continuousEventTime{interval: millis}
}

type continuousEventTime struct{ interval int64 }

// nextFire is when a continuous trigger fires next.
const nextFire Number = "next fire"

func earlier(a, b int64) int64 { return min(a, b) }

// schedule waits for the end of the interval. The global window does so for ever: not once the
// input has ended.
func (c continuousEventTime) schedule(ctx Context, after eventtime.Timestamp) {
	if ctx.Watermark() == eventtime.Max && ctx.Window() == Global() {
		nextFire.Clear(ctx)
		return
	}
	at := next(after, ctx.Window().MaxTimestamp(), c.interval)
	nextFire.Set(ctx, int64(at))
	ctx.RegisterEventTimer(at)
}

// OnElement fires a late window, else waits for the end of the interval and of the window.
func (c continuousEventTime) OnElement(ctx Context) Result {
	end := ctx.Window().MaxTimestamp()
	if end <= ctx.Watermark() {
		return Fire
	}
	ctx.RegisterEventTimer(end)
	if _, ok := nextFire.Get(ctx); !ok && ctx.Timestamp() != eventtime.None {
		c.schedule(ctx, ctx.Timestamp())
	}
	return Continue
}

// OnEventTime fires at the end of the interval and of the window.
func (c continuousEventTime) OnEventTime(ctx Context, time eventtime.Timestamp) Result {
	if time == ctx.Window().MaxTimestamp() {
		return Fire
	}
	if at, ok := nextFire.Get(ctx); ok && at == int64(time) {
		c.schedule(ctx, time)
		return Fire
	}
	return Continue
}

// OnProcessingTime does nothing.
func (continuousEventTime) OnProcessingTime(Context, eventtime.Timestamp) Result {
	return Continue
}

// CanMerge is true.
func (continuousEventTime) CanMerge() bool { return true }

// OnMerge keeps the earliest time.
func (continuousEventTime) OnMerge(ctx Context) {
	nextFire.Merge(ctx, earlier)
	if at, ok := nextFire.Get(ctx); ok {
		ctx.RegisterEventTimer(eventtime.Timestamp(at))
	}
}

// Clear deletes the timer.
func (continuousEventTime) Clear(ctx Context) {
	if at, ok := nextFire.Get(ctx); ok {
		ctx.DeleteEventTimer(eventtime.Timestamp(at))
		nextFire.Clear(ctx)
	}
}

// String describes the trigger.
func (c continuousEventTime) String() string {
	return fmt.Sprintf("continuous event time(%d ms)", c.interval)
}

// ContinuousProcessingTime fires a window that has records whenever the clock passes a
// multiple of interval. interval is at least a millisecond.
//
// Semantics: Flink's ContinuousProcessingTimeTrigger.
func ContinuousProcessingTime(interval time.Duration) Trigger {
	millis, err := intervalMillis(interval)
	if err != nil {
		return invalid{err: err}
	}
	return continuousProcessingTime{interval: millis}
}

type continuousProcessingTime struct{ interval int64 }

// schedule waits for the end of the interval. One that ends after a window which is over
// already has nothing to wait for.
func (c continuousProcessingTime) schedule(ctx Context, after eventtime.Timestamp) {
	at := next(after, ctx.Window().MaxTimestamp(), c.interval)
	if at <= after {
		nextFire.Clear(ctx)
		return
	}
	nextFire.Set(ctx, int64(at))
	ctx.RegisterProcessingTimer(at)
}

// OnElement waits for the end of the interval.
func (c continuousProcessingTime) OnElement(ctx Context) Result {
	if _, ok := nextFire.Get(ctx); !ok {
		c.schedule(ctx, ctx.ProcessingTime())
	}
	return Continue
}

// OnEventTime does nothing.
func (continuousProcessingTime) OnEventTime(Context, eventtime.Timestamp) Result {
	return Continue
}

// OnProcessingTime fires at the end of the interval.
func (c continuousProcessingTime) OnProcessingTime(
	ctx Context, time eventtime.Timestamp,
) Result {
	if at, ok := nextFire.Get(ctx); ok && at == int64(time) {
		c.schedule(ctx, time)
		return Fire
	}
	return Continue
}

// CanMerge is true.
func (continuousProcessingTime) CanMerge() bool { return true }

// OnMerge keeps the earliest time.
func (continuousProcessingTime) OnMerge(ctx Context) {
	nextFire.Merge(ctx, earlier)
	if at, ok := nextFire.Get(ctx); ok {
		ctx.RegisterProcessingTimer(eventtime.Timestamp(at))
	}
}

// Clear deletes the timer.
func (continuousProcessingTime) Clear(ctx Context) {
	if at, ok := nextFire.Get(ctx); ok {
		ctx.DeleteProcessingTimer(eventtime.Timestamp(at))
		nextFire.Clear(ctx)
	}
}

// String describes the trigger.
func (c continuousProcessingTime) String() string {
	return fmt.Sprintf("continuous processing time(%d ms)", c.interval)
}
