package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leat-io/leat/config"
	"github.com/leat-io/leat/stream"
)

// flags are Leat's own; all else on the command line belongs to the program.
type flags struct {
	help          bool
	parallelism   string
	from          string
	claimMode     string
	requireState  bool
	allowLost     bool
	name          string
	checkpointDir string
	logLevel      string
	settings      [][2]string
	rest          []string
}

// flag describes one of Leat's flags. With value, its text is the next argument or follows
// "=".
type flag struct {
	long, short string
	old         []string // other spellings
	value       string   // what to call the value in help; "" for a switch
	doc         string
	set         func(f *flags, text string) error
}

func text(field func(*flags) *string) func(*flags, string) error {
	return func(f *flags, text string) error {
		*field(f) = text
		return nil
	}
}

func on(field func(*flags) *bool) func(*flags, string) error {
	return func(f *flags, _ string) error {
		*field(f) = true
		return nil
	}
}

var known = []flag{
	{long: "parallelism", short: "p", value: "N", doc: "number of subtasks of every operator",
		set: text(func(f *flags) *string { return &f.parallelism })},
	{long: "from", short: "s", old: []string{"fromSavepoint"}, value: "WHERE",
		doc: "start from a checkpoint or savepoint: \"latest\",\n" +
			"its directory, its _metadata file, or a time, as in\n" +
			"2026-11-20T10:00:00Z, \"2026-11-20 10:00\", 10:00:\n" +
			"the newest of this name at or before it",
		set: text(func(f *flags) *string { return &f.from })},
	{long: "claim-mode", short: "rm", old: []string{"claimMode", "restoreMode"}, value: "MODE",
		doc: "NO_CLAIM (default): what the job starts from stays\n" +
			"CLAIM: the job removes it once it has replaced it",
		set: text(func(f *flags) *string { return &f.claimMode })},
	{long: "require-state", doc: "with --from latest: fail when there is no checkpoint yet",
		set: on(func(f *flags) *bool { return &f.requireState })},
	{long: "allow-non-restored-state", short: "n", old: []string{"allowNonRestoredState"},
		doc: "accept state of operators that the job no longer has",
		set: on(func(f *flags) *bool { return &f.allowLost })},
	{long: "name", value: "NAME", doc: "name of the job, which its checkpoints are kept under\n" +
		"(default: the name of the program's file)",
		set: text(func(f *flags) *string { return &f.name })},
	{long: "checkpoint-dir", value: "URI", doc: "directory of checkpoints (default .leat)",
		set: text(func(f *flags) *string { return &f.checkpointDir })},
	{long: "define", short: "D", value: "KEY=VALUE", doc: "set a configuration key (repeatable)",
		set: func(f *flags, text string) error {
			key, value, ok := strings.Cut(text, "=")
			if !ok || key == "" {
				return fmt.Errorf("flag -D %q: want key=value", text)
			}
			f.settings = append(f.settings, [2]string{key, value})
			return nil
		}},
	{long: "log-level", value: "LEVEL", doc: "debug, info, warn (default) or error",
		set: text(func(f *flags) *string { return &f.logLevel })},
	{long: "help", short: "h", doc: "print this and exit",
		set: on(func(f *flags) *bool { return &f.help })},
}

// parseFlags takes Leat's flags wherever they stand; everything else is kept in order for
// the program. "--" ends Leat's flags.
func parseFlags(args []string) (*flags, error) {
	f := &flags{logLevel: "warn"}
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			f.rest = append(f.rest, args[i+1:]...)
			break
		}
		match, value, inline := find(args[i])
		if match == nil {
			f.rest = append(f.rest, args[i])
			continue
		}
		if match.value == "" && inline {
			return nil, fmt.Errorf("flag %s: takes no value", args[i])
		}
		if match.value != "" {
			name := args[i]
			if !inline {
				i++
				if i < len(args) {
					value = args[i]
				}
				if other, _, _ := find(value); other != nil {
					return nil, fmt.Errorf("flag %s: want a value %s, got the flag %s",
						name, match.value, value)
				}
			}
			if value == "" {
				return nil, fmt.Errorf("flag %s: want a value %s", name, match.value)
			}
		}
		if err := match.set(f, value); err != nil {
			return nil, err
		}
	}
	return f, f.check()
}

