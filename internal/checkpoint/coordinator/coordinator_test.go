package coordinator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leat-io/leat/internal/checkpoint/coordinator"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Goal: each rule about when a checkpoint is taken and what becomes of it. Method: scenarios
// in testdata, one input a line, compared with the effects written down there.
//
//	new interval=10s min-pause=.. timeout=.. tolerable=N next=N restored=N full savepoints=1m
//	step          one input a line, each "<seconds>: <input>"; prints the effects
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var c *coordinator.Coordinator
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				c = coordinator.New(optionsOf(t, d))
				return ""
			case "step":
				var out strings.Builder
				for _, line := range strings.Split(d.Input, "\n") {
					fmt.Fprintf(&out, "> %s\n", line)
					step(t, d, c, line, &out)
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func optionsOf(t *testing.T, d *datadriven.TestData) coordinator.Options {
	o := coordinator.Options{NextID: 1}
	duration := func(text string) time.Duration {
		v, err := time.ParseDuration(text)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return v
	}
	for _, a := range d.CmdArgs {
		var text string
		if len(a.Vals) > 0 {
			text = a.Vals[0]
		}
		switch a.Key {
		case "interval":
			o.Interval = duration(text)
		case "min-pause":
			o.MinPause = duration(text)
		case "timeout":
			o.Timeout = duration(text)
		case "tolerable":
			fmt.Sscan(text, &o.TolerableFailures)
		case "next":
			fmt.Sscan(text, &o.NextID)
		case "restored":
			fmt.Sscan(text, &o.Restored)
		case "full":
			o.Full = true
		case "savepoints":
			o.SavepointInterval, o.SavepointDirectory = duration(text), "sp"
		default:
			d.Fatalf(t, "unknown option %s", a.Key)
		}
	}
	return o
}

func step(
	t *testing.T, d *datadriven.TestData, c *coordinator.Coordinator, line string,
	out *strings.Builder,
) {
	at, words, ok := strings.Cut(line, ": ")
	var seconds float64
	if _, err := fmt.Sscan(at, &seconds); !ok || err != nil {
		d.Fatalf(t, "line %q has no time", line)
	}
	now := time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	for _, e := range c.Step(now, inputOf(t, d, strings.Fields(words))) {
		fmt.Fprintf(out, "  %s\n", show(e))
	}
}

var kinds = map[string]coordinator.Kind{
	"periodic": coordinator.KindPeriodic, "final": coordinator.KindFinal,
	"stop": coordinator.KindStop, "savepoint": coordinator.KindSavepoint,
	"stop-with-savepoint": coordinator.KindStopSavepoint,
}

func inputOf(t *testing.T, d *datadriven.TestData, w []string) coordinator.Input {
	var id uint64
	if len(w) > 1 {
		fmt.Sscan(w[1], &id)
	}
	switch w[0] {
	case "tick":
		return coordinator.Tick{}
	case "trigger":
		return coordinator.TriggerNow{Kind: kinds[w[1]]}
	case "take": // take <request> <kind> [full] [drain]
		return coordinator.Take{Request: coordinator.Request{
			ID: id, Kind: kinds[w[2]], Directory: "dir",
			Full: slices.Contains(w, "full"), Drain: slices.Contains(w, "drain"),
		}}
	case "forget": // forget <request>
		return coordinator.Forget{Request: id}
	case "running": // running <tasks>
		tasks := make([]graph.TaskID, id)
		for i := range tasks {
			tasks[i].Subtask = uint32(i)
		}
		return coordinator.TasksRunning{Tasks: tasks}
	case "stopped":
		return coordinator.TasksStopped{}
	case "ack": // ack <id> <subtask>
		var subtask uint32
		fmt.Sscan(w[2], &subtask)
		return coordinator.Ack{Message: &protocol.AckCheckpoint{
			CheckpointId: id, Task: &protocol.TaskID{Subtask: subtask},
		}}
	case "decline": // decline <id>
		return coordinator.Decline{Task: "a", Checkpoint: id, Reason: "planted"}
	case "published": // published <id> completed|failed|fenced|unknown
		p := coordinator.Published{ID: id, Reason: "planted"}
		switch w[2] {
		case "completed":
			p.Outcome, p.Reason = coordinator.OutcomeCompleted, ""
		case "fenced":
			p.Outcome = coordinator.OutcomeFenced
		case "unknown":
			p.Outcome = coordinator.OutcomeUnknown
		}
		return p
	case "committed": // committed <id> [reason]
		in := coordinator.Committed{ID: id}
		if len(w) > 2 {
			in.Reason = w[2]
		}
		return in
	case "fenced":
		return coordinator.Fenced{}
	}
	d.Fatalf(t, "unknown input %v", w)
	return nil
}

func show(e coordinator.Effect) string {
	switch e := e.(type) {
	case coordinator.Trigger:
		text := fmt.Sprintf("trigger %d %s full %v", e.ID, e.Kind, e.Full)
		if e.Kind.IsSavepoint() {
			text += fmt.Sprintf(" to %s drain %v", e.Request.Directory, e.Request.Drain)
		}
		return text
	case coordinator.Answer:
		return fmt.Sprintf("answer %d: checkpoint %d %q", e.Request, e.ID, e.Reason)
	case coordinator.SavepointTaken:
		return fmt.Sprintf("savepoint %d taken", e.ID)
	case coordinator.Publish:
		return fmt.Sprintf("publish %d %s with %d acks", e.ID, e.Kind, len(e.Acks))
	case coordinator.NotifyComplete:
		return fmt.Sprintf("complete %d", e.ID)
	case coordinator.NotifyAborted:
		return fmt.Sprintf("aborted %d: %s", e.ID, e.Reason)
	case coordinator.Commit:
		return fmt.Sprintf("commit %d", e.ID)
	case coordinator.Done:
		return fmt.Sprintf("done %d %s", e.ID, e.Kind)
	case coordinator.FailJob:
		return fmt.Sprintf("fail job (final %v): %s", e.Final, e.Reason)
	case coordinator.Arm:
		return fmt.Sprintf("arm %.1f", e.At.Sub(time.Unix(1000, 0)).Seconds())
	}
	return fmt.Sprintf("%T", e)
}
