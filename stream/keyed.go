package stream

import (
	"fmt"
	"reflect"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// KeyedStream is a stream of T partitioned by a key K: all records of a key meet in one
// subtask, which keeps its state.
type KeyedStream[K, T any] struct {
	env   *Env
	from  *DataStream[T]
	key   func(T) K
	codec *types.KeyCodec[K]
	name  string // schema of K in SQL spelling, or its Go name
	all   bool   // there is one key only: see All
}

// KeyBy partitions s by key. K is a bool, number, string, eventtime.Timestamp, or an array or a
// struct of these. Floats are rarely wise: -0 is 0, and all NaN are one key. key must depend on
// its argument only, and is called more than once per record.
func KeyBy[T, K any](s *DataStream[T], key func(T) K) *KeyedStream[K, T] {
	codec, err := types.KeyOf[K]()
	if err != nil {
		s.env.fault(fault.User(fmt.Errorf("key after %q: %w", s.at.name, err)))
	}
	return &KeyedStream[K, T]{
		env: s.env, from: s, key: key, codec: codec,
		name: types.DescribeKey(reflect.TypeFor[K]()),
	}
}

// next is a keyed operator that heads a chain behind a hash exchange.
func (k *KeyedStream[K, T]) next(uid, name string, f operator.Factory) *transformation {
	return k.env.add(&transformation{
		uid: uid, name: name, factory: f, inputs: k.inputs(), head: true, stateful: true,
	})
}

// inputs are those of a step that takes the records of k by key.
func (k *KeyedStream[K, T]) inputs() []input {
	return k.from.inputs(input{
		exchange:  protocol.Exchange_EXCHANGE_HASH,
		output:    keyedOutputs[T, K]{key: k.key, codec: k.codec},
		keySchema: k.name,
	})
}

// describe turns declared states into what a checkpoint says about them. Table numbers are
// those within the operator: the rows lie in table 0, each map and list in one of its own.
func (k *KeyedStream[K, T]) describe(states []declared.Description) []*protocol.StateDescriptor {
	var out []*protocol.StateDescriptor
	for _, s := range states {
		out = append(out, &protocol.StateDescriptor{
			Name: s.Name, Kind: s.Kind, KeySchema: k.name, ValueSchema: s.Schema, HashId: 1,
			Table: uint32(s.Table), UserKeySchema: s.UserKeySchema,
			PresenceBit: uint32(s.PresenceBit),
			TtlMillis:   s.TTLMillis, TtlOffset: uint32(s.TTLOffset),
		})
	}
	return out
}

// keyScratch extracts the keys of a batch in the form state tables take.
type keyScratch[T, K any] struct {
	key   func(T) K
	codec *types.KeyCodec[K]

	// aliases says that the bytes of a key are those of a string, not written by the codec.
	aliases bool

	values []K
	hashes []uint64
	words  []uint64
	bytes  [][]byte
	buffer []byte // composite keys, one behind the other
	rows   []backend.Row
}

// scratch returns a scratch for one subtask of an operator on k.
func (k *KeyedStream[K, T]) scratch() keyScratch[T, K] {
	s := keyScratch[T, K]{key: k.key, codec: k.codec}
	if s.codec.Words() == 0 {
		var zero K
		s.aliases = len(s.codec.Bytes(zero, nil)) == 0
	}
	return s
}

// load takes the keys of the selected rows.
func (s *keyScratch[T, K]) load(items []T, b *record.Batch) {
	s.reset()
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		s.values = append(s.values, s.key(items[row]))
		if b.Hashes != nil {
			s.hashes = append(s.hashes, b.Hashes[row])
		}
	}
	if b.Hashes == nil {
		s.hashes = s.codec.HashAll(s.hashes, s.values)
	}
	if s.codec.Words() > 0 {
		s.words = s.codec.AppendWords(s.words, s.values)
		return
	}
	s.loadBytes()
}

// loadBytes encodes keys without fixed form. The buffer of composite keys never moves: when a key
// does not fit, a larger one is begun, and the keys before it keep the old one alive.
func (s *keyScratch[T, K]) loadBytes() {
	for i := range s.values {
		start := len(s.buffer)
		encoded := s.codec.Bytes(s.values[i], s.buffer[start:])
		if s.aliases {
			s.bytes = append(s.bytes, encoded)
			continue
		}
		if start+len(encoded) > cap(s.buffer) {
			size := max(leastKeyBuffer, 2*cap(s.buffer), len(encoded))
			s.buffer, start = append(make([]byte, 0, size), encoded...), 0
		}
		end := start + len(encoded)
		s.buffer = s.buffer[:end]
		s.bytes = append(s.bytes, s.buffer[start:end:end])
	}
}

// Bounds of the buffer of composite keys, in bytes: what it starts with, and what it keeps
// from batch to batch.
const (
	leastKeyBuffer = 4 << 10
	mostKeyBuffer  = 4 << 20
)

// keys returns what load took, in the form of the backend.
func (s *keyScratch[T, K]) keys() backend.Keys {
	return backend.Keys{Hashes: s.hashes, Words: s.words, Bytes: s.bytes}
}

// room returns rows for n keys.
func (s *keyScratch[T, K]) room(n int) []backend.Row {
	if cap(s.rows) < n {
		s.rows = make([]backend.Row, n)
	}
	return s.rows[:n]
}

func (s *keyScratch[T, K]) reset() {
	clear(s.values)
	clear(s.bytes)
	s.values, s.hashes, s.words = s.values[:0], s.hashes[:0], s.words[:0]
	s.bytes, s.buffer = s.bytes[:0], s.buffer[:0]
	if cap(s.buffer) > mostKeyBuffer {
		s.buffer = nil
	}
}

// keyOf reads the key of a row.
func keyOf[K any](codec *types.KeyCodec[K], table backend.Table, row backend.Row) K {
	words, bytes := table.Key(row)
	if codec.Words() > 0 {
		return codec.FromWords(words)
	}
	return codec.FromBytes(bytes)
}
