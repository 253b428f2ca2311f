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

// run executes the job to its end.
func (j *job) run(ctx context.Context) (*stream.Result, error) {
	defer os.RemoveAll(j.dir)
	result, err := j.Execute(ctx)
	if err != nil {
		return nil, err
	}
	if result.Status != "FINISHED" {
		return nil, fmt.Errorf("job %s", result.Status)
	}
	return result, nil
}

// runUntilStopped executes a job that is stopped from outside.
func (j *job) runUntilStopped(ctx context.Context) (*stream.Result, error) {
	defer os.RemoveAll(j.dir)
	result, err := j.Execute(ctx)
	if err != nil {
		return nil, err
	}
	if result.Status != "SUSPENDED" {
		return nil, fmt.Errorf("job %s", result.Status)
	}
	return result, nil
}
