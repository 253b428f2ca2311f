package stream

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

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
		env: e, options: options, placeOf: map[*transformation]place{},
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
	for _, v := range t.plan.graph.Vertices {
		v.Name = chainName(v.Operators)
	}
	return t.plan, graph.Validate(t.plan.graph)
}

type translation struct {
	env     *Env
	options *runOptions
	plan    *plan
	digest  string
	placeOf map[*transformation]place
}

// place is where a step runs.
type place struct {
	vertex   *protocol.Vertex
	operator int // in the chain
}

// chainName names a chain as Flink does: "a -> b", and "a -> (b -> c, d)" where it branches.
func chainName(operators []*protocol.Operator) string {
	behind := make([][]int, len(operators))
	for i, o := range operators {
		if i > 0 {
			from := graph.Before(o, i)
			behind[from] = append(behind[from], i)
		}
	}
	var name func(i int) string
	name = func(i int) string {
		var parts []string
		for _, next := range behind[i] {
			parts = append(parts, name(next))
		}
		switch {
		case operators[i].Name == inputName && operators[i].Uid == "":
			return strings.Join(parts, ", ")
		case len(parts) == 0:
			return operators[i].Name
		case len(parts) == 1:
			return operators[i].Name + " -> " + parts[0]
		}
		return operators[i].Name + " -> (" + strings.Join(parts, ", ") + ")"
	}
	return name(0)
}

// inputName is the name of the head that unpacks batches.
const inputName = "Input"

// digest tells programs apart: two processes that show the same run the same graph.
func (e *Env) digest() string {
	h := sha256.New()
	for _, t := range e.transformations {
		fmt.Fprintf(h, "%q %q\n", t.uid, t.name)
		for _, in := range t.inputs {
			fmt.Fprintf(h, "  %d %q %d %v %q\n",
				in.step.number, in.tag, in.number, in.exchange, in.keySchema)
		}
		for _, d := range t.descriptors {
			fmt.Fprintf(h, "  %q %q %q\n", d.Name, d.KeySchema, d.ValueSchema)
		}
		for _, s := range t.operatorStates {
			fmt.Fprintf(h, "  %q %q %v %v\n", s.Name, s.Schema, s.Union, s.Broadcast)
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
		needs := len(step.inputs) == 0 || step.stateful || step.sink
		switch other, taken := seen[step.uid]; {
		case step.uid == "" && len(step.operatorStates) > 0:
			faults = append(faults, fmt.Errorf("operator %q keeps operator state %v and has no "+
				"uid; give it one that never changes", step.name, namesOf(step.operatorStates)))
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

// chains reports whether step runs fused behind its input: the only one, over a forward edge,
// at the same parallelism.
func (t *translation) chains(step *transformation) bool {
	return t.options.chaining && len(step.inputs) == 1 && !step.head &&
		step.inputs[0].exchange == protocol.Exchange_EXCHANGE_FORWARD &&
		t.parallelism(step) == t.parallelism(step.inputs[0].step)
}

// place puts a step into the vertex of its input, or into one of its own behind edges.
func (t *translation) place(step *transformation) error {
	spec := &protocol.Operator{
		Uid: step.uid, Name: step.name, Version: 1, Stateful: step.stateful,
		Descriptors: step.descriptors, OperatorStates: step.operatorStates,
		Kind: t.kind("op", step),
	}
	if err := t.plan.registry.Register(spec.Kind, step.factory); err != nil {
		return err
	}
	if t.chains(step) {
		from := t.placeOf[step.inputs[0].step]
		spec.Tag = step.inputs[0].tag
		if last := len(from.vertex.Operators) - 1; from.operator != last {
			spec.After = uint32(1 + from.operator)
		}
		t.append(step, from.vertex, spec)
		return nil
	}
	v := &protocol.Vertex{
		Id:             uint32(len(t.plan.graph.Vertices)),
		Parallelism:    uint32(t.parallelism(step)),
		MaxParallelism: uint32(t.options.maxParallelism),
	}
	for i := range step.inputs {
		if err := t.connect(step, i, v); err != nil {
			return err
		}
	}
	if len(step.inputs) > 0 && !step.head {
		kind := t.kind("input", step)
		v.Operators = append(v.Operators,
			&protocol.Operator{Name: inputName, Version: 1, Kind: kind})
		if err := t.plan.registry.Register(kind, step.unbatch); err != nil {
			return err
		}
	}
	t.append(step, v, spec)
	t.plan.graph.Vertices = append(t.plan.graph.Vertices, v)
	return nil
}

func (t *translation) append(
	step *transformation, v *protocol.Vertex, spec *protocol.Operator,
) {
	t.placeOf[step] = place{v, len(v.Operators)}
	v.Operators = append(v.Operators, spec)
}

// connect adds the edge of one input of step into its vertex.
func (t *translation) connect(step *transformation, i int, v *protocol.Vertex) error {
	in := step.inputs[i]
	from := t.placeOf[in.step]
	exchange := in.exchange
	if exchange == protocol.Exchange_EXCHANGE_FORWARD &&
		from.vertex.Parallelism != v.Parallelism {
		exchange = protocol.Exchange_EXCHANGE_REBALANCE
	}
	shape := t.kind("edge", step)
	if i > 0 {
		shape = fmt.Sprintf("%s/%d", shape, i)
	}
	if err := t.plan.registry.RegisterOutput(shape, in.output); err != nil {
		return err
	}
	t.plan.graph.Edges = append(t.plan.graph.Edges, &protocol.Edge{
		Id: uint32(len(t.plan.graph.Edges)), From: from.vertex.Id, To: v.Id, Input: in.number,
		Exchange: exchange, ShapeKind: shape, Tag: in.tag, Operator: uint32(1 + from.operator),
	})
	return nil
}

// kind names a factory of this program: go/<digest>/<what>/<uid>, or what#/number without
// uid.
func (t *translation) kind(what string, step *transformation) string {
	if step.uid == "" {
		return fmt.Sprintf("go/%s/%s#/%d", t.digest, what, step.number)
	}
	return fmt.Sprintf("go/%s/%s/%s", t.digest, what, step.uid)
}
