package cli

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// printf prints a part of the result.
func (p *Program) printf(format string, args ...any) {
	fmt.Fprintf(p.Stdout, format, args...)
}

// note prints something beside the result.
func (p *Program) note(format string, args ...any) {
	fmt.Fprintf(p.Stderr, format+"\n", args...)
}

// json prints a value as indented JSON.
func (p *Program) json(v any) error {
	encoder := json.NewEncoder(p.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// jsonLine prints a value as one line of JSON.
func (p *Program) jsonLine(v any) error {
	encoder := json.NewEncoder(p.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// column is a column of a table.
type column struct {
	title string
	right bool // align right: numbers
	give  bool // may be cut when the terminal is too narrow
}

// table prints rows under titles, each column as wide as needed. Rows are printed as soon as
// sampleRows of them say how wide the columns are, so that tables of any length need no memory.
type table struct {
	p       *Program
	indent  string
	columns []column
	widths  []int
	sample  [][]string
	printed bool
}

const (
	sampleRows = 500
	gap        = 2
	leastWidth = 8 // of a column that gives
)

func (p *Program) table(indent string, columns ...column) *table {
	t := &table{p: p, indent: indent, columns: columns, widths: make([]int, len(columns))}
	for i, c := range columns {
		t.widths[i] = utf8.RuneCountInString(c.title)
	}
	return t
}

// row adds a row of as many texts as there are columns.
func (t *table) row(texts ...string) {
	if t.printed {
		t.print(texts)
		return
	}
	for i, text := range texts {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(text))
	}
	t.sample = append(t.sample, texts)
	if len(t.sample) == sampleRows {
		t.flush()
	}
}

// flush prints what is held back. The last call for a table.
func (t *table) flush() {
	if t.printed {
		return
	}
	t.printed = true
	t.fit()
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	t.print(titles)
	for _, row := range t.sample {
		t.print(row)
	}
	t.sample = nil
}

// fit narrows columns that give until the table fits the terminal.
func (t *table) fit() {
	if t.p.Width == 0 {
		return
	}
	total := utf8.RuneCountInString(t.indent) + gap*(len(t.columns)-1)
	for _, w := range t.widths {
		total += w
	}
	for total > t.p.Width {
		widest := -1
		for i, c := range t.columns {
			if c.give && t.widths[i] > leastWidth &&
				(widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
		total--
	}
}

func (t *table) print(texts []string) {
	var line strings.Builder
	line.WriteString(t.indent)
	for i, text := range texts {
		if t.columns[i].give && t.p.Width > 0 {
			text = cut(text, t.widths[i])
		}
		pad := strings.Repeat(" ", max(0, t.widths[i]-utf8.RuneCountInString(text)))
		if t.columns[i].right {
			line.WriteString(pad + text)
		} else {
			line.WriteString(text + pad)
		}
		if i < len(texts)-1 {
			line.WriteString(strings.Repeat(" ", gap))
		}
	}
	t.p.printf("%s\n", strings.TrimRight(line.String(), " "))
}

// cut shortens a text to a width, with an ellipsis.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// sizeText writes a number of bytes.
func sizeText(n int64) string {
	switch {
	case n >= 1<<40:
		return fmt.Sprintf("%.1f TiB", float64(n)/(1<<40))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// grouped writes n with commas between thousands.
func grouped[N int | int64 | uint64 | uint32](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return string(out)
}

// timeText writes Unix milliseconds as UTC.
func timeText(millis int64) string {
	if millis <= 0 {
		return "-"
	}
	return time.UnixMilli(millis).UTC().Format(time.DateTime)
}

// iso writes Unix milliseconds for JSON.
func iso(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// durationText writes a duration as a person says it.
func durationText(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func plural[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return grouped(n) + " " + stem + "ies"
	}
	return grouped(n) + " " + noun + "s"
}
