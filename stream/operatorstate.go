package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/declared"
)

// CheckpointedFunction is implemented by functions that keep operator state: state of a
// subtask, not of a key. Functions given as constructors may implement it: those of MapWith,
// FlatMapWith, ProcessWith, ForEachWith, Process and of connected streams. The operator needs a
// uid.
//
// Semantics: Flink's CheckpointedFunction.
type CheckpointedFunction interface {
	// InitializeState declares the states and takes up what they hold. It is called once while
	// the graph is built, with a store that holds nothing, to learn what is declared, and in
	// every subtask before the first record. It declares the same states every time.
	InitializeState(store *OperatorStateStore) error
	// SnapshotState is called for every checkpoint, between two records. What the states hold
	// when it returns is in the checkpoint. An error fails the task.
	SnapshotState(ctx SnapshotContext) error
}

// SnapshotContext tells a function about the checkpoint it takes part in.
type SnapshotContext struct {
	ctx        context.Context
	checkpoint uint64
}

// Context ends when the task is cancelled.
func (c SnapshotContext) Context() context.Context { return c.ctx }

// CheckpointID returns the number of the checkpoint.
func (c SnapshotContext) CheckpointID() uint64 { return c.checkpoint }

// OperatorStateStore is where a function declares its operator state, with
// [DeclareListState], [DeclareUnionListState] and [DeclareBroadcastState]. All of it is held in
// memory. Task goroutine only; declaring is for InitializeState.
//
// Semantics: Flink's OperatorStateStore with FunctionInitializationContext.
type OperatorStateStore struct {
	restored operator.Restored
	states   []operatorState
	sealed   bool
	err      error // the first fault of a declaration
}

// operatorState is one declared state.
type operatorState interface {
	named() string
	// describe returns the state without elements.
	describe() *protocol.NamedState
	// elements returns what the state holds, encoded.
	elements() [][]byte
}

// IsRestored reports whether the operator continues from a checkpoint.
func (s *OperatorStateStore) IsRestored() bool { return s.restored.Checkpoint > 0 }

// CheckpointID returns the checkpoint it continues from, 0 for none.
func (s *OperatorStateStore) CheckpointID() uint64 { return s.restored.Checkpoint }

// declare adds a state and calls load for each element that was restored. The first fault
// is kept.
func (s *OperatorStateStore) declare(
	declared operatorState, err error, load func(element []byte) error,
) {
	d := declared.describe()
	if err == nil {
		err = s.admit(d.Name)
	}
	if err != nil {
		s.fail(fault.User(fmt.Errorf("declare operator state %q: %w", d.Name, err)))
		return
	}
	s.states = append(s.states, declared)
	for _, list := range s.restored.List {
		if list.Name != d.Name || list.Schema == "" {
			continue
		}
		if list.Schema != d.Schema {
			s.fail(fault.User(fmt.Errorf("operator state %q is of %s in the checkpoint and of %s "+
				"in the job", d.Name, list.Schema, d.Schema)))
			return
		}
		for _, element := range list.Elements {
			if err := load(element); err != nil {
				s.fail(fault.Internal(fmt.Errorf("restore operator state %q: %w", d.Name, err)))
				return
			}
		}
	}
}

func (s *OperatorStateStore) admit(name string) error {
	switch {
	case s.sealed:
		return errors.New("the operator already runs; declare every state in InitializeState")
	case name == "":
		return errors.New("the name is empty")
	case slices.ContainsFunc(s.states, func(o operatorState) bool {
		return o.named() == name
	}):
		return errors.New("the name is declared twice")
	}
	return nil
}

func (s *OperatorStateStore) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// described are the declared states, without elements.
func (s *OperatorStateStore) described() []*protocol.NamedState {
	var out []*protocol.NamedState
	for _, o := range s.states {
		out = append(out, o.describe())
	}
	return out
}

// snapshot encodes all states.
func (s *OperatorStateStore) snapshot() []*protocol.NamedState {
	out := s.described()
	for i, o := range s.states {
		out[i].Elements = o.elements()
	}
	return out
}

// ListState is a list of elements, one list for each subtask. It belongs to the task goroutine.
//
// Semantics: Flink's operator ListState.
type ListState[T any] struct {
	name   string
	union  bool
	codec  *declared.Codec[T] // nil when T cannot be an element
	values []T
}

// DeclareListState declares a list whose elements can be given to any subtask: at equal
// parallelism every subtask gets back what it had, else the elements are dealt out evenly. T
// is a bool, number, string, []byte, eventtime.Timestamp or a struct of these and types.Null.
// A fault is kept in the store and fails the job, if possible before any task runs.
func DeclareListState[T any](store *OperatorStateStore, name string) *ListState[T] {
	return declareList[T](store, name, false)
}

// DeclareUnionListState is DeclareListState for a list of which every subtask gets the elements
// of all when it is restored. Each subtask must drop what is not for it, else the list grows
// with every restore.
func DeclareUnionListState[T any](store *OperatorStateStore, name string) *ListState[T] {
	return declareList[T](store, name, true)
}

func declareList[T any](store *OperatorStateStore, name string, union bool) *ListState[T] {
	codec, err := declared.NewCodec[T]()
	l := &ListState[T]{name: name, union: union, codec: codec}
	store.declare(l, err, func(element []byte) error {
		var value T
		err := codec.LoadBytes(element, &value)
		l.values = append(l.values, value)
		return err
	})
	return l
}

func (l *ListState[T]) named() string { return l.name }

func (l *ListState[T]) describe() *protocol.NamedState {
	d := &protocol.NamedState{Name: l.name, Version: 1, Union: l.union}
	if l.codec != nil {
		d.Schema = l.codec.Layout().Describe()
	}
	return d
}

func (l *ListState[T]) elements() [][]byte {
	out := make([][]byte, 0, len(l.values))
	for i := range l.values {
		out = append(out, l.codec.Append(nil, &l.values[i]))
	}
	return out
}

// All returns the elements in order.
func (l *ListState[T]) All() iter.Seq[T] { return slices.Values(l.values) }

// Len returns the number of elements.
func (l *ListState[T]) Len() int { return len(l.values) }

// Add appends elements.
func (l *ListState[T]) Add(values ...T) { l.values = append(l.values, values...) }

// Update replaces all elements; values is copied.
func (l *ListState[T]) Update(values []T) {
	clear(l.values)
	l.values = append(l.values[:0], values...)
}

// Clear removes all elements.
func (l *ListState[T]) Clear() { l.Update(nil) }
