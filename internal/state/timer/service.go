package timer

import (
	"encoding/binary"
	"fmt"
	"slices"

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

// Take removes timers of the earliest timestamp.
func (s *Service) Take(until int64, limit int, due *backend.Due) bool {
	due.Hashes, due.Words = due.Hashes[:0], due.Words[:0]
	due.Bytes, due.Namespaces = due.Bytes[:0], due.Namespaces[:0]
	if limit < 1 {
		return false
	}
	s.keys = s.keys[:0]
	for {
		s.seal(s.current)
		if len(s.current.runs) == 0 {
			if !s.promote(timeOf(until)) {
				return false
			}
			continue
		}
		time := s.current.earliest()
		if time > timeOf(until) {
			return false
		}
		s.push(s.current)
		if s.emit(time, limit, due); len(due.Hashes) > 0 {
			due.Timestamp = timestampOf(time)
			return true
		}
	}
}

// earliest returns the earliest time of a bucket whose log is empty.
func (b *bucket) earliest() uint64 {
	time := uint64(1<<64 - 1)
	for i := range b.runs {
		time = min(time, b.runs[i].at(b.runs[i].pos)[0])
	}
	return time
}

// emit takes timers of one time out of the current bucket, whose log is empty.
func (s *Service) emit(time uint64, limit int, due *backend.Due) {
	b := s.current
	for len(due.Hashes) < limit && len(b.runs) > 0 {
		if len(b.runs) == 1 {
			s.emitRun(time, limit, due)
			break
		}
		first := 0
		for i := 1; i < len(b.runs); i++ {
			if b.runs[i].compareHeads(&b.runs[first]) < 0 {
				first = i
			}
		}
		r := &b.runs[first]
		from, rec := r.records, r.at(r.pos)
		if rec[0] != time {
			break
		}
		var g group
		ended := false
		for i := first; i < len(b.runs); i++ {
			next := &b.runs[i]
			if i == first || compare(&from, rec, &next.records, next.at(next.pos)) == 0 {
				next.pos = s.applyAll(&g, next, next.pos)
				ended = ended || next.left() == 0
			}
		}
		if g.registered {
			s.fire(&from, rec, g.registeredIn, due)
		}
		if ended {
			b.dropEmpty(&s.memory)
		}
	}
	if len(b.runs) > 0 {
		b.first = b.earliest()
	}
}

// compareHeads compares the first timers of runs.
func (r *run) compareHeads(other *run) int {
	return compare(&r.records, r.at(r.pos), &other.records, other.at(other.pos))
}

func (b *bucket) dropEmpty(m *memory) {
	kept := b.runs[:0]
	for i := range b.runs {
		if b.runs[i].left() > 0 {
			kept = append(kept, b.runs[i])
		} else {
			b.runs[i].discard(m)
		}
	}
	b.runs = kept
}

// emitRun is emit for the only run. Its deletions have nothing to delete.
func (s *Service) emitRun(time uint64, limit int, due *backend.Due) {
	r := &s.current.runs[0]
	for len(due.Hashes) < limit && r.pos < r.n {
		words, n := r.stretch(r.pos, min(r.n, r.pos+limit-len(due.Hashes)))
		fired := s.fireAll(&r.records, words, time, due)
		if r.pos += fired; r.pos&(chunkRecords-1) == 0 {
			r.discardBefore(&s.memory, r.pos)
		}
		if fired < n {
			return
		}
	}
	if r.pos == r.n {
		s.current.dropEmpty(&s.memory)
	}
}

// fireAll hands out the timers of one time that words, the records of a run, begin with. It
// returns how many records that were.
func (s *Service) fireAll(r *records, words []uint64, time uint64, due *backend.Due) int {
	stride := r.shape.stride
	fired, plain := 0, r.shape.keyWords > 0
	for rest := words; len(rest) >= stride && rest[0] == time; rest = rest[stride:] {
		plain = plain && !deletes(rest) && versionOf(rest) >= s.versions.Current
		fired++
	}
	words = words[:fired*stride]
	if !plain {
		for ; len(words) > 0; words = words[stride:] {
			if rec := words[:stride:stride]; !deletes(rec) {
				s.fire(r, rec, versionOf(rec), due)
			}
		}
		return fired
	}
	s.timers -= fired
	due.Hashes = slices.Grow(due.Hashes, fired)
	if r.shape.keyWords == 1 {
		due.Words = slices.Grow(due.Words, fired)
		hashes, keys := due.Hashes[len(due.Hashes):][:fired], due.Words[len(due.Words):][:fired]
		for i := range hashes {
			rec := words[i*stride : i*stride+3]
			hashes[i], keys[i] = rec[1]&^(1<<32-1), rec[2]
		}
		due.Hashes = due.Hashes[:len(due.Hashes)+fired]
		due.Words = due.Words[:len(due.Words)+fired]
	} else {
		for at := 0; at < len(words); at += stride {
			due.Hashes = append(due.Hashes, words[at+1]&^(1<<32-1))
			due.Words = append(due.Words, words[at+2], words[at+3])
		}
	}
	if s.memory.shape.namespaceWords > 0 {
		for at := r.shape.namespaceAt; at < len(words); at += stride {
			due.Namespaces = append(due.Namespaces,
				words[at:at+r.shape.namespaceWords]...)
		}
	}
	return fired
}

// fire hands a timer out. One that may be in a snapshot is remembered.
func (s *Service) fire(r *records, rec []uint64, version uint16, due *backend.Due) {
	s.timers--
	if version < s.versions.Current {
		s.gone(r, rec, s.versions.Current)
	}
	due.Hashes = append(due.Hashes, rec[1]&^(1<<32-1))
	switch words := s.memory.shape.keyWords; words {
	case 1:
		due.Words = append(due.Words, rec[2])
	case 2:
		due.Words = append(due.Words, rec[2], rec[3])
	default:
		from := len(s.keys)
		s.keys = append(s.keys, r.arena.bytes(rec[2])...)
		due.Bytes = append(due.Bytes, s.keys[from:len(s.keys):len(s.keys)])
	}
	if s.memory.shape.namespaceWords > 0 {
		due.Namespaces = append(due.Namespaces, rec[s.memory.shape.namespaceAt:]...)
	}
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

// spread moves records to the buckets where they belong.
func (s *Service) spread(r *records, from int) {
	stride := r.shape.stride
	for from < r.n {
		words, n := r.stretch(from, r.n)
		for ; len(words) > 0; words = words[stride:] {
			rec := words[:stride:stride]
			b := s.bucketOf(rec[0], true)
			b.log.add(&s.memory, r, rec, rec[1])
			b.appended(rec)
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
