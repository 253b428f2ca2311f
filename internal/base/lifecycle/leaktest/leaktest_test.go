package leaktest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/lifecycle"
)

// Goal: a goroutine left behind is seen with its stack, an ignored one is not, and one that has
// returned is gone. Method: keep a goroutine waiting, look, let it go, look again.
func TestLeft(t *testing.T) {
	group := lifecycle.NewGroup(t.Context(), "leak")
	started := make(chan struct{})
	group.Go("stay", func(ctx context.Context) error { return stay(ctx, started) })
	<-started
	left := Left(0)
	found := 0
	for _, stack := range left {
		if strings.Contains(stack, "leaktest.stay") {
			found++
		}
	}
	if found != 1 {
		t.Errorf("found %d of 1 goroutines left in:\n%s", found, strings.Join(left, "\n\n"))
	}
	if code := report(left); code != 1 {
		t.Errorf("exit code %d with a goroutine left, want 1", code)
	}
	for _, stack := range Left(0, "leaktest.stay") {
		if strings.Contains(stack, "leaktest.stay") {
			t.Errorf("ignored goroutine reported:\n%s", stack)
		}
	}
	group.Stop()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	// The goroutine of testing.(*M).Run waits for this test.
	if code := report(Left(time.Second, "testing.(*M).Run")); code != 0 {
		t.Errorf("exit code %d with nothing left, want 0", code)
	}
}

func stay(ctx context.Context, started chan<- struct{}) error {
	close(started)
	<-ctx.Done()
	return ctx.Err()
}

func TestMain(m *testing.M) { Main(m) }
