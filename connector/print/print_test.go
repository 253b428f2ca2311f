package print

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/types"
)

func rows() *batch.Columns {
	c := batch.New(&types.Schema{Fields: []types.Field{
		types.Col("at", types.TimestampOf(3)), types.Col("delay", types.TypeOf(types.Int)),
		types.Col("mean", types.TypeOf(types.Double)), types.Col("origin",
			types.TypeOf(types.String)),
	}}, 2)
	c.Len = 2
	c.Columns[0].Int64[0], c.Columns[1].Int32[0], c.Columns[2].Float64[0] = 978310020000, 66, 1.5
	c.SetString(3, 0, []byte("DTW"))
	for col := range c.Columns {
		c.SetNull(col, 1)
	}
	return c
}

// TestLines checks the text of rows with every kind of prefix.
func TestLines(t *testing.T) {
	const plain = "+I[2001-01-01 00:47:00, 66, 1.5, DTW]"
	const nulls = "+I[null, null, null, null]"
	for _, test := range []struct {
		identifier  string
		parallelism int
		selection   []uint16
		want        string
	}{
		{"", 1, nil, plain + "\n" + nulls + "\n"},
		{"", 4, nil, "2> " + plain + "\n2> " + nulls + "\n"},
		{"late", 1, []uint16{1, 0}, "late> " + nulls + "\nlate> " + plain + "\n"},
		{"late", 4, []uint16{0}, "late:2> " + plain + "\n"},
		{"late", 4, []uint16{}, ""},
	} {
		var out bytes.Buffer
		sink := NewSink(Options{Output: &out, Identifier: test.identifier})
		w, err := sink.NewWriter(t.Context(), &connector.Env{Subtask: 1,
			Parallelism: test.parallelism})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), rows(), test.selection); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestOneColumn checks that a single value is printed bare.
func TestOneColumn(t *testing.T) {
	c := batch.New(&types.Schema{Fields: []types.Field{types.Col("v",
		types.TypeOf(types.BigInt))}}, 1)
	c.Len, c.Columns[0].Int64[0] = 1, 42
	var out bytes.Buffer
	w, _ := NewSink(Options{Output: &out}).NewWriter(t.Context(), &connector.Env{Parallelism: 1})
	if err := w.Write(t.Context(), c, nil); err != nil || out.String() != "42\n" {
		t.Fatalf("%q, %v", out.String(), err)
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

// TestBrokenOutput checks that a failing output is an external fault, which time may cure unless
// the reader of a pipe is gone.
func TestBrokenOutput(t *testing.T) {
	for _, test := range []struct {
		err  error
		want fault.Retry
	}{
		{errors.New("disk full"), fault.RetryLater},
		{&os.PathError{Op: "write", Path: "stdout", Err: syscall.EPIPE}, fault.RetryNever},
	} {
		sink := NewSink(Options{Output: broken{test.err}})
		w, _ := sink.NewWriter(t.Context(), &connector.Env{})
		err := w.Write(t.Context(), rows(), nil)
		if fault.DomainOf(err) != fault.DomainExternal || fault.RetryOf(err) != test.want ||
			!errors.Is(err, test.err) {
			t.Errorf("%v: got %v, retry %v", test.err, err, fault.RetryOf(err))
		}
	}
}

// TestDefaultOutput checks that sinks without an output of their own follow SetDefaultOutput, also
// those made before, and the others do not.
func TestDefaultOutput(t *testing.T) {
	var first, second, own bytes.Buffer
	defer SetDefaultOutput(nil)
	write := func(sink *Sink) {
		t.Helper()
		w, err := sink.NewWriter(t.Context(), &connector.Env{Parallelism: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), rows(), []uint16{1}); err != nil {
			t.Fatal(err)
		}
	}
	sink, other := NewSink(Options{}), NewSink(Options{Output: &own})
	SetDefaultOutput(&first)
	write(sink)
	write(other)
	SetDefaultOutput(&second)
	write(sink)
	write(NewSink(Options{}))
	const line = "+I[null, null, null, null]\n"
	got := []string{first.String(), second.String(), own.String()}
	if diff := cmp.Diff([]string{line, line + line, line}, got); diff != "" {
		t.Error(diff)
	}
}
