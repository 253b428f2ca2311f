package stream

import (
	"context"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

// stateless is embedded by operators with a life cycle but nothing to checkpoint.
type stateless struct{}

func (stateless) Open(context.Context, operator.Restored) error { return nil }

func (stateless) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	return operator.State{}, nil
}

func (stateless) CheckpointComplete(uint64) error { return nil }
func (stateless) Close() error                    { return nil }
