package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

// scratch holds the programs under test; TestMain makes and removes it.
var scratch string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "leat-flights-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	// The jobs under test are none of those that a person or another test steers by name.
	os.Setenv("XDG_RUNTIME_DIR", dir)
	code := m.Run()
	if left := leaktest.Left(time.Second); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines outlive the tests:\n%s\n", len(left),
			strings.Join(left, "\n\n"))
		return 1
	}
	return code
}

// built builds the programs under test, once.
var built = sync.OnceValue(func() error {
	for _, source := range []string{".", "./testdata/counter"} {
		command := exec.Command("go", "build", "-o", scratch+string(filepath.Separator), source)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, output)
		}
	}
	return nil
})

// program returns the path of a program under test: flights or counter.
func program(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the programs under test cannot be built: %v", err)
	}
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(scratch, name)
}

// hang is the time after which a process that should have ended is asked for its stacks.
const hang = 60 * time.Second

// child is a process of a program under test.
type child struct {
	t              *testing.T
	command        *exec.Cmd
	stdout, stderr bytes.Buffer // to be read when done is closed
	ctx            context.Context
	group          *lifecycle.Group
	done           chan struct{}
}

// start starts a program, in a directory of its own. It does not outlive the test.
func start(t *testing.T, name string, args ...string) *child {
	t.Helper()
	return startWith(t, name, func(*exec.Cmd) {}, args...)
}

// startWith is start with a command that prepare may change, its output for example.
func startWith(
	t *testing.T, name string, prepare func(*exec.Cmd), args ...string,
) *child {
	t.Helper()
	path := program(t, name)
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	c := &child{t: t, ctx: ctx, done: make(chan struct{})}
	c.command = exec.CommandContext(ctx, path, args...)
	c.command.Dir = t.TempDir()
	c.command.Stdout, c.command.Stderr = &c.stdout, &c.stderr
	c.command.Cancel = func() error { return c.command.Process.Signal(syscall.SIGQUIT) }
	c.command.WaitDelay = time.Second // then it is killed, stopped or not
	prepare(c.command)
	if err := c.command.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	c.group = lifecycle.NewGroup(context.Background(), "child")
	c.group.Go("wait", func(context.Context) error {
		defer close(c.done)
		_ = c.command.Wait() // what it says is in ProcessState too
		return nil
	})
	t.Cleanup(func() {
		cancel()
		if err := c.group.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ended says how a process ended.
type ended struct {
	code           int // -1 when a signal ended it
	signal         syscall.Signal
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d, signal %d\nstdout:\n%s\nstderr:\n%s",
		e.code, e.signal, e.stdout, e.stderr)
}

// wait waits for the end of the process.
func (c *child) wait() ended {
	c.t.Helper()
	<-c.done
	if c.ctx.Err() != nil {
		c.t.Fatalf("%v hangs, stderr with its stacks:\n%s", c.command.Args, c.stderr.String())
	}
	status := c.command.ProcessState.Sys().(syscall.WaitStatus)
	e := ended{code: status.ExitStatus(), stdout: c.stdout.String(), stderr: c.stderr.String()}
	if status.Signaled() {
		e.signal = status.Signal()
	}
	return e
}

// finish waits for the end of a process that must finish its job.
func (c *child) finish() ended {
	c.t.Helper()
	return c.expect(0, "FINISHED")
}

// expect waits for the end of the process with an exit code and texts on stderr.
func (c *child) expect(code int, texts ...string) ended {
	c.t.Helper()
	e := c.wait()
	if e.code != code {
		c.t.Fatalf("%v: want exit code %d, got %v", c.command.Args[1:], code, e)
	}
	for _, text := range texts {
		if !strings.Contains(e.stderr, text) {
			c.t.Errorf("%v: want %q on stderr, got %v", c.command.Args[1:], text, e)
		}
	}
	return e
}

// send sends a signal.
func (c *child) send(signal syscall.Signal) {
	c.t.Helper()
	if err := c.command.Process.Signal(signal); err != nil {
		c.t.Fatalf("send %v: %v", signal, err)
	}
}

// until returns when a condition holds. What another process has reached can only be seen
// from outside, so it looks again and again, as long as the process lives.
func (c *child) until(what string, holds func() bool) {
	c.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-c.done:
			c.t.Fatalf("%v ended before %s: %v", c.command.Args[1:], what, c.wait())
		}
	}
}

// untilNew returns when so many new files match a pattern, or the process has ended. It looks
// often, since what follows on a file may take less than a millisecond.
func (c *child) untilNew(pattern string, n int) {
	c.t.Helper()
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	seen := map[string]bool{}
	for first := true; ; first = false {
		names, err := filepath.Glob(pattern)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, name := range names {
			if !seen[name] && !first {
				n--
			}
			seen[name] = true
		}
		if n <= 0 {
			return
		}
		select {
		case <-tick.C:
		case <-c.done:
			return
		}
	}
}
