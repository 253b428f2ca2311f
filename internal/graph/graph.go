// Package graph is the execution graph as data: a job graph unfolded into tasks.
//
// Main types: [Execution], one attempt of a job with the state of each of its tasks;
// [TaskID]. [Validate] checks a job graph; [DumpJob] and [Execution.Dump] print graphs for
// people and golden tests.
//
// The package decides nothing about when tasks run (internal/cluster/jobmaster does) and
// moves no state (internal/cluster/scheduler). An Execution is a value of its owner's
// goroutine; everything else is pure.
//
// Semantics: Flink's JobGraph and ExecutionGraph.
package graph

import (
	"fmt"

	"github.com/leat-io/leat/internal/protocol"
)

// TaskID names a subtask of a vertex; it serves as a map key.
type TaskID struct {
	Vertex, Subtask uint32
}

// IDOf returns the id that a message carries.
func IDOf(t *protocol.TaskID) TaskID { return TaskID{t.GetVertex(), t.GetSubtask()} }

// Proto returns the id as a message.
func (t TaskID) Proto() *protocol.TaskID {
	return &protocol.TaskID{Vertex: t.Vertex, Subtask: t.Subtask}
}

// String returns vertex and subtask, both from 0: "2/0".
func (t TaskID) String() string { return fmt.Sprintf("%d/%d", t.Vertex, t.Subtask) }

// Task is one subtask within an attempt.
type Task struct {
	ID     TaskID
	Vertex *protocol.Vertex
	State  protocol.TaskState
	// Ended says that the task has reached end of data.
	Ended bool
}

// IsTerminal reports whether a task in this state runs no more.
func IsTerminal(s protocol.TaskState) bool {
	return s == protocol.TaskState_TASK_STATE_FINISHED ||
		s == protocol.TaskState_TASK_STATE_CANCELED ||
		s == protocol.TaskState_TASK_STATE_FAILED
}

// Execution is one attempt of a job: all tasks, by vertex, then subtask.
type Execution struct {
	Job     *protocol.JobGraph
	Attempt uint32
	Tasks   []*Task

	byID map[TaskID]*Task
}

// NewExecution unfolds a valid job graph into tasks in state CREATED.
func NewExecution(job *protocol.JobGraph, attempt uint32) *Execution {
	e := &Execution{Job: job, Attempt: attempt, byID: map[TaskID]*Task{}}
	for _, v := range job.Vertices {
		for i := range v.Parallelism {
			t := &Task{
				ID: TaskID{v.Id, i}, Vertex: v, State: protocol.TaskState_TASK_STATE_CREATED,
			}
			e.Tasks = append(e.Tasks, t)
			e.byID[t.ID] = t
		}
	}
	return e
}

// Task returns a task, nil when there is none of that id.
func (e *Execution) Task(id TaskID) *Task { return e.byID[id] }

// IDs returns the ids of all tasks.
func (e *Execution) IDs() []TaskID {
	ids := make([]TaskID, 0, len(e.Tasks))
	for _, t := range e.Tasks {
		ids = append(ids, t.ID)
	}
	return ids
}

// Sources returns the tasks without inputs: barriers begin there.
func (e *Execution) Sources() []TaskID {
	hasInput := map[uint32]bool{}
	for _, edge := range e.Job.Edges {
		hasInput[edge.To] = true
	}
	var ids []TaskID
	for _, t := range e.Tasks {
		if !hasInput[t.ID.Vertex] {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// All reports whether the predicate holds for all tasks.
func (e *Execution) All(holds func(*Task) bool) bool {
	for _, t := range e.Tasks {
		if !holds(t) {
			return false
		}
	}
	return true
}

// Deployment returns what a task needs to know of the graph, without state.
func (e *Execution) Deployment(id TaskID) *protocol.DeployTask {
	d := &protocol.DeployTask{
		Task: id.Proto(), Vertex: e.byID[id].Vertex, Parallelism: map[uint32]uint32{},
	}
	parallelism := map[uint32]uint32{}
	for _, v := range e.Job.Vertices {
		parallelism[v.Id] = v.Parallelism
	}
	for _, edge := range e.Job.Edges {
		if edge.To == id.Vertex {
			d.Inputs = append(d.Inputs, edge)
			d.Parallelism[edge.From] = parallelism[edge.From]
		}
		if edge.From == id.Vertex {
			d.Outputs = append(d.Outputs, edge)
			d.Parallelism[edge.To] = parallelism[edge.To]
		}
	}
	return d
}

// Before returns the place in its chain of the operator whose records the i-th one, o, takes;
// i is not 0.
func Before(o *protocol.Operator, i int) int {
	if o.After > 0 {
		return int(o.After) - 1
	}
	return i - 1
}

// Sender returns the place in its chain of the operator whose records an edge from v takes.
func Sender(e *protocol.Edge, v *protocol.Vertex) int {
	if e.Operator > 0 {
		return int(e.Operator) - 1
	}
	return len(v.Operators) - 1
}
