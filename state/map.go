package state

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Map is entries of V under user keys of K, for each key. An empty map takes no room. The
// zero Map is unusable: declare it.
//
// The body of a loop over a map may change it and every other state: each entry comes at most
// once, as it is when it comes; one that was removed before does not come; one that was put
// comes if it lies ahead, which in a Map nobody knows, and in an [OrderedMap] its order says.
//
// Semantics: Flink's MapState.
type Map[K, V any] struct {
	cell *mapCell[K, V]
}

// DeclareMap declares a map state under a name that is unique in its operator. K is a bool,
// number, string, []byte, eventtime.Timestamp or types.Null of these, or a struct or array of
// all of these, of at most 64 KiB; V is what T of DeclareValue is. Floats -0 and 0 are one
// user key, and so are all NaN. A fault is kept in d and fails the job: before any task runs,
// or after the batch when a state is declared too late.
func DeclareMap[K, V any](d *Declarations, name string, options ...Option) Map[K, V] {
	return Map[K, V]{declareMapCell[K, V](d, kindMap, name, options)}
}

// Get returns the value under a user key, or false when there is none.
func (m Map[K, V]) Get(key K) (value V, ok bool) {
	c := m.cell
	if c.codec == nil {
		return value, false
	}
	if entry, ok := c.use(c.encode(key)); ok {
		c.load(entry, &value)
		return value, true
	}
	return value, false
}

// Contains reports whether there is a value under a user key.
func (m Map[K, V]) Contains(key K) bool {
	c := m.cell
	if c.codec == nil {
		return false
	}
	_, ok := c.use(c.encode(key))
	return ok
}

// Put inserts a value, or replaces it.
func (m Map[K, V]) Put(key K, value V) {
	c := m.cell
	if c.codec == nil {
		return
	}
	entry := c.entry[:0]
	if c.Millis != 0 {
		entry = binary.LittleEndian.AppendUint64(entry, uint64(c.d.Here().Now))
		c.d.Bear()
	}
	c.entry = c.codec.Append(entry, &value)
	c.put(c.encode(key), c.entry)
	c.writes++
}

// Remove removes the entry of a user key, if there is one.
func (m Map[K, V]) Remove(key K) {
	if c := m.cell; c.codec != nil {
		c.remove(c.encode(key))
		c.writes++
	}
}

// All yields the entries, in no particular order.
func (m Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.cell.pairs(walk{}, yield) }
}

// Keys yields the user keys, in no particular order.
func (m Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		m.cell.scan(walk{}, func(key, _ []byte) bool {
			k, ok := m.cell.decode(key)
			return ok && yield(k)
		})
	}
}

// Len is the number of entries. With a TTL, it looks at all of them.
func (m Map[K, V]) Len() int {
	c := m.cell
	if c.codec == nil {
		return 0
	}
	if c.Millis == 0 {
		cursor := c.d.Here()
		return cursor.Table.Elements(cursor.Row, c.number)
	}
	return c.count(math.MaxInt)
}

// IsEmpty reports whether there is no entry.
func (m Map[K, V]) IsEmpty() bool {
	c := m.cell
	if c.codec == nil || c.Millis == 0 {
		return m.Len() == 0
	}
	return c.count(1) == 0
}

// Clear removes all entries.
func (m Map[K, V]) Clear() {
	c := m.cell
	if c.codec == nil {
		return
	}
	cursor := c.d.Here()
	if cursor.Table.Elements(cursor.Row, c.number) > 0 {
		c.d.Fail(c.id, cursor.Table.Clear(cursor.Row, c.number))
		c.writes++
	}
}

// OrderedMap is a [Map] in the order of its user keys: numbers and Timestamps by value,
// strings and byte arrays by bytes, structs and arrays by their first part that differs, null
// before everything, NaN behind all numbers. All and Keys yield in that order.
type OrderedMap[K, V any] struct {
	Map[K, V]
}

// DeclareOrderedMap declares an ordered map state: DeclareMap says what K, V and name may be.
func DeclareOrderedMap[K, V any](
	d *Declarations, name string, options ...Option,
) OrderedMap[K, V] {
	return OrderedMap[K, V]{Map[K, V]{declareMapCell[K, V](d, kindOrderedMap, name, options)}}
}

// Range yields the entries whose user keys are at least from and below to, in order.
func (m OrderedMap[K, V]) Range(from, to K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.cell.pairs(m.cell.between(from, to), yield) }
}

// Backward yields the entries, the last one first.
func (m OrderedMap[K, V]) Backward() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.cell.pairs(walk{back: true}, yield) }
}

// First returns the first entry, or false when there is none.
func (m OrderedMap[K, V]) First() (key K, value V, ok bool) {
	return m.cell.first(walk{limit: 1})
}

// Last returns the last entry, or false when there is none.
func (m OrderedMap[K, V]) Last() (key K, value V, ok bool) {
	return m.cell.first(walk{limit: 1, back: true})
}

// RemoveRange removes the entries whose user keys are at least from and below to.
func (m OrderedMap[K, V]) RemoveRange(from, to K) {
	c := m.cell
	if c.codec == nil {
		return
	}
	c.writes++
	w := c.between(from, to)
	w.limit, w.silent = mostEntries, true
	c.scan(w, func(key, _ []byte) bool {
		c.remove(key)
		return c.d.Err() == nil
	})
}

