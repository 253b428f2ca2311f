package task_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/gate"
	"github.com/leat-io/leat/internal/runtime/task"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
)

// stepwise is a backend whose copies are complete when the test says so, and which counts
// images that are not released.
type stepwise struct {
	naive.Factory
	hold  atomic.Bool // copies make no progress
	steps chan struct{}
	live  atomic.Int32
}

func newStepwise() *stepwise { return &stepwise{steps: make(chan struct{}, 1)} }

func (s *stepwise) New(o backend.Options) (backend.Backend, error) {
	b, err := s.Factory.New(o)
	return &stepwiseBackend{b, s}, err
}

type stepwiseBackend struct {
	backend.Backend
	owner *stepwise
}

func (b *stepwiseBackend) Begin(checkpoint uint64, full bool) (backend.Snapshot, error) {
	image, err := b.Backend.Begin(checkpoint, full)
	b.owner.live.Add(1)
	return &stepwiseImage{image, b.owner, false}, err
}

type stepwiseImage struct {
	backend.Snapshot
	owner    *stepwise
	released bool
}

// Step tells that a copy has begun and holds it.
func (i *stepwiseImage) Step(budget int) (bool, error) {
	if i.owner.hold.Load() {
		select {
		case i.owner.steps <- struct{}{}:
		default:
		}
		return false, nil
	}
	return i.Snapshot.Step(budget)
}

func (i *stepwiseImage) Release() {
	if !i.released {
		i.released = true
		i.owner.live.Add(-1)
	}
	i.Snapshot.Release()
}

// counts returns the number of items by key in the state that a task acknowledged.
func counts(t testing.TB, f *fixture, ack *protocol.AckCheckpoint) map[uint64]uint64 {
	t.Helper()
	j := &job{fixture: f}
	got := map[uint64]uint64{}
	for key, total := range j.stateIn(t, map[place]*protocol.AckCheckpoint{{2, 0}: ack}) {
		got[key] = total.count
	}
	return got
}

// Goal: an abort at any step of a checkpoint leaves nothing behind: records flow, the next
// checkpoint is complete and holds all of them, no image stays. Method: stop a checkpoint of
// a keyed task at each step by holding links, the copy or the upload, abort it there, go on.
func TestAbortAtEveryStep(t *testing.T) {
	type stage struct {
		*harness
		state   *stepwise
		uploads chan struct{}
	}
	steps := map[string]func(t *testing.T, s stage){
		"before any barrier": func(_ *testing.T, s stage) {
			s.run()
			s.task.CheckpointAborted(1, "test")
			s.send(0, 1)
			s.expect("0/1") // The letter has been read: it was posted before the item.
			s.barrier(0, 1)
			s.barrier(1, 1)
			s.send(1, 2)
			s.expect("1/2")
		},
		"after one barrier": func(_ *testing.T, s stage) {
			s.barrier(0, 1)
			s.send(1, 1)
			s.send(0, 2)
			s.run()
			s.expect("1/1") // Links take turns: the barrier has been read.
			s.task.CheckpointAborted(1, "test")
			s.expect("0/2") // The link is free again.
			s.barrier(1, 1)
		},
		"while copying": func(_ *testing.T, s stage) {
			s.state.hold.Store(true)
			s.send(0, 1)
			s.run()
			s.expect("0/1")
			s.barrier(0, 1)
			s.barrier(1, 1)
			s.expect("barrier 1")
			<-s.state.steps
			s.task.CheckpointAborted(1, "test")
			s.send(0, 2)
			s.expect("0/2")
			s.state.hold.Store(false)
		},
		"while uploading": func(_ *testing.T, s stage) {
			s.store.before = func(ctx context.Context, checkpoint uint64) error {
				if checkpoint > 1 {
					return nil
				}
				s.uploads <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			}
			s.run()
			s.fill()
			s.send(0, 1)
			s.send(0, 2)
			s.barrier(0, 1)
			s.barrier(1, 1)
			for s.read() != "barrier 1" {
			}
			<-s.uploads
			s.task.CheckpointAborted(1, "test")
		},
		"after the acknowledgement": func(_ *testing.T, s stage) {
			s.run()
			s.send(0, 1)
			s.expect("0/1")
			s.barrier(0, 1)
			s.barrier(1, 1)
			s.expect("barrier 1")
			s.ack(1)
			s.task.CheckpointAborted(1, "test")
			s.send(0, 2)
			s.expect("0/2")
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 0)
			state := newStepwise()
			f.backend = state
			f.register(t, "tally", factory(newTally))
			s := stage{newHarness(t, f, "tally"), state, make(chan struct{}, 1)}
			step(t, s)
			s.send(1, 3)
			s.barrier(0, 2)
			s.barrier(1, 2)
			for got := s.read(); got != "barrier 2"; got = s.read() {
				if got == "barrier 1" {
					t.Error("the barrier of the aborted checkpoint came through")
				}
			}
			got := counts(t, f, s.ack(2))
			for key := range got {
				if key > 3 {
					delete(got, key) // What fill sent.
				}
			}
			if diff := cmp.Diff(map[uint64]uint64{1: 1, 2: 1, 3: 1}, got); diff != "" {
				t.Errorf("state of checkpoint 2 (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(name, "after the") == (f.listener.mu.acks[1] == nil) {
				t.Errorf("acknowledgements of checkpoint 1: %v", f.listener.mu.acks[1])
			}
			s.task.CheckpointComplete(2)
			s.task.Close()
			if end, err := s.ended(); end != finished || err != nil {
				t.Errorf("ended as %v: %v", end, err)
			}
			if n := state.live.Load(); n != 0 {
				t.Errorf("%d images are not released", n)
			}
		})
	}
}

