package jobmaster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/cluster/jobmaster"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: the life of a job, decision by decision. Method: scenarios in testdata about a job of
// one source task (0/0) and one sink task (1/0); one input a line, "<seconds>: <input>",
// compared with the effects written down there.
//
//	new restarts=N delay=.. interval=.. timeout=..
//	step
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var m *jobmaster.Master
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				m = jobmaster.New(optionsOf(t, d))
				return ""
			case "step":
				var out strings.Builder
				for _, line := range strings.Split(d.Input, "\n") {
					fmt.Fprintf(&out, "> %s\n", line)
					step(t, d, m, line, &out)
				}
				return out.String()
			case "tasks":
				return m.Execution().Dump()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func optionsOf(t *testing.T, d *datadriven.TestData) jobmaster.Options {
	o := jobmaster.Options{JobName: "j", Root: "mem://r", Graph: &protocol.JobGraph{
		Name: "j",
		Vertices: []*protocol.Vertex{
			{Id: 0, Name: "in", Parallelism: 1, Operators: []*protocol.Operator{{Uid: "in"}}},
			{Id: 1, Name: "out", Parallelism: 1, Operators: []*protocol.Operator{{Uid: "out"}}},
		},
		Edges: []*protocol.Edge{
			{Id: 0, From: 0, To: 1, Exchange: protocol.Exchange_EXCHANGE_FORWARD},
		},
	}}
	for _, a := range d.CmdArgs {
		var err error
		switch a.Key {
		case "restarts":
			_, err = fmt.Sscan(a.Vals[0], &o.Restarts.Attempts)
		case "delay":
			o.Restarts.Delay, err = time.ParseDuration(a.Vals[0])
		case "interval":
			o.Checkpoint.Interval, err = time.ParseDuration(a.Vals[0])
		case "timeout":
			o.Checkpoint.Timeout, err = time.ParseDuration(a.Vals[0])
		}
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
	}
	return o
}

func step(
	t *testing.T, d *datadriven.TestData, m *jobmaster.Master, line string, out *strings.Builder,
) {
	at, words, ok := strings.Cut(line, ": ")
	var seconds float64
	if _, err := fmt.Sscan(at, &seconds); !ok || err != nil {
		d.Fatalf(t, "line %q has no time", line)
	}
	now := time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	for _, e := range m.Step(now, inputOf(t, d, m, strings.Fields(words))) {
		fmt.Fprintf(out, "  %s\n", show(e))
	}
}

// inputOf parses an input. "<task>@<attempt>" is a task of another attempt than the current.
func inputOf(
	t *testing.T, d *datadriven.TestData, m *jobmaster.Master, w []string,
) jobmaster.Input {
	var id uint64
	if len(w) > 1 {
		fmt.Sscan(w[1], &id)
	}
	var err error
	if last := w[len(w)-1]; strings.HasPrefix(last, "error=") {
		err = errors.New(strings.TrimPrefix(last, "error="))
	}
	switch w[0] {
	case "start":
		return jobmaster.Start{}
	case "tick":
		return jobmaster.Tick{}
	case "stop":
		return jobmaster.Stop{}
	case "cancel":
		return jobmaster.Cancel{}
	case "take": // take <request> savepoint|stop|drain|checkpoint
		r := coordinator.Request{ID: id, Kind: coordinator.KindSavepoint, Directory: "dir"}
		switch w[2] {
		case "stop":
			r.Kind = coordinator.KindStopSavepoint
		case "drain":
			r.Kind, r.Drain = coordinator.KindStopSavepoint, true
		case "checkpoint":
			r.Kind = coordinator.KindPeriodic
		}
		return jobmaster.Take{Request: r}
	case "forget":
		return jobmaster.Forget{Request: id}
	case "broken":
		return jobmaster.RoleFailed{Err: err}
	case "prepared": // prepared [<checkpoint>] [error=..]
		p := jobmaster.Prepared{Attempt: m.Attempt(), NextID: 1, Lineage: "l", Err: err}
		if id > 0 {
			p.Checkpoint = &meta.Checkpoint{
				Header: &protocol.CheckpointHeader{CheckpointId: id, JobName: "j"},
			}
			p.NextID = id + 1
		}
		return p
	case "published":
		p := jobmaster.Published{ID: id, Outcome: coordinator.OutcomeCompleted, Err: err}
		if err != nil {
			p.Outcome = coordinator.OutcomeFailed
		}
		if strings.Contains(strings.Join(w, " "), "fenced") {
			p.Outcome = coordinator.OutcomeFenced
		}
		return p
	case "committed":
		return jobmaster.Committed{ID: id, Err: err}
	case "splits":
		return jobmaster.SplitsFailed{UID: "in", Checkpoint: id, Err: err}
	}
	return jobmaster.FromTask{Message: messageOf(t, d, m, w)}
}

