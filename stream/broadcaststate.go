package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/graph"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/types"
)

// BroadcastState is a map that every subtask of an operator holds a copy of. The copies are
// equal as long as all subtasks change them alike, which is up to the program: from the
// records of a broadcast stream alone, whatever their order. It belongs to the task goroutine.
//
// Every subtask's copy is in the checkpoint; restored, each subtask gets one copy back: its
// own at equal parallelism, else those there are, in turn.
//
// Semantics: Flink's BroadcastState.
type BroadcastState[K comparable, V any] struct {
	ReadOnlyBroadcastState[K, V]
}

// ReadOnlyBroadcastState is a BroadcastState for those who may not change it.
type ReadOnlyBroadcastState[K comparable, V any] struct {
	in *broadcastMap[K, V]
}

type broadcastMap[K comparable, V any] struct {
	name   string
	keys   *types.OrderedCodec[K] // nil when K cannot be a key
	codec  *declared.Codec[V]     // nil when V cannot be a value
	values map[K]V
}

// DeclareBroadcastState declares a broadcast state. K is a bool, number, string,
// eventtime.Timestamp or a struct or array of these, V what an element of a list can be. A
// fault is kept in the store and fails the job, if possible before any task runs.
func DeclareBroadcastState[K comparable, V any](
	store *OperatorStateStore, name string,
) *BroadcastState[K, V] {
	m := newBroadcastMap[K, V](store, name)
	return &BroadcastState[K, V]{ReadOnlyBroadcastState[K, V]{m}}
}

func newBroadcastMap[K comparable, V any](
	store *OperatorStateStore, name string,
) *broadcastMap[K, V] {
	m := &broadcastMap[K, V]{name: name, values: map[K]V{}}
	var errKey, errValue error
	m.keys, errKey = types.OrderedKeyOf[K]()
	m.codec, errValue = declared.NewCodec[V]()
	store.declare(m, errors.Join(errKey, errValue), m.load)
	return m
}

// load takes up an entry: the length of the key, the key, the value.
func (m *broadcastMap[K, V]) load(entry []byte) error {
	size, n := binary.Uvarint(entry)
	if n <= 0 || size > uint64(len(entry)-n) {
		return fault.Internal(fmt.Errorf("an entry of %d bytes has no whole key", len(entry)))
	}
	key, rest, err := m.keys.Decode(entry[n : n+int(size)])
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the key", len(rest))
	}
	if err != nil {
		return fault.Internal(err)
	}
	var value V
	if err := m.codec.LoadBytes(entry[n+int(size):], &value); err != nil {
		return err
	}
	m.values[key] = value
	return nil
}

func (m *broadcastMap[K, V]) named() string { return m.name }

func (m *broadcastMap[K, V]) describe() *protocol.NamedState {
	d := &protocol.NamedState{Name: m.name, Version: 1, Broadcast: true}
	if m.keys != nil && m.codec != nil {
		d.Schema = m.keys.Schema() + graph.MapSchema + m.codec.Layout().Describe()
	}
	return d
}

// elements returns the entries in the order of their keys, so that equal states have equal
// bytes.
func (m *broadcastMap[K, V]) elements() [][]byte {
	type entry struct{ key, value []byte }
	entries := make([]entry, 0, len(m.values))
	for k, v := range m.values {
		entries = append(entries, entry{m.keys.Append(nil, k), m.codec.Append(nil, &v)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	out := make([][]byte, 0, len(entries))
	for _, e := range entries {
		b := binary.AppendUvarint(nil, uint64(len(e.key)))
		out = append(out, append(append(b, e.key...), e.value...))
	}
	return out
}

// Get returns the value of a key, or false when there is none.
func (s ReadOnlyBroadcastState[K, V]) Get(key K) (value V, ok bool) {
	value, ok = s.in.values[key]
	return value, ok
}

// Contains reports whether there is a value for a key.
func (s ReadOnlyBroadcastState[K, V]) Contains(key K) bool {
	_, ok := s.in.values[key]
	return ok
}

// Len returns the number of keys.
func (s ReadOnlyBroadcastState[K, V]) Len() int { return len(s.in.values) }

// All returns keys and values in no particular order.
func (s ReadOnlyBroadcastState[K, V]) All() iter.Seq2[K, V] { return maps.All(s.in.values) }

// Put sets the value of a key.
func (s *BroadcastState[K, V]) Put(key K, value V) { s.in.values[key] = value }

// Remove removes a key.
func (s *BroadcastState[K, V]) Remove(key K) { delete(s.in.values, key) }

// Clear removes all keys.
func (s *BroadcastState[K, V]) Clear() { clear(s.in.values) }
