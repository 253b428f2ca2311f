package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/surface/rest"
)

// The exit codes of the command.
const (
	ExitDone     = 0
	ExitFailed   = 1 // it could not be done, or what was examined is damaged
	ExitUsage    = 2 // the command line is wrong; nothing was done
	ExitNotFound = 4 // no such job, checkpoint, operator or key
)

// Program is one call of the command.
type Program struct {
	Stdout, Stderr io.Writer
	Files          *filesystem.Registry
	// Sockets is the directory in which running jobs are found.
	Sockets string
	Clock   clock.Clock
	// Width is the number of columns of the terminal that Stdout is; 0 when it is none, and then
	// nothing is cut.
	Width   int
	Version Version

	format string // -o
}

// Version says what build this is.
type Version struct {
	Leat string `json:"leat"`
	Go   string `json:"go"`
	// Revision is that of the source, "" when it is not known.
	Revision string `json:"revision"`
}

// The values of -o.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// usageError is a wrong command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usage(text string, args ...any) error { return usageError{fmt.Errorf(text, args...)} }

// errNotFound marks what is not there.
var errNotFound = errors.New("not found")

// notFound is an error with its own words that counts as not found.
type notFoundError struct{ text string }

func (e notFoundError) Error() string        { return e.text }
func (e notFoundError) Is(target error) bool { return target == errNotFound }

func notFound(text string, args ...any) error { return notFoundError{fmt.Sprintf(text, args...)} }

// errDamaged ends a command that has printed what is wrong.
var errDamaged = errors.New("damaged")

// Run executes the command line and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	root := p.command()
	root.SetArgs(withLongFlags(args))
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	if errors.Is(err, errDamaged) {
		return ExitFailed
	}
	fmt.Fprintf(p.Stderr, "leat: %s\n", message(err))
	return exitCode(err)
}

func exitCode(err error) int {
	var wrong usageError
	switch {
	case errors.As(err, &wrong):
		return ExitUsage
	case errors.Is(err, errNotFound), errors.Is(err, store.ErrNoCheckpoint),
		errors.Is(err, store.ErrNoMetadata), errors.Is(err, fs.ErrNotExist), rest.NotFound(err):
		return ExitNotFound
	}
	return ExitFailed
}

// message is an error as the command says it, without the package at its edge.
func message(err error) string {
	text := err.Error()
	for _, edge := range []string{"store: ", "view: ", "sockets: "} {
		text = strings.TrimPrefix(text, edge)
	}
	return text
}

// withLongFlags gives Flink's long flags of one dash the second one.
func withLongFlags(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "-type", "-detached", "-drain", "-savepointPath", "-dispose", "-full":
			arg = "-" + arg
		}
		out[i] = arg
	}
	return out
}

func (p *Program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "leat",
		Short: "Looks after stateful streaming jobs and their checkpoints",
		Long: `leat looks after stateful streaming jobs and their checkpoints.

Jobs are programs of their own; the verbs list, info, savepoint, stop, cancel and
checkpoint find those that you run on this machine, by name or by id. The verbs
state, checkpoint ls, verify, fsck, gc and savepoint ls, copy, dispose need no
running job.

Exit codes: 0 done, 1 failed or found damage, 2 wrong command line, 4 not found.`,
		Example: `  leat list
  leat savepoint flights /data/savepoints
  leat state ls .leat
  leat state get .leat --operator hourly --key JFK`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(*cobra.Command, []string) error { return p.checkFormat() },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.PersistentFlags().StringVarP(&p.format, "output", "o", formatTable,
		"print a table or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetHelpCommand(&cobra.Command{Hidden: true})
	root.AddCommand(p.list(), p.describe(), p.savepoint(), p.stop(), p.cancel(), p.checkpoint(),
		p.state(), p.version())
	return root
}

func unknownVerb(cmd *cobra.Command, verb string) error {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(verb); len(near) > 0 {
		return usage("unknown command %q: did you mean %q?", verb, near[0])
	}
	return usage("unknown command %q; see leat --help", verb)
}

func (p *Program) checkFormat() error {
	if p.format != formatTable && p.format != formatJSON {
		return usage("flag -o %q: want table or json", p.format)
	}
	return nil
}

// arguments checks how many arguments a verb has; what names them for the message.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usage("%s: want %s, got %s; see %s --help",
				strings.TrimPrefix(cmd.CommandPath(), "leat "), what,
				plural(len(args), "argument"), cmd.CommandPath())
		}
		return nil
	}
}

func (p *Program) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this build",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if p.format == formatJSON {
				return p.json(p.Version)
			}
			text := "leat " + p.Version.Leat
			if p.Version.Revision != "" {
				text += " (" + p.Version.Revision + ")"
			}
			p.printf("%s, %s\n", text, p.Version.Go)
			return nil
		},
	}
}

// connect returns the client of one socket.
func (p *Program) connect(socket string) *rest.Client {
	return rest.NewClient(p.Clock, dialer(p.Sockets, socket))
}
