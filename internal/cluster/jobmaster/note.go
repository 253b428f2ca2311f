package jobmaster

import (
	"log/slog"
	"time"
)

// NoteKind is the constant message of a Note.
type NoteKind string

// The kinds of notes.
const (
	NoteStatus              NoteKind = "job status changed"
	NoteTaskFailed          NoteKind = "task failed"
	NoteFailure             NoteKind = "attempt failed"
	NoteTaskStuck           NoteKind = "task does not react to cancellation"
	NoteCloseSlow           NoteKind = "task does not end on closing; all work is committed"
	NoteCloseFailed         NoteKind = "closing failed; all work is committed"
	NoteCheckpointTriggered NoteKind = "checkpoint triggered"
	NoteCheckpointCompleted NoteKind = "checkpoint completed"
	NoteCheckpointCommitted NoteKind = "checkpoint committed"
	NoteCheckpointAborted   NoteKind = "checkpoint aborted"
	NoteCheckpointSlow      NoteKind = "checkpoint is held up; no other can begin"
	NoteSavepointCompleted  NoteKind = "savepoint completed"
	NoteSavepointFailed     NoteKind = "savepoint failed"
	NoteRestoreSlow         NoteKind = "start of the job is held up"
	NoteDrained             NoteKind = "the savepoint was taken after the end of its input: " +
		"windows have fired already, and records count as late"
	NoteCopied NoteKind = "this checkpoint was copied: " +
		"if the job goes on at the place it came from, one of the two must get another output"
	NoteNewer NoteKind = "there is newer state of this job: " +
		"what the sinks have committed for it stays"
	NoteRestarting NoteKind = "job restarts after a pause"
	NoteSkipped    NoteKind = "newer runs of this name completed no checkpoint"
	NoteStopping   NoteKind = "job is to stop with a checkpoint"
	NoteRestored   NoteKind = "job starts from checkpoint"
	NoteEmpty      NoteKind = "no checkpoint of this name: job starts empty"
	NoteNewLineage NoteKind = "starting a new lineage; " +
		"earlier checkpoints of this name stay"
)

// Note is a decision of the master, for logs, interfaces and tests. Fields that do not apply
// are zero.
type Note struct {
	Kind           NoteKind
	At             time.Time
	From, To       Status
	Attempt        uint32
	Restarts       int
	Task           string
	Checkpoint     uint64
	CheckpointKind string
	// Duration is the time from trigger to completion, the pause before a restart, or how
	// long something has taken that is not over.
	Duration   time.Duration
	StateBytes int64 // written for the checkpoint
	// Alignment and Pause are the longest of all tasks: waiting for barriers, and not
	// handling records while the state version flipped.
	Alignment, Pause time.Duration
	Path             string // of a savepoint
	Reason           string
}

// Attrs returns what is set, under the keys of the glossary.
func (n Note) Attrs() []slog.Attr {
	var attrs []slog.Attr
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("from", string(n.From))
	text("to", string(n.To))
	if n.Attempt > 0 {
		attrs = append(attrs, slog.Any("attempt", n.Attempt))
	}
	if n.Restarts > 0 {
		attrs = append(attrs, slog.Int("restarts", n.Restarts))
	}
	text("task", n.Task)
	if n.Checkpoint > 0 {
		attrs = append(attrs, slog.Uint64("checkpoint_id", n.Checkpoint))
	}
	text("kind", n.CheckpointKind)
	if n.Duration > 0 {
		attrs = append(attrs, slog.Duration("duration", n.Duration))
	}
	if n.StateBytes > 0 {
		attrs = append(attrs, slog.Int64("state_bytes", n.StateBytes))
	}
	text("path", n.Path)
	text("reason", n.Reason)
	return attrs
}

// IsWarning reports that the job is degraded and goes on, or begins without state that a
// person may have expected it to have.
func (n Note) IsWarning() bool {
	switch n.Kind {
	case NoteTaskFailed, NoteFailure, NoteTaskStuck, NoteCloseSlow, NoteCloseFailed,
		NoteRestarting, NoteCheckpointAborted, NoteCheckpointSlow, NoteEmpty,
		NoteNewLineage, NoteSkipped, NoteSavepointFailed, NoteRestoreSlow, NoteDrained,
		NoteCopied, NoteNewer:
		return true
	}
	return false
}
