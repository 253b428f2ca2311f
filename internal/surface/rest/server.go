package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
)

// Server serves jobs. Make it with NewServer; it is an http.Handler.
type Server struct {
	jobs       func() []Job
	clock      clock.Clock
	operations *operations
	group      *lifecycle.Group
	mux        *http.ServeMux
}

// NewServer returns the handlers for the jobs that the function returns when it is called, which
// may be from any goroutine. Operations that were started end when ctx is done or with Close.
func NewServer(ctx context.Context, c clock.Clock, jobs func() []Job) *Server {
	s := &Server{jobs: jobs, clock: c, operations: newOperations(c),
		group: lifecycle.NewGroup(ctx, "rest"), mux: http.NewServeMux()}
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /jobs":                                s.listJobs,
		"GET /jobs/overview":                       s.overview,
		"GET /jobs/{job}":                          s.withJob(s.details),
		"GET /jobs/{job}/status":                   s.withJob(s.status),
		"PATCH /jobs/{job}":                        s.withJob(s.cancel),
		"GET /jobs/{job}/yarn-cancel":              s.withJob(s.cancel),
		"GET /jobs/{job}/checkpoints":              s.withJob(s.checkpoints),
		"GET /jobs/{job}/checkpoints/details/{id}": s.withJob(s.checkpoint),
		"POST /jobs/{job}/savepoints":              s.withJob(s.savepoint),
		"POST /jobs/{job}/stop":                    s.withJob(s.stop),
		"POST /jobs/{job}/checkpoints":             s.withJob(s.triggerCheckpoint),
		"GET /jobs/{job}/savepoints/{trigger}":     s.operation,
		"GET /jobs/{job}/checkpoints/{trigger}":    s.operation,
		"POST /savepoint-disposal":                 s.dispose,
		"GET /savepoint-disposal/{trigger}":        s.operation,
	} {
		s.mux.HandleFunc(pattern, handler)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, fmt.Errorf("not found: %s %s", r.Method, r.URL.Path))
	})
	return s
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/v1/"); ok {
		r.URL.Path = "/" + rest
		r.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, "/v1")
	}
	s.mux.ServeHTTP(w, r)
}

