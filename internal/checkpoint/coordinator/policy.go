package coordinator

import (
	"fmt"
	"slices"
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

	queue     []Request // in the order of trigger
	savepoint time.Time // when the next savepoint of the schedule is due, zero = never
}

// maxQueue bounds the requests that wait, as in Flink.
const maxQueue = 1000

// enqueue lets a request wait for its turn: savepoints before checkpoints, else as they came.
func (c *Coordinator) enqueue(r Request) []Effect {
	p := &c.policy
	if len(p.queue) >= maxQueue {
		return answer(r, 0, fmt.Sprintf("%d requests are waiting already", maxQueue))
	}
	at := len(p.queue)
	for r.Kind.IsSavepoint() && at > 0 && !p.queue[at-1].Kind.IsSavepoint() {
		at--
	}
	p.queue = slices.Insert(p.queue, at, r)
	return nil
}

func (p *policy) forget(request uint64) {
	p.queue = slices.DeleteFunc(p.queue, func(r Request) bool { return r.ID == request })
}

// schedule queues the savepoint of the schedule when it is due. One that is late because the
// one before still waits is left out.
func (p *policy) schedule(now time.Time, o Options) {
	if p.savepoint.IsZero() || now.Before(p.savepoint) {
		return
	}
	p.savepoint = now.Add(o.SavepointInterval)
	if slices.ContainsFunc(p.queue, func(r Request) bool { return r.ID == 0 }) {
		return
	}
	p.queue = slices.Insert(p.queue, 0,
		Request{Kind: KindSavepoint, Full: true, Directory: o.SavepointDirectory})
}

func (p *policy) begin(now time.Time, o Options) {
	if o.Interval > 0 {
		p.periodic = now.Add(o.Interval)
	}
	// A restart must not put savepoints off for ever.
	if o.SavepointInterval > 0 && p.savepoint.IsZero() {
		p.savepoint = now.Add(o.SavepointInterval)
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
	due := p.dueCheckpoint()
	if due.IsZero() || !p.savepoint.IsZero() && p.savepoint.Before(due) {
		return p.savepoint
	}
	return due
}

func (p *policy) dueCheckpoint() time.Time {
	if p.requested != KindPeriodic {
		return p.notBefore
	}
	if p.periodic.IsZero() || !p.earliest.After(p.periodic) {
		return p.periodic
	}
	return p.earliest
}

// trigger begins a checkpoint when one is due and none is in progress: savepoints first, then
// a final or stop checkpoint, then those asked for, then periodic ones.
func (c *Coordinator) trigger(now time.Time) []Effect {
	p := &c.policy
	if !c.running || c.fenced {
		return nil
	}
	p.schedule(now, c.options)
	if c.pending != nil || !c.Settled() {
		return nil
	}
	kind, request := p.requested, Request{}
	due := p.dueCheckpoint()
	switch {
	case len(p.queue) > 0 && (kind == KindPeriodic || p.queue[0].Kind.IsSavepoint()):
		request = p.queue[0]
		kind, p.queue = request.Kind, p.queue[1:]
	case kind == KindPeriodic && due.IsZero() || now.Before(due):
		return nil
	case kind != KindPeriodic:
		p.requested, p.periodic = KindPeriodic, time.Time{}
	}
	if kind == KindPeriodic {
		if p.periodic = (time.Time{}); c.options.Interval > 0 {
			p.periodic = now.Add(c.options.Interval)
		}
	}
	id := p.nextID
	p.nextID++
	c.pending = &pending{
		id: id, kind: kind, request: request, millis: now.UnixMilli(),
		deadline: now.Add(c.options.Timeout),
		acks:     make([]*protocol.AckCheckpoint, len(c.tasks)), missing: len(c.tasks),
	}
	return []Effect{Trigger{
		ID: id, Kind: kind, Millis: c.pending.millis, Request: request,
		Full: c.full || request.Full || kind.IsSavepoint(),
	}}
}