// fill makes keyed state too large for the metadata, so that checkpoints are uploaded.
func (h *harness) fill() {
	h.t.Helper()
	for seq := range 3000 {
		h.send(1, 10+seq)
		h.read()
	}
}

// Goal: a failed upload declines its checkpoint only, and the next one holds everything.
// Method: a store that refuses once, by error and by panic.
func TestDeclineAfterFailedUpload(t *testing.T) {
	refused := errors.New("store is away")
	for name, refuse := range map[string]func() error{
		"error": func() error { return refused },
		"panic": func() error { panic(refused) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 0)
			f.register(t, "tally", factory(newTally))
			h := newHarness(t, f, "tally")
			f.store.before = func(_ context.Context, checkpoint uint64) error {
				if checkpoint == 1 {
					return refuse()
				}
				return nil
			}
			h.run()
			h.fill()
			h.barrier(0, 1)
			h.barrier(1, 1)
			h.expect("barrier 1")
			f.listener.await(t, "decline", func() bool { return f.listener.mu.declines[1] != nil })
			if err := f.listener.mu.declines[1]; !errors.Is(err, refused) {
				t.Errorf("declined with %v", err)
			}
			h.barrier(0, 2)
			h.barrier(1, 2)
			h.expect("barrier 2")
			ack := h.ack(2)
			if got := len(counts(t, f, ack)); got != 3000 {
				t.Errorf("checkpoint 2 holds %d keys, want 3000", got)
			}
			if ack.StateBytes < 3000*16 {
				t.Errorf("checkpoint 2 says it wrote %d bytes", ack.StateBytes)
			}
			h.task.Cancel()
			if end, _ := h.ended(); end != canceled {
				t.Errorf("ended as %v", end)
			}
		})
	}
}

// Goal: a barrier that comes while the one before is still being copied or written does not
// take its image away: both complete. Method: hold the upload of the first.
func TestBarrierWhileWriting(t *testing.T) {
	f := newFixture(t, 0)
	f.register(t, "tally", factory(newTally))
	h := newHarness(t, f, "tally")
	proceed := make(chan struct{})
	f.store.before = func(ctx context.Context, checkpoint uint64) error {
		if checkpoint == 1 {
			<-proceed
		}
		return nil
	}
	h.run()
	h.fill()
	h.barrier(0, 1)
	h.barrier(1, 1)
	h.expect("barrier 1")
	h.barrier(0, 2)
	h.barrier(1, 2)
	close(proceed)
	h.expect("barrier 2")
	for id := range uint64(2) {
		if got := len(counts(t, f, h.ack(id+1))); got != 3000 {
			t.Errorf("checkpoint %d holds %d keys, want 3000", id+1, got)
		}
	}
	h.task.Close()
	if end, err := h.ended(); end != finished {
		t.Errorf("ended as %v: %v", end, err)
	}
}

