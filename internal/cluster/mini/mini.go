// Package mini runs a job in this process: dispatcher's part, JobMaster and one TaskManager
// as separate roles that exchange only encoded messages.
//
// Main types: [Job], what to run and how; [Result], how it ended. [Run] returns when the
// job has reached a terminal status and nothing of it runs any more.
//
// Semantics: Flink's MiniCluster.
package mini

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
)

// Job is what to run and how.
type Job struct {
	Graph    *protocol.JobGraph
	Registry *operator.Registry
	Name     string
	Settings map[string]string // handed to operators
	Files    *filesystem.Registry
	Backend  backend.Factory
	Logger   *slog.Logger
	Clock    clock.Clock

	// CheckpointRoot is the URI of the directory that holds checkpoints of all jobs.
	CheckpointRoot string
	// Restore is "" for a fresh start, "latest", or the place of a checkpoint or savepoint.
	Restore string
	// RestoreAt, when not zero, starts from the newest checkpoint or savepoint of the job's name
	// triggered at or before that time; Restore is "".
	RestoreAt time.Time
	// Claim makes the checkpoint or savepoint at the place given the job's own: it is removed once
	// checkpoints of the job have replaced it. Without, it stays for ever.
	Claim bool
	// RequireState refuses to start empty when Restore is "latest".
	RequireState bool
	// AllowNonRestored accepts state of operators that the job does not have.
	AllowNonRestored bool
	// CheckpointInterval 0 means no periodic checkpoints; the final one is taken always.
	CheckpointInterval, CheckpointTimeout, CheckpointMinPause time.Duration
	// Retained is the number of completed checkpoints kept, at least 1.
	Retained int
	// TolerableFailures is how many checkpoints in a row may fail before the job does.
	TolerableFailures int
	Restart           Restart

	// SavepointDirectory is where savepoints go that do not say where; "" = nowhere.
	SavepointDirectory string
	// SavepointInterval is the time between savepoints by schedule, 0 = none. SavepointRetention
	// says which of these stay.
	SavepointInterval  time.Duration
	SavepointRetention store.Retention

	// OnStart are called, each in a goroutine of its own, once the first attempt has been deployed.
	// Run waits for them to return.
	OnStart []func(*Control)
	// Stop, when closed, ends the job cleanly: a last checkpoint, its commits, then SUSPENDED.
	Stop <-chan struct{}
	// Progress, when not nil, is called about every ProgressInterval (default 1 s) from one
	// goroutine.
	Progress         func(Progress)
	ProgressInterval time.Duration
}

// Restart is the restart strategy: Attempts 0 is none, else fixed delay.
type Restart struct {
	Attempts int // at most this many restarts over the life of the job; -1 unlimited
	Delay    time.Duration
}

// Progress is a picture of a running job.
type Progress struct {
	Status         string // Flink's job status: RUNNING, RESTARTING, ...
	RecordsIn      uint64 // emitted by sources
	RecordsOut     uint64 // taken by sinks
	Watermark      int64  // milliseconds, smallest over the sinks' tasks; MinInt64 = none
	LastCheckpoint uint64 // 0 = none
	LastDuration   time.Duration
	LastBytes      int64
	Restarts       int
	StateBytes     int64
	Tasks          []*protocol.TaskReport
}

// Result says how a job ended.
type Result struct {
	Status     string // FINISHED, CANCELED, SUSPENDED (stopped cleanly), FAILED
	JobID      string
	Lineage    string
	Generation uint64
	Restored   uint64 // the checkpoint it started from, 0 = none
	// Checkpoint is the newest completed checkpoint of this run, or the savepoint that ended it;
	// 0 = none.
	Checkpoint uint64
	// Savepoint is the URI of the savepoint that ended the job, "" = none did.
	Savepoint string
	Started   bool // false: it failed before any task was deployed
	Final     Progress
	Counters  map[string]uint64 // summed over tasks, "uid.name"
	Notes     []jobmaster.Note  // the master's last decisions, oldest first
}

// ErrFenced says that another process took over the job's name.
var ErrFenced = errors.New("the job was taken over by another process of its name")

// Run runs a job to its end. Cancelling ctx cancels the job without a checkpoint. The error
// is the failure cause of a FAILED job; a fenced job fails with ErrFenced.
func Run(ctx context.Context, job Job) (*Result, error) { return run(ctx, job) }
