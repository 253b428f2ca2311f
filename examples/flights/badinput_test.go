package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refused runs a program that must end with an exit code, without a result, and with texts on
// stderr.
func refused(t *testing.T, code int, name string, args []string, texts ...string) {
	t.Helper()
	end := start(t, name, args...).expect(code, texts...)
	if n := strings.Count(end.stderr, "not defined"); n > 1 {
		t.Errorf("it says %d times what is not defined: %v", n, end)
	}
	if end.stdout != "" {
		t.Errorf("a refused run printed %q", end.stdout)
	}
}

// TestBadFlags gives the job a command line that is wrong: it runs nothing and names what is
// wrong.
func TestBadFlags(t *testing.T) {
	for _, test := range []struct {
		name  string
		code  int
		flags []string
		texts []string
	}{
		{
			"unknown key", 2, []string{"-D", "execution.checkpointing.intervall=1s"},
			[]string{
				`"execution.checkpointing.intervall"`,
				`did you mean "execution.checkpointing.interval"`,
			},
		},
		{
			"bad value", 2, []string{"-D", "execution.checkpointing.interval=soon"},
			[]string{`"execution.checkpointing.interval"`, "soon"},
		},
		{"parallelism", 2, []string{"-p", "0"}, []string{`"parallelism.default"`}},
		{"unknown flag", 2, []string{"-ratte", "5"}, []string{"-ratte"}},
		{"argument", 2, []string{"more.csv"}, []string{`unknown arguments ["more.csv"]`}},
		{"nearly latest", 2, []string{"-s", "lastest"}, []string{`did you mean "latest"`}},
		{"state of nothing", 2, []string{"--require-state"}, []string{"--from latest"}},
		{"bad rows", 2, []string{"-bad-rows", "eat"}, []string{`"eat"`, "fail or skip"}},
		{
			"no checkpoint", 2, []string{"--from", "latest", "--require-state"},
			[]string{`"flights"`, "no checkpoint"},
		},
		{
			"no such checkpoint", 2, []string{"--from", "nowhere/chk-7"},
			[]string{"nowhere/chk-7/_metadata"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t)
			refused(t, test.code, "flights", p.flags(t, test.flags...), test.texts...)
			if out := tree(t, p.out); len(out) > 0 {
				t.Errorf("it wrote %d files", len(out))
			}
		})
	}
}

// TestMissingInput starts the job on files that are not there: it fails and names them.
func TestMissingInput(t *testing.T) {
	for _, in := range []string{"nowhere/*.csv.gz", "nowhere/flights.csv"} {
		p := newPlace(t)
		refused(t, 2, "flights", p.flags(t, "-in", in), in)
	}
}

// noRestart saves the time of restarts that meet the same fault again.
const noRestart = "restart-strategy.type=none"

const header = "date,delay,distance,origin,destination\n"

// TestMalformedRow reads files with bad rows: the job fails and names file, line and column,
// or it skips and counts them, as it is told.
func TestMalformedRow(t *testing.T) {
	good := "2001-01-01 00:03,-20,1946,LAX,ATL\n"
	for _, test := range []struct {
		name, file, rows string
		texts            []string
	}{
		{
			"number", "late.csv", good + good + "2001-01-01 00:05,late,1946,LAX,ATL\n" + good,
			[]string{"late.csv", "line 4", `"delay"`, `"late"`},
		},
		{
			"compressed", "late.csv.gz", good + "2001-01-01,-20,1946,LAX,ATL\n" + good + good,
			[]string{"late.csv.gz", "line 3", `"date"`},
		},
		{
			"cut off", "short.csv", good + good + good + "2001-01-01 00:05,7",
			[]string{"short.csv", "line 5"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), test.file)
			writeFile(t, name, header+test.rows)
			p := newPlace(t)
			refused(t, 1, "flights", p.flags(t, "-in", name, "-D", noRestart), test.texts...)
			if got := p.results(t, ""); len(got.hourly)+len(got.daily)+len(got.ranking) > 0 {
				t.Errorf("a failed job committed %+v", got)
			}
			p = newPlace(t)
			start(t, "flights", p.flags(t, "-in", name, "-bad-rows", "skip")...).
				expect(0, "FINISHED: 3 records read", "bad rows skipped: 1")
			got := p.results(t, "")
			compareLines(t, "daily", []string{"LAX,2001-01-01 00:00:00,3,-60,5838"}, got.daily)
		})
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if strings.HasSuffix(name, ".gz") {
		z := gzip.NewWriter(file)
		if _, err := z.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := file.WriteString(content); err != nil {
		t.Fatal(err)
	}
}

