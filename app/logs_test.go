package app

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Goal: on a terminal a log line is time, level, message and attributes as slog.TextHandler
// writes them, whatever attributes are called; below the level there is none. Method: a table
// of records.
func TestBriefHandler(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 999, time.UTC)
	for _, c := range []struct {
		level   slog.Level
		message string
		log     func(slog.Handler) slog.Handler
		attrs   []any
		want    string
	}{
		{slog.LevelWarn, "commit failed", nil, []any{"pause", time.Second, "error",
			errors.New("disk full")}, `15:04:05 WARN commit failed pause=1s error="disk full"`},
		{slog.LevelError, "bare", nil, nil, "15:04:05 ERROR bare"},
		{slog.LevelDebug, "below", nil, nil, ""},
		{slog.LevelInfo, "a\nb", nil, nil, `15:04:05 INFO "a\nb"`},
		{slog.LevelInfo, "names", nil, []any{"msg", "m", "level", slog.LevelInfo, "time", 1,
			"empty", ""}, `15:04:05 INFO names msg=m level=INFO time=1 empty=""`},
		{slog.LevelInfo, "deep", func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.Int("job", 7)}).WithGroup("task")
		}, []any{"name", "x y"}, `15:04:05 INFO deep job=7 task.name="x y"`},
	} {
		var out bytes.Buffer
		var h slog.Handler = newBriefHandler(&out, slog.LevelInfo)
		if c.log != nil {
			h = c.log(h)
		}
		if h.Enabled(t.Context(), c.level) {
			r := slog.NewRecord(at, c.level, c.message, 0)
			r.Add(c.attrs...)
			if err := h.Handle(t.Context(), r); err != nil {
				t.Error(err)
			}
		}
		want := c.want
		if want != "" {
			want += "\n"
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: %s", c.message, diff)
		}
	}
}

// Goal: without a terminal log lines have the form of slog.TextHandler. Method: look for its
// keys.
func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	line := newProgressLine(&out)
	slog.New(newLogHandler(line, slog.LevelWarn)).Warn("slow disk", "pause", 1)
	if got := out.String(); !strings.Contains(got, ` level=WARN msg="slow disk" pause=1`) {
		t.Errorf("logged %q", got)
	}
	out.Reset()
	line.terminal = true
	slog.New(newLogHandler(line, slog.LevelWarn)).Warn("slow disk", "pause", 1)
	if got := out.String(); !strings.HasSuffix(got, " WARN slow disk pause=1\n") ||
		strings.Contains(got, "level=") {
		t.Errorf("on a terminal logged %q", got)
	}
}
