package stream

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// TimerFunction is implemented by a KeyedProcessFunction that uses timers.
//
// Semantics: KeyedProcessFunction.onTimer of Flink.
type TimerFunction[K, R any] interface {
	// OnTimer handles a timer that is due. State handles speak of the timer's key. What it
	// collects has the timer's timestamp in event time, no timestamp in processing time.
	OnTimer(ctx *TimerContext[K], out Collector[R]) error
}

// TimerContext tells a function about the timer it handles: Key, Timestamp and the rest of
// Context are those of the timer. It is valid during the call.
type TimerContext[K any] struct {
	Context[K]
	domain TimeDomain
}

// TimeDomain says whether the timer is one of event time or of processing time.
func (c *TimerContext[K]) TimeDomain() TimeDomain { return c.domain }

// TimerService registers and deletes timers for the key of the record or timer being handled.
// There is one timer for a key, domain and timestamp, however often it is registered: rounding
// timestamps, to seconds for example, spares timers. Timers are part of the state. A key needs
// no other state to have timers.
//
// Timers of event time are fired in the order of their timestamps when the watermark reaches
// them, before it goes on; one registered at or behind the watermark, by the next watermark.
// At the end of the input the watermark is eventtime.Max: all are fired, also those that
// timers register then, so a timer that always registers a later one must look at Watermark.
// Timers of processing time are fired when the clock is past them, those missed while the job
// did not run right after it was restored; what is pending at the end of the input is not
// fired any more.
//
// Semantics: Flink's TimerService.
type TimerService struct {
	timers    *keyedTimers // nil when the function has no OnTimer
	env       *operator.Env
	watermark *inputWatermark
	keys      backend.Keys // of the records or timers being handled
	at        int          // the one being handled
	timer     backend.Timer
	err       error
}

// CurrentProcessingTime returns the time of the machine, in milliseconds.
func (s *TimerService) CurrentProcessingTime() eventtime.Timestamp {
	return eventtime.FromTime(s.env.Clock.Now())
}

// CurrentWatermark returns the current watermark, eventtime.None before the first.
func (s *TimerService) CurrentWatermark() eventtime.Timestamp { return s.watermark.current }

// RegisterEventTime makes OnTimer be called when the watermark reaches ts.
func (s *TimerService) RegisterEventTime(ts eventtime.Timestamp) {
	s.register(DomainEventTime, ts)
}

// RegisterProcessingTime makes OnTimer be called when the clock of the machine is past ts.
func (s *TimerService) RegisterProcessingTime(ts eventtime.Timestamp) {
	s.register(DomainProcessingTime, ts)
}

// DeleteEventTime removes the timer of event time at ts, if there is one.
func (s *TimerService) DeleteEventTime(ts eventtime.Timestamp) {
	s.delete(DomainEventTime, ts)
}

// DeleteProcessingTime removes the timer of processing time at ts, if there is one.
func (s *TimerService) DeleteProcessingTime(ts eventtime.Timestamp) {
	s.delete(DomainProcessingTime, ts)
}

// A failure of a timer ends the batch, as one of a state does.
func (s *TimerService) register(domain TimeDomain, ts eventtime.Timestamp) {
	if !s.point(ts) {
		return
	}
	if domain == DomainEventTime && ts > eventtime.None && ts < eventtime.None+aeon {
		if s.err == nil {
			s.err = userFault(s.env, errNoEventTime) // something was added to no time
		}
		return
	}
	err := s.timers.register(domain, &s.timer)
	err = declared.Oversized(err, "key of a record", len(s.timer.Bytes), backend.MaxKeyBytes,
		"key the stream by something shorter, such as a hash of it")
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("operator %q: %w", s.env.Name, err)
	}
}

// aeon is thirty thousand years: timestamps this close to none were reckoned from none.
const aeon = 1_000_000_000_000_000

