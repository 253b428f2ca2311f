package main

import (
	"container/heap"
	"fmt"
	"runtime"

	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const (
	timerCount   = 1_000_000
	timerSpan    = 100_000 // milliseconds in which they are registered
	timerWindow  = 1000    // milliseconds
	timerWindows = 10      // ahead of the watermark
	timerMinute  = 60_000
)

// timersSuite measures registering and firing a timer, both together, while the watermark
// follows every 1,024 registrations, against a heap with a set as Flink keeps timers in memory.
func timersSuite(rounds int) error {
	aligned := timerLoad(func(now int64, random uint64) int64 {
		return (now/timerWindow + 1 + int64(random%timerWindows)) * timerWindow
	})
	minute := timerLoad(func(now int64, random uint64) int64 {
		return now + int64(random%timerMinute)
	})
	for _, load := range []struct {
		name     string
		timers   []plainTimer
		windows  int // words of the namespace
		promised float64
	}{
		{"ends of windows", aligned, 0, 60},
		{"ends of windows, named by them", aligned, 2, 0},
		{"within a minute", minute, 0, 250},
	} {
		all, err := alternate(rounds, "ns CPU of the thread, "+load.name,
			contender{"heap and set", func() (float64, error) {
				return heapTimers(load.timers)
			}},
			contender{"timers", func() (float64, error) {
				return serviceTimers(load.timers, load.windows)
			}})
		if err != nil {
			return err
		}
		if load.promised > 0 {
			verdict("register and fire, "+load.name, all[1].median(), "at most", load.promised,
				"ns CPU")
		}
	}
	return nil
}

// timerLoad makes timers of random keys in the order in which they are registered.
func timerLoad(at func(now int64, random uint64) int64) []plainTimer {
	timers := make([]plainTimer, timerCount)
	for i := range timers {
		random := types.Mix64(uint64(i))
		timers[i] = plainTimer{at: at(timerNow(i), random>>32), key: types.Mix64(random)}
	}
	return timers
}

// timerNow is the watermark when the i-th timer is registered.
func timerNow(i int) int64 { return int64(i) * timerSpan / timerCount }

// perTimer is the CPU time of the thread for each timer; run returns how many it fired.
func perTimer(run func() (fired int, err error)) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	fired, err := run()
	if err == nil && fired != timerCount {
		err = fmt.Errorf("%d timers fired, not %d", fired, timerCount)
	}
	return float64(threadTime()-before) / timerCount, err
}

func serviceTimers(load []plainTimer, namespaceWords int) (float64, error) {
	b, err := table.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		return 0, err
	}
	defer b.Close()
	id, err := b.DeclareTimers(backend.TimerLayout{KeyWords: 1, NamespaceWords: namespaceWords})
	if err != nil {
		return 0, err
	}
	s, err := b.Timers(id)
	if err != nil {
		return 0, err
	}
	return perTimer(func() (fired int, err error) {
		var due backend.Due
		var t backend.Timer
		fire := func(until int64) {
			for s.Take(until, batchRows, &due) {
				fired += len(due.Hashes)
			}
		}
		for i := range load {
			t.Timestamp, t.Words[0] = load[i].at, load[i].key
			t.Hash = types.HashInt64(int64(load[i].key))
			if namespaceWords > 0 {
				t.Namespace = [2]uint64{uint64(t.Timestamp - timerWindow), uint64(t.Timestamp)}
			}
			if err := s.Register(&t); err != nil {
				return fired, err
			}
			if i%batchRows == batchRows-1 {
				fire(timerNow(i))
			}
		}
		fire(1 << 60)
		return fired, nil
	})
}

type plainTimer struct {
	at  int64
	key uint64
}

// timerHeap is a queue of timers by time and key, with a set to tell whether one is there.
type timerHeap struct {
	set   map[plainTimer]struct{}
	queue []plainTimer
}

// Len is the number of timers.
func (h *timerHeap) Len() int { return len(h.queue) }

// Less says which of two timers comes first.
func (h *timerHeap) Less(i, j int) bool {
	a, b := &h.queue[i], &h.queue[j]
	return a.at < b.at || a.at == b.at && a.key < b.key
}

// Swap exchanges two timers.
func (h *timerHeap) Swap(i, j int) { h.queue[i], h.queue[j] = h.queue[j], h.queue[i] }

// Push adds a timer at the end.
func (h *timerHeap) Push(x any) { h.queue = append(h.queue, x.(plainTimer)) }

// Pop removes the last one.
func (h *timerHeap) Pop() any {
	last := h.queue[len(h.queue)-1]
	h.queue = h.queue[:len(h.queue)-1]
	return last
}

func heapTimers(load []plainTimer) (float64, error) {
	return perTimer(func() (fired int, err error) {
		h := &timerHeap{set: map[plainTimer]struct{}{}}
		fire := func(until int64) {
			for len(h.queue) > 0 && h.queue[0].at <= until {
				delete(h.set, heap.Pop(h).(plainTimer))
				fired++
			}
		}
		for i, t := range load {
			if _, ok := h.set[t]; !ok {
				h.set[t] = struct{}{}
				heap.Push(h, t)
			}
			if i%batchRows == batchRows-1 {
				fire(timerNow(i))
			}
		}
		fire(1 << 60)
		return fired, nil
	})
}
