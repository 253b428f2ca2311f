// Package app is what the main function of a job calls: it reads the command line, sets up
// the environment, runs the job and turns signals, progress and the outcome into what a
// person or a script sees.
//
// Main function: [Main]. The package also links the stores and connectors a program may
// name by URI.
//
// Main is called once, by the main goroutine.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/leat-io/leat/connector/print"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/stream"
)

// The exit codes of a job's program.
const (
	ExitDone     = 0 // FINISHED, or stopped cleanly and ready to continue
	ExitFailed   = 1 // FAILED
	ExitUsage    = 2 // the command line, configuration or graph is wrong; nothing ran
	ExitFenced   = 3 // another process took over the job of this name
	ExitCanceled = 4 // ended without a last checkpoint
)

// ballast makes a small heap look larger to the garbage collector, which would otherwise run
// every 4 MB of garbage. It is never touched, so that the system gives it no memory. A larger
// percentage instead would let garbage grow to several times the size of the state.
var ballast []byte

const ballastBytes = 64 << 20

// Option adjusts Main.
type Option func(*program)

// OnFinished calls f when the job has ended FINISHED with all its input handled, before the
// program exits. An error makes the program exit with ExitFailed.
func OnFinished(f func(env *stream.Env, result *stream.Result) error) Option {
	return func(p *program) { p.finished = f }
}

// Usage adds text to --help: what the program does and the flags of its own.
func Usage(text string) Option { return func(p *program) { p.usage = text } }

// Main runs the job that build makes, with the command line of the process, and exits.
// build may call [stream.Env.Args] for the arguments that are not Leat's.
func Main(build func(env *stream.Env) error, options ...Option) {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
	}
	p := program{
		build: build, stdout: os.Stdout, stderr: os.Stderr,
		name: filepath.Base(os.Args[0]), args: os.Args[1:],
	}
	for _, option := range options {
		option(&p)
	}
	os.Exit(p.main(context.Background()))
}

// program is one call of Main, with what it takes from the process replaced in tests.
type program struct {
	build    func(*stream.Env) error
	finished func(*stream.Env, *stream.Result) error
	usage    string
	name     string
	args     []string
	stdout   io.Writer
	stderr   io.Writer
	// controlOpened, if not nil, is called when the control socket can be found or cannot be
	// opened.
	controlOpened func()
}

func (p *program) main(ctx context.Context) int {
	flags, err := parseFlags(p.args)
	if err != nil {
		return p.refuse(err)
	}
	if flags.help {
		p.help()
		return ExitDone
	}
	env := stream.NewEnv(strings.TrimSuffix(p.name, ".exe"))
	line := newProgressLine(p.stderr)
	if line.terminal && isTerminal(p.stdout) {
		print.SetDefaultOutput(line.above(p.stdout))
		defer print.SetDefaultOutput(nil)
	}
	level := slog.LevelWarn
	if err := level.UnmarshalText([]byte(flags.logLevel)); err != nil {
		return p.refuse(fmt.Errorf("flag --log-level %q: want debug, info, warn or error",
			flags.logLevel))
	}
	env.SetLogger(slog.New(newLogHandler(line, level)))
	flags.apply(env)
	if err := p.build(env); err != nil {
		return p.refuse(err)
	}
	if err := unknownArguments(env.UnreadArgs()); err != nil {
		return p.refuse(err)
	}
	savepointOnDeletion, err := onDeletion(env)
	if err != nil {
		return p.refuse(err)
	}
	return p.execute(ctx, env, line, savepointOnDeletion)
}

// execute runs the job under signals: the first asks for a clean stop, the second ends it; SIGUSR1
// takes a savepoint. With savepointOnDeletion SIGTERM stops with a savepoint and, should that fail,
// with a checkpoint.
func (p *program) execute(
	ctx context.Context, env *stream.Env, line *progressLine, savepointOnDeletion bool,
) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	env.StopOn(stop)
	env.OnProgress(line.show)
	openControl(env, line.note, p.controlOpened)
	pipes := make(chan os.Signal, 1) // never read
	// With somebody to notify, a write to a pipe that nobody reads fails and does not end the
	// process. Programs it starts do not inherit that, as they would inherit to ignore.
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	asked := make(chan os.Signal, 1) // for savepoints; while one is taken, one more may wait
	signal.Notify(asked, syscall.SIGUSR1)
	group := lifecycle.NewGroup(ctx, "signals")
	taker := &savepoints{note: line.note, controller: make(chan *stream.Controller, 1)}
	env.OnStart(func(c *stream.Controller) { taker.controller <- c })
	s := stopper{
		now: time.Now, note: line.note, stop: func() { close(stop) }, cancel: cancel,
	}
	if savepointOnDeletion {
		s.terminate = func() {
			group.Go("stop", func(ctx context.Context) error {
				if !taker.take(ctx, stream.SavepointOptions{Stop: true}) {
					line.note("stopping with a last checkpoint instead")
					s.stop()
				}
				return nil
			})
		}
	}
	group.Go("signals", func(ctx context.Context) error {
		obey(ctx, signals, s)
		return nil
	})
	group.Go("savepoints", func(ctx context.Context) error { return taker.serve(ctx, asked) })
	result, err := env.Execute(ctx)
	signal.Stop(signals)
	signal.Stop(asked)
	group.Stop()
	werr := group.Wait()
	line.finish()
	if err == nil {
		err = werr
	}
	return p.report(env, result, err)
}

// report prints how the job ended and returns the exit code.
func (p *program) report(env *stream.Env, result *stream.Result, err error) int {
	switch {
	case errors.Is(err, stream.ErrFenced):
		fmt.Fprintf(p.stderr, "%s FENCED: another process took over the job %q; "+
			"run one of them under another --name\n%[1]s: %[3]v\n", env.Name(), env.Name(), err)
		return ExitFenced
	case result == nil:
		return p.refuse(err)
	case result.Status == "CANCELED":
		fmt.Fprintf(p.stderr, "%s CANCELED: %s\n", env.Name(), summary(result))
		return ExitCanceled
	case err != nil:
		fmt.Fprintf(p.stderr, "%s %s: %v\n", env.Name(), result.Status, err)
		return ExitFailed
	}
	fmt.Fprintf(p.stderr, "%s %s: %s\n", env.Name(), result.Status, summary(result))
	if result.Status == "SUSPENDED" {
		fmt.Fprintf(p.stderr, "continue with: --from latest\n")
		return ExitDone
	}
	if result.Savepoint != "" {
		fmt.Fprintf(p.stderr, "continue with: --from latest, or --from %s\n", result.Savepoint)
		return ExitDone // The work is not done: what comes after it is for another time.
	}
	if p.finished != nil {
		if err := p.finished(env, result); err != nil {
			fmt.Fprintf(p.stderr, "%s: %v\n", env.Name(), err)
			return ExitFailed
		}
	}
	return ExitDone
}

func summary(r *stream.Result) string {
	text := fmt.Sprintf("%s records read, %s written", grouped(r.Last.RecordsIn),
		grouped(r.Last.RecordsOut))
	if r.Restored > 0 {
		text += fmt.Sprintf(", continued from checkpoint %d", r.Restored)
	}
	if r.Checkpoint > 0 {
		text += fmt.Sprintf(", last checkpoint %d", r.Checkpoint)
	}
	if r.Last.Restarts > 0 {
		text += fmt.Sprintf(", restarts %d", r.Last.Restarts)
	}
	return text
}

func (p *program) refuse(err error) int {
	fmt.Fprintf(p.stderr, "%s: %v\n", p.name, err)
	return ExitUsage
}
