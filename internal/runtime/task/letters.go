package task

import (
	"fmt"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/mailbox"
)

// post adds a letter. After the end of the task nobody reads it, which is no error: the role
// that sent it learns of the end from the Listener.
func (t *Task) post(name string, run func() error) {
	t.mail.Post(mailbox.Letter{Name: name, Run: run})
}

// TriggerCheckpoint lets a barrier into the chain of a source, between two polls, also after
// end of data. A task with input ignores it: its barriers come in band. Safe for concurrent
// use.
func (t *Task) TriggerCheckpoint(b record.Barrier) {
	t.post(fmt.Sprintf("trigger checkpoint %d", b.Checkpoint), func() error {
		if t.gate != nil {
			return nil
		}
		if b.Stops() && b.Savepoint.Drain && !t.ended {
			t.chain.source.Watermark(eventtime.Max)
			if err := t.endOfData(t.chain.source); err != nil {
				return err
			}
		}
		return t.onBarrier(0, b)
	})
}

// CheckpointComplete says that a checkpoint, and with it all earlier ones, is durable. Safe
// for concurrent use.
func (t *Task) CheckpointComplete(checkpoint uint64) {
	t.post(fmt.Sprintf("complete checkpoint %d", checkpoint), func() error {
		return t.onComplete(checkpoint)
	})
}

// CheckpointAborted says that a checkpoint will not complete, for a reason that goes to the
// log. It may come before the barrier, which is then ignored. Safe for concurrent use.
func (t *Task) CheckpointAborted(checkpoint uint64, reason string) {
	t.aborts.abort(checkpoint)
	t.post(fmt.Sprintf("abort checkpoint %d", checkpoint), func() error {
		t.logger.Debug("checkpoint aborted", "checkpoint_id", checkpoint, "reason", reason)
		return t.onAbort(checkpoint)
	})
}

// AssignSplits gives splits to the source of the task; noMore says that no further ones will
// come. Safe for concurrent use.
func (t *Task) AssignSplits(uid string, splits []*protocol.Split, noMore bool) {
	t.post("assign splits", func() error {
		source := t.chain.source
		if source == nil || t.chain.links[0].uid != uid {
			return fault.Internal(fmt.Errorf("no source %q in this task", uid))
		}
		if len(splits) > 0 {
			taken := make([]connector.Split, len(splits))
			for i, s := range splits {
				taken[i] = connector.Split{ID: s.Id, Version: s.Version, Data: s.Data}
			}
			if err := source.AddSplits(taken); err != nil {
				return err
			}
		}
		if noMore {
			return source.NoMoreSplits()
		}
		return nil
	})
}

// Close ends the task with FINISHED, after the final checkpoint. Safe for concurrent use.
func (t *Task) Close() {
	t.post("close", func() error {
		t.closing = true
		return nil
	})
}

// Cancel ends the task with CANCELED, also while it waits for room in a channel; user code
// sees the end of its context. Safe for concurrent use, before and after Run too.
func (t *Task) Cancel() { t.cancel(errCancelled) }
