package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// newLogHandler returns what writes log lines clear of the progress line: for people on a
// terminal, else as slog.TextHandler does.
func newLogHandler(line *progressLine, level slog.Level) slog.Handler {
	out := line.above(line.out)
	if line.terminal {
		return newBriefHandler(out, level)
	}
	return slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})
}

// briefHandler writes log lines for people: time of day, level, message, then the attributes
// as slog.TextHandler writes them. It implements slog.Handler; safe for concurrent use.
type briefHandler struct {
	attributes slog.Handler // writes into shared.buffer
	shared     *brief
}

type brief struct {
	out io.Writer
	mu  struct {
		sync.Mutex
		buffer bytes.Buffer
	}
}

// Write implements io.Writer for the attributes; the lock is held.
func (b *brief) Write(text []byte) (int, error) { return b.mu.buffer.Write(text) }

// What a record has for the handler of attributes to leave out, and no attribute has.
const (
	noLevel   = slog.Level(math.MinInt)
	noMessage = "\x00no message"
)

func newBriefHandler(out io.Writer, level slog.Level) *briefHandler {
	shared := &brief{out: out}
	return &briefHandler{shared: shared, attributes: slog.NewTextHandler(shared,
		&slog.HandlerOptions{Level: level, ReplaceAttr: withoutRecord})}
}

func withoutRecord(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Value.Any() {
	case noLevel, noMessage:
		return slog.Attr{}
	}
	return a
}

// Enabled implements slog.Handler.
func (h *briefHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.attributes.Enabled(ctx, level)
}

// Handle implements slog.Handler: one line in one write.
func (h *briefHandler) Handle(ctx context.Context, r slog.Record) error {
	attributes := slog.NewRecord(time.Time{}, noLevel, noMessage, 0)
	r.Attrs(func(a slog.Attr) bool {
		attributes.AddAttrs(a)
		return true
	})
	message := r.Message
	if strings.ContainsAny(message, "\r\n\x1b") {
		message = strconv.Quote(message)
	}
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	buffer := &h.shared.mu.buffer
	buffer.Reset()
	if !r.Time.IsZero() {
		buffer.WriteString(r.Time.Format("15:04:05 "))
	}
	buffer.WriteString(r.Level.String() + " " + message + " ")
	if err := h.attributes.Handle(ctx, attributes); err != nil {
		return err
	}
	text := bytes.TrimRight(buffer.Bytes(), " \n")
	_, err := h.shared.out.Write(append(text, '\n'))
	return err
}

// WithAttrs implements slog.Handler.
func (h *briefHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &briefHandler{attributes: h.attributes.WithAttrs(attrs), shared: h.shared}
}

// WithGroup implements slog.Handler.
func (h *briefHandler) WithGroup(name string) slog.Handler {
	return &briefHandler{attributes: h.attributes.WithGroup(name), shared: h.shared}
}
