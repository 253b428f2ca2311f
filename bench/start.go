package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startSuite builds examples/hello and measures from exec to the first byte it prints.
func startSuite(int) error {
	dir, err := os.MkdirTemp("", "leat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "hello")
	build := exec.Command("go", "build", "-o", binary, "github.com/leat-io/leat/examples/hello")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the example: %w", err)
	}
	var s samples
	for range 20 {
		nanos, err := firstByte(binary, dir)
		if err != nil {
			return err
		}
		s = append(s, float64(nanos)/1e6)
	}
	fmt.Printf("  %-36s %s ms\n", "exec to first byte, 20 runs", s)
	verdict("first byte", s.median(), "at most", 100, "ms")
	return nil
}

func firstByte(binary, dir string) (time.Duration, error) {
	cmd := exec.Command(binary, "--checkpoint-dir", filepath.Join(dir, "checkpoints"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	one := make([]byte, 1)
	if _, err := io.ReadFull(out, one); err != nil {
		return 0, fmt.Errorf("read first byte: %w", err)
	}
	took := time.Since(start)
	if _, err := io.Copy(io.Discard, out); err != nil {
		return 0, err
	}
	return took, cmd.Wait()
}
