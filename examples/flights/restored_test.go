package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// stopInTheMiddle runs a job until it has committed a few files, stops it cleanly and returns
// what it said.
func stopInTheMiddle(t *testing.T, p place, args ...string) ended {
	t.Helper()
	files := func() int {
		names, err := filepath.Glob(filepath.Join(p.out, "hourly", "part-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := files()
	c := start(t, "flights", p.flags(t, args...)...)
	c.until("it committed a few files", func() bool { return files() >= before+4 })
	c.send(syscall.SIGTERM)
	return c.expect(0, "SUSPENDED", "continue with: --from latest")
}

// TestRestored stops a job in the middle again and again and continues it at another
// parallelism and with another state backend each time: the files together equal those of an
// undisturbed run.
func TestRestored(t *testing.T) {
	t.Parallel()
	want := undisturbed(t)
	p := newPlace(t)
	stopInTheMiddle(t, p, rated(1, 4)...)
	if got := len(p.results(t, "").hourly); got >= len(want.hourly) {
		t.Fatalf("the job was not stopped in the middle: %d hourly lines of %d", got,
			len(want.hourly))
	}
	for _, next := range []struct {
		parallelism int
		backend     string
	}{{2, "naive"}, {4, "hashmap"}} {
		end := stopInTheMiddle(t, p, append(rated(next.parallelism, 4), "--from", "latest",
			"-D", "state.backend.type="+next.backend)...)
		if !strings.Contains(end.stderr, "continued from checkpoint") {
			t.Fatalf("the job did not continue: %v", end)
		}
	}
	end := start(t, "flights", p.flags(t, "--from", "latest")...).finish()
	if !strings.Contains(end.stderr, "continued from checkpoint") {
		t.Errorf("the job did not continue: %v", end)
	}
	compare(t, want, p.results(t, ""))
	if left := p.inProgress(t, "flights"); len(left) > 0 {
		t.Errorf("files in progress are left: %q", left)
	}
}

// TestRestoredFromPlace continues one stopped job from its checkpoint named in every way, in
// place and copied elsewhere with the first place gone: the files equal those of an
// undisturbed run.
func TestRestoredFromPlace(t *testing.T) {
	t.Parallel()
	want := undisturbed(t)
	home := filepath.Join(t.TempDir(), "home")
	first := placeIn(home)
	stopInTheMiddle(t, first, rated(2, 2)...)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(home, away); err != nil {
		t.Fatal(err)
	}
	original := placeIn(away)
	for _, test := range []struct {
		name string
		from func(t *testing.T, p place) string
	}{
		{"latest", func(*testing.T, place) string { return "latest" }},
		{"directory", func(t *testing.T, p place) string {
			return filepath.Dir(p.metadata(t, "flights"))
		}},
		{"directory with slash", func(t *testing.T, p place) string {
			return filepath.Dir(p.metadata(t, "flights")) + "/"
		}},
		{"metadata", func(t *testing.T, p place) string { return p.metadata(t, "flights") }},
		{"uri", func(t *testing.T, p place) string { return "file://" + p.metadata(t, "flights") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := original.copyTo(t, filepath.Join(t.TempDir(), "copy"))
			start(t, "flights", p.flags(t, "-p", "2", "--from", test.from(t, p))...).
				expect(0, "FINISHED", "continued from checkpoint")
			compare(t, want, p.results(t, ""))
		})
	}
}

// TestRestoredIntoAnotherPlace continues a stopped job with checkpoints in another place, where
// nothing is known of it, so that generations start anew. The files it wrote are not in the
// way of those it goes on to write.
func TestRestoredIntoAnotherPlace(t *testing.T) {
	t.Parallel()
	want := undisturbed(t)
	p := newPlace(t)
	for range 2 {
		before := p
		stopInTheMiddle(t, p, append(rated(2, 4), "--from", "latest")...)
		p.checkpoints = t.TempDir()
		from := before.metadata(t, "flights")
		stopInTheMiddle(t, p, append(rated(2, 4), "--from", from)...)
	}
	start(t, "flights", p.flags(t, "--from", "latest")...).finish()
	compare(t, want, p.results(t, ""))
}
