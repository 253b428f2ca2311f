package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/state/view"
)

func (p *Program) state() *cobra.Command {
	cmd := &cobra.Command{
		Use: "state", Short: "Look inside the state of checkpoints and savepoints",
		Long: `Look inside the state of a checkpoint or savepoint. The program that wrote it is
not needed: everything is decoded by the schemas stored with it.`,
		Example: "  leat state ls .leat\n  leat state get .leat --operator hourly --key JFK",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(p.stateList(), p.stateGet())
	return cmd
}

const jobFlag = "take the newest checkpoint of this job below the root"

const whereHelp = `<path> is the directory of a checkpoint or savepoint, its _metadata file, or
a root (default .leat), of which the newest checkpoint is taken: of the only job
there, or of the one given with --job.`

func (p *Program) stateList() *cobra.Command {
	job, all := "", false
	cmd := &cobra.Command{
		Use: "ls [path]", Short: "List operators and their states, with sizes",
		Long: `List the operators of a checkpoint and what they keep: keyed state with schemas,
rows and bytes, the windows and subtasks it is spread over, timers, operator state,
and what sources and sinks keep.

` + whereHelp + `

A number of rows with ~ counts keys that changed since an older run more than once.`,
		Example: "  leat state ls .leat --job flights\n" +
			"  leat state ls .leat/8f14e45fceea167a5a36dedd4bea2543/chk-7",
		Args: arguments(0, 1, "at most the path of a checkpoint"),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd.Context(), args, job)
			if err != nil {
				return err
			}
			operators := look(found).Operators()
			if p.format == formatJSON {
				return p.json(contentsOf(found, operators))
			}
			p.contents(found, operators, all)
			return nil
		},
	}
	cmd.Flags().StringVar(&job, "job", "", jobFlag)
	cmd.Flags().BoolVar(&all, "all", false, "list every window and subtask, however many")
	return cmd
}

// shown is how many windows or subtasks are listed without --all.
const shown = 8

func (p *Program) contents(found *store.Found, operators []view.Operator, all bool) {
	h := found.Meta.Header
	total := int64(0)
	for _, o := range operators {
		total += o.Bytes
	}
	p.printf("%s %d of job %s, %s UTC, %s of state\n%s\n", h.GetKind(), h.GetCheckpointId(),
		h.GetJobName(), timeText(h.GetTriggerMillis()), sizeText(total), found.Directory())
	var empty []string
	for i := range operators {
		if o := &operators[i]; o.Bytes == 0 && len(o.Tables)+len(o.Lists)+o.Committables == 0 {
			empty = append(empty, o.Label())
			continue
		}
		p.printf("\n")
		p.operatorText(&operators[i], all)
	}
	if len(empty) > 0 {
		p.printf("\nwithout state: %s\n", strings.Join(empty, ", "))
	}
}

func (p *Program) operatorText(o *view.Operator, all bool) {
	name := o.Label()
	if o.Name != "" && o.Name != name {
		name += "  (" + o.Name + ")"
	}
	p.printf("%s\n  id %s, %s, %s\n", name, o.ID, plural(int64(o.Parallelism), "subtask"),
		sizeText(o.Bytes))
	p.stateTable(o)
	for i := range o.Tables {
		p.windowTable(&o.Tables[i], all)
	}
	p.subtaskTable(o, all)
}

// stateTable lists what an operator keeps, a line for each state.
func (p *Program) stateTable(o *view.Operator) {
	t := p.table("  ", column{title: "STATE"}, column{title: "KIND", give: true},
		column{title: "KEY", give: true}, column{title: "VALUE", give: true},
		column{title: "ROWS", right: true}, column{title: "SIZE", right: true})
	rows := 0
	for i := range o.Tables {
		table := &o.Tables[i]
		for j, s := range table.States {
			rows++
			count, size := rowsText(table.Rows, table.Exact), sizeText(table.Bytes)
			if j > 0 {
				count, size = `"`, `"` // they share the rows of the first
			}
			kind := kindText(s.Kind)
			if s.TTLMillis > 0 {
				kind += ", TTL " + millisText(s.TTLMillis)
			}
			key := shortSchema(s.KeySchema)
			if s.UserKeySchema != "" {
				key += " -> " + shortSchema(s.UserKeySchema)
			}
			t.row(s.Name, kind, key, shortSchema(s.ValueSchema), count, size)
		}
	}
	for _, list := range o.Lists {
		rows++
		t.row(list.Name, "operator "+list.Kind, "", listSchema(list), grouped(len(list.Elements)),
			sizeText(list.Bytes))
	}
	if o.Coordinator != nil {
		rows++
		t.row("enumerator", "source", "", "", grouped(len(o.Coordinator.Elements)),
			sizeText(o.Coordinator.Bytes))
	}
	if o.Committables > 0 {
		rows++
		t.row("committables", "sink", "", "prepared, to be committed", grouped(o.Committables), "")
	}
	if rows > 0 {
		t.flush()
	}
}

