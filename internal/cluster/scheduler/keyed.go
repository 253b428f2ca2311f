package scheduler

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/protocol"
)

// Keyed state lies in tables, numbered within its operator. The rows lie in the first, with
// all states that are one value, whose places in a row are those of their order: none can
// come, go or move. Maps, lists and timers have tables of their own, which are found by the
// name of the state: any may come, and go.

const kindTimers = "timers"

// ownsTable reports whether a state does not lie in the rows.
func ownsTable(d *protocol.StateDescriptor) bool { return d.Table > 0 || d.Kind == kindTimers }

// checkKeyed compares the keyed states that an operator declares with those in the checkpoint.
func checkKeyed(
	o *protocol.Operator, state *protocol.OperatorState, allowNonRestored bool,
) []error {
	filled := tablesOf(state)
	owned := map[uint32]bool{}
	for _, old := range state.Descriptors {
		if ownsTable(old) {
			owned[old.Table] = true
		}
	}
	hasRows := false
	for table := range filled {
		hasRows = hasRows || !owned[table]
	}
	var faults []error
	if hasRows {
		faults = checkRows(o, state)
	}
	declared := byName(o.Descriptors)
	for _, old := range state.Descriptors {
		if !ownsTable(old) || !filled[old.Table] {
			continue
		}
		switch now := declared[old.Name]; {
		case now != nil && !same(old, now):
			faults = append(faults, changed(o.Uid, old, now, "under a new name"))
		case now == nil && !allowNonRestored:
			faults = append(faults, fmt.Errorf("operator %q: the checkpoint has state %q "+
				"(%s), which the operator does not declare: declare it again, or allow state "+
				"that is not restored (-n)", o.Uid, old.Name, describe(old)))
		}
	}
	return faults
}

// checkRows compares the states that lie in rows.
func checkRows(o *protocol.Operator, state *protocol.OperatorState) []error {
	declared, place := byName(o.Descriptors), map[string]int{}
	olds, nows := inRows(state.Descriptors), inRows(o.Descriptors)
	for i, now := range nows {
		place[now.Name] = i
	}
	var faults []error
	for i, old := range olds {
		now := declared[old.Name]
		switch {
		case now == nil:
			faults = append(faults, fmt.Errorf("operator %q: the checkpoint has state %q "+
				"(%s), which the operator does not declare: declare it again, or give the "+
				"operator a new uid to start it empty", o.Uid, old.Name, describe(old)))
		case !same(old, now):
			faults = append(faults, changed(o.Uid, old, now, "give the operator a new uid"))
		case place[old.Name] != i && len(olds) == len(nows):
			faults = append(faults, fmt.Errorf("operator %q: state %q is number %d of its states "+
				"in the checkpoint and number %d in the job: declare them in the old order",
				o.Uid, old.Name, i+1, place[old.Name]+1))
		}
	}
	stored := byName(olds)
	for _, now := range nows {
		if stored[now.Name] == nil {
			faults = append(faults, fmt.Errorf("operator %q: the checkpoint has no state %q "+
				"(%s) beside that of the operator's other states: keep it in an operator with "+
				"a uid of its own", o.Uid, now.Name, describe(now)))
		}
	}
	return faults
}

// tablesOf returns the tables of an operator that hold something: those of which the
// checkpoint has runs, and those it says nothing more about than that they exist.
func tablesOf(o *protocol.OperatorState) map[uint32]bool {
	out := map[uint32]bool{}
	for _, s := range o.Subtasks {
		for _, pane := range s.GetKeyed().GetPanes() {
			rows := int64(0)
			for _, run := range pane.Runs {
				rows += run.Rows
			}
			if rows > 0 || pane.Table == 0 {
				out[pane.Table] = true
			}
		}
	}
	return out
}

func byName(descriptors []*protocol.StateDescriptor) map[string]*protocol.StateDescriptor {
	out := map[string]*protocol.StateDescriptor{}
	for _, d := range descriptors {
		out[d.Name] = d
	}
	return out
}

func inRows(descriptors []*protocol.StateDescriptor) (out []*protocol.StateDescriptor) {
	for _, d := range descriptors {
		if !ownsTable(d) {
			out = append(out, d)
		}
	}
	return out
}

