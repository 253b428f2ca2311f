package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/sockets"
	"github.com/leat-io/leat/internal/surface/cli"
	"github.com/leat-io/leat/stream"
)

// endless is a job that runs until it is told to stop, and counts in windows that never end by
// themselves.
func endless(started chan<- struct{}) func(*stream.Env) error {
	var once sync.Once
	return func(env *stream.Env) error {
		source := stream.Generate(env, "numbers", -1, func(i int64) int64 { return i },
			stream.WithRate[int64](1000))
		stream.ForEach(source, "look", func(int64) error {
			once.Do(func() { close(started) })
			return nil
		})
		return nil
	}
}

// background is a program running beside the test.
type background struct {
	group *lifecycle.Group
	code  int
	text  bytes.Buffer
}

// startProgram runs a job as its program would, and returns when it handles records.
func startProgram(t *testing.T, line string) *background {
	b := &background{group: lifecycle.NewGroup(context.Background(), "program")}
	started, opened := make(chan struct{}), make(chan struct{})
	p := program{build: endless(started), name: "flights", args: strings.Fields(line),
		stdout: &b.text, stderr: &b.text, controlOpened: func() { close(opened) }}
	if strings.Contains(line, ControlSocket.Key()) {
		close(opened) // it is switched off
	}
	ended := make(chan struct{})
	b.group.Go("main", func(ctx context.Context) error {
		defer close(ended)
		b.code = p.main(ctx)
		return nil
	})
	for _, moment := range []chan struct{}{started, opened} {
		select {
		case <-moment:
		case <-ended:
			t.Fatalf("the program ended: %s", b.text.String())
		}
	}
	return b
}

func (b *background) wait(t *testing.T, code int, words string) {
	t.Helper()
	if err := b.group.Wait(); err != nil {
		t.Fatal(err)
	}
	if b.code != code || !strings.Contains(b.text.String(), words) {
		t.Errorf("the program ended with %d: %s; want %d and %q", b.code, b.text.String(), code,
			words)
	}
}

// leat runs the leat command.
func leat(t *testing.T, line string) (code int, text string) {
	t.Helper()
	var out bytes.Buffer
	p := cli.Program{Stdout: &out, Stderr: &out, Clock: clock.Real(),
		Files:   filesystem.NewRegistry(local.New(local.Options{})),
		Sockets: sockets.Directory("leat")}
	code = p.Run(t.Context(), strings.Fields(line))
	return code, out.String()
}

