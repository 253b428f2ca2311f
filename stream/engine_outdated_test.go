package stream_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/leat-io/leat/stream"
)

// Goal: who starts from a savepoint whose prepared output is gone, because the job it was taken
// from went back to an older checkpoint, is told so and what to do; nothing is lost without a word.
// Method: a savepoint, a failure before the next checkpoint, a start from the savepoint.
func TestEngineOutdatedSavepoint(t *testing.T) {
	a := newAttack()
	a.rate, a.interval, a.attempts = 10000, "1 h", 1
	taken, failing := make(chan struct{}), errors.New("planted")
	savepoint := a.savepoint(t, a.numbers/2, stream.SavepointOptions{},
		func(c *stream.Controller) {
			close(taken)
			<-c.Done()
		})
	a.fail[a.numbers*3/4] = func() error { <-taken; return failing }
	a.fail[a.numbers*5/4] = func() error { <-taken; return failing }
	if _, err := a.run(t, context.Background()); err == nil {
		t.Fatal("the job has not failed")
	}
	a.undisturbed()
	a.adjust, a.restore = nil, savepoint.Path
	_, err := a.run(t, context.Background())
	if err == nil || !strings.Contains(err.Error(), "is gone") ||
		!strings.Contains(err.Error(), "ignore files that are missing") {
		t.Errorf("error %v, want one that says what is gone and what to do", err)
	}
	a.read(t, savepoint.Path)
}
