package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
)

// Client asks one server. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	base  string
	clock clock.Clock
}

// NewClient returns the client of the server that dial connects to.
func NewClient(c clock.Clock, dial func(ctx context.Context) (net.Conn, error)) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		// Connections to sockets cost nothing, and kept ones would outlive the command.
		DisableKeepAlives: true,
	}
	return &Client{http: &http.Client{Transport: transport}, base: "http://leat", clock: c}
}

// StatusError is an answer that refuses.
type StatusError struct {
	Code    int
	Message string
}

// Error returns the server's words.
func (e *StatusError) Error() string { return e.Message }

// NotFound tells whether err says that a job or operation is unknown.
func NotFound(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}

func (c *Client) call(ctx context.Context, method, path string, body, to any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return unwrapped(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		var refused Errors
		if json.Unmarshal(text, &refused) != nil || len(refused.Errors) == 0 {
			refused.Errors = []string{response.Status}
		}
		return &StatusError{Code: response.StatusCode, Message: strings.Join(refused.Errors, "; ")}
	}
	if to == nil {
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// unwrapped is an error without the URL, which means nothing to a person here.
func unwrapped(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// Overview returns all jobs.
func (c *Client) Overview(ctx context.Context) ([]JobOverview, error) {
	var overview JobsOverview
	err := c.call(ctx, http.MethodGet, "/jobs/overview", nil, &overview)
	return overview.Jobs, err
}

// Details describes a job, given by id or name like everywhere here.
func (c *Client) Details(ctx context.Context, job string) (*JobDetails, error) {
	details := new(JobDetails)
	return details, c.call(ctx, http.MethodGet, "/jobs/"+url.PathEscape(job), nil, details)
}

// Checkpoints returns the checkpoints of a job's run.
func (c *Client) Checkpoints(ctx context.Context, job string) (*CheckpointStatistics, error) {
	s := new(CheckpointStatistics)
	return s, c.call(ctx, http.MethodGet, "/jobs/"+url.PathEscape(job)+"/checkpoints", nil, s)
}

// Cancel ends a job without a checkpoint.
func (c *Client) Cancel(ctx context.Context, job string) error {
	return c.call(ctx, http.MethodPatch, "/jobs/"+url.PathEscape(job)+"?mode=cancel", nil, nil)
}

// Savepoint takes a savepoint, waits for it, and returns where it is.
func (c *Client) Savepoint(
	ctx context.Context, job string, request TriggerSavepoint,
) (*Operation, error) {
	return c.operate(ctx, "/jobs/"+url.PathEscape(job)+"/savepoints", "savepoints", request)
}

// Stop stops a job with a savepoint.
func (c *Client) Stop(ctx context.Context, job string, request TriggerStop) (*Operation, error) {
	return c.operate(ctx, "/jobs/"+url.PathEscape(job)+"/stop", "savepoints", request)
}

// Checkpoint takes a checkpoint.
func (c *Client) Checkpoint(
	ctx context.Context, job string, request TriggerCheckpoint,
) (*Operation, error) {
	return c.operate(ctx, "/jobs/"+url.PathEscape(job)+"/checkpoints", "checkpoints", request)
}

// Dispose removes a savepoint.
func (c *Client) Dispose(ctx context.Context, path string) error {
	_, err := c.operate(ctx, "/savepoint-disposal", "", DisposeSavepoint{SavepointPath: path})
	return err
}

// Between two questions after an operation: at first, and at most.
const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 500 * time.Millisecond
)

// operate starts an operation and asks until it has ended. status is the last but one element of
// the path under which to ask, in place of that of the trigger.
func (c *Client) operate(
	ctx context.Context, trigger, status string, body any,
) (*Operation, error) {
	var triggered Triggered
	if err := c.call(ctx, http.MethodPost, trigger, body, &triggered); err != nil {
		return nil, err
	}
	at := trigger
	if status != "" {
		at = trigger[:strings.LastIndexByte(trigger, '/')+1] + status
	}
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		var now OperationStatus
		if err := c.call(ctx, http.MethodGet, at+"/"+triggered.RequestID, nil, &now); err != nil {
			return nil, err
		}
		if now.Status.ID == "COMPLETED" && now.Operation != nil {
			if failure := now.Operation.failure(); failure != nil {
				return nil, failure
			}
			return now.Operation, nil
		}
		if err := clock.Sleep(ctx, c.clock, wait); err != nil {
			return nil, err
		}
	}
}

// failure is why the operation failed, nil when it did not.
func (o *Operation) failure() error {
	for _, cause := range []*Cause{o.Failure, o.FailureCause} {
		if cause != nil {
			return errors.New(cause.StackTrace)
		}
	}
	return nil
}
