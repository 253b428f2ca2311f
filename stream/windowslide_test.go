package stream

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/window"
)

func byNumberOf(v trade) int64 { return v.Number }

func factoryOf[R any](
	t testing.TB,
	build func(*KeyedStream[int64, trade]) *DataStream[R],
) operator.Factory {
	t.Helper()
	e := NewEnv("test")
	out := build(KeyBy(FromSlice[trade](e, "in", nil), byNumberOf))
	for _, err := range e.faults {
		t.Fatal(err)
	}
	return out.at.factory
}

// slides are sizes, slides and offsets.
var slides = []struct{ size, slide, offset time.Duration }{
	{time.Minute, time.Second, 0},
	{time.Minute, 25 * time.Second, -7 * time.Second},
	{10 * time.Second, 10 * time.Second, 3 * time.Second},
	{2 * time.Second, 5 * time.Second, 4 * time.Second},                // with gaps
	{7 * time.Millisecond, 3 * time.Millisecond, 1 * time.Millisecond}, // not of slices
	{6 * time.Millisecond, 4 * time.Millisecond, -1 * time.Millisecond},
	{time.Millisecond, time.Millisecond, 0},
}

// Goal: sliding windows made of slices fire what a model fires that keeps every record in all
// its windows, at the ends of time too, and across restarts; slices go with their last window.
// Method: random batches and watermarks.
func TestSliding(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		for _, c := range slides {
			last := math.MaxInt64 - 3*c.size.Milliseconds()
			for _, base := range []int64{0, math.MinInt64 + 1, last} {
				t.Run("", func(t *testing.T) {
					testSliding(t, f, c.size, c.slide, c.offset, base)
				})
			}
		}
	})
}

func testSliding(
	t *testing.T, f backend.Factory, size, slide, offset time.Duration, base int64,
) {
	const seed = 17
	t.Logf("seed %d, windows %v every %v at %v from %d", seed, size, slide, offset, base)
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	factory := factoryOf(t, func(k *KeyedStream[int64, trade]) *DataStream[firingText] {
		return Aggregate(Sliding(k, size, slide, offset), "w", Folding(addTally, mergeTally),
			func(key int64, w Window, a *tally) firingText {
				return firingText{Key: key, Window: w, Text: tallyTextOf(a)}
			})
	})
	m := newWindowModel()
	m.trigger = window.EventTime()
	m.assign = func(_ trade, ts, _ int64) []Window {
		return alignedWindows(ts, size, slide, offset)
	}
	out := &tape[firingText]{}
	env := keyedEnv(t, f)
	head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
	unit := size.Milliseconds()
	now, results := int64(0), 0
	at := func(ahead int64) int64 { return max(plus(base, ahead), math.MinInt64+1) }
	for step := range 120 {
		now += r.Int64N(unit/4 + 2)
		switch r.IntN(10) {
		case 0:
			env, head = restart(t, factory, env, head, factories[r.IntN(2)], out.link())
		case 1, 2, 3:
			ts := at(now - r.Int64N(2*unit))
			head.Watermark(eventtime.Timestamp(ts))
			m.advance(ts)
		default:
			items := make([]trade, 1+r.IntN(30))
			times := make([]eventtime.Timestamp, len(items))
			for i := range items {
				items[i] = trade{r.Int64N(6), r.Int64N(100)}
				times[i] = eventtime.Timestamp(at(now + r.Int64N(2*unit+2) - unit))
			}
			must(t, head.Process(batchOf(items, times)))
			for i := range items {
				m.add(items[i].Number, items[i], int64(times[i]))
			}
		}
		must(t, env.Failure.Err())
		results += compareFirings(t, step, m, tallyText, out)
	}
	head.Watermark(eventtime.Max)
	m.advance(math.MaxInt64)
	results += compareFirings(t, -1, m, tallyText, out)
	late := env.Counters.Counter("numLateRecordsDropped").Load()
	same(t, uint64(len(m.late)), late)
	_, ofSlices := head.(*windowAggregate[int64, trade, tally, firingText])
	if panes := env.Keyed.Panes(0, nil); ofSlices && len(panes) > 0 {
		t.Errorf("panes %v are left", panes)
	}
	same(t, size%slide != time.Millisecond, ofSlices)
	if results == 0 {
		t.Error("nothing fired: the test tests nothing")
	}
}

// compareFirings takes the results of a step from both sides.
func compareFirings(
	t *testing.T, step int, m *windowModel, text func([]stamped[trade]) string,
	out *tape[firingText],
) int {
	t.Helper()
	var got []firingText
	for _, r := range out.records {
		r.Value.At = r.At
		got = append(got, r.Value)
	}
	out.records = nil
	want := m.take(text)
	if diff := cmp.Diff(want, sortFirings(got)); diff != "" {
		t.Fatalf("step %d: %s", step, diff)
	}
	return len(want)
}