func (s *TimerService) delete(domain TimeDomain, ts eventtime.Timestamp) {
	if s.point(ts) {
		s.timers.delete(domain, &s.timer)
	}
}

// errNoTimerKey is what using a timer outside of the handling of a record ends in.
var errNoTimerKey = errors.New("a timer is used while there is no current key: use it in the " +
	"call that handles a record or timer of a key, not in ProcessBroadcast, Snapshot or Close, " +
	"and not from another goroutine")

// point makes s.timer the timer of the current key at ts.
func (s *TimerService) point(ts eventtime.Timestamp) bool {
	if s.timers == nil {
		if s.err == nil {
			s.err = userFault(s.env, fmt.Errorf("it uses a timer and has no method OnTimer: "+
				"implement stream.TimerFunction"))
		}
		return false
	}
	if s.at >= len(s.keys.Hashes) {
		if s.err == nil {
			s.err = userFault(s.env, errNoTimerKey)
		}
		return false
	}
	s.timer.Timestamp, s.timer.Hash = int64(ts), s.keys.Hashes[s.at]
	switch words := s.timers.layout.KeyWords; words {
	case 0:
		s.timer.Bytes = s.keys.Bytes[s.at]
	default:
		copy(s.timer.Words[:], s.keys.Words[s.at*words:(s.at+1)*words])
	}
	return true
}

// timerFunctionOf returns f as a function with timers, nil when it has none. A method OnTimer
// of another form is an error: it would never be called.
func timerFunctionOf[K, R any](f any) (TimerFunction[K, R], error) {
	f = original(f)
	if t, ok := f.(TimerFunction[K, R]); ok {
		return t, nil
	}
	if m, ok := reflect.TypeOf(f).MethodByName("OnTimer"); ok {
		want := reflect.TypeFor[TimerFunction[K, R]]().Method(0).Type
		return nil, fault.User(fmt.Errorf("method OnTimer of %T is %v, want %v behind the receiver",
			f, m.Type, want))
	}
	return nil, nil
}

// describeTimers describes the timers of an operator behind its other states, for which
// tables tables are declared.
func (k *KeyedStream[K, T]) describeTimers(tables int) []*protocol.StateDescriptor {
	return timerDescriptors(k.name, tables, 0)
}

// beginTimers resolves the rows of the keys of due timers.
func (p *process[K, T, R]) beginTimers(domain TimeDomain, due *backend.Due) error {
	p.timerContext.domain = domain
	p.timerContext.timestamp = eventtime.Timestamp(due.Timestamp)
	p.out.out.ts = p.timerContext.timestamp
	if domain == DomainProcessingTime {
		p.out.out.ts = eventtime.None
	}
	p.service.keys = backend.Keys{Hashes: due.Hashes, Words: due.Words, Bytes: due.Bytes}
	return p.resolve(p.service.keys)
}

// onTimer calls the function for a timer.
func (p *process[K, T, R]) onTimer(i int) error {
	keys := &p.service.keys
	if words := p.keys.codec.Words(); words > 0 {
		p.timerContext.key = p.keys.codec.FromWords(keys.Words[i*words : (i+1)*words])
	} else {
		p.timerContext.key = p.keys.codec.FromBytes(keys.Bytes[i])
	}
	p.point(i)
	if err := p.timed.OnTimer(&p.timerContext, p.out); err != nil {
		return userFault(p.env, err)
	}
	p.settle()
	return nil
}

// endTimers deletes rows left without state.
func (p *process[K, T, R]) endTimers() error { return p.afterBatch() }

// Alarm fires timers of processing time, and looks for what has expired.
func (p *process[K, T, R]) Alarm(now int64) error {
	if now == math.MinInt64 {
		return nil
	}
	if p.timers != nil {
		if err := p.timers.alarm(now); err != nil {
			return err
		}
	}
	return p.sweeper.alarm(now)
}

var _ operator.Alarm = (*process[int, int, int])(nil)
