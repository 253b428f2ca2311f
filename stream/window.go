package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/window"
)

// Window is a span of time from Start up to but not including End.
type Window = window.Window

// WindowedStream is a keyed stream cut into windows. Its methods return a changed copy.
//
// Semantics: Flink's WindowedStream.
type WindowedStream[K, T any] struct {
	keyed *KeyedStream[K, T]
	cut   cut
	gap   func(T) time.Duration // of dynamic sessions

	trigger  window.Trigger // nil for the one that suits cut
	evictor  window.Evictor // nil for none
	lateness int64          // milliseconds
	late     *OutputTag[T]  // nil: late records are dropped
	name     string
}

// cutKind says how windows are cut.
type cutKind uint8

const (
	cutAligned  cutKind = iota // tumbling and sliding: by the clock alone
	cutSessions                // by the gaps between records
	cutGlobal                  // not at all
)

// cut is how a stream is cut into windows, all in milliseconds.
type cut struct {
	kind       cutKind
	aligned    alignment
	gap        int64 // of sessions, 0 for dynamic ones
	processing bool  // by the clock of the machine instead of event time
}

// Tumbling cuts a keyed stream into windows of a fixed size that do not overlap, aligned to
// the Unix epoch plus offset (UTC): Tumbling(k, 24*time.Hour, -9*time.Hour) are the days of
// Tokyo. size is at least a millisecond, offset smaller than size in either direction.
//
// Semantics: Flink's TumblingEventTimeWindows, or with ProcessingTime
// TumblingProcessingTimeWindows.
func Tumbling[K, T any](
	k *KeyedStream[K, T], size time.Duration, offset ...time.Duration,
) *WindowedStream[K, T] {
	return aligned(k, "tumbling windows of "+size.String(), size, size, offset)
}

// Sliding cuts a keyed stream into windows of a fixed size that begin every slide, aligned to
// the Unix epoch plus offset (UTC). A record is in all the windows around it, in none if slide
// is larger than size and it lies between two. size and slide are at least a millisecond,
// offset smaller than slide in either direction.
//
// In event time, with a function that folds and can merge (see MergingAggregator) and nothing
// else asked for, a record is kept once, in a slice as long as the greatest common divisor of
// size and slide; otherwise once in each of its windows.
//
// Semantics: Flink's SlidingEventTimeWindows, or with ProcessingTime
// SlidingProcessingTimeWindows.
func Sliding[K, T any](
	k *KeyedStream[K, T], size, slide time.Duration, offset ...time.Duration,
) *WindowedStream[K, T] {
	what := fmt.Sprintf("sliding windows of %v every %v", size, slide)
	return aligned(k, what, size, slide, offset)
}

func aligned[K, T any](
	k *KeyedStream[K, T], what string, size, slide time.Duration, offsets []time.Duration,
) *WindowedStream[K, T] {
	var offset int64
	for _, o := range offsets {
		offset += o.Milliseconds()
	}
	a, err := newAlignment(size.Milliseconds(), slide.Milliseconds(), offset)
	if err != nil {
		k.env.fault(fmt.Errorf("%s %w", what, err))
	}
	return &WindowedStream[K, T]{keyed: k, cut: cut{kind: cutAligned, aligned: a}}
}

// Session cuts a keyed stream into sessions: records of a key that are
// at most gap apart are in one window, which ends gap after its last record. A record between
// two sessions joins them.
// gap is at least a millisecond. A function that folds needs an aggregator that can merge.
//
// Semantics: Flink's EventTimeSessionWindows, or with ProcessingTime
// ProcessingTimeSessionWindows.
func Session[K, T any](k *KeyedStream[K, T], gap time.Duration) *WindowedStream[K, T] {
	w := &WindowedStream[K, T]{keyed: k, cut: cut{kind: cutSessions, gap: gap.Milliseconds()}}
	if w.cut.gap < 1 {
		k.env.fault(fmt.Errorf("sessions with gaps of %v: want at least 1 ms", gap))
	}
	return w
}

// DynamicSession is Session with a gap of its own behind every record. gap must depend on its
// argument only; a result of less than a millisecond fails the task.
//
// Semantics: Flink's DynamicEventTimeSessionWindows, or with ProcessingTime
// DynamicProcessingTimeSessionWindows.
func DynamicSession[K, T any](
	k *KeyedStream[K, T], gap func(T) time.Duration,
) *WindowedStream[K, T] {
	return &WindowedStream[K, T]{keyed: k, cut: cut{kind: cutSessions}, gap: gap}
}

// Global puts all records of a key into one window, which never ends: without a Trigger it
// never fires.
//
// Semantics: Flink's GlobalWindows.
func Global[K, T any](k *KeyedStream[K, T]) *WindowedStream[K, T] {
	return &WindowedStream[K, T]{keyed: k, cut: cut{kind: cutGlobal}}
}

