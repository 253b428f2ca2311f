package mini_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// held is a source of 500 numbers that stops at number 250, and a function that lets it go.
func held() (source *numbers, release func()) {
	source = &numbers{splits: 5, perSplit: 100, holdAt: 250, hold: make(chan struct{})}
	return source, sync.OnceFunc(func() { close(source.hold) })
}

// Goal: after the failure of a task the job goes on from its newest checkpoint and the output
// is complete and without doubles. Method: let the source wait for the first commit, then fail
// once in user code, by error and by panic, at parallelism 1, 2, 4.
func TestRestart(t *testing.T) {
	for _, p := range []int{1, 2, 4} {
		for _, panics := range []bool{false, true} {
			t.Run(fmt.Sprintf("parallelism %d panics %v", p, panics), func(t *testing.T) {
				source, release := held()
				sink := &ledger{onCommit: func(uint64) error { release(); return nil }}
				j := newJob(t, newStore(), source, sink)
				j.env.SetParallelism(p)
				j.env.Set("execution.checkpointing.interval", "5 ms")
				j.env.Set("restart-strategy.type", "fixed-delay")
				j.env.Set("restart-strategy.fixed-delay.delay", "1 ms")
				var failed atomic.Bool
				j.look = func(i item) (item, error) {
					if i.Number < 350 || failed.Swap(true) {
						return i, nil
					}
					if panics {
						panic("planted")
					}
					return i, errors.New("planted")
				}
				r, err := j.build().env.Execute(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != "FINISHED" || r.Last.Restarts != 1 {
					t.Errorf("status %s after %d restarts", r.Status, r.Last.Restarts)
				}
				j.checkRows(t, 500)
			})
		}
	}
}

// Goal: without a restart left the job fails with the cause, in the domain it had. Method:
// fail always, with no restart strategy and with two restarts.
func TestFailure(t *testing.T) {
	for _, restarts := range []int{0, 2} {
		source, sink := &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{}
		j := newJob(t, newStore(), source, sink)
		if restarts > 0 {
			j.env.Set("restart-strategy.type", "fixed-delay")
			j.env.Set("restart-strategy.fixed-delay.attempts", fmt.Sprint(restarts))
			j.env.Set("restart-strategy.fixed-delay.delay", "1 ms")
		}
		j.look = func(item) (item, error) { return item{}, errors.New("planted \xff") }
		r, err := j.build().env.Execute(t.Context())
		if err == nil || !strings.Contains(err.Error(), "planted") {
			t.Fatalf("error %v, want the planted one", err)
		}
		if got := fault.DomainOf(err); got != fault.DomainUser {
			t.Errorf("domain %v, want user", got)
		}
		if r.Status != "FAILED" || r.Last.Restarts != restarts || len(sink.commits) > 0 {
			t.Errorf("status %s, %d restarts, commits %v", r.Status, r.Last.Restarts, sink.commits)
		}
	}
}

// Goal: an error, or panic, of user code on closing does not start a job again whose work is
// all committed, and is told. Method: fail each time a writer is closed.
func TestCloseFails(t *testing.T) {
	for _, panics := range []bool{false, true} {
		sink := &ledger{onClose: func() error {
			if panics {
				panic("planted on closing")
			}
			return errors.New("planted on closing")
		}}
		j := newJob(t, newStore(), &numbers{splits: 5, perSplit: 100, holdAt: -1}, sink)
		j.env.SetParallelism(2)
		j.env.Set("restart-strategy.type", "fixed-delay")
		r, err := j.build().env.Execute(t.Context())
		if err != nil || r.Status != "FINISHED" || r.Last.Restarts != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		j.checkRows(t, 500)
		for _, part := range []string{"level=WARN", "closing failed", "planted on closing"} {
			if !j.log.says(part) {
				t.Errorf("the log does not say %q", part)
			}
		}
	}
}

// stopHeld runs the job until the sink has seen records, then stops it with a checkpoint.
func stopHeld(t *testing.T, files *filesystem.Registry, sink *ledger, p int) *stream.Result {
	t.Helper()
	source, _ := held()
	j := newJob(t, files, source, sink)
	j.env.SetParallelism(p)
	stop := make(chan struct{})
	sink.written = stop
	j.env.StopOn(stop)
	r, err := j.build().env.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "SUSPENDED" || r.Checkpoint == 0 {
		t.Fatalf("stopped with %+v", r)
	}
	return r
}

// Goal: a stopped job continues where it was, at any parallelism, and the output of both runs
// together is exact. Method: stop while the source waits, resume from the newest checkpoint,
// for pairs of parallelisms.
func TestStopAndResume(t *testing.T) {
	for _, p := range [][2]int{{1, 1}, {1, 2}, {2, 4}, {4, 2}, {4, 1}, {3, 2}} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			files, sink := newStore(), &ledger{}
			first := stopHeld(t, files, sink, p[0])
			source, release := held()
			release()
			j := newJob(t, files, source, sink)
			j.env.SetParallelism(p[1])
			j.env.Restore("latest")
			j.env.RequireState()
			r, err := j.build().env.Execute(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != "FINISHED" || r.Restored != first.Checkpoint ||
				r.JobID != first.JobID || r.Lineage != first.Lineage ||
				r.Generation <= first.Generation || r.Checkpoint <= first.Checkpoint {
				t.Errorf("first run %+v, second %+v", first, r)
			}
			j.checkRows(t, 500)
		})
	}
}

