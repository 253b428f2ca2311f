package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/cluster/mini"
	"github.com/leat-io/leat/internal/protocol"
)

// Env collects the graph of a program and runs it. It belongs to the goroutine that builds
// the graph.
type Env struct {
	name     string
	settings config.Settings
	logger   *slog.Logger
	files    *filesystem.Registry

	args        []string
	argsRead    bool
	restoreFrom string
	restoreAt   time.Time
	require     bool
	allowLost   bool
	stop        <-chan struct{}
	progress    func(Progress)
	onStart     []func(*Controller)

	transformations []*transformation
	faults          []error
	executed        bool
}

// NewEnv returns an environment for a job of a name. The name identifies the job's
// checkpoints for ever: two programs must not share one.
func NewEnv(name string) *Env {
	return &Env{
		name:     name,
		settings: config.NewSettings(),
		logger:   slog.New(slog.DiscardHandler),
		files:    filesystem.NewRegistry(local.New(local.Options{})),
	}
}

// Name returns the job's name.
func (e *Env) Name() string { return e.name }

// SetName replaces the job's name.
func (e *Env) SetName(name string) { e.name = name }

// Set gives a configuration key a value, in Flink's spelling: Set("parallelism.default", "4").
// Unknown keys and bad values are reported by Execute.
func (e *Env) Set(key, value string) { e.settings.Set(key, value) }

// Settings returns the configuration collected so far. It is that of the environment, no copy.
func (e *Env) Settings() config.Settings { return e.settings }

// SetParallelism sets the number of subtasks of every operator that does not say otherwise.
func (e *Env) SetParallelism(p int) { e.Set(Parallelism.Key(), fmt.Sprint(p)) }

// SetLogger replaces the logger; the default discards.
func (e *Env) SetLogger(logger *slog.Logger) { e.logger = logger }

// SetFiles replaces the stores that URIs resolve to; the default is the local one.
func (e *Env) SetFiles(files *filesystem.Registry) { e.files = files }

// Files returns the stores that URIs resolve to.
func (e *Env) Files() *filesystem.Registry { return e.files }

// SetArgs replaces the arguments of the program; app.Main gives those that are not Leat's.
func (e *Env) SetArgs(args []string) { e.args = args }

// Args returns the arguments of the program.
func (e *Env) Args() []string {
	e.argsRead = true
	return e.args
}

// UnreadArgs returns the arguments of the program if Args was never called, else nil:
// arguments that nobody looked at must be refused.
func (e *Env) UnreadArgs() []string {
	if e.argsRead {
		return nil
	}
	return e.args
}

// Restore says where the job starts from: "" for a fresh start, "latest" for the newest
// checkpoint under its name, else the directory of a checkpoint or savepoint or its metadata
// file. The configuration key execution.state-recovery.path says it too and gives way.
func (e *Env) Restore(from string) { e.restoreFrom, e.restoreAt = from, time.Time{} }

// RestoreAt starts the job from the newest of its retained checkpoints, and of its savepoints in
// execution.checkpointing.savepoint-dir, that was triggered at or before a time. What is newer
// stays, and what the sinks have committed for it too.
func (e *Env) RestoreAt(at time.Time) { e.restoreFrom, e.restoreAt = "", at }

// Restored reports whether the job was told to start from a checkpoint.
func (e *Env) Restored() bool {
	path, err := RestorePath.Get(e.settings)
	return e.restoreFrom != "" || !e.restoreAt.IsZero() || err == nil && path != ""
}

// RequireState refuses to start empty when Restore("latest") finds no checkpoint.
func (e *Env) RequireState() { e.require = true }

// AllowNonRestoredState accepts a checkpoint with state of operators the job no longer has.
func (e *Env) AllowNonRestoredState() { e.allowLost = true }

// StopOn ends the job cleanly when stop is closed: a last checkpoint is taken and committed,
// and the job can continue from it.
func (e *Env) StopOn(stop <-chan struct{}) { e.stop = stop }

// OnProgress calls f about once a second while the job runs, from one goroutine.
func (e *Env) OnProgress(f func(Progress)) { e.progress = f }

// Progress is a picture of a running job. See the fields of Result for the end.
type Progress struct {
	Status     string // Flink's job status: CREATED, RUNNING, RESTARTING, ...
	RecordsIn  uint64 // emitted by sources since the start of this run
	RecordsOut uint64 // taken by sinks
	// Watermark is the smallest of the sinks' tasks, in milliseconds since the Unix epoch;
	// math.MinInt64 for none yet, math.MaxInt64 at the end of the input.
	Watermark int64
	// LastCheckpoint is the newest completed checkpoint, 0 for none; LastDuration is the time
	// from its trigger to its completion, LastBytes what was written for it.
	LastCheckpoint uint64
	LastDuration   time.Duration
	LastBytes      int64
	Restarts       int           // since the start of this run
	StateBytes     int64         // memory of keyed state, all tasks
	Tasks          []TaskFigures // by vertex and subtask; the last that each reported
}

// TaskFigures is what a task has done since it started. Busy, Idle and Backpressured add up
// to its life: working, waiting for input, waiting for room in a channel.
type TaskFigures struct {
	Name                      string // of the chain of operators
	Subtask, Parallelism      int
	RecordsIn, RecordsOut     uint64
	Busy, Idle, Backpressured time.Duration
	StateBytes                int64 // memory of its keyed state
}

// CheckpointFigures describes a completed checkpoint.
type CheckpointFigures struct {
	ID       uint64
	Duration time.Duration // from trigger to completion
	// Alignment and Pause are the longest of all tasks: waiting for the barrier on all
	// channels, and not handling records while the state version flipped.
	Alignment, Pause time.Duration
	Bytes            int64 // written for this checkpoint
}

