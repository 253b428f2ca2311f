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
