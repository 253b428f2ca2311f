package main

import (
	"context"
	"fmt"
	"os"

	"github.com/leat-io/leat/stream"
)

// job is an environment with a checkpoint directory of its own, which goes with the run.
type job struct {
	*stream.Env
	dir string
}

// benchEnv returns an environment without periodic checkpoints.
func benchEnv(name string) (*job, error) {
	dir, err := os.MkdirTemp("", "leat-bench-")
	if err != nil {
		return nil, err
	}
	env := stream.NewEnv(name)
	env.Set(stream.CheckpointDirectory.Key(), dir)
	env.Set(stream.CheckpointInterval.Key(), "0")
	env.Set(stream.RestartStrategy.Key(), "none")
	return &job{Env: env, dir: dir}, nil
}

// run executes the job to the end of its input.
func (j *job) run(ctx context.Context) (*stream.Result, error) {
	return j.runTo(ctx, "FINISHED")
}

// runUntilStopped executes a job that is stopped from outside.
func (j *job) runUntilStopped(ctx context.Context) (*stream.Result, error) {
	return j.runTo(ctx, "SUSPENDED")
}

// runTo executes the job, which must end with a status.
func (j *job) runTo(ctx context.Context, status string) (*stream.Result, error) {
	defer os.RemoveAll(j.dir)
	result, err := j.Execute(ctx)
	if err != nil {
		return nil, err
	}
	if result.Status != status {
		return nil, fmt.Errorf("the job ended %s, want %s", result.Status, status)
	}
	return result, nil
}
