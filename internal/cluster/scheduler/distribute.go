package scheduler

import (
	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// Distribute deals the state of one operator to p subtasks: keyed runs to those whose hashes
// they overlap, list state element by element, of broadcast state a copy to each.
func Distribute(o *protocol.OperatorState, p int) []*protocol.RestoreOperator {
	out := make([]*protocol.RestoreOperator, p)
	for i := range out {
		out[i] = &protocol.RestoreOperator{
			Uid: o.Uid, Descriptors: o.Descriptors,
			Panes: clip(o.Subtasks, types.SubtaskRange(i, p)),
		}
	}
	if p == int(o.Parallelism) {
		for _, s := range o.Subtasks {
			for _, state := range s.List {
				if !state.Union {
					out[s.Subtask].List = append(out[s.Subtask].List, state)
				}
			}
		}
		spread(o.Subtasks, out, true)
		return out
	}
	spread(o.Subtasks, out, false)
	copyBroadcast(o.Subtasks, out)
	return out
}

// copyBroadcast gives each subtask the broadcast state of one, in turn.
func copyBroadcast(
	subtasks []*protocol.OperatorSubtaskState, out []*protocol.RestoreOperator,
) {
	for i := range out {
		if len(subtasks) == 0 {
			return
		}
		for _, state := range subtasks[i%len(subtasks)].List {
			if state.Broadcast {
				out[i].List = append(out[i].List, state)
			}
		}
	}
}

// clip returns the runs that overlap the bounds, cut to them, list by list, each list oldest
// first.
func clip(
	subtasks []*protocol.OperatorSubtaskState, bounds types.HashRange,
) []*protocol.PaneRuns {
	var out []*protocol.PaneRuns
	for _, s := range subtasks {
		for _, pane := range s.GetKeyed().GetPanes() {
			cut := &protocol.PaneRuns{Table: pane.Table, Pane: pane.Pane}
			for _, r := range pane.Runs {
				if r.HashLo > bounds.Hi || r.HashHi < bounds.Lo {
					continue
				}
				if r.HashLo < bounds.Lo || r.HashHi > bounds.Hi {
					r = proto.CloneOf(r)
					r.HashLo, r.HashHi = max(r.HashLo, bounds.Lo), min(r.HashHi, bounds.Hi)
				}
				cut.Runs = append(cut.Runs, r)
			}
			if len(cut.Runs) > 0 {
				out = append(out, cut)
			}
		}
	}
	return out
}

// collected is one list state over all subtasks.
type collected struct {
	name     string
	version  uint32
	union    bool
	schema   string
	elements [][]byte
}

// collect gathers list states, but broadcast ones, by name, version and schema, in order of
// appearance: elements keep the order of their subtasks.
func collect(subtasks []*protocol.OperatorSubtaskState) []*collected {
	type key struct {
		name    string
		version uint32
		union   bool
		schema  string
	}
	var order []*collected
	byKey := map[key]*collected{}
	for _, s := range subtasks {
		for _, state := range s.List {
			if state.Broadcast {
				continue
			}
			k := key{state.Name, state.Version, state.Union, state.Schema}
			c := byKey[k]
			if c == nil {
				c = &collected{
					name: k.name, version: k.version, union: k.union, schema: k.schema,
				}
				byKey[k] = c
				order = append(order, c)
			}
			c.elements = append(c.elements, state.Elements...)
		}
	}
	return order
}

// spread deals the elements of each list state in turn; a union goes whole to all. With
// unionOnly the others are left out.
func spread(
	subtasks []*protocol.OperatorSubtaskState, out []*protocol.RestoreOperator, unionOnly bool,
) {
	for _, c := range collect(subtasks) {
		if unionOnly && !c.union {
			continue
		}
		for i := range out {
			part := &protocol.NamedState{
				Name: c.name, Version: c.version, Union: c.union, Schema: c.schema,
			}
			if c.union {
				part.Elements = c.elements
			} else {
				for k := i; k < len(c.elements); k += len(out) {
					part.Elements = append(part.Elements, c.elements[k])
				}
			}
			out[i].List = append(out[i].List, part)
		}
	}
}
