package timer

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
)

// Service is the timers of one service of a task.
type Service struct {
	layout   backend.TimerLayout
	versions *version.Versions
	memory   memory
	sorter   sorter
	recent   recent
	wheel    wheel
	current  *bucket // the times up to wheel.base
	timers   int     // registrations in all buckets
	patient  bool    // the last log was nearly all timers of their own
	keys     []byte  // of the timers taken last
	gones    []goneIn
	image    *image // from Begin to Release
}

// New returns an empty service of a backend with these versions. The layout is valid.
func New(layout backend.TimerLayout, v *version.Versions) *Service {
	s := &Service{layout: layout, versions: v}
	s.memory.shape = shapeOf(layout)
	s.current = s.newBucket()
	return s
}

func (s *Service) newBucket() *bucket {
	return &bucket{log: records{shape: s.memory.shape}, first: 1<<64 - 1, sealAt: s.sealAt(0)}
}

// bucketOf returns the bucket of a time, which may have to be made.
func (s *Service) bucketOf(time uint64, make bool) *bucket {
	if time <= s.wheel.base {
		return s.current
	}
	level, slot := s.wheel.place(time)
	b := s.wheel.slots[level][slot]
	if b == nil && make {
		b = s.newBucket()
		s.wheel.put(level, slot, b)
	}
	return b
}

// add appends an operation to a bucket.
func (s *Service) add(b *bucket, t *backend.Timer, version uint16, deletes bool) {
	rec := b.log.extend(&s.memory)
	rec[0], rec[1] = timeOf(t.Timestamp), operation(t.Hash, version, deletes)
	switch s.memory.shape.keyWords {
	case 0:
		rec[2] = b.log.arena.add(&s.memory, t.Bytes)
	case 1:
		rec[2] = t.Words[0]
	default:
		rec[2], rec[3] = t.Words[0], t.Words[1]
	}
	if s.memory.shape.namespaceWords > 0 {
		copy(rec[s.memory.shape.namespaceAt:], t.Namespace[:])
	}
	b.appended(rec)
	if b.log.n >= b.sealAt {
		s.seal(b)
	}
}

// Register adds a timer.
func (s *Service) Register(t *backend.Timer) error {
	if len(t.Bytes) > backend.MaxKeyBytes {
		return fmt.Errorf("timer: register: key of %d bytes, at most %d are possible",
			len(t.Bytes), backend.MaxKeyBytes)
	}
	time := timeOf(t.Timestamp)
	if s.knows(time, t) {
		return nil
	}
	s.timers++
	s.add(s.bucketOf(time, true), t, s.versions.Current, false)
	return nil
}

// Delete removes a timer.
func (s *Service) Delete(t *backend.Timer) {
	time := timeOf(t.Timestamp)
	s.forget(time, t)
	b := s.bucketOf(time, false)
	if b == nil || b.len() == 0 || len(t.Bytes) > backend.MaxKeyBytes {
		return
	}
	s.add(b, t, s.versions.Current, true)
}

// leastSplit is how many operations a bucket holds that is worth splitting.
const leastSplit = 256

// promote makes the earliest bucket the current one, which is empty, or spreads it over
// narrower ones. False when it is not due.
func (s *Service) promote(until uint64) bool {
	w := &s.wheel
	level, slot, b := w.lowest()
	for ; b != nil && b.len() == 0; level, slot, b = w.lowest() {
		w.remove(level, slot) // All of it was deleted.
	}
	if b == nil {
		w.base = max(w.base, until)
		return false
	}
	if b.first > until {
		// New timers find narrower buckets, but base must not enter the slot.
		if start := w.start(level, slot); start > 0 {
			w.base = max(w.base, min(until, start-1))
		}
		return false
	}
	w.remove(level, slot)
	if level == 0 || b.last-b.first < bucketSpan || b.len() <= leastSplit {
		w.base = max(w.base, b.last)
		s.settle(b)
		s.current.log.discard(&s.memory)
		s.current = b
		return true
	}
	s.push(b)
	w.base = b.first
	for i := range b.runs {
		s.spread(&b.runs[i].records, b.runs[i].pos)
		b.runs[i].discard(&s.memory)
	}
	s.spread(&b.log, 0)
	b.log.discard(&s.memory)
	return true
}

// spread moves records to the buckets where they belong, which are not sorted just for that.
func (s *Service) spread(r *records, from int) {
	stride := r.shape.stride
	for from < r.n {
		words, n := r.stretch(from, r.n)
		for ; len(words) > 0; words = words[stride:] {
			rec := words[:stride:stride]
			b := s.bucketOf(rec[0], true)
			b.log.add(&s.memory, r, rec, rec[1])
			b.appended(rec)
			b.sealAt = max(b.sealAt, logShare*b.log.n)
		}
		from += n
	}
}

// mostExact is how many operations Earliest puts in order at most to be exact.
const mostExact = 1024

// Earliest returns a timestamp before which no timer is due.
func (s *Service) Earliest() (timestamp int64, ok bool) {
	for {
		level, slot, b := -1, 0, s.current
		if b.len() == 0 {
			if level, slot, b = s.wheel.lowest(); b == nil {
				return 0, false
			}
		}
		if b.len() == 0 {
			s.wheel.remove(level, slot)
			continue
		}
		if !b.deletes || b.len() > mostExact {
			return timestampOf(b.first), true
		}
		s.settle(b)
		if len(b.runs) > 0 {
			return timestampOf(b.first), true
		}
		if level >= 0 {
			s.wheel.remove(level, slot)
		}
	}
}

// settle makes one run of a bucket, or none.
func (s *Service) settle(b *bucket) {
	s.push(b)
	s.seal(b)
	for len(b.runs) > 1 {
		last := len(b.runs) - 1
		merged := run{records: s.merge(&b.runs[last-1], &b.runs[last], last == 1)}
		b.runs[last-1].discard(&s.memory)
		b.runs[last].discard(&s.memory)
		b.runs[last-1] = merged
		b.runs = b.runs[:last]
	}
	b.dropEmpty(&s.memory)
	s.measure(b)
}

// Len is the number of timers, at most.
func (s *Service) Len() int { return s.timers }

// Restore adds a clean timer.
func (s *Service) Restore(e backend.Entry) error {
	key, suffix, err := backend.SplitEntryKey(s.layout.KeyWords, e.Key)
	if err != nil {
		return err
	}
	if len(e.Value) > 0 {
		return fmt.Errorf("timer: restore: a timer has a value of %d bytes", len(e.Value))
	}
	t := backend.Timer{Hash: uint64(e.Hash) << 32, Bytes: key}
	if t.Timestamp, t.Namespace, err = backend.SplitTimerSuffix(s.layout, suffix); err != nil {
		return err
	}
	for i := range s.layout.KeyWords {
		t.Words[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	s.timers++
	s.add(s.bucketOf(timeOf(t.Timestamp), true), &t, 0, false)
	return nil
}

var (
	_ backend.Timers = (*Service)(nil)
	_ version.Store  = (*Service)(nil)
)
