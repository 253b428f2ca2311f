package stream_test

import (
	"context"
	"errors"
	"testing"

	"github.com/leat-io/leat/stream"
)

// Goal: a job that goes on under another name, whose numbers begin anew below those it comes from,
// and back under the first name, is exact, through failures too. Method: savepoints handed to and
// fro between names, each run with a failure in its middle.
func TestEngineOtherName(t *testing.T) {
	a := newAttack()
	a.rate, a.tolerable = 10000, 3
	names := []string{"attacked", "second", "attacked", "third", "second"}
	handed := 0
	for i, name := range names {
		a.name, a.parallelism, a.attempts = name, 1+i%3, 2
		taken := a.savepoint(t, a.numbers/2, stream.SavepointOptions{Stop: true}, nil)
		if i > 0 {
			a.fail[a.numbers/4] = func() error { return errors.New("planted") }
		}
		r, err := a.run(t, context.Background())
		if err != nil || r.Status != "FINISHED" {
			t.Fatalf("%+v, %v", r, err)
		}
		if a.restore = taken.Path; r.Savepoint == "" {
			break // It came to its end before: the last of the savepoints is late in the input.
		}
		handed++
	}
	if handed < 2 {
		t.Fatalf("%d savepoints were handed on: nothing is tested", handed)
	}
	if a.restore != "" {
		place := a.restore
		a.undisturbed()
		a.adjust, a.restore, a.name = nil, place, "last"
		a.mustEnd(t, "FINISHED")
	}
	a.check(t)
}
