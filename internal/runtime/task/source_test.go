package task_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/task"
)

// asking is a source that emits one item for each split it is given.
type asking struct {
	plain
	env    *operator.Env
	out    *operator.Link[item]
	splits []connector.Split
	asked  bool
	noMore bool
	state  []*protocol.NamedState
	marks  []uint64 // checkpoints it was asked for, then told complete
}

func (s *asking) Poll(context.Context) (operator.PollStatus, error) {
	switch {
	case len(s.splits) > 0:
		s.out.Record(item{seq: len(s.splits[0].Data)}, eventtime.None)
		s.splits, s.asked = s.splits[1:], false
		return operator.PollMore, nil
	case s.noMore:
		return operator.PollEnd, nil
	case !s.asked:
		s.asked = true
		s.env.RequestSplit()
	}
	return operator.PollWait, nil
}

func (s *asking) Ready() <-chan struct{} { return nil }

func (s *asking) AddSplits(splits []connector.Split) error {
	for _, split := range splits {
		if split.Version != 3 {
			return errors.New("split of unknown version")
		}
	}
	s.splits = append(s.splits, splits...)
	return nil
}

func (s *asking) NoMoreSplits() error {
	s.noMore = true
	return nil
}

func (s *asking) Open(_ context.Context, restored operator.Restored) error {
	s.state = restored.List
	s.marks = append(s.marks, restored.Checkpoint)
	return nil
}

func (s *asking) Snapshot(_ context.Context, b record.Barrier) (operator.State, error) {
	s.marks = append(s.marks, b.Checkpoint)
	return operator.State{List: s.state}, nil
}

func (s *asking) CheckpointComplete(id uint64) error {
	s.marks = append(s.marks, id)
	return nil
}

// sourceHarness is a source task in front of two edges, whose receivers the test plays.
func sourceHarness(t *testing.T, f *fixture, restore ...*protocol.RestoreOperator) (
	*harness, *harness, **asking,
) {
	t.Helper()
	made := new(*asking)
	f.register(t, "asking", factory(
		func(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
			*made = &asking{plain: plain{next.Control}, env: env, out: next}
			return operator.Built{Operator: *made}, nil
		}))
	h := &harness{fixture: f, t: t, id: place{2, 0}}
	other := &harness{fixture: f, t: t}
	var edges []*protocol.Edge
	for i, receiver := range []*harness{h, other} {
		to := uint32(3 + i)
		e := &protocol.Edge{Id: to, From: 2, To: to, ShapeKind: "items",
			Exchange: protocol.Exchange_EXCHANGE_HASH}
		g, err := f.exchange.Gate(&protocol.TaskID{Vertex: to}, []*protocol.Edge{e},
			map[uint32]uint32{2: 1})
		if err != nil {
			t.Fatal(err)
		}
		receiver.out = g
		edges = append(edges, e)
	}
	h.task = f.task(t, &protocol.DeployTask{
		Task: &protocol.TaskID{Vertex: 2}, Outputs: edges,
		Vertex: &protocol.Vertex{Id: 2, Name: "read", Parallelism: 1,
			Operators: []*protocol.Operator{operatorOf("asking", false)}},
		Parallelism: map[uint32]uint32{3: 1, 4: 1},
		Restore:     restore, RestoreCheckpoint: 5,
	})
	return h, other, made
}

func splitsOf(sizes ...int) []*protocol.Split {
	var splits []*protocol.Split
	for _, n := range sizes {
		splits = append(splits, &protocol.Split{Id: "s", Version: 3, Data: make([]byte, n)})
	}
	return splits
}

// Goal: a source gets its splits, state and checkpoints by letters, in their order between
// polls; both edges get everything; barriers pass after end of data too; an earlier or
// repeated notification is ignored. Method: a source that records what it is told.
func TestSourceLetters(t *testing.T) {
	f := newFixture(t, 0)
	state := []*protocol.NamedState{{Name: "positions", Elements: [][]byte{{1}}}}
	h, other, made := sourceHarness(t, f, &protocol.RestoreOperator{Uid: "asking", List: state})
	h.run()
	f.listener.await(t, "request", func() bool { return len(f.listener.mu.requests) == 1 })
	h.task.AssignSplits("asking", splitsOf(1), false)
	h.expect("0/1")
	f.listener.await(t, "request", func() bool { return len(f.listener.mu.requests) == 2 })
	h.task.TriggerCheckpoint(record.Barrier{Checkpoint: 6})
	h.expect("barrier 6")
	if diff := cmp.Diff(state, h.ack(6).Operators[0].State.List, cmp.Comparer(same)); diff != "" {
		t.Errorf("list state (-want +got):\n%s", diff)
	}
	h.task.CheckpointComplete(6)
	h.task.CheckpointComplete(6)
	h.task.CheckpointAborted(7, "test")
	h.task.TriggerCheckpoint(record.Barrier{Checkpoint: 7})
	h.task.AssignSplits("asking", splitsOf(2), true)
	h.expect("0/2", "watermark 9223372036854775807", "end of data")
	h.task.TriggerCheckpoint(record.Barrier{Checkpoint: 8})
	h.expect("barrier 8")
	h.ack(8)
	h.task.CheckpointComplete(8)
	h.task.CheckpointComplete(6)
	h.task.Close()
	if end, err := h.ended(); end != finished || err != nil {
		t.Errorf("ended as %v: %v", end, err)
	}
	if want := []uint64{5, 6, 6, 8, 8}; !slices.Equal(want, (*made).marks) {
		t.Errorf("the source was told of checkpoints %v, want %v", (*made).marks, want)
	}
	other.expect("0/1", "barrier 6", "0/2", "watermark 9223372036854775807", "end of data",
		"barrier 8")
	h.task.AssignSplits("asking", nil, true) // After the end: no effect, no harm.
}

