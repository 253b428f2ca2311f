package graph

import (
	"errors"
	"fmt"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/types"
)

// Validate reports everything that is wrong with a job graph: ids, edges, parallelism, uids
// of stateful operators, cycles.
func Validate(g *protocol.JobGraph) error {
	v := validation{vertices: map[uint32]*protocol.Vertex{}}
	if len(g.GetVertices()) == 0 {
		v.fault("the graph has no vertices")
	}
	v.checkVertices(g)
	v.checkEdges(g)
	if len(v.faults) == 0 {
		v.checkCycles(g)
	}
	if len(v.faults) > 0 {
		return fmt.Errorf("graph: validate %q: %w", g.GetName(), errors.Join(v.faults...))
	}
	return nil
}

type validation struct {
	vertices map[uint32]*protocol.Vertex
	faults   []error
}

func (v *validation) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Errorf(format, args...))
}

// MaxParallelismOf returns the bound of a vertex' parallelism: what it says, or the number of
// key groups.
func MaxParallelismOf(v *protocol.Vertex) uint32 {
	if v.MaxParallelism == 0 {
		return types.KeyGroups
	}
	return v.MaxParallelism
}

func (v *validation) checkVertices(g *protocol.JobGraph) {
	uids := map[string]string{}
	for _, vertex := range g.GetVertices() {
		if v.vertices[vertex.Id] != nil {
			v.fault("two vertices have the id %d", vertex.Id)
		}
		v.vertices[vertex.Id] = vertex
		most := min(MaxParallelismOf(vertex), types.KeyGroups)
		if vertex.Parallelism == 0 || vertex.Parallelism > most {
			v.fault("vertex %q: parallelism %d is not in 1..%d (pipeline.max-parallelism)",
				vertex.Name, vertex.Parallelism, most)
		}
		if len(vertex.Operators) == 0 {
			v.fault("vertex %q has no operators", vertex.Name)
		}
		for i, o := range vertex.Operators {
			if i > 0 && Before(o, i) >= i || i == 0 && (o.After > 0 || o.Tag != "") {
				v.fault("vertex %q: operator %q takes the records of operator %d of the chain, "+
					"which is not before it", vertex.Name, o.Name, Before(o, i))
			}
			other, taken := uids[o.Uid]
			switch {
			case o.Uid == "" &&
				(o.Stateful || len(o.Descriptors) > 0 || len(o.OperatorStates) > 0):
				v.fault("operator %q keeps state and has no uid", o.Name)
			case o.Uid != "" && taken:
				v.fault("operators %q and %q have the same uid %q", other, o.Name, o.Uid)
			case o.Uid != "":
				uids[o.Uid] = o.Name
			}
		}
	}
}

func (v *validation) checkEdges(g *protocol.JobGraph) {
	ids := map[uint32]bool{}
	for _, e := range g.GetEdges() {
		if ids[e.Id] {
			v.fault("two edges have the id %d", e.Id)
		}
		ids[e.Id] = true
		from, to := v.vertices[e.From], v.vertices[e.To]
		switch {
		case from == nil:
			v.fault("edge %d comes from vertex %d, which does not exist", e.Id, e.From)
		case to == nil:
			v.fault("edge %d leads to vertex %d, which does not exist", e.Id, e.To)
		case int(e.Operator) > len(from.Operators):
			v.fault("edge %d takes the records of operator %d of %q, which has %d",
				e.Id, e.Operator-1, from.Name, len(from.Operators))
		case e.Exchange == protocol.Exchange_EXCHANGE_UNSPECIFIED:
			v.fault("edge %d from %q to %q has no exchange", e.Id, from.Name, to.Name)
		case e.Exchange == protocol.Exchange_EXCHANGE_FORWARD &&
			from.Parallelism != to.Parallelism:
			v.fault("edge %d forwards from %q at parallelism %d to %q at %d",
				e.Id, from.Name, from.Parallelism, to.Name, to.Parallelism)
		}
	}
}

// checkCycles takes away vertices without inputs until none is left.
func (v *validation) checkCycles(g *protocol.JobGraph) {
	inputs := map[uint32]int{}
	for _, e := range g.GetEdges() {
		inputs[e.To]++
	}
	var free []uint32
	for _, vertex := range g.GetVertices() {
		if inputs[vertex.Id] == 0 {
			free = append(free, vertex.Id)
		}
	}
	left := len(g.GetVertices())
	for ; len(free) > 0; free = free[1:] {
		left--
		for _, e := range g.GetEdges() {
			if e.From != free[0] {
				continue
			}
			if inputs[e.To]--; inputs[e.To] == 0 {
				free = append(free, e.To)
			}
		}
	}
	if left == 0 {
		return
	}
	for _, vertex := range g.GetVertices() {
		if inputs[vertex.Id] > 0 {
			v.fault("vertex %q lies on a cycle or behind one", vertex.Name)
		}
	}
}
