package mini

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/cluster/scheduler"
)

// begin makes this process the master of the job's name and finds the checkpoint to start
// from. What does not fit the job is refused before another master is fenced for it.
func (w *keeper) begin(ctx context.Context) ([]jobmaster.Note, error) {
	if w.job.Restore != "" || !w.job.RestoreAt.IsZero() {
		found, _, err := w.find(ctx)
		if err != nil {
			return nil, err
		}
		if err := w.check(found); err != nil {
			return nil, err
		}
	}
	generation, err := w.store.NewGeneration(ctx)
	if err != nil {
		return nil, err
	}
	found, notes, err := w.find(ctx)
	if err == nil {
		err = w.check(found)
	}
	if err != nil {
		return nil, err
	}
	// What the user keeps is not continued but copied.
	adopt := w.store.Adopt
	if w.job.Restore != latest && found != nil && !w.job.Claim {
		adopt = w.store.Fork
	}
	identity, err := adopt(found)
	if err != nil {
		return nil, err
	}
	w.start, w.begun = found, true
	w.started = started{
		generation: generation, jobID: identity.JobID, lineage: shortLineage(identity.Lineage),
	}
	if found != nil {
		return append(notes, w.startFrom(found, identity)...), nil
	}
	switch {
	case w.job.Restore != "":
		notes = append(notes, jobmaster.Note{Kind: jobmaster.NoteEmpty})
	case generation.Fence > 0: // The name has had a master before.
		if _, err := w.store.Latest(ctx); !errors.Is(err, store.ErrNoCheckpoint) {
			notes = append(notes, jobmaster.Note{Kind: jobmaster.NoteNewLineage})
		}
	}
	return notes, nil
}

// startFrom notes what follows from the checkpoint that the run starts from.
func (w *keeper) startFrom(found *store.Found, identity store.Identity) []jobmaster.Note {
	h := found.Meta.Header
	s := &w.started
	s.restored, s.from = h.CheckpointId, found.Directory()
	// Only what is continued under its own job id may be built on.
	same := identity.JobID == h.JobId
	w.full = !found.Newest || !same
	switch {
	case w.job.Restore == latest:
		// In a copy of the checkpoints the claim stays with the job at the original.
		if found.Newest || h.Stop {
			s.claimed = h.Claimed
		}
	case w.job.Claim && (!same || h.Kind == meta.KindSavepoint):
		s.claimed = s.from
	}
	var notes []jobmaster.Note
	if h.Drained {
		notes = append(notes, jobmaster.Note{
			Kind: jobmaster.NoteDrained, Checkpoint: h.CheckpointId, Path: s.from,
		})
	}
	r := found.Record
	if w.job.Restore != latest || r == nil {
		return notes
	}
	if r.Generation+1 < s.generation.Number {
		notes = append(notes, jobmaster.Note{
			Kind: jobmaster.NoteSkipped, Checkpoint: h.CheckpointId,
			Reason: fmt.Sprintf("the newest checkpoint is of run %d, and this is run %d",
				r.Generation, s.generation.Number),
		})
	}
	if !found.Newest && !r.IsSavepoint() {
		w.copied = h.Origin
		notes = append(notes, jobmaster.Note{
			Kind: jobmaster.NoteCopied, Checkpoint: h.CheckpointId, Path: h.Origin,
		})
	}
	return notes
}

// shortLineage is the lineage as connectors put it into names.
func shortLineage(lineage string) string { return lineage[:min(8, len(lineage))] }

// latest is the value of Job.Restore that means the newest checkpoint of the job's name.
const latest = "latest"

// find returns the checkpoint the job was told to start from, nil to start empty.
func (w *keeper) find(ctx context.Context) (*store.Found, []jobmaster.Note, error) {
	switch {
	case !w.job.RestoreAt.IsZero():
		return w.findAt(ctx)
	case w.job.Restore == "":
		return nil, nil, nil
	case w.job.Restore == latest:
		found, err := w.store.Latest(ctx)
		if !errors.Is(err, store.ErrNoCheckpoint) {
			return found, nil, err
		}
		if w.job.RequireState {
			return nil, nil, fault.User(fmt.Errorf("state is required: %w", err))
		}
		return nil, nil, nil
	}
	found, err := w.store.Load(ctx, w.job.Restore)
	return found, nil, err
}

// findAt returns the newest checkpoint or savepoint at or before a time, and a note about what is
// newer.
func (w *keeper) findAt(ctx context.Context) (*store.Found, []jobmaster.Note, error) {
	all, err := w.store.Candidates(ctx, w.job.SavepointDirectory)
	if err != nil {
		return nil, nil, err
	}
	chosen, newer, err := store.At(all, w.job.RestoreAt)
	if err != nil {
		return nil, nil, fault.User(err)
	}
	found, err := w.store.Load(ctx, chosen.URI)
	if err != nil || len(newer) == 0 {
		return found, nil, err
	}
	var names []string
	for _, c := range newer {
		name := c.String()
		if c.Committed {
			name += ", committed by the sinks"
		}
		names = append(names, name)
	}
	return found, []jobmaster.Note{{
		Kind: jobmaster.NoteNewer, Checkpoint: chosen.Checkpoint,
		Reason: strings.Join(names, "; "),
	}}, nil
}

func (w *keeper) check(found *store.Found) error {
	if found == nil {
		return nil
	}
	if err := scheduler.Check(w.job.Graph, found.Meta, w.job.AllowNonRestored); err != nil {
		return fmt.Errorf("restore from %q: %w", found.URI(), err)
	}
	return nil
}