func same(a, b *protocol.NamedState) bool {
	return a.Name == b.Name && slices.EqualFunc(a.Elements, b.Elements, slices.Equal)
}

// Goal: a letter that cannot be carried out fails the task and is named. Method: a split the
// source refuses, and one for another source.
func TestFailingLetter(t *testing.T) {
	for want, uid := range map[string]string{
		"assign splits: split of unknown version": "asking",
		`assign splits: no source "other"`:        "other",
	} {
		h, _, _ := sourceHarness(t, newFixture(t, 0))
		h.run()
		h.task.AssignSplits(uid, []*protocol.Split{{Id: "s"}}, false)
		if end, err := h.ended(); end != failed || !strings.Contains(err.Error(), want) {
			t.Errorf("ended as %v: %v, want %q", end, err, want)
		}
	}
}

// Goal: figures come once a second, also from a task that is stuck in user code, with the
// counters of its operators. Method: a manual clock; the head does not return from Process.
func TestReports(t *testing.T) {
	f := newFixture(t, 0)
	manual := clock.NewManual(time.Unix(0, 0))
	f.clock = manual
	enter, leave := make(chan struct{}), make(chan struct{})
	f.register(t, "pass", hookedOf(&hooks{process: func(env *operator.Env, _ item) error {
		env.Counters.Counter("seen").Add(3)
		enter <- struct{}{}
		<-leave
		return nil
	}}))
	h := newHarness(t, f, "pass")
	h.send(0, 1)
	h.run()
	<-enter
	for range 2 {
		manual.AwaitTimers(1)
		f.listener.change(func() { clear(f.listener.mu.reports) })
		manual.Advance(time.Second)
		f.listener.await(t, "report", func() bool { return f.listener.mu.reports[h.id] != nil })
	}
	r := f.listener.mu.reports[h.id]
	if r.RecordsIn != 1 || r.Counters["seen"] != 3 || r.Watermark != int64(eventtime.None) {
		t.Errorf("report %v", r)
	}
	close(leave)
	h.task.Close()
	if end, err := h.ended(); end != finished {
		t.Errorf("ended as %v: %v", end, err)
	}
}

// Goal: a deployment that cannot work is refused by New, or fails the task before it is
// RUNNING. Method: one mistake at a time.
func TestBadDeployments(t *testing.T) {
	f := newFixture(t, 0)
	f.register(t, "pass", hookedOf(&hooks{}))
	f.register(t, "sink", factory(newSink))
	deploy := func(change func(d *protocol.DeployTask)) *protocol.DeployTask {
		d := &protocol.DeployTask{
			Task: &protocol.TaskID{Vertex: 2},
			Vertex: &protocol.Vertex{Id: 2, Name: "v", Parallelism: 1,
				Operators: []*protocol.Operator{operatorOf("sink", false)}},
			Inputs: []*protocol.Edge{{Id: 1, From: 1, To: 2,
				Exchange: protocol.Exchange_EXCHANGE_HASH}},
			Parallelism: map[uint32]uint32{1: 1},
		}
		change(d)
		return d
	}
	for want, change := range map[string]func(d *protocol.DeployTask){
		"subtask 1 of 1":              func(d *protocol.DeployTask) { d.Task.Subtask = 1 },
		"vertex 9 has no parallelism": func(d *protocol.DeployTask) { d.Inputs[0].From = 9 },
		`resolve kind "lost"`: func(d *protocol.DeployTask) {
			d.Vertex.Operators[0].Kind = "lost"
		},
		"cannot head a chain with 0": func(d *protocol.DeployTask) { d.Inputs = nil },
		"has no operators":           func(d *protocol.DeployTask) { d.Vertex.Operators = nil },
		"in the checkpoint and none": func(d *protocol.DeployTask) {
			d.Restore = []*protocol.RestoreOperator{{Uid: "sink", Panes: []*protocol.PaneRuns{{}}}}
		},
	} {
		f := newFixture(t, 0)
		f.register(t, "sink", factory(newSink))
		made, err := task.New(task.Config{
			Deploy: deploy(change), Registry: f.registry, Backend: f.backend,
			Exchange: f.exchange, Clock: f.clock, Store: f.store, Listener: f.listener,
		})
		if err == nil {
			group := lifecycle.NewGroup(t.Context(), "test")
			group.Go("task", made.Run)
			err = group.Wait()
			if n := len(f.listener.mu.states[place{2, 0}]); n != 2 {
				t.Errorf("%q: %d states, want INITIALIZING and FAILED", want, n)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
