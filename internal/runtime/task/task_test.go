package task_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/runtime/gate"
)

const (
	finished = protocol.TaskState_TASK_STATE_FINISHED
	canceled = protocol.TaskState_TASK_STATE_CANCELED
	failed   = protocol.TaskState_TASK_STATE_FAILED
)

// Goal: what is in band comes out in order and combined over links: watermarks as minimum,
// idleness when all are idle, end of data when all have ended; and records leave before
// what follows them. Method: a script on two links, one element at a time.
func TestInBandElements(t *testing.T) {
	f := newFixture(t, 0)
	f.register(t, "pass", hookedOf(&hooks{}))
	h := newHarness(t, f, "pass")
	h.run()
	h.send(0, 1)
	h.expect("0/1")
	h.watermark(0, 10)
	h.send(0, 2)
	h.expect("0/2") // The other link has no watermark yet.
	h.watermark(1, 7)
	h.expect("watermark 7")
	h.status(1, true)
	h.expect("watermark 10")
	h.status(0, true)
	h.expect("idle true")
	h.status(1, false)
	h.expect("idle false")
	h.watermark(1, 20)
	h.expect("watermark 20")
	h.send(1, 3)
	h.expect("1/3")
	h.watermark(1, eventtime.Max)
	h.expect(fmt.Sprintf("watermark %d", eventtime.Max))
	h.end(0)
	h.barrier(0, 1)
	h.send(1, 4)
	h.expect("1/4")
	h.end(1)
	h.expect("end of data")
	h.barrier(1, 1)
	h.expect("barrier 1") // Barriers pass after end of data.
	h.ack(1)
	h.task.Close()
	if state, err := h.ended(); state != finished || err != nil {
		t.Errorf("ended as %v: %v", state, err)
	}
	want := []protocol.TaskState{protocol.TaskState_TASK_STATE_INITIALIZING,
		protocol.TaskState_TASK_STATE_RUNNING, finished}
	if diff := cmp.Diff(want, h.listener.mu.states[h.id]); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	r := h.listener.mu.reports[h.id]
	if r.RecordsIn != 4 || r.RecordsOut != 4 || r.Watermark != int64(eventtime.Max) {
		t.Errorf("last report %v", r)
	}
}

// Goal: records of a link behind its barrier wait until the other link's barrier has come.
// Method: everything lies in the rings before the task runs.
func TestAlignment(t *testing.T) {
	f := newFixture(t, 0)
	f.register(t, "pass", hookedOf(&hooks{}))
	h := newHarness(t, f, "pass")
	h.barrier(0, 1)
	h.send(0, 100)
	for seq := range 5 {
		h.send(1, seq)
	}
	h.barrier(1, 1)
	h.send(1, 200)
	h.run()
	var before []string
	for got := h.read(); got != "barrier 1"; got = h.read() {
		before = append(before, got)
	}
	if got := strings.Join(before, " "); got != "1/0 1/1 1/2 1/3 1/4" {
		t.Errorf("before the barrier came %q", got)
	}
	after := map[string]bool{}
	for len(after) < 2 {
		for _, one := range strings.Fields(h.read()) {
			after[one] = true
		}
	}
	if !after["0/100"] || !after["1/200"] {
		t.Errorf("after the barrier came %v", after)
	}
	h.task.Cancel()
	if state, err := h.ended(); state != canceled || err != nil {
		t.Errorf("ended as %v: %v", state, err)
	}
}

