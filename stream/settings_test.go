package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// Goal: a job with state that takes no checkpoints says so once when it starts, with the key to
// set; others say nothing. Method: a table of jobs, run to their end.
func TestWarnOfNoCheckpoints(t *testing.T) {
	stateful := func(e *Env) {
		k := KeyBy(numbers(e), func(v int64) benchmarkKey { return benchmarkKey{v, ""} })
		for _, uid := range []string{"count", "again"} {
			ForEach(Process(k, uid, func() KeyedProcessFunction[benchmarkKey, int64, int64] {
				return &countNumbers{}
			}), "out of "+uid, ignore)
		}
	}
	const warning = `level=WARN msg="no checkpoints are taken while this job runs: if it is killed ` +
		`or fails, all its state is lost and it starts over"`
	for _, test := range []struct {
		name, interval string
		build          func(e *Env)
		want           int
	}{
		{"off", "0", stateful, 1},
		{"default", "", stateful, 0},
		{"on", "1min", stateful, 0},
		{"stateless", "0", func(e *Env) { ForEach(numbers(e), "out", ignore) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			e := NewEnv("warned")
			e.SetLogger(slog.New(slog.NewTextHandler(&log,
				&slog.HandlerOptions{Level: slog.LevelWarn})))
			e.Set(CheckpointDirectory.Key(), t.TempDir())
			if test.interval != "" {
				e.Set(CheckpointInterval.Key(), test.interval)
			}
			test.build(e)
			_, err := e.Execute(t.Context())
			must(t, err)
			said := log.String()
			if strings.Count(said, warning) != test.want ||
				test.want == 1 && !strings.Contains(said, "execution.checkpointing.interval=10") {
				t.Errorf("log %s", said)
			}
		})
	}
}