// check refuses flags that make no sense together or mean something else.
func (f *flags) check() error {
	if f.help {
		return nil
	}
	if f.requireState && f.from != latest {
		return fmt.Errorf("flag --require-state: want --from %s with it", latest)
	}
	if f.claimMode != "" && (f.from == "" || f.from == latest) {
		return fmt.Errorf("flag --claim-mode %s: want --from with a place: %s",
			f.claimMode, "without one the job goes on with what is its own")
	}
	// What has a slash or a dot is a place without doubt.
	if f.from != latest && !strings.ContainsAny(f.from, `/\.`) &&
		config.Nearest(f.from, []string{latest}) != "" {
		return fmt.Errorf("flag --from %q: did you mean %q? (a directory of that name is %q)",
			f.from, latest, "./"+f.from)
	}
	return nil
}

// latest is the value of --from for the newest checkpoint.
const latest = "latest"

// unknownArguments returns an error that names every argument, with the flag it is like, or
// nil without arguments.
func unknownArguments(args []string) error {
	var flags []string
	for _, k := range known {
		flags = append(flags, "--"+k.long)
		for _, old := range k.old {
			flags = append(flags, "--"+old)
		}
	}
	var unknown []error
	for _, arg := range args {
		err := fmt.Errorf("unknown argument %q", arg)
		if near := nearestFlag(arg, flags); near != "" {
			err = fmt.Errorf("%w: did you mean %q?", err, near)
		}
		unknown = append(unknown, err)
	}
	return errors.Join(unknown...)
}

// nearestFlag returns the flag that an argument was meant to be, "" for none.
func nearestFlag(arg string, flags []string) string {
	if !strings.HasPrefix(arg, "-") {
		return ""
	}
	name, _, _ := strings.Cut("--"+strings.TrimLeft(arg, "-"), "=")
	if value, ok := strings.CutPrefix(name, "--from-"); ok && value == latest {
		return "--from " + latest
	}
	if len(name) < len("--x")+1 {
		return "" // one letter is like every other
	}
	return config.Nearest(name, flags)
}

// find returns the flag that an argument names, and the value that stands in it. Long names
// may have one dash or two, as in Flink and in Go.
func find(arg string) (match *flag, value string, inline bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return nil, "", false
	}
	// The value may be attached: -Dkey=value, -p4. Else -parallel and the like are not -p.
	if len(arg) > 2 && (arg[1] == 'D' || arg[1] == 'p' && arg[2] >= '0' && arg[2] <= '9') {
		for i := range known {
			if known[i].short == arg[1:2] {
				return &known[i], arg[2:], true
			}
		}
	}
	name, value, inline := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	for i := range known {
		k := &known[i]
		long := name == k.long || slices.Contains(k.old, name)
		short := name == k.short && name != "" && !strings.HasPrefix(arg, "--")
		if long || short {
			return k, value, inline
		}
	}
	return nil, "", false
}

// apply puts the flags into the environment; -D gives way to the flags of the same meaning.
func (f *flags) apply(env *stream.Env) {
	for _, s := range f.settings {
		env.Set(s[0], s[1])
	}
	if f.name != "" {
		env.SetName(f.name)
	}
	if f.parallelism != "" {
		env.Set(stream.Parallelism.Key(), f.parallelism)
	}
	if f.checkpointDir != "" {
		env.Set(stream.CheckpointDirectory.Key(), f.checkpointDir)
	}
	if f.claimMode != "" {
		env.Set(stream.ClaimMode.Key(), f.claimMode)
	}
	if at, ok := momentOf(f.from, time.Now()); ok {
		env.RestoreAt(at)
	} else {
		env.Restore(f.from)
	}
	if f.requireState {
		env.RequireState()
	}
	if f.allowLost {
		env.AllowNonRestoredState()
	}
	env.SetArgs(f.rest)
}
