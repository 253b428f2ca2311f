// Package scheduler decides where state goes when a job starts from a checkpoint, whether
// it may start from it at all, and whether a failed job is started again.
//
// Main entry points: [Check], before any task runs; [Deployments], what each task is told;
// [Assemble], the reverse of it, a checkpoint put together from what tasks acknowledged;
// [Restarts], the restart strategy.
//
// Everything is pure: no I/O, no clock, no order of map iteration. Messages passed in are
// never changed; those returned share parts with them.
//
// Semantics: Flink's StateAssignmentOperation, RoundRobinOperatorStateRepartitioner,
// Checkpoints.loadAndValidateCheckpoint and FixedDelayRestartBackoffTimeStrategy.
package scheduler

import (
	"time"

	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Start is what the tasks of an attempt start from and with.
type Start struct {
	Checkpoint *meta.Checkpoint // nil = empty
	URI        string           // of the checkpoint's metadata
	Settings   map[string]string
	JobName    string
	Lineage    string
	Root       string // URI below which tasks write state
}

// Deployments returns one message for each task of an attempt, in task order.
func Deployments(e *graph.Execution, start Start) []*protocol.DeployTask {
	restores := map[string][]*protocol.RestoreOperator{} // by uid, one per subtask
	if start.Checkpoint != nil {
		for _, v := range e.Job.Vertices {
			for _, o := range v.Operators {
				if state := find(start.Checkpoint, o.Uid); state != nil {
					restores[o.Uid] = Distribute(renumber(state, o.Descriptors), int(v.Parallelism))
				}
			}
		}
	}
	out := make([]*protocol.DeployTask, 0, len(e.Tasks))
	for _, t := range e.Tasks {
		d := e.Deployment(t.ID)
		d.Settings, d.JobName, d.Lineage = start.Settings, start.JobName, start.Lineage
		d.CheckpointRoot = start.Root
		if start.Checkpoint != nil {
			d.RestoreCheckpoint = start.Checkpoint.Header.CheckpointId
			d.RestoreUri = start.URI
		}
		for _, o := range t.Vertex.Operators {
			if parts := restores[o.Uid]; parts != nil {
				d.Restore = append(d.Restore, parts[t.ID.Subtask])
			}
		}
		out = append(out, d)
	}
	return out
}

// find returns the state of an operator, nil when the checkpoint has none.
func find(c *meta.Checkpoint, uid string) *protocol.OperatorState {
	if uid == "" {
		return nil
	}
	id := meta.OperatorID(uid)
	for _, o := range c.Operators {
		if string(o.Id) == string(id[:]) {
			return o
		}
	}
	return nil
}

// Restarts is a fixed-delay restart strategy and how much of it is used up.
type Restarts struct {
	Attempts int // 0 = none, -1 = unlimited
	Delay    time.Duration
	Used     int
}

// Next counts a failure and reports whether the job is started again, and after what delay.
func (r *Restarts) Next() (delay time.Duration, again bool) {
	if r.Attempts >= 0 && r.Used >= r.Attempts {
		return 0, false
	}
	r.Used++
	return r.Delay, true
}
