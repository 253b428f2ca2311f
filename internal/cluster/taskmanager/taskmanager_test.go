package taskmanager_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/cluster/taskmanager"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: every task deployed reports how it ended, to the sender and under the numbers it was
// deployed with; messages of older attempts and generations, and for unknown tasks, are void.
// Method: deploy a task whose operator nobody registered, so that it fails to be built, among
// void messages of every kind.
func TestMessages(t *testing.T) {
	said := make(chan *protocol.Envelope, 100) // room for all there can be
	tm := taskmanager.New(t.Context(), taskmanager.Config{
		Registry: operator.NewRegistry(), Files: filesystem.NewRegistry(mem.New(mem.Options{})),
		Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler), Address: "tm",
		Send: func(e *protocol.Envelope) { said <- e },
	})
	envelope := func(generation uint64, attempt uint32) *protocol.Envelope {
		return &protocol.Envelope{
			JobId: "j", Generation: generation, Attempt: attempt, From: "jm", To: "tm",
		}
	}
	deploy := func(generation uint64, attempt, vertex uint32) {
		e := envelope(generation, attempt)
		e.Body = &protocol.Envelope_DeployTask{DeployTask: &protocol.DeployTask{
			Task: &protocol.TaskID{Vertex: vertex},
			Vertex: &protocol.Vertex{
				Id: vertex, Name: "v", Parallelism: 1,
				Operators: []*protocol.Operator{{Name: "o", Kind: "nowhere"}},
			},
			CheckpointRoot: "mem://test/c",
		}}
		tm.Handle(e)
	}
	for _, body := range everyBody() {
		tm.Handle(body) // Nothing is deployed.
	}
	deploy(2, 5, 0)
	deploy(2, 4, 1) // an older attempt
	deploy(1, 9, 1) // an older generation
	for _, e := range everyBody() {
		e.Generation, e.Attempt, e.JobId = 2, 5, "j"
		tm.Handle(e) // No such task.
	}
	var got []string
	awaitFailed := func() {
		for {
			e := <-said
			s := e.GetTaskStatus()
			if s.GetState() != protocol.TaskState_TASK_STATE_FAILED {
				continue
			}
			got = append(got, fmt.Sprintf("%s from %s to %s of %s %d.%d: %v", graph.IDOf(s.Task),
				e.From, e.To, e.JobId, e.Generation, e.Attempt,
				strings.Contains(s.Failure.Message, `"nowhere"`)))
			return
		}
	}
	awaitFailed()
	deploy(3, 1, 2) // a new master
	awaitFailed()
	if err := tm.Close(); err != nil {
		t.Error(err)
	}
	deploy(3, 1, 3) // after Close: said to be over
	for len(said) > 0 {
		if s := (<-said).GetTaskStatus(); graph.IsTerminal(s.GetState()) && s.Task.Vertex == 3 {
			got = append(got, graph.IDOf(s.Task).String()+" "+graph.StateName(s.State))
		}
	}
	want := []string{
		"0/0 from tm to jm of j 2.5: true", "2/0 from tm to jm of j 3.1: true", "3/0 CANCELED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// everyBody is one message of each kind that a TaskManager takes, for a task that is not there.
func everyBody() []*protocol.Envelope {
	id := &protocol.TaskID{Vertex: 77}
	return []*protocol.Envelope{
		{Body: &protocol.Envelope_CancelTask{CancelTask: &protocol.CancelTask{Task: id}}},
		{Body: &protocol.Envelope_CloseTask{CloseTask: &protocol.CloseTask{Task: id}}},
		{Body: &protocol.Envelope_TriggerCheckpoint{
			TriggerCheckpoint: &protocol.TriggerCheckpoint{Task: id},
		}},
		{Body: &protocol.Envelope_CheckpointComplete{
			CheckpointComplete: &protocol.CheckpointComplete{Task: id},
		}},
		{Body: &protocol.Envelope_CheckpointAborted{
			CheckpointAborted: &protocol.CheckpointAborted{Task: id},
		}},
		{Body: &protocol.Envelope_AssignSplits{AssignSplits: &protocol.AssignSplits{Task: id}}},
		{Body: &protocol.Envelope_RequestSplit{RequestSplit: &protocol.RequestSplit{Task: id}}},
	}
}
