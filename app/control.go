package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/sockets"
	"github.com/leat-io/leat/internal/surface/rest"
	"github.com/leat-io/leat/stream"
)

// ControlSocket says whether the leat command can find the job.
var ControlSocket = config.Bool("rest.control-socket.enabled", true,
	"Whether the job opens a socket, for its user only, by which the leat command finds it "+
		"on this machine.")

// settleTime is how long the end of the program waits for those who asked for the end of the job
// to hear of it; without anybody waiting it does not wait. headerTime bounds the reading of the
// head of a request.
const (
	settleTime = 2 * time.Second
	headerTime = 10 * time.Second
)

// openControl lets the leat command speak to the job once it runs. What goes wrong is noted and
// hinders nothing. opened, if not nil, is called when the socket is there, or never will be.
func openControl(env *stream.Env, note func(text string), opened func()) {
	if opened == nil {
		opened = func() {}
	}
	if enabled, err := ControlSocket.Get(env.Settings()); err == nil && !enabled {
		return
	}
	env.OnStart(func(c *stream.Controller) {
		if err := serveControl(env, c, opened); err != nil {
			note(fmt.Sprintf("no control socket, the leat command does not find this job: %v", err))
		}
	})
}

// serveControl serves the socket of a job until the job has ended.
func serveControl(env *stream.Env, c *stream.Controller, opened func()) error {
	ctx := context.Background()
	dir := sockets.Directory("leat")
	listener, err := sockets.Listen(dir, c.JobID())
	opened()
	if err != nil {
		return err
	}
	sockets.Sweep(ctx, dir)
	job := &controlled{controller: c, started: time.Now(), directory: checkpointRoot(env)}
	handlers := rest.NewServer(ctx, clock.Real(), func() []rest.Job { return []rest.Job{job} })
	server := &http.Server{Handler: handlers, ReadHeaderTimeout: headerTime}
	group := lifecycle.NewGroup(ctx, "control socket")
	group.Go("serve", func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	<-c.Done()
	handlers.Settle(ctx, settleTime)
	// Shutdown and not Close: an answer being written is the one that somebody waits for.
	ending, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return errors.Join(server.Shutdown(ending), server.Close(), listener.Close(),
		handlers.Close(), group.Wait())
}

// checkpointRoot is the URI of the directory of checkpoints.
func checkpointRoot(env *stream.Env) string {
	dir, err := stream.CheckpointDirectory.Get(env.Settings())
	if err != nil {
		return ""
	}
	files, path, err := env.Files().Resolve(dir)
	switch {
	case err != nil:
		return dir
	case files.Scheme() == "file":
		return "file://" + path
	}
	return files.Scheme() + ":/" + path
}

// controlled is a job as the handlers see it.
type controlled struct {
	controller *stream.Controller
	started    time.Time
	directory  string
}

var _ rest.Job = (*controlled)(nil)

// Describe returns a picture of the job.
func (j *controlled) Describe() rest.Description {
	p := j.controller.Progress()
	d := rest.Description{
		ID: j.controller.JobID(), Name: j.controller.JobName(), Status: p.Status,
		Started: j.started, Directory: j.directory, Process: os.Getpid(),
		RecordsIn: p.RecordsIn, RecordsOut: p.RecordsOut, Watermark: p.Watermark,
		Restarts: p.Restarts, StateBytes: p.StateBytes,
	}
	for _, t := range p.Tasks {
		d.Tasks = append(d.Tasks, rest.TaskDescription{
			Vertex: t.Name, Subtask: t.Subtask, Parallelism: t.Parallelism,
			RecordsIn: t.RecordsIn, RecordsOut: t.RecordsOut, Busy: t.Busy, Idle: t.Idle,
			Backpressured: t.Backpressured, StateBytes: t.StateBytes,
		})
	}
	return d
}

// Checkpoints returns the checkpoints of this run, newest first.
func (j *controlled) Checkpoints() []rest.CheckpointRecord {
	all := j.controller.Checkpoints()
	records := make([]rest.CheckpointRecord, len(all))
	for i, c := range all {
		records[len(all)-1-i] = rest.CheckpointRecord{
			ID: c.ID, Savepoint: c.Kind == "savepoint" || c.Kind == "stop-with-savepoint",
			Status: c.Status, Trigger: c.Triggered, Duration: c.Duration, Bytes: c.Bytes,
			Path: c.Path, Failure: c.Failure,
		}
	}
	return records
}

// Savepoint takes a savepoint.
func (j *controlled) Savepoint(ctx context.Context, r rest.SavepointRequest) (string, error) {
	taken, err := j.controller.Savepoint(ctx, stream.SavepointOptions{
		Directory: r.Directory, Stop: r.Stop, Drain: r.Drain, Format: r.Format,
	})
	return taken.Path, err
}

// Checkpoint takes a checkpoint.
func (j *controlled) Checkpoint(ctx context.Context, full bool) (uint64, error) {
	taken, err := j.controller.Checkpoint(ctx, stream.CheckpointOptions{Full: full})
	return taken.Checkpoint, err
}

// Cancel ends the job.
func (j *controlled) Cancel() error {
	if err := j.controller.Cancel(); errors.Is(err, stream.ErrEnded) {
		return rest.ErrEnded
	} else if err != nil {
		return err
	}
	return nil
}

// Dispose removes a savepoint.
func (j *controlled) Dispose(ctx context.Context, path string) error {
	return j.controller.Dispose(ctx, path)
}
