package task

import (
	"math"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/operator"
)

// alarms wake operators of the chain by the clock. They belong to the task goroutine.
type alarms struct {
	clock  clock.Clock
	wishes []int64     // by place in the chain, Unix milliseconds; noWish without
	first  int64       // the earliest wish
	timer  clock.Timer // nil before the first wish
	rang   bool        // the timer's firing was received
}

const noWish = math.MaxInt64

func newAlarms(c clock.Clock, operators int) alarms {
	a := alarms{clock: c, wishes: make([]int64, operators), first: noWish}
	for i := range a.wishes {
		a.wishes[i] = noWish
	}
	return a
}

// wish takes the wish of an operator.
func (a *alarms) wish(operator int, millis int64) {
	if millis >= a.wishes[operator] {
		return
	}
	a.wishes[operator] = millis
	if millis < a.first {
		a.first = millis
		a.arm()
	}
}

func (a *alarms) arm() {
	a.rang = false
	left := time.UnixMilli(a.first).Sub(a.clock.Now())
	if a.timer == nil {
		a.timer = a.clock.NewTimer(left)
	} else {
		a.timer.Reset(left)
	}
}

// c returns what is received from when the first wish comes true; nil without wishes.
func (a *alarms) c() <-chan time.Time {
	if a.first == noWish {
		return nil
	}
	return a.timer.C()
}

// due reports whether a wish may have come true.
func (a *alarms) due() bool {
	if a.first == noWish || a.rang {
		return a.rang
	}
	select {
	case <-a.timer.C():
		a.rang = true
	default:
	}
	return a.rang
}

func (a *alarms) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// ring calls the operators whose wishes have come true, and arms the timer for the others. What
// they emit leaves as that of a batch does.
func (t *Task) ring() error {
	a := &t.alarms
	a.rang, a.first = false, noWish
	now := a.clock.Now().UnixMilli()
	for i, millis := range a.wishes {
		if millis > now || millis == noWish {
			continue
		}
		a.wishes[i] = noWish
		alarm, ok := t.chain.links[i].operator.(operator.Alarm)
		if !ok {
			continue
		}
		if err := alarm.Alarm(now); err != nil {
			return err
		}
		if err := t.failure.Err(); err != nil {
			return err
		}
	}
	for _, millis := range a.wishes {
		a.first = min(a.first, millis)
	}
	if a.first != noWish {
		a.arm()
	}
	return nil
}
