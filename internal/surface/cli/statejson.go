package cli

import (
	"fmt"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/state/view"
)

// The JSON form of state ls.
type contentsJSON struct {
	Job        string         `json:"job"`
	JobID      string         `json:"jobId"`
	Checkpoint uint64         `json:"checkpoint"`
	Kind       string         `json:"kind"`
	Triggered  string         `json:"triggered"`
	Path       string         `json:"path"`
	Bytes      int64          `json:"bytes"`
	Operators  []operatorJSON `json:"operators"`
}

type operatorJSON struct {
	Name           string         `json:"name"`
	UID            string         `json:"uid"`
	ID             string         `json:"id"`
	Parallelism    uint32         `json:"parallelism"`
	MaxParallelism uint32         `json:"maxParallelism"`
	Bytes          int64          `json:"bytes"`
	States         []stateJSON    `json:"states"`
	OperatorState  []elementsJSON `json:"operatorState"`
	Enumerator     *elementsJSON  `json:"enumerator,omitempty"`
	Committables   int            `json:"committables"`
	Subtasks       []subtaskJSON  `json:"subtasks"`
}

type stateJSON struct {
	Name          string       `json:"name"`
	Kind          string       `json:"kind"`
	KeySchema     string       `json:"keySchema"`
	UserKeySchema string       `json:"userKeySchema,omitempty"`
	ValueSchema   string       `json:"valueSchema"`
	TTLMillis     int64        `json:"ttlMillis,omitempty"`
	Table         uint32       `json:"table"`
	Rows          int64        `json:"rows"`
	RowsExact     bool         `json:"rowsExact"`
	Bytes         int64        `json:"bytes"`
	Runs          int          `json:"runs"`
	Windows       []windowJSON `json:"windows,omitempty"`
}

type windowJSON struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

type elementsJSON struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Schema   string `json:"schema,omitempty"`
	Elements []any  `json:"elements"`
	Bytes    int64  `json:"bytes"`
}

type subtaskJSON struct {
	Subtask  uint32 `json:"subtask"`
	HashLo   string `json:"hashLo,omitempty"`
	HashHi   string `json:"hashHi,omitempty"`
	Runs     int    `json:"runs"`
	Rows     int64  `json:"rows"`
	Elements int    `json:"elements"`
	Bytes    int64  `json:"bytes"`
}

func contentsOf(found *store.Found, operators []view.Operator) contentsJSON {
	h := found.Meta.Header
	c := contentsJSON{Job: h.GetJobName(), JobID: h.GetJobId(), Checkpoint: h.GetCheckpointId(),
		Kind: h.GetKind(), Triggered: iso(h.GetTriggerMillis()), Path: found.Directory(),
		Operators: []operatorJSON{}}
	for i := range operators {
		o := operatorOf(&operators[i])
		c.Bytes += o.Bytes
		c.Operators = append(c.Operators, o)
	}
	return c
}

func operatorOf(o *view.Operator) operatorJSON {
	out := operatorJSON{Name: o.Name, UID: o.UID, ID: o.ID, Parallelism: o.Parallelism,
		MaxParallelism: o.MaxParallelism, Bytes: o.Bytes, Committables: o.Committables,
		States: []stateJSON{}, OperatorState: []elementsJSON{}, Subtasks: []subtaskJSON{}}
	for _, table := range o.Tables {
		for _, s := range table.States {
			out.States = append(out.States, stateOf(s, table))
		}
	}
	for _, list := range o.Lists {
		out.OperatorState = append(out.OperatorState, listOf(list))
	}
	if o.Coordinator != nil {
		list := listOf(*o.Coordinator)
		out.Enumerator = &list
	}
	for _, s := range o.Subtasks {
		one := subtaskJSON{Subtask: s.Index, Runs: s.Runs, Rows: s.Rows,
			Elements: s.ListElements, Bytes: s.Bytes}
		if s.Keyed {
			one.HashLo, one.HashHi = fmt.Sprintf("%08x", s.HashLo), fmt.Sprintf("%08x", s.HashHi)
		}
		out.Subtasks = append(out.Subtasks, one)
	}
	return out
}

func stateOf(s view.State, table view.Table) stateJSON {
	out := stateJSON{Name: s.Name, Kind: s.Kind, KeySchema: s.KeySchema,
		UserKeySchema: s.UserKeySchema, ValueSchema: s.ValueSchema, TTLMillis: s.TTLMillis,
		Table: s.Table, Rows: table.Rows, RowsExact: table.Exact, Bytes: table.Bytes,
		Runs: table.Runs}
	for _, w := range table.Windows {
		out.Windows = append(out.Windows, windowJSON{Start: string(w.Window.Start),
			End: string(w.Window.End), Rows: w.Rows, Bytes: w.Bytes})
	}
	return out
}

func listOf(list view.OperatorList) elementsJSON {
	out := elementsJSON{Name: list.Name, Kind: list.Kind, Schema: list.Schema,
		Elements: list.Elements, Bytes: list.Bytes}
	if out.Elements == nil {
		out.Elements = []any{}
	}
	return out
}