// CountWindow cuts a keyed stream into windows of n records of a key. What is left at the end
// of the input does not fire.
//
// Semantics: KeyedStream.countWindow(size) of Flink.
func CountWindow[K, T any](k *KeyedStream[K, T], n int64) *WindowedStream[K, T] {
	return Global(k).Trigger(window.Purging(window.Count(n)))
}

// SlidingCountWindow cuts a keyed stream into windows of the last n records of a key, one
// after every slide records.
//
// Semantics: KeyedStream.countWindow(size, slide) of Flink.
func SlidingCountWindow[K, T any](
	k *KeyedStream[K, T], n int, slide int64,
) *WindowedStream[K, T] {
	return Global(k).Evictor(window.KeepLast(n)).Trigger(window.Count(slide))
}

// All makes a keyed stream of which all records have one key, for windows over everything. They
// are handled by a single subtask.
//
// Semantics: DataStream.windowAll of Flink.
func All[T any](s *DataStream[T]) *KeyedStream[bool, T] {
	k := KeyBy(s, func(T) bool { return false })
	k.all = true
	return k
}

// ProcessingTime cuts windows by the clock of the machine that handles a record, instead of
// the record's event time. No record is late then.
func (w *WindowedStream[K, T]) ProcessingTime() *WindowedStream[K, T] {
	changed := *w
	changed.cut.processing = true
	return &changed
}

// Trigger replaces the trigger, which is window.EventTime for windows in event time,
// window.ProcessingTime for those in processing time, window.Never for the global one. All
// subtasks share it.
//
// Semantics: WindowedStream.trigger of Flink.
func (w *WindowedStream[K, T]) Trigger(t window.Trigger) *WindowedStream[K, T] {
	if t == nil {
		w.keyed.env.fault(errors.New("windows: the trigger is nil"))
	}
	changed := *w
	changed.trigger = t
	return &changed
}

// Evictor takes records out of windows that fire. All records are kept then, also when the
// function folds. All subtasks share it.
//
// Semantics: WindowedStream.evictor of Flink.
func (w *WindowedStream[K, T]) Evictor(e window.Evictor) *WindowedStream[K, T] {
	if e == nil {
		w.keyed.env.fault(errors.New("windows: the evictor is nil"))
	}
	changed := *w
	changed.evictor = e
	return &changed
}

// AllowedLateness keeps windows for d after the watermark has passed their end: a record that
// comes meanwhile fires its window again. d is at least 0, which is the default. It says
// nothing about windows in processing time and the global one.
//
// Semantics: WindowedStream.allowedLateness of Flink.
func (w *WindowedStream[K, T]) AllowedLateness(d time.Duration) *WindowedStream[K, T] {
	if d < 0 {
		w.keyed.env.fault(fmt.Errorf("windows: allowed lateness of %v: want at least 0", d))
		d = 0
	}
	changed := *w
	changed.lateness = d.Milliseconds()
	return &changed
}

// triggerOf returns the trigger in force.
func (w *WindowedStream[K, T]) triggerOf() window.Trigger {
	switch {
	case w.trigger != nil:
		return w.trigger
	case w.cut.kind == cutGlobal:
		return window.Never()
	case w.cut.processing:
		return window.ProcessingTime()
	}
	return window.EventTime()
}

// LateOutput sends records that come too late for all their windows to a side output instead
// of dropping them; they are not counted then.
//
// Semantics: WindowedStream.sideOutputLateData of Flink.
func (w *WindowedStream[K, T]) LateOutput(tag OutputTag[T]) *WindowedStream[K, T] {
	changed := *w
	changed.late = &tag
	return &changed
}

// Name replaces the name of the operator, which is for people only.
func (w *WindowedStream[K, T]) Name(name string) *WindowedStream[K, T] {
	changed := *w
	changed.name = name
	return &changed
}

// title names the operator.
func (w *WindowedStream[K, T]) title(uid string) string {
	if w.name != "" {
		return w.name
	}
	what := "GlobalWindow"
	switch {
	case w.cut.kind == cutSessions:
		what = "SessionWindow"
	case w.cut.kind == cutAligned && w.cut.aligned.tumbles():
		what = "TumblingWindow"
	case w.cut.kind == cutAligned:
		what = "SlidingWindow"
	}
	return what + ": " + uid
}

// String describes the windows in checkpoints: those of another size, slide, offset or kind of
// time must not take up the state of these.
func (c cut) String() string {
	in := "event time"
	if c.processing {
		in = "processing time"
	}
	switch {
	case c.kind == cutGlobal:
		return "global"
	case c.kind == cutSessions && c.gap == 0:
		return "sessions with gaps of their own, " + in
	case c.kind == cutSessions:
		return fmt.Sprintf("sessions with gaps of %d ms, %s", c.gap, in)
	}
	return fmt.Sprintf("%v, %s", c.aligned, in)
}
