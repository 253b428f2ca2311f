package stream

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/types"
	"google.golang.org/protobuf/proto"
)

// SchemaOf returns the schema of T, for connectors and formats: a column for every exported
// field, named as the field with its first letter lowered, or by its tag `leat:"name"`. For
// an unsupported T it returns nil; From and SinkTo say why.
func SchemaOf[T any]() *types.Schema {
	s, err := types.StructOf[T]()
	if err != nil {
		return nil
	}
	return s.Schema
}

// From reads a source as values of T, whose schema must be that of the source. uid names the
// positions in checkpoints.
func From[T any](
	e *Env, uid string, source connector.Source, options ...SourceOption[T],
) *DataStream[T] {
	codec, err := batch.CodecOf[T]()
	switch {
	case err != nil:
		e.fault(fmt.Errorf("source %q: %w", uid, err))
	case source == nil:
		e.fault(fmt.Errorf("source %q: no source given", uid))
	case source.Schema() == nil || !codec.Schema().Equal(source.Schema()):
		e.fault(fmt.Errorf("source %q: it delivers %v, but %T is %v",
			uid, source.Schema(), *new(T), codec.Schema()))
	}
	return newStream[T](e, e.add(&transformation{
		uid: uid, name: "Source: " + uid, head: true,
		factory: sourceFactory[T]{
			source: source, codec: codec, settings: sourceSettingsOf(e, uid, options),
		},
	}))
}

type sourceFactory[T any] struct {
	source   connector.Source
	codec    *batch.StructCodec[T]
	settings sourceSettings[T]
}

// NewEnumerator makes the enumerator of the source.
func (f sourceFactory[T]) NewEnumerator(
	ctx context.Context, env *connector.Env, restored []byte,
) (connector.Enumerator, error) {
	return f.source.NewEnumerator(ctx, env, restored)
}

// New makes the source operator of one subtask.
func (f sourceFactory[T]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, rows := linkOf[T](next), f.settings.batchRows()
	return operator.Built{Operator: &source[T]{
		Control: out.Control, env: env, factory: f, record: out.Record,
		clock: newSplitClock(f.settings.strategy), pace: f.settings.pace(env),
		columns: batch.New(f.codec.Schema(), rows), items: make([]T, 0, rows),
	}}, nil
}

// source turns the columns of a reader into records of T.
type source[T any] struct {
	operator.Control
	env     *operator.Env
	factory sourceFactory[T]
	record  func(T, eventtime.Timestamp)
	reader  connector.Reader
	clock   *splitClock
	pace    *pace
	columns *batch.Columns
	intern  batch.Interner
	items   []T
	// at is what came out of columns but was not emitted yet, when a rate holds it back.
	at     int
	polled connector.Polled
	paced  bool // the last Poll was held back by the rate, not by the reader

	splits     []splitState // in order of AddSplit
	first      int          // the splits before it have ended
	unfinished int
	requested  bool
	noMore     bool
}

type splitState struct {
	max   eventtime.Timestamp
	ended bool
}

// Open continues the restored splits.
func (s *source[T]) Open(ctx context.Context, restored operator.Restored) error {
	reader, err := s.factory.source.NewReader(ctx, connectorEnv(s.env))
	if err != nil {
		return err
	}
	s.reader = reader
	for _, list := range restored.List {
		if list.Name != positionState {
			continue
		}
		for _, element := range list.Elements {
			split, max, err := parsePosition(element)
			if err != nil {
				return fault.Internal(fmt.Errorf("restore source %q: %w", s.env.UID, err))
			}
			if err := s.add(split, max); err != nil {
				return err
			}
		}
	}
	s.clock.forward(s.Control)
	return nil
}

func connectorEnv(env *operator.Env) *connector.Env {
	return &connector.Env{
		Files: env.Files, Logger: env.Logger, Subtask: env.Subtask,
		Parallelism: env.Parallelism, Identity: env.Identity,
		Count: func(name string, delta uint64) { env.Counters.Counter(name).Add(delta) },
	}
}

func (s *source[T]) add(split connector.Split, max eventtime.Timestamp) error {
	if err := s.reader.AddSplit(split); err != nil {
		return err
	}
	s.splits = append(s.splits, splitState{max: max})
	s.unfinished++
	s.clock.add(max)
	return nil
}

// Poll emits about one batch.
func (s *source[T]) Poll(ctx context.Context) (operator.PollStatus, error) {
	s.paced = false
	if s.at < len(s.items) {
		return s.emit()
	}
	if s.unfinished == 0 {
		return s.ask(), nil
	}
	s.columns.Reset()
	var err error
	if s.polled, err = s.reader.Poll(ctx, s.columns); err != nil {
		return operator.PollEnd, fmt.Errorf("source %q: %w", s.env.UID, err)
	}
	s.items, err = s.factory.codec.ReadInterned(s.columns, nil, s.items[:0], &s.intern)
	if err != nil {
		return operator.PollEnd, fault.User(fmt.Errorf("source %q: %w", s.env.UID, err))
	}
	s.at = 0
	if len(s.items) == 0 {
		s.finishBatch()
		s.clock.forward(s.Control)
		if s.polled.Status == connector.Wait {
			return operator.PollWait, nil
		}
		return operator.PollMore, nil
	}
	return s.emit()
}

