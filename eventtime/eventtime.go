// Package eventtime holds the time carried by records: timestamps, watermarks and the
// strategies that make watermarks.
//
// Main types: [Timestamp], [Strategy], [Generator] and [Minimum], which combines the
// watermarks of several inputs. The package does no scheduling and knows no records; a
// source feeds a Generator with the largest timestamp of every batch it read from a split.
//
// A Strategy is an immutable value, safe to share. A Generator and a Minimum belong to one
// task goroutine.
//
// Semantics: Flink's WatermarkStrategy, BoundedOutOfOrdernessWatermarks and
// StatusWatermarkValve.
package eventtime

import (
	"math"
	"time"
)

// Timestamp is a point in event time in milliseconds since the Unix epoch (UTC).
type Timestamp int64

const (
	// None is the timestamp of a record that carries no time, and the watermark of an
	// input that has not sent any.
	None Timestamp = math.MinInt64
	// Max is the watermark after the last record of a bounded input.
	Max Timestamp = math.MaxInt64
)

// FromTime converts t, truncating to milliseconds towards the past.
func FromTime(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) }

// Time converts ts to UTC.
func (ts Timestamp) Time() time.Time { return time.UnixMilli(int64(ts)).UTC() }

// String returns RFC 3339 with milliseconds, or "none" and "max".
func (ts Timestamp) String() string {
	switch ts {
	case None:
		return "none"
	case Max:
		return "max"
	}
	return ts.Time().Format("2006-01-02T15:04:05.000Z07:00")
}