// Goal: operators are opened from tail to head and closed from head to tail, and give
// their parts of a checkpoint from head to tail. Method: a log.
func TestOrderInChain(t *testing.T) {
	f := newFixture(t, 0)
	var log []string
	for _, kind := range []string{"first", "second", "third"} {
		write := func(what string) func() error {
			return func() error { log = append(log, what+" "+kind); return nil }
		}
		f.register(t, kind, hookedOf(&hooks{made: write("make"), open: write("open"),
			snapshot: write("snapshot"), close: write("close")}))
	}
	h := newHarness(t, f, "first", "second", "third")
	h.barrier(0, 1)
	h.barrier(1, 1)
	h.run()
	h.ack(1)
	h.task.Close()
	h.ended()
	want := []string{"make third", "make second", "make first", "open third", "open second",
		"open first", "snapshot first", "snapshot second", "snapshot third", "close first",
		"close second", "close third"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Goal: records leave a task that never runs out of input after the buffer timeout. Method:
// all input lies in the ring; the second item takes that long, the third does not return
// before the first two have been read.
func TestBufferTimeout(t *testing.T) {
	f := newFixture(t, 0)
	read := make(chan struct{})
	f.register(t, "pass", hookedOf(&hooks{process: func(_ *operator.Env, v item) error {
		switch v.seq {
		case 2:
			return clock.Sleep(t.Context(), clock.Real(), 100*time.Millisecond)
		case 3:
			<-read
		}
		return nil
	}}))
	h := newHarness(t, f, "pass")
	for seq := range 5 {
		h.send(0, seq)
	}
	h.run()
	for !strings.HasSuffix(h.read(), "0/2") {
	}
	close(read)
	h.task.Cancel()
	if state, err := h.ended(); state != canceled || err != nil {
		t.Errorf("ended as %v: %v", state, err)
	}
}

// Goal: an error or a panic of user code anywhere fails the task, says where and whose fault
// it is, and every operator made is closed exactly once. Method: one fault at a time in the
// head or in the operator behind it.
func TestFailures(t *testing.T) {
	broken := fault.User(errors.New("broken"))
	fails := func() error { return broken }
	panics := func() error { panic("boom") }
	on := func(f func() error) func(*operator.Env, item) error {
		return func(*operator.Env, item) error { return f() }
	}
	for _, c := range []struct {
		name       string
		head, tail hooks
		closed     [2]int32 // head, tail
		panics     bool
	}{
		{name: "new of tail", tail: hooks{made: fails}},
		{name: "new of head", head: hooks{made: fails}, closed: [2]int32{0, 1}},
		{name: "new panics", head: hooks{made: panics}, closed: [2]int32{0, 1}, panics: true},
		{name: "open of tail", tail: hooks{open: fails}, closed: [2]int32{1, 1}},
		{name: "open of head", head: hooks{open: fails}, closed: [2]int32{1, 1}},
		{name: "process", head: hooks{process: on(fails)}, closed: [2]int32{1, 1}},
		{name: "process panics", head: hooks{process: on(panics)}, closed: [2]int32{1, 1},
			panics: true},
		{name: "failure set", tail: hooks{process: on(fails)}, closed: [2]int32{1, 1}},
		{name: "inside panics", tail: hooks{process: on(panics)}, closed: [2]int32{1, 1},
			panics: true},
		{name: "snapshot", tail: hooks{snapshot: fails}, closed: [2]int32{1, 1}},
		{name: "complete", head: hooks{complete: fails}, closed: [2]int32{1, 1}},
		{name: "close", head: hooks{close: fails}, closed: [2]int32{1, 1}},
		{name: "close panics", head: hooks{close: panics}, closed: [2]int32{1, 1}, panics: true},
		{name: "fails and close panics", head: hooks{process: on(fails), close: panics},
			closed: [2]int32{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, 0)
			f.register(t, "head", hookedOf(&c.head))
			f.register(t, "tail", hookedOf(&c.tail))
			h := newHarness(t, f, "head", "tail")
			h.send(0, 1)
			h.barrier(0, 1)
			h.barrier(1, 1)
			h.run()
			h.listener.await(t, "checkpoint or failure", func() bool {
				return h.listener.mu.acks[1] != nil || h.listener.mu.errs[h.id] != nil
			})
			h.task.CheckpointComplete(1)
			h.task.Close()
			state, err := h.ended()
			if state != failed || err == nil {
				t.Fatalf("ended as %v: %v", state, err)
			}
			if !strings.Contains(err.Error(), `task "chain" (1/1)`) {
				t.Errorf("error %q does not name the task", err)
			}
			domain, text := fault.DomainUser, "broken"
			if c.panics {
				domain, text = fault.DomainInternal, "panic in task_test.TestFailures"
			}
			if fault.DomainOf(err) != domain || !strings.Contains(err.Error(), text) {
				t.Errorf("error %q of domain %v, want %q of %v", err, fault.DomainOf(err), text,
					domain)
			}
			if c.panics && !strings.Contains(err.Error(), "): boom") {
				t.Errorf("error %q does not say what the panic said", err)
			}
			if c.panics && fault.StackOf(err) == nil {
				t.Error("the stack of the panic is lost")
			}
			closed := [2]int32{c.head.closed, c.tail.closed}
			if closed != c.closed {
				t.Errorf("operators closed %v times, want %v", closed, c.closed)
			}
		})
	}
}

// Goal: a task is cancelled before it runs, by its context, and while it waits for room in a
// channel, whose time counts as back-pressured. Method: nobody reads the output.
func TestCancel(t *testing.T) {
	f := newFixture(t, 0)
	h := hooks{}
	f.register(t, "pass", hookedOf(&h))
	early := newHarness(t, f, "pass")
	early.task.Cancel()
	early.run()
	if state, err := early.ended(); state != canceled || err != nil {
		t.Errorf("cancelled before Run: ended as %v: %v", state, err)
	}

	late := newHarness(t, newFixtureWith(t, "pass", &h), "pass")
	late.run()
	ctx := late.group
	late.send(0, 1)
	late.expect("0/1")
	ctx.Stop()
	if state, err := late.ended(); state != canceled || err != nil {
		t.Errorf("context ended: ended as %v: %v", state, err)
	}

	stuck := newHarness(t, newFixtureWith(t, "pass", &h), "pass")
	stuck.run()
	// Each barrier leaves at once: more of them than the ring at the output holds.
	for id := range uint64(gate.Depth + 1) {
		stuck.barrier(0, id+1)
		stuck.barrier(1, id+1)
		if id < gate.Depth {
			stuck.ack(id + 1)
		}
	}
	// The acknowledgement comes behind the barrier: none for the last.
	stuck.listener.await(t, "a report of back-pressure", func() bool {
		r := stuck.listener.mu.reports[stuck.id]
		return r != nil && r.BackpressuredMillis > 0
	})
	stuck.task.Cancel()
	if state, err := stuck.ended(); state != canceled || err != nil {
		t.Errorf("cancelled while waiting for room: ended as %v: %v", state, err)
	}
	if n := h.closed; n != 2 { // The first was never made.
		t.Errorf("operators closed %d times, want 2", n)
	}
}

func newFixtureWith(t testing.TB, kind string, h *hooks) *fixture {
	f := newFixture(t, 0)
	f.register(t, kind, hookedOf(h))
	return f
}
