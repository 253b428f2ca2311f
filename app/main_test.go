package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/stream"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: Leat's flags are found anywhere, in Flink's and Go's spelling, and everything else is
// the program's, in order, values included. Method: a table of command lines.
func TestParseFlags(t *testing.T) {
	base := func(set func(*flags)) flags {
		f := flags{logLevel: "warn"}
		set(&f)
		return f
	}
	for _, c := range []struct {
		line string
		want flags
	}{
		{"", base(func(f *flags) {})},
		{"-p 4 in.csv --from latest -n", base(func(f *flags) {
			f.parallelism, f.from, f.allowLost, f.rest = "4", "latest", true, []string{"in.csv"}
		})},
		{"-in a.csv -rate -5 --parallelism=2 -out b", base(func(f *flags) {
			f.parallelism, f.rest = "2", []string{"-in", "a.csv", "-rate", "-5", "-out", "b"}
		})},
		{"-D a=1 -Db=2 --define c=3=4 --define=d= -D e=-p", base(func(f *flags) {
			f.settings = [][2]string{{"a", "1"}, {"b", "2"}, {"c", "3=4"}, {"d", ""}, {"e", "-p"}}
		})},
		{"-s=latest", base(func(f *flags) { f.from = "latest" })},
		{"-s x", base(func(f *flags) { f.from = "x" })},
		{"--fromSavepoint x -allowNonRestoredState", base(func(f *flags) {
			f.from, f.allowLost = "x", true
		})},
		{"-from latest --require-state", base(func(f *flags) {
			f.from, f.requireState = "latest", true
		})},
		{"-s x -rm CLAIM", base(func(f *flags) { f.from, f.claimMode = "x", "CLAIM" })},
		{"-s x --restoreMode NO_CLAIM", base(func(f *flags) {
			f.from, f.claimMode = "x", "NO_CLAIM"
		})},
		{"--claimMode=claim --from 10:00", base(func(f *flags) {
			f.from, f.claimMode = "10:00", "claim"
		})},
		{"-p3 --from file:///a=b", base(func(f *flags) {
			f.parallelism, f.from = "3", "file:///a=b"
		})},
		{"-s ./lastest", base(func(f *flags) { f.from = "./lastest" })},
		{"-s chk-7 -p12x", base(func(f *flags) { f.from, f.parallelism = "chk-7", "12x" })},
		{"-path x -p-1", base(func(f *flags) { f.rest = []string{"-path", "x", "-p-1"} })},
		{"--name n --checkpoint-dir d --log-level debug", base(func(f *flags) {
			f.name, f.checkpointDir, f.logLevel = "n", "d", "debug"
		})},
		{"-p 4 -- -p 5 -- x", base(func(f *flags) {
			f.parallelism, f.rest = "4", []string{"-p", "5", "--", "x"}
		})},
		{"- --p 3 -=x --=y --D z=1 -parallel 2 p", base(func(f *flags) {
			f.rest = []string{"-", "--p", "3", "-=x", "--=y", "--D", "z=1", "-parallel", "2", "p"}
		})},
		{"-h", base(func(f *flags) { f.help = true })},
		{"x --help", base(func(f *flags) { f.help, f.rest = true, []string{"x"} })},
	} {
		got, err := parseFlags(strings.Fields(c.line))
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		if diff := cmp.Diff(&c.want, got, cmp.AllowUnexported(flags{})); diff != "" {
			t.Errorf("%q: %s", c.line, diff)
		}
	}
}

