// Command leat looks after stateful streaming jobs and their checkpoints; see docs/cli.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/sockets"
	"github.com/leat-io/leat/internal/surface/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := cli.Program{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Files:   filesystem.NewRegistry(local.New(local.Options{})),
		Sockets: sockets.Directory("leat"), Clock: clock.Real(), Version: version(),
	}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		p.Width = width
	}
	code := p.Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func version() cli.Version {
	v := cli.Version{Leat: "unreleased", Go: runtime.Version()}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}
