package app

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/stream"
	"golang.org/x/term"
)

// progressLine keeps one line at the bottom of a terminal up to date. Without a terminal it
// shows nothing; notes and log lines pass either way. Safe for concurrent use.
type progressLine struct {
	out      io.Writer
	terminal bool
	width    func() int // columns of the terminal
	mu       struct {
		sync.Mutex
		shown string // the line as it stands, "" for none
		last  uint64
		at    time.Time
	}
}

// unknownWidth is taken for the width of a terminal that does not tell.
const unknownWidth = 80

func newProgressLine(out io.Writer) *progressLine {
	p := &progressLine{out: out, terminal: isTerminal(out)}
	p.width = func() int {
		if file, ok := out.(*os.File); ok {
			if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
				return width
			}
		}
		return unknownWidth
	}
	return p
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

const eraseLine = "\r\x1b[K"

// show draws the line.
func (p *progressLine) show(now stream.Progress) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now()
	rate := 0.0
	if passed := at.Sub(p.mu.at); !p.mu.at.IsZero() && passed > 0 && now.RecordsIn >= p.mu.last {
		rate = float64(now.RecordsIn-p.mu.last) / passed.Seconds()
	}
	p.mu.last, p.mu.at, p.mu.shown = now.RecordsIn, at, progressText(now, rate)
	p.drawLocked(eraseLine)
}

// freeColumns stay free at the end of the line: for the ^C which a terminal echoes there, and
// since some terminals begin a new line as soon as the last column is taken.
const freeColumns = 3

// drawLocked draws the line as it stands behind other text, in one write.
func (p *progressLine) drawLocked(before string) {
	line := p.mu.shown
	if most := max(p.width()-freeColumns, 0); len(line) > most { // all of it is ASCII
		line = line[:most]
	}
	_, _ = io.WriteString(p.out, before+line)
}

func progressText(now stream.Progress, rate float64) string {
	text := fmt.Sprintf("%s  %s records  %s/s", now.Status, grouped(now.RecordsIn),
		grouped(uint64(rate)))
	if now.Watermark != math.MinInt64 && now.Watermark != math.MaxInt64 {
		at := eventtime.Timestamp(now.Watermark).Time()
		text += "  watermark " + at.Format("2006-01-02 15:04:05")
	}
	if now.LastCheckpoint > 0 {
		text += fmt.Sprintf("  checkpoint %d (%v, %s)", now.LastCheckpoint,
			now.LastDuration.Round(time.Millisecond), byteSize(now.LastBytes))
	}
	if now.Restarts > 0 {
		text += fmt.Sprintf("  restarts %d", now.Restarts)
	}
	return text
}

// note prints a line above the progress line.
func (p *progressLine) note(text string) {
	_, _ = io.WriteString(p.above(p.out), text+"\n") // to be read by whoever still does
}

// finish removes the line.
func (p *progressLine) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eraseLocked()
	p.mu.shown = ""
}

func (p *progressLine) eraseLocked() {
	if p.mu.shown != "" {
		_, _ = io.WriteString(p.out, eraseLine)
	}
}

// above returns a writer of whole lines to out, the progress line's or another on the same
// terminal, that keeps them clear of the progress line.
func (p *progressLine) above(out io.Writer) io.Writer { return aboveLine{p, out} }

type aboveLine struct {
	p   *progressLine
	out io.Writer
}

// Write writes b, whole lines, above the progress line.
func (a aboveLine) Write(b []byte) (int, error) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.eraseLocked()
	n, err := a.out.Write(b)
	if a.p.mu.shown != "" {
		a.p.drawLocked("")
	}
	return n, err
}

// grouped writes n with commas between thousands.
func grouped(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}

func byteSize(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
