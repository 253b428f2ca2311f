package stream

import (
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/eventtime"
)

// SourceOption adjusts a source of T.
type SourceOption[T any] func(*sourceSettings[T])

type sourceSettings[T any] struct {
	timestamp func(T) eventtime.Timestamp
	strategy  eventtime.Strategy
	perSecond int
}

func sourceSettingsOf[T any](
	e *Env, uid string, options []SourceOption[T],
) sourceSettings[T] {
	s := sourceSettings[T]{strategy: eventtime.NoWatermarks()}
	for _, option := range options {
		option(&s)
	}
	if err := s.strategy.Validate(); err != nil {
		e.fault(fmt.Errorf("source %q: %w", uid, err))
	}
	if s.perSecond < 0 {
		e.fault(fmt.Errorf("source %q: rate of %d records a second: want 0 or more",
			uid, s.perSecond))
	}
	return s
}

// batchRows is how many records a source takes at a time: with a rate about a tenth of a
// second of them, so that few are held back when a barrier comes.
func (s sourceSettings[T]) batchRows() int {
	if s.perSecond <= 0 {
		return batch.DefaultRows
	}
	return min(max(s.perSecond/10, 1), batch.DefaultRows)
}

// WithEventTime gives every record the time that at returns, and makes watermarks by a
// strategy, for each split by itself; the watermark of a source is the smallest of its
// splits that are being read.
func WithEventTime[T any](
	at func(T) eventtime.Timestamp, strategy eventtime.Strategy,
) SourceOption[T] {
	return func(s *sourceSettings[T]) { s.timestamp, s.strategy = at, strategy }
}

// WithRate limits every subtask of a source to about so many records a second; 0 is no limit.
func WithRate[T any](perSecond int) SourceOption[T] {
	return func(s *sourceSettings[T]) { s.perSecond = perSecond }
}

// splitClock makes the watermark of a source from those of its splits.
type splitClock[T any] struct {
	strategy eventtime.Strategy
	splits   []clockedSplit
	first    int // the splits before it have ended
	current  eventtime.Timestamp
}

type clockedSplit struct {
	generator eventtime.Generator
	ended     bool
}

func (s sourceSettings[T]) clockOf() *splitClock[T] {
	return &splitClock[T]{strategy: s.strategy, current: eventtime.None}
}

// add puts a split behind the known ones; max is the largest timestamp seen in it so far.
func (c *splitClock[T]) add(max eventtime.Timestamp) {
	g := c.strategy.NewGenerator()
	g.Observe(max)
	c.splits = append(c.splits, clockedSplit{generator: g})
}

func (c *splitClock[T]) observe(split int, max eventtime.Timestamp) {
	c.splits[split].generator.Observe(max)
}

func (c *splitClock[T]) end(split int) {
	c.splits[split].ended = true
	for c.first < len(c.splits) && c.splits[c.first].ended {
		c.first++
	}
}

// advance returns the new watermark when it grew. With every split ended it stays: the end of
// the input says more.
func (c *splitClock[T]) advance() (eventtime.Timestamp, bool) {
	low := eventtime.Max
	for i := c.first; i < len(c.splits); i++ {
		if s := &c.splits[i]; !s.ended {
			low = min(low, s.generator.Watermark())
		}
	}
	if low == eventtime.Max || low <= c.current {
		return c.current, false
	}
	c.current = low
	return low, true
}
