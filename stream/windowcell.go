package stream

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state/backend"
)

// The row of a key: a word with the number that the next element gets, then the collections.
const (
	windowContentsMap = iota // by window, see appendWindow, and for elements their number
	windowTriggersMap        // by window and the trigger's name for it
	windowSessionsMap        // by window: the window under whose name its contents lie
	windowMaps
)

// windowSlots are the offsets of the collections in the row.
var windowSlots = [windowMaps]uintptr{8, 16, 24}

// collections is how many collections a row has.
func (c cut) collections() int {
	if c.kind == cutSessions {
		return windowMaps
	}
	return windowMaps - 1
}

func (o *windowing[K, T]) collections() int { return o.cut.collections() }

// row is the layout of the row of a key.
func (c cut) row(keyWords int) backend.RowLayout {
	layout := backend.RowLayout{KeyWords: keyWords, FixedBytes: 8}
	for _, slot := range windowSlots[:c.collections()] {
		layout.FixedBytes += 8
		layout.Collections = append(layout.Collections,
			backend.CollectionLayout{Kind: backend.OrderedMap, Slot: int(slot)})
	}
	return layout
}

// inEvents reports whether windows live in event time. The global window does not end in any.
func (c cut) inEvents() bool { return !c.processing && c.kind != cutGlobal }

// domain is that of the timers by which windows are cleared away.
func (c cut) domain() TimeDomain {
	if c.inEvents() {
		return DomainEventTime
	}
	return DomainProcessingTime
}

func slotAt(fixed unsafe.Pointer, offset uintptr) *uint64 {
	return (*uint64)(unsafe.Add(fixed, offset))
}

const windowKeyBytes = 16

// windowKey orders windows by end, then by start. It is the ordered form of the two
// timestamps, as package types writes them.
type windowKey struct{ End, Start eventtime.Timestamp }

func appendWindow(dst []byte, w Window) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(w.End)^1<<63)
	return binary.BigEndian.AppendUint64(dst, uint64(w.Start)^1<<63)
}

// elementKey orders the elements of a window by number.
type elementKey struct {
	End, Start eventtime.Timestamp
	Number     int64
}

func appendElement(dst []byte, w Window, number int64) []byte {
	return binary.BigEndian.AppendUint64(appendWindow(dst, w), uint64(number)^1<<63)
}

func readWindow(key []byte) Window {
	return Window{
		End:   eventtime.Timestamp(binary.BigEndian.Uint64(key) ^ 1<<63),
		Start: eventtime.Timestamp(binary.BigEndian.Uint64(key[8:]) ^ 1<<63),
	}
}

// saturated returns ts + plus, at most the end of time; plus is not negative.
func saturated(ts eventtime.Timestamp, plus int64) eventtime.Timestamp {
	if int64(ts) > math.MaxInt64-plus {
		return eventtime.Max
	}
	return ts + eventtime.Timestamp(plus)
}

// nextNumber returns the number of the next element of the key: elements keep the order in
// which they came, also when windows merge.
func (c *windowCell) nextNumber() (int64, error) {
	if err := c.table.Change(c.row); err != nil {
		return 0, err
	}
	number := slotAt(c.table.Fixed(c.row), 0)
	*number++
	return int64(*number), nil
}

// deletePrefix removes the entries of a map whose keys begin with prefix, in steps, since what
// is removed must be copied out first. scratch is used and returned.
func (c *windowCell) deletePrefix(collection int, prefix, scratch []byte) ([]byte, error) {
	const atOnce = 256
	to := afterPrefix(prefix)
	for {
		keys, ends := scratch[:0], make([]int, 0, atOnce)
		c.table.MapScan(c.row, collection, prefix, to, func(key, _ []byte) bool {
			keys = append(keys, key...)
			ends = append(ends, len(keys))
			return len(ends) < atOnce
		})
		start := 0
		for _, end := range ends {
			if _, err := c.table.MapDelete(c.row, collection, keys[start:end]); err != nil {
				return keys, err
			}
			start = end
		}
		if scratch = keys; len(ends) < atOnce {
			return keys, nil
		}
	}
}

// afterPrefix returns the first key behind all that begin with prefix, nil for none.
func afterPrefix(prefix []byte) []byte {
	after := slices.Clone(prefix)
	for i := len(after) - 1; i >= 0; i-- {
		if after[i]++; after[i] != 0 {
			return after[:i+1]
		}
	}
	return nil
}
