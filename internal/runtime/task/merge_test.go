package task_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/task"
	"github.com/leat-io/leat/internal/state/table"
)

// mergedFor is a number of a checkpoint above those of the test: files named for such are results
// of merges.
const mergedFor = 200

// isMerged tells whether a checkpoint refers to results of merges.
func isMerged(acks map[place]*protocol.AckCheckpoint) bool {
	for _, p := range panesOf(acks) {
		for _, r := range p.Runs {
			var checkpoint uint64
			_, err := fmt.Sscanf(r.GetFile().GetPath(), "%d-", &checkpoint)
			if err == nil && checkpoint > mergedFor {
				return true
			}
		}
	}
	return false
}

// Goal: state files are merged while records and checkpoints go on, a full disk under a merge
// leaves the job alone, and a restore from a checkpoint that refers to merges has all records.
// Method: checkpoints one after the other over a state too large to be inline; every other upload
// of a merge fails; go on until a checkpoint refers to one, then run again from there with
// another parallelism.
func TestMergesBesideRecords(t *testing.T) {
	s := size{sources: 2, tallies: 2, sinks: 1, limit: 150_000, keys: 20_000}
	j := newJob(t, s, 5)
	j.backend = table.Factory{}
	var uploads atomic.Int64
	full := errors.New("no space left on device")
	j.store.before = func(_ context.Context, checkpoint uint64) error {
		if checkpoint > mergedFor && uploads.Add(1)%2 == 1 {
			return full
		}
		return nil
	}
	j.start(t, nil)
	random := rand.New(rand.NewPCG(5, 5))
	done, sunk, id := committed{}, totals{}, uint64(1)
	var acks map[place]*protocol.AckCheckpoint
	for ; ; id++ {
		j.each(random, func(made *task.Task) {
			made.TriggerCheckpoint(record.Barrier{Checkpoint: id})
		})
		acks = j.acked(t, id)
		done.commit(t, acks, &sunk)
		j.each(random, func(made *task.Task) { made.CheckpointComplete(id) })
		if isMerged(acks) {
			break
		}
	}
	j.check(t, id, acks, sunk)
	t.Logf("checkpoint %d refers to a merge; %d were written or not", id, uploads.Load())
	if uploads.Load() < 2 {
		t.Error("no merge met a full disk")
	}
	j.each(random, func(made *task.Task) { made.Cancel() })
	if err := j.group.Wait(); err != nil {
		t.Fatal(err)
	}

	s.tallies = 3
	again := newJob(t, s, 5)
	again.backend, again.store = table.Factory{}, j.store
	again.start(t, acks)
	again.drive(t, id+1, sunk)
}
