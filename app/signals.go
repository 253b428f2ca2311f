package app

import (
	"context"
	"os"
	"syscall"
	"time"
)

// oneSignal is how long further signals count as the first: a terminal and programs such as
// timeout signal the process and its group, which looks like two.
const oneSignal = 500 * time.Millisecond

// stopper is what signals do: the first asks for a clean stop, a later one ends the job.
type stopper struct {
	now    func() time.Time
	note   func(text string)
	stop   func() // called once
	cancel func()
	// terminate, when not nil, is called instead of stop for SIGTERM.
	terminate func()
}

// obey handles signals until one has ended the job or ctx is done.
func obey(ctx context.Context, signals <-chan os.Signal, s stopper) {
	var first time.Time
	var signal os.Signal
	for {
		select {
		case <-ctx.Done():
			return
		case signal = <-signals:
		}
		switch at := s.now(); {
		case first.IsZero():
			first = at
			if signal == syscall.SIGTERM && s.terminate != nil {
				s.note("stopping with a savepoint; a second signal ends at once")
				s.terminate()
				continue
			}
			s.note("stopping with a last checkpoint; a second signal ends at once")
			s.stop()
		case at.Sub(first) >= oneSignal:
			s.note("second signal: ending without a checkpoint")
			s.cancel()
			return
		}
	}
}
