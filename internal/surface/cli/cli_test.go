package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// leat runs the command and returns its exit code and what it prints.
func leat(t *testing.T, width int, args ...string) (code int, stdout, stderr string) {
	var out, note bytes.Buffer
	p := Program{
		Stdout: &out, Stderr: &note, Files: filesystem.NewRegistry(local.New(local.Options{})),
		Sockets: filepath.Join(t.TempDir(), "none"), Clock: clock.Real(), Width: width,
		Version: Version{Leat: "test", Go: "go"},
	}
	code = p.Run(t.Context(), args)
	return code, out.String(), note.String()
}

// volatile is what differs from run to run, and what the scripts have in its place.
var volatile = []struct {
	is   *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`savepoint-[0-9a-f]{6}-[0-9a-f]{12}`), "SAVEPOINT"},
	{regexp.MustCompile(`\d+-\d+-\d+-\d+-[0-9a-f]{8}\.run`), "FILE.run"},
	{regexp.MustCompile(`20(2[6-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`), "NOW"},
	{regexp.MustCompile(`\d+(\.\d+)? (B|KiB)\b`), "SIZE"},
	{regexp.MustCompile(`"(b|stateB|newB)ytes": \d+`), `"${1}ytes": SIZE`},
	{regexp.MustCompile(`sockets in [^)]*\)`), "sockets in DIR)"},
	{regexp.MustCompile(`(\S)  +`), "$1  "},
	{regexp.MustCompile(`  +(\S)`), "  $1"},
	{regexp.MustCompile(` +\n`), "\n"},
}

// stable makes the output of a command the same in every run.
func (m made) stable(text string) string {
	text = strings.ReplaceAll(text, m.jobID, "JOBID")
	text = strings.ReplaceAll(text, m.dir, "DIR")
	for _, v := range volatile {
		text = v.is.ReplaceAllString(text, v.text)
	}
	return text
}

// words splits a command line as a shell does, as far as the scripts need it.
func (m made) words(line string) []string {
	line = strings.NewReplacer("$ROOT", m.root, "$CHECKPOINT", m.checkpoint, "$SAVEPOINT",
		m.savepoint, "$DIR", m.dir, "$JOBID", m.jobID).Replace(line)
	var words []string
	for _, part := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(part, "'"))
	}
	return words
}

// Goal: what people and scripts see of checkpoints of a real job is right, from either backend.
// Method: scripts of command lines with their output, run over a checkpoint and a savepoint of a
// job with a state of every kind; -rewrite writes them anew.
func TestScripts(t *testing.T) {
	for _, backend := range []string{"hashmap", "naive"} {
		t.Run(backend, func(t *testing.T) {
			m := makeJob(t, backend)
			scripts := filepath.Join("testdata", "scripts")
			datadriven.Walk(t, scripts, func(t *testing.T, path string) {
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					width := 0
					d.MaybeScanArgs(t, "width", &width)
					code, stdout, stderr := leat(t, width, m.words(d.Input)...)
					text := stdout
					if stderr != "" {
						text += "stderr: " + stderr
					}
					if code != 0 {
						text += fmt.Sprintf("exit %d\n", code)
					}
					return m.stable(text)
				})
			})
		})
	}
}

// Goal: tables fit the width of the terminal and can be read. Method: pictures of one table at
// three widths.
func TestTable(t *testing.T) {
	var pictures strings.Builder
	for _, width := range []int{0, 60, 40} {
		var out bytes.Buffer
		p := Program{Stdout: &out, Width: width}
		table := p.table("  ", column{title: "NAME"}, column{title: "ROWS", right: true},
			column{title: "WHAT", give: true}, column{title: "WHY", give: true})
		table.row("Zürich", grouped(1_234_567), "a text that is quite long", "short")
		table.row("b", "~7", "", "another one that is long as well")
		table.flush()
		fmt.Fprintf(&pictures, "width %d\n%s", width, out.String())
	}
	const want = `width 0
  NAME         ROWS  WHAT                       WHY
  Zürich  1,234,567  a text that is quite long  short
  b              ~7                             another one that is long as well
width 60
  NAME         ROWS  WHAT                WHY
  Zürich  1,234,567  a text that is qu…  short
  b              ~7                      another one that i…
width 40
  NAME         ROWS  WHAT      WHY
  Zürich  1,234,567  a text …  short
  b              ~7            another …
`
	if got := pictures.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Goal: a table of any length is printed as it comes. Method: more rows than the sample.
func TestLongTable(t *testing.T) {
	var out bytes.Buffer
	p := Program{Stdout: &out}
	table := p.table("", column{title: "N", right: true})
	for i := range 2 * sampleRows {
		table.row(fmt.Sprint(i))
		if i == sampleRows && strings.Count(out.String(), "\n") < sampleRows {
			t.Error("rows are held back")
		}
	}
	table.flush()
	if n := strings.Count(out.String(), "\n"); n != 2*sampleRows+1 {
		t.Errorf("%d lines", n)
	}
}