// stoppedCounter runs the other job until it has committed a few checkpoints, and stops it.
func stoppedCounter(t *testing.T) place {
	t.Helper()
	p := newPlace(t)
	c := start(t, "counter", "--checkpoint-dir", p.checkpoints, "-rate", "200000",
		"-D", "execution.checkpointing.interval=50ms",
		"-D", "execution.checkpointing.num-retained=3")
	c.until("it committed a few checkpoints", func() bool {
		return p.committed(t, "counter") >= 5
	})
	c.send(syscall.SIGTERM)
	c.expect(0, "SUSPENDED")
	return p
}

// TestForeignCheckpoint starts jobs from checkpoints which are not theirs: of another job, and
// of the same with state of another type. They are refused before anything runs.
func TestForeignCheckpoint(t *testing.T) {
	other := stoppedCounter(t)
	p := newPlace(t)
	refused(t, 2, "flights", p.flags(t, "--from", other.metadata(t, "counter")),
		`"flights"`, `"counter"`)
	refused(t, 2, "counter", []string{
		"--checkpoint-dir", other.checkpoints, "--from", "latest", "-totals", "text",
	}, `"totals"`, `"total"`, "BIGINT", "STRING")
	if out := tree(t, p.out); len(out) > 0 {
		t.Errorf("a refused job wrote %d files", len(out))
	}
}

// TestDamagedCheckpoint damages the newest checkpoint's metadata, or a file of state that it
// refers to, in many places: the job is refused and the file named, though older checkpoints
// are there and whole.
func TestDamagedCheckpoint(t *testing.T) {
	original := stoppedCounter(t)
	metadata := original.metadata(t, "counter")
	content := readFile(t, metadata)
	runs := stateFiles(t, metadata)
	if len(runs) == 0 {
		t.Fatal("the checkpoint refers to no file of state: nothing to damage")
	}
	var damages []damage
	for _, size := range []int{0, 1, 16, len(content) / 2, len(content) - 1} {
		damages = append(damages, damage{
			fmt.Sprintf("metadata cut to %d bytes", size), metadata, content[:size],
		})
	}
	for _, at := range []int{0, 9, 30, len(content) / 3, len(content) / 2, len(content) - 1} {
		damages = append(damages, damage{
			fmt.Sprintf("metadata flipped at %d", at), metadata, flipped(content, at),
		})
	}
	for _, name := range []string{runs[0], runs[len(runs)-1]} {
		run := readFile(t, name)
		damages = append(damages, damage{"run flipped", name, flipped(run, len(run)/2)},
			damage{"run cut", name, run[:len(run)-1]})
	}
	for _, d := range damages {
		t.Run(d.what, func(t *testing.T) { d.try(t, original) })
	}
}

// damage is a file of a checkpoint with another content.
type damage struct {
	what, file, content string
}

func (d damage) try(t *testing.T, p place) {
	was := readFile(t, d.file)
	replace(t, d.file, d.content)
	defer replace(t, d.file, was)
	for _, from := range []string{"latest", p.metadata(t, "counter")} {
		end := start(t, "counter", "--checkpoint-dir", p.checkpoints, "--from", from,
			"-D", noRestart).wait()
		if end.code != 1 && end.code != 2 || !strings.Contains(end.stderr, filepath.Base(d.file)) {
			t.Errorf("from %s: want a refusal that names %s, got %v", from, d.file, end)
		}
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func replace(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flipped(content string, at int) string {
	b := []byte(content)
	b[at] ^= 0x10
	return string(b)
}
