package scheduler_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/cluster/scheduler"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// Goal: every hash of every run goes to the subtask that owns it, once, in the order of its
// list. Method: for pairs of parallelisms deal random runs, then look every probed hash up.
func TestDistributeKeyed(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, p := range [][2]int{{1, 1}, {1, 4}, {4, 1}, {3, 5}, {5, 3}, {2, 2}, {7, 64}} {
		state := keyedState(r, p[0])
		before := proto.CloneOf(state)
		parts := scheduler.Distribute(state, p[1])
		if diff := cmp.Diff(before, state, protocmp.Transform()); diff != "" {
			t.Fatalf("%v: the checkpoint was changed:\n%s", p, diff)
		}
		for range 200 {
			hash := r.Uint32()
			owner := types.SubtaskOf(uint64(hash)<<32, p[1])
			for i, part := range parts {
				got := upTo(part.Panes, hash)
				if i != owner && len(got) > 0 {
					t.Fatalf("%v: hash %08x of subtask %d is also at %d", p, hash, owner, i)
				}
				from := types.SubtaskOf(uint64(hash)<<32, p[0])
				want := upTo(state.Subtasks[from].Keyed.Panes, hash)
				if i == owner && !slices.Equal(want, got) {
					t.Fatalf("%v: hash %08x has runs %v, want %v", p, hash, got, want)
				}
			}
		}
	}
}

// keyedState makes the state of an operator with three runs in one pane of each subtask, the
// later ones on part of the bounds.
func keyedState(r *rand.Rand, p int) *protocol.OperatorState {
	state := &protocol.OperatorState{Uid: "u", Parallelism: uint32(p)}
	for i := range p {
		bounds := types.SubtaskRange(i, p)
		pane := &protocol.PaneRuns{Table: 1, Pane: 60}
		for n := range 3 {
			run := &protocol.Run{
				HashLo: bounds.Lo, HashHi: bounds.Hi, UpTo: uint64(n + 1), Inline: []byte{1},
			}
			if n > 0 {
				run.HashLo += (bounds.Hi - bounds.Lo) / 1000 * uint32(r.IntN(500))
				run.HashHi -= (bounds.Hi - bounds.Lo) / 1000 * uint32(r.IntN(500))
			}
			pane.Runs = append(pane.Runs, run)
		}
		state.Subtasks = append(state.Subtasks, &protocol.OperatorSubtaskState{
			Subtask: uint32(i),
			Keyed: &protocol.KeyedState{
				HashLo: bounds.Lo, HashHi: bounds.Hi, Panes: []*protocol.PaneRuns{pane},
			},
		})
	}
	return state
}

// upTo returns which runs hold a hash.
func upTo(panes []*protocol.PaneRuns, hash uint32) []uint64 {
	var out []uint64
	for _, pane := range panes {
		for _, run := range pane.Runs {
			if run.HashLo <= hash && hash <= run.HashHi {
				out = append(out, run.UpTo)
			}
		}
	}
	return out
}

// Goal: list state stays where it is at equal parallelism, is dealt out evenly otherwise, and
// a union goes to all. Method: a table, printed.
func TestDistributeList(t *testing.T) {
	list := func(name string, union bool, elements string) *protocol.NamedState {
		s := &protocol.NamedState{Name: name, Version: 1, Union: union}
		for _, e := range strings.Fields(elements) {
			s.Elements = append(s.Elements, []byte(e))
		}
		return s
	}
	subtask := func(i uint32, lists ...*protocol.NamedState) *protocol.OperatorSubtaskState {
		return &protocol.OperatorSubtaskState{Subtask: i, List: lists}
	}
	state := &protocol.OperatorState{Uid: "u", Parallelism: 2}
	state.Subtasks = append(state.Subtasks,
		subtask(0, list("l", false, "a b c d"), list("u", true, "x")),
		subtask(1, list("l", false, "e"), list("u", true, "y")))
	for p, want := range map[int]string{
		1: "l[a b c d e] u[x y]",
		2: "l[a b c d] u[x y] | l[e] u[x y]",
		3: "l[a d] u[x y] | l[b e] u[x y] | l[c] u[x y]",
		6: "l[a] u[x y] | l[b] u[x y] | l[c] u[x y] | l[d] u[x y] | l[e] u[x y] | l[] u[x y]",
	} {
		var parts []string
		for _, part := range scheduler.Distribute(state, p) {
			var words []string
			for _, l := range part.List {
				words = append(words, fmt.Sprintf("%s%s", l.Name, l.Elements))
			}
			parts = append(parts, strings.Join(words, " "))
		}
		if diff := cmp.Diff(want, strings.Join(parts, " | ")); diff != "" {
			t.Errorf("parallelism %d (-want +got):\n%s", p, diff)
		}
	}
}

