package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
)

// adapted is implemented by functions that stand for another one, whose optional methods count.
type adapted interface{ adapts() any }

// original returns what a function stands for, or itself.
func original(function any) any {
	if a, ok := function.(adapted); ok {
		return a.adapts()
	}
	return function
}

// keepOperatorState learns what operator state step keeps: that of a function, made for that,
// if it is a CheckpointedFunction, and those of a broadcast stream.
func (e *Env) keepOperatorState(
	step *transformation, function any, declare ...BroadcastDeclaration,
) {
	c := checkpointedOf(nil, function, declare...)
	if err := c.initialize(); err != nil {
		e.fault(fmt.Errorf("%q: initialize state: %w", step.name, err))
	}
	step.operatorStates = c.store.described()
}

// checkpointed is the operator state of one subtask.
type checkpointed struct {
	env      *operator.Env
	function CheckpointedFunction // nil: there is none
	declare  []BroadcastDeclaration
	store    OperatorStateStore
}

// checkpointedOf returns the operator state of a function.
func checkpointedOf(
	env *operator.Env, function any, declare ...BroadcastDeclaration,
) checkpointed {
	f, _ := original(function).(CheckpointedFunction)
	return checkpointed{env: env, function: f, declare: declare}
}

// initialize declares all states.
func (c *checkpointed) initialize() error {
	for _, d := range c.declare {
		d.declare(&c.store)
	}
	var err error
	if c.function != nil {
		err = c.function.InitializeState(&c.store)
	}
	if c.store.err != nil {
		return c.store.err
	}
	return err
}

// open initialises the function.
func (c *checkpointed) open(restored operator.Restored) error {
	c.store.restored = restored
	if err := c.initialize(); err != nil {
		return userFault(c.env, fmt.Errorf("initialize state: %w", err))
	}
	c.store.sealed, c.store.restored.List = true, nil
	declared := c.store.described()
	for _, list := range restored.List {
		if list.Schema != "" && len(list.Elements) > 0 && !slices.ContainsFunc(declared,
			func(d *protocol.NamedState) bool { return d.Name == list.Name }) {
			c.env.Logger.Warn("operator state is not restored", slog.String("state", list.Name))
		}
	}
	if expected := c.env.OperatorStates; !slices.EqualFunc(declared, expected, sameState) {
		return userFault(c.env, fmt.Errorf("initialize state: it declares %v, and declared %v "+
			"when the graph was built; declare the same states every time",
			namesOf(declared), namesOf(expected)))
	}
	return nil
}

func sameState(a, b *protocol.NamedState) bool { return proto.Equal(a, b) }

func namesOf(states []*protocol.NamedState) []string {
	names := []string{}
	for _, s := range states {
		names = append(names, s.Name)
	}
	return names
}

// snapshot lets the function take part in a checkpoint and encodes its states.
func (c *checkpointed) snapshot(
	ctx context.Context, b record.Barrier,
) ([]*protocol.NamedState, error) {
	if c.function != nil {
		err := c.function.SnapshotState(SnapshotContext{ctx: ctx, checkpoint: b.Checkpoint})
		if err != nil {
			return nil, userFault(c.env, fmt.Errorf("snapshot state: %w", err))
		}
	}
	return c.store.snapshot(), nil
}
