package coordinator

import (
	"time"

	"github.com/leat-io/leat/internal/protocol"
)

// policy decides when the next checkpoint is triggered, and which.
type policy struct {
	nextID   uint64
	periodic time.Time // when the next periodic one is due, zero = never
	// earliest is before when no periodic one may come: the minimum pause.
	earliest time.Time
	// requested is the kind of checkpoint asked for, KindPeriodic for none.
	requested Kind
	notBefore time.Time // of the requested one
}

func (p *policy) begin(now time.Time, o Options) {
	if o.Interval > 0 {
		p.periodic = now.Add(o.Interval)
	}
}

// end forgets what belonged to the attempt. A stop that was asked for stays: the next
// attempt is to stop too.
func (p *policy) end() {
	p.periodic, p.notBefore = time.Time{}, time.Time{}
	if p.requested == KindFinal {
		p.requested = KindPeriodic
	}
}

// request asks for a checkpoint as soon as none is in progress. A final one replaces one to
// stop: the job is about to finish by itself.
func (p *policy) request(k Kind) {
	switch {
	case k == KindPeriodic:
		p.earliest, p.periodic = time.Time{}, longAgo
	case p.requested != KindFinal:
		p.requested, p.notBefore = k, time.Time{}
	}
}

// longAgo is always past, and not zero.
var longAgo = time.Unix(0, 0)

func (p *policy) retry(k Kind, at time.Time) {
	if p.requested == KindPeriodic {
		p.requested = k
	}
	p.notBefore = at
}

func (p *policy) completed(now time.Time, o Options) { p.earliest = now.Add(o.MinPause) }

// due is when the next trigger is due, zero when none is.
func (p *policy) due() time.Time {
	if p.requested != KindPeriodic {
		return p.notBefore
	}
	if p.periodic.IsZero() || !p.earliest.After(p.periodic) {
		return p.periodic
	}
	return p.earliest
}

// trigger begins a checkpoint when one is due and none is in progress.
func (c *Coordinator) trigger(now time.Time) []Effect {
	p := &c.policy
	if !c.running || c.pending != nil || !c.Settled() || c.fenced {
		return nil
	}
	kind := p.requested
	due := p.due()
	if kind == KindPeriodic && due.IsZero() || now.Before(due) {
		return nil
	}
	if kind == KindPeriodic {
		if p.periodic = (time.Time{}); c.options.Interval > 0 {
			p.periodic = now.Add(c.options.Interval)
		}
	} else {
		p.requested, p.periodic = KindPeriodic, time.Time{}
	}
	id := p.nextID
	p.nextID++
	c.pending = &pending{
		id: id, kind: kind, millis: now.UnixMilli(), deadline: now.Add(c.options.Timeout),
		acks: make([]*protocol.AckCheckpoint, len(c.tasks)), missing: len(c.tasks),
	}
	return []Effect{Trigger{
		ID: id, Kind: kind, Millis: c.pending.millis, Full: c.options.Full && !c.completedAny,
	}}
}
