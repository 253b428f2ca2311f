package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files returns what lies below a directory, by path: the contents.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// larger are flags of a job whose state lies in files of its own.
var larger = []string{"-count", "2", "-more", "3000"}

// damaged runs the job, changes one file of its checkpoint and continues from it with both ways to
// say where. Either run must end with the exit code and name the file, leat checkpoint verify must
// name it too, and no file of the job may change by all of that. Whole again, it is continued.
func damaged(t *testing.T, code int, name string, change func([]byte) []byte) {
	p := newPlace(t)
	p.demo(larger...)
	found, err := filepath.Glob(filepath.Join(p.job(), name))
	if err != nil || len(found) == 0 {
		t.Fatalf("no file %s: %v", name, err)
	}
	whole, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], change(bytes.Clone(whole)), 0o600); err != nil {
		t.Fatal(err)
	}
	before := files(t, p.job())
	says := []string{filepath.Base(found[0])}
	once := []string{"-D", "restart-strategy.type=none"}
	for _, from := range []string{"latest", p.job() + "/chk-1"} {
		args := append(slices.Concat(larger, once), "-s", from)
		e := p.want(code, says, "statefuldemo", p.flags(args...)...)
		if e.stdout != "" {
			t.Errorf("a job printed rows that could not be restored: %v", e)
		}
	}
	p.want(1, says, "leat", "checkpoint", "verify", p.job()+"/chk-1")
	if diff := cmp.Diff(before, files(t, p.job())); diff != "" {
		t.Errorf("files of the job were changed (-before +after):\n%s", diff)
	}
	if err := os.WriteFile(found[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	e := p.demo(append(larger, "-s", "latest")...)
	if !strings.Contains(e.stderr, "FINISHED: 0 records read") {
		t.Errorf("the checkpoint is whole again and was not continued from: %v", e)
	}
}

// TestFlippedBit turns over one bit in the middle of each file of a checkpoint.
func TestFlippedBit(t *testing.T) {
	t.Parallel()
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 0x10
		return b
	}
	t.Run("metadata", func(t *testing.T) { damaged(t, 2, "chk-1/_metadata", flip) })
	t.Run("state", func(t *testing.T) { damaged(t, 1, "shared/1-1-2-*.run", flip) })
}

// TestCutShort cuts the metadata of a checkpoint at several lengths.
func TestCutShort(t *testing.T) {
	t.Parallel()
	for _, keep := range []int{0, 1, 16, 200, 1000, -1} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			damaged(t, 2, "chk-1/_metadata", func(b []byte) []byte {
				if keep < 0 {
					return b[:len(b)+keep]
				}
				return b[:keep]
			})
		})
	}
}

// TestNotThisJob starts the job from what it cannot be started from: it says what does not fit
// and prints nothing; given leave to lose state, it starts over.
func TestNotThisJob(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.want(0, []string{"FINISHED"}, "hello", p.flags()...)
	other := p.job() + "/chk-1"
	demo := newPlace(t)
	demo.demo()
	if err := os.WriteFile(filepath.Join(p.root, "my-job.jar"), []byte("PK"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, program string
		args          []string
		code          int
		says          []string
	}{
		{"other job", "statefuldemo", []string{"-s", other}, 2, []string{
			other, `has state of operator "numbers", which the job does not have`,
			`has state of operator "sums"`,
		}},
		{"other job, left behind", "statefuldemo", []string{"-s", other, "-n"}, 0, []string{
			"FINISHED: 20 records read, 20 written",
		}},
		{"number to text", "retyped", []string{"-s", demo.job() + "/chk-1", "-n"}, 2, []string{
			`operator "stateful_map_test"`, `state "running"`, "BIGINT", "STRING",
		}},
		{"no checkpoint", "statefuldemo", []string{"-s", "file:///no/chk-1/"}, 2, []string{
			`no _metadata there: looked for "file:///no/chk-1/_metadata"`,
		}},
		{"program", "statefuldemo", []string{"-s", "my-job.jar"}, 2, []string{
			"no _metadata there", "is a file",
		}},
		{"hadoop", "statefuldemo", []string{"-s", "hdfs:///chk-1"}, 2, []string{
			"hdfs is not supported", "known schemes: file",
		}},
		{"backend", "statefuldemo", []string{"-D", "state.backend=rocks"}, 2, []string{
			`"state.backend" = "rocks"`, "hashmap",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := p.want(test.code, test.says, test.program, p.flags(test.args...)...)
			if test.code != 0 && e.stdout != "" {
				t.Errorf("a job printed rows that was refused: %v", e)
			}
		})
	}
}

// TestKilledWithoutCheckpoints kills a job that takes no checkpoints: it starts over with a
// warning, or not at all if state is required.
func TestKilledWithoutCheckpoints(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	none := []string{"-D", "execution.checkpointing.interval=0"}
	e := p.runUntil("statefuldemo", func(process *os.Process) { _ = process.Kill() },
		p.flags(append(none, "-rate", "5")...)...)
	if e.code != -1 {
		t.Fatalf("want it killed, got %v", e)
	}
	p.want(2, []string{"no checkpoint"}, "statefuldemo",
		p.flags(append(none, "--from", "latest", "--require-state")...)...)
	e = p.demo(append(none, "--from", "latest", "-count", "100")...)
	if !strings.Contains(e.stderr, "no checkpoint of this name: job starts empty") {
		t.Errorf("want a warning that state is gone, got %v", e)
	}
	checkSteps(t, nil, e)
}

// TestSavepointForAnotherBackend stops a job with a savepoint on one backend, moves the savepoint,
// and continues it on the other at another parallelism: the steps of both runs together are those
// of one.
func TestSavepointForAnotherBackend(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{"hashmap": "naive", "naive": "filesystem"} {
		t.Run(from+" to "+to, func(t *testing.T) {
			p := newPlace(t)
			slow := []string{"-count", "100", "-rate", "40", "--name", "from-" + from}
			stopped := ended{}
			first := p.runUntil("statefuldemo", func(*os.Process) {
				stopped = p.run("leat", "stop", "from-"+from, "--savepointPath",
					filepath.Join(p.root, "sp"))
			}, p.flags(append(slow, "-D", "state.backend="+from)...)...)
			if first.code != 0 || stopped.code != 0 {
				t.Fatalf("stop with a savepoint: %v, %v", stopped, first)
			}
			path := moved(t, filepath.Join(p.root, "sp"))
			counts := p.values(path, "stateful_process")
			second := place{t: t, root: t.TempDir()}.demo("-s", path, "-p", "3",
				"-D", "state.backend="+to, "-count", "100")
			checkSteps(t, counts, second)
			for word, steps := range first.steps(t) {
				if got := steps[len(steps)-1].Count; got != counts[word] {
					t.Errorf("%s: %d in the savepoint, last printed %d", word, counts[word], got)
				}
			}
		})
	}
}

// moved moves the only savepoint in a directory elsewhere and returns its place.
func moved(t *testing.T, dir string) string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Fatalf("want one savepoint in %s, got %v, %v", dir, found, err)
	}
	to := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(filepath.Join(dir, found[0].Name()), to); err != nil {
		t.Fatal(err)
	}
	return to
}
