package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// untilDone waits for the end of ctx and returns the error a well-behaved goroutine returns then.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// Goal: the first failure ends the context with itself as cause, and is what Wait returns.
// Method: one goroutine fails after another one waits; the waiting one reports the cause it saw.
func TestFirstFailureStopsTheOthers(t *testing.T) {
	group := lifecycle.NewGroup(t.Context(), "test")
	var cause error
	group.Go("waits", func(ctx context.Context) error {
		<-ctx.Done()
		cause = context.Cause(ctx)
		return errors.New("second failure")
	})
	group.Go("fails", func(context.Context) error { return io.ErrUnexpectedEOF })
	if err := group.Wait(); err != io.ErrUnexpectedEOF {
		t.Errorf("Wait returned %v, want the first failure", err)
	}
	if cause != io.ErrUnexpectedEOF {
		t.Errorf("cause %v, want the first failure", cause)
	}
	if err := group.Wait(); err != io.ErrUnexpectedEOF {
		t.Errorf("second Wait returned %v", err)
	}
}

// Goal: ending a group is not a failure, whoever ends it, but a failure on the way down is.
// Method: a table of ways to end and of what the goroutine returns then.
func TestEndIsNotFailure(t *testing.T) {
	parentCause := errors.New("job cancelled")
	tests := []struct {
		name      string
		endParent bool
		cause     error
		f         func(ctx context.Context) error
		want      error
	}{
		{"stop", false, lifecycle.ErrStopped, untilDone, nil},
		{"parent", true, parentCause, untilDone, nil},
		{"cause returned", true, parentCause, func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, nil},
		{"failure while stopping", false, lifecycle.ErrStopped, func(ctx context.Context) error {
			<-ctx.Done()
			return io.ErrClosedPipe
		}, io.ErrClosedPipe},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			parent, endParent := context.WithCancelCause(t.Context())
			defer endParent(nil)
			group := lifecycle.NewGroup(parent, "test")
			group.Go("waits", test.f)
			if test.endParent {
				endParent(parentCause)
			} else {
				group.Stop()
				group.Stop()
			}
			if err := group.Wait(); err != test.want {
				t.Errorf("Wait returned %v, want %v", err, test.want)
			}
			if cause := context.Cause(group.Context()); cause != test.cause {
				t.Errorf("cause %v, want %v", cause, test.cause)
			}
		})
	}
}

// Goal: a context error that does not come from the group's own context is a failure.
// Method: return context.Canceled while the group is alive.
func TestForeignCancellationIsFailure(t *testing.T) {
	group := lifecycle.NewGroup(t.Context(), "test")
	group.Go("fails", func(context.Context) error { return context.Canceled })
	if err := group.Wait(); err != context.Canceled {
		t.Errorf("Wait returned %v, want context.Canceled", err)
	}
}

// Goal: a panic or a Goexit becomes an internal fault of the group, never a crash or a hang, also
// when the group is already stopping. Method: a table of ways to die.
func TestPanicIsInternalFault(t *testing.T) {
	tests := []struct {
		name  string
		f     func(ctx context.Context) error
		text  string
		stack bool
	}{
		{"invariant", func(context.Context) error {
			invariant.Check(1 > 2, "one over two")
			return nil
		}, `goroutine "g" of "test": panic in lifecycle_test.TestPanicIsInternalFault: invariant broken: one over two`, true},
		{"index", func(context.Context) error {
			var empty []int
			_ = empty[len(empty)]
			return nil
		}, `goroutine "g" of "test": panic in lifecycle_test.TestPanicIsInternalFault: runtime error: index out of range [0] with length 0`, true},
		{"context error after stop", func(ctx context.Context) error {
			<-ctx.Done()
			panic(ctx.Err())
		}, `goroutine "g" of "test": panic in lifecycle_test.TestPanicIsInternalFault: context canceled`, true},
		{"goexit", func(context.Context) error {
			runtime.Goexit()
			return nil
		}, `goroutine "g" of "test" ended by runtime.Goexit`, false},
	}
	// The number of the function literal and its place in this file may change.
	place := regexp.MustCompile(`\.func\d+ \(lifecycle_test.go:\d+\)`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			group := lifecycle.NewGroup(t.Context(), "test")
			group.Go("g", test.f)
			if test.name == "context error after stop" {
				group.Stop()
			}
			err := group.Wait()
			if err == nil || place.ReplaceAllString(err.Error(), "") != test.text {
				t.Fatalf("Wait returned %v, want %s", err, test.text)
			}
			if domain := fault.DomainOf(err); domain != fault.DomainInternal {
				t.Errorf("domain %v", domain)
			}
			stack := string(fault.StackOf(err))
			if strings.Contains(stack, "lifecycle_test.go") != test.stack {
				t.Errorf("stack does not show the place of the panic:\n%s", stack)
			}
			if test.name == "invariant" && !errors.As(err, new(*invariant.Violation)) {
				t.Error("the violation cannot be found in the fault")
			}
		})
	}
}

// Goal: goroutines of a group may start more, Wait waits for those too, and after Stop or Wait
// nothing starts. Method: a chain of goroutines starting the next, then refused starts.
func TestGoFromInsideAndAfterTheEnd(t *testing.T) {
	group := lifecycle.NewGroup(t.Context(), "test")
	depth := 0
	var deeper func(ctx context.Context) error
	deeper = func(context.Context) error {
		if depth++; depth < 10 && !group.Go("deeper", deeper) {
			return errors.New("refused")
		}
		return nil
	}
	group.Go("first", deeper)
	if err := group.Wait(); err != nil || depth != 10 {
		t.Errorf("Wait returned %v at depth %d, want nil at 10", err, depth)
	}
	never := func(context.Context) error {
		t.Error("started after the end")
		return nil
	}
	if group.Go("late", never) {
		t.Error("Go accepted after Wait")
	}
	stopped := lifecycle.NewGroup(t.Context(), "stopped")
	stopped.Stop()
	if stopped.Go("late", never) {
		t.Error("Go accepted after Stop")
	}
	if err := stopped.Wait(); err != nil {
		t.Errorf("empty group failed with %v", err)
	}
}

// Goal: a slow close can say what it waits for. Method: read the names while two goroutines wait.
func TestRunning(t *testing.T) {
	group := lifecycle.NewGroup(t.Context(), "test")
	group.Go("b", untilDone)
	group.Go("a", untilDone)
	group.Go("a", untilDone)
	if got, want := group.Running(), []string{"a", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("running %q, want %q", got, want)
	}
	group.Stop()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if got := group.Running(); len(got) != 0 {
		t.Errorf("running %q after Wait", got)
	}
	if group.Name() != "test" {
		t.Errorf("name %q", group.Name())
	}
}

// BenchmarkGo measures starting and ending one goroutine of a group.
func BenchmarkGo(b *testing.B) {
	group := lifecycle.NewGroup(b.Context(), "bench")
	b.ReportAllocs()
	for b.Loop() {
		group.Go("g", func(context.Context) error { return nil })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}
