// Package task runs one subtask: a chain of operators, its input gate and outputs, its
// keyed state, its part in checkpoints.
//
// Main types: [Task], made from a [Config] and run by one goroutine that alone touches
// operators and state; others post letters to its mailbox. [Listener] is where it reports.
// The package talks to no role: internal/cluster/taskmanager turns messages into letters
// and reports into messages.
//
// Life of a task: New connects its channels, Run does the rest and returns when nothing of
// the task runs any more. In Run: (1) INITIALIZING: operators are made from tail to head,
// keyed state is restored, operators are opened from tail to head; (2) RUNNING: letters,
// then one batch or control element, then a slice of the state copy, over and over; when
// there is nothing to do, outputs are flushed and the task waits; (3) end of data: the task
// stays for barriers and letters; (4) FINISHED after Close, CANCELED after Cancel or the end
// of the context, FAILED after an error or a panic. Operators made are closed once,
// whatever happened.
//
// Semantics: Flink's StreamTask with its mailbox; checkpoints after FLIP-147: a task that
// reached end of data stays until the final checkpoint is complete.
package task

import (
	"context"
	"io"
	"log/slog"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/state/backend"
)

// Config is everything a task needs. Deploy names chain, edges and restored state. All
// fields are set, unless said otherwise; Backend may be nil when no operator keeps keyed state,
// Logger to discard.
type Config struct {
	Deploy   *protocol.DeployTask
	Identity Identity
	Registry *operator.Registry
	Backend  backend.Factory
	// Exchange connects tasks of this process by (edge, sender, receiver).
	Exchange *exchange.Local
	Files    *filesystem.Registry
	Clock    clock.Clock
	Logger   *slog.Logger
	Store    Store
	Listener Listener
	// Merges is shared by the tasks of a process; nil is a limit for this task alone.
	Merges *MergeLimit
}

// Identity is connector.Identity without the operator.
type Identity struct {
	JobName, JobID, Lineage string
	Generation              uint64
	Attempt                 uint32
}

// Store is where keyed state is written to and restored from.
type Store interface {
	// Upload writes one data file for a checkpoint of a subtask and returns its path
	// relative to the checkpoint's directory.
	Upload(ctx context.Context, checkpoint uint64, task *protocol.TaskID,
		write func(io.Writer) error) (path string, size int64, err error)
	// UploadSavepoint is Upload for a savepoint: the file goes into its directory, a URI, to which
	// the path returned is relative.
	UploadSavepoint(ctx context.Context, directory string, checkpoint uint64,
		task *protocol.TaskID, write func(io.Writer) error) (path string, size int64, err error)
	// Open opens a data file of the restored checkpoint by the path in its run.
	Open(ctx context.Context, path string) (filesystem.ReadAtCloser, error)
	// OpenWritten opens a data file that a complete checkpoint of this job refers to.
	OpenWritten(ctx context.Context, path string) (filesystem.ReadAtCloser, error)
}

// Listener receives what a task has to say. Calls come from the task's goroutines and must
// not block.
type Listener interface {
	State(task *protocol.TaskID, state protocol.TaskState, err error)
	EndOfData(task *protocol.TaskID)
	Acknowledge(ack *protocol.AckCheckpoint)
	Decline(task *protocol.TaskID, checkpoint uint64, err error)
	RequestSplit(task *protocol.TaskID, uid string)
	Report(report *protocol.TaskReport)
}
