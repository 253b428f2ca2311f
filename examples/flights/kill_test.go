package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/checkpoint/store"
)

// number returns a positive number from the environment.
func number(t *testing.T, key string, otherwise uint64) uint64 {
	t.Helper()
	text, ok := os.LookupEnv(key)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		t.Fatalf("read %s=%q: want a positive number", key, text)
	}
	return n
}

// TestKill kills the job with SIGKILL at random moments and continues it from its latest
// checkpoint, at a random parallelism, until it finishes; then again with a new one, until
// there were LEAT_KILLS kills. The files always equal those of an undisturbed run. LEAT_SEED
// repeats the choices, though not the moments within the process.
func TestKill(t *testing.T) {
	t.Parallel()
	const runSeconds = 1.2
	want := undisturbed(t)
	wanted := int(number(t, "LEAT_KILLS", 5))
	seed := number(t, "LEAT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("seed %d, %d kills", seed, wanted)
	random := rand.New(rand.NewPCG(seed, 0))
	kills, jobs := 0, 0
	for kills < wanted {
		jobs++
		t.Run(fmt.Sprint("job ", jobs), func(t *testing.T) {
			p := newPlace(t)
			history := []string{}
			for mine := 0; ; mine++ {
				parallelism := 1 + random.IntN(4)
				args := append(rated(parallelism, runSeconds), "--from", "latest")
				delay := time.Duration(-1)
				if kills < wanted && mine < 20 {
					// Rather early than late, so that most runs are killed.
					part := random.Float64() * random.Float64() * 1.3
					delay = 5*time.Millisecond +
						time.Duration(part*runSeconds*float64(time.Second))
				}
				end := killAfter(t, delay, p.flags(t, args...))
				history = append(history, fmt.Sprintf("-p %d: exit %d after %v, committed %d: %s",
					parallelism, end.code, delay, p.committed(t, "flights"), end.stderr))
				if end.code == 0 {
					break
				}
				if end.code != -1 {
					t.Fatalf("the job failed instead of finishing:\n%s", strings.Join(history, "\n"))
				}
				kills++
			}
			compare(t, want, p.results(t, ""))
			checkLeftovers(t, p)
			if t.Failed() {
				t.Logf("history:\n%s", strings.Join(history, "\n"))
			}
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills of %d jobs", kills, jobs)
}

// killAfter runs a job and kills it after a delay, if it has not ended by then; a negative
// delay is never.
func killAfter(t *testing.T, delay time.Duration, args []string) ended {
	t.Helper()
	c := start(t, "flights", args...)
	if delay >= 0 {
		timer := time.AfterFunc(delay, func() { _ = c.command.Process.Kill() })
		defer timer.Stop()
	}
	return c.wait()
}

// checkLeftovers checks what a finished job leaves: nothing in progress, one checkpoint that
// can be restored from, and no file of state that it does not refer to.
func checkLeftovers(t *testing.T, p place) {
	t.Helper()
	if left := p.inProgress(t); len(left) > 0 {
		t.Errorf("files in progress are left: %q", left)
	}
	last := p.last(t, "flights")
	metadata := p.metadata(t, "flights")
	want, got := append(stateFiles(t, metadata), metadata), []string{}
	for name := range tree(t, filepath.Join(p.checkpoints, last.JobID)) {
		if filepath.Base(name) != "contents.json" {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("files of the job's checkpoints: want\n%s\ngot\n%s", strings.Join(want, "\n"),
			strings.Join(got, "\n"))
	}
	before := tree(t, p.out)
	start(t, "flights", p.flags(t, "--from", "latest")...).
		expect(0, "FINISHED: 0 records read", "continued from checkpoint")
	if after := tree(t, p.out); !equalTrees(before, after) {
		t.Errorf("continuing a finished job changed its files")
	}
}

// stateFiles returns the files that a checkpoint refers to, in the order of its metadata.
func stateFiles(t *testing.T, metadata string) []string {
	t.Helper()
	files := filesystem.NewRegistry(local.New(local.Options{}))
	found, err := store.Read(context.Background(), files, metadata)
	if err != nil {
		t.Fatalf("the checkpoint cannot be read: %v", err)
	}
	var names []string
	for file := range found.Meta.Files {
		name := filepath.Join(filepath.Dir(metadata), filepath.FromSlash(file))
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
