package task_test

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// waking is a hooked operator that emits an item numbered by the clock when it is woken, in
// seconds since the start, and does what alarm says.
type waking struct {
	*hooked
	alarm func(env *operator.Env, second int) error
}

var alarmStart = time.Unix(1000, 0)

func seconds(millis int64) int { return int(millis/1000) - 1000 }
func millisAt(second int) int64 {
	return alarmStart.Add(time.Duration(second) * time.Second).UnixMilli()
}

func (w *waking) Alarm(now int64) error {
	w.out.Record(item{source: 9, seq: seconds(now)}, eventtime.None)
	if w.alarm != nil {
		return w.alarm(w.env, seconds(now))
	}
	return nil
}

// wakingOf makes operators that wish to be woken when they are opened and by every item, at
// the second of its number.
func wakingOf(open []int, alarm func(env *operator.Env, second int) error) factory {
	return func(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
		h := &hooks{
			open: func() error {
				for _, second := range open {
					env.WakeAt(millisAt(second))
				}
				return nil
			},
			process: func(env *operator.Env, v item) error {
				env.WakeAt(millisAt(v.seq))
				return nil
			},
		}
		built, err := hookedOf(h)(env, next)
		if err == nil {
			built.Operator = &waking{hooked: built.Operator.(*hooked), alarm: alarm}
		}
		return built, err
	}
}

// alarmHarness runs a task on a manual clock.
func alarmHarness(t *testing.T, chain map[string]factory, order ...string) (
	*harness, *clock.Manual,
) {
	t.Helper()
	f := newFixture(t, 1)
	manual := clock.NewManual(alarmStart)
	f.clock = manual
	for kind, made := range chain {
		f.register(t, kind, made)
	}
	h := newHarness(t, f, order...)
	h.run()
	return h, manual
}

// Goal: an operator is woken at the earliest time it asked for, once, without input, and also
// when that time is past; those of a chain have wishes of their own; nothing is woken after
// the end of data. Method: a manual clock stepped when the task has armed its timer; the
// task's reports keep one timer armed too.
func TestAlarm(t *testing.T) {
	again := func(env *operator.Env, second int) error {
		if second == 20 {
			env.WakeAt(millisAt(30))
			env.WakeAt(millisAt(25))
			env.WakeAt(math.MaxInt64)
		}
		return nil
	}
	h, manual := alarmHarness(t, map[string]factory{
		"head": wakingOf([]int{-5}, again), "tail": wakingOf(nil, nil),
	}, "head", "tail")
	step := func(seconds int) {
		manual.AwaitTimers(2)
		manual.Advance(time.Duration(seconds) * time.Second)
	}
	// Overdue from the start. What the head emits makes the tail wish for its second.
	h.expect("9/0 9/0")
	h.send(0, 20)
	h.expect("0/20")
	h.send(1, 18)
	h.expect("1/18")
	step(18)
	h.expect("9/18 9/18") // It uses up the wish for 20.
	h.send(0, 20)
	h.expect("0/20")
	step(2)
	h.expect("9/20 9/20")
	h.watermark(0, 7)
	h.watermark(1, 7)
	h.expect("watermark 7")
	step(4)
	step(2)
	h.expect("9/26 9/26")
	h.send(0, 40)
	h.expect("0/40")
	h.end(0)
	h.end(1)
	h.expect("end of data")
	manual.Advance(time.Hour)
	h.task.Close()
	if state, err := h.ended(); err != nil || state != protocol.TaskState_TASK_STATE_FINISHED {
		t.Errorf("ended %v, %v", state, err)
	}
}

// Goal: alarms go on while the task is busy, waits for barriers or has no input, and one that
// fails, fails the task. Method: block one link at a barrier; an alarm that fails the second
// time.
func TestAlarmWhileAligning(t *testing.T) {
	planted := errors.New("planted")
	var once sync.Once
	h, manual := alarmHarness(t, map[string]factory{
		"head": wakingOf([]int{5}, func(env *operator.Env, second int) error {
			err := planted
			once.Do(func() { env.WakeAt(millisAt(6)); err = nil })
			return err
		}),
	}, "head")
	h.barrier(0, 1)
	h.watermark(1, 3)
	h.watermark(0, 3)
	manual.AwaitTimers(2)
	manual.Advance(5 * time.Second)
	h.expect("9/5")
	h.barrier(1, 1)
	h.expect("barrier 1", "watermark 3")
	manual.AwaitTimers(2)
	manual.Advance(5 * time.Second)
	state, err := h.ended()
	if !errors.Is(err, planted) || state != protocol.TaskState_TASK_STATE_FAILED {
		t.Errorf("ended %v, %v", state, err)
	}
}
