package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Goal: what is wrong with a graph is said, and graphs print in a stable, readable form.
// Method: graphs in protobuf text in testdata.
//
//	validate   prints ok or the faults
//	dump       prints the job graph
//	execution  prints the tasks of an attempt
func TestGraphs(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			g := &protocol.JobGraph{}
			if err := prototext.Unmarshal([]byte(d.Input), g); err != nil {
				d.Fatalf(t, "%v", err)
			}
			switch d.Cmd {
			case "validate":
				if err := graph.Validate(g); err != nil {
					return err.Error()
				}
				return "ok"
			case "dump":
				return graph.DumpJob(g)
			case "execution":
				e := graph.NewExecution(g, 3)
				e.Tasks[0].State = protocol.TaskState_TASK_STATE_RUNNING
				e.Tasks[0].Ended = true
				return e.Dump()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

// Goal: a task is told exactly its own edges and the parallelism at their other ends. Method: a
// diamond.
func TestDeployment(t *testing.T) {
	job := &protocol.JobGraph{
		Vertices: []*protocol.Vertex{
			{Id: 0, Parallelism: 1}, {Id: 1, Parallelism: 2}, {Id: 2, Parallelism: 3},
			{Id: 3, Parallelism: 4},
		},
		Edges: []*protocol.Edge{
			{Id: 0, From: 0, To: 1}, {Id: 1, From: 0, To: 2}, {Id: 2, From: 1, To: 3},
			{Id: 3, From: 2, To: 3, Input: 1},
		},
	}
	e := graph.NewExecution(job, 1)
	var got []string
	for _, task := range e.Tasks {
		d := e.Deployment(task.ID)
		var in, out []string
		for _, edge := range d.Inputs {
			in = append(in, fmt.Sprintf("%d*%d", edge.Id, d.Parallelism[edge.From]))
		}
		for _, edge := range d.Outputs {
			out = append(out, fmt.Sprintf("%d*%d", edge.Id, d.Parallelism[edge.To]))
		}
		if task.ID.Subtask == 0 {
			got = append(got, fmt.Sprintf("%s in %v out %v", task.ID, in, out))
		}
	}
	want := []string{
		"0/0 in [] out [0*2 1*3]", "1/0 in [0*1] out [2*4]", "2/0 in [1*1] out [3*4]",
		"3/0 in [2*2 3*3] out []",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deployments (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(e.Sources()); got != "[0/0]" || len(e.IDs()) != 10 {
		t.Errorf("sources %s of %d tasks", got, len(e.IDs()))
	}
	if e.Task(graph.TaskID{Vertex: 9}) != nil ||
		graph.IDOf(graph.TaskID{Vertex: 3, Subtask: 2}.Proto()).String() != "3/2" {
		t.Error("ids do not come back")
	}
	if !strings.HasPrefix(graph.StateName(protocol.TaskState_TASK_STATE_FAILED), "FAILED") {
		t.Error("state name")
	}
}
