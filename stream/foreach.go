package stream

import (
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
)

// ForEach calls f for every record and ends the stream there. f is called by every subtask;
// after a restart it is called again for records since the last checkpoint: at least once. An
// error fails the task. uid names the sink.
func ForEach[T any](s *DataStream[T], uid string, f func(T) error) *Sink {
	t := s.next("Sink: "+uid, forEachFactory[T]{f})
	t.uid, t.sink = uid, true
	return &Sink{env: s.env, at: t}
}

type forEachFactory[T any] struct{ f func(T) error }

// New makes the sink of one subtask.
func (m forEachFactory[T]) New(
	env *operator.Env, _ []byte, _ any,
) (operator.Built, error) {
	f, failure := m.f, env.Failure
	s := &forEach{taken: env.Counters.Counter(operator.CounterSinkRecords)}
	return operator.Built{Operator: s, Link: &operator.Link[T]{
		Record: func(v T, _ eventtime.Timestamp) {
			s.count++
			if err := f(v); err != nil {
				failure.Set(userFault(env, err))
			}
		},
		Control: s,
	}}, nil
}

// forEach counts what the function of a sink was called for.
type forEach struct {
	stateless
	noControl
	count uint64         // since the last Flush
	taken *atomic.Uint64 // of all sinks of the task
}

// Flush publishes the count.
func (s *forEach) Flush() {
	s.taken.Add(s.count)
	s.count = 0
}

// EndOfData publishes the count.
func (s *forEach) EndOfData() { s.Flush() }
