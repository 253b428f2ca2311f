package mailbox_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/runtime/mailbox"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: letters run in order, those posted by letters included; an error names its letter and
// leaves the rest; after Close none is taken. Method: post, drain, compare a log.
func TestOrderErrorClose(t *testing.T) {
	wake := mailbox.NewWake()
	m := mailbox.New(wake)
	var log []string
	write := func(s string) mailbox.Letter {
		return mailbox.Letter{Name: s, Run: func() error { log = append(log, s); return nil }}
	}
	broken := errors.New("no ink")
	m.Post(mailbox.Letter{Name: "first", Run: func() error {
		log = append(log, "first")
		m.Post(write("third"))
		return nil
	}})
	m.Post(mailbox.Letter{Name: "write down", Run: func() error { return broken }})
	err := m.Drain()
	if !errors.Is(err, broken) || err.Error() != "write down: no ink" {
		t.Errorf("error %v, want it named after its letter", err)
	}
	if !m.Waiting() {
		t.Error("letters after the failed one must stay")
	}
	if err := m.Drain(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"first", "third"}, log); diff != "" {
		t.Errorf("letters run (-want +got):\n%s", diff)
	}
	if len(wake) != 1 {
		t.Error("posting must leave one token to wake the task")
	}
	m.Post(write("dropped"))
	m.Close()
	if m.Waiting() || m.Post(write("refused")) || m.Drain() != nil || len(log) != 2 {
		t.Error("a closed mailbox must drop and refuse letters")
	}
	m.Close()
}

// Goal: no letter is lost and no wake-up is missed between concurrent senders and the task.
// Method: four senders post a thousand letters each; the task waits on the wake-up only.
func TestConcurrentPost(t *testing.T) {
	const senders, each = 4, 1000
	wake := mailbox.NewWake()
	m := mailbox.New(wake)
	ran := make([]int, senders)
	group := lifecycle.NewGroup(t.Context(), "test")
	for s := range senders {
		group.Go("sender", func(context.Context) error {
			for i := range each {
				m.Post(mailbox.Letter{Name: "count", Run: func() error {
					if ran[s] != i {
						t.Errorf("letter %d of sender %d ran as number %d", i, s, ran[s])
					}
					ran[s]++
					return nil
				}})
			}
			return nil
		})
	}
	for total := 0; total < senders*each; {
		<-wake
		if err := m.Drain(); err != nil {
			t.Fatal(err)
		}
		total = 0
		for _, n := range ran {
			total += n
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
