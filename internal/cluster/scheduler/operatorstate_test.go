package scheduler_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/protocol"
)

// Goal: of broadcast state each subtask gets one copy, its own at equal parallelism, else those
// there are in turn, beside lists of the same name and another schema that stay apart. Method:
// a table, printed.
func TestDistributeBroadcast(t *testing.T) {
	subtask := func(i uint32) *protocol.OperatorSubtaskState {
		element := func(text string) [][]byte { return [][]byte{fmt.Append(nil, text, i)} }
		return &protocol.OperatorSubtaskState{Subtask: i, List: []*protocol.NamedState{
			{Name: "b", Schema: "k -> v", Broadcast: true, Elements: element("copy")},
			{Name: "l", Schema: "s", Elements: element("mine")},
			{Name: "l", Elements: element("engine")},
		}}
	}
	state := &protocol.OperatorState{Uid: "u", Parallelism: 2}
	state.Subtasks = append(state.Subtasks, subtask(0), subtask(1))
	for p, want := range map[int]string{
		1: "l s[mine0 mine1] l [engine0 engine1] b k -> v[copy0]",
		2: "b k -> v[copy0] l s[mine0] l [engine0] | b k -> v[copy1] l s[mine1] l [engine1]",
		3: "l s[mine0] l [engine0] b k -> v[copy0] | l s[mine1] l [engine1] b k -> v[copy1] | " +
			"l s[] l [] b k -> v[copy0]",
	} {
		var parts []string
		for _, part := range scheduler.Distribute(state, p) {
			var words []string
			for _, l := range part.List {
				words = append(words, fmt.Sprintf("%s %s%s", l.Name, l.Schema, l.Elements))
			}
			parts = append(parts, strings.Join(words, " "))
		}
		if diff := cmp.Diff(want, strings.Join(parts, " | ")); diff != "" {
			t.Errorf("parallelism %d (-want +got):\n%s", p, diff)
		}
	}
}

// Goal: operator state that does not fit is refused with the names that help; what the engine
// keeps for itself, and a state without elements, is no matter. Method: a table of what is stored,
// what is declared, and the words of the refusal.
func TestCheckOperatorStates(t *testing.T) {
	named := func(schema string, elements int) *protocol.NamedState {
		s := &protocol.NamedState{Name: "s", Schema: schema}
		for range elements {
			s.Elements = append(s.Elements, []byte{1})
		}
		return s
	}
	union := named("(`a` INT)", 1)
	union.Union = true
	for _, c := range []struct {
		name     string
		old, now *protocol.NamedState
		allow    bool
		refused  []string // nil = fits
	}{
		{"same", named("(`a` INT)", 1), named("(`a` INT)", 0), false, nil},
		{"new", nil, named("(`a` INT)", 0), false, nil},
		{"engine's own", named("", 1), nil, false, nil},
		{"engine's own of a declared name", named("", 1), named("(`a` INT)", 0), false, nil},
		{"gone and empty", named("(`a` INT)", 0), nil, false, nil},
		{"gone", named("(`a` INT)", 1), nil, false,
			[]string{`"u"`, `"s"`, "list of (`a` INT)", "declare it again"}},
		{"gone, allowed", named("(`a` INT)", 1), nil, true, nil},
		{"mode", union, named("(`a` INT)", 0), true, []string{"union-list of", "and a list of"}},
		{"type", named("(`a` INT, `b` STRING)", 1), named("(`a` INT, `b` BIGINT)", 0), true,
			[]string{`(field "b" was STRING and is BIGINT)`, "declare it as it was"}},
		{"field gone", named("(`a` INT, `b` STRING)", 1), named("(`a` INT)", 0), false,
			[]string{`(field "b" is gone)`}},
		{"field new", named("(`a` INT)", 1), named("(`a` INT, `b` STRING)", 0), false,
			[]string{`(field "b" is new)`}},
		{"key", named("(`a` INT) -> (`v` INT)", 1), named("(`a` DATE) -> (`v` INT)", 0), false,
			[]string{`(field "a" was INT and is DATE)`}},
		{"value", named("(`a` INT) -> (`v` INT)", 1), named("(`a` INT) -> (`v` DATE)", 0), false,
			[]string{`(field "v" was INT and is DATE)`}},
		{"no columns", named("BINARY(3)", 1), named("BINARY(4)", 0), false,
			[]string{"list of BINARY(3) in the checkpoint and a list of BINARY(4) in the job:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &protocol.Operator{Uid: "u", Name: "n"}
			if c.now != nil {
				o.OperatorStates = []*protocol.NamedState{c.now}
			}
			stored := stateOf("u")
			stored.Subtasks[0].Keyed = nil
			if c.old != nil {
				stored.Subtasks[0].List = []*protocol.NamedState{c.old}
			}
			err := scheduler.Check(jobOf(o), checkpointOf("flights", stored), c.allow)
			if (err == nil) != (c.refused == nil) {
				t.Fatalf("error %v", err)
			}
			for _, words := range c.refused {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %q does not contain %q", err, words)
				}
			}
		})
	}
}
