package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestHello runs the built program, as a user would, at two parallelisms and checks what it
// prints: a sum for each of the 100 numbers, and the last sum of every digit.
func TestHello(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the program under test cannot be built: %v", err)
	}
	binary := filepath.Join(t.TempDir(), "hello")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, p := range []string{"1", "3"} {
		cmd := exec.Command(binary, "-p", p, "--checkpoint-dir", t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("run at parallelism %s: %v", p, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 100 {
			t.Errorf("parallelism %s: %d lines, want 100", p, len(lines))
		}
		for digit := range 10 {
			want := "+I[" + string(rune('0'+digit)) + ", " + totals[digit] + "]"
			if !strings.Contains(string(out), want) {
				t.Errorf("parallelism %s: no line %s", p, want)
			}
		}
	}
}

// totals are those of 0+10+...+90 plus ten times the digit.
var totals = [10]string{"450", "460", "470", "480", "490", "500", "510", "520", "530", "540"}
