package scheduler

import (
	"fmt"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
)

// Assemble puts a checkpoint together from the acknowledgements of all tasks, in task order,
// and the state of the enumerators by uid. Operators without uid keep no state.
func Assemble(
	e *graph.Execution, header *protocol.CheckpointHeader, acks []*protocol.AckCheckpoint,
	enumerators map[string][]byte,
) (*meta.Checkpoint, error) {
	c := &meta.Checkpoint{Header: header}
	byUID := map[string]*protocol.OperatorState{}
	for _, v := range e.Job.Vertices {
		for _, o := range v.Operators {
			if o.Uid == "" {
				continue
			}
			id := meta.OperatorID(o.Uid)
			state := &protocol.OperatorState{
				Uid: o.Uid, Id: id[:], Name: o.Name, Parallelism: v.Parallelism,
				MaxParallelism: graph.MaxParallelismOf(v), Descriptors: o.Descriptors,
			}
			if position, ok := enumerators[o.Uid]; ok {
				state.Coordinator = &protocol.NamedState{
					Name: "enumerator", Version: 1, Elements: [][]byte{position},
				}
			}
			byUID[o.Uid] = state
			c.Operators = append(c.Operators, state)
		}
	}
	for _, ack := range acks {
		for _, part := range ack.Operators {
			state := byUID[part.Uid]
			switch {
			case state != nil && part.State != nil:
				state.Subtasks = append(state.Subtasks, part.State)
			case hasState(&protocol.OperatorState{
				Subtasks: []*protocol.OperatorSubtaskState{part.GetState()},
			}):
				return nil, fault.Internal(fmt.Errorf(
					"task %s has state of operator %q, which the job does not have",
					graph.IDOf(ack.Task), part.Uid))
			}
		}
	}
	return c, nil
}

// Position returns the stored state of an operator's enumerator, nil when there is none.
func Position(c *meta.Checkpoint, uid string) []byte {
	if c == nil {
		return nil
	}
	state := find(c, uid).GetCoordinator()
	if len(state.GetElements()) == 0 {
		return nil
	}
	return state.Elements[0]
}
