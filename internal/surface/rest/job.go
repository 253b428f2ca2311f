package rest

import (
	"context"
	"errors"
	"time"
)

// Job is a running job, or one that has ended a moment ago. It is safe for concurrent use.
type Job interface {
	// Describe returns a picture of the job.
	Describe() Description
	// Checkpoints returns the checkpoints of this run, newest first, as many as are remembered.
	Checkpoints() []CheckpointRecord
	// Savepoint takes a savepoint and returns where it is.
	Savepoint(ctx context.Context, request SavepointRequest) (location string, err error)
	// Checkpoint takes a checkpoint and returns its id.
	Checkpoint(ctx context.Context, full bool) (id uint64, err error)
	// Cancel ends the job without a checkpoint. ErrEnded: it has ended before.
	Cancel() error
	// Dispose removes a savepoint.
	Dispose(ctx context.Context, path string) error
}

// ErrEnded: the job has ended, so that nothing can be asked of it any more.
var ErrEnded = errors.New("the job has ended")

// Description is a picture of a job.
type Description struct {
	ID   string // 32 hexadecimal digits
	Name string
	// Status is Flink's job status.
	Status  string
	Started time.Time
	// Directory is the URI of the root of the checkpoints; Host and Process say where it runs.
	Directory     string
	Process       int
	Parallelism   int
	RecordsIn     uint64
	RecordsOut    uint64
	Watermark     int64 // milliseconds; math.MinInt64 for none
	Restarts      int
	StateBytes    int64
	Tasks         []TaskDescription
	MaxParallel   int
	EngineVersion string
}

// TaskDescription is one subtask.
type TaskDescription struct {
	Vertex                    string // name of the chain of operators
	Subtask, Parallelism      int
	RecordsIn, RecordsOut     uint64
	Busy, Idle, Backpressured time.Duration
	StateBytes                int64
}

// SavepointRequest says what savepoint to take.
type SavepointRequest struct {
	Directory   string // of the new savepoint's directory; "" for the configured one
	Stop, Drain bool   // end the job with it; let it finish as at the end of its input first
	Format      string // "CANONICAL" or "NATIVE"; "" for the default
}

// CheckpointRecord describes one checkpoint of a run.
type CheckpointRecord struct {
	ID        uint64
	Savepoint bool
	Status    string // IN_PROGRESS, COMPLETED, FAILED
	Trigger   time.Time
	Duration  time.Duration
	Bytes     int64  // written for it
	Path      string // "" while in progress
	Failure   string
}
