package stream

import (
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
