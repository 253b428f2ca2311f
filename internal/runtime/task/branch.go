package task

import (
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

// branches collects, while a chain is built from its tail, what takes the records of each of
// its operators: links of operators behind it and of edges.
type branches struct {
	task *Task
	// taken are the links by the output they take, those of operators first, in chain order.
	taken map[outlet][]any
}

// outlet is an output of an operator of the chain; the main one has no tag.
type outlet struct {
	operator int
	tag      string
}

// buildEdges makes the outputs of all edges.
func (t *Task) buildEdges(specs []*protocol.Operator) (*branches, error) {
	b := &branches{task: t, taken: map[outlet][]any{}}
	o := t.chain.outputs
	for i, edge := range t.deploy.Outputs {
		at := outlet{graph.Sender(edge, t.deploy.Vertex), edge.Tag}
		factory, err := t.config.Registry.Output(edge.ShapeKind)
		if err != nil {
			return nil, err
		}
		link, out, err := factory.NewOutput(t.env(specs[at.operator]), edge, o.partitions[i])
		if err != nil {
			return nil, fmt.Errorf("build output of edge %d: %w", edge.Id, err)
		}
		o.outputs = append(o.outputs, out)
		joint, ok := link.(operator.Joint)
		if !ok {
			return nil, fault.Internal(fmt.Errorf("build output of edge %d: %T is no link",
				edge.Id, link))
		}
		controlled, err := joint.Join(nil, edgeControl{out, o.partitions[i]})
		if err != nil {
			return nil, fault.Internal(err)
		}
		b.taken[at] = append(b.taken[at], controlled)
	}
	return b, nil
}

// add notes that the i-th operator takes records through link.
func (b *branches) add(specs []*protocol.Operator, i int, link any) {
	if i == 0 {
		return
	}
	at := outlet{graph.Before(specs[i], i), specs[i].Tag}
	b.taken[at] = slices.Insert(b.taken[at], 0, link)
}

// next joins what takes the records of the i-th operator, and fills the side outputs of its
// environment. All operators behind it have been added.
func (b *branches) next(i int, env *operator.Env) (any, error) {
	sides := map[string][]any{}
	for at, links := range b.taken {
		if at.operator == i && at.tag != "" {
			sides[at.tag] = links
		}
	}
	main := b.taken[outlet{i, ""}]
	controls := controlsOf(main)
	for _, tag := range slices.Sorted(maps.Keys(sides)) {
		controls = append(controls, controlsOf(sides[tag])...)
		link, err := join(sides[tag], nil)
		if err != nil {
			return nil, fmt.Errorf("side output %q: %w", tag, err)
		}
		if env.Sides == nil {
			env.Sides = map[string]any{}
		}
		env.Sides[tag] = link
	}
	watch := i == 0 && b.task.gate == nil && len(controls) > 0
	switch {
	case len(controls) == 0:
		return nil, nil
	case len(main) == 1 && len(sides) == 0 && !watch:
		return main[0], nil
	case watch:
		controls = append(operator.Controls{watched{&b.task.watermark}}, controls...)
	}
	if len(main) == 0 {
		return controls, nil
	}
	return join(main, controls)
}

func join(links []any, control operator.Control) (any, error) {
	joined, err := links[0].(operator.Joint).Join(links[1:], control)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return joined, nil
}

func controlsOf(links []any) operator.Controls {
	var out operator.Controls
	for _, link := range links {
		out = append(out, link.(operator.Joint).InBand())
	}
	return out
}
