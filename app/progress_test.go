package app

import (
	"bytes"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/stream"
)

var running = stream.Progress{Status: "RUNNING", Watermark: math.MinInt64}

const runningLine = "RUNNING  0 records  0/s"

// Goal: notes, log lines and rows stand above the progress line, which is erased first, drawn
// again behind them and erased at the end; without a terminal there is no line. Method: compare
// what is written.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := newProgressLine(&out)
	p.show(running)
	p.note("quiet")
	p.finish()
	if got := out.String(); got != "quiet\n" {
		t.Errorf("without a terminal it writes %q", got)
	}
	out.Reset()
	p.terminal = true
	p.note("early")
	p.show(running)
	p.note("a note")
	rows := p.above(struct{ io.Writer }{&out}) // as another file on the same terminal
	if n, err := rows.Write([]byte("1> a\n1> b\n")); n != 10 || err != nil {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	p.show(running)
	p.finish()
	p.finish()
	p.note("late")
	want := "early\n" + eraseLine + runningLine +
		eraseLine + "a note\n" + runningLine +
		eraseLine + "1> a\n1> b\n" + runningLine +
		eraseLine + runningLine + eraseLine + "late\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Goal: the line and a ^C behind it never reach the last column, whatever the width at the moment.
// Method: draw it at widths around its length and at those of terminals gone mad.
func TestProgressLineWidth(t *testing.T) {
	var out bytes.Buffer
	p := newProgressLine(&out)
	p.terminal = true
	if got := p.width(); got != unknownWidth {
		t.Errorf("width of no terminal %d, want %d", got, unknownWidth)
	}
	whole := len(runningLine)
	for width, want := range map[int]int{
		0: 0, 3: 0, 4: 1, 12: 9, whole + 2: whole - 1, whole + 3: whole, whole + 4: whole,
	} {
		out.Reset()
		p.width = func() int { return width }
		p.show(running)
		if got := out.String(); got != eraseLine+runningLine[:want] {
			t.Errorf("width %d: %q, want %d columns", width, got, want)
		}
	}
	out.Reset()
	p.width = func() int { return 11 }
	p.note(strings.Repeat("a note is not cut ", 3)) // and the line behind it is
	if got := out.String(); !strings.HasSuffix(got, " cut \nRUNNING ") {
		t.Errorf("wrote %q", got)
	}
}

// Goal: a reader of stderr or stdout that is gone is no error of the job's. Method: write into
// a pipe whose other end is closed.
func TestNoReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	p := newProgressLine(w)
	p.terminal = true
	p.show(running)
	p.note("nobody reads this")
	p.finish()
}
