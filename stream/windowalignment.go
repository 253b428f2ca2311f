package stream

import (
	"fmt"
	"math"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state/backend"
)

// alignment is the arithmetic of windows that depend on the clock alone: tumbling ones, for
// which slide is size, and sliding ones. Time is cut into slices, as long as the greatest
// common divisor of size and slide, so that every window is a run of slices. Slices and
// windows are numbered through; all fits 64 bits when a slice has 2 ms or more or windows
// tumble.
//
// Windows at the ends of time end there. A record in the last millisecond there is belongs to
// the windows of the one before, since no window can hold it.
type alignment struct {
	size, slide, offset int64 // milliseconds; offset from 0 up to slide

	grain int64 // length of a slice
	shift int64 // where slices begin: from 0 up to grain
	lead  int64 // the number of the first slice of window 0
	slices,
	step int64 // slices in a window, and from one window to the next
}

// newAlignment checks and normalizes. With an error the result can be used all the same.
func newAlignment(size, slide, offset int64) (alignment, error) {
	var err error
	if size < 1 || slide < 1 || offset <= -slide || offset >= slide {
		err = fmt.Errorf(
			"at offset %d ms: want a size of at least 1 ms and an offset within it", offset)
		size, slide, offset = 1, 1, 0
	}
	a := alignment{size: size, slide: slide, offset: floorMod(offset, slide)}
	a.grain = size
	for b := slide; b != 0; {
		a.grain, b = b, a.grain%b
	}
	a.shift = a.offset % a.grain
	a.lead = a.offset / a.grain
	a.slices, a.step = size/a.grain, slide/a.grain
	return a, err
}

func (a alignment) tumbles() bool { return a.size == a.slide }

// slicesFit reports whether windows may be made of slices: see alignment.
func (a alignment) slicesFit() bool { return a.tumbles() || a.grain >= 2 }

// String describes the windows in checkpoints.
func (a alignment) String() string {
	if a.tumbles() {
		return fmt.Sprintf("%d ms, offset %d ms", a.size, a.offset)
	}
	return fmt.Sprintf("%d ms sliding by %d ms, offset %d ms", a.size, a.slide, a.offset)
}

// windowsOf appends the windows that hold ts, the latest first as in Flink.
func (a alignment) windowsOf(ts eventtime.Timestamp, dst []Window) []Window {
	ts = min(ts, eventtime.Max-1)
	since := floorMod(int64(ts)%a.slide-a.offset, a.slide) // since the latest window began
	for ; since < a.size; since += a.slide {
		w := Window{Start: eventtime.None, End: eventtime.Max}
		if int64(ts) >= math.MinInt64+since {
			w.Start = ts - eventtime.Timestamp(since)
		}
		if left := a.size - since; int64(ts) <= math.MaxInt64-left {
			w.End = ts + eventtime.Timestamp(left)
		}
		dst = append(dst, w)
	}
	return dst
}

// pane returns the pane of the slice of ts: the end of the slice.
func (a alignment) pane(ts eventtime.Timestamp) backend.Pane {
	return paneOf(ts, a.grain, a.shift)
}

// slice returns the number of the slice with a pane.
func (a alignment) slice(pane backend.Pane) int64 { return a.sliceAt(int64(pane) - 1) }

func (a alignment) sliceAt(ts int64) int64 {
	n := floorDiv(ts, a.grain)
	if floorMod(ts, a.grain) < a.shift {
		n--
	}
	return n
}

// first and last return the windows that hold a slice; last is before first when none does.
func (a alignment) first(slice int64) int64 {
	return floorDiv(slice-a.lead-a.slices, a.step) + 1
}

func (a alignment) last(slice int64) int64 { return floorDiv(slice-a.lead, a.step) }

// begins returns the first slice of a window.
func (a alignment) begins(number int64) int64 { return number*a.step + a.lead }

// window returns a window by its number.
func (a alignment) window(number int64) Window {
	return Window{
		Start: eventtime.Timestamp(times(number, a.slide, a.offset)),
		End:   eventtime.Timestamp(times(number, a.slide, a.offset+a.size)),
	}
}

// passed returns the last window whose end a watermark has passed.
func (a alignment) passed(watermark eventtime.Timestamp) int64 {
	switch {
	case watermark == eventtime.None:
		return math.MinInt64
	case watermark >= eventtime.Max-1:
		return math.MaxInt64
	}
	slice := a.sliceAt(int64(watermark))
	if a.sliceAt(int64(watermark)+1) == slice {
		slice-- // not yet at its end
	}
	return floorDiv(slice-a.lead-a.slices+1, a.step)
}

// paneOf returns the end of the window of a timestamp. The window at the end of time ends
// there, before its size is reached.
func paneOf(ts eventtime.Timestamp, size, offset int64) backend.Pane {
	since := int64(ts)%size - offset // ts - offset may be out of range
	for since < 0 {
		since += size
	}
	for since >= size {
		since -= size
	}
	left := size - since
	if int64(ts) > math.MaxInt64-left {
		return math.MaxInt64
	}
	return backend.Pane(int64(ts) + left)
}

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

func floorMod(x, y int64) int64 {
	m := x % y
	if m < 0 {
		m += y
	}
	return m
}

// times returns x*y + plus, or the end of the numbers that is passed; y and plus are not
// negative.
func times(x, y, plus int64) int64 {
	if x > (math.MaxInt64-plus)/y {
		return math.MaxInt64
	}
	least := math.MinInt64 / y
	if x >= least {
		return x*y + plus
	}
	rest, above := (x-least)*y, least*y+plus
	if above < math.MinInt64-rest {
		return math.MinInt64
	}
	return above + rest
}
