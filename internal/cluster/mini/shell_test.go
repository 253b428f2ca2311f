package mini

import (
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/protocol"
)

// Goal: an alarm that is due rings also when other things come first. Method: set the timer
// again before its firing is seen, as the loop does after a message. Regression: the firing was
// taken back and the alarm forgotten, so that a checkpoint never came.
func TestAlarm(t *testing.T) {
	start := time.Unix(0, 0)
	c := clock.NewManual(start)
	m := &master{job: Job{Clock: c}, alarms: []time.Time{
		start.Add(time.Minute), start.Add(time.Second), start.Add(2 * time.Second),
	}}
	timer := c.NewTimer(time.Hour)
	defer timer.Stop()
	m.setTimer(timer)
	if due, _ := c.Next(); !due.Equal(start.Add(time.Second)) {
		t.Errorf("timer set for %v", due)
	}
	c.Advance(3 * time.Second)
	for range 3 {
		m.setTimer(timer)
	}
	select {
	case <-timer.C():
	default:
		t.Fatal("the alarm did not ring")
	}
}

// Goal: messages arrive encoded, in the order sent; a role that does not read is a fault, not
// a wait. Method: fill a link beyond its bound.
func TestLink(t *testing.T) {
	l := newLink()
	sent := &protocol.Envelope{From: "a", To: "b"}
	for i := range 10 {
		sent.Attempt = uint32(i)
		l.send(sent)
	}
	<-l.wake
	got, err := l.receive()
	if err != nil || len(got) != 10 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	for i, e := range got {
		if e == sent || e.Attempt != uint32(i) {
			t.Errorf("message %d is %v", i, e)
		}
	}
	for range linkMessages + 1 {
		l.send(sent)
	}
	if _, err := l.receive(); err == nil {
		t.Error("a message was lost without an error")
	}
	l = newLink()
	l.send(&protocol.Envelope{JobId: "\xff"})
	if _, err := l.receive(); err == nil {
		t.Error("text that is not UTF-8 was sent")
	}
}
