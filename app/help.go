package app

import (
	"fmt"
	"io"
	"strings"

	"github.com/leat-io/leat/config"
)

// help prints usage, flags, exit codes and configuration keys.
func (p *program) help() {
	w := p.stdout
	fmt.Fprintf(w, "Usage: %s [flags] [arguments of the program]\n", p.name)
	if p.usage != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(p.usage))
	}
	helpFlags(w)
	fmt.Fprintf(w, "\nExit codes:\n")
	for _, e := range []struct {
		code int
		says string
	}{
		{ExitDone, "finished, or stopped with a checkpoint or savepoint and ready to continue"},
		{ExitFailed, "failed"},
		{ExitUsage, "the command line, configuration or job is wrong; nothing ran"},
		{ExitFenced, "another process took over the job of this name"},
		{ExitCanceled, "ended without a last checkpoint"},
	} {
		fmt.Fprintf(w, "  %d  %s\n", e.code, e.says)
	}
	fmt.Fprintf(w, "\nSignals:\n"+
		"  INT, TERM  stop with a last checkpoint (TERM with a savepoint: "+
		"job.savepoint-on-deletion);\n             the second one ends at once\n"+
		"  USR1       take a savepoint in execution.checkpointing.savepoint-dir\n")
	fmt.Fprintf(w, "\nConfiguration keys for -D (and other keys that mean the same):\n")
	for _, d := range config.All() {
		key := d.Key
		if len(d.Old) > 0 {
			key += " (" + strings.Join(d.Old, ", ") + ")"
		}
		def := "no default"
		if d.Default != "" {
			def = "default " + d.Default
		}
		fmt.Fprintf(w, "  %s: %s, %s\n      %s\n", key, d.Type, def, d.Doc)
	}
}

func helpFlags(w io.Writer) {
	const indent = 37
	fmt.Fprintf(w, "\nFlags:\n")
	for _, k := range known {
		name := "    --" + k.long
		if k.short != "" {
			name = "-" + k.short + ", --" + k.long
		}
		if k.value != "" {
			name += " " + k.value
		}
		doc := strings.ReplaceAll(k.doc, "\n", "\n"+strings.Repeat(" ", indent))
		fmt.Fprintf(w, "  %-*s%s\n", indent-2, name, doc)
	}
}