// Settle waits until the clients have heard how all operations ended, but no longer than grace: a
// client that started the end of the job wants to know of it before the process goes.
func (s *Server) Settle(ctx context.Context, grace time.Duration) {
	timer := s.clock.NewTimer(grace)
	defer timer.Stop()
	for {
		settled, changed := s.operations.settled()
		if settled {
			return
		}
		select {
		case <-changed:
		case <-timer.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the operations in progress and returns when they have ended.
func (s *Server) Close() error {
	s.group.Stop()
	return s.group.Wait()
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone when it fails
}

func refuse(w http.ResponseWriter, code int, err error) {
	answer(w, code, Errors{Errors: []string{err.Error()}})
}

// withJob finds the job of the path, by id or by a name that only one has.
func (s *Server) withJob(f func(http.ResponseWriter, *http.Request, Job)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wanted := r.PathValue("job")
		var names []string
		var named []Job
		for _, job := range s.jobs() {
			d := job.Describe()
			if d.ID == wanted {
				f(w, r, job)
				return
			}
			if d.Name == wanted {
				named = append(named, job)
			}
			names = append(names, fmt.Sprintf("%q (%s)", d.Name, d.ID))
		}
		if len(named) == 1 {
			f(w, r, named[0])
			return
		}
		if len(named) > 1 {
			refuse(w, http.StatusConflict, fmt.Errorf("%d jobs have the name %q, use an id; "+
				"running: %s", len(named), wanted, strings.Join(names, ", ")))
			return
		}
		running := "none is running"
		if len(names) > 0 {
			running = "running: " + strings.Join(names, ", ")
		}
		refuse(w, http.StatusNotFound, fmt.Errorf("job %q could not be found; %s", wanted, running))
	}
}

func (s *Server) listJobs(w http.ResponseWriter, _ *http.Request) {
	body := JobIDs{Jobs: []JobIDStatus{}}
	for _, job := range s.jobs() {
		d := job.Describe()
		body.Jobs = append(body.Jobs, JobIDStatus{ID: d.ID, Status: d.Status})
	}
	answer(w, http.StatusOK, body)
}

func (s *Server) overview(w http.ResponseWriter, _ *http.Request) {
	body := JobsOverview{Jobs: []JobOverview{}}
	for _, job := range s.jobs() {
		body.Jobs = append(body.Jobs, overviewOf(job.Describe(), s.clock.Now()))
	}
	answer(w, http.StatusOK, body)
}

func (s *Server) details(w http.ResponseWriter, _ *http.Request, job Job) {
	answer(w, http.StatusOK, detailsOf(job.Describe(), s.clock.Now()))
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request, job Job) {
	answer(w, http.StatusOK, JobStatus{Status: job.Describe().Status})
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request, job Job) {
	if mode := r.URL.Query().Get("mode"); mode != "" && mode != "cancel" {
		refuse(w, http.StatusBadRequest, fmt.Errorf("mode %q: only cancel is possible", mode))
		return
	}
	switch err := job.Cancel(); {
	case errors.Is(err, ErrEnded):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		answer(w, http.StatusAccepted, struct{}{})
	}
}

func (s *Server) checkpoints(w http.ResponseWriter, _ *http.Request, job Job) {
	answer(w, http.StatusOK, statisticsOf(job.Checkpoints()))
}

func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request, job Job) {
	for _, c := range job.Checkpoints() {
		if fmt.Sprint(c.ID) == r.PathValue("id") {
			answer(w, http.StatusOK, checkpointOf(c))
			return
		}
	}
	refuse(w, http.StatusNotFound, fmt.Errorf("could not find checkpoint %s", r.PathValue("id")))
}

// maxBody bounds the body of a request, in bytes.
const maxBody = 1 << 20

// body reads the JSON body of a request into to. An empty body is an empty object; keys that are
// not known come back.
func body(r *http.Request, to any) (unknown []string, err error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil || len(strings.TrimSpace(string(text))) == 0 {
		return nil, err
	}
	var have, known map[string]any
	if err := json.Unmarshal(text, to); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if err := json.Unmarshal(text, &have); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	again, err := json.Marshal(to)
	if err == nil {
		err = json.Unmarshal(again, &known)
	}
	for key := range have {
		if _, ok := known[key]; !ok {
			unknown = append(unknown, key)
		}
	}
	return unknown, err
}

func (s *Server) savepoint(w http.ResponseWriter, r *http.Request, job Job) {
	var t TriggerSavepoint
	unknown, err := body(r, &t)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.start(w, start{id: t.TriggerID, unknown: unknown}, func(ctx context.Context) *Operation {
		location, err := job.Savepoint(ctx, SavepointRequest{
			Directory: t.TargetDirectory, Stop: t.CancelJob, Format: t.FormatType})
		return savepointDone(location, err)
	})
}

func savepointDone(location string, err error) *Operation {
	if err != nil {
		return &Operation{Failure: causeOf(err)}
	}
	return &Operation{Location: location}
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request, job Job) {
	var t TriggerStop
	unknown, err := body(r, &t)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.start(w, start{id: t.TriggerID, unknown: unknown}, func(ctx context.Context) *Operation {
		location, err := job.Savepoint(ctx, SavepointRequest{Directory: t.TargetDirectory,
			Stop: true, Drain: t.Drain, Format: t.FormatType})
		return savepointDone(location, err)
	})
}

func (s *Server) triggerCheckpoint(w http.ResponseWriter, r *http.Request, job Job) {
	var t TriggerCheckpoint
	unknown, err := body(r, &t)
	if err == nil && t.CheckpointType != "" && t.CheckpointType != "FULL" &&
		t.CheckpointType != "INCREMENTAL" && t.CheckpointType != "CONFIGURED" {
		err = fmt.Errorf("checkpointType %q: want CONFIGURED, FULL or INCREMENTAL",
			t.CheckpointType)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.start(w, start{id: t.TriggerID, unknown: unknown}, func(ctx context.Context) *Operation {
		id, err := job.Checkpoint(ctx, t.CheckpointType == "FULL")
		if err != nil {
			return &Operation{FailureCause: causeOf(err)}
		}
		return &Operation{CheckpointID: id}
	})
}

func (s *Server) dispose(w http.ResponseWriter, r *http.Request) {
	var d DisposeSavepoint
	unknown, err := body(r, &d)
	jobs := s.jobs()
	switch {
	case err != nil:
	case d.SavepointPath == "":
		err = errors.New(`"savepoint-path" is missing`)
	case len(jobs) == 0:
		err = ErrEnded
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.start(w, start{unknown: unknown}, func(ctx context.Context) *Operation {
		if err := jobs[0].Dispose(ctx, d.SavepointPath); err != nil {
			return &Operation{Failure: causeOf(err)}
		}
		return &Operation{}
	})
}

func causeOf(err error) *Cause {
	return &Cause{Class: "leat", StackTrace: err.Error()}
}

// start is what is known of an operation that begins.
type start struct {
	id      string   // given by the client, "" for one of ours
	unknown []string // keys of the body that mean nothing
}

// start runs an operation, unless the client repeats itself, and answers with its id.
func (s *Server) start(
	w http.ResponseWriter, at start, run func(ctx context.Context) *Operation,
) {
	if at.id == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		at.id = hex.EncodeToString(id[:])
	}
	if s.operations.begin(at.id) {
		s.group.Go("operation", func(ctx context.Context) error {
			operation := run(ctx)
			for _, key := range at.unknown {
				operation.Warnings = append(operation.Warnings,
					fmt.Sprintf("key %q of the request is unknown and was ignored", key))
			}
			s.operations.end(at.id, operation)
			return nil
		})
	}
	answer(w, http.StatusAccepted, Triggered{RequestID: at.id})
}

// operation answers how far an operation is.
func (s *Server) operation(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("trigger")
	status, ok := s.operations.status(id)
	if !ok {
		refuse(w, http.StatusNotFound,
			fmt.Errorf("operation %q could not be found; results are kept for %v", id, kept))
		return
	}
	answer(w, http.StatusOK, status)
}