// Goal: a flag used wrongly is refused by name. Method: a table of command lines.
func TestParseFlagsRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-p"}, `flag -p: want a value N`},
		{[]string{"--from", ""}, `flag --from: want a value WHERE`},
		{[]string{"--from="}, `flag --from=: want a value WHERE`},
		{[]string{"--from", "--require-state"},
			`flag --from: want a value WHERE, got the flag --require-state`},
		{[]string{"-s", "-Da=b"}, `flag -s: want a value WHERE, got the flag -Da=b`},
		{[]string{"-D", "a"}, `flag -D "a": want key=value`},
		{[]string{"-D=a=b"}, `flag -D "=a=b": want key=value`},
		{[]string{"--require-state=false"}, `flag --require-state=false: takes no value`},
		{[]string{"--require-state"}, `flag --require-state: want --from latest with it`},
		{[]string{"--require-state", "-s", "a/b"},
			`flag --require-state: want --from latest with it`},
		{[]string{"-rm", "CLAIM", "-s", "latest"}, `flag --claim-mode CLAIM: want --from with ` +
			`a place: without one the job goes on with what is its own`},
		{[]string{"-s", "lastest"}, `flag --from "lastest": did you mean "latest"? ` +
			`(a directory of that name is "./lastest")`},
		{[]string{"--from=Latest"}, `flag --from "Latest": did you mean "latest"? ` +
			`(a directory of that name is "./Latest")`},
	} {
		if _, err := parseFlags(c.args); err == nil || err.Error() != c.want {
			t.Errorf("%q: error %v, want %s", c.args, err, c.want)
		}
	}
}

// Goal: flags reach the environment; a flag beats -D of the same meaning. Method: read it back.
func TestApply(t *testing.T) {
	f, err := parseFlags(strings.Fields("-p 4 -Dparallelism.default=2 -D state.backend.type=naive " +
		"--checkpoint-dir /c --name other -s latest rest"))
	if err != nil {
		t.Fatal(err)
	}
	env := stream.NewEnv("job")
	f.apply(env)
	want := map[string]string{
		"parallelism.default": "4", "state.backend.type": "naive",
		"execution.checkpointing.dir": "/c",
	}
	if diff := cmp.Diff(want, env.Settings().Map()); diff != "" {
		t.Error(diff)
	}
	if env.Name() != "other" || !env.Restored() || len(env.Args()) != 1 {
		t.Errorf("name %q, restored %v, args %q", env.Name(), env.Restored(), env.Args())
	}
}

// run calls a program as the process would and returns its exit code and output.
func run(build func(*stream.Env) error, line string, options ...Option) (int, string, string) {
	var stdout, stderr bytes.Buffer
	p := program{
		build: build, name: "flights", args: strings.Fields(line), stdout: &stdout, stderr: &stderr,
	}
	for _, option := range options {
		option(&p)
	}
	code := p.main(context.Background())
	return code, stdout.String(), stderr.String()
}

