package scheduler_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// keyed describes states in words: "name kind [ttl]", each in the next table unless it lies in
// rows. A name that begins with "-" is of a table without entries.
func keyed(t *testing.T, text string) (
	descriptors []*protocol.StateDescriptor, panes []*protocol.PaneRuns,
) {
	t.Helper()
	table := uint32(1)
	rows := false
	for _, part := range strings.Split(text, ", ") {
		if part == "" {
			continue
		}
		words := strings.Fields(part)
		name, empty := strings.CutPrefix(words[0], "-")
		d := &protocol.StateDescriptor{
			Name: name, KeySchema: "(`value` BIGINT NOT NULL)", HashId: 1,
			ValueSchema: "(`n` INT NOT NULL, `text` STRING)",
		}
		switch d.Kind = words[1]; d.Kind {
		case "map", "ordered-map":
			d.UserKeySchema = "(`a` INT NOT NULL)"
			d.Table, rows = table, true
		case "list":
			d.Table, rows = table, true
		case "timers":
			d.ValueSchema, d.Table = "", table
			if !rows {
				d.Table = table - 1
			}
		default:
			rows = true
		}
		if len(words) > 2 {
			d.TtlMillis = int64(len(words[2])) * 1000
		}
		if d.Table > 0 || d.Kind == "timers" {
			table++
			pane := &protocol.PaneRuns{Table: d.Table, Pane: -1}
			if !empty {
				pane.Runs = []*protocol.Run{{HashHi: 1<<32 - 1, Rows: 1}}
			}
			panes = append(panes, pane)
		}
		descriptors = append(descriptors, d)
	}
	if rows {
		panes = append([]*protocol.PaneRuns{{
			Pane: -1, Runs: []*protocol.Run{{HashHi: 1<<32 - 1, Rows: 1}},
		}}, panes...)
	}
	return descriptors, panes
}

func keyedStart(t *testing.T, old, now string) (*protocol.JobGraph, *protocol.OperatorState) {
	t.Helper()
	was, panes := keyed(t, old)
	is, _ := keyed(t, now)
	state := stateOf("count", was...)
	state.Subtasks[0].Keyed.Panes = panes
	o := &protocol.Operator{Uid: "count", Name: "n", Stateful: true, Descriptors: is}
	return jobOf(o), state
}

// Goal: maps, lists and timers may come, move and, when they are empty or that is allowed, go;
// states in rows may not; what differs is named with its cure. Method: a table of what was and
// what is, and the words of the refusal.
func TestCheckKeyed(t *testing.T) {
	const mayBeLost = "allow state that is not restored"
	for _, c := range []struct {
		old, now string
		refused  []string // nil: fits
		cure     bool     // allowing state that is not restored helps
	}{
		{old: "a value, m map, l list, t timers", now: "a value, m map, l list, t timers"},
		{old: "a value, m map, l list", now: "l list, a value, x map, m ordered-map, t timers"},
		{old: "m map", now: "l list, m map"},
		{old: "t timers", now: "t timers, a value, m map"},
		{old: "m map s", now: "m map ssssss"},
		{old: "a value s", now: "a value ssssss"},
		{old: "a value, -m map, -l list", now: "a value"},
		{old: "a value, -m map", now: "a value, m list"},
		{"a value, m map", "a value",
			[]string{`"count"`, `state "m" (map from (`, "does not declare", mayBeLost}, true},
		{"a value, t timers", "a value", []string{`"t" (timers by key`, mayBeLost}, true},
		{"m map", "m list",
			[]string{`state "m" is map from`, "list of", "under a new name"}, false},
		{"m map", "m map s", []string{"living 1s in the job", "take its time to live away",
			"under a new name"}, false},
		{"l list s", "l list", []string{"living 1s in the checkpoint", "give it a time to live"},
			false},
		{"a value s", "a value", []string{"give it a time to live", "new uid"}, false},
		{"a value", "a reducing", []string{"value of", "reducing of", "new uid"}, false},
		{"m map", "m map, a value", []string{`no state "a"`, "uid of its own"}, false},
		{"a value, -m map", "a value, m value", []string{`no state "m"`, "uid of its own"}, false},
		{"a value, b value, m map", "b value, m map, a value", []string{"old order"}, false},
		{"a value, m map", "m map", []string{`"a"`, "declare it again", "new uid"}, false},
	} {
		t.Run(c.old+" -> "+c.now, func(t *testing.T) {
			job, state := keyedStart(t, c.old, c.now)
			err := scheduler.Check(job, checkpointOf("flights", state), false)
			if (err == nil) != (c.refused == nil) {
				t.Fatalf("error %v", err)
			}
			for _, words := range c.refused {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %q does not contain %q", err, words)
				}
			}
			allowed := scheduler.Check(job, checkpointOf("flights", state), true)
			if err != nil && (allowed == nil) != c.cure {
				t.Errorf("allowed: %v", allowed)
			}
		})
	}
}

// Goal: the refusal names the column that differs. Method: one change in each schema.
func TestCheckNamesField(t *testing.T) {
	for _, c := range []struct {
		change func(d *protocol.StateDescriptor)
		want   string
	}{
		{func(d *protocol.StateDescriptor) { d.UserKeySchema = "(`a` STRING NOT NULL)" },
			"(field \"a\" was INT NOT NULL and is STRING NOT NULL)"},
		{func(d *protocol.StateDescriptor) { d.ValueSchema = "(`n` INT NOT NULL)" },
			`(field "text" is gone)`},
		{func(d *protocol.StateDescriptor) { d.KeySchema = "(`value` STRING NOT NULL)" },
			`(field "value" was BIGINT NOT NULL and is STRING NOT NULL)`},
	} {
		job, state := keyedStart(t, "m map", "m map")
		c.change(job.Vertices[0].Operators[0].Descriptors[0])
		err := scheduler.Check(job, checkpointOf("flights", state), false)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// Goal: tables that have moved are found by the names of their states, those of states that are
// gone are left out, and rows are given to nobody without rows. Method: where the runs of each
// table, told apart by their order, go.
func TestTablesByName(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"a value, m map, l list, t timers", "a value, m map, l list, t timers", "0-0 1-1 2-2 3-3"},
		{"a value, m map, l list, t timers", "x list, l list, a value, t timers", "0-0 2-2 3-3"},
		{"m map, l list", "l list, m map", "0-0 1-2 2-1"},
		{"t timers, u timers", "a value, t timers, u timers", "0-1 1-2"},
		{"m map, t timers", "t timers", "2-0"},
		{"m map", "", ""},
	} {
		t.Run(c.old+" -> "+c.now, func(t *testing.T) {
			job, state := keyedStart(t, c.old, c.now)
			for _, pane := range state.Subtasks[0].Keyed.Panes {
				pane.Runs[0].UpTo = uint64(pane.Table)
			}
			before := proto.CloneOf(state)
			var got []string
			for _, d := range scheduler.Deployments(graph.NewExecution(job, 1), scheduler.Start{
				Checkpoint: checkpointOf("flights", state),
			})[:1] {
				for _, pane := range d.Restore[0].Panes {
					got = append(got, fmt.Sprintf("%d-%d", pane.Runs[0].UpTo, pane.Table))
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, state, protocmp.Transform()); diff != "" {
				t.Errorf("the checkpoint was changed: %s", diff)
			}
		})
	}
}
