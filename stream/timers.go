package stream

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
)

// TimeDomain says whose time a timer follows.
//
// Semantics: Flink's TimeDomain.
type TimeDomain uint8

const (
	// DomainEventTime is the time of the records: timers are fired by watermarks.
	DomainEventTime TimeDomain = iota
	// DomainProcessingTime is the time of the machine: timers are fired by the clock.
	DomainProcessingTime
	timeDomains
)

// String returns "event time" or "processing time".
func (d TimeDomain) String() string {
	if d == DomainProcessingTime {
		return "processing time"
	}
	return "event time"
}

// How many timers of one timestamp are fired together: at most, and where timers go on
// registering earlier ones, for which the others have to be put back.
const (
	mostTimersAtOnce  = 1024
	leastTimersAtOnce = 4
)

// timerHandler is what an operator does with timers that are due.
type timerHandler interface {
	// beginTimers gets some timers that are due, all with one timestamp, in firing order. It is
	// where rows are resolved. due stays as it is until endTimers.
	beginTimers(domain TimeDomain, due *backend.Due) error
	// onTimer fires the i-th of them. i ascends; a timer deleted by one before is left out, and
	// those after one that registered a timer with an earlier timestamp come in a later batch.
	onTimer(i int) error
	// endTimers comes after the last of them, unless there was an error.
	endTimers() error
}

// keyedTimers are the timers of one keyed operator, by key and namespace, in both domains of
// time. Task goroutine only.
//
// The operator calls declareTimers in its factory after it has declared its row table, open
// when it is opened, advance with every watermark before it passes it on, alarm from
// operator.Alarm.
//
// Semantics: Flink's InternalTimerServiceImpl. A timer registered late, at or before the
// watermark, is fired by the next watermark. Timers registered by a timer that are due
// themselves are fired in the same go. As in Flink, a timer of processing time is due when
// the clock is past its timestamp, so that no record can come in its millisecond any more.
type keyedTimers struct {
	env      *operator.Env
	layout   backend.TimerLayout
	tables   [timeDomains]backend.TableID
	services [timeDomains]backend.Timers
	handler  timerHandler

	wake   int64 // the wish made last that has not come true, as time of the clock
	limit  int   // of the next batch
	due    backend.Due
	firing firing
}

// firing is where keyedTimers are in a batch of timers that are due.
type firing struct {
	active  bool
	domain  TimeDomain
	at      int    // the timer being fired; -1 before the first
	deleted []bool // by number, when some are
	some    bool   // some are deleted
	earlier bool   // a timer with an earlier timestamp was registered
}

