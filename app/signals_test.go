package app

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Goal: the first signal stops, those that come with it do nothing, a later one cancels.
// Method: a table of moments, in milliseconds after the start.
func TestObey(t *testing.T) {
	const stop = "stopping with a last checkpoint; a second signal ends at once, stop"
	const end = ", second signal: ending without a checkpoint, cancel"
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		moments []int
		want    string
	}{
		{nil, ""},
		{[]int{100}, stop},
		{[]int{100, 100, 101, 599}, stop},
		{[]int{100, 600}, stop + end},
		{[]int{100, 101, 599, 700}, stop + end},
		{[]int{100, 400, 800, 900}, stop + end},
	} {
		ctx, done := context.WithCancel(t.Context())
		signals := make(chan os.Signal, len(c.moments))
		for range c.moments {
			signals <- syscall.SIGINT
		}
		var did []string
		log := func(what string) { did = append(did, what) }
		left := c.moments
		if len(left) == 0 {
			done()
		}
		obey(ctx, signals, stopper{
			now: func() time.Time {
				at := start.Add(time.Duration(left[0]) * time.Millisecond)
				if left = left[1:]; len(left) == 0 {
					done()
				}
				return at
			},
			note: log, stop: func() { log("stop") }, cancel: func() { log("cancel") },
		})
		done()
		if diff := cmp.Diff(c.want, strings.Join(did, ", ")); diff != "" {
			t.Errorf("%v: %s", c.moments, diff)
		}
	}
}

// Goal: SIGTERM, but not SIGINT, stops with a savepoint when it is to. Method: one signal each.
func TestObeyTerminate(t *testing.T) {
	for signal, want := range map[os.Signal]string{
		syscall.SIGTERM: "stopping with a savepoint; a second signal ends at once, terminate",
		syscall.SIGINT:  "stopping with a last checkpoint; a second signal ends at once, stop",
	} {
		ctx, done := context.WithCancel(t.Context())
		signals := make(chan os.Signal, 1)
		signals <- signal
		var did []string
		log := func(what string) func() { return func() { did = append(did, what) } }
		obey(ctx, signals, stopper{
			now:  func() time.Time { done(); return time.Unix(1, 0) },
			note: func(text string) { did = append(did, text) }, stop: log("stop"),
			cancel: log("cancel"), terminate: log("terminate"),
		})
		if diff := cmp.Diff(want, strings.Join(did, ", ")); diff != "" {
			t.Errorf("%v: %s", signal, diff)
		}
	}
}