// same reports whether the bytes of two states mean the same. How long they live does not
// matter, only that the time of the last use lies in them.
func same(old, now *protocol.StateDescriptor) bool {
	return kindOf(old) == kindOf(now) && old.KeySchema == now.KeySchema &&
		old.ValueSchema == now.ValueSchema && old.UserKeySchema == now.UserKeySchema &&
		max(1, old.HashId) == max(1, now.HashId) &&
		(old.TtlMillis > 0) == (now.TtlMillis > 0) && old.NamespaceWords == now.NamespaceWords
}

// kindOf is the kind of a state as far as its bytes go: the entries of every map are in order.
func kindOf(d *protocol.StateDescriptor) string {
	if d.Kind == "ordered-map" {
		return "map"
	}
	return d.Kind
}

// changed says how a state differs from that of the checkpoint. fresh is how to start it empty.
func changed(uid string, old, now *protocol.StateDescriptor, fresh string) error {
	cure := "declare it as it was, or " + fresh + " to start it empty"
	if (old.TtlMillis > 0) != (now.TtlMillis > 0) {
		cure = "give it a time to live, of any length, as it had one, or " + fresh +
			" to start it empty"
		if now.TtlMillis > 0 {
			cure = "take its time to live away, as it had none, or " + fresh + " to start it empty"
		}
	}
	field := cmp.Or(differingField(old.KeySchema, now.KeySchema),
		differingField(old.UserKeySchema, now.UserKeySchema),
		differingField(old.ValueSchema, now.ValueSchema))
	return fmt.Errorf("operator %q: state %q is %s in the checkpoint and %s in the job%s: %s",
		uid, old.Name, describe(old), describe(now), field, cure)
}

// describe prints what must not change about a state.
func describe(d *protocol.StateDescriptor) string {
	var b strings.Builder
	b.WriteString(d.Kind)
	switch {
	case d.UserKeySchema != "":
		fmt.Fprintf(&b, " from %s to %s", d.UserKeySchema, d.ValueSchema)
	case d.ValueSchema != "":
		fmt.Fprintf(&b, " of %s", d.ValueSchema)
	}
	fmt.Fprintf(&b, " by key %s", d.KeySchema)
	if d.NamespaceWords > 0 {
		fmt.Fprintf(&b, " and %d words", d.NamespaceWords)
	}
	if d.HashId > 1 {
		fmt.Fprintf(&b, ", hash %d", d.HashId)
	}
	if d.TtlMillis > 0 {
		fmt.Fprintf(&b, ", living %v", time.Duration(d.TtlMillis)*time.Millisecond)
	}
	return b.String()
}

// renumber returns the state of an operator with the table numbers that an operator with
// these descriptors uses, without the tables that it does not have. It fits: Check said so.
func renumber(
	o *protocol.OperatorState, descriptors []*protocol.StateDescriptor,
) *protocol.OperatorState {
	declared := byName(descriptors)
	rows := false
	for _, now := range descriptors {
		rows = rows || now.Kind != kindTimers
	}
	numbers := map[uint32]*uint32{} // nil: gone
	out := &protocol.OperatorState{
		Uid: o.Uid, Id: o.Id, Name: o.Name, Parallelism: o.Parallelism,
		MaxParallelism: o.MaxParallelism, Coordinator: o.Coordinator,
	}
	for _, old := range o.Descriptors {
		now := declared[old.Name]
		if !ownsTable(old) {
			out.Descriptors = append(out.Descriptors, old)
			continue
		}
		if numbers[old.Table] = nil; now == nil || !ownsTable(now) {
			continue
		}
		numbers[old.Table] = &now.Table
		moved := proto.CloneOf(old)
		moved.Table = now.Table
		out.Descriptors = append(out.Descriptors, moved)
	}
	for _, s := range o.Subtasks {
		moved := &protocol.OperatorSubtaskState{
			Subtask: s.Subtask, List: s.List, Committables: s.Committables,
		}
		if s.Keyed != nil {
			moved.Keyed = &protocol.KeyedState{HashLo: s.Keyed.HashLo, HashHi: s.Keyed.HashHi}
		}
		for _, pane := range s.GetKeyed().GetPanes() {
			number, owned := numbers[pane.Table]
			switch {
			case owned && number == nil, !owned && !rows:
				continue
			case owned:
				pane = &protocol.PaneRuns{Table: *number, Pane: pane.Pane, Runs: pane.Runs}
			}
			moved.Keyed.Panes = append(moved.Keyed.Panes, pane)
		}
		out.Subtasks = append(out.Subtasks, moved)
	}
	return out
}
