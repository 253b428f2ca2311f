package coordinator

import (
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// acknowledge takes the part of one task. Acknowledgements of other checkpoints than the
// pending one, repeated ones, and those of unknown tasks mean nothing.
func (c *Coordinator) acknowledge(now time.Time, ack *protocol.AckCheckpoint) []Effect {
	p := c.pending
	if p == nil || ack.CheckpointId != p.id {
		return nil
	}
	if !now.Before(p.deadline) {
		return nil // The same step lets it expire.
	}
	i := slices.Index(c.tasks, graph.IDOf(ack.Task))
	if i < 0 || p.acks[i] != nil {
		return nil
	}
	p.acks[i] = ack
	if p.missing--; p.missing > 0 {
		return nil
	}
	c.pending, c.publishing, c.kind, c.request = nil, p.id, p.kind, p.request
	return []Effect{Publish{
		ID: p.id, Kind: p.kind, TriggerMillis: p.millis, Acks: p.acks, Request: p.request,
	}}
}

func (c *Coordinator) expire(now time.Time) []Effect {
	p := c.pending
	if p == nil || now.Before(p.deadline) {
		return nil
	}
	return c.abort(now, fmt.Sprintf("%d of %d tasks did not acknowledge within %v",
		p.missing, len(c.tasks), c.options.Timeout))
}

// abort gives up the pending checkpoint.
func (c *Coordinator) abort(now time.Time, reason string) []Effect {
	p := c.pending
	c.pending, c.request = nil, p.request
	effects := []Effect{NotifyAborted{ID: p.id, Reason: reason}}
	effects = append(effects, answer(p.request, p.id, reason)...)
	return append(effects, c.failed(now, p.id, p.kind, reason)...)
}

func reasonDeclined(in Decline) string {
	return fmt.Sprintf("declined by task %s: %s", in.Task, in.Reason)
}
