package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/cluster/mini"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

// The configuration keys of an environment.
var (
	Parallelism = config.Int("parallelism.default", 1, 1,
		"Number of subtasks of every operator that does not set its own.")
	MaxParallelism = config.Int("pipeline.max-parallelism", types.KeyGroups, 1,
		"Upper bound of the parallelism. It may be raised later without rewriting state.")
	OperatorChaining = config.Bool("pipeline.operator-chaining.enabled", true,
		"Whether operators that follow each other without an exchange run fused in one task.",
		"pipeline.operator-chaining")
	CheckpointDirectory = config.String("execution.checkpointing.dir", ".leat",
		"Directory of the checkpoints of all jobs, as a path or URI.", "state.checkpoints.dir")
	CheckpointInterval = config.Duration("execution.checkpointing.interval", 10*time.Second,
		"Time from one checkpoint to the next; 0 takes none but the final one.")
	CheckpointTimeout = config.Duration("execution.checkpointing.timeout", 10*time.Minute,
		"A checkpoint not complete after this time is given up.")
	CheckpointMinPause = config.Duration("execution.checkpointing.min-pause", 0,
		"Time from the completion of a checkpoint to the start of the next.")
	CheckpointRetained = config.Int("execution.checkpointing.num-retained", 1, 1,
		"Number of completed checkpoints that are kept.", "state.checkpoints.num-retained")
	TolerableFailures = config.Int("execution.checkpointing.tolerable-failed-checkpoints", 0, 0,
		"How many checkpoints in a row may fail before the job fails.")
	SavepointDirectory = config.String(mini.SavepointDirectoryKey, "",
		"Directory in which savepoints are made that do not say where, as a path or URI.",
		"state.savepoints.dir")
	SavepointInterval = config.Duration("execution.savepoint.interval", 0,
		"Time from one savepoint by schedule to the next; 0 takes none. "+
			"They go to execution.checkpointing.savepoint-dir.",
		"kubernetes.operator.periodic.savepoint.interval")
	SavepointRetainLast = config.Int("execution.savepoint.retain.last", 0, 0,
		"How many of the newest savepoints by schedule stay. When this and the like for hours, "+
			"days and weeks are 0, all do.")
	SavepointRetainHourly = config.Int("execution.savepoint.retain.hourly", 0, 0,
		"For how many hours the newest savepoint by schedule of each stays.")
	SavepointRetainDaily = config.Int("execution.savepoint.retain.daily", 0, 0,
		"For how many days (UTC) the newest savepoint by schedule of each stays.")
	SavepointRetainWeekly = config.Int("execution.savepoint.retain.weekly", 0, 0,
		"For how many weeks (from Monday, UTC) the newest savepoint by schedule of each stays.")
	RestorePath = config.String("execution.state-recovery.path", "",
		"Checkpoint or savepoint to start from: its directory, its _metadata file, or latest.",
		"execution.savepoint.path")
	ClaimMode = config.String("execution.state-recovery.claim-mode", noClaim,
		"Whose the checkpoint or savepoint is that the job was started from: NO_CLAIM leaves it "+
			"to the user, CLAIM lets the job remove it once checkpoints have replaced it.",
		"execution.savepoint-restore-mode")
	IgnoreUnclaimed = config.Bool("execution.state-recovery.ignore-unclaimed-state", false,
		"Accept state of operators that the job no longer has.",
		"execution.savepoint.ignore-unclaimed-state")
	RestartStrategy = config.Choice("restart-strategy.type", "fixed-delay",
		"What happens when a task fails: none (the job fails) or fixed-delay.",
		[]string{"none", "fixed-delay"},
		map[string]string{"off": "none", "disable": "none", "fixeddelay": "fixed-delay"})
	RestartAttempts = config.Int("restart-strategy.fixed-delay.attempts", 3, 1,
		"How often the job is restarted before it fails.")
	RestartDelay = config.Duration("restart-strategy.fixed-delay.delay", time.Second,
		"Time from a failure to the restart.")
	StateBackend = config.Choice("state.backend.type", table.Name,
		"Where keyed state lives: hashmap, the row table in memory, or naive, a reference.",
		[]string{table.Name, naive.Name},
		map[string]string{
			"filesystem": table.Name, "jobmanager": table.Name, "memory": table.Name,
			"memorystatebackend": table.Name, "fsstatebackend": table.Name,
			"hashmapstatebackend": table.Name,
		},
		"state.backend")
)

// runOptions are the settings of a run, read and checked.
type runOptions struct {
	directory                   string
	interval, timeout, minPause time.Duration
	retained, tolerable         int
	restart                     mini.Restart
	backend                     backend.Factory
	parallelism, maxParallelism int
	chaining                    bool

	savepointDirectory string
	savepointInterval  time.Duration
	retention          store.Retention
	restorePath        string
	claim, allowLost   bool
}

