package cli

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
	"github.com/leat-io/leat/window"
)

// firings has states of the key, and of the key and window.
type firings[K any] struct {
	total state.Value[int64]
	fired state.Value[int64]
	sizes state.Map[string, int64]
}

func (f *firings[K]) OpenStates(global, window *state.Declarations) error {
	f.total = state.DeclareValue[int64](global, "total")
	f.fired = state.DeclareValue[int64](window, "fired")
	f.sizes = state.DeclareMap[string, int64](window, "sizes")
	return nil
}

func (f *firings[K]) Process(
	_ *stream.WindowContext[K], trips iter.Seq[trip], _ stream.Collector[string],
) error {
	size := int64(0)
	for range trips {
		size++
	}
	f.total.Update(func(v *int64) { *v += size })
	f.fired.Update(func(v *int64) { *v++ })
	f.sizes.Put(fmt.Sprint("size ", size), size)
	return nil
}

// makeWindows runs a job to its end with windows that are left over then, and returns the
// directory of its last checkpoint.
func makeWindows(t *testing.T) string {
	root := filepath.Join(t.TempDir(), "ck")
	env := stream.NewEnv("windows")
	env.Set("execution.checkpointing.dir", root)
	env.Set("execution.checkpointing.interval", "0")
	source := stream.Generate(env, "source", 7, tripOf, stream.WithEventTime(
		func(t trip) eventtime.Timestamp { return t.At }, eventtime.MonotonousTimestamps()))
	byMiles := stream.KeyBy(source, func(t trip) int64 { return t.Miles % 2 })
	byName := stream.KeyBy(source, func(t trip) string { return "the only one" })
	ignore := func(string) error { return nil }
	stream.ForEach(stream.ProcessWindow(stream.Global(byMiles).Trigger(window.Count(3)), "by-miles",
		func() stream.ProcessWindowFunction[int64, trip, string] { return &firings[int64]{} }),
		"ignore 1", ignore)
	stream.ForEach(stream.ProcessWindow(stream.Global(byName).Trigger(window.Count(5)), "by-name",
		func() stream.ProcessWindowFunction[string, trip, string] { return &firings[string]{} }),
		"ignore 2", ignore)
	// Of processing time, so that they do not fire at the end of the input.
	sessions := stream.Session(byMiles, 240*time.Hour).ProcessingTime()
	stream.ForEach(stream.ProcessWindow(sessions, "sessions",
		func() stream.ProcessWindowFunction[int64, trip, string] { return never[int64]{} }),
		"ignore 3", ignore)
	result, err := env.Execute(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, result.JobID, fmt.Sprint("chk-", result.Checkpoint))
}

type never[K any] struct{}

func (never[K]) Process(
	*stream.WindowContext[K], iter.Seq[trip], stream.Collector[string],
) error {
	return nil
}

// Goal: what a windowed operator keeps by window is read by its schemas: elements with their
// event times, what triggers remember, states of key and window; nothing of it is taken for
// damage. Method: windows that are left over when the input ends, looked at state by state.
func TestStateOfWindows(t *testing.T) {
	checkpoint := makeWindows(t)
	if code, stdout, stderr := leat(t, 0, "checkpoint", "verify", checkpoint); code != 0 {
		t.Fatal(code, stdout, stderr)
	}
	element := func(number, miles int64) string {
		at := fmt.Sprintf("2013-01-01 00:%02d:00", miles)
		return fmt.Sprint("end of time none ", number, " ", at, " ", at, " ", places[miles],
			" BOS ", miles)
	}
	for _, c := range []struct {
		operator, state, key string
		want                 []string // behind the head and the key
	}{
		{"by-miles", "windows", "1", []string{"3"}},
		{"by-miles", "window-contents", "1", []string{
			element(1, 1), element(2, 3), element(3, 5)}},
		{"by-miles", "window-triggers", "0", []string{"end of time none count 1"}},
		{"by-miles", "global/total", "1", []string{"3"}},
		{"by-miles", "window/fired", "1", []string{"none end of time 1"}},
		{"by-miles", "window/sizes", "0", []string{"none end of time size 3 3"}},
		{"by-name", "windows", "the only one", []string{"7"}},
		{"by-name", "window-triggers", "the only one", []string{"end of time none count 2"}},
		{"by-name", "window/fired", "the only one", []string{"none end of time 1"}},
		{"by-name", "window/sizes", "the only one", []string{"none end of time size 5 5"}},
	} {
		code, stdout, stderr := leat(t, 0, "state", "get", checkpoint,
			"--operator", c.operator, "--state", c.state, "--key", c.key)
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		var got []string
		for _, line := range lines[1:] {
			rest, ok := strings.CutPrefix(line, c.key+" ")
			if !ok {
				t.Errorf("%s %s: line %q is of another key", c.operator, c.state, line)
			}
			got = append(got, strings.Join(strings.Fields(rest), " "))
		}
		if diff := cmp.Diff(c.want, got); diff != "" || code != 0 {
			t.Errorf("%s %s: code %d %s\n%s", c.operator, c.state, code, stderr, diff)
		}
	}
}

// Goal: the JSON of an element of a window tells its event time and its value. Method: one
// session, whose times are those of the run.
func TestElementOfSession(t *testing.T) {
	_, stdout, stderr := leat(t, 0, "state", "get", makeWindows(t), "--operator", "sessions",
		"--state", "window-contents", "--key", "0", "--limit", "1", "-o", "json")
	const want = `"eventTime":"2013-01-01 00:00:00","value":` +
		`{"at":"2013-01-01 00:00:00","from":"BOS","to":"BOS","miles":0}}` + "\n"
	if !strings.HasSuffix(stdout, want) {
		t.Errorf("got %s%s, want it to end with %s", stdout, stderr, want)
	}
}
