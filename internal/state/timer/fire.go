package timer

import (
	"slices"

	"github.com/leat-io/leat/state/backend"
)

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