// Goal: an abort ends an upload that the task goroutine itself waits for, since the next
// barrier has come, and one whose letter comes just behind the start of its checkpoint.
// Method: uploads that end by abort only; checkpoint 1 is aborted from within Snapshot, 2
// when the barrier of 3 has been read.
func TestAbortOfUploadInTheWay(t *testing.T) {
	f := newFixture(t, 0)
	f.register(t, "tally", factory(newTally))
	tail := hooks{}
	f.register(t, "tail", hookedOf(&tail))
	h := newHarness(t, f, "tally", "tail")
	f.store.before = func(ctx context.Context, checkpoint uint64) error {
		if checkpoint == 3 {
			return nil
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}
	tail.snapshot = func() error {
		tail.snapshot = nil
		h.task.CheckpointAborted(1, "test")
		return nil
	}
	h.run()
	h.fill()
	for id := range uint64(2) {
		h.barrier(0, id+1)
		h.barrier(1, id+1)
		h.expect(fmt.Sprintf("barrier %d", id+1))
	}
	h.barrier(0, 3)
	// The last of these finds room only after the barrier has been read, and from then on
	// the task reads no letter until the upload has ended.
	for i := range 4 + gate.Depth {
		if i == 3 {
			h.barrier(1, 3)
		} else {
			h.status(1, false)
		}
	}
	h.task.CheckpointAborted(2, "test")
	h.expect("barrier 3")
	if got := len(counts(t, f, h.ack(3))); got != 3000 {
		t.Errorf("checkpoint 3 holds %d keys, want 3000", got)
	}
	h.task.Close()
	if end, err := h.ended(); end != finished {
		t.Errorf("ended as %v: %v", end, err)
	}
	if f.listener.mu.acks[1] != nil || f.listener.mu.acks[2] != nil {
		t.Error("an aborted checkpoint was acknowledged")
	}
}

// Goal: what is confirmed is not written again, unless all is asked for. Method: the row table
// under three checkpoints with one change in between.
func TestDeltas(t *testing.T) {
	f := newFixture(t, 0)
	f.backend = table.Factory{}
	f.register(t, "tally", factory(newTally))
	h := newHarness(t, f, "tally")
	h.run()
	h.fill()
	var written []int64
	for id := uint64(1); id <= 3; id++ {
		h.send(0, 10)
		h.expect("0/10")
		for _, link := range h.in {
			link.Broadcast(record.Element{Kind: record.KindBarrier,
				Barrier: record.Barrier{Checkpoint: id, Full: id == 3}})
		}
		h.expect(fmt.Sprintf("barrier %d", id))
		ack := h.ack(id)
		written = append(written, ack.StateBytes)
		if got := counts(t, f, ack)[10]; got != 1+id {
			t.Errorf("checkpoint %d counts %d of key 10, want %d", id, got, 1+id)
		}
		h.task.CheckpointComplete(id)
	}
	if written[1] > written[0]/4 || written[2] < written[0]/2 {
		t.Errorf("wrote %v bytes, want all, little, all", written)
	}
	h.task.Close()
	if end, err := h.ended(); end != finished {
		t.Errorf("ended as %v: %v", end, err)
	}
}

// Goal: a cancel ends a task whose checkpoint is being copied or uploaded, and releases its
// image. Method: hold one of them for ever.
func TestCancelWhileWriting(t *testing.T) {
	for name, hold := range map[string]func(*stepwise, *store){
		"copying": func(s *stepwise, _ *store) { s.hold.Store(true) },
		"uploading": func(_ *stepwise, s *store) {
			s.before = func(ctx context.Context, _ uint64) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, 0)
			state := newStepwise()
			f.backend = state
			f.register(t, "tally", factory(newTally))
			h := newHarness(t, f, "tally")
			hold(state, f.store)
			h.run()
			h.fill()
			h.barrier(0, 1)
			h.barrier(1, 1)
			h.expect("barrier 1")
			h.task.Cancel()
			if end, err := h.ended(); end != canceled || err != nil {
				t.Errorf("ended as %v: %v", end, err)
			}
			if n := state.live.Load(); n != 0 {
				t.Errorf("%d images are not released", n)
			}
			if f.listener.mu.acks[1] != nil || f.listener.mu.declines[1] != nil {
				t.Error("a cancelled task answered for its checkpoint")
			}
		})
	}
}

var _ task.Store = (*store)(nil)
