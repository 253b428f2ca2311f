package stream

import (
	"github.com/leat-io/leat/eventtime"
)

// SourceOption adjusts a source of T.
type SourceOption[T any] func(*sourceSettings[T])

type sourceSettings[T any] struct {
	timestamp func(T) eventtime.Timestamp
	strategy  eventtime.Strategy
	perSecond int
}

func sourceSettingsOf[T any](options []SourceOption[T]) sourceSettings[T] {
	s := sourceSettings[T]{strategy: eventtime.NoWatermarks()}
	for _, option := range options {
		option(&s)
	}
	return s
}

// WithEventTime gives every record the time that at returns, and makes watermarks by a
// strategy, for each split by itself; the watermark of a source is the smallest of its
// splits that are being read.
func WithEventTime[T any](
	at func(T) eventtime.Timestamp, strategy eventtime.Strategy,
) SourceOption[T] {
	return func(s *sourceSettings[T]) { s.timestamp, s.strategy = at, strategy }
}

// WithRate limits every subtask of a source to about so many records a second.
func WithRate[T any](perSecond int) SourceOption[T] {
	return func(s *sourceSettings[T]) { s.perSecond = perSecond }
}

// splitClock makes the watermark of a source from those of its splits.
type splitClock[T any] struct {
	strategy eventtime.Strategy
	splits   []eventtime.Generator // nil: the split has ended
	current  eventtime.Timestamp
}

func (s sourceSettings[T]) clockOf() *splitClock[T] {
	return &splitClock[T]{strategy: s.strategy, current: eventtime.None}
}

// add puts a split behind the known ones; max is the largest timestamp seen in it so far.
func (c *splitClock[T]) add(max eventtime.Timestamp) {
	g := c.strategy.NewGenerator()
	if max != eventtime.None {
		g.Observe(max)
	}
	c.splits = append(c.splits, g)
}

func (c *splitClock[T]) observe(split int, max eventtime.Timestamp) {
	if max != eventtime.None {
		c.splits[split].Observe(max)
	}
}

func (c *splitClock[T]) end(split int) { c.splits[split] = nil }

// advance returns the new watermark when it grew. With every split ended it stays: the end of
// the input says more.
func (c *splitClock[T]) advance() (eventtime.Timestamp, bool) {
	low := eventtime.Max
	for _, g := range c.splits {
		if g != nil {
			low = min(low, g.Watermark())
		}
	}
	if low == eventtime.Max || low <= c.current {
		return c.current, false
	}
	c.current = low
	return low, true
}
