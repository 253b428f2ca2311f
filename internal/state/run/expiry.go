package run

import (
	"encoding/binary"
	"math"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
)

// Expiry says, by the descriptors of declared states, which entries nobody will read any more
// because their time to live is over. Merges and restores leave them out. The zero value knows of
// no such state. Immutable.
//
// Semantics: the cleanup of Flink's StateTtlConfig during compaction, by the processing time of
// the task that merges: an entry is over when last use + time to live <= now.
type Expiry struct {
	values   map[backend.TableID][]valueRule
	elements map[backend.TableID]elementRule
}

// valueRule is that of one state among those that share a row.
type valueRule struct {
	bit       uint32 // of the first word of the row: the state is set
	offset    uint32 // of the time of the last use, in the serial form of the row
	ttlMillis int64
}

// elementRule is that of the elements of a collection, whose first 8 bytes are the time.
type elementRule struct {
	ttlMillis int64
	list      bool
}

// ExpiryOf returns the rules that descriptors describe. Their table numbers are those of the
// lists.
func ExpiryOf(descriptors []*protocol.StateDescriptor) Expiry {
	e := Expiry{
		values:   map[backend.TableID][]valueRule{},
		elements: map[backend.TableID]elementRule{},
	}
	for _, d := range descriptors {
		id := backend.TableID(d.GetTable())
		switch {
		case d.GetTtlMillis() <= 0:
		case d.GetKind() == "map" || d.GetKind() == "ordered-map" || d.GetKind() == "list":
			e.elements[id] = elementRule{d.GetTtlMillis(), d.GetKind() == "list"}
		default:
			e.values[id] = append(e.values[id],
				valueRule{d.GetPresenceBit(), d.GetTtlOffset(), d.GetTtlMillis()})
		}
	}
	return e
}

// of returns what tells at the given time whether the value of an entry is over, nil when nothing
// in this table ever is. A value it cannot make sense of is not.
func (e Expiry) of(table backend.TableID, nowMillis int64) func(value []byte) bool {
	if rules := e.values[table]; len(rules) > 0 {
		return func(value []byte) bool { return rowOver(rules, value, nowMillis) }
	}
	rule, ok := e.elements[table]
	switch {
	case !ok:
		return nil
	case rule.list:
		return func(block []byte) bool { return rule.blockOver(block, nowMillis) }
	}
	return func(value []byte) bool { return isOver(value, rule.ttlMillis, nowMillis) }
}

// rowOver tells whether every state that the row holds has a time to live and is over.
func rowOver(rules []valueRule, row []byte, nowMillis int64) bool {
	if len(row) < 8 {
		return false
	}
	present := binary.LittleEndian.Uint64(row)
	for _, rule := range rules {
		bit := uint64(1) << (rule.bit & 63)
		if present&bit == 0 {
			continue
		}
		if int64(len(row)) < int64(rule.offset)+8 ||
			!isOver(row[rule.offset:], rule.ttlMillis, nowMillis) {
			return false
		}
		present &^= bit
	}
	return present == 0
}

func (rule elementRule) blockOver(block []byte, nowMillis int64) bool {
	for len(block) > 0 {
		element, rest, err := backend.NextElement(block)
		if err != nil || !isOver(element, rule.ttlMillis, nowMillis) {
			return false
		}
		block = rest
	}
	return true
}

// isOver reads the time of the last use from the first 8 bytes.
func isOver(value []byte, ttlMillis, nowMillis int64) bool {
	if len(value) < 8 {
		return false
	}
	lastUse := int64(binary.LittleEndian.Uint64(value))
	return lastUse <= math.MaxInt64-ttlMillis && lastUse+ttlMillis <= nowMillis
}
