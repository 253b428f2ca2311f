package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

// scratch holds the program under test; TestMain makes and removes it.
var scratch string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "leat-deepdive-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	code := m.Run()
	if left := leaktest.Left(time.Second); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines outlive the tests:\n%s\n", len(left),
			strings.Join(left, "\n\n"))
		return 1
	}
	return code
}

// built builds the program under test, once.
var built = sync.OnceValue(func() error {
	command := exec.Command("go", "build", "-o", scratch+string(filepath.Separator), ".")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, output)
	}
	return nil
})

// hang is the time after which a process that should have ended is asked for its stacks.
const hang = 60 * time.Second

// place is where a job writes.
type place struct {
	t                *testing.T
	out, checkpoints string
}

func newPlace(t *testing.T) place {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the program under test cannot be built: %v", err)
	}
	if err := built(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return place{
		t: t, out: filepath.Join(dir, "out"), checkpoints: filepath.Join(dir, "checkpoints"),
	}
}

// ended says how a process ended.
type ended struct {
	code           int // -1 when a signal ended it
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", e.code, e.stdout, e.stderr)
}

// run runs the job until it ends. Once so many more checkpoints of it are committed, it is sent
// the signal; 0 for never, and never when it had done all its work before.
func (p place) run(checkpoints int, signal syscall.Signal, args ...string) ended {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	events, err := filepath.Abs("events.csv")
	if err != nil {
		p.t.Fatal(err)
	}
	args = append([]string{
		"-in", events, "-out", p.out, "--checkpoint-dir", p.checkpoints,
	}, args...)
	command := exec.CommandContext(ctx, filepath.Join(scratch, "deepdive"), args...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGQUIT) }
	command.WaitDelay = time.Second
	before, done := p.committed(), p.final()
	if err := command.Start(); err != nil {
		p.t.Fatal(err)
	}
	if checkpoints > 0 && !done {
		p.await(ctx, before+checkpoints)
		_ = command.Process.Signal(signal) // an error says that it has ended
	}
	_ = command.Wait() // what it says is in ProcessState too
	if ctx.Err() != nil {
		p.t.Fatalf("%q hangs, stderr with its stacks:\n%s", command.Args, stderr.String())
	}
	return ended{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// await returns when a checkpoint is committed, or the final one was. What another process has
// reached can only be seen from outside, so it looks again and again.
func (p place) await(ctx context.Context, checkpoint int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.committed() < checkpoint && !p.final() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// committed returns the newest checkpoint whose files are visible, 0 for none.
func (p place) committed() int {
	p.t.Helper()
	newest := 0
	for _, name := range p.records() {
		text := strings.TrimSuffix(filepath.Base(name), ".committed")
		n, err := strconv.Atoi(strings.TrimPrefix(text, "checkpoint-"))
		if err != nil {
			p.t.Fatal(err)
		}
		newest = max(newest, n)
	}
	return newest
}

func (p place) records() []string {
	p.t.Helper()
	names, err := filepath.Glob(
		filepath.Join(p.checkpoints, "_jobs", "deepdive", "checkpoint-*.committed"))
	if err != nil {
		p.t.Fatal(err)
	}
	return names
}

// final reports whether the job has taken its final checkpoint.
func (p place) final() bool {
	p.t.Helper()
	name := filepath.Join(p.checkpoints, "_jobs", "deepdive",
		fmt.Sprintf("checkpoint-%d", p.committed()))
	content, err := os.ReadFile(name)
	return err == nil && strings.Contains(string(content), `"final"`)
}

// results reads what the job has written: the rows of every folder behind the header, in order.
func (p place) results() map[string][]string {
	p.t.Helper()
	results := map[string][]string{}
	for _, s := range sections {
		rows, err := readRows(filepath.Join(p.out, s.folder), "*")
		if err != nil {
			p.t.Fatal(err)
		}
		for _, row := range rows[1:] {
			results[s.folder] = append(results[s.folder], strings.Join(row, " "))
		}
	}
	return results
}

// TestCounts runs the job at two parallelisms and compares everything it writes to the table worked
// by hand.
func TestCounts(t *testing.T) {
	t.Parallel()
	for _, parallelism := range []string{"1", "3"} {
		p := newPlace(t)
		e := p.run(0, 0, "-p", parallelism)
		if e.code != 0 || !strings.Contains(e.stderr, "FINISHED: 16 records read") {
			t.Fatalf("parallelism %s: %v", parallelism, e)
		}
		if diff := cmp.Diff(byHand(), p.results()); diff != "" {
			t.Errorf("parallelism %s (-by hand +got):\n%s", parallelism, diff)
		}
		for _, s := range sections {
			if !strings.Contains(e.stdout, "\n"+s.title+"\n") {
				t.Errorf("want a part %q of the report, got %v", s.title, e)
			}
		}
	}
}

// TestStopped kills and stops the job again and again, a few events further each time, and
// continues it at another parallelism: what it has written in the end is the table worked by
// hand, each row once.
func TestStopped(t *testing.T) {
	t.Parallel()
	for _, first := range []struct {
		name   string
		signal syscall.Signal
	}{{"killed first", syscall.SIGKILL}, {"stopped first", syscall.SIGTERM}} {
		t.Run(first.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			signal, interrupted := first.signal, 0
			for attempt := 0; ; attempt++ {
				e := p.run(2, signal, "-p", strconv.Itoa(1+attempt%3), "-rate", "10",
					"-D", "execution.checkpointing.interval=25", "--from", "latest")
				if attempt > 0 && e.code == 0 && !strings.Contains(e.stderr, "continued from") {
					t.Fatalf("attempt %d did not continue: %v", attempt, e)
				}
				if strings.Contains(e.stderr, "FINISHED") {
					break
				}
				if e.code > 0 || attempt > 40 {
					t.Fatalf("attempt %d: %v", attempt, e)
				}
				interrupted++
				signal = syscall.SIGKILL + syscall.SIGTERM - signal
			}
			if interrupted == 0 {
				t.Fatal("the job was never interrupted")
			}
			t.Logf("interrupted %d times", interrupted)
			if diff := cmp.Diff(byHand(), p.results()); diff != "" {
				t.Errorf("interrupted %d times (-by hand +got):\n%s", interrupted, diff)
			}
		})
	}
}
