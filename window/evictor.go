package window

import (
	"fmt"
	"math"
	"time"

	"github.com/leat-io/leat/eventtime"
)

// Evictor takes records out of a window that fires. A window with an evictor keeps all its
// records, whatever function it has. It is shared by all subtasks and must not change itself.
//
// Semantics: Flink's Evictor.
type Evictor interface {
	// EvictBefore is called before the window's function, which does not see what it evicts.
	EvictBefore(c Contents)
	// EvictAfter is called after the window's function, with the records that it saw.
	EvictAfter(c Contents)
}

// Contents are the records of a window that fires, in the order in which they came. They are
// valid during the call.
type Contents interface {
	// Window returns the window that fires.
	Window() Window
	// Watermark returns the current watermark.
	Watermark() eventtime.Timestamp
	// ProcessingTime returns the time of the machine's clock.
	ProcessingTime() eventtime.Timestamp
	// Len is the number of records; evicting changes it only after the call.
	Len() int
	// Timestamp returns the event time of record i, eventtime.None when it has none.
	Timestamp(i int) eventtime.Timestamp
	// Element returns a pointer to record i. See ElementAt.
	Element(i int) any
	// Evict takes record i out of the window for good.
	Evict(i int)
}

// ElementAt returns record i. T must be the type of the stream.
func ElementAt[T any](c Contents, i int) T {
	return *c.Element(i).(*T)
}

// KeepLast keeps the n records that came last.
//
// Semantics: Flink's CountEvictor.
func KeepLast(n int) Evictor { return keepLast{n: n} }

type keepLast struct{ n int }

// EvictBefore evicts the records that came first.
func (e keepLast) EvictBefore(c Contents) {
	for i := range c.Len() - e.n {
		c.Evict(i)
	}
}

// EvictAfter does nothing.
func (keepLast) EvictAfter(Contents) {}

// Validate refuses a negative number.
func (e keepLast) Validate() error {
	if e.n < 0 {
		return fmt.Errorf("keep the last %d records: want at least 0", e.n)
	}
	return nil
}

// KeepTime keeps the records that are less than d older than the newest. Records without
// event time are kept: it does nothing when the first has none.
//
// Semantics: Flink's TimeEvictor.
func KeepTime(d time.Duration) Evictor { return keepTime{millis: d.Milliseconds()} }

type keepTime struct{ millis int64 }

// EvictBefore evicts old records.
func (e keepTime) EvictBefore(c Contents) {
	if c.Len() == 0 || c.Timestamp(0) == eventtime.None {
		return
	}
	newest := eventtime.None
	for i := range c.Len() {
		newest = max(newest, c.Timestamp(i))
	}
	if int64(newest) < math.MinInt64+e.millis {
		return
	}
	for i := range c.Len() {
		if c.Timestamp(i) <= newest-eventtime.Timestamp(e.millis) {
			c.Evict(i)
		}
	}
}

// EvictAfter does nothing.
func (keepTime) EvictAfter(Contents) {}

// Validate refuses a negative time.
func (e keepTime) Validate() error {
	if e.millis < 0 {
		return fmt.Errorf("keep the records of %d ms: want at least 0", e.millis)
	}
	return nil
}

// KeepNear keeps the records whose distance from the one that came last is below threshold.
//
// Semantics: Flink's DeltaEvictor.
func KeepNear[T any](threshold float64, distance func(record, last T) float64) Evictor {
	return keepNear[T]{threshold: threshold, distance: distance}
}

type keepNear[T any] struct {
	threshold float64
	distance  func(record, last T) float64
}

// EvictBefore evicts records that are far.
func (e keepNear[T]) EvictBefore(c Contents) {
	if c.Len() == 0 {
		return
	}
	last := ElementAt[T](c, c.Len()-1)
	for i := range c.Len() {
		if e.distance(ElementAt[T](c, i), last) >= e.threshold {
			c.Evict(i)
		}
	}
}

// EvictAfter does nothing.
func (keepNear[T]) EvictAfter(Contents) {}

// After makes an evictor do after the window's function what it does before.
func After(e Evictor) Evictor { return after{e} }

type after struct{ inner Evictor }

// EvictBefore does nothing.
func (after) EvictBefore(Contents) {}

// EvictAfter does what the evictor inside does before.
func (a after) EvictAfter(c Contents) { a.inner.EvictBefore(c) }

// Validate says what is wrong with the evictor inside.
func (a after) Validate() error { return Validate(a.inner) }
