package stream

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/window"
)

// triggerContext is the window.Context of an operator.
type triggerContext[T any] struct {
	at        *windowCell
	timers    *keyedTimers
	watermark *inputWatermark

	window  Window
	element *T
	ts      eventtime.Timestamp
	merged  []Window // in OnMerge

	key []byte    // scratch
	old []session // likewise
}

func (c *triggerContext[T]) point(w Window, element *T, ts eventtime.Timestamp) {
	c.window, c.element, c.ts = w, element, ts
}

// Window returns the window.
func (c *triggerContext[T]) Window() Window { return c.window }

// Timestamp returns that of the record.
func (c *triggerContext[T]) Timestamp() eventtime.Timestamp { return c.ts }

// Element returns a pointer to the record.
func (c *triggerContext[T]) Element() any {
	if c.element == nil {
		return nil
	}
	return c.element
}

// Watermark returns the current watermark.
func (c *triggerContext[T]) Watermark() eventtime.Timestamp { return c.watermark.current }

// ProcessingTime returns the time of the clock when the batch at hand began.
func (c *triggerContext[T]) ProcessingTime() eventtime.Timestamp {
	return eventtime.Timestamp(c.at.now)
}

// RegisterEventTimer adds a timer of the key and window.
func (c *triggerContext[T]) RegisterEventTimer(time eventtime.Timestamp) {
	c.register(DomainEventTime, time)
}

// RegisterProcessingTimer adds a timer of the key and window.
func (c *triggerContext[T]) RegisterProcessingTimer(time eventtime.Timestamp) {
	c.register(DomainProcessingTime, time)
}

// DeleteEventTimer removes a timer of the key and window.
func (c *triggerContext[T]) DeleteEventTimer(time eventtime.Timestamp) {
	c.delete(DomainEventTime, time)
}

// DeleteProcessingTimer removes a timer of the key and window.
func (c *triggerContext[T]) DeleteProcessingTimer(time eventtime.Timestamp) {
	c.delete(DomainProcessingTime, time)
}

// name makes the key at hand name a timer of the window.
func (c *triggerContext[T]) name(time eventtime.Timestamp) {
	c.at.key.Timestamp = int64(time)
	c.at.key.Namespace = [2]uint64{uint64(c.window.Start), uint64(c.window.End)}
}

func (c *triggerContext[T]) register(domain TimeDomain, time eventtime.Timestamp) {
	c.name(time)
	if err := c.timers.register(domain, &c.at.key); err != nil {
		c.at.fail(err)
	}
}

func (c *triggerContext[T]) delete(domain TimeDomain, time eventtime.Timestamp) {
	c.name(time)
	c.timers.delete(domain, &c.at.key)
}

// State returns what is remembered under a name.
func (c *triggerContext[T]) State(name string) []byte { return c.stateOf(c.window, name) }

func (c *triggerContext[T]) stateOf(w Window, name string) []byte {
	c.key = append(appendWindow(c.key[:0], w), name...)
	value, _ := c.at.table.MapGet(c.at.row, windowTriggersMap, c.key)
	return value
}

// SetState replaces what is remembered under a name.
func (c *triggerContext[T]) SetState(name string, value []byte) {
	c.setStateOf(c.window, name, value)
}

func (c *triggerContext[T]) setStateOf(w Window, name string, value []byte) {
	c.key = append(appendWindow(c.key[:0], w), name...)
	var err error
	if len(value) == 0 {
		_, err = c.at.table.MapDelete(c.at.row, windowTriggersMap, c.key)
	} else {
		err = c.at.table.MapPut(c.at.row, windowTriggersMap, c.key, value)
	}
	if err != nil {
		c.at.fail(err)
	}
}

// MergeState combines what is remembered of the windows that became this one.
func (c *triggerContext[T]) MergeState(name string, combine func(a, b []byte) []byte) {
	var all []byte
	for _, w := range c.merged {
		next := c.stateOf(w, name)
		switch {
		case len(next) == 0:
			continue
		case all == nil:
			all = append(all, next...)
		default:
			all = combine(all, append([]byte(nil), next...))
		}
		c.setStateOf(w, name, nil)
	}
	c.SetState(name, all)
}

var _ window.Context = (*triggerContext[int])(nil)
