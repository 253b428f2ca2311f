package window

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/eventtime"
)

// Result says what becomes of a window after a trigger was asked.
type Result uint8

// What a trigger can answer.
const (
	// Continue does nothing.
	Continue Result = 0
	// Fire emits the window's result; its contents stay.
	Fire Result = 1
	// Purge drops the window's contents and emits nothing.
	Purge Result = 2
	// FireAndPurge emits the window's result, then drops its contents.
	FireAndPurge = Fire | Purge
)

// Fires reports whether the window's result is emitted.
func (r Result) Fires() bool { return r&Fire != 0 }

// Purges reports whether the window's contents are dropped.
func (r Result) Purges() bool { return r&Purge != 0 }

// String returns Flink's name of r.
func (r Result) String() string {
	switch r {
	case Continue:
		return "CONTINUE"
	case Fire:
		return "FIRE"
	case Purge:
		return "PURGE"
	case FireAndPurge:
		return "FIRE_AND_PURGE"
	}
	return fmt.Sprintf("result %d", uint8(r))
}

// Trigger decides when windows fire. It is shared by all subtasks, keys and windows, so that
// it must not change itself: what it remembers goes into the Context.
//
// Semantics: Flink's Trigger.
type Trigger interface {
	// OnElement is asked for every record that was added to a window.
	OnElement(ctx Context) Result
	// OnEventTime is asked when a timer in event time is due: one that the trigger registered,
	// or the one by which the window will be cleared away. time is that of the timer.
	OnEventTime(ctx Context, time eventtime.Timestamp) Result
	// OnProcessingTime is the same in processing time.
	OnProcessingTime(ctx Context, time eventtime.Timestamp) Result
	// CanMerge reports whether the trigger may be used with sessions, which call OnMerge.
	CanMerge() bool
	// OnMerge is called when windows have become one, which is that of ctx: the trigger merges
	// what it remembers, see Context.MergeState, and registers the timers of the new window.
	// Clear is called for each of the old ones afterwards.
	OnMerge(ctx Context)
	// Clear is called when a window is cleared away: the trigger deletes its timers and what
	// it remembers of the window.
	Clear(ctx Context)
}

// Context is the key and window a trigger is asked about. It is valid during the call.
type Context interface {
	// Window returns the window in question.
	Window() Window
	// Timestamp returns the event time of the record, eventtime.None when it has none or there
	// is no record.
	Timestamp() eventtime.Timestamp
	// Element returns a pointer to the record, nil when there is none. See the function Element.
	Element() any
	// Watermark returns the current watermark, eventtime.None before the first.
	Watermark() eventtime.Timestamp
	// ProcessingTime returns the time of the machine's clock.
	ProcessingTime() eventtime.Timestamp

	// Timers of this key and window. One that is registered already stays as it is; one that
	// does not exist can be deleted. A timer at or before the current time is due at once:
	// with the next watermark, or as soon as the batch of records at hand is done.
	RegisterEventTimer(time eventtime.Timestamp)
	DeleteEventTimer(time eventtime.Timestamp)
	RegisterProcessingTimer(time eventtime.Timestamp)
	DeleteProcessingTimer(time eventtime.Timestamp)

	// State returns what the trigger remembers of this key and window under a name, nil when
	// nothing. It must not be changed, and is valid until the next call. See Number.
	State(name string) []byte
	// SetState replaces it, copying value; an empty value forgets it.
	SetState(name string, value []byte)
	// MergeState combines what is remembered of the windows that became this one, in the order
	// of time, and forgets it of these. In OnMerge only.
	MergeState(name string, combine func(a, b []byte) []byte)
}

// Element returns the record that a trigger is asked about. T must be the type of the stream.
func Element[T any](ctx Context) T {
	return *ctx.Element().(*T)
}

// Number is a whole number that a trigger remembers of each key and window under a name.
type Number string

// Get returns the number, or false when it is not set.
func (n Number) Get(ctx Context) (value int64, ok bool) {
	b := ctx.State(string(n))
	if len(b) != 8 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(b)), true
}

// Set replaces the number.
func (n Number) Set(ctx Context, value int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(value))
	ctx.SetState(string(n), b[:])
}

// Clear forgets the number.
func (n Number) Clear(ctx Context) { ctx.SetState(string(n), nil) }

// Merge combines the numbers of the windows that became one. In Trigger.OnMerge only.
func (n Number) Merge(ctx Context, combine func(a, b int64) int64) {
	ctx.MergeState(string(n), func(a, b []byte) []byte {
		x := combine(int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b)))
		return binary.LittleEndian.AppendUint64(nil, uint64(x))
	})
}