func messageOf(
	t *testing.T, d *datadriven.TestData, m *jobmaster.Master, w []string,
) *protocol.Envelope {
	e := &protocol.Envelope{Attempt: m.Attempt()}
	task := &protocol.TaskID{}
	name, attempt, other := strings.Cut(w[1], "@")
	if other {
		fmt.Sscan(attempt, &e.Attempt)
	}
	if _, err := fmt.Sscanf(name, "%d/%d", &task.Vertex, &task.Subtask); err != nil {
		d.Fatalf(t, "%v: %v", w, err)
	}
	var id uint64
	if len(w) > 2 {
		fmt.Sscan(w[2], &id)
	}
	switch w[0] {
	case "end":
		e.Body = &protocol.Envelope_EndOfDataReached{
			EndOfDataReached: &protocol.EndOfDataReached{Task: task},
		}
	case "ack":
		e.Body = &protocol.Envelope_AckCheckpoint{
			AckCheckpoint: &protocol.AckCheckpoint{Task: task, CheckpointId: id},
		}
	case "decline":
		e.Body = &protocol.Envelope_DeclineCheckpoint{
			DeclineCheckpoint: &protocol.DeclineCheckpoint{
				Task: task, CheckpointId: id, Failure: &protocol.Failure{Message: "planted"},
			},
		}
	case "request":
		e.Body = &protocol.Envelope_RequestSplit{
			RequestSplit: &protocol.RequestSplit{Task: task, Uid: "in"},
		}
	default: // a task state: running 0/0
		s, ok := protocol.TaskState_value["TASK_STATE_"+strings.ToUpper(w[0])]
		if !ok {
			d.Fatalf(t, "unknown input %v", w)
		}
		status := &protocol.TaskStatus{Task: task, State: protocol.TaskState(s)}
		if w[0] == "failed" {
			status.Failure = &protocol.Failure{Message: "planted", Domain: "user"}
			if slices.Contains(w, "gone") {
				status.Failure.Domain = "external"
			}
		}
		e.Body = &protocol.Envelope_TaskStatus{TaskStatus: status}
	}
	return e
}

func show(e jobmaster.Effect) string {
	switch e := e.(type) {
	case jobmaster.Note:
		text := "note: " + string(e.Kind)
		if e.IsWarning() {
			text = "warning: " + string(e.Kind)
		}
		for _, a := range e.Attrs() {
			text += " " + a.String()
		}
		return text
	case jobmaster.Prepare:
		return fmt.Sprintf("prepare attempt %d from %d", e.Attempt, e.Checkpoint)
	case jobmaster.Send:
		return "send " + showMessage(e.Message)
	case jobmaster.Trigger:
		text := fmt.Sprintf("trigger %d:", e.ID)
		for _, m := range e.Messages {
			text += " " + graph.IDOf(m.GetTriggerCheckpoint().Task).String()
			if s := m.GetTriggerCheckpoint().Savepoint; s != nil {
				text += fmt.Sprintf(" savepoint in %s stop %v drain %v", e.Request.Directory,
					s.Stop, s.Drain)
			}
		}
		return text
	case jobmaster.Answer:
		return fmt.Sprintf("answer %d: checkpoint %d: %v", e.Request, e.Checkpoint, e.Err)
	case jobmaster.SavepointTaken:
		return fmt.Sprintf("savepoint %d taken", e.ID)
	case jobmaster.AskSplit:
		return fmt.Sprintf("ask split of %s for %s", e.UID, e.Task)
	case jobmaster.Publish:
		return fmt.Sprintf("publish %d %s", e.ID, e.Kind)
	case jobmaster.Commit:
		return fmt.Sprintf("commit %d", e.ID)
	case jobmaster.Arm:
		return fmt.Sprintf("arm %.1f", e.At.Sub(time.Unix(1000, 0)).Seconds())
	case jobmaster.End:
		return fmt.Sprintf("end %s: %v", e.Status, e.Err)
	}
	return fmt.Sprintf("%T", e)
}

func showMessage(e *protocol.Envelope) string {
	switch b := e.Body.(type) {
	case *protocol.Envelope_DeployTask:
		return fmt.Sprintf("deploy %s from %d attempt %d", graph.IDOf(b.DeployTask.Task),
			b.DeployTask.RestoreCheckpoint, e.Attempt)
	case *protocol.Envelope_CancelTask:
		return "cancel " + graph.IDOf(b.CancelTask.Task).String()
	case *protocol.Envelope_CloseTask:
		return "close " + graph.IDOf(b.CloseTask.Task).String()
	case *protocol.Envelope_CheckpointComplete:
		return fmt.Sprintf("complete %d to %s", b.CheckpointComplete.CheckpointId,
			graph.IDOf(b.CheckpointComplete.Task))
	case *protocol.Envelope_CheckpointAborted:
		return fmt.Sprintf("aborted %d to %s", b.CheckpointAborted.CheckpointId,
			graph.IDOf(b.CheckpointAborted.Task))
	}
	return fmt.Sprintf("%T", e.Body)
}

// Goal: every status can be left or is terminal as in Flink. Method: the names by hand.
func TestTerminal(t *testing.T) {
	for status, terminal := range map[jobmaster.Status]bool{
		jobmaster.Initializing: false, jobmaster.Created: false, jobmaster.Running: false,
		jobmaster.Failing: false, jobmaster.Cancelling: false, jobmaster.Restarting: false,
		jobmaster.Failed: true, jobmaster.Canceled: true, jobmaster.Finished: true,
		jobmaster.Suspended: true,
	} {
		if status.IsTerminal() != terminal {
			t.Errorf("%s is terminal: %v", status, !terminal)
		}
	}
}
