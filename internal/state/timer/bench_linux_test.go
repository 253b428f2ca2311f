package timer

import (
	"container/heap"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// setAndHeap is how Flink keeps timers on the heap: a queue by time and key, and a set for
// telling whether one is there.
type setAndHeap struct {
	set   map[plainTimer]uint32
	queue []plainTimer
}

type plainTimer struct {
	at  int64
	key uint64
}

func (h *setAndHeap) Len() int { return len(h.queue) }
func (h *setAndHeap) Less(i, j int) bool {
	a, b := &h.queue[i], &h.queue[j]
	return a.at < b.at || a.at == b.at && a.key < b.key
}
func (h *setAndHeap) Swap(i, j int) { h.queue[i], h.queue[j] = h.queue[j], h.queue[i] }
func (h *setAndHeap) Push(x any)    { h.queue = append(h.queue, x.(plainTimer)) }
func (h *setAndHeap) Pop() any {
	last := h.queue[len(h.queue)-1]
	h.queue = h.queue[:len(h.queue)-1]
	return last
}

func (h *setAndHeap) register(at int64, hash, key uint64) {
	t := plainTimer{at, key}
	if _, ok := h.set[t]; !ok {
		h.set[t] = uint32(hash >> 32)
		heap.Push(h, t)
	}
}

func (h *setAndHeap) fire(until int64) int {
	n := 0
	for len(h.queue) > 0 && h.queue[0].at <= until {
		delete(h.set, heap.Pop(h).(plainTimer))
		n++
	}
	return n
}

// load is a way in which timers are registered: n timers, the watermark following every 1,024
// at the time of the records.
type load struct {
	name string
	at   func(r *rand.Rand, now int64) int64
	key  func(r *rand.Rand, i int) uint64
}

func randomKey(r *rand.Rand, _ int) uint64 { return r.Uint64() }

var loads = []load{
	{"aligned", func(r *rand.Rand, now int64) int64 {
		return (now/1000 + 1 + r.Int64N(10)) * 1000
	}, randomKey},
	{"aligned, small keys", func(r *rand.Rand, now int64) int64 {
		return (now/1000 + 1 + r.Int64N(10)) * 1000
	}, func(r *rand.Rand, i int) uint64 { return uint64(i) }},
	{"minute", func(r *rand.Rand, now int64) int64 { return now + r.Int64N(60_000) }, randomKey},
	{"again", func(r *rand.Rand, now int64) int64 { // each timer is registered 20 times
		return (now/10_000 + 1) * 10_000
	}, func(r *rand.Rand, i int) uint64 { return uint64(r.IntN(5000)) }},
}

const (
	loadTimers = 1 << 20
	loadSpan   = 100_000 // milliseconds over which they are registered
)

type loaded struct {
	at        []int64
	key, hash []uint64
}

func (l load) make() loaded {
	r := rand.New(rand.NewPCG(1, 2))
	var out loaded
	for i := range loadTimers {
		key := l.key(r, i)
		out.at = append(out.at, l.at(r, int64(i)*loadSpan/loadTimers))
		out.key, out.hash = append(out.key, key), append(out.hash, types.Mix64(key))
	}
	return out
}

func runService(b testing.TB, l loaded) (peak int64) {
	versions := version.Versions{Current: 1}
	s := New(backend.TimerLayout{KeyWords: 1}, &versions)
	var due backend.Due
	var t backend.Timer
	for i := range l.at {
		t.Timestamp, t.Hash, t.Words[0] = l.at[i], l.hash[i], l.key[i]
		if err := s.Register(&t); err != nil {
			b.Fatal(err)
		}
		if i%1024 == 1023 {
			for s.Take(int64(i)*loadSpan/loadTimers, 1024, &due) {
			}
			peak = max(peak, s.MemoryBytes())
		}
	}
	for s.Take(1<<60, 1024, &due) {
	}
	if s.Len() > 0 {
		b.Fatalf("%d are left", s.Len())
	}
	return peak
}

func runHeap(l loaded) {
	h := &setAndHeap{set: map[plainTimer]uint32{}}
	for i := range l.at {
		h.register(l.at[i], l.hash[i], l.key[i])
		if i%1024 == 1023 {
			h.fire(int64(i) * loadSpan / loadTimers)
		}
	}
	h.fire(1 << 60)
}

// threadTime is the processor time of this thread, so that a busy machine does not count.
func threadTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(1, &used); err != nil { // RUSAGE_THREAD
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkTimers measures registering and firing one timer, in time of the thread, against a
// heap with a set in the
// same run, and reports the medians.
func BenchmarkTimers(b *testing.B) {
	for _, l := range loads {
		b.Run(l.name, func(b *testing.B) {
			made := l.make()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var ours, plain []time.Duration
			var peak int64
			for b.Loop() {
				start := threadTime(b)
				peak = max(peak, runService(b, made))
				middle := threadTime(b)
				runHeap(made)
				ours = append(ours, middle-start)
				plain = append(plain, threadTime(b)-middle)
			}
			slices.Sort(ours)
			slices.Sort(plain)
			b.ReportMetric(float64(ours[len(ours)/2].Nanoseconds())/loadTimers, "ns/timer")
			b.ReportMetric(float64(plain[len(plain)/2].Nanoseconds())/loadTimers, "heap-ns/timer")
			b.ReportMetric(float64(peak), "peak-bytes")
			b.ReportMetric(0, "ns/op")
		})
	}
}
