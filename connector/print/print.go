// Package print is a sink that prints rows, for looking at a job while it runs.
//
// The main type is [Sink], made by [NewSink]. A row of several columns is printed as
// +I[2001-01-01 00:47:00, 66, DTW], a row of one column as its value alone, null as "null". When
// several subtasks print, each line starts with the number of its subtask, from 1: "2> ".
//
// Rows are printed when they arrive and not with a checkpoint, so that the first one is seen at
// once: after a restart the rows since the last checkpoint are printed again (at least once).
//
// A Sink is safe to share; its writers take turns at the output, which gets whole lines only.
//
// Semantics: Flink's print connector, Row.toString.
package print

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/types"
)

// Options are the settings of a Sink. The zero value prints to the standard output.
type Options struct {
	// Output is where to print; default what SetDefaultOutput was given, else the standard
	// output. Each Write of the sink is one call, none of them concurrent.
	Output io.Writer
	// Identifier starts every line, before the subtask: "id:2> ", or "id> " of a single one.
	Identifier string
}

// Sink prints rows. It implements connector.Sink.
type Sink struct {
	identifier string
	mu         struct {
		sync.Mutex
		output io.Writer
	}
}

// NewSink returns the sink.
func NewSink(options Options) *Sink {
	s := &Sink{identifier: options.Identifier}
	s.mu.output = options.Output
	if s.mu.output == nil {
		s.mu.output = &standard
	}
	return s
}

// SetDefaultOutput makes w the output of all sinks without Options.Output, those made before
// as well; nil is the standard output. Whoever owns the terminal calls it before jobs run, for
// example to keep rows clear of a progress line: app.Main does. Each Write is one call with
// whole lines, none of them concurrent. Safe for concurrent use.
func SetDefaultOutput(w io.Writer) {
	standard.mu.Lock()
	defer standard.mu.Unlock()
	standard.mu.output = w
}

// defaultOutput passes on to what SetDefaultOutput was given.
type defaultOutput struct {
	mu struct {
		sync.Mutex
		output io.Writer // nil = the standard output
	}
}

var standard defaultOutput

// Write implements io.Writer.
func (d *defaultOutput) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.output == nil {
		return os.Stdout.Write(b)
	}
	return d.mu.output.Write(b)
}

// NewWriter implements connector.Sink.
func (s *Sink) NewWriter(_ context.Context, env *connector.Env) (connector.Writer, error) {
	prefix := s.identifier
	if env.Parallelism > 1 {
		if prefix != "" {
			prefix += ":"
		}
		prefix += strconv.Itoa(env.Subtask + 1)
	}
	if prefix != "" {
		prefix += "> "
	}
	return &writer{sink: s, prefix: prefix}, nil
}

// NewCommitter implements connector.Sink: there is none.
func (s *Sink) NewCommitter(context.Context, *connector.Env) (connector.Committer, error) {
	return nil, nil
}

// writer implements connector.Writer.
type writer struct {
	sink   *Sink
	prefix string
	buffer []byte
}

// Write implements connector.Writer.
func (w *writer) Write(_ context.Context, rows *batch.Columns, selection []uint16) error {
	w.buffer = w.buffer[:0]
	if selection == nil {
		for row := range rows.Len {
			w.appendRow(rows, row)
		}
	}
	for _, row := range selection {
		w.appendRow(rows, int(row))
	}
	if len(w.buffer) == 0 {
		return nil
	}
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	// The lock is held over I/O for the sake of whole lines.
	if _, err := w.sink.mu.output.Write(w.buffer); err != nil {
		retry := fault.RetryLater
		if errors.Is(err, syscall.EPIPE) {
			retry = fault.RetryNever // whoever read the pipe is gone
		}
		return fault.External(fmt.Errorf("print: write rows: %w", err), retry)
	}
	return nil
}

func (w *writer) appendRow(rows *batch.Columns, row int) {
	b := append(w.buffer, w.prefix...)
	if len(rows.Columns) == 1 {
		b = appendValue(b, rows, 0, row)
		w.buffer = append(b, '\n')
		return
	}
	b = append(b, "+I["...)
	for col := range rows.Columns {
		if col > 0 {
			b = append(b, ", "...)
		}
		b = appendValue(b, rows, col, row)
	}
	w.buffer = append(b, "]\n"...)
}

func appendValue(b []byte, rows *batch.Columns, col, row int) []byte {
	if rows.IsNull(col, row) {
		return append(b, "null"...)
	}
	switch kind := rows.Schema.Fields[col].Type.Kind; kind {
	case types.String:
		return append(b, rows.Text(col, row)...)
	case types.Bytes:
		return fmt.Appendf(b, "%x", rows.Text(col, row))
	default:
		return format.AppendValue(b, kind, rows, col, row)
	}
}

// Prepare implements connector.Writer: there is nothing to commit.
func (w *writer) Prepare(context.Context, uint64) ([]connector.Committable, error) {
	return nil, nil
}

// Close implements connector.Writer.
func (w *writer) Close() error { return nil }

var _ connector.Sink = (*Sink)(nil)
