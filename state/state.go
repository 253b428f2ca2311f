// Package state is how a program declares and uses keyed state.
//
// Main types: [Value], one value per key; [Map] and [OrderedMap], entries per key; [List],
// elements per key; [Reducing] and [Aggregating], a value that folds what is added;
// [Declarations], the states of one operator, collected while the graph is built and again
// when a task opens; [TTL], how long a state lives. A function declares its states when it is
// opened and uses the handles while it handles a record or timer; the handle always speaks of
// the current key.
//
// All states of an operator share one row per key: a word of presence bits, then the fixed
// part and slots of each state that is one value, then a reference for each map and list,
// whose entries lie beside the row. A program never sees rows. What is empty takes no room.
//
// Handles are used by the task goroutine only, and only inside the call that handles a
// record. What they return is a copy, safe to keep. A fault, such as a value that is too
// large, is kept and fails the job after the batch.
//
// Semantics: Flink's ValueState, MapState, ListState, ReducingState, AggregatingState and
// their descriptors with StateTtlConfig; late registration is refused.
package state

import "github.com/leat-io/leat/internal/state/declared"

// MaxStates bounds the states of one operator.
const MaxStates = 64

// Kinds of states in descriptions.
const (
	kindValue       = "value"
	kindReducing    = "reducing"
	kindAggregating = "aggregating"
	kindMap         = "map"
	kindOrderedMap  = "ordered-map"
	kindList        = "list"
)

// Declarations collects the states an operator declares: it is what the Declare functions
// take. The zero value is ready. What is in it is between this package and the engine.
type Declarations struct {
	states declared.States
}

func init() {
	declared.Provide(func(d any) *declared.States { return &d.(*Declarations).states })
}

// settings are what options say about a state.
type settings struct {
	expiry declared.Expiry
	err    error
}

// Option is a choice about a declared state: a [TTL].
type Option interface{ apply(s *settings) }

// admit says what options want, or why a state cannot be declared.
func admit(d *declared.States, name string, options []Option) (settings, error) {
	var s settings
	if err := d.Admit(name); err != nil {
		return s, err
	}
	for _, option := range options {
		option.apply(&s)
	}
	return s, s.err
}
