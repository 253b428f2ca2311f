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
	names := map[uint32]string{}
	for _, v := range g.GetVertices() {
		names[v.Id] = v.Name
	}
	for _, v := range g.GetVertices() {
		fmt.Fprintf(&b, "vertex %d %q parallelism %d of %d\n",
			v.Id, v.Name, v.Parallelism, MaxParallelismOf(v))
		for _, e := range g.GetEdges() {
			if e.To == v.Id {
				fmt.Fprintf(&b, "  input %d: edge %d, %s from %d %q\n",
					e.Input, e.Id, exchangeName(e.Exchange), e.From, names[e.From])
			}
		}
		for _, o := range v.Operators {
			dumpOperator(&b, o)
		}
	}
	return b.String()
}

func dumpOperator(b *strings.Builder, o *protocol.Operator) {
	fmt.Fprintf(b, "  operator %q", o.Name)
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
