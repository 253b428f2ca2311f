package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// fakeJob is a job that does what it is told to.
type fakeJob struct {
	name      string
	savepoint func(ctx context.Context, r SavepointRequest) (string, error)
	canceled  error
}

func (j *fakeJob) Describe() Description {
	return Description{
		ID: fmt.Sprintf("%032x", len(j.name)), Name: j.name, Status: "RUNNING",
		Started: time.UnixMilli(1_000), Watermark: math.MinInt64, Process: 7,
		Tasks: []TaskDescription{
			{Vertex: "a -> b", Subtask: 0, Parallelism: 2, RecordsIn: 3, Busy: time.Second},
			{Vertex: "a -> b", Subtask: 1, Parallelism: 2, RecordsIn: 4},
		},
	}
}

func (j *fakeJob) Checkpoints() []CheckpointRecord {
	return []CheckpointRecord{
		{ID: 3, Status: "IN_PROGRESS", Trigger: time.UnixMilli(5_000)},
		{ID: 2, Status: "FAILED", Trigger: time.UnixMilli(4_000), Failure: "disk full"},
		{ID: 1, Status: "COMPLETED", Trigger: time.UnixMilli(3_000), Bytes: 10, Path: "file:///c",
			Duration: 20 * time.Millisecond},
	}
}

func (j *fakeJob) Savepoint(ctx context.Context, r SavepointRequest) (string, error) {
	return j.savepoint(ctx, r)
}

func (j *fakeJob) Checkpoint(_ context.Context, full bool) (uint64, error) {
	if full {
		return 0, errors.New("disk full")
	}
	return 9, nil
}

func (j *fakeJob) Cancel() error { return j.canceled }

func (j *fakeJob) Dispose(_ context.Context, path string) error {
	if path != "file:///sp" {
		return errors.New("it is not a savepoint")
	}
	return nil
}

// serve returns a server of jobs and a client of it.
func serve(t *testing.T, c clock.Clock, jobs ...Job) (*Server, *Client) {
	server := NewServer(context.Background(), c, func() []Job { return jobs })
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		web.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	address := web.Listener.Addr().String()
	return server, NewClient(clock.Real(), func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	})
}

// Goal: a job is found by id and by name, an unknown one is refused with the names there are.
// Method: two jobs.
func TestFind(t *testing.T) {
	_, client := serve(t, clock.Real(), &fakeJob{name: "a"}, &fakeJob{name: "b/ü c"})
	for _, job := range []string{"b/ü c", fmt.Sprintf("%032x", len("b/ü c"))} {
		details, err := client.Details(t.Context(), job)
		if err != nil || details.Name != "b/ü c" {
			t.Errorf("%q: %+v, %v", job, details, err)
		}
	}
	_, err := client.Details(t.Context(), "nope")
	if !NotFound(err) || !strings.Contains(err.Error(), `"a" (`) ||
		!strings.Contains(err.Error(), `"b/ü c" (`) {
		t.Errorf("unknown job: %v", err)
	}
	overview, err := client.Overview(t.Context())
	if err != nil || len(overview) != 2 || overview[0].Tasks.Running != 2 {
		t.Errorf("overview %+v, %v", overview, err)
	}
}

// Goal: a name that two jobs have is refused with their ids. Method: two jobs.
func TestFindTwoOfOneName(t *testing.T) {
	_, client := serve(t, clock.Real(), &fakeJob{name: "a"}, &fakeJob{name: "a"})
	_, err := client.Details(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), `2 jobs have the name "a", use an id`) ||
		strings.Count(err.Error(), "00000001") != 2 {
		t.Errorf("two of one name: %v", err)
	}
}

// Goal: a savepoint is taken and asked for, failures are told, and a repeated trigger id starts
// nothing again. Method: a job whose savepoint waits until it is allowed to end.
func TestOperations(t *testing.T) {
	var requests []SavepointRequest
	allowed := make(chan struct{})
	job := &fakeJob{name: "a"}
	job.savepoint = func(ctx context.Context, r SavepointRequest) (string, error) {
		requests = append(requests, r)
		select {
		case <-allowed:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if r.Directory == "full" {
			return "", errors.New("no space left")
		}
		return "file:///sp", nil
	}
	server, client := serve(t, clock.Real(), job)
	trigger := TriggerStop{TargetDirectory: "d", Drain: true, TriggerID: "t"}
	for range 2 {
		var answered Triggered
		if err := client.call(t.Context(), "POST", "/v1/jobs/a/stop", trigger, &answered); err !=
			nil || answered.RequestID != "t" {
			t.Fatalf("trigger: %+v, %v", answered, err)
		}
	}
	var now OperationStatus
	err := client.call(t.Context(), "GET", "/jobs/a/savepoints/t", nil, &now)
	if err != nil || now.Status.ID != "IN_PROGRESS" || now.Operation != nil {
		t.Errorf("while in progress: %+v, %v", now, err)
	}
	close(allowed)
	done, err := client.Stop(t.Context(), "a", trigger)
	if err != nil || done.Location != "file:///sp" {
		t.Errorf("stop: %+v, %v", done, err)
	}
	want := []SavepointRequest{{Directory: "d", Stop: true, Drain: true}}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Error(diff)
	}
	server.Settle(t.Context(), time.Hour) // all was asked for: at once
	_, err = client.Savepoint(t.Context(), "a", TriggerSavepoint{TargetDirectory: "full"})
	if err == nil || err.Error() != "no space left" {
		t.Errorf("failure: %v", err)
	}
	if done, err := client.Checkpoint(t.Context(), "a", TriggerCheckpoint{}); err != nil ||
		done.CheckpointID != 9 {
		t.Errorf("checkpoint: %+v, %v", done, err)
	}
	_, err = client.Checkpoint(t.Context(), "a", TriggerCheckpoint{CheckpointType: "FULL"})
	if err == nil || err.Error() != "disk full" {
		t.Errorf("full checkpoint: %v", err)
	}
	if err := client.Dispose(t.Context(), "file:///sp"); err != nil {
		t.Error(err)
	}
	if err := client.Dispose(t.Context(), "other"); err == nil {
		t.Error("something else was disposed of")
	}
	if err := client.call(t.Context(), "GET", "/jobs/a/savepoints/u", nil, nil); !NotFound(err) {
		t.Errorf("unknown operation: %v", err)
	}
}

