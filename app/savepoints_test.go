package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/leat-io/leat/stream"
)

// watched is an output that tells when a text has been written.
type watched struct {
	text string
	seen chan struct{}
	mu   struct {
		sync.Mutex
		all  strings.Builder
		once sync.Once
	}
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.all.Write(b)
	if strings.Contains(w.mu.all.String(), w.text) {
		w.mu.once.Do(func() { close(w.seen) })
	}
	return len(b), nil
}

// Goal: SIGUSR1 takes a savepoint and the job goes on; SIGTERM stops with one if told to, and says
// how to continue. Method: real signals to this process while a job runs.
func TestSavepointSignals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		signal   syscall.Signal
		settings string
		want     []string
	}{
		{syscall.SIGUSR1, "", []string{"savepoint completed: file://" + dir + "/sp/savepoint-",
			"SUSPENDED", "continue with: --from latest\n"}},
		{syscall.SIGTERM, " -D job.savepoint-on-deletion=true", []string{
			"stopping with a savepoint", "FINISHED",
			"continue with: --from latest, or --from file://" + dir + "/sp/savepoint-"}},
	} {
		stderr := &watched{text: "savepoint completed", seen: make(chan struct{})}
		p := program{
			name: "signalled", stdout: stderr, stderr: stderr,
			args: strings.Fields("--checkpoint-dir " + dir + "/ck -D state.savepoints.dir=" + dir +
				"/sp" + c.settings),
			build: func(e *stream.Env) error {
				s := stream.Generate(e, "numbers", 1<<40, func(i int64) int64 { return i },
					stream.WithRate[int64](100))
				stream.ForEach(s, "nothing", func(int64) error { return nil })
				e.OnStart(func(ctl *stream.Controller) {
					if err := syscall.Kill(os.Getpid(), c.signal); err != nil {
						t.Error(err)
					}
					select {
					case <-stderr.seen:
						_ = ctl.Stop()
					case <-ctl.Done():
					}
				})
				return nil
			},
		}
		code := p.main(context.Background())
		got := stderr.mu.all.String()
		if code != ExitDone {
			t.Errorf("%v: exit code %d", c.signal, code)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v: no %q in:\n%s", c.signal, want, got)
			}
		}
	}
	if there, err := filepath.Glob(dir + "/sp/savepoint-*/_metadata"); len(there) != 2 {
		t.Errorf("savepoints %q, %v", there, err)
	}
}

// Goal: SIGTERM is not left to find out that there is no place for its savepoint. Method: the
// setting without a directory.
func TestSavepointOnDeletionNeedsDirectory(t *testing.T) {
	code, _, stderr := run(func(*stream.Env) error { return nil },
		"-D kubernetes.operator.job.savepoint-on-deletion=true")
	want := fmt.Sprintf("want %q with it", stream.SavepointDirectory.Key())
	if code != ExitUsage || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
