package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leat-io/leat/internal/state/view"
)

// getting is what state get was asked for.
type getting struct {
	job, operator, state, key string
	byKey                     bool
	limit                     int
	left                      int // entries still to be printed; negative: all
	printed                   int
	cut                       bool // there was more
}

// terminalLimit is how many entries a terminal gets without --limit.
const terminalLimit = 100

func (p *Program) stateGet() *cobra.Command {
	g := &getting{}
	cmd := &cobra.Command{
		Use:   "get [path] --operator <operator>",
		Short: "Print keys and values of an operator's state",
		Long: `Print keys and values of an operator's state: a table for each state (value states
share one), or a line of JSON for each entry. Entries come in the order of their
hashes; one key is found without reading the others.

` + whereHelp + `

A key of several parts is given with commas between them, or as JSON.`,
		Example: `  leat state get .leat --operator hourly
  leat state get .leat --operator hourly --key JFK
  leat state get .leat --operator 11f49afc24b1cce91c7169b1e5140284 -o json | jq .
  leat state get .leat --operator route --key '["JFK", "BOS"]' --state delays`,
		Args: arguments(0, 1, "at most the path of a checkpoint"),
		RunE: func(cmd *cobra.Command, args []string) error {
			g.byKey = cmd.Flags().Changed("key")
			if g.limit < 0 {
				return usage("flag --limit %d: want 0, which is no limit, or more", g.limit)
			}
			if !cmd.Flags().Changed("limit") && p.Width > 0 {
				g.limit = terminalLimit
			}
			return p.get(cmd.Context(), args, g)
		},
	}
	cmd.Flags().StringVar(&g.job, "job", "", jobFlag)
	cmd.Flags().StringVar(&g.operator, "operator", "",
		"the operator: its uid, name, or id (may be left out when only one has state)")
	cmd.Flags().StringVar(&g.state, "state", "", "only the state of this name")
	cmd.Flags().StringVar(&g.key, "key", "", "only the entries of this key")
	cmd.Flags().IntVar(&g.limit, "limit", 0,
		"print at most so many entries of each state, 0 for all (default on a terminal: 100)")
	return cmd
}

func (p *Program) get(ctx context.Context, args []string, g *getting) error {
	found, err := p.find(ctx, args, g.job)
	if err != nil {
		return err
	}
	c := look(found)
	operator, err := chooseOperator(c, g.operator)
	if err != nil {
		return err
	}
	sections, err := operator.Sections()
	if err != nil {
		return err
	}
	var chosen []*view.Section
	for _, s := range sections {
		if g.state == "" || s.Named(g.state) {
			chosen = append(chosen, s)
		}
	}
	lists := listsNamed(operator, g)
	if len(chosen) == 0 && len(lists) == 0 {
		return noState(operator, sections, g)
	}
	titled := len(chosen)+len(lists) > 1
	for _, s := range chosen {
		g.restart()
		if err := p.getSection(ctx, c, s, g, titled); err != nil {
			return err
		}
	}
	for _, list := range lists {
		g.restart()
		p.getList(list, g, titled)
	}
	if g.cut {
		p.note("only the first %s of each state; --limit 0 prints all", plural(g.limit, "entry"))
	}
	if !g.byKey && g.printed == 0 && titled && p.format == formatTable {
		p.note("operator %q holds no state yet", operator.Label())
	}
	if g.byKey && g.printed == 0 {
		return notFound("no state of key %s in operator %q of %s", g.key, operator.Label(),
			found.Directory())
	}
	return nil
}

// chooseOperator finds the operator asked for, or the only one with keyed state.
func chooseOperator(c *view.Checkpoint, wanted string) (*view.Operator, error) {
	if wanted != "" {
		operator, err := c.Find(wanted)
		if err != nil {
			return nil, notFound("%s", message(err))
		}
		return operator, nil
	}
	var keyed []*view.Operator
	var names []string
	operators := c.Operators()
	for i := range operators {
		names = append(names, operators[i].Label())
		if len(operators[i].Tables) > 0 {
			keyed = append(keyed, &operators[i])
		}
	}
	if len(keyed) != 1 {
		return nil, usage("choose an operator with --operator: %s", strings.Join(names, ", "))
	}
	return keyed[0], nil
}

