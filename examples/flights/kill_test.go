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
	want := undisturbed(t)
	wanted := int(number(t, "LEAT_KILLS", 5))
	seed := number(t, "LEAT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("seed %d, %d kills", seed, wanted)
	k := &killer{
		random: rand.New(rand.NewPCG(seed, 0)), left: wanted, program: "flights", seconds: 1.2,
		args: func(t *testing.T, p place, random *rand.Rand) []string {
			return p.flags(t, rated(1+random.IntN(4), 1.2)...)
		},
	}
	jobs := 0
	for ; k.left > 0 && !t.Failed(); jobs++ {
		t.Run(fmt.Sprint("job ", jobs+1), func(t *testing.T) {
			p := newPlace(t)
			history := k.run(t, p)
			compare(t, want, p.results(t, ""))
			checkLeftovers(t, p)
			if t.Failed() {
				t.Logf("history:\n%s", strings.Join(history, "\n"))
			}
		})
	}
	t.Logf("%d kills of %d jobs", wanted-k.left, jobs)
}

// TestKillState kills a job with much state as TestKill does. The job itself checks all of its
// state against the numbers it counts.
func TestKillState(t *testing.T) {
	t.Parallel()
	wanted := int(number(t, "LEAT_KILLS", 3))
	seed := number(t, "LEAT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("seed %d, %d kills", seed, wanted)
	k := &killer{
		random: rand.New(rand.NewPCG(seed, 1)), left: wanted, program: "counter", seconds: 2,
		args: func(_ *testing.T, p place, _ *rand.Rand) []string {
			return []string{
				"-p", "2", "-rate", "250000", "--checkpoint-dir", p.checkpoints,
				"-D", "execution.checkpointing.interval=50ms", "-D", noRestart,
			}
		},
	}
	for k.left > 0 && !t.Failed() {
		k.run(t, newPlace(t))
	}
}

// killer starts jobs and kills them.
type killer struct {
	random  *rand.Rand
	left    int // kills
	program string
	args    func(*testing.T, place, *rand.Rand) []string
	seconds float64 // about as long as an undisturbed run
}

// run starts a job again and again, until it has finished.
func (k *killer) run(t *testing.T, p place) (history []string) {
	t.Helper()
	for attempt := 0; ; attempt++ {
		args := append(k.args(t, p, k.random), "--from", "latest")
		c := start(t, k.program, args...)
		moment := "never"
		if k.left > 0 && attempt < 20 {
			moment = k.killSome(t, c, p)
		}
		end := c.wait()
		history = append(history, fmt.Sprintf("%q, to be killed %s: exit %d, committed %d: %s",
			args, moment, end.code, p.committed(t, k.program), end.stderr))
		switch end.code {
		case 0:
			return history
		case -1:
			k.left--
		default:
			t.Fatalf("the job failed instead of finishing:\n%s", strings.Join(history, "\n"))
		}
	}
}

// killSome kills a process at a random moment, if it does not end before: at a time, or as
// soon as a file comes that shows the process in the middle of completing a checkpoint.
func (k *killer) killSome(t *testing.T, c *child, p place) (moment string) {
	t.Helper()
	patterns := []string{
		"", "", // a time
		filepath.Join(p.checkpoints, "*", "chk-*", "_metadata"),               // before its record
		filepath.Join(p.checkpoints, "_jobs", k.program, "checkpoint-*[0-9]"), // before the commit
		filepath.Join(p.out, "hourly", "part-*"),                              // within the commit
	}
	pattern := patterns[k.random.IntN(len(patterns))]
	if pattern != "" {
		n := 1 + k.random.IntN(8)
		c.untilNew(pattern, n)
		_ = c.command.Process.Kill() // an error says that it has ended
		return fmt.Sprintf("at new file %d of %s", n, pattern)
	}
	// Rather early than late, so that most runs are killed.
	part := k.random.Float64() * k.random.Float64() * 1.3
	delay := 5*time.Millisecond + time.Duration(part*k.seconds*float64(time.Second))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.done:
	}
	_ = c.command.Process.Kill()
	return fmt.Sprintf("after %v", delay)
}

// checkLeftovers checks what a finished job leaves: nothing in progress, one checkpoint that
// can be restored from, and no file of state that it does not refer to.
func checkLeftovers(t *testing.T, p place) {
	t.Helper()
	if left := p.inProgress(t, "flights"); len(left) > 0 {
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