// mapCell is what the handles of a map share.
type mapCell[K, V any] struct {
	declared.Expiry
	d      *declared.States
	number int // of the collection
	id     int // number of the state
	keys   *types.OrderedCodec[K]
	codec  *declared.Codec[V] // nil when the declaration failed: the handle does nothing then
	writes uint64             // counts what loops must notice

	key, entry []byte // scratch
	chunks     chunks
}

func declareMapCell[K, V any](
	declarations *Declarations, kind, name string, options []Option,
) *mapCell[K, V] {
	d := &declarations.states
	keys, err := types.OrderedKeyOf[K]()
	var codec *declared.Codec[V]
	if err == nil {
		codec, err = declared.NewCodec[V]()
	}
	var s settings
	if err == nil {
		s, err = admit(d, name, options)
	}
	if err != nil {
		d.Refuse(kind, name, err)
		return &mapCell[K, V]{d: d}
	}
	c := &mapCell[K, V]{
		Expiry: s.expiry, d: d, keys: keys, codec: codec,
		number: d.Collect(backend.OrderedMap, declared.Description{
			Name: name, Kind: kind, Schema: codec.Layout().Describe(),
			UserKeySchema: keys.Schema(), TTLMillis: s.expiry.Millis,
		}),
	}
	c.id = d.Last()
	return c
}

// encode returns the bytes of a user key, valid until the next call.
func (c *mapCell[K, V]) encode(key K) []byte {
	c.key = c.keys.Append(c.key[:0], key)
	return c.key
}

// use returns the entry of a user key when it may be seen, and does what using it means for
// its life. It is valid until the next write.
func (c *mapCell[K, V]) use(key []byte) (entry []byte, ok bool) {
	cursor := c.d.Here()
	entry, ok = cursor.Table.MapGet(cursor.Row, c.number, key)
	if !ok || c.Millis == 0 {
		return entry, ok
	}
	entry = append(c.entry[:0], entry...)
	c.entry = entry
	return entry, c.meet(key, entry)
}

// meet does what meeting an entry of a map that expires means for its life, and reports
// whether it may be seen. The entry is no memory of the table.
func (c *mapCell[K, V]) meet(key, entry []byte) bool {
	if len(entry) < declared.TimeBytes {
		c.d.FailRead(fmt.Errorf("state: read map entry: %d bytes, want its time of last use",
			len(entry)))
		return false
	}
	lastUse, now := int64(binary.LittleEndian.Uint64(entry)), c.d.Here().Now
	if c.Expired(lastUse, now) {
		c.remove(key)
		c.writes++
		return c.Show
	}
	if c.OnRead && lastUse != now {
		binary.LittleEndian.PutUint64(entry, uint64(now))
		c.put(key, entry)
	}
	return true
}

func (c *mapCell[K, V]) put(key, entry []byte) {
	cursor := c.d.Here()
	if err := cursor.Table.MapPut(cursor.Row, c.number, key, entry); err != nil {
		err = declared.Oversized(err, "user key", len(key), backend.MaxUserKeyBytes,
			"use a shorter one, such as a hash of it")
		c.d.Fail(c.id, declared.Oversized(err, "value", len(entry), backend.MaxValueBytes,
			"divide it among several entries"))
	}
}

func (c *mapCell[K, V]) remove(key []byte) {
	cursor := c.d.Here()
	_, err := cursor.Table.MapDelete(cursor.Row, c.number, key)
	c.d.Fail(c.id, err)
}

// load reads the value of an entry.
func (c *mapCell[K, V]) load(entry []byte, value *V) bool {
	if err := c.codec.LoadBytes(entry[c.Prefix():], value); err != nil {
		c.d.FailRead(err)
		return false
	}
	return true
}

func (c *mapCell[K, V]) decode(key []byte) (k K, ok bool) {
	k, rest, err := c.keys.Decode(key)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow", len(rest))
	}
	if err != nil {
		c.d.FailRead(fmt.Errorf("state: read user key: %w", err))
		return k, false
	}
	return k, true
}

// between is the walk over a range.
func (c *mapCell[K, V]) between(from, to K) walk {
	if c.codec == nil {
		return walk{}
	}
	return walk{from: slices.Clone(c.encode(from)), to: slices.Clone(c.encode(to))}
}

// pairs yields decoded entries.
func (c *mapCell[K, V]) pairs(w walk, yield func(K, V) bool) {
	c.scan(w, func(key, entry []byte) bool {
		k, ok := c.decode(key)
		var v V
		return ok && c.load(entry, &v) && yield(k, v)
	})
}

func (c *mapCell[K, V]) first(w walk) (key K, value V, ok bool) {
	c.pairs(w, func(k K, v V) bool {
		key, value, ok = k, v, true
		return false
	})
	return key, value, ok
}

// count returns how many entries have not expired, at most limit.
func (c *mapCell[K, V]) count(limit int) (n int) {
	now := c.d.Here().Now
	c.scan(walk{silent: true}, func(_, entry []byte) bool {
		if len(entry) >= declared.TimeBytes &&
			!c.Expired(int64(binary.LittleEndian.Uint64(entry)), now) {
			n++
		}
		return n < limit
	})
	return n
}