func descriptor(name, key, value string) *protocol.StateDescriptor {
	return &protocol.StateDescriptor{
		Name: name, Kind: "value", KeySchema: key, ValueSchema: value, HashId: 1,
	}
}

func jobOf(operators ...*protocol.Operator) *protocol.JobGraph {
	return &protocol.JobGraph{Name: "flights", Vertices: []*protocol.Vertex{
		{Id: 0, Name: "v", Parallelism: 2, Operators: operators},
	}}
}

func stateOf(uid string, descriptors ...*protocol.StateDescriptor) *protocol.OperatorState {
	id := meta.OperatorID(uid)
	return &protocol.OperatorState{
		Uid: uid, Id: id[:], Parallelism: 1, MaxParallelism: 8, Descriptors: descriptors,
		Subtasks: []*protocol.OperatorSubtaskState{{Keyed: &protocol.KeyedState{
			Panes: []*protocol.PaneRuns{{}},
		}}},
	}
}

func checkpointOf(job string, operators ...*protocol.OperatorState) *meta.Checkpoint {
	return &meta.Checkpoint{
		Header: &protocol.CheckpointHeader{JobName: job, CheckpointId: 5}, Operators: operators,
	}
}

// Goal: a checkpoint that does not fit is refused with the names that help. Method: a table of
// misfits and the words their refusal must contain; none for what fits.
func TestCheck(t *testing.T) {
	sum, name := descriptor("sum", "BIGINT", "BIGINT"), descriptor("name", "BIGINT", "STRING")
	count := func(d ...*protocol.StateDescriptor) *protocol.Operator {
		return &protocol.Operator{Uid: "count", Name: "n", Stateful: true, Descriptors: d}
	}
	stateless := stateOf("gone")
	stateless.Subtasks = nil
	windows := descriptor("sum", "BIGINT", "BIGINT")
	windows.Kind = "window-aggregate"
	for _, c := range []struct {
		name    string
		job     *protocol.JobGraph
		from    *meta.Checkpoint
		refused []string // nil = fits
		cure    bool     // allowing state that is not restored helps
	}{
		{"same", jobOf(count(sum, name)), checkpointOf("flights", stateOf("count", sum, name)),
			nil, false},
		{"other value", jobOf(count(descriptor("sum", "BIGINT", "INT"))),
			checkpointOf("flights", stateOf("count", sum)),
			[]string{`"count"`, `"sum"`, "value of BIGINT by key BIGINT", "value of INT"}, false},
		{"other key", jobOf(count(descriptor("sum", "STRING", "BIGINT"))),
			checkpointOf("flights", stateOf("count", sum)),
			[]string{`"count"`, `"sum"`, "by key BIGINT", "by key STRING"}, false},
		{"other kind", jobOf(count(windows)), checkpointOf("flights", stateOf("count", sum)),
			[]string{"window-aggregate of", "value of"}, false},
		{"state gone", jobOf(count(sum)), checkpointOf("flights", stateOf("count", sum, name)),
			[]string{`"name"`, "does not declare"}, false},
		{"state added", jobOf(count(sum, name)), checkpointOf("flights", stateOf("count", sum)),
			[]string{`no state "name"`}, false},
		{"order", jobOf(count(name, sum)), checkpointOf("flights", stateOf("count", sum, name)),
			[]string{"old order"}, false},
		{"operator gone", jobOf(count(sum)),
			checkpointOf("flights", stateOf("count", sum), stateOf("gone", sum)),
			[]string{`"gone"`, "allow state"}, true},
		{"operator without state gone", jobOf(count(sum)),
			checkpointOf("flights", stateOf("count", sum), stateless), nil, false},
		{"operator added", jobOf(count(sum), &protocol.Operator{Uid: "new"}),
			checkpointOf("flights", stateOf("count", sum)), nil, false},
		{"other job", jobOf(count(sum)), checkpointOf("trains", stateOf("gone", sum)),
			[]string{`"trains"`, `"flights"`}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := scheduler.Check(c.job, c.from, false)
			if (err == nil) != (c.refused == nil) {
				t.Fatalf("error %v", err)
			}
			for _, words := range c.refused {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %q does not contain %q", err, words)
				}
			}
			if err != nil && (!errors.Is(err, scheduler.ErrMismatch) ||
				fault.DomainOf(err) != fault.DomainUser) {
				t.Errorf("error %v is no mismatch of the user's", err)
			}
			if err := scheduler.Check(c.job, c.from, true); err != nil && c.cure {
				t.Errorf("allowed, and still refused: %v", err)
			}
		})
	}
}