// declareTimers declares the timer services of an operator.
func declareTimers(
	env *operator.Env, layout backend.TimerLayout, handler timerHandler,
) (*keyedTimers, error) {
	t := &keyedTimers{env: env, layout: layout, handler: handler, wake: math.MaxInt64,
		limit: mostTimersAtOnce}
	for domain := range timeDomains {
		id, err := env.Keyed.DeclareTimers(layout)
		if err != nil {
			return nil, err
		}
		t.tables[domain] = id
		if t.services[domain], err = env.Keyed.Timers(id); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// timerDescriptors describe the timer services of an operator whose first number behind its
// row table and collections is table.
func timerDescriptors(
	keySchema string, table, namespaceWords int,
) []*protocol.StateDescriptor {
	var out []*protocol.StateDescriptor
	for i, name := range []string{"timers/event-time", "timers/processing-time"} {
		out = append(out, &protocol.StateDescriptor{
			Name: name, Kind: "timers", KeySchema: keySchema, HashId: 1,
			Table: uint32(table + i), NamespaceWords: uint32(namespaceWords),
		})
	}
	return out
}

// open arms the clock for restored timers: those overdue fire at once.
func (t *keyedTimers) open() { t.arm(math.MinInt64) }

// arm wishes to be woken for the first timer of processing time, after now.
func (t *keyedTimers) arm(now int64) {
	first, ok := t.services[DomainProcessingTime].Earliest()
	if ok {
		t.wish(max(first, now))
	}
}

// wish asks to be woken when the clock is past ts.
func (t *keyedTimers) wish(ts int64) {
	if ts < math.MaxInt64 && ts+1 < t.wake {
		t.wake = ts + 1
		t.env.WakeAt(t.wake)
	}
}

// register adds a timer. One that exists already stays as it is.
func (t *keyedTimers) register(domain TimeDomain, timer *backend.Timer) error {
	if f := &t.firing; f.active && f.domain == domain {
		if i := t.taken(timer); i >= 0 {
			if f.some {
				f.deleted[i] = false
			}
			return nil
		}
		if timer.Timestamp < t.due.Timestamp {
			f.earlier = true
		}
	}
	if err := t.services[domain].Register(timer); err != nil {
		return err
	}
	if domain == DomainProcessingTime {
		t.wish(timer.Timestamp)
	}
	return nil
}

// delete removes a timer. One that does not exist is no error.
func (t *keyedTimers) delete(domain TimeDomain, timer *backend.Timer) {
	if f := &t.firing; f.active && f.domain == domain {
		if i := t.taken(timer); i >= 0 {
			if !f.some {
				f.some = true
				f.deleted = append(f.deleted[:0], make([]bool, len(t.due.Hashes))...)
			}
			f.deleted[i] = true
			return
		}
	}
	t.services[domain].Delete(timer)
}

// taken returns which timer of the batch being fired, after the one that is, is timer; -1
// when none is.
func (t *keyedTimers) taken(timer *backend.Timer) int {
	if timer.Timestamp != t.due.Timestamp {
		return -1
	}
	low, high := t.firing.at+1, len(t.due.Hashes)
	for low < high {
		middle := int(uint(low+high) / 2)
		switch c := t.compare(middle, timer); {
		case c == 0:
			return middle
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return -1
}

// compare says how the i-th timer that is due lies to another of its timestamp in firing
// order.
func (t *keyedTimers) compare(i int, timer *backend.Timer) int {
	if words := t.layout.KeyWords; words == 0 {
		if c := bytes.Compare(t.due.Bytes[i], timer.Bytes); c != 0 {
			return c
		}
	} else {
		for j, word := range t.due.Words[i*words : (i+1)*words] {
			c := cmp.Compare(bits.ReverseBytes64(word), bits.ReverseBytes64(timer.Words[j]))
			if c != 0 {
				return c
			}
		}
	}
	words := t.layout.NamespaceWords
	for j, word := range t.due.Namespaces[i*words : (i+1)*words] {
		if c := cmp.Compare(word, timer.Namespace[j]); c != 0 {
			return c
		}
	}
	return 0
}

// advance fires the timers of event time up to a watermark.
func (t *keyedTimers) advance(watermark eventtime.Timestamp) error {
	return t.fire(DomainEventTime, int64(watermark))
}

// alarm fires the timers of processing time that the clock has passed.
func (t *keyedTimers) alarm(now int64) error {
	t.wake = math.MaxInt64
	if now == math.MinInt64 {
		return nil
	}
	if err := t.fire(DomainProcessingTime, now-1); err != nil {
		return err
	}
	t.arm(now)
	return nil
}

// fire takes timers up to a time out of their service, batch by batch.
func (t *keyedTimers) fire(domain TimeDomain, until int64) error {
	for t.services[domain].Take(until, t.limit, &t.due) {
		t.firing.active, t.firing.domain, t.firing.at = true, domain, -1
		t.firing.some, t.firing.earlier = false, false
		err := t.fireBatch(domain)
		t.firing.active = false
		if t.firing.earlier {
			t.limit = max(t.limit/2, leastTimersAtOnce)
		} else {
			t.limit = min(t.limit*2, mostTimersAtOnce)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fireBatch fires what was taken, in order.
func (t *keyedTimers) fireBatch(domain TimeDomain) error {
	if err := t.handler.beginTimers(domain, &t.due); err != nil {
		return err
	}
	f := &t.firing
	for i := range t.due.Hashes {
		if f.some && f.deleted[i] {
			continue
		}
		f.at = i
		if err := t.handler.onTimer(i); err != nil {
			return err
		}
		if t.env.Failure.Failed() {
			break
		}
		if f.earlier {
			if err := t.putBack(domain, i+1); err != nil {
				return err
			}
			break
		}
	}
	if err := t.handler.endTimers(); err != nil {
		return err
	}
	return t.env.Failure.Err()
}

// putBack registers the timers of the batch from the i-th on again: an earlier one comes
// first.
func (t *keyedTimers) putBack(domain TimeDomain, i int) error {
	for ; i < len(t.due.Hashes); i++ {
		if t.firing.some && t.firing.deleted[i] {
			continue
		}
		timer := t.dueTimer(i)
		if err := t.services[domain].Register(&timer); err != nil {
			return err
		}
	}
	return nil
}

// dueTimer returns the i-th timer of the batch being fired.
func (t *keyedTimers) dueTimer(i int) backend.Timer {
	timer := backend.Timer{Timestamp: t.due.Timestamp, Hash: t.due.Hashes[i]}
	if words := t.layout.KeyWords; words == 0 {
		timer.Bytes = t.due.Bytes[i]
	} else {
		copy(timer.Words[:], t.due.Words[i*words:(i+1)*words])
	}
	words := t.layout.NamespaceWords
	copy(timer.Namespace[:], t.due.Namespaces[i*words:(i+1)*words])
	return timer
}