// Goal: a finished job that is started again from its checkpoint finishes without output.
// Method: run twice.
func TestResumeFinished(t *testing.T) {
	files, sink := newStore(), &ledger{}
	for range 2 {
		j := newJob(t, files, &numbers{splits: 5, perSplit: 100, holdAt: -1}, sink)
		j.env.Restore("latest")
		if r, err := j.build().env.Execute(t.Context()); err != nil || r.Status != "FINISHED" {
			t.Fatalf("%+v, %v", r, err)
		}
		j.checkRows(t, 500)
	}
}

// Goal: a fresh start under a used name opens a new lineage and leaves the old checkpoint,
// which can still be restored from by its place. Method: stop, start fresh, resume the first
// by path.
func TestNewLineage(t *testing.T) {
	files, sink, other := newStore(), &ledger{}, &ledger{}
	first := stopHeld(t, files, sink, 2)
	j := newJob(t, files, &numbers{splits: 5, perSplit: 100, holdAt: -1}, other)
	r, err := j.build().env.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !j.log.says("starting a new lineage") {
		t.Error("the log does not tell of a new lineage")
	}
	if r.JobID == first.JobID || r.Lineage == first.Lineage || r.Checkpoint <= first.Checkpoint {
		t.Errorf("first run %+v, fresh one %+v", first, r)
	}
	j.checkRows(t, 500)
	source, release := held()
	release()
	j = newJob(t, files, source, sink)
	j.env.Restore(fmt.Sprintf("mem://test/checkpoints/%s/chk-%d", first.JobID, first.Checkpoint))
	if r, err = j.build().env.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.Restored != first.Checkpoint || r.Lineage != first.Lineage {
		t.Errorf("first run %+v, its continuation %+v", first, r)
	}
	j.checkRows(t, 500)
}

// Goal: of two masters of one name one goes on, the other stops with ErrFenced, commits
// nothing more and deletes nothing. Method: start the second when the first has committed;
// the output of both is exact, and what they leave can be restored from.
func TestTwoMasters(t *testing.T) {
	t.Run("mem", func(t *testing.T) { twoMasters(t, newStore()) })
	t.Run("local", func(t *testing.T) {
		t.Chdir(t.TempDir())
		twoMasters(t, filesystem.NewRegistry(local.New(local.Options{})))
	})
}

func twoMasters(t *testing.T, files *filesystem.Registry) {
	t.Helper()
	sink := &ledger{}
	committed := make(chan struct{})
	sink.onCommit = func() func(uint64) error {
		once := sync.OnceFunc(func() { close(committed) })
		return func(uint64) error { once(); return nil }
	}()
	source, _ := held()
	slow := newJob(t, files, source, sink)
	slow.env.Set("execution.checkpointing.interval", "5 ms")
	slow.build()
	group := lifecycle.NewGroup(t.Context(), "test")
	var slowErr error
	group.Go("first master", func(ctx context.Context) error {
		_, slowErr = slow.env.Execute(ctx)
		return nil
	})
	<-committed
	next := func() {
		j := newJob(t, files, &numbers{splits: 5, perSplit: 100, holdAt: -1}, sink)
		j.env.Restore("latest")
		j.env.RequireState()
		if _, err := j.build().env.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
		j.checkRows(t, 500)
	}
	next()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(slowErr, stream.ErrFenced) {
		t.Errorf("first master ended with %v, want ErrFenced", slowErr)
	}
	next()
}