// Goal: what tasks acknowledged comes back to tasks: a checkpoint that is put together passes
// the checks of its format, fits its job, and is dealt to the tasks it came from. Method: two
// vertices, one operator without uid.
func TestAssembleAndDeploy(t *testing.T) {
	job := &protocol.JobGraph{Name: "j",
		Vertices: []*protocol.Vertex{
			{Id: 1, Name: "in", Parallelism: 2, Operators: []*protocol.Operator{
				{Uid: "in", Name: "Source"}, {Name: "Map"},
			}},
			{Id: 2, Name: "out", Parallelism: 1, Operators: []*protocol.Operator{{Uid: "out"}}},
		},
		Edges: []*protocol.Edge{
			{Id: 9, From: 1, To: 2, Exchange: protocol.Exchange_EXCHANGE_REBALANCE},
		},
	}
	e := graph.NewExecution(job, 1)
	part := func(uid, element string, subtask uint32) *protocol.AckOperator {
		return &protocol.AckOperator{Uid: uid, State: &protocol.OperatorSubtaskState{
			Subtask: subtask,
			List:    []*protocol.NamedState{{Name: "p", Elements: [][]byte{[]byte(element)}}},
		}}
	}
	empty := &protocol.AckOperator{State: &protocol.OperatorSubtaskState{}}
	ack := func(task int, parts ...*protocol.AckOperator) *protocol.AckCheckpoint {
		return &protocol.AckCheckpoint{Task: e.Tasks[task].ID.Proto(), Operators: parts}
	}
	acks := []*protocol.AckCheckpoint{
		ack(0, part("in", "a", 0), empty), ack(1, part("in", "b", 1), empty),
		ack(2, part("out", "c", 0)),
	}
	header := &protocol.CheckpointHeader{
		JobId: strings.Repeat("a", 32), JobName: "j", Lineage: "l", CheckpointId: 4, Generation: 1,
	}
	c, err := scheduler.Assemble(e, header, acks, map[string][]byte{"in": {7}})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := meta.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = meta.Decode(encoded); err != nil {
		t.Fatal(err)
	}
	if err := scheduler.Check(job, c, false); err != nil {
		t.Error(err)
	}
	if got := scheduler.Position(c, "in"); len(got) != 1 || got[0] != 7 {
		t.Errorf("enumerator %v", got)
	}
	if got := scheduler.Position(c, "out"); got != nil {
		t.Errorf("enumerator of the sink %v", got)
	}
	var got []string
	for _, d := range scheduler.Deployments(e, scheduler.Start{Checkpoint: c, URI: "u"}) {
		got = append(got, fmt.Sprintf("%s %s%s from %d", graph.IDOf(d.Task), d.Restore[0].Uid,
			d.Restore[0].List[0].Elements, d.RestoreCheckpoint))
	}
	want := []string{"1/0 in[a] from 4", "1/1 in[b] from 4", "2/0 out[c] from 4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deployments (-want +got):\n%s", diff)
	}
	acks[0].Operators[1].State.List = acks[0].Operators[0].State.List
	if _, err := scheduler.Assemble(e, header, acks, nil); err == nil {
		t.Error("state of an operator without uid was taken")
	}
}

// Goal: the restart strategy counts. Method: none, two, unlimited.
func TestRestarts(t *testing.T) {
	for attempts, want := range map[int]int{0: 0, 2: 2, -1: 100} {
		r := scheduler.Restarts{Attempts: attempts, Delay: time.Second}
		n := 0
		for ; n < 100; n++ {
			if delay, again := r.Next(); !again {
				break
			} else if delay != time.Second {
				t.Errorf("delay %v", delay)
			}
		}
		if n != want {
			t.Errorf("%d attempts allow %d restarts", attempts, n)
		}
	}
}