// privateSockets gives the test a directory of sockets of its own, whose path is short.
func privateSockets(t *testing.T) string {
	dir, err := os.MkdirTemp("/tmp", "leat-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return filepath.Join(dir, "leat")
}

// Goal: a running job is found and driven by the leat command from start to end. Method: two jobs;
// list, info, checkpoint, savepoint, dispose, unknown names; stop one with a savepoint, drain the
// other.
func TestControl(t *testing.T) {
	privateSockets(t)
	dir := t.TempDir()
	first := startProgram(t, "--name first --checkpoint-dir "+dir+"/ck -Dexecution."+
		"checkpointing.interval=0")
	second := startProgram(t, "--name second --checkpoint-dir "+dir+"/ck")
	expect := func(line string, code int, patterns ...string) string {
		t.Helper()
		got, text := leat(t, line)
		for _, pattern := range patterns {
			if got != code || !regexp.MustCompile(pattern).MatchString(text) {
				t.Errorf("leat %s: exit %d, %s; want %d and %q", line, got, text, code, pattern)
			}
		}
		return text
	}
	expect("list", 0, `(?m)^first +[0-9a-f]{32}  RUNNING`, `(?m)^second +[0-9a-f]{32}  RUNNING`)
	listed := expect("list -o flink", 0, `: ([0-9a-f]{32}) : first \(RUNNING\)`)
	id := regexp.MustCompile(`([0-9a-f]{32}) : first`).FindStringSubmatch(listed)[1]
	expect("info "+id, 0, `first  `+id+`  RUNNING`, `file://`+dir+`/ck`)
	expect("info nobody", 4, `no job "nobody"; running are: first \(`+id+`\), second \(`)
	expect("savepoint nobody", 4, `running are: first`)
	expect("checkpoint first", 0, `Checkpoint\(CONFIGURED\) 1 for job `+id+` completed\.`)
	expect("checkpoint first --full -o json", 0, `"checkpoint": 2`)
	expect("state ls --job first", 0, `checkpoint 2 of job first`)
	expect("savepoint first", 1, `execution.checkpointing.savepoint-dir`)
	taken := expect("savepoint first "+dir+"/sp", 0, `Savepoint completed\. Path: file://`)
	path := regexp.MustCompile(`Path: (\S+)`).FindStringSubmatch(taken)[1]
	expect("checkpoint verify "+path, 0, `OK`)
	expect("savepoint -d "+path, 0, `disposed\.`)
	expect("savepoint -d "+path, 4, `no _metadata there`)
	expect("info first", 0, `savepoint +COMPLETED`)
	stopped := expect("stop first -p "+dir+"/sp", 0,
		`Suspending job "`+id+`" with a CANONICAL savepoint\.`, `Savepoint completed\. Path: `)
	if t.Failed() {
		first.group.Stop()
		second.group.Stop()
	}
	first.wait(t, ExitDone, "first FINISHED")
	path = regexp.MustCompile(`Path: (\S+)`).FindStringSubmatch(stopped)[1]
	expect("state get "+path+" --operator numbers --limit 1", 0, `next: \d+`)
	expect("savepoint dispose "+path+" --checkpoint-dir "+dir+"/ck", 1, `in use`)
	expect("stop first", 4, `no job "first"; running are: second`)
	expect("stop second -drain -savepointPath "+dir+"/sp -o json", 0, `"path": "file://`)
	second.wait(t, ExitDone, "second FINISHED")
	expect("list", 0, `no job of yours runs`)
}

// Goal: a name that two running jobs have is refused by every command, with the ids, and each is
// reached by its id. Method: two jobs of one name in two directories.
func TestControlTwoOfOneName(t *testing.T) {
	privateSockets(t)
	dir := t.TempDir()
	jobs := []*background{startProgram(t, "--name twin --checkpoint-dir "+dir+"/one"),
		startProgram(t, "--name twin --checkpoint-dir "+dir+"/two")}
	_, listed := leat(t, "list -o flink")
	ids := regexp.MustCompile(`([0-9a-f]{32}) : twin`).FindAllStringSubmatch(listed, -1)
	if len(ids) != 2 {
		t.Errorf("list: %s", listed)
	}
	for _, line := range []string{"savepoint twin " + dir + "/sp", "stop twin", "cancel twin",
		"checkpoint twin", "info twin", "state ls --job twin"} {
		code, text := leat(t, line)
		if code != 2 || !strings.Contains(text, `2 running jobs are meant by "twin"; give the id`) {
			t.Errorf("leat %s: exit %d, %s", line, code, text)
		}
		for _, id := range ids {
			if !strings.Contains(text, id[1]) {
				t.Errorf("leat %s: no id %s in %s", line, id[1], text)
			}
		}
		for _, root := range []string{"/one", "/two"} {
			if !strings.Contains(text, "file://"+dir+root) {
				t.Errorf("leat %s: no directory %s in %s", line, root, text)
			}
		}
	}
	for _, id := range ids {
		if code, text := leat(t, "cancel "+id[1]); code != 0 {
			t.Errorf("cancel %s: exit %d, %s", id[1], code, text)
		}
	}
	if t.Failed() {
		jobs[0].group.Stop()
		jobs[1].group.Stop()
	}
	for _, job := range jobs {
		job.wait(t, ExitCanceled, "twin CANCELED")
	}
}

// Goal: a job is cancelled by the leat command. Method: cancel, and see its exit code.
func TestControlCancel(t *testing.T) {
	privateSockets(t)
	job := startProgram(t, "--checkpoint-dir "+t.TempDir())
	if code, text := leat(t, "cancel flights"); code != 0 ||
		!strings.Contains(text, "Cancelled job ") {
		job.group.Stop()
		t.Errorf("cancel: exit %d, %s", code, text)
	}
	job.wait(t, ExitCanceled, "flights CANCELED")
	if code, text := leat(t, "cancel flights"); code != 4 {
		t.Errorf("cancel again: exit %d, %s", code, text)
	}
}

// Goal: without its socket a job runs all the same. Method: switch it off; let others into the
// directory.
func TestNoControl(t *testing.T) {
	dir := privateSockets(t)
	t.Run("off", func(t *testing.T) {
		job := startProgram(t, fmt.Sprintf("--checkpoint-dir %s -D%s=false", t.TempDir(),
			ControlSocket.Key()))
		if code, text := leat(t, "list"); code != 0 || !strings.Contains(text, "no job of yours") {
			t.Errorf("list: exit %d, %s", code, text)
		}
		job.end(t)
	})
	t.Run("not private", func(t *testing.T) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		job := startProgram(t, "--checkpoint-dir "+t.TempDir())
		code, text := leat(t, "list")
		if code != 1 || !strings.Contains(text, "directory is not private") ||
			!strings.Contains(text, "chmod 700") {
			t.Errorf("list: exit %d, %s", code, text)
		}
		job.end(t)
		if !strings.Contains(job.text.String(), "no control socket") {
			t.Errorf("no warning: %s", job.text.String())
		}
	})
}

// end ends a program that nothing else can reach.
func (b *background) end(t *testing.T) {
	t.Helper()
	b.group.Stop()
	if err := b.group.Wait(); err != nil {
		t.Error(err)
	}
}
