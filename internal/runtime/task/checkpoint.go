package task

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/barrier"
	"github.com/leat-io/leat/internal/runtime/mailbox"
	"github.com/leat-io/leat/state/backend"
)

// copyBytes is how much state is copied between two batches and in an idle slice: well below
// a millisecond.
const copyBytes = 256 << 10

// writing is a checkpoint whose barrier has left the task and whose keyed state is being
// copied, then written.
//
//  1. copying: the task goroutine calls Step between batches; an abort releases at once;
//  2. copied: a goroutine of the group writes the parts and acknowledges; an abort ends its
//     context;
//  3. written, whether it succeeded or not: done is closed, and a letter releases the image.
type writing struct {
	checkpoint uint64
	savepoint  *record.Savepoint // nil for a checkpoint
	snapshot   backend.Snapshot
	ack        *protocol.AckCheckpoint
	keyed      *protocol.OperatorSubtaskState // of the head, in ack
	asyncFrom  int64                          // clock.Monotonic
	copied     bool
	ctx        context.Context // ended by an abort
	cancel     context.CancelFunc
	done       chan struct{}
}

// aborts lets any goroutine end the writing of a checkpoint, also while the task goroutine
// waits for it.
type aborts struct {
	mu struct {
		sync.Mutex
		checkpoint uint64
		cancel     context.CancelFunc
	}
}

func (a *aborts) watch(checkpoint uint64, cancel context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.checkpoint, a.mu.cancel = checkpoint, cancel
}

func (a *aborts) abort(checkpoint uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.checkpoint == checkpoint && a.mu.cancel != nil {
		a.mu.cancel()
	}
}

// onBarrier takes a barrier that came on a link, or by letter for a source.
func (t *Task) onBarrier(link int, b record.Barrier) error {
	before, _ := t.aligner.Current()
	effects := t.aligner.OnBarrier(link, b)
	if now, _ := t.aligner.Current(); now != before {
		t.alignStart = clock.Monotonic()
	}
	return t.apply(effects)
}

func (t *Task) apply(effects []barrier.Effect) error {
	for _, e := range effects {
		switch e.Kind {
		case barrier.Block:
			t.gate.Block(e.Link)
		case barrier.Unblock:
			t.gate.Unblock()
		case barrier.Start:
			if err := t.start(e.Barrier); err != nil {
				return fmt.Errorf("start checkpoint %d: %w", e.Barrier.Checkpoint, err)
			}
		case barrier.Aborted:
			if e.By != 0 {
				err := fmt.Errorf("checkpoint %d came before the barriers were aligned", e.By)
				t.config.Listener.Decline(t.id, e.Checkpoint, err)
			}
		}
	}
	return nil
}

// start takes the task's part of a checkpoint: all barriers have come.
func (t *Task) start(b record.Barrier) error {
	aligned := clock.Monotonic()
	if err := t.finishWriting(); err != nil {
		return err
	}
	if b.Stops() {
		t.suspended = b.Checkpoint
	}
	ack := &protocol.AckCheckpoint{
		Task: t.id, CheckpointId: b.Checkpoint,
		AlignmentMicros: (aligned - t.alignStart) / 1e3,
	}
	syncFrom := clock.Monotonic()
	if err := t.snapshotOperators(b, ack); err != nil {
		return err
	}
	var image backend.Snapshot
	if c := &t.chain; c.keyed != nil {
		full := b.Full || b.Savepoint != nil || c.lists.WantFull(c.keyed.MemoryBytes())
		var err error
		if image, err = c.keyed.Begin(b.Checkpoint, full); err != nil {
			return err
		}
		t.begin(b, image, ack)
	}
	syncTo := clock.Monotonic()
	ack.SyncMicros = (syncTo - syncFrom) / 1e3
	t.chain.outputs.send(record.Element{Kind: record.KindBarrier, Barrier: b})
	if err := t.failure.Err(); err != nil {
		return err
	}
	if image == nil {
		t.config.Listener.Acknowledge(ack)
		return nil
	}
	t.ongoing.asyncFrom = syncTo
	return nil
}

// snapshotOperators collects the parts of the operators in chain order: what one emits, the
// next has seen before its own turn.
func (t *Task) snapshotOperators(b record.Barrier, ack *protocol.AckCheckpoint) error {
	for i := range t.chain.links {
		l := &t.chain.links[i]
		if l.operator == nil {
			continue
		}
		state, err := l.operator.Snapshot(t.ctx, b)
		if err == nil {
			err = t.failure.Err()
		}
		if err != nil {
			// What the operator prepared is lost to it; only a restart gets it back.
			return fmt.Errorf("snapshot operator %q: %w", l.name, err)
		}
		for _, c := range state.Committables {
			ack.StateBytes += int64(len(c.Data))
		}
		if len(state.Committables) > 0 {
			l.prepared = append(l.prepared, prepared{b.Checkpoint, state.Committables})
		}
		part := &protocol.OperatorSubtaskState{Subtask: t.id.Subtask, List: state.List}
		for _, p := range l.prepared {
			part.Committables = append(part.Committables, p.committables...)
		}
		ack.Operators = append(ack.Operators, &protocol.AckOperator{Uid: l.uid, State: part})
	}
	return nil
}

