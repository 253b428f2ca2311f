// Package connector is the contract between Leat and outside systems: sources that are
// read split by split, and sinks that make output visible exactly once.
//
// Main types: [Source] with [Enumerator] (finds splits, control plane) and [Reader] (reads
// them, data plane); [Sink] with [Writer] (writes and prepares) and [Committer] (makes it
// visible after the checkpoint completed). Connectors speak columns only (package batch);
// typed programs get their values at the edge, from package stream. Kit:
// connector/connectortest.
//
// Sources and sinks are immutable descriptions, safe to share. An Enumerator and a
// Committer are called by one goroutine of the job's master, a Reader and a Writer by one
// task goroutine.
//
// Semantics: Flink's FLIP-27 sources and FLIP-143/191 sinks; commits run beside the
// coordinator of checkpoints, the one place that is fenced.
package connector

import (
	"context"
	"log/slog"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/types"
)

// Split is a piece of input with the position reached in it. It travels and is stored as
// bytes; Version says how to read Data.
type Split struct {
	ID      string // unique within the source, stable across restarts
	Version uint32
	Data    []byte
}

// Source describes an input.
type Source interface {
	// Schema is the shape of what readers produce.
	Schema() *types.Schema
	// Bounded says that the input ends.
	Bounded() bool
	// NewEnumerator makes the enumerator, from the bytes an earlier one returned from
	// Snapshot or, when restored is nil, from scratch. It may do I/O; an error fails the job
	// before any task runs.
	NewEnumerator(ctx context.Context, env *Env, restored []byte) (Enumerator, error)
	// NewReader makes the reader of one subtask.
	NewReader(ctx context.Context, env *Env) (Reader, error)
}

// Env is what a connector gets from the engine.
type Env struct {
	Files       *filesystem.Registry
	Logger      *slog.Logger
	Subtask     int // 0 for enumerators and committers
	Parallelism int
	// Count adds to a named counter of the operator; safe for concurrent use.
	Count func(name string, delta uint64)
	// Identity makes names unique: attempt of the job under its fencing generation.
	Identity Identity
}

// Identity tells apart all writers that ever existed under a job name.
type Identity struct {
	JobName    string
	JobID      string // 32 hexadecimal digits
	Lineage    string // 8 hexadecimal digits; one fresh start and all restored from it
	Generation uint64 // fencing number of the master
	Attempt    uint32 // restart within the generation
	Operator   string // uid
}

// Enumerator finds splits and hands them out.
type Enumerator interface {
	// Next returns the split for a reader that asked for one, or ok=false when there is
	// none now; done says that there will never be another.
	Next(subtask int) (split Split, ok, done bool, err error)
	// Return takes back splits of a reader that failed before a checkpoint held them.
	Return(splits []Split)
	// Snapshot returns what NewEnumerator needs to continue: everything not handed out.
	Snapshot() ([]byte, error)
	// Close releases what the enumerator holds. No other call follows.
	Close() error
}

// PollStatus says what a Reader's Poll has seen.
type PollStatus uint8

const (
	// More says that Poll can be called again at once.
	More PollStatus = iota
	// Wait says that nothing is there now; the task is woken through Reader.Ready.
	Wait
	// NeedSplit says that all assigned splits are read to their end.
	NeedSplit
)

// Polled describes the rows a Poll has put into a batch: all of one split.
type Polled struct {
	Status PollStatus
	Split  int  // index in the order of AddSplit, for per-split watermarks
	Ended  bool // the split has been read to its end
}

// Reader reads the splits assigned to one subtask.
type Reader interface {
	// AddSplit continues with one more split, from its position.
	AddSplit(split Split) error
	// Poll fills out, which is empty, with up to its capacity of rows from one split. A row
	// that cannot be decoded is an error of domain user naming the place, unless the
	// source was told to skip.
	Poll(ctx context.Context, out *batch.Columns) (Polled, error)
	// Ready is sent to when Poll would no longer answer Wait. It may be nil when Poll never
	// answers Wait.
	Ready() <-chan struct{}
	// Snapshot returns the unfinished splits with the positions reached by the rows already
	// returned by Poll, in the order of AddSplit.
	Snapshot() ([]Split, error)
	// Close releases what the reader holds, also after an error. No other call follows.
	Close() error
}

// Sink describes an output.
type Sink interface {
	// NewWriter makes the writer of one subtask.
	NewWriter(ctx context.Context, env *Env) (Writer, error)
	// NewCommitter makes the committer, or nil when the sink has nothing to commit (then
	// its guarantee is what Write alone gives).
	NewCommitter(ctx context.Context, env *Env) (Committer, error)
}

// Shaped is implemented by sinks that take rows of one schema only; a stream of another is
// refused when the job is built.
type Shaped interface {
	Schema() *types.Schema
}

// Writer writes one subtask's share. A Writer keeps no state across checkpoints: what
// Prepare returned belongs to the checkpoint, what was written after it is written again
// after a restart.
type Writer interface {
	// Write takes the selected rows (nil = all) in order. It keeps nothing of rows.
	Write(ctx context.Context, rows *batch.Columns, selection []uint16) error
	// Prepare makes everything written since the last Prepare durable but invisible, and
	// returns what makes it visible.
	Prepare(ctx context.Context, checkpoint uint64) ([]Committable, error)
	// Close releases resources and drops what was written but not prepared.
	Close() error
}

// Committable is what Prepare made, in the sink's own bytes.
type Committable struct {
	Version uint32
	Data    []byte
}

// Committer makes prepared output visible.
type Committer interface {
	// Commit makes all committables of one checkpoint visible. It is idempotent: it is
	// called again with the same ones when the answer was lost or the job restarted. It is
	// called only by the owner of the completed checkpoint.
	Commit(ctx context.Context, checkpoint uint64, committables []Committable) error
	// Abort drops prepared output whose checkpoint will never complete. Best effort.
	Abort(ctx context.Context, committables []Committable) error
	// CleanUp removes leftovers of earlier attempts of this job name which no checkpoint
	// refers to. It is called once, after the restored checkpoint was committed again and
	// before any writer of this attempt starts.
	CleanUp(ctx context.Context) error
	// Close releases what the committer holds. No other call follows.
	Close() error
}
