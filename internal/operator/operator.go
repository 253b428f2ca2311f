// Package operator is the contract between the data plane and what runs inside it.
//
// A task runs a chain: a head, which takes batches from the input gate or polls a source,
// then operators fused by typed links, then outputs. A chain may branch: several operators and
// outputs may take what one operator makes, or what it emits to a side output. Operators reach
// a task as factories resolved by name from a [Registry], never as closures: see [Factory],
// [OutputFactory]. A [Link] is how one operator calls the next, record by record, without
// boxing; its [Control] carries watermarks, status and end of data in band.
//
// Order of calls on an operator, all from the task goroutine: Factory.New (tables are
// declared on Env.Keyed here), restore of keyed state by the task, Open, then records and
// control interleaved with Snapshot and CheckpointComplete, Close. Close comes exactly once
// for every operator that New returned, also after a failed Open or none at all.
//
// Errors: an operator that cannot go on calls Env.Failure.Set and returns; the task looks
// at it after every batch. What runs inside is user code: a panic is recovered once, in
// the task.
//
// Semantics: Flink's StreamOperator and SourceOperator; the barrier's place in a chain is
// StreamTask.performCheckpoint.
package operator

import (
	"context"
	"log/slog"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state/backend"
)

// Env is what an operator gets from its task. It is valid until Close.
type Env struct {
	UID, Name string
	Identity  connector.Identity
	Subtask   int
	// Parallelism is that of this operator.
	Parallelism int
	Files       *filesystem.Registry
	Logger      *slog.Logger
	Clock       clock.Clock
	Counters    *Counters
	Failure     *Failure
	// Keyed is the keyed state of the task, nil unless the operator heads the chain and is
	// keyed.
	Keyed backend.Backend
	// RequestSplit asks the enumerator for one more split; sources only. The answer comes as
	// AddSplits or NoMoreSplits.
	RequestSplit func()
	// Sides are the side outputs that somebody takes: by tag the *Link[T] to emit through.
	// Control is not passed to them: the task sees to it that they get what the operator
	// passes on. A missing tag means that nobody takes it.
	Sides map[string]any
	// OperatorStates are those the operator declared when the graph was built.
	OperatorStates []*protocol.NamedState
	// WakeAt asks the task to call Alarm of this operator, which has that method, once its
	// clock shows a time, in Unix milliseconds: at once, between two batches, when it does
	// already. Of several wishes the earliest counts; the call of Alarm uses up all. There is
	// no call any more after the end of data. Task goroutine only.
	WakeAt func(millis int64)
}

// Operator is what the task needs of an operator besides its link.
type Operator interface {
	// Open prepares for records.
	Open(ctx context.Context, restored Restored) error
	// Snapshot returns the operator's part of a checkpoint other than keyed state, which the
	// task takes itself. It may emit through its link: the barrier leaves the chain after
	// all its operators returned.
	Snapshot(ctx context.Context, barrier record.Barrier) (State, error)
	// CheckpointComplete says that a checkpoint, and with it all earlier ones, is durable.
	CheckpointComplete(checkpoint uint64) error
	// Close releases what the operator holds. No other call follows.
	Close() error
}

// Alarm is implemented by operators that want to be woken by the clock, see Env.WakeAt.
type Alarm interface {
	// Alarm says that the clock shows now, in Unix milliseconds, and that the time asked for
	// has come. It may emit.
	Alarm(now int64) error
}

// State is an operator's part of a checkpoint. Committables are those made since the Snapshot
// before; the task adds them to every later checkpoint until one is complete, so that an
// aborted checkpoint loses none.
type State struct {
	List         []*protocol.NamedState
	Committables []*protocol.Committable
}

// Restored is what an operator continues from. The zero value is a fresh start.
type Restored struct {
	Checkpoint uint64
	List       []*protocol.NamedState
}

// Head is the first operator of a chain with an input gate. Process takes one batch and
// keeps no reference to it.
type Head interface {
	Operator
	Control
	Process(b *record.Batch) error
}

// InputHead is a Head with several inputs of different types. The task calls ProcessInput
// instead of Process, with the number of the input: that of the edge the batch came on.
type InputHead interface {
	Head
	ProcessInput(input int, b *record.Batch) error
}

// PollStatus says what a source's Poll found.
type PollStatus uint8

// What Poll can find.
const (
	PollMore PollStatus = iota // call again
	PollWait                   // nothing now; Ready tells when
	PollEnd                    // no record will ever follow
)

// SourceHead is the first operator of a chain without input.
type SourceHead interface {
	Operator
	// Control is called by the task at the end: Watermark(Max), EndOfData.
	Control
	// Poll emits up to about one batch of records through its link.
	Poll(ctx context.Context) (PollStatus, error)
	// Ready is sent to when a Poll that answered PollWait is worth repeating; nil when only
	// AddSplits and NoMoreSplits end the wait.
	Ready() <-chan struct{}
	// AddSplits takes splits the enumerator handed out, to be read after those it has.
	AddSplits(splits []connector.Split) error
	// NoMoreSplits says that no further split will come: Poll answers PollEnd once all are read.
	NoMoreSplits() error
}

// Built is one operator made by a factory. Link is *Link[T] of what it takes, nil for
// heads; Operator is nil for operators that have no state and no life cycle.
type Built struct {
	Operator Operator
	Link     any
}

// Factory makes operators of one kind.
type Factory interface {
	// New makes the operator of one subtask. next is the *Link[T] of what takes its records;
	// a Control when nobody takes records but some take those of its side outputs; nil when
	// nothing follows (a sink).
	New(env *Env, payload []byte, next any) (Built, error)
}

// Output buffers records at the end of a chain and sends them as batches.
type Output interface {
	// Flush sends what is buffered.
	Flush()
}

// Channels is how an Output reaches the subtasks of the next vertex.
type Channels interface {
	// Len is the number of channels, at least 1.
	Len() int
	// Send hands over one reference to b, which must not be changed any more. It blocks while
	// the channel is full; after the task was cancelled it drops b. Batches on one channel
	// keep their order.
	Send(channel int, b *record.Batch)
}

// OutputFactory makes the output of one edge.
type OutputFactory interface {
	// NewOutput returns the *Link[T] of what it takes, without Control: the task flushes the
	// output and passes control on.
	NewOutput(env *Env, edge *protocol.Edge, channels Channels) (link any, out Output, err error)
}
