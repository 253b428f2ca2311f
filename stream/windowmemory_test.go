package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// slidingRun is a window of 60 slices over keys, or a tumbling one over as many rows.
type slidingRun struct {
	env   *operator.Env
	head  operator.Head
	most  int64 // bytes of state, also while a window fires
	fired int
}

func newSlidingRun(t testing.TB, size, slide time.Duration) *slidingRun {
	s := &slidingRun{env: keyedEnv(t, factories[1])}
	factory := factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[int64] {
		return Aggregate(Sliding(k, size, slide), "w", Folding(addTally, mergeTally),
			func(_ int64, _ Window, a *tally) int64 {
				if s.fired++; s.fired%1024 == 0 {
					s.look()
				}
				return a.Count
			})
	})
	s.head = opened[operator.Head](t, factory, s.env, nil, operator.Restored{})
	return s
}

func (s *slidingRun) look() { s.most = max(s.most, s.env.Keyed.MemoryBytes()) }

// fill adds a record for each of some keys at a second.
func (s *slidingRun) fill(t testing.TB, second, first, keys int64) {
	t.Helper()
	const atOnce = 1024
	for at := first; at < first+keys; at += atOnce {
		items := make([]trade, min(atOnce, first+keys-at))
		times := make([]eventtime.Timestamp, len(items))
		for i := range items {
			items[i] = trade{at + int64(i), second}
			times[i] = eventtime.Timestamp(second * 1000)
		}
		must(t, s.head.Process(batchOf(items, times)))
	}
	s.look()
}

// Goal: windows of 60 slices take at most twice the memory of their rows, also while one fires,
// whether all slices have the same keys or each has its own. Method: count bytes, beside those
// of as many rows in one table.
func TestSlidingMemory(t *testing.T) {
	const slices, keys = 60, 3000
	rows := newSlidingRun(t, time.Hour, time.Hour)
	rows.fill(t, 0, 0, slices*keys)
	for name, step := range map[string]int64{"the same keys": 0, "other keys": keys} {
		s := newSlidingRun(t, slices*time.Second, time.Second)
		for second := range int64(slices) {
			s.fill(t, second, second*step, keys)
		}
		s.head.Watermark(slices*1000 - 1)
		must(t, s.env.Failure.Err())
		if want := keys * (slices + slices*(slices-1)/2); step == 0 && s.fired != keys*slices ||
			step > 0 && s.fired != want {
			t.Errorf("%s: %d results", name, s.fired)
		}
		factor := float64(s.most) / float64(rows.most)
		t.Logf("%s: %d bytes, %.2f times those of %d rows", name, s.most, factor, slices*keys)
		if factor > 2 {
			t.Errorf("%s: %.2f times the memory of the rows", name, factor)
		}
	}
}

// BenchmarkSliding measures a record into windows of 60 slices and what it costs to fire them:
// 10 records of a key in each slice.
func BenchmarkSliding(b *testing.B) {
	const keys, perSlice = 10_000, 10
	for _, size := range []time.Duration{time.Second, 60 * time.Second} {
		b.Run(fmt.Sprint("size=", size), func(b *testing.B) {
			s := newSlidingRun(b, size, time.Second)
			second := int64(0)
			for b.Loop() {
				for range perSlice {
					s.fill(b, second, 0, keys)
				}
				second++
				s.head.Watermark(eventtime.Timestamp(second*1000 - 1))
			}
			must(b, s.env.Failure.Err())
			b.ReportMetric(
				float64(b.Elapsed().Nanoseconds())/float64(b.N*keys*perSlice),
				"ns/record",
			)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(s.fired), "ns/result")
		})
	}
}

// BenchmarkWindowing measures a record in windows that are no slices, each over 1,000 keys.
func BenchmarkWindowing(b *testing.B) {
	for name, cut := range map[string]func(
		*KeyedStream[int64, trade]) *WindowedStream[int64, trade]{
		"session": func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
			return Session(k, 5*unit)
		},
		"tumbling with lateness": func(
			k *KeyedStream[int64, trade],
		) *WindowedStream[int64, trade] {
			return Tumbling(k, 10*unit).AllowedLateness(unit)
		},
		"count": func(k *KeyedStream[int64, trade]) *WindowedStream[int64, trade] {
			return CountWindow(k, 10)
		},
	} {
		b.Run(name, func(b *testing.B) {
			factory := factoryOf(b, func(k *KeyedStream[int64, trade]) *DataStream[int64] {
				return Aggregate(cut(k), "w", Folding(addTally, mergeTally),
					func(_ int64, _ Window, a *tally) int64 { return a.Count })
			})
			env := keyedEnv(b, factories[1])
			s := &slidingRun{env: env, head: opened[operator.Head](
				b, factory, env, nil, operator.Restored{})}
			second := int64(0)
			for b.Loop() {
				s.fill(b, second, 0, 1000)
				if second++; second%20 == 0 { // a session ends
					second += 6
				}
				s.head.Watermark(eventtime.Timestamp(second*1000 - 1))
			}
			must(b, env.Failure.Err())
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/record")
		})
	}
}