// Result says how a job ended.
type Result struct {
	// Status is FINISHED (all input handled, or stopped with a savepoint), CANCELED, SUSPENDED
	// (stopped cleanly, can be continued) or FAILED.
	Status string
	JobID  string // 32 hexadecimal digits
	// Lineage, 8 hexadecimal digits, is shared by a fresh start and all that was restored
	// from it; sinks put it into the names of what they write.
	Lineage    string
	Generation uint64 // fencing number of this run
	Restored   uint64 // the checkpoint it started from, 0 = none
	// Checkpoint is the newest completed checkpoint of this run, or the savepoint that ended
	// it; 0 = none.
	Checkpoint uint64
	// Savepoint is the URI of the savepoint that ended the job, "" for none.
	Savepoint string
	Last      Progress
	// Checkpoints are the completed checkpoints of this run, oldest first, the last 300.
	Checkpoints []CheckpointFigures
	// Counters are the operators' counters summed over subtasks, by "uid.name".
	Counters map[string]uint64
}

// ErrFenced says that another process took over the job of this name: this one stopped and
// committed nothing more.
var ErrFenced error = mini.ErrFenced

// Execute runs the job and returns when it has ended. Cancelling ctx ends the job without a
// checkpoint. The error of a job that another process took over is [ErrFenced]. The result is
// nil when the job was refused before any task ran. It may be called once.
func (e *Env) Execute(ctx context.Context) (*Result, error) {
	if e.executed {
		return nil, errors.New("stream: execute: the environment was executed already")
	}
	e.executed = true
	job, err := e.job()
	if err != nil {
		return nil, fmt.Errorf("stream: build job %q: %w", e.name, err)
	}
	r, err := mini.Run(ctx, *job)
	if err != nil && r != nil && !r.Started {
		return nil, err
	}
	return resultOf(job.Graph, r), err
}

// Plan returns the job graph in a readable form without running anything.
func (e *Env) Plan() (string, error) {
	plan, err := e.translate()
	if err != nil {
		return "", fmt.Errorf("stream: build job %q: %w", e.name, err)
	}
	return plan.dump(), nil
}

func (e *Env) job() (*mini.Job, error) {
	plan, err := e.translate()
	if err != nil {
		return nil, err
	}
	job := &mini.Job{
		Graph: plan.graph, Registry: plan.registry, Name: e.name,
		Settings: e.settings.Map(), Files: e.files, Logger: e.logger, Clock: clock.Real(),
		Restore: e.restoreFrom, RestoreAt: e.restoreAt, RequireState: e.require,
		AllowNonRestored: e.allowLost, Stop: e.stop,
	}
	plan.options.apply(job)
	plan.warn(e.logger)
	for _, f := range e.onStart {
		job.OnStart = append(job.OnStart, func(control *mini.Control) {
			f(&Controller{control: control, graph: plan.graph})
		})
	}
	if e.progress != nil {
		job.Progress = func(p mini.Progress) { e.progress(progressOf(plan.graph, p)) }
	}
	return job, nil
}

func (e *Env) fault(err error) { e.faults = append(e.faults, err) }

func progressOf(g *protocol.JobGraph, p mini.Progress) Progress {
	return Progress{
		Status: p.Status, RecordsIn: p.RecordsIn, RecordsOut: p.RecordsOut,
		Watermark: p.Watermark, LastCheckpoint: p.LastCheckpoint,
		LastDuration: p.LastDuration, LastBytes: p.LastBytes, Restarts: p.Restarts,
		StateBytes: p.StateBytes, Tasks: tasksOf(g, p),
	}
}

func tasksOf(g *protocol.JobGraph, p mini.Progress) []TaskFigures {
	vertices := map[uint32]*protocol.Vertex{}
	for _, v := range g.GetVertices() {
		vertices[v.Id] = v
	}
	tasks := make([]TaskFigures, 0, len(p.Tasks))
	for _, r := range p.Tasks {
		v := vertices[r.Task.GetVertex()]
		tasks = append(tasks, TaskFigures{
			Name: v.GetName(), Subtask: int(r.Task.GetSubtask()),
			Parallelism: int(v.GetParallelism()),
			RecordsIn:   r.RecordsIn, RecordsOut: r.RecordsOut,
			Busy:          time.Duration(r.BusyMillis) * time.Millisecond,
			Idle:          time.Duration(r.IdleMillis) * time.Millisecond,
			Backpressured: time.Duration(r.BackpressuredMillis) * time.Millisecond,
			StateBytes:    r.StateBytes,
		})
	}
	return tasks
}

func checkpointsOf(r *mini.Result) []CheckpointFigures {
	var all []CheckpointFigures
	for _, n := range r.Notes {
		if n.Kind == jobmaster.NoteCheckpointCompleted {
			all = append(all, CheckpointFigures{
				ID: n.Checkpoint, Duration: n.Duration, Alignment: n.Alignment,
				Pause: n.Pause, Bytes: n.StateBytes,
			})
		}
	}
	return all
}

func resultOf(g *protocol.JobGraph, r *mini.Result) *Result {
	if r == nil {
		return nil
	}
	return &Result{
		Status: r.Status, JobID: r.JobID, Lineage: r.Lineage, Generation: r.Generation,
		Restored: r.Restored, Checkpoint: r.Checkpoint, Savepoint: r.Savepoint,
		Last: progressOf(g, r.Final), Counters: r.Counters, Checkpoints: checkpointsOf(r),
	}
}
