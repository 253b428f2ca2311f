// Package leaktest fails a package's test run when goroutines outlive its tests.
//
// Every package that starts goroutines, directly or below, has
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
//
// in its tests. The package reads the stacks of the process and leaves alone the goroutines of the
// testing package and of the runtime; it does not stop anything and does not watch single tests.
// It is for tests only.
package leaktest

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of m and exits the process with their code, or with 1 when they pass and a
// goroutine is left. A goroutine whose stack contains one of the ignored texts (a function with
// its package path, say) is not counted; each use says in a comment why the goroutine stays.
func Main(m *testing.M, ignored ...string) {
	code := m.Run()
	if code == 0 {
		code = report(Left(time.Second, ignored...))
	}
	os.Exit(code)
}

// report prints the stacks and returns the exit code for them.
func report(left []string) int {
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "leaktest: %d goroutines outlive the tests:\n\n%s\n",
		len(left), strings.Join(left, "\n\n"))
	return 1
}

// Left returns the stacks of the goroutines which are neither the caller's nor the runtime's nor
// ignored. Those about to return get the grace to do so: a goroutine still runs for a moment after
// it told its owner that it is done.
func Left(grace time.Duration, ignored ...string) []string {
	deadline := time.Now().Add(grace)
	for pause := time.Millisecond; ; pause *= 2 {
		left := filter(stacks(), ignored)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(pause)
	}
}

// stacks returns one text per goroutine, the caller's own left out.
func stacks() []string {
	buffer := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) {
			buffer = buffer[:n]
			break
		}
		buffer = make([]byte, 2*len(buffer))
	}
	var texts []string
	// The first one is the goroutine that asks.
	for _, stack := range bytes.Split(buffer, []byte("\n\n"))[1:] {
		texts = append(texts, string(bytes.TrimSpace(stack)))
	}
	return texts
}

// standing lists functions whose goroutines belong to the runtime and the testing package and live
// as long as the process.
var standing = []string{
	"os/signal.signal_recv",
	"os/signal.loop",
	"runtime.ensureSigM",
	"runtime.ReadTrace",
	"runtime/pprof.profileWriter",
	"testing.(*M).startAlarm",
	"internal/fuzz.",
}

func filter(stacks, ignored []string) []string {
	var left []string
	for _, stack := range stacks {
		if !containsAny(stack, standing) && !containsAny(stack, ignored) {
			left = append(left, stack)
		}
	}
	return left
}

func containsAny(stack string, texts []string) bool {
	for _, text := range texts {
		if strings.Contains(stack, text) {
			return true
		}
	}
	return false
}
