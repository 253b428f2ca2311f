package naive

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/leat-io/leat/state/backend"
)

// timers are a set and a heap: what was deleted is in the heap only and is skipped.
type timers struct {
	layout backend.TimerLayout
	set    map[timer]uint32 // hash of the key
	queue  timerHeap
}

type timer struct {
	timestamp int64
	key       string // canonical bytes
	namespace [2]uint64
}

func compareTimers(a, b timer) int {
	return cmp.Or(cmp.Compare(a.timestamp, b.timestamp), strings.Compare(a.key, b.key),
		cmp.Compare(a.namespace[0], b.namespace[0]), cmp.Compare(a.namespace[1], b.namespace[1]))
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return compareTimers(h[i], h[j]) < 0 }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (s *timers) named(t *backend.Timer) timer {
	named := timer{timestamp: t.Timestamp}
	if s.layout.KeyWords == 0 {
		named.key = string(t.Bytes)
	} else {
		var key []byte
		for _, word := range t.Words[:s.layout.KeyWords] {
			key = binary.LittleEndian.AppendUint64(key, word)
		}
		named.key = string(key)
	}
	copy(named.namespace[:], t.Namespace[:s.layout.NamespaceWords])
	return named
}

// Register adds a timer.
func (s *timers) Register(t *backend.Timer) error {
	if len(t.Bytes) > backend.MaxKeyBytes {
		return fmt.Errorf("naive: register timer: key of %d bytes, at most %d are possible",
			len(t.Bytes), backend.MaxKeyBytes)
	}
	named := s.named(t)
	if _, ok := s.set[named]; !ok {
		s.set[named] = uint32(t.Hash >> 32)
		heap.Push(&s.queue, named)
	}
	return nil
}

// Delete removes a timer.
func (s *timers) Delete(t *backend.Timer) { delete(s.set, s.named(t)) }

// first drops what was deleted and returns the earliest timer.
func (s *timers) first() (timer, bool) {
	for len(s.queue) > 0 {
		if _, ok := s.set[s.queue[0]]; ok {
			return s.queue[0], true
		}
		heap.Pop(&s.queue)
	}
	return timer{}, false
}

// Take removes the timers of the earliest timestamp.
func (s *timers) Take(until int64, limit int, due *backend.Due) bool {
	due.Hashes, due.Words = due.Hashes[:0], due.Words[:0]
	due.Bytes, due.Namespaces = due.Bytes[:0], due.Namespaces[:0]
	for len(due.Hashes) < limit {
		first, ok := s.first()
		if !ok || first.timestamp > until ||
			len(due.Hashes) > 0 && first.timestamp != due.Timestamp {
			break
		}
		due.Timestamp = first.timestamp
		due.Hashes = append(due.Hashes, uint64(s.set[first])<<32)
		for i := range s.layout.KeyWords {
			due.Words = append(due.Words, binary.LittleEndian.Uint64([]byte(first.key[8*i:])))
		}
		if s.layout.KeyWords == 0 {
			due.Bytes = append(due.Bytes, []byte(first.key))
		}
		due.Namespaces = append(due.Namespaces, first.namespace[:s.layout.NamespaceWords]...)
		delete(s.set, first)
		heap.Pop(&s.queue)
	}
	return len(due.Hashes) > 0
}

// Earliest is the timestamp of the first timer.
func (s *timers) Earliest() (int64, bool) {
	first, ok := s.first()
	return first.timestamp, ok
}

// Len is the number of timers.
func (s *timers) Len() int { return len(s.set) }

// copy returns all timers as entries of a run.
func (s *timers) copy() []backend.Entry {
	var entries []backend.Entry
	for t, hash := range s.set {
		suffix := backend.AppendTimerSuffix(nil, t.timestamp, t.namespace[:s.layout.NamespaceWords])
		entries = append(entries, backend.Entry{
			Hash: hash,
			Key:  backend.AppendEntryKey(nil, s.layout.KeyWords, []byte(t.key), suffix),
		})
	}
	slices.SortFunc(entries, compareEntries)
	return entries
}

// restore registers the timer of an entry.
func (s *timers) restore(e backend.Entry) error {
	key, suffix, err := backend.SplitEntryKey(s.layout.KeyWords, e.Key)
	if err != nil {
		return err
	}
	t := backend.Timer{Hash: uint64(e.Hash) << 32, Bytes: key}
	if t.Timestamp, t.Namespace, err = backend.SplitTimerSuffix(s.layout, suffix); err != nil {
		return err
	}
	for i := range s.layout.KeyWords {
		t.Words[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	return s.Register(&t)
}

var _ backend.Timers = (*timers)(nil)