// Goal: --help tells usage, flags and configuration keys. Method: compare with
// testdata/help.txt; LEAT_REWRITE=1 writes it anew.
func TestHelp(t *testing.T) {
	code, got, stderr := run(nil, "x -h", Usage("\nCounts flights.\n"))
	if code != ExitDone || stderr != "" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	path := filepath.Join("testdata", "help.txt")
	if os.Getenv("LEAT_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// Goal: what is wrong before anything runs ends with ExitUsage and one message. Method: wrong
// command lines, programs that fail to build, graphs with faults.
func TestUsageErrors(t *testing.T) {
	nothing := func(*stream.Env) error { return nil }
	for _, c := range []struct {
		line  string
		build func(*stream.Env) error
		want  string
	}{
		{"-p", nothing, "flights: flag -p: want a value N\n"},
		{"--log-level loud", nothing,
			"flights: flag --log-level \"loud\": want debug, info, warn or error\n"},
		{"-in x", func(e *stream.Env) error { return fmt.Errorf("cannot use %q", e.Args()) },
			"flights: cannot use [\"-in\" \"x\"]\n"},
		{"--paralelism 4 --from-latest -requirestate=x -x foo", nothing,
			"flights: unknown argument \"--paralelism\": did you mean \"--parallelism\"?\n" +
				"unknown argument \"4\"\n" +
				"unknown argument \"--from-latest\": did you mean \"--from latest\"?\n" +
				"unknown argument \"-requirestate=x\": did you mean \"--require-state\"?\n" +
				"unknown argument \"-x\"\nunknown argument \"foo\"\n"},
		{"", nothing, "flights: stream: build job \"flights\": " +
			"the job has no operators; add a source and a sink\n"},
		{"-D pipeline.operator-chainin=true", func(e *stream.Env) error {
			stream.FromSlice(e, "s", []int64{1})
			return nil
		}, "flights: stream: build job \"flights\": config: unknown key " +
			"\"pipeline.operator-chainin\": did you mean \"pipeline.operator-chaining\"?\n"},
	} {
		code, stdout, stderr := run(c.build, c.line)
		if code != ExitUsage || stdout != "" || stderr != c.want {
			t.Errorf("%q: exit code %d, %q, want %q", c.line, code, stdout+stderr, c.want)
		}
	}
}

// Goal: the outcome of a job becomes the exit code and one line a person understands. Method: a
// table of results.
func TestReport(t *testing.T) {
	failed := errors.New("disk full")
	result := func(status string) *stream.Result {
		return &stream.Result{Status: status, Restored: 3, Checkpoint: 5, Last: stream.Progress{
			RecordsIn: 1_234_567, RecordsOut: 10, Restarts: 1}}
	}
	const summary = "1,234,567 records read, 10 written, continued from checkpoint 3, " +
		"last checkpoint 5, restarts 1\n"
	for _, c := range []struct {
		result   *stream.Result
		err      error
		finished error
		code     int
		want     string
	}{
		{result("FINISHED"), nil, nil, ExitDone, "job FINISHED: " + summary},
		{result("FINISHED"), nil, failed, ExitFailed, "job FINISHED: " + summary +
			"job: disk full\n"},
		{result("SUSPENDED"), nil, failed, ExitDone, "job SUSPENDED: " + summary +
			"continue with: --from latest\n"},
		{result("CANCELED"), nil, failed, ExitCanceled, "job CANCELED: " + summary},
		{result("CANCELED"), context.Canceled, nil, ExitCanceled, "job CANCELED: " + summary},
		{result("FAILED"), failed, nil, ExitFailed, "job FAILED: disk full\n"},
		{result("FAILED"), fmt.Errorf("run: %w", stream.ErrFenced), nil, ExitFenced,
			"job FENCED: another process took over the job \"job\"; run one of them under another " +
				"--name\njob: run: " + stream.ErrFenced.Error() + "\n"},
		{nil, failed, nil, ExitUsage, "flights: disk full\n"},
	} {
		var stderr bytes.Buffer
		p := program{name: "flights", stdout: io.Discard, stderr: &stderr}
		OnFinished(func(*stream.Env, *stream.Result) error { return c.finished })(&p)
		code := p.report(stream.NewEnv("job"), c.result, c.err)
		if code != c.code || stderr.String() != c.want {
			t.Errorf("%+v, %v: exit code %d, %q, want %d, %q",
				c.result, c.err, code, stderr.String(), c.code, c.want)
		}
	}
}

// Goal: the progress line says what is known and nothing else. Method: a table of pictures.
func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		now  stream.Progress
		rate float64
		want string
	}{
		{stream.Progress{Status: "CREATED", Watermark: math.MinInt64}, 0,
			"CREATED  0 records  0/s"},
		{stream.Progress{Status: "RUNNING", RecordsIn: 12_345, Watermark: 1_767_225_600_000,
			LastCheckpoint: 7, LastDuration: 12_345 * time.Microsecond, LastBytes: 5 << 20,
			Restarts: 2}, 1234.9,
			"RUNNING  12,345 records  1,234/s  watermark 2026-01-01 00:00:00  " +
				"checkpoint 7 (12ms, 5.0 MiB)  restarts 2"},
		{stream.Progress{Status: "FINISHED", Watermark: math.MaxInt64}, 0,
			"FINISHED  0 records  0/s"},
	} {
		if got := progressText(c.now, c.rate); got != c.want {
			t.Errorf("progress %q, want %q", got, c.want)
		}
	}
}

// Goal: numbers are grouped, sizes have a unit. Method: a table around the limits.
func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 123_456: "123,456", 1_000_000: "1,000,000",
		math.MaxUint64: "18,446,744,073,709,551,615",
	} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB",
		5 << 30: "5.0 GiB",
	} {
		if got := byteSize(n); got != want {
			t.Errorf("byteSize(%d) = %q, want %q", n, got, want)
		}
	}
}
