package task

import (
	"context"
	"sync"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/protocol"
)

// phase is what a task spends its time on.
type phase uint8

const (
	busy phase = iota
	idle
	backpressured
	phases
)

// times adds up the time spent in each phase. The task goroutine changes the phase when it
// begins or ends to wait, never per batch; any goroutine reads.
//
// Semantics: Flink's busyTimeMsPerSecond, idleTimeMsPerSecond and
// backPressuredTimeMsPerSecond, as totals.
type times struct {
	mu struct {
		sync.Mutex
		started bool
		phase   phase
		since   int64 // clock.Monotonic of the last change
		total   [phases]int64
	}
}

// enter begins a phase.
func (s *times) enter(p phase) {
	now := clock.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.started {
		s.mu.total[s.mu.phase] += now - s.mu.since
	}
	s.mu.started, s.mu.phase, s.mu.since = true, p, now
}

// Blocked implements gate.Waiting.
func (s *times) Blocked(blocked bool) {
	if blocked {
		s.enter(backpressured)
	} else {
		s.enter(busy)
	}
}

// read returns the totals up to now, in nanoseconds.
func (s *times) read() [phases]int64 {
	now := clock.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.mu.total
	if s.mu.started {
		total[s.mu.phase] += now - s.mu.since
	}
	return total
}

// reportInterval is the time between two reports.
const reportInterval = time.Second

// report runs beside the task goroutine, so that figures also come from a task that is stuck.
func (t *Task) report(ctx context.Context) error {
	for {
		if err := clock.Sleep(ctx, t.config.Clock, reportInterval); err != nil {
			return err
		}
		t.config.Listener.Report(t.figures())
	}
}

// figures returns the running figures. Safe for concurrent use.
func (t *Task) figures() *protocol.TaskReport {
	total := t.times.read()
	r := &protocol.TaskReport{
		Task:                t.id,
		RecordsIn:           t.recordsIn.Load(),
		BusyMillis:          total[busy] / 1e6,
		IdleMillis:          total[idle] / 1e6,
		BackpressuredMillis: total[backpressured] / 1e6,
		Watermark:           t.watermark.Load(),
		Counters:            t.counters.Read(),
		StateBytes:          t.stateBytes.Load(),
	}
	for _, p := range t.chain.outputs.partitions {
		r.RecordsOut += p.Records()
	}
	return r
}