// begin makes image the one being copied.
func (t *Task) begin(b record.Barrier, image backend.Snapshot, ack *protocol.AckCheckpoint) {
	w := &writing{
		checkpoint: b.Checkpoint, savepoint: b.Savepoint, snapshot: image, ack: ack,
		keyed: ack.Operators[0].State, done: make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(t.group.Context())
	t.aborts.watch(b.Checkpoint, w.cancel)
	t.ongoing = w
}

// copySlice copies one slice of the image, when one is being copied.
func (t *Task) copySlice() error {
	w := t.ongoing
	if w == nil || w.copied {
		return nil
	}
	done, err := w.snapshot.Step(copyBytes)
	if err != nil {
		return fmt.Errorf("copy state for checkpoint %d: %w", w.checkpoint, err)
	}
	if !done {
		return nil
	}
	w.copied = true
	parts, panes := w.snapshot.Parts(), w.snapshot.Panes()
	t.group.Go(fmt.Sprintf("write checkpoint %d", w.checkpoint),
		func(context.Context) error {
			defer close(w.done)
			t.write(w, parts, panes)
			return nil
		})
	return nil
}

// finishWriting makes room for the next checkpoint: there is one image at a time. The
// coordinator does not normally let a barrier come that early.
func (t *Task) finishWriting() error {
	for t.ongoing != nil && !t.ongoing.copied {
		if t.ongoing.ctx.Err() != nil {
			break // Aborted: the letter is on its way.
		}
		if err := t.copySlice(); err != nil {
			return err
		}
	}
	if t.ongoing != nil && t.ongoing.copied {
		// An abort and the end of the task end the writing too.
		<-t.ongoing.done
	}
	t.release()
	return nil
}

// release frees the image of the ongoing checkpoint, which nobody reads any more.
func (t *Task) release() {
	if w := t.ongoing; w != nil {
		w.cancel()
		w.snapshot.Release()
		t.ongoing = nil
	}
}

// write runs beside the task goroutine.
func (t *Task) write(w *writing, parts []backend.Part, panes []backend.PaneID) {
	err := protect(func() error {
		up := uploader{
			store: t.config.Store, checkpoint: w.checkpoint, savepoint: w.savepoint, task: t.id,
		}
		write := t.chain.lists.Write
		if w.savepoint != nil {
			write = t.chain.lists.WriteSavepoint // nothing builds on it
		}
		keyed, stats, err := write(w.ctx, parts, panes, w.checkpoint, up)
		if err != nil {
			return err
		}
		w.keyed.Keyed = keyed
		w.ack.StateBytes += stats.UploadedBytes + stats.InlineBytes + stats.MergedBytes
		return nil
	})
	aborted := w.ctx.Err() != nil // To be asked first: the letter ends the context.
	// Posted before the acknowledgement, so that the image is free when the next barrier can
	// come.
	t.mail.Post(mailbox.Letter{
		Name: fmt.Sprintf("release checkpoint %d", w.checkpoint),
		Run: func() error {
			if t.ongoing == w {
				t.release()
			}
			return nil
		},
	})
	switch {
	case aborted:
		t.chain.lists.Abort(w.checkpoint)
	case err != nil:
		t.logger.Warn("writing a checkpoint failed",
			slog.Uint64("checkpoint_id", w.checkpoint), slog.Any("error", err))
		t.config.Listener.Decline(t.id, w.checkpoint, err)
	default:
		w.ack.AsyncMicros = (clock.Monotonic() - w.asyncFrom) / 1e3
		t.config.Listener.Acknowledge(w.ack)
	}
}

// onAbort takes the letter that a checkpoint will not complete.
func (t *Task) onAbort(checkpoint uint64) error {
	if w := t.ongoing; w != nil && w.checkpoint == checkpoint {
		w.cancel()
		if !w.copied {
			t.release()
		}
	}
	if t.chain.lists != nil {
		t.chain.lists.Abort(checkpoint)
	}
	if t.suspended == checkpoint {
		t.suspended = 0
	}
	return t.apply(t.aligner.OnAbort(checkpoint))
}

// onComplete takes the letter that a checkpoint, and with it all earlier ones, is durable.
func (t *Task) onComplete(checkpoint uint64) error {
	if checkpoint <= t.completed {
		return nil
	}
	t.completed = checkpoint
	if c := &t.chain; c.lists != nil && c.lists.Confirm(checkpoint) {
		c.keyed.Confirm(checkpoint)
		t.wakeMerges()
	}
	for i := range t.chain.links {
		l := &t.chain.links[i]
		if l.operator == nil {
			continue
		}
		for len(l.prepared) > 0 && l.prepared[0].checkpoint <= checkpoint {
			l.prepared = l.prepared[1:]
		}
		if err := l.operator.CheckpointComplete(checkpoint); err != nil {
			return fmt.Errorf("operator %q: %w", l.name, err)
		}
	}
	return t.failure.Err()
}

// uploader turns the store of the task into what run lists write to.
type uploader struct {
	store      Store
	checkpoint uint64
	savepoint  *record.Savepoint // nil for a checkpoint
	task       *protocol.TaskID
}

// Upload stores one object.
func (u uploader) Upload(
	ctx context.Context, _ string, write func(io.Writer) error,
) (string, int64, error) {
	if u.savepoint != nil {
		return u.store.UploadSavepoint(ctx, u.savepoint.Directory, u.checkpoint, u.task, write)
	}
	return u.store.Upload(ctx, u.checkpoint, u.task, write)
}
