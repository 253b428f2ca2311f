package scheduler

import (
	"fmt"
	"strings"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// checkOperatorStates compares the operator states that an operator declares with those in the
// checkpoint. State of the engine's own has no schema and is not declared.
func checkOperatorStates(
	o *protocol.Operator, state *protocol.OperatorState, allowNonRestored bool,
) []error {
	declared := map[string]*protocol.NamedState{}
	for _, d := range o.OperatorStates {
		declared[d.Name] = d
	}
	var faults []error
	checked := map[string]bool{}
	for _, s := range state.Subtasks {
		for _, old := range s.List {
			if old.Schema == "" || len(old.Elements) == 0 || checked[old.Name] {
				continue
			}
			checked[old.Name] = true
			if err := checkNamed(o.Uid, old, declared[old.Name], allowNonRestored); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return faults
}

func checkNamed(uid string, old, now *protocol.NamedState, allowNonRestored bool) error {
	switch {
	case now == nil && allowNonRestored:
		return nil
	case now == nil:
		return fmt.Errorf("operator %q: the checkpoint has operator state %q (%s), which the "+
			"operator does not declare: declare it again, or allow state that is not restored (-n)",
			uid, old.Name, describeNamed(old))
	case graph.ModeOf(old) != graph.ModeOf(now) || old.Schema != now.Schema:
		return fmt.Errorf("operator %q: operator state %q is a %s in the checkpoint and a %s in "+
			"the job%s: declare it as it was, or under a new name to start it empty",
			uid, old.Name, describeNamed(old), describeNamed(now), differing(old, now))
	}
	return nil
}

func describeNamed(s *protocol.NamedState) string {
	return graph.ModeOf(s) + " of " + s.Schema
}

// differing names the first field in which the elements differ, where that can be told.
func differing(old, now *protocol.NamedState) string {
	oldKey, oldValue, keyed := strings.Cut(old.Schema, graph.MapSchema)
	nowKey, nowValue, _ := strings.Cut(now.Schema, graph.MapSchema)
	if text := differingField(oldKey, nowKey); text != "" || !keyed {
		return text
	}
	return differingField(oldValue, nowValue)
}

func differingField(old, now string) string {
	before, errBefore := types.ParseSchema(old)
	after, errAfter := types.ParseSchema(now)
	if errBefore != nil || errAfter != nil {
		return ""
	}
	for _, f := range before.Fields {
		at := after.Index(f.Name)
		switch {
		case at < 0:
			return fmt.Sprintf(" (field %q is gone)", f.Name)
		case !after.Fields[at].Type.Equal(f.Type):
			return fmt.Sprintf(" (field %q was %v and is %v)",
				f.Name, f.Type, after.Fields[at].Type)
		}
	}
	for _, f := range after.Fields {
		if before.Index(f.Name) < 0 {
			return fmt.Sprintf(" (field %q is new)", f.Name)
		}
	}
	return ""
}
