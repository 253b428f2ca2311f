package eventtime

import (
	"strings"
	"testing"
	"time"
)

// Goal: watermarks follow the largest timestamp at the distance of the bound, never wrap and never
// go back. Method: table of strategies and observed timestamps, None and Max among them.
func TestGenerator(t *testing.T) {
	bounded := BoundedOutOfOrderness(5 * time.Second)
	longest := BoundedOutOfOrderness(time.Duration(1<<63 - 1))
	for _, c := range []struct {
		strategy Strategy
		observed []Timestamp
		want     []Timestamp
	}{
		{NoWatermarks(), []Timestamp{5, Max}, []Timestamp{None, None}},
		{Strategy{}, []Timestamp{5}, []Timestamp{None}},
		{MonotonousTimestamps(), []Timestamp{None, 5, 3, 6}, []Timestamp{None, 4, 4, 5}},
		{bounded, []Timestamp{10_000, 7_000, 20_000}, []Timestamp{4_999, 4_999, 14_999}},
		{BoundedOutOfOrderness(1999 * time.Microsecond), []Timestamp{10}, []Timestamp{8}},
		{bounded, []Timestamp{None + 1, None + 5000, None + 5001, None + 5002},
			[]Timestamp{None, None, None, None + 1}},
		{bounded, []Timestamp{Max}, []Timestamp{Max - 5001}},
		{longest, []Timestamp{None + 1, 0, Max},
			[]Timestamp{None, -9223372036854 - 1, Max - 9223372036854 - 1}},
		{BoundedOutOfOrderness(-time.Second), []Timestamp{10}, []Timestamp{9}},
	} {
		g := c.strategy.NewGenerator()
		if got := g.Watermark(); got != None {
			t.Errorf("%s: first watermark is %d", c.strategy, got)
		}
		for i, ts := range c.observed {
			g.Observe(ts)
			if got := g.Watermark(); got != c.want[i] {
				t.Errorf("%s: watermark after %v is %d, want %d",
					c.strategy, c.observed[:i+1], got, c.want[i])
			}
		}
	}
}

// Goal: a restored generator goes on where the old one was. Method: snapshot before and after the
// first record.
func TestGeneratorSnapshot(t *testing.T) {
	old := MonotonousTimestamps().NewGenerator()
	for range 2 {
		restored := MonotonousTimestamps().NewGenerator()
		restored.Restore(old.Snapshot())
		if old != restored {
			t.Errorf("restored %+v as %+v", old, restored)
		}
		old.Observe(42)
	}
}

// Goal: strategies check themselves and have a name. Method: table.
func TestStrategy(t *testing.T) {
	for s, want := range map[Strategy]string{
		NoWatermarks():                         "none",
		MonotonousTimestamps():                 "monotonous",
		BoundedOutOfOrderness(5 * time.Second): "bounded(5s)",
	} {
		if s.String() != want || s.Validate() != nil {
			t.Errorf("%q: %v, want %q", s, s.Validate(), want)
		}
	}
	err := BoundedOutOfOrderness(-time.Second).Validate()
	if err == nil || !strings.Contains(err.Error(), `"-1s"`) {
		t.Errorf("got %v", err)
	}
	if NoWatermarks().Makes() || !MonotonousTimestamps().Makes() {
		t.Error("the wrong strategy makes watermarks")
	}
}

// Goal: timestamps convert to milliseconds towards the past, and print. Method: table.
func TestTimestamp(t *testing.T) {
	before := time.Unix(0, -1)
	if got := FromTime(before); got != -1 {
		t.Errorf("a nanosecond before 1970 is %d ms", int64(got))
	}
	for ts, want := range map[Timestamp]string{
		None: "none", Max: "max", 0: "1970-01-01T00:00:00.000Z",
		1704067200123: "2024-01-01T00:00:00.123Z",
	} {
		if ts.String() != want {
			t.Errorf("got %q, want %q", ts, want)
		}
	}
	if got := FromTime(Timestamp(1704067200123).Time()); got != 1704067200123 {
		t.Errorf("came back as %d", int64(got))
	}
}
