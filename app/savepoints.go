package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/stream"
)

// SavepointOnDeletion makes SIGTERM, by which a job is taken away, stop it with a savepoint.
var SavepointOnDeletion = config.Bool("job.savepoint-on-deletion", false,
	"Whether SIGTERM stops the job with a savepoint, in execution.checkpointing.savepoint-dir, "+
		"instead of a last checkpoint.",
	"kubernetes.operator.job.savepoint-on-deletion")

// savepoints takes those that signals ask for. Safe for concurrent use.
type savepoints struct {
	note       func(text string)
	controller chan *stream.Controller // has room for the one that comes when the job runs
}

// startPatience is how long a signal waits for a job that is about to run.
const startPatience = 2 * time.Second

// running returns the controller of the job, nil when it does not run yet.
func (s *savepoints) running(ctx context.Context) *stream.Controller {
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	select {
	case c := <-s.controller:
		s.controller <- c
		return c
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// serve takes one savepoint per signal, one after the other, until ctx is done.
func (s *savepoints) serve(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			s.take(ctx, stream.SavepointOptions{})
		}
	}
}

// take says how it went and reports whether the savepoint is complete.
func (s *savepoints) take(ctx context.Context, o stream.SavepointOptions) bool {
	c := s.running(ctx)
	if c == nil {
		s.note("no savepoint: the job does not run yet")
		return false
	}
	taken, err := c.Savepoint(ctx, o)
	switch {
	case err == nil:
		s.note("savepoint completed: " + taken.Path)
	case errors.Is(err, stream.ErrEnded) || ctx.Err() != nil:
		return true // How the job ended is told elsewhere.
	default:
		s.note(err.Error())
	}
	return err == nil
}

// onDeletion reports whether SIGTERM is to take a savepoint.
func onDeletion(env *stream.Env) (bool, error) {
	wanted, err := SavepointOnDeletion.Get(env.Settings())
	if err != nil || !wanted {
		return false, err
	}
	directory, err := stream.SavepointDirectory.Get(env.Settings())
	if err == nil && directory == "" {
		err = fmt.Errorf("config: read %q = true: want %q with it",
			SavepointOnDeletion.Key(), stream.SavepointDirectory.Key())
	}
	return true, err
}
