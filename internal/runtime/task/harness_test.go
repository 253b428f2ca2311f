package task_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/gate"
	"github.com/leat-io/leat/internal/runtime/task"
)

// hooks say what an operator of these tests does; nil does nothing.
type hooks struct {
	made, open, snapshot, complete, close func() error
	process                               func(env *operator.Env, v item) error
	closed                                int32
}

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

// hooked is an operator with hooks, at the head of a chain or inside, that passes everything
// on.
type hooked struct {
	operator.Control
	hooks *hooks
	env   *operator.Env
	out   *operator.Link[item]
}

func hookedOf(h *hooks) factory {
	return func(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
		if err := call(h.made); err != nil {
			return operator.Built{}, err
		}
		o := &hooked{Control: next.Control, hooks: h, env: env, out: next}
		return operator.Built{Operator: o, Link: &operator.Link[item]{
			Record:  func(v item, ts eventtime.Timestamp) { env.Failure.Set(o.one(v, ts)) },
			Control: next.Control,
		}}, nil
	}
}

func (o *hooked) one(v item, ts eventtime.Timestamp) error {
	if o.hooks.process != nil {
		if err := o.hooks.process(o.env, v); err != nil {
			return err
		}
	}
	o.out.Record(v, ts)
	return nil
}

func (o *hooked) Process(b *record.Batch) error {
	for i, v := range b.Payload.(*record.Rows[item]).Items[:b.Len] {
		if err := o.one(v, b.Timestamps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *hooked) Open(context.Context, operator.Restored) error { return call(o.hooks.open) }
func (o *hooked) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	return operator.State{}, call(o.hooks.snapshot)
}
func (o *hooked) CheckpointComplete(uint64) error { return call(o.hooks.complete) }
func (o *hooked) Close() error {
	o.hooks.closed++
	return call(o.hooks.close)
}

// harness is one task between two senders and one receiver, which the test plays.
type harness struct {
	*fixture
	t     testing.TB
	task  *task.Task
	id    place
	in    []*exchange.Partition
	out   *gate.Gate
	group *lifecycle.Group
	got   []string // all elements read from out
}

// newHarness makes a task of a chain of operators registered before, head first; a kind
// "tally" is keyed. The task does not run yet.
func newHarness(t testing.TB, f *fixture, chain ...string) *harness {
	h := &harness{fixture: f, t: t, id: place{2, 0}}
	in := &protocol.Edge{Id: 1, From: 1, To: 2, ShapeKind: "items",
		Exchange: protocol.Exchange_EXCHANGE_HASH}
	out := &protocol.Edge{Id: 2, From: 2, To: 3, ShapeKind: "items",
		Exchange: protocol.Exchange_EXCHANGE_FORWARD}
	v := &protocol.Vertex{Id: 2, Name: "chain", Parallelism: 1}
	for _, kind := range chain {
		v.Operators = append(v.Operators, operatorOf(kind, kind == "tally"))
	}
	for i := range uint32(2) {
		p, err := f.exchange.Partition(in, i, 1, exchange.Sending{
			Done: t.Context().Done(), Waiting: silent{}})
		if err != nil {
			t.Fatal(err)
		}
		h.in = append(h.in, p)
	}
	var err error
	h.out, err = f.exchange.Gate(&protocol.TaskID{Vertex: 3}, []*protocol.Edge{out},
		map[uint32]uint32{2: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.task = f.task(t, &protocol.DeployTask{
		Task: &protocol.TaskID{Vertex: 2}, Vertex: v,
		Inputs: []*protocol.Edge{in}, Outputs: []*protocol.Edge{out},
		Parallelism: map[uint32]uint32{1: 2, 3: 1},
	})
	return h
}

type silent struct{}

func (silent) Blocked(bool) {}

// run starts the task.
func (h *harness) run() {
	h.group = lifecycle.NewGroup(h.t.Context(), "harness")
	h.group.Go("task", h.task.Run)
}

// send puts one item on a link.
func (h *harness) send(link, seq int) {
	b := record.NewBatch(nil)
	b.Len = 1
	b.Payload = &record.Rows[item]{Items: []item{{source: link, seq: seq, key: uint64(seq)}}}
	b.Timestamps = []eventtime.Timestamp{eventtime.Timestamp(seq)}
	h.in[link].Send(0, b)
}

func (h *harness) barrier(link int, id uint64) {
	h.in[link].Broadcast(record.Element{Kind: record.KindBarrier,
		Barrier: record.Barrier{Checkpoint: id}})
}

func (h *harness) watermark(link int, ts eventtime.Timestamp) {
	h.in[link].Broadcast(record.Element{Kind: record.KindWatermark, Watermark: ts})
}

func (h *harness) status(link int, idle bool) {
	h.in[link].Broadcast(record.Element{Kind: record.KindStatus, Idle: idle})
}

func (h *harness) end(link int) {
	h.in[link].Broadcast(record.Element{Kind: record.KindEndOfData})
}

// read returns the next element that comes out, as text; items as link/seq.
func (h *harness) read() string {
	h.t.Helper()
	for {
		_, e, ok := h.out.Poll()
		if ok {
			text := describe(e)
			h.got = append(h.got, text)
			return text
		}
		select {
		case <-h.out.Wake():
		case <-h.t.Context().Done():
			h.t.Fatalf("nothing comes out after %v", h.got)
		}
	}
}

func describe(e record.Element) string {
	switch e.Kind {
	case record.KindBatch:
		var out []string
		for _, v := range e.Batch.Payload.(*record.Rows[item]).Items {
			out = append(out, fmt.Sprintf("%d/%d", v.source, v.seq))
		}
		e.Batch.Release()
		return strings.Join(out, " ")
	case record.KindWatermark:
		return fmt.Sprintf("watermark %d", e.Watermark)
	case record.KindBarrier:
		return fmt.Sprintf("barrier %d", e.Barrier.Checkpoint)
	case record.KindStatus:
		return fmt.Sprintf("idle %v", e.Idle)
	}
	return "end of data"
}

// expect reads elements and compares them.
func (h *harness) expect(want ...string) {
	h.t.Helper()
	for _, w := range want {
		if got := h.read(); got != w {
			h.t.Fatalf("read %q, want %q, after %v", got, w, h.got[:len(h.got)-1])
		}
	}
}

// ended waits for the end of the task and returns its last state and error.
func (h *harness) ended() (protocol.TaskState, error) {
	err := h.group.Wait()
	state, reported := h.listener.state(h.id)
	if err != reported {
		h.t.Errorf("Run returned %v and reported %v", err, reported)
	}
	return state, err
}

// ack waits for the acknowledgement of a checkpoint.
func (h *harness) ack(id uint64) *protocol.AckCheckpoint {
	h.t.Helper()
	var ack *protocol.AckCheckpoint
	h.listener.await(h.t, fmt.Sprintf("acknowledgement of %d", id), func() bool {
		ack = h.listener.mu.acks[id][h.id]
		return ack != nil
	})
	return ack
}