// listsNamed are the operator states asked for: by name, or all when nothing else was asked.
func listsNamed(o *view.Operator, g *getting) []view.OperatorList {
	var lists []view.OperatorList
	if g.byKey {
		return nil
	}
	if o.Coordinator != nil {
		enumerator := *o.Coordinator
		enumerator.Name = "enumerator"
		lists = append(lists, enumerator)
	}
	lists = append(lists, o.Lists...)
	var chosen []view.OperatorList
	for _, list := range lists {
		if list.Name == g.state || g.state == "" && len(o.Tables) == 0 {
			chosen = append(chosen, list)
		}
	}
	return chosen
}

func noState(o *view.Operator, sections []*view.Section, g *getting) error {
	var names []string
	for _, s := range sections {
		for _, state := range s.States {
			names = append(names, state.Name)
		}
	}
	for _, list := range o.Lists {
		names = append(names, list.Name)
	}
	if o.Coordinator != nil {
		names = append(names, "enumerator")
	}
	if g.byKey && len(sections) == 0 {
		return notFound("operator %q has no keyed state", o.Label())
	}
	return notFound("no state %q in operator %q; it has: %s", g.state, o.Label(),
		strings.Join(names, ", "))
}

// restart counts anew for the next state.
func (g *getting) restart() {
	if g.left = g.limit; g.limit == 0 {
		g.left = -1
	}
}

// take counts an entry; false when no more may be printed.
func (g *getting) take() bool {
	if g.left == 0 {
		g.cut = true
		return false
	}
	g.left--
	g.printed++
	return true
}

// getSection prints the entries of one section.
func (p *Program) getSection(
	ctx context.Context, c *view.Checkpoint, s *view.Section, g *getting, titled bool,
) error {
	query := view.Query{Key: g.key, HasKey: g.byKey}
	if err := s.CheckKey(query); err != nil {
		return usage("flag --%s", message(err))
	}
	if p.format == formatJSON {
		var failed error
		err := c.Scan(ctx, s, query, func(e view.Entry) bool {
			for _, line := range s.Lines(e, g.state) {
				if !g.take() {
					return false
				}
				if failed = p.jsonLine(line); failed != nil {
					return false
				}
			}
			return true
		})
		if failed != nil {
			return failed
		}
		return err
	}
	title := func() {
		if titled {
			p.sectionTitle(s.States, g.printed > 0)
			titled = false
		}
	}
	if !g.byKey && g.state != "" {
		title() // an empty state shows
	}
	titles := s.Columns(g.state)
	columns := make([]column, len(titles))
	for i, title := range titles {
		columns[i] = column{title: title.Name, right: title.Number}
	}
	t := p.table("", columns...)
	err := c.Scan(ctx, s, query, func(e view.Entry) bool {
		texts := s.Cells(e, g.state)
		if texts == nil {
			return true // not set for this key
		}
		if g.left != 0 {
			title()
		}
		if !g.take() {
			return false
		}
		t.row(texts...)
		return true
	})
	if !titled {
		t.flush()
	}
	return err
}

func (p *Program) sectionTitle(states []view.State, again bool) {
	if again {
		p.printf("\n")
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.Name
	}
	p.printf("%s (%s)\n", strings.Join(names, ", "), states[0].Kind)
}

// getList prints operator state.
func (p *Program) getList(list view.OperatorList, g *getting, titled bool) {
	if p.format == formatJSON {
		for i, element := range list.Elements {
			if !g.take() {
				return
			}
			line := view.Record{{Name: "state", Value: list.Name}, {Name: "index", Value: i},
				{Name: "element", Value: element}}
			if err := p.jsonLine(line); err != nil {
				return
			}
		}
		return
	}
	if titled {
		if g.printed > 0 {
			p.printf("\n")
		}
		p.printf("%s (operator %s)\n", list.Name, list.Kind)
	}
	t := p.table("", column{title: "INDEX", right: true}, column{title: "ELEMENT"})
	for i, element := range list.Elements {
		if !g.take() {
			break
		}
		t.row(fmt.Sprint(i), view.Text(element))
	}
	t.flush()
}