// The values of ClaimMode.
const (
	noClaim = "NO_CLAIM"
	claim   = "CLAIM"
)

// claimOf reads a claim mode.
func claimOf(text string) (bool, error) {
	fail := func(cure string) (bool, error) {
		return false, fmt.Errorf("config: read %q = %q: %s", ClaimMode.Key(), text, cure)
	}
	switch strings.ReplaceAll(strings.ToUpper(text), "-", "_") {
	case noClaim:
		return false, nil
	case claim:
		return true, nil
	case "LEGACY":
		return fail("this mode left files behind that nobody owned and is gone from Flink too; " +
			"want NO_CLAIM (the files stay yours) or CLAIM (the job removes them)")
	}
	return fail("want NO_CLAIM or CLAIM")
}

// options reads the settings, reporting all faults at once.
func (e *Env) options() (*runOptions, error) {
	var o runOptions
	r := reader{settings: e.settings, faults: e.settings.Faults()}
	o.directory = get(&r, CheckpointDirectory)
	o.interval = get(&r, CheckpointInterval)
	o.timeout = get(&r, CheckpointTimeout)
	o.minPause = get(&r, CheckpointMinPause)
	o.retained = get(&r, CheckpointRetained)
	o.tolerable = get(&r, TolerableFailures)
	o.parallelism = get(&r, Parallelism)
	o.maxParallelism = get(&r, MaxParallelism)
	o.chaining = get(&r, OperatorChaining)
	e.savepointOptions(&r, &o)
	o.restart = mini.Restart{
		Attempts: get(&r, RestartAttempts), Delay: get(&r, RestartDelay),
	}
	if get(&r, RestartStrategy) == "none" {
		o.restart = mini.Restart{}
	}
	switch name := get(&r, StateBackend); name {
	case naive.Name:
		o.backend = naive.Factory{}
	default:
		o.backend = table.Factory{}
	}
	if o.maxParallelism > types.KeyGroups {
		r.faults = append(r.faults, fmt.Errorf("config: read %q = %d: want at most %d",
			MaxParallelism.Key(), o.maxParallelism, types.KeyGroups))
	}
	return &o, errors.Join(r.faults...)
}

// savepointOptions reads what concerns savepoints and the start from one.
func (e *Env) savepointOptions(r *reader, o *runOptions) {
	o.savepointDirectory = get(r, SavepointDirectory)
	o.savepointInterval = get(r, SavepointInterval)
	o.retention = store.Retention{
		Last: get(r, SavepointRetainLast), Hourly: get(r, SavepointRetainHourly),
		Daily: get(r, SavepointRetainDaily), Weekly: get(r, SavepointRetainWeekly),
	}
	o.restorePath, o.allowLost = get(r, RestorePath), get(r, IgnoreUnclaimed)
	claimed, err := claimOf(get(r, ClaimMode))
	if err != nil {
		r.faults = append(r.faults, err)
	}
	o.claim = claimed
	if o.savepointInterval > 0 && o.savepointDirectory == "" {
		r.faults = append(r.faults, fmt.Errorf("config: read %q = %s: want %q with it",
			SavepointInterval.Key(), config.FormatDuration(o.savepointInterval),
			SavepointDirectory.Key()))
	}
}

func (o *runOptions) apply(job *mini.Job) {
	job.SavepointDirectory, job.SavepointInterval = o.savepointDirectory, o.savepointInterval
	job.SavepointRetention, job.Claim = o.retention, o.claim
	job.AllowNonRestored = job.AllowNonRestored || o.allowLost
	if job.Restore == "" && job.RestoreAt.IsZero() {
		job.Restore = o.restorePath
	}
	job.CheckpointRoot = o.directory
	job.CheckpointInterval, job.CheckpointTimeout = o.interval, o.timeout
	job.CheckpointMinPause, job.Retained = o.minPause, o.retained
	job.TolerableFailures, job.Restart, job.Backend = o.tolerable, o.restart, o.backend
}

// warn says before the start what a person would not want to find out after a failure.
func (p *plan) warn(logger *slog.Logger) {
	if p.options.interval > 0 {
		return
	}
	for _, v := range p.graph.Vertices {
		for _, o := range v.Operators {
			if len(o.Descriptors) == 0 && len(o.OperatorStates) == 0 {
				continue
			}
			logger.Warn("no checkpoints are taken while this job runs: if it is killed or fails, "+
				"all its state is lost and it starts over",
				slog.String("operator", o.Name),
				slog.String("set", CheckpointInterval.Key()+"="+
					config.FormatDuration(CheckpointInterval.Default())))
			return
		}
	}
}

// reader reads options and keeps what is wrong with them.
type reader struct {
	settings config.Settings
	faults   []error
}

// get returns the value of an option, or its default when the value is refused.
func get[T any](r *reader, o config.Option[T]) T {
	v, err := o.Get(r.settings)
	if err != nil {
		return o.Default() // what Faults says of it is among the faults already
	}
	return v
}
