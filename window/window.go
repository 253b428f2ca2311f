// Package window holds what a windowed operator is told: when to fire, and what to leave out.
//
// Main types: [Window], a span of time; [Trigger], which decides for every record and timer
// whether the window's result is emitted and whether its contents go; [Evictor], which takes
// records out of a window before or after its function sees them. The windows themselves are
// cut by package stream (stream.Tumbling, stream.Session, ...), which runs what this package
// describes; it keeps no records and no state itself.
//
// Triggers and evictors are shared by all subtasks and must not change themselves: what they
// remember lies in the state of a key and window, see [Context]. They are called by the
// goroutine of the task.
//
// Semantics: Flink's Trigger and Evictor.
package window

import (
	"fmt"

	"github.com/leat-io/leat/eventtime"
)

// Window is a span of time from Start up to but not including End, in milliseconds since the
// Unix epoch: event time, or processing time for windows of that.
type Window struct {
	Start, End eventtime.Timestamp
}

// Global is the window of all time: it never ends.
func Global() Window { return Window{Start: eventtime.None, End: eventtime.Max} }

// MaxTimestamp returns the last millisecond that belongs to the window: the timestamp of its
// results. It is eventtime.Max for the global window.
func (w Window) MaxTimestamp() eventtime.Timestamp {
	if w == Global() {
		return eventtime.Max
	}
	return w.End - 1
}

// Touches reports whether two windows have a millisecond in common or follow one another
// without a gap: sessions that touch are one.
func (w Window) Touches(other Window) bool { return w.Start <= other.End && w.End >= other.Start }

// Cover returns the smallest window that holds both.
func (w Window) Cover(other Window) Window {
	return Window{Start: min(w.Start, other.Start), End: max(w.End, other.End)}
}

// String returns "[start, end)".
func (w Window) String() string { return fmt.Sprintf("[%v, %v)", w.Start, w.End) }
