package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// plan is a program translated to a job graph, with the factories its tasks resolve.
type plan struct {
	graph    *protocol.JobGraph
	registry *operator.Registry
	options  *runOptions
}

func (p *plan) dump() string { return graph.DumpJob(p.graph) }

// translate chains the transformations into vertices. It reports all faults at once.
func (e *Env) translate() (*plan, error) {
	options, err := e.options()
	t := translation{
		env: e, options: options, vertexOf: map[*transformation]*protocol.Vertex{},
		plan: &plan{
			graph:    &protocol.JobGraph{Name: e.name},
			registry: operator.NewRegistry(), options: options,
		},
		digest: e.digest(),
	}
	faults := append([]error(nil), e.faults...)
	if err != nil {
		faults = append(faults, err)
	}
	if faults = append(faults, t.check()...); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for _, step := range e.transformations {
		if err := t.place(step); err != nil {
			return nil, err
		}
	}
	return t.plan, graph.Validate(t.plan.graph)
}

type translation struct {
	env      *Env
	options  *runOptions
	plan     *plan
	digest   string
	vertexOf map[*transformation]*protocol.Vertex
}

// digest tells programs apart: two processes that show the same run the same graph.
func (e *Env) digest() string {
	h := sha256.New()
	for _, t := range e.transformations {
		from := -1
		if t.input != nil {
			from = t.input.number
		}
		fmt.Fprintf(h, "%q %q %d %v %q\n", t.uid, t.name, from, t.exchange, t.keySchema)
		for _, d := range t.descriptors {
			fmt.Fprintf(h, "  %q %q %q\n", d.Name, d.KeySchema, d.ValueSchema)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (t *translation) check() []error {
	var faults []error
	if t.env.name == "" {
		faults = append(faults, errors.New("the job has no name; give it one"))
	}
	if len(t.env.transformations) == 0 {
		faults = append(faults, errors.New("the job has no operators; add a source and a sink"))
	}
	seen := map[string]string{}
	for _, step := range t.env.transformations {
		needs := step.input == nil || step.stateful || step.sink
		switch other, taken := seen[step.uid]; {
		case step.uid == "" && needs:
			faults = append(faults, fmt.Errorf(
				"operator %q has no uid; give it one that never changes", step.name))
		case step.uid != "" && taken:
			faults = append(faults, fmt.Errorf("operators %q and %q have the same uid %q",
				other, step.name, step.uid))
		case step.uid != "":
			seen[step.uid] = step.name
		}
		if p := t.parallelism(step); p > t.options.maxParallelism {
			faults = append(faults, fmt.Errorf("operator %q: parallelism %d is above %s %d",
				step.name, p, MaxParallelism.Key(), t.options.maxParallelism))
		}
	}
	return faults
}

func (t *translation) parallelism(step *transformation) int {
	if step.parallelism > 0 {
		return step.parallelism
	}
	return t.options.parallelism
}

// consumers counts the steps that read what step makes.
func (t *translation) consumers(step *transformation) int {
	n := 0
	for _, other := range t.env.transformations {
		if other.input == step {
			n++
		}
	}
	return n
}

// chains reports whether step runs fused behind its input: over a forward edge, at the same
// parallelism, as its only consumer.
func (t *translation) chains(step *transformation) bool {
	return t.options.chaining && step.input != nil && !step.head &&
		step.exchange == protocol.Exchange_EXCHANGE_FORWARD &&
		t.parallelism(step) == t.parallelism(step.input) && t.consumers(step.input) == 1
}

// place puts a step into the vertex of its input, or into one of its own behind an edge.
func (t *translation) place(step *transformation) error {
	spec := &protocol.Operator{
		Uid: step.uid, Name: step.name, Version: 1, Stateful: step.stateful,
		Descriptors: step.descriptors, Kind: t.kind("op", step),
	}
	if err := t.plan.registry.Register(spec.Kind, step.factory); err != nil {
		return err
	}
	if t.chains(step) {
		v := t.vertexOf[step.input]
		v.Operators = append(v.Operators, spec)
		v.Name += " -> " + step.name
		t.vertexOf[step] = v
		return nil
	}
	v := &protocol.Vertex{
		Id: uint32(len(t.plan.graph.Vertices)), Name: step.name,
		Parallelism:    uint32(t.parallelism(step)),
		MaxParallelism: uint32(t.options.maxParallelism),
	}
	if step.input != nil {
		if err := t.connect(step, v); err != nil {
			return err
		}
	}
	v.Operators = append(v.Operators, spec)
	t.plan.graph.Vertices = append(t.plan.graph.Vertices, v)
	t.vertexOf[step] = v
	return nil
}

// connect adds the edge into the vertex of step, and the head that unpacks batches for an
// operator that takes records.
func (t *translation) connect(step *transformation, v *protocol.Vertex) error {
	from := t.vertexOf[step.input]
	exchange := step.exchange
	if exchange == protocol.Exchange_EXCHANGE_FORWARD && from.Parallelism != v.Parallelism {
		exchange = protocol.Exchange_EXCHANGE_REBALANCE
	}
	shape := t.kind("edge", step)
	if err := t.plan.registry.RegisterOutput(shape, step.output); err != nil {
		return err
	}
	t.plan.graph.Edges = append(t.plan.graph.Edges, &protocol.Edge{
		Id: uint32(len(t.plan.graph.Edges)), From: from.Id, To: v.Id,
		Exchange: exchange, ShapeKind: shape,
	})
	if step.head {
		return nil
	}
	kind := t.kind("input", step)
	v.Operators = append(v.Operators, &protocol.Operator{Name: "Input", Version: 1, Kind: kind})
	return t.plan.registry.Register(kind, step.unbatch)
}

// kind names a factory of this program: go/<digest>/<what>/<uid>, or what#/number without
// uid.
func (t *translation) kind(what string, step *transformation) string {
	if step.uid == "" {
		return fmt.Sprintf("go/%s/%s#/%d", t.digest, what, step.number)
	}
	return fmt.Sprintf("go/%s/%s/%s", t.digest, what, step.uid)
}
