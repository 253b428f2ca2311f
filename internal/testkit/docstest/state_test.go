//go:build unix

package docstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long all commands of a document together may take on a loaded machine.
const patience = 5 * time.Minute

// TestState follows docs/state.md as a reader does: it saves its programs, compiles its snippets,
// runs its commands and compares exit codes and output, and looks up every error of its table in
// what the commands printed.
func TestState(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and runs programs for many seconds")
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("it needs bash")
	}
	repository, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(repository, "docs", "state.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := Blocks(string(text))
	if err != nil {
		t.Fatal(err)
	}
	place := copyOf(t, repository)
	writeBuilder(t, place, repository)
	save(t, place, blocks)
	printed := follow(t, startShell(t, place), blocks)
	if t.Failed() {
		return
	}
	lookUpErrors(t, string(text), printed)
}

// copyOf returns a directory that looks like the repository but for what runs leave behind.
func copyOf(t *testing.T, repository string) string {
	place := t.TempDir()
	entries, err := os.ReadDir(repository)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == "bin" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "flights-out") {
			continue
		}
		err := os.Symlink(filepath.Join(repository, name), filepath.Join(place, name))
		if err != nil {
			t.Fatal(err)
		}
	}
	return place
}

// save writes the programs of a document, and its snippets as packages of their own, and compiles
// the snippets.
func save(t *testing.T, place string, blocks []Block) {
	var snippets []string
	for _, b := range blocks {
		if b.Language != "go" {
			continue
		}
		name, text := b.Options["file"], strings.Join(b.Lines, "\n")+"\n"
		if name == "" {
			name = fmt.Sprintf("bin/snippets/line%d/snippet.go", b.Line)
			snippets = append(snippets, "./"+filepath.ToSlash(filepath.Dir(name)))
			text = withImports(text)
		}
		file := filepath.Join(place, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777),
			os.WriteFile(file, []byte(text), 0o666))
		if err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(
		filepath.Join(place, tools, "go"),
		append([]string{"build"}, snippets...)...)
	command.Dir, command.Env = place, environment(place)
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("snippets do not compile: %v\n%s", err, out)
	}
}

// packages are those a snippet may use, by name.
var packages = map[string]string{
	"eventtime": "github.com/leat-io/leat/eventtime",
	"state":     "github.com/leat-io/leat/state",
	"stream":    "github.com/leat-io/leat/stream",
	"window":    "github.com/leat-io/leat/window",
	"context":   "context",
	"fmt":       "fmt",
	"time":      "time",
}

// withImports makes a file of a snippet of declarations.
func withImports(text string) string {
	imports := ""
	for name, path := range packages {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(text) {
			imports += fmt.Sprintf("import %q\n", path)
		}
	}
	return "package snippet\n\n" + imports + "\n" + text
}

// environment returns that of commands in a directory, in which "go" is the program below.
func environment(place string) []string {
	return append(os.Environ(), "PWD="+place,
		"PATH="+filepath.Join(place, tools)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// tools is the folder of programs that stand in for others.
const tools = ".tools"

// builder stands in for go. It builds in the repository, with the programs and snippets of the
// document laid over it: elsewhere, go would compile every package anew.
const builder = `#!/usr/bin/env bash
set -euo pipefail
here=$PWD repository=%q arguments=() separator=
for argument in "${@:2}"; do
	case $argument in bin/*) argument=$here/$argument ;; esac
	arguments+=("$argument")
done
shopt -s nullglob
{
	printf '{"Replace":{'
	for file in bin/_*/*.go bin/snippets/*/*.go; do
		printf '%%s"%%s":"%%s"' "$separator" "$repository/$file" "$here/$file"
		separator=,
	done
	printf '}}'
} > overlay.json
cd "$repository"
exec %q "$1" -overlay "$here/overlay.json" "${arguments[@]}"
`

// writeBuilder puts the builder where environment looks for it.
func writeBuilder(t *testing.T, place, repository string) {
	real, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(place, tools)
	err = errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(filepath.Join(dir, "go"),
		fmt.Appendf(nil, builder, repository, real), 0o777))
	if err != nil {
		t.Fatal(err)
	}
}

// shell is a running bash.
type shell struct {
	in  io.Writer
	out *bufio.Reader
}

// startShell starts a shell in a directory. It, and all it has started, are gone after the test.
func startShell(t *testing.T, place string) *shell {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	command := exec.CommandContext(ctx, "bash", "--noprofile", "--norc")
	command.Dir = place
	command.Env = append(environment(place), "XDG_RUNTIME_DIR="+shortDirectory(t))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = w, w
	if err := errors.Join(command.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait() // killed, as it was meant to be
		_ = r.Close()
	})
	return &shell{in: in, out: bufio.NewReader(r)}
}

// shortDirectory returns a directory for sockets, whose paths must be short.
func shortDirectory(t *testing.T) string {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return dir
}

const marker = "--- end of command, exit code "

// run runs a command and returns what it printed and its exit code.
func (s *shell) run(text string) (lines []string, code string, err error) {
	_, err = fmt.Fprintf(s.in, "{ %s\n} </dev/null; printf '\\n%s%%s\\n' $?\n", text, marker)
	if err != nil {
		return nil, "", err
	}
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return lines, "", err
		}
		line = strings.TrimSuffix(line, "\n")
		if code, ends := strings.CutPrefix(line, marker); ends {
			for len(lines) > 0 && lines[len(lines)-1] == "" {
				lines = lines[:len(lines)-1]
			}
			return lines, code, nil
		}
		lines = append(lines, line)
	}
}

// follow runs all commands and returns what they printed.
func follow(t *testing.T, s *shell, blocks []Block) (printed []string) {
	for _, b := range blocks {
		commands, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			begin := time.Now()
			lines, code, err := s.run(c.Text)
			printed = append(printed, lines...)
			t.Logf("line %d, %v: %s\n%s", c.Line, time.Since(begin).Round(time.Millisecond),
				c.Text, strings.Join(lines, "\n"))
			if err != nil || code != "0" {
				t.Fatalf("line %d: %s: exit code %q, %v", c.Line, c.Text, code, err)
			}
			compare(t, c, lines)
		}
	}
	return printed
}

func compare(t *testing.T, c Command, lines []string) {
	if c.Output == nil {
		return
	}
	shown := c.Output
	for len(shown) > 0 && shown[len(shown)-1] == "" {
		shown = shown[:len(shown)-1]
	}
	if at := Match(shown, lines, c.Exact); at >= 0 {
		differing := "the end"
		if at < len(shown) {
			differing = shown[at]
		}
		t.Errorf("line %d: %s: the output differs from line %d on: want %q", c.Line, c.Text,
			c.Line+1+strings.Count(c.Text, "\n")+at, differing)
	}
}

var errorRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// lookUpErrors fails when the table of errors has one that no command printed.
func lookUpErrors(t *testing.T, text string, printed []string) {
	_, table, found := strings.Cut(text, "| It says |")
	if !found {
		t.Fatal("no table of errors")
	}
	rows := errorRow.FindAllStringSubmatch(table, -1)
	if len(rows) == 0 {
		t.Fatal("no rows in the table of errors")
	}
	all := strings.Join(printed, "\n")
	for _, row := range rows {
		text := strings.TrimSuffix(
			strings.TrimPrefix(expression(row[1], false).String(), `^\s*`),
			`\s*$`,
		)
		if !regexp.MustCompile(text).MatchString(all) {
			t.Errorf("no command printed the error %q", row[1])
		}
	}
}
