package task_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/gate"
)

// logging writes down what passes it, under its name. A head emits odd items to the side too.
type logging struct {
	operator.Control
	name string
	env  *operator.Env
	out  *operator.Link[item]
	log  *[]string
}

func loggingOf(log *[]string) factory {
	return func(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
		o := &logging{Control: next.Control, name: env.Name, env: env, out: next, log: log}
		return operator.Built{Operator: o,
			Link: &operator.Link[item]{Record: o.record, Control: o}}, nil
	}
}

func (o *logging) say(format string, args ...any) {
	*o.log = append(*o.log, o.name+" "+fmt.Sprintf(format, args...))
}

func (o *logging) record(v item, ts eventtime.Timestamp) {
	o.say("%d", v.seq)
	o.out.Record(v, ts)
	if side, ok := o.env.Sides["odd"]; ok && v.seq%2 == 1 {
		side.(*operator.Link[item]).Record(v, ts)
	}
}

func (o *logging) Watermark(ts eventtime.Timestamp) {
	o.say("watermark %d", ts)
	o.Control.Watermark(ts)
}

func (o *logging) Process(b *record.Batch) error {
	for i, v := range b.Payload.(*record.Rows[item]).Items[:b.Len] {
		o.record(v, b.Timestamps[i])
	}
	return nil
}

func (o *logging) Open(context.Context, operator.Restored) error { o.say("open"); return nil }
func (o *logging) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	o.say("snapshot")
	return operator.State{}, nil
}
func (o *logging) CheckpointComplete(uint64) error { return nil }
func (o *logging) Close() error                    { return nil }

// newBranches is a harness of a chain that branches:
//
//	head -> a -> edge 2
//	head -> c (dropped)
//	head: odd -> b -> edge 5
//	head: odd -> edge 3
//	head: never -> edge 4
func newBranches(t *testing.T, log *[]string) (*harness, map[uint32]*gate.Gate) {
	f := newFixture(t, 0)
	f.register(t, "log", loggingOf(log))
	h := &harness{fixture: f, t: t, id: place{2, 0}}
	forward := protocol.Exchange_EXCHANGE_FORWARD
	in := &protocol.Edge{Id: 1, From: 1, To: 2, ShapeKind: "items", Exchange: forward}
	named := func(name string, after uint32, tag string) *protocol.Operator {
		return &protocol.Operator{Uid: name, Name: name, Kind: "log", After: after, Tag: tag}
	}
	d := &protocol.DeployTask{
		Task: &protocol.TaskID{Vertex: 2}, Inputs: []*protocol.Edge{in},
		Vertex: &protocol.Vertex{Id: 2, Name: "chain", Parallelism: 1,
			Operators: []*protocol.Operator{named("head", 0, ""), named("a", 0, ""),
				named("b", 1, "odd"), named("c", 1, "")}},
		Parallelism: map[uint32]uint32{1: 1},
	}
	gates := map[uint32]*gate.Gate{}
	for i, from := range []struct {
		operator uint32
		tag      string
	}{{2, ""}, {1, "odd"}, {1, "never"}, {3, ""}} {
		edge := &protocol.Edge{Id: uint32(2 + i), From: 2, To: uint32(12 + i), ShapeKind: "items",
			Exchange: forward, Operator: from.operator, Tag: from.tag}
		d.Outputs = append(d.Outputs, edge)
		d.Parallelism[edge.To] = 1
		g, err := f.exchange.Gate(&protocol.TaskID{Vertex: edge.To}, []*protocol.Edge{edge},
			map[uint32]uint32{2: 1})
		if err != nil {
			t.Fatal(err)
		}
		gates[edge.Id] = g
	}
	p, err := f.exchange.Partition(in, 0, 1, exchange.Sending{
		Done: t.Context().Done(), Waiting: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	h.in = append(h.in, p)
	h.task = f.task(t, d)
	return h, gates
}

// Goal: every branch of a chain gets the records of the output it takes, and all control in
// band: those of operators in the order of the chain, side outputs after the main one, edges
// behind the records before. Method: a chain that branches in all ways, the calls of its
// operators, the elements of its edges.
func TestBranches(t *testing.T) {
	var log []string
	h, gates := newBranches(t, &log)
	h.send(0, 1)
	h.watermark(0, 10)
	h.send(0, 2)
	h.status(0, true)
	h.barrier(0, 1)
	h.end(0)
	h.run()
	h.ack(1)
	h.listener.await(t, "end of data", func() bool { return h.listener.mu.ended[h.id] })
	h.task.Close()
	if state, err := h.ended(); state != finished || err != nil {
		t.Fatalf("ended as %v: %v", state, err)
	}
	want := []string{"c open", "b open", "a open", "head open",
		"head 1", "a 1", "c 1", "b 1",
		"head watermark 10", "a watermark 10", "c watermark 10", "b watermark 10",
		"head 2", "a 2", "c 2",
		"head snapshot", "a snapshot", "b snapshot", "c snapshot"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	got := map[uint32]string{}
	for id, g := range gates {
		var parts []string
		for _, e, ok := g.Poll(); ok; _, e, ok = g.Poll() {
			parts = append(parts, describe(e))
		}
		got[id] = strings.Join(parts, ", ")
	}
	odd := "0/1, watermark 10, idle true, barrier 1, end of data"
	all := map[uint32]string{
		2: "0/1, watermark 10, 0/2, idle true, barrier 1, end of data", 3: odd,
		4: "watermark 10, idle true, barrier 1, end of data", 5: odd,
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
}