// Goal: the end of a process waits for clients to hear, and not for ever. Method: an operation
// nobody asks for, on a manual clock.
func TestSettle(t *testing.T) {
	manual := clock.NewManual(time.UnixMilli(0))
	ended := make(chan struct{})
	job := &fakeJob{name: "a"}
	job.savepoint = func(context.Context, SavepointRequest) (string, error) {
		close(ended)
		return "", nil
	}
	server, client := serve(t, manual, job)
	if err := client.call(t.Context(), "POST", "/jobs/a/savepoints", nil, nil); err != nil {
		t.Fatal(err)
	}
	<-ended
	settled := make(chan struct{})
	server.group.Go("settle", func(ctx context.Context) error {
		defer close(settled)
		server.Settle(ctx, time.Second)
		return nil
	})
	manual.AwaitTimers(1)
	select {
	case <-settled:
		t.Error("settled, and nobody has heard")
	default:
	}
	manual.Advance(time.Second)
	<-settled
}

// Goal: what is wrong is refused with Flink's codes. Method: a table of requests.
func TestRefusals(t *testing.T) {
	server := NewServer(context.Background(), clock.Real(), func() []Job {
		return []Job{&fakeJob{name: "a", canceled: ErrEnded}}
	})
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"PATCH", "/jobs/a?mode=stop", "", 400},
		{"PATCH", "/jobs/a?mode=cancel", "", 409},
		{"PATCH", "/jobs/b?mode=cancel", "", 404},
		{"POST", "/jobs/a/savepoints", "{", 400},
		{"POST", "/jobs/a/checkpoints", `{"checkpointType":"HALF"}`, 400},
		{"POST", "/savepoint-disposal", "{}", 400},
		{"GET", "/nothing", "", 404},
		{"GET", "/jobs/a/checkpoints/details/77", "", 404},
	} {
		request := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		response := httptest.NewRecorder()
		server.ServeHTTP(response, request)
		var refused Errors
		err := json.Unmarshal(response.Body.Bytes(), &refused)
		if response.Code != c.code || err != nil || len(refused.Errors) != 1 {
			t.Errorf("%s %s: %d %+v %v, want %d", c.method, c.path, response.Code, refused, err,
				c.code)
		}
	}
}

// Goal: an unknown key in a request is taken with a warning. Method: the key that Flink's
// documentation does not have.
func TestUnknownKey(t *testing.T) {
	job := &fakeJob{name: "a"}
	job.savepoint = func(context.Context, SavepointRequest) (string, error) { return "x", nil }
	_, client := serve(t, clock.Real(), job)
	done, err := client.operate(t.Context(), "/jobs/a/savepoints", "savepoints",
		map[string]any{"savepoint": "s3://x", "triggerId": "t"})
	if err != nil || len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "savepoint") {
		t.Errorf("%+v, %v", done, err)
	}
}

// Goal: no number is null, every field is there. Method: decode a job's messages into maps.
func TestBodies(t *testing.T) {
	server, _ := serve(t, clock.NewManual(time.UnixMilli(9_000)), &fakeJob{name: "a"})
	get := func(path string) map[string]any {
		response := httptest.NewRecorder()
		server.ServeHTTP(response, httptest.NewRequest(http.MethodGet, path, nil))
		text, _ := io.ReadAll(response.Body)
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil || response.Code != 200 {
			t.Fatalf("%s: %d %s %v", path, response.Code, text, err)
		}
		return body
	}
	details := get("/jobs/a")
	if details["duration"] != 8000.0 || details["end-time"] != -1.0 || details["watermark"] != nil {
		t.Errorf("details %v", details)
	}
	vertex := details["vertices"].([]any)[0].(map[string]any)
	if metrics := vertex["metrics"].(map[string]any); metrics["read-records"] != 7.0 {
		t.Errorf("vertex %v", vertex)
	}
	statistics := get("/jobs/a/checkpoints")
	counts := map[string]any{"restored": 0.0, "total": 3.0, "in_progress": 1.0, "completed": 1.0,
		"failed": 1.0}
	if diff := cmp.Diff(counts, statistics["counts"]); diff != "" {
		t.Error(diff)
	}
	if one := get("/jobs/a/checkpoints/details/2"); one["className"] != "failed" ||
		one["failure_message"] != "disk full" {
		t.Errorf("checkpoint %v", one)
	}
}
