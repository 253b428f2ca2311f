package graph

import (
	"fmt"
	"strings"

	"github.com/leat-io/leat/internal/protocol"
)

// DumpJob prints a job graph: each vertex with its operators and inputs, in order.
func DumpJob(g *protocol.JobGraph) string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %q\n", g.GetName())
	vertices := map[uint32]*protocol.Vertex{}
	for _, v := range g.GetVertices() {
		vertices[v.Id] = v
	}
	for _, v := range g.GetVertices() {
		fmt.Fprintf(&b, "vertex %d %q parallelism %d of %d\n",
			v.Id, v.Name, v.Parallelism, MaxParallelismOf(v))
		for _, e := range g.GetEdges() {
			if e.To == v.Id {
				fmt.Fprintf(&b, "  input %d: edge %d, %s from %d %q%s\n", e.Input, e.Id,
					exchangeName(e.Exchange), e.From, vertices[e.From].GetName(),
					fromWhere(e, vertices[e.From]))
			}
		}
		for i, o := range v.Operators {
			dumpOperator(&b, v, i, o)
		}
	}
	return b.String()
}

// fromWhere says which operator and output of a chain an edge comes from, when it is not the
// main output of the last one.
func fromWhere(e *protocol.Edge, v *protocol.Vertex) string {
	text := ""
	if i := Sender(e, v); i >= 0 && i < len(v.GetOperators())-1 {
		text = fmt.Sprintf(", operator %q", v.Operators[i].Name)
	}
	if e.Tag != "" {
		text += fmt.Sprintf(", side output %q", e.Tag)
	}
	return text
}

func dumpOperator(b *strings.Builder, v *protocol.Vertex, i int, o *protocol.Operator) {
	fmt.Fprintf(b, "  operator %q", o.Name)
	if i > 0 && Before(o, i) < i-1 {
		fmt.Fprintf(b, " after %q", v.Operators[Before(o, i)].Name)
	}
	if o.Tag != "" {
		fmt.Fprintf(b, " side output %q", o.Tag)
	}
	if o.Uid != "" {
		fmt.Fprintf(b, " uid %q", o.Uid)
	}
	if o.Stateful {
		b.WriteString(" stateful")
	}
	b.WriteByte('\n')
	for _, d := range o.Descriptors {
		fmt.Fprintf(b, "    state %q %s key %s value %s\n",
			d.Name, d.Kind, d.KeySchema, d.ValueSchema)
	}
	for _, s := range o.OperatorStates {
		fmt.Fprintf(b, "    state %q %s %s\n", s.Name, ModeOf(s), s.Schema)
	}
}

// MapSchema stands between the schemas of keys and of values in the schema of broadcast state.
const MapSchema = " -> "

// ModeOf names how operator state is given to subtasks: "list", "union-list", "broadcast".
func ModeOf(s *protocol.NamedState) string {
	switch {
	case s.GetBroadcast():
		return "broadcast"
	case s.GetUnion():
		return "union-list"
	}
	return "list"
}

func exchangeName(e protocol.Exchange) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), "EXCHANGE_"))
}

// StateName returns Flink's name of a task state: "RUNNING".
func StateName(s protocol.TaskState) string {
	return strings.TrimPrefix(s.String(), "TASK_STATE_")
}

// Dump prints the tasks of an attempt with their states.
func (e *Execution) Dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %q attempt %d\n", e.Job.GetName(), e.Attempt)
	for _, t := range e.Tasks {
		fmt.Fprintf(&b, "task %s %q (%d/%d) %s", t.ID, t.Vertex.Name,
			t.ID.Subtask+1, t.Vertex.Parallelism, StateName(t.State))
		if t.Ended && !IsTerminal(t.State) {
			b.WriteString(", end of data")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
