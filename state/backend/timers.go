package backend

import (
	"encoding/binary"
	"fmt"
)

// TimerLayout is the shape of the timers of a service.
type TimerLayout struct {
	// KeyWords is RowLayout.KeyWords of the keyed state the timers belong to.
	KeyWords int
	// NamespaceWords is 0 to 2: how many words beside key and timestamp name a timer. Timers
	// of windows are named by start and end of the window.
	NamespaceWords int
}

// Validate says what is wrong with a layout. DeclareTimers calls it.
func (l TimerLayout) Validate() error {
	if l.KeyWords < 0 || l.KeyWords > 2 {
		return fmt.Errorf("backend: check timer layout: %d key words, want 0 to 2", l.KeyWords)
	}
	if l.NamespaceWords < 0 || l.NamespaceWords > 2 {
		return fmt.Errorf("backend: check timer layout: %d namespace words, want 0 to 2",
			l.NamespaceWords)
	}
	return nil
}

// Timer is one timer on its way in. Exactly one of Words and Bytes is used, by KeyWords;
// timers are the same when all but Hash is equal.
type Timer struct {
	Timestamp int64  // milliseconds
	Hash      uint64 // hash id 1 of the key; the top 32 bits count
	Words     [2]uint64
	Bytes     []byte
	Namespace [2]uint64
}

// Due are timers on their way out, all with the same Timestamp, in the form that
// Table.Resolve takes. Take appends to slices of length zero; what it put there is valid
// until the next call of Take.
type Due struct {
	Timestamp  int64
	Hashes     []uint64 // the top 32 bits of the hash of each key, the others zeros
	Words      []uint64 // KeyWords for each
	Bytes      [][]byte // or the key's bytes
	Namespaces []uint64 // NamespaceWords for each
}

// Timers are the timers of one service of a task: a set, kept by time. Task goroutine only.
//
// Semantics: Flink's InternalTimerService: a timer is registered once however often that is
// asked for; timers fire in the order of their timestamps, and here, so that runs are equal,
// those of one timestamp in the order of the bytes of key (canonical bytes: words little
// endian) and namespace (words big endian).
type Timers interface {
	// Register adds a timer; one that exists already stays as it is.
	Register(t *Timer) error
	// Delete removes a timer; one that does not exist is no error.
	Delete(t *Timer)
	// Take removes up to limit timers with the earliest timestamp, provided that it is at
	// most until, and stores them in due, in firing order. False when there are none. Timers
	// of that timestamp may be left when limit was reached.
	Take(until int64, limit int, due *Due) bool
	// Earliest returns a timestamp before which no timer is due, usually that of the first
	// timer; false without timers. Cheap.
	Earliest() (timestamp int64, ok bool)
	// Len is the number of timers, at most: ones registered twice, and ones deleted, may count
	// until they are due.
	Len() int
}

// AppendTimerSuffix appends to the key of a row what makes it the entry key of a timer in a
// run: the timestamp, 8 bytes big endian with the sign bit turned over, then the words of the
// namespace, 8 bytes big endian each. The value of the entry is empty.
func AppendTimerSuffix(dst []byte, timestamp int64, namespace []uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(timestamp)^1<<63)
	for _, word := range namespace {
		dst = binary.BigEndian.AppendUint64(dst, word)
	}
	return dst
}

// SplitTimerSuffix is the inverse of AppendTimerSuffix.
func SplitTimerSuffix(
	layout TimerLayout, suffix []byte,
) (timestamp int64, namespace [2]uint64, err error) {
	if want := 8 + 8*layout.NamespaceWords; len(suffix) != want {
		return 0, namespace, fmt.Errorf("backend: split timer: %d bytes after the key, want %d",
			len(suffix), want)
	}
	timestamp = int64(binary.BigEndian.Uint64(suffix) ^ 1<<63)
	for i := range layout.NamespaceWords {
		namespace[i] = binary.BigEndian.Uint64(suffix[8+8*i:])
	}
	return timestamp, namespace, nil
}
