package task

import (
	"fmt"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

// loop works until the task is closed, cancelled or fails.
func (t *Task) loop() error {
	done := t.ctx.Done()
	for {
		if t.mail.Waiting() {
			if err := t.mail.Drain(); err != nil {
				return err
			}
		}
		if t.closing {
			return nil
		}
		select {
		case <-done:
			return t.ctx.Err()
		default:
		}
		if !t.resting() && t.alarms.due() {
			if err := t.ring(); err != nil {
				return err
			}
		}
		progressed, err := t.step()
		switch {
		case err != nil:
			return err
		case progressed:
			err = t.between()
		default:
			err = t.rest()
		}
		if err != nil {
			return err
		}
	}
}

// step takes one element of the gate, or polls the source, and reports whether there was
// something to do.
func (t *Task) step() (bool, error) {
	if t.gate == nil {
		return t.poll()
	}
	number, e, ok := t.gate.Poll()
	if !ok {
		return false, nil
	}
	if err := t.take(number, e); err != nil {
		return true, err
	}
	return true, t.failure.Err()
}

func (t *Task) take(number int, e record.Element) error {
	switch e.Kind {
	case record.KindBatch:
		t.recordsIn.Add(uint64(e.Batch.Len))
		err := t.process(number, e.Batch)
		e.Batch.Release()
		return err
	case record.KindWatermark:
		t.advance(t.watermarks.Update(number, e.Watermark))
	case record.KindStatus:
		wasIdle := t.watermarks.AllIdle()
		t.advance(t.watermarks.SetIdle(number, e.Idle))
		if now := t.watermarks.AllIdle(); now != wasIdle {
			t.chain.head.Status(now)
		}
	case record.KindBarrier:
		// A letter sent before the barrier was triggered counts: without it the checkpoint
		// would hold again what the one before has committed.
		if err := t.mail.Drain(); err != nil {
			return err
		}
		return t.onBarrier(number, e.Barrier)
	case record.KindEndOfData:
		if t.linksLeft--; t.linksLeft == 0 {
			return t.endOfData(t.chain.head)
		}
	default:
		return fault.Internal(fmt.Errorf("read link %d: element of kind %d", number, e.Kind))
	}
	return nil
}

func (t *Task) advance(combined eventtime.Timestamp, advanced bool) {
	if advanced {
		t.watermark.Store(int64(combined))
		t.chain.head.Watermark(combined)
	}
}

func (t *Task) endOfData(head operator.Control) error {
	head.EndOfData()
	if err := t.flush(); err != nil {
		return err
	}
	t.ended = true
	t.config.Listener.EndOfData(t.id)
	return nil
}

// resting reports that nothing begins by itself any more: the data has ended, or the job stops
// with a savepoint and what came now would be lost.
func (t *Task) resting() bool { return t.ended || t.suspended != 0 }

// poll asks the source for records.
func (t *Task) poll() (bool, error) {
	if t.resting() {
		return false, nil
	}
	status, err := t.chain.source.Poll(t.ctx)
	if err == nil {
		err = t.failure.Err()
	}
	if err != nil {
		return true, err
	}
	switch status {
	case operator.PollMore:
		return true, nil
	case operator.PollWait:
		return false, nil
	}
	t.chain.source.Watermark(eventtime.Max)
	return true, t.endOfData(t.chain.source)
}

// between does what is due between two batches.
func (t *Task) between() error {
	if t.ongoing != nil {
		if err := t.copySlice(); err != nil {
			return err
		}
	}
	if now := clock.Monotonic(); now-t.lastFlush >= t.flushEvery {
		t.lastFlush = now
		t.measure()
		return t.flush()
	}
	return nil
}

// rest is for when there is no input just now: records held back leave, the state copy goes
// on, and when that is done too, the task waits. A slice of the copy is short, so that the
// next batch does not wait for long.
func (t *Task) rest() error {
	if err := t.flush(); err != nil {
		return err
	}
	if t.ongoing != nil && !t.ongoing.copied {
		return t.copySlice()
	}
	t.measure()
	var ready <-chan struct{}
	if t.gate == nil && !t.resting() {
		ready = t.chain.source.Ready()
	}
	var alarm <-chan time.Time
	if !t.resting() {
		alarm = t.alarms.c()
	}
	t.times.enter(idle)
	select {
	case <-t.wake:
	case <-alarm:
		t.alarms.rang = true
	case <-ready:
	case <-t.ctx.Done():
	}
	t.times.enter(busy)
	return nil
}

// measure notes the size of keyed state for the reports.
func (t *Task) measure() {
	if t.chain.keyed != nil {
		t.stateBytes.Store(t.chain.keyed.MemoryBytes())
	}
}
