package stream

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// splitClock makes the watermark of a source from those of its splits.
type splitClock struct {
	strategy eventtime.Strategy
	splits   []clockedSplit
	first    int // the splits before it have ended
	current  eventtime.Timestamp
}

type clockedSplit struct {
	generator eventtime.Generator
	ended     bool
}

func newSplitClock(strategy eventtime.Strategy) *splitClock {
	return &splitClock{strategy: strategy, current: eventtime.None}
}

// add puts a split behind the known ones; max is the largest timestamp seen in it so far.
func (c *splitClock) add(max eventtime.Timestamp) {
	g := c.strategy.NewGenerator()
	g.Observe(max)
	c.splits = append(c.splits, clockedSplit{generator: g})
}

func (c *splitClock) observe(split int, max eventtime.Timestamp) {
	c.splits[split].generator.Observe(max)
}

func (c *splitClock) end(split int) {
	c.splits[split].ended = true
	for c.first < len(c.splits) && c.splits[c.first].ended {
		c.first++
	}
}

// forward passes the new watermark on when it grew.
func (c *splitClock) forward(next operator.Control) {
	if ts, ok := c.advance(); ok {
		next.Watermark(ts)
	}
}

// advance returns the new watermark when it grew. With every split ended it stays: the end of
// the input says more.
func (c *splitClock) advance() (eventtime.Timestamp, bool) {
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
