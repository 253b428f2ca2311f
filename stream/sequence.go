package stream

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

// FromSlice makes a bounded stream of the given values, dealt to the subtasks in turn. uid
// names its position in checkpoints: the values must be the same after a restart.
func FromSlice[T any](e *Env, uid string, values []T, options ...SourceOption[T]) *DataStream[T] {
	return Generate(e, uid, int64(len(values)),
		func(i int64) T { return values[i] }, options...)
}

// Generate makes a stream of at(0), at(1), ... at(count-1), dealt to the subtasks in turn;
// count -1 never ends. at must depend on its argument only; it is called by all subtasks. uid
// names the position in checkpoints.
func Generate[T any](
	e *Env, uid string, count int64, at func(int64) T, options ...SourceOption[T],
) *DataStream[T] {
	if count < -1 {
		e.fault(fmt.Errorf("source %q: generate %d records: want -1 or more", uid, count))
	}
	settings := sourceSettingsOf(e, uid, options)
	return newStream[T](e, e.add(&transformation{
		uid: uid, name: "Source: " + uid, head: true,
		factory: sequenceFactory[T]{count: count, at: at, settings: settings},
	}))
}

type sequenceFactory[T any] struct {
	count    int64
	at       func(int64) T
	settings sourceSettings[T]
}

// New makes the source of one subtask.
func (f sequenceFactory[T]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out := linkOf[T](next)
	return operator.Built{Operator: &sequence[T]{
		Control: out.Control, env: env, factory: f, record: out.Record,
		clock: newSplitClock(f.settings.strategy), pace: f.settings.pace(env),
	}}, nil
}

// sequence is a source of numbered records. Its position is a set of progressions, so that it
// can be rescaled.
type sequence[T any] struct {
	operator.Control
	env     *operator.Env
	factory sequenceFactory[T]
	record  func(T, eventtime.Timestamp)
	clock   *splitClock
	pace    *pace
	parts   []progression
	current int
}

// progression is next, next+step, ... below end; end -1 is open. max is the largest timestamp
// seen.
type progression struct {
	next, end, step int64
	max             eventtime.Timestamp
}

const progressionBytes = 32

func (p progression) done() bool { return p.end >= 0 && p.next >= p.end }

// Open takes a share of the numbers, or continues with restored progressions.
func (s *sequence[T]) Open(_ context.Context, restored operator.Restored) error {
	all, err := s.restored(restored)
	if err != nil {
		return fault.Internal(fmt.Errorf("restore source %q: %w", s.env.UID, err))
	}
	for i, p := range all {
		if i%s.env.Parallelism == s.env.Subtask {
			s.parts = append(s.parts, p)
		}
	}
	if len(all) == 0 {
		s.parts = []progression{{
			next: int64(s.env.Subtask), end: s.factory.count, step: int64(s.env.Parallelism),
			max: eventtime.None,
		}}
	}
	for i := range s.parts {
		s.clock.add(s.parts[i].max)
		if s.parts[i].done() {
			s.clock.end(i)
		}
	}
	s.clock.forward(s.Control)
	return nil
}

// restored returns the progressions of all subtasks, in an order that all agree on: none when
// the checkpoint does not know the source. They end where the program now says.
func (s *sequence[T]) restored(restored operator.Restored) ([]progression, error) {
	var all []progression
	for _, list := range restored.List {
		if list.Name != positionState {
			continue
		}
		for _, element := range list.Elements {
			p, err := parseProgression(element)
			if err != nil {
				return nil, err
			}
			p.end = s.factory.count
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b progression) int {
		return cmp.Or(cmp.Compare(a.next, b.next), cmp.Compare(a.step, b.step))
	})
	return all, nil
}

// positionState is the name of the list state of sources.
const positionState = "position"

// Poll emits about one batch from one progression.
func (s *sequence[T]) Poll(context.Context) (operator.PollStatus, error) {
	n, wait := s.pace.allow(batch.DefaultRows)
	if wait {
		return operator.PollWait, nil
	}
	for range s.parts {
		if s.current++; s.current >= len(s.parts) {
			s.current = 0
		}
		if p := &s.parts[s.current]; !p.done() {
			s.emit(p, n)
			return operator.PollMore, s.env.Failure.Err()
		}
	}
	return operator.PollEnd, nil
}

func (s *sequence[T]) emit(p *progression, n int) {
	at, record, timestamp := s.factory.at, s.record, s.factory.settings.timestamp
	failure := s.env.Failure
	end := p.next + int64(n)*p.step
	if p.end >= 0 && end > p.end {
		end = p.end
	}
	emitted := 0
	for ; p.next < end; p.next += p.step {
		v := at(p.next)
		ts := eventtime.None
		if timestamp != nil {
			ts = timestamp(v)
			p.max = max(p.max, ts)
		}
		record(v, ts)
		emitted++
		if failure.Failed() {
			return
		}
	}
	s.pace.took(emitted)
	s.clock.observe(s.current, p.max)
	s.clock.forward(s.Control) // before the end: nobody asks an ended part for its watermark
	if p.done() {
		s.clock.end(s.current)
		s.clock.forward(s.Control)
	}
}

// Ready tells when the pace allows more records.
func (s *sequence[T]) Ready() <-chan struct{} { return s.pace.ready() }

// AddSplits is not used: the numbers are dealt without an enumerator.
func (s *sequence[T]) AddSplits([]connector.Split) error { return nil }

// NoMoreSplits is not used.
func (s *sequence[T]) NoMoreSplits() error { return nil }

// Snapshot writes the progressions, finished ones too: a restored source must not begin anew.
// Every subtask gets all, so that it can tell having no share from being new.
func (s *sequence[T]) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	list := &protocol.NamedState{Name: positionState, Version: 1, Union: true}
	for _, p := range s.parts {
		b := make([]byte, 0, progressionBytes)
		for _, v := range []int64{p.next, p.end, p.step, int64(p.max)} {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		list.Elements = append(list.Elements, b)
	}
	return operator.State{List: []*protocol.NamedState{list}}, nil
}

func parseProgression(b []byte) (progression, error) {
	if len(b) != progressionBytes {
		return progression{}, fmt.Errorf("position of %d bytes, want %d", len(b), progressionBytes)
	}
	word := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	p := progression{word(0), word(1), word(2), eventtime.Timestamp(word(3))}
	if p.step < 1 {
		return progression{}, fmt.Errorf("position with step %d", p.step)
	}
	return p, nil
}

// CheckpointComplete needs nothing.
func (s *sequence[T]) CheckpointComplete(uint64) error { return nil }

// Close needs nothing.
func (s *sequence[T]) Close() error { return s.pace.close() }
