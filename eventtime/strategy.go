package eventtime

import (
	"fmt"
	"time"
)

// Strategy says how the watermarks of one split are made from the timestamps of its records.
// It is an immutable value; the zero Strategy is [NoWatermarks].
//
// Semantics: Flink's WatermarkStrategy, with periodic generators only.
type Strategy struct {
	makes bool
	// boundMillis is how far a record may lag behind the largest timestamp seen before it.
	boundMillis int64
}

// NoWatermarks is the strategy of a stream without event time: its watermark stays [None].
func NoWatermarks() Strategy { return Strategy{} }

// BoundedOutOfOrderness expects records at most d behind the largest timestamp seen: the
// watermark is that timestamp minus d minus 1 ms. Fractions of a millisecond of d are dropped, as
// in Flink. A negative d is refused by [Strategy.Validate] and counts as zero.
func BoundedOutOfOrderness(d time.Duration) Strategy {
	return Strategy{makes: true, boundMillis: d.Milliseconds()}
}

// MonotonousTimestamps expects timestamps that never fall: BoundedOutOfOrderness(0).
func MonotonousTimestamps() Strategy { return Strategy{makes: true} }

// Makes reports whether s makes watermarks at all.
func (s Strategy) Makes() bool { return s.makes }

// Bound returns the tolerated lag behind the largest timestamp, at least 0.
func (s Strategy) Bound() time.Duration {
	return time.Duration(max(s.boundMillis, 0)) * time.Millisecond
}

// Validate reports a bound that makes no sense.
func (s Strategy) Validate() error {
	if s.boundMillis < 0 {
		return fmt.Errorf("use out-of-orderness bound %q: it must not be negative",
			time.Duration(s.boundMillis)*time.Millisecond)
	}
	return nil
}

// String returns "none", "monotonous" or "bounded(5s)".
func (s Strategy) String() string {
	switch {
	case !s.makes:
		return "none"
	case s.boundMillis <= 0:
		return "monotonous"
	}
	return fmt.Sprintf("bounded(%s)", s.Bound())
}

// NewGenerator returns a generator that has seen no record.
func (s Strategy) NewGenerator() Generator {
	return Generator{makes: s.makes, boundMillis: max(s.boundMillis, 0), highest: None}
}

// Generator makes the watermarks of one split. It belongs to the goroutine of one task. Use
// [Strategy.NewGenerator]: the zero Generator makes no watermarks.
//
// Invariant: Watermark never goes back.
//
// Semantics: Flink's BoundedOutOfOrdernessWatermarks.
type Generator struct {
	makes       bool
	boundMillis int64
	highest     Timestamp // largest timestamp seen, or None
}

// Observe takes note of the largest timestamp of a batch read from the split. None is ignored.
func (g *Generator) Observe(largest Timestamp) {
	if largest > g.highest {
		g.highest = largest
	}
}

// Watermark returns the largest timestamp seen minus the bound minus 1 ms, or None before the
// first record and where the difference falls below the range of Timestamp.
func (g *Generator) Watermark() Timestamp {
	if !g.makes || g.highest == None {
		return None
	}
	// highest > MinInt64, so that highest-1 does not wrap.
	below := int64(g.highest) - 1
	if below < int64(None)+g.boundMillis {
		return None
	}
	return Timestamp(below - g.boundMillis)
}

// Snapshot returns the state of g: the largest timestamp seen, in milliseconds.
func (g *Generator) Snapshot() int64 { return int64(g.highest) }

// Restore sets the state of g to what Snapshot returned, perhaps for another bound.
func (g *Generator) Restore(state int64) { g.highest = Timestamp(state) }