// listSchema says what the elements are: by their schema, or the element itself if all are equal.
func listSchema(list view.OperatorList) string {
	if list.Schema != "" || len(list.Elements) == 0 {
		return shortSchema(list.Schema)
	}
	text := view.Text(list.Elements[0])
	for _, other := range list.Elements[1:] {
		if view.Text(other) != text {
			return ""
		}
	}
	return cut(text, mostElement)
}

// mostElement bounds what is shown of an element where it stands for itself.
const mostElement = 60

var millisInKind = regexp.MustCompile(`(\d+) ms`)

// kindText writes a kind with its durations as a person says them.
func kindText(kind string) string {
	kind = strings.ReplaceAll(kind, ", offset 0 ms", "")
	return millisInKind.ReplaceAllStringFunc(kind, func(text string) string {
		millis, err := strconv.ParseInt(strings.TrimSuffix(text, " ms"), 10, 64)
		if err != nil {
			return text
		}
		return millisText(millis)
	})
}

// millisText writes a duration without the units that are zero: 24h and not 24h0m0s.
func millisText(millis int64) string {
	text := (time.Duration(millis) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func rowsText(n int64, exact bool) string {
	if !exact && n > 0 {
		return "~" + grouped(n)
	}
	return grouped(n)
}

// shortSchema writes a schema as a person says it: "STRING", "flights BIGINT, sum BIGINT".
func shortSchema(schema string) string {
	text := strings.ReplaceAll(schema, " NOT NULL", "")
	text = strings.ReplaceAll(text, "`", "")
	if inner, ok := strings.CutPrefix(text, "("); ok && strings.HasSuffix(inner, ")") {
		text = strings.TrimSuffix(inner, ")")
	}
	if rest, ok := strings.CutPrefix(text, "value "); ok && !strings.Contains(rest, ", ") {
		return rest
	}
	return text
}

// windowTable lists the windows of paned state.
func (p *Program) windowTable(table *view.Table, all bool) {
	windows := table.Windows
	if len(windows) == 0 {
		return
	}
	p.printf("  %s\n", plural(len(windows), "window"))
	t := p.table("    ", column{title: "FROM"}, column{title: "TO"},
		column{title: "ROWS", right: true}, column{title: "SIZE", right: true})
	for i, w := range windows {
		if !all && len(windows) > shown && i == shown-1 {
			t.row("…", fmt.Sprintf("%d more: --all", len(windows)-shown+1), "", "")
			break
		}
		from := string(w.Window.Start)
		if from == "" {
			from = "?"
		}
		t.row(from, string(w.Window.End), rowsText(w.Rows, w.Exact), sizeText(w.Bytes))
	}
	t.flush()
}

// subtaskTable lists the parts of an operator.
func (p *Program) subtaskTable(o *view.Operator, all bool) {
	if len(o.Subtasks) < 2 && !all {
		return
	}
	t := p.table("    ", column{title: "SUBTASK", right: true}, column{title: "HASHES"},
		column{title: "RUNS", right: true}, column{title: "ROWS", right: true},
		column{title: "ELEMENTS", right: true}, column{title: "SIZE", right: true})
	for i, s := range o.Subtasks {
		if !all && len(o.Subtasks) > shown && i == shown-1 {
			t.row("…", fmt.Sprintf("%d more: --all", len(o.Subtasks)-shown+1), "", "", "", "")
			break
		}
		hashes := "-"
		if s.Keyed {
			hashes = fmt.Sprintf("%08x-%08x", s.HashLo, s.HashHi)
		}
		t.row(grouped(s.Index), hashes, grouped(s.Runs), grouped(s.Rows),
			grouped(s.ListElements), sizeText(s.Bytes))
	}
	t.flush()
}
