package mini

import (
	"slices"
	"time"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
)

// keptFigures is how many checkpoints are remembered.
const keptFigures = 100

// The statuses of checkpoints, by Flink's names.
const (
	CheckpointInProgress = "IN_PROGRESS"
	CheckpointCompleted  = "COMPLETED"
	CheckpointFailed     = "FAILED"
)

// CheckpointFigures describe a checkpoint or savepoint of this run.
type CheckpointFigures struct {
	ID        uint64
	Kind      string // periodic, final, stop, savepoint, stop-with-savepoint
	Status    string
	Triggered time.Time
	Duration  time.Duration // from trigger to completion or failure
	Bytes     int64         // written for it
	// Alignment and Pause are the longest of all tasks.
	Alignment, Pause time.Duration
	Path             string // URI of its directory, once it is complete
	Failure          string
}

// history is the newest checkpoints, oldest first.
type history []CheckpointFigures

func (h *history) take(n jobmaster.Note, st *store.Store) {
	if n.Kind == jobmaster.NoteCheckpointTriggered {
		if len(*h) == keptFigures {
			*h = slices.Delete(*h, 0, 1)
		}
		*h = append(*h, CheckpointFigures{
			ID: n.Checkpoint, Kind: n.CheckpointKind, Status: CheckpointInProgress,
			Triggered: n.At,
		})
		return
	}
	f := h.find(n.Checkpoint)
	if f == nil {
		return
	}
	switch n.Kind {
	case jobmaster.NoteCheckpointCompleted, jobmaster.NoteSavepointCompleted:
		f.Status, f.Duration, f.Bytes = CheckpointCompleted, n.Duration, n.StateBytes
		f.Alignment, f.Pause, f.Path = n.Alignment, n.Pause, n.Path
		if f.Path == "" {
			f.Path = st.CheckpointDir(n.Checkpoint)
		}
	case jobmaster.NoteCheckpointAborted, jobmaster.NoteSavepointFailed:
		f.Status, f.Failure, f.Duration = CheckpointFailed, n.Reason, n.At.Sub(f.Triggered)
	}
}

func (h history) find(id uint64) *CheckpointFigures {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].ID == id {
			return &h[i]
		}
	}
	return nil
}

func (h history) inProgress(id uint64) bool {
	f := h.find(id)
	return f != nil && f.Status == CheckpointInProgress
}

func (h history) copy() []CheckpointFigures { return slices.Clone(h) }