// textCounter declares the state of counter with another type.
type textCounter struct{ count state.Value[string] }

func (c *textCounter) Open(d *state.Declarations) error {
	c.count = state.DeclareValue[string](d, "count")
	return nil
}

func (c *textCounter) Process(
	*stream.Context[int64], item, stream.Collector[counted],
) error {
	return nil
}

// Goal: a checkpoint whose state was declared with another type is refused before any task
// runs, by a message that names operator, state and both types. Method: resume with a
// function that declares text; resume rightly afterwards.
func TestWrongStateType(t *testing.T) {
	files, sink := newStore(), &ledger{}
	stopHeld(t, files, sink, 2)
	source, release := held()
	release()
	j := newJob(t, files, source, sink)
	j.env.Restore("latest")
	ran := false
	items := stream.TryMap(stream.From[item](j.env, "numbers", j.source),
		func(i item) (item, error) { ran = true; return i, nil })
	keyed := stream.KeyBy(items, func(i item) int64 { return i.Key })
	stream.SinkTo(stream.Process[int64, item, counted](keyed, "counter",
		func() stream.KeyedProcessFunction[int64, item, counted] { return &textCounter{} }),
		"ledger", j.sink)
	r, err := j.env.Execute(t.Context())
	if err == nil || r != nil || ran {
		t.Fatalf("error %v, result %v, ran %v", err, r, ran)
	}
	for _, part := range []string{`"counter"`, `"count"`, "BIGINT", "STRING", "new uid"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not contain %s", err, part)
		}
	}
	j = newJob(t, files, source, sink)
	j.env.Restore("latest")
	if _, err := j.build().env.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.checkRows(t, 500)
}

// Goal: "latest" without a checkpoint starts empty unless state is required. Method: both.
func TestRequireState(t *testing.T) {
	source, sink := &numbers{splits: 5, perSplit: 100, holdAt: -1}, &ledger{}
	j := newJob(t, newStore(), source, sink)
	j.env.Restore("latest")
	j.env.RequireState()
	if _, err := j.build().env.Execute(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "state is required") {
		t.Errorf("error %v, want a refusal", err)
	}
	j = newJob(t, newStore(), source, sink)
	j.env.Restore("latest")
	if _, err := j.build().env.Execute(t.Context()); err != nil {
		t.Error(err)
	}
	j.checkRows(t, 500)
	if !j.log.says("job starts empty") {
		t.Error("the log does not tell that the job starts empty")
	}
}

// Goal: cancelling ends the job without another checkpoint, wherever it is. Method: cancel
// while the source waits, and before the start.
func TestCancel(t *testing.T) {
	for _, early := range []bool{false, true} {
		source, _ := held()
		ctx, cancel := context.WithCancel(t.Context())
		sink := &ledger{}
		j := newJob(t, newStore(), source, sink)
		j.look = func(i item) (item, error) { cancel(); return i, nil }
		j.build()
		if early {
			cancel()
		}
		r, err := j.env.Execute(ctx)
		cancel()
		if err != nil || r.Status != "CANCELED" || r.Checkpoint != 0 {
			t.Errorf("early %v: %+v, %v", early, r, err)
		}
	}
}

// Goal: a commit that fails for now is repeated; one that fails for good fails the job, and the
// next start commits before it runs. Method: plant errors in the committer.
func TestCommitFailures(t *testing.T) {
	files, sink := newStore(), &ledger{}
	calls := 0
	sink.onCommit = func(uint64) error {
		if calls++; calls == 1 {
			return fault.External(errors.New("planted for now"), fault.RetryLater)
		}
		return fault.External(errors.New("planted for good"), fault.RetryNever)
	}
	source := &numbers{splits: 5, perSplit: 100, holdAt: -1}
	j := newJob(t, files, source, sink)
	r, err := j.build().env.Execute(t.Context())
	if err == nil || !strings.Contains(err.Error(), "planted for good") || calls != 2 {
		t.Fatalf("error %v after %d commits", err, calls)
	}
	if r.Status != "FAILED" || r.Checkpoint == 0 || len(sink.rows()) > 0 {
		t.Errorf("result %+v, rows %v", r, sink.rows())
	}
	sink.onCommit = nil
	j = newJob(t, files, source, sink)
	j.env.Restore("latest")
	if _, err := j.build().env.Execute(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.checkRows(t, 500)
	if want := r.Checkpoint; sink.commits[0] != want {
		t.Errorf("commits %v, want checkpoint %d first", sink.commits, want)
	}
}
