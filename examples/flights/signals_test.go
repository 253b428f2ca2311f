package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestNoReader stops the job when nobody reads its output any more, as after Ctrl-C in
// "flights 2>&1 | tee log", which ends tee as well: it takes its last checkpoint all the same,
// and continues from it.
func TestNoReader(t *testing.T) {
	t.Parallel()
	want := undisturbed(t)
	p := newPlace(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := startWith(t, "flights", func(command *exec.Cmd) {
		command.Stdout, command.Stderr = w, w
	}, p.flags(t, rated(2, 4)...)...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.until("it committed a checkpoint", func() bool { return p.committed(t, "flights") >= 2 })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	c.send(syscall.SIGINT)
	c.expect(0)
	if left := p.inProgress(t, "flights"); len(left) > 0 {
		t.Errorf("the job ended without a last checkpoint, files in progress are left: %q", left)
	}
	start(t, "flights", p.flags(t, "--from", "latest")...).
		expect(0, "FINISHED", "continued from checkpoint")
	compare(t, want, p.results(t, ""))
}

// TestSignalTwice sends a signal to the job and its group, as timeout does: it is one request to
// stop with a last checkpoint.
func TestSignalTwice(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := startWith(t, "flights", func(command *exec.Cmd) {
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}, p.flags(t, rated(2, 4)...)...)
	c.until("it committed a checkpoint", func() bool { return p.committed(t, "flights") >= 2 })
	c.send(syscall.SIGTERM)
	if err := syscall.Kill(-c.command.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	end := c.expect(0, "SUSPENDED", "continue with: --from latest")
	if strings.Contains(end.stderr, "second signal:") {
		t.Errorf("it took one request for two: %v", end)
	}
}
