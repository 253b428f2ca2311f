package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

// scratch holds the programs under test; TestMain makes and removes it.
var scratch string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "leat-statefuldemo-")
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

// built builds the programs under test, once.
var built = sync.OnceValue(func() error {
	for _, source := range []string{".", "./testdata/retyped", "../hello", "../../cmd/leat"} {
		command := exec.Command("go", "build", "-o", scratch+string(filepath.Separator), source)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, output)
		}
	}
	return nil
})

// hang is the time after which a process that should have ended is asked for its stacks.
const hang = 60 * time.Second

// place is where a test has its checkpoints and savepoints.
type place struct {
	t    *testing.T
	root string
}

func newPlace(t *testing.T) place {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the programs under test cannot be built: %v", err)
	}
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return place{t: t, root: t.TempDir()}
}

// checkpoints is the URI of the directory of checkpoints.
func (p place) checkpoints() string { return "file://" + filepath.Join(p.root, "ck") }

// ended says how a process ended.
type ended struct {
	code           int // -1 when a signal ended it
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d\nstdout:\n%s\nstderr:\n%s", e.code, e.stdout, e.stderr)
}

// steps are what the job printed, by word, in order.
func (e ended) steps(t *testing.T) map[string][]Step {
	t.Helper()
	steps := map[string][]Step{}
	for line := range strings.Lines(e.stdout) {
		_, row, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), "]"), "+I[")
		fields := strings.Split(row, ", ")
		if len(fields) != 4 {
			t.Fatalf("want lines of 4 fields, got %q in %v", line, e)
		}
		var numbers [3]int64
		for i := range numbers {
			n, err := strconv.ParseInt(fields[i+1], 10, 64)
			if err != nil {
				t.Fatalf("read line %q: %v", line, err)
			}
			numbers[i] = n
		}
		steps[fields[0]] = append(steps[fields[0]], Step{
			Word: fields[0], Count: numbers[0], Running: numbers[1], Recent: numbers[2],
		})
	}
	return steps
}

// run runs a program to its end, in the directory of the place.
func (p place) run(name string, args ...string) ended {
	p.t.Helper()
	return p.runUntil(name, nil, args...)
}

// runUntil is run with something that is done as soon as the program has printed a line.
func (p place) runUntil(name string, then func(*os.Process), args ...string) ended {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(scratch, name), args...)
	command.Dir = p.root
	command.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+filepath.Join(scratch, "run"))
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGQUIT) }
	command.WaitDelay = time.Second
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		p.t.Fatal(err)
	}
	printed := bufio.NewReader(stdout)
	if _, err := printed.Peek(1); err == nil && then != nil {
		then(command.Process)
	}
	all, _ := io.ReadAll(printed) // what ends it early is in the exit code
	_ = command.Wait()            // likewise
	if ctx.Err() != nil {
		p.t.Fatalf("%q hangs, stderr with its stacks:\n%s", command.Args, stderr.String())
	}
	return ended{
		code: command.ProcessState.ExitCode(), stdout: string(all), stderr: stderr.String(),
	}
}

// want runs a program that must end with an exit code, and say texts.
func (p place) want(code int, texts []string, name string, args ...string) ended {
	p.t.Helper()
	e := p.run(name, args...)
	if e.code != code {
		p.t.Fatalf("%s %q: want exit code %d, got %v", name, args, code, e)
	}
	for _, text := range texts {
		if !strings.Contains(e.stdout+e.stderr, text) {
			p.t.Errorf("%s %q: want it to say %q, got %v", name, args, text, e)
		}
	}
	return e
}

// demo runs the job to its end, with its checkpoints in the place.
func (p place) demo(args ...string) ended {
	p.t.Helper()
	return p.want(0, []string{"FINISHED"}, "statefuldemo", p.flags(args...)...)
}

// flags are those of every run of the job, args behind them.
func (p place) flags(args ...string) []string {
	return append([]string{"-D", "state.checkpoints.dir=" + p.checkpoints()}, args...)
}

// often are flags of a job that runs for about a second and keeps all its checkpoints.
var often = []string{
	"-count", "100", "-rate", "200", "-D", "execution.checkpointing.interval=60",
	"-D", "state.checkpoints.num-retained=1000",
}

// job returns the directory of the only job of the place.
func (p place) job() string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.root, "ck", strings.Repeat("[0-9a-f]", 32)))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("want one directory of a job, got %q, %v", found, err)
	}
	return found[0]
}

// retained returns how many checkpoints the only job of the place has, which are chk-1 and on.
func (p place) retained() int {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.job(), "chk-*", "_metadata"))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range found {
		name := filepath.Join(p.job(), fmt.Sprint("chk-", i+1), "_metadata")
		if _, err := os.Stat(name); err != nil {
			p.t.Fatalf("want chk-1 to chk-%d: %v", len(found), err)
		}
	}
	return len(found)
}
