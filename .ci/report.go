//go:build ignore

// Command report reads the output of go test -json on its standard input, prints what failed and
// appends the counts to a file, as one line "passed failed skipped".
//
//	go test -json ./... | report -counts FILE [-atleast N]
//
// Passing packages print nothing. A failing package prints its whole output without the chatter of
// passing tests. Skipped tests print their reason once. A package that fails without a failing
// test (it does not build, leaks a goroutine, runs out of time) counts as one failure.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// message is one line of go test -json; see go doc test2json.
type message struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Output      string
	FailedBuild string
}

// report gathers what the run says until a package ends.
type report struct {
	out                     io.Writer
	outputs                 map[string][]string // package -> its lines so far
	skips                   map[string][]string // package and test -> lines of the test
	failures                map[string]int      // package -> its failed tests
	builds                  map[string][]string // import path -> output of its build
	passed, failed, skipped int
}

func main() {
	counts := flag.String("counts", "", "file to append the counts to")
	atLeast := flag.Int("atleast", 0, "fail when fewer tests than this ran")
	flag.Parse()
	r := &report{out: os.Stdout, outputs: map[string][]string{}, skips: map[string][]string{},
		failures: map[string]int{}, builds: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Println("report:", err)
		r.failed++
	}
	if ran := r.passed + r.failed; ran < *atLeast {
		fmt.Printf("report: %d tests ran, at least %d must\n", ran, *atLeast)
		r.failed++
	}
	if err := appendCounts(*counts, r); err != nil {
		fmt.Println("report:", err)
		os.Exit(1)
	}
	if r.failed > 0 {
		os.Exit(1)
	}
}

func appendCounts(name string, r *report) error {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%d %d %d\n", r.passed, r.failed, r.skipped)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (r *report) read(input io.Reader) error {
	lines := bufio.NewReader(input)
	for {
		line, err := lines.ReadBytes('\n')
		var m message
		if len(line) > 0 {
			if json.Unmarshal(line, &m) != nil {
				fmt.Fprintf(r.out, "%s", line) // the go command speaks plainly now and then
			} else {
				r.take(m)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(m message) {
	test := m.Package + " " + m.Test
	switch m.Action {
	case "build-output":
		r.builds[m.ImportPath] = append(r.builds[m.ImportPath], m.Output)
	case "output":
		if m.Test != "" {
			r.skips[test] = append(r.skips[test], m.Output)
		}
		if !isChatter(m.Output) {
			r.outputs[m.Package] = append(r.outputs[m.Package], m.Output)
		}
	case "pass", "fail", "skip":
		if m.Test == "" {
			r.endPackage(m)
			return
		}
		r.endTest(m, test)
	}
}

func (r *report) endTest(m message, test string) {
	switch m.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.failures[m.Package]++
	case "skip":
		r.skipped++
		fmt.Fprintf(r.out, "skipped %s\n", test)
		for _, line := range r.skips[test] {
			if !isChatter(line) {
				fmt.Fprintf(r.out, "    %s", strings.TrimLeft(line, " "))
			}
		}
	}
	delete(r.skips, test)
}

func (r *report) endPackage(m message) {
	if m.Action == "fail" {
		if r.failures[m.Package] == 0 {
			r.failed++
		}
		fmt.Fprintf(r.out, "FAILED %s\n", m.Package)
		if m.FailedBuild != "" {
			fmt.Fprint(r.out, strings.Join(r.builds[m.FailedBuild], ""))
		}
		fmt.Fprint(r.out, strings.Join(r.outputs[m.Package], ""))
	}
	delete(r.outputs, m.Package)
}

// isChatter reports whether the line only tells that a test goes on or has passed.
func isChatter(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, prefix := range []string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "--- PASS",
		"--- SKIP"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