// ask requests a split, or says that there are none.
func (s *source[T]) ask() operator.PollStatus {
	if s.noMore {
		return operator.PollEnd
	}
	if !s.requested {
		s.requested = true
		s.env.RequestSplit()
	}
	return operator.PollWait
}

func (s *source[T]) emit() (operator.PollStatus, error) {
	n, wait := s.pace.allow(len(s.items) - s.at)
	if wait {
		s.paced = true
		return operator.PollWait, nil
	}
	split := &s.splits[s.polled.Split]
	record, timestamp, failure := s.record, s.factory.settings.timestamp, s.env.Failure
	for _, v := range s.items[s.at : s.at+n] {
		ts := eventtime.None
		if timestamp != nil {
			ts = timestamp(v)
			split.max = max(split.max, ts)
		}
		record(v, ts)
		if failure.Failed() {
			return operator.PollEnd, failure.Err()
		}
	}
	s.at += n
	s.pace.took(n)
	s.clock.observe(s.polled.Split, split.max)
	// Before the split may end: nobody asks an ended one for its watermark.
	s.clock.forward(s.Control)
	if s.at == len(s.items) {
		s.finishBatch()
		s.clock.forward(s.Control)
	}
	return operator.PollMore, nil
}

// finishBatch is called when all rows of a Poll have been emitted.
func (s *source[T]) finishBatch() {
	// Not cleared: the strings of one batch at most stay alive until the next one.
	s.items, s.at = s.items[:0], 0
	if s.polled.Ended {
		s.endSplit(s.polled.Split)
	}
	if s.polled.Status == connector.NeedSplit {
		for i := s.first; i < len(s.splits); i++ {
			s.endSplit(i)
		}
	}
}

func (s *source[T]) endSplit(i int) {
	if s.splits[i].ended {
		return
	}
	s.splits[i].ended = true
	s.clock.end(i)
	s.unfinished--
	for s.first < len(s.splits) && s.splits[s.first].ended {
		s.first++
	}
}

// Ready tells when there is more to read, or the pace allows it.
func (s *source[T]) Ready() <-chan struct{} {
	if s.paced {
		return s.pace.ready()
	}
	return s.reader.Ready()
}

// AddSplits takes assigned splits.
func (s *source[T]) AddSplits(splits []connector.Split) error {
	s.requested = false
	for _, split := range splits {
		if err := s.add(split, eventtime.None); err != nil {
			return err
		}
	}
	return nil
}

// NoMoreSplits lets the source end after the splits it has.
func (s *source[T]) NoMoreSplits() error {
	s.noMore = true
	return nil
}

// Snapshot writes the positions of unfinished splits with their largest timestamps.
func (s *source[T]) Snapshot(
	context.Context, record.Barrier,
) (operator.State, error) {
	// What a rate holds back has left the reader: it must be emitted before the position.
	for s.at < len(s.items) {
		if err := s.emitAll(); err != nil {
			return operator.State{}, err
		}
	}
	splits, err := s.reader.Snapshot()
	if err != nil {
		return operator.State{}, err
	}
	list := &protocol.NamedState{Name: positionState, Version: 1}
	if len(splits) != s.unfinished {
		return operator.State{}, fault.Internal(fmt.Errorf(
			"snapshot source %q: its reader has %d unfinished splits, want %d",
			s.env.UID, len(splits), s.unfinished))
	}
	for _, state := range s.splits[s.first:] {
		if state.ended {
			continue
		}
		element, err := appendPosition(splits[0], state.max)
		if err != nil {
			return operator.State{}, err
		}
		list.Elements = append(list.Elements, element)
		splits = splits[1:]
	}
	return operator.State{List: []*protocol.NamedState{list}}, nil
}

// emitAll emits what is held back, whatever the rate.
func (s *source[T]) emitAll() error {
	rate := s.pace.perSecond
	s.pace.perSecond = 0
	defer func() { s.pace.perSecond = rate }()
	_, err := s.emit()
	return err
}

// appendPosition is the largest timestamp in 8 bytes, then the split as a message.
func appendPosition(split connector.Split, max eventtime.Timestamp) ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, uint64(max))
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, &protocol.Split{
		Id: split.ID, Version: split.Version, Data: split.Data,
	})
}

func parsePosition(b []byte) (connector.Split, eventtime.Timestamp, error) {
	var split protocol.Split
	if len(b) < 8 {
		return connector.Split{}, 0, fmt.Errorf("position of %d bytes", len(b))
	}
	if err := proto.Unmarshal(b[8:], &split); err != nil {
		return connector.Split{}, 0, fmt.Errorf("position: %w", err)
	}
	max := eventtime.Timestamp(binary.LittleEndian.Uint64(b))
	return connector.Split{ID: split.Id, Version: split.Version, Data: split.Data}, max, nil
}

// CheckpointComplete needs nothing: positions live in the checkpoint.
func (s *source[T]) CheckpointComplete(uint64) error { return nil }

// Close closes the reader.
func (s *source[T]) Close() error {
	if s.reader == nil {
		return s.pace.close()
	}
	err := s.reader.Close()
	if e := s.pace.close(); err == nil {
		err = e
	}
	return err
}
