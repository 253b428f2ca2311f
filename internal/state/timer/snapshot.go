package timer

import (
	"cmp"
	"slices"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/state/backend"
)

// image is what a snapshot takes of a service: operations as they lay at Begin.
type image struct {
	full          bool
	version, base uint16    // what has these versions, above base, is in it
	waiting       []*bucket // not copied yet; some of them by push meanwhile
	operations    records
	gone          []records // parts of the delete log
	done          bool
}

// mark is what a snapshot has yet to copy of a bucket: the records of its runs from run and
// at on, then its log up to end. Valid while image is that of the service.
type mark struct {
	image   *image
	run, at int
	end     int // of the log
}

// goneIn is the part of the delete log for one version: what has gone in it.
type goneIn struct {
	version uint16
	records records
}

// gone remembers that a timer that may be in a snapshot went in a version.
func (s *Service) gone(r *records, rec []uint64, version uint16) {
	if version > s.versions.Confirmed {
		s.remember(r, rec, version)
	}
}

func (s *Service) remember(r *records, rec []uint64, version uint16) {
	i, found := slices.BinarySearchFunc(s.gones, version, func(g goneIn, v uint16) int {
		return cmp.Compare(g.version, v)
	})
	if !found {
		s.gones = slices.Insert(s.gones, i, goneIn{
			version: version, records: records{shape: s.memory.shape},
		})
	}
	s.gones[i].records.add(&s.memory, r, rec, operation(rec[1], version, true))
}

// Begin notes what belongs to the image.
func (s *Service) Begin(full bool) {
	invariant.Check(s.image == nil, "timers: a snapshot begins before the one before is released")
	im := &image{full: full, version: s.versions.Image, base: s.versions.Base}
	im.operations.shape = s.memory.shape
	s.image = im
	s.each(func(b *bucket) {
		if b.len() == 0 || !full && b.newest <= im.base {
			return
		}
		b.mark = mark{image: im, end: b.log.n}
		if len(b.runs) > 0 {
			b.mark.at = b.runs[0].pos
		}
		im.waiting = append(im.waiting, b)
	})
	if full {
		return
	}
	for i := range s.gones {
		if g := &s.gones[i]; g.version > im.base && g.version <= im.version {
			im.gone = append(im.gone, g.records.frozen())
		}
	}
}

// each calls f for every bucket.
func (s *Service) each(f func(b *bucket)) {
	f(s.current)
	s.wheel.each(f)
}

// push copies what is left of a bucket to the image, before it changes.
func (s *Service) push(b *bucket) {
	if b.mark.image == nil || b.mark.image != s.image {
		return
	}
	s.copyMarked(b, 1<<62)
}

// copyMarked copies records of a bucket, looking at most at limit bytes, and returns how many
// it looked at. The mark goes when all is copied.
func (s *Service) copyMarked(b *bucket, limit int) int {
	m, size := &b.mark, 8*s.memory.shape.stride
	looked := 0
	for m.run < len(b.runs) && looked < limit {
		r := &b.runs[m.run]
		to := min(r.n, m.at+(limit-looked+size-1)/size)
		s.copyRange(&r.records, m.at, to)
		looked += (to - m.at) * size
		if m.at = to; m.at == r.n {
			if m.run, m.at = m.run+1, 0; m.run < len(b.runs) {
				m.at = b.runs[m.run].pos
			}
		}
	}
	if m.run == len(b.runs) && looked < limit {
		to := min(m.end, m.at+(limit-looked+size-1)/size)
		s.copyRange(&b.log, m.at, to)
		looked += (to - m.at) * size
		if m.at = to; m.at == m.end {
			b.mark = mark{}
		}
	}
	return looked
}

// copyRange copies the records of a stretch that belong to the image.
func (s *Service) copyRange(r *records, from, to int) {
	im := s.image
	for i := from; i < to; i++ {
		rec := r.at(i)
		if v := versionOf(rec); im.full || v > im.base {
			im.operations.add(&s.memory, r, rec, rec[1])
		}
	}
}

// Step copies some of the image.
func (s *Service) Step(budget int) (used int, done bool, err error) {
	im := s.image
	invariant.Check(im != nil, "timers: a step without a snapshot")
	for used < budget && len(im.waiting) > 0 {
		b := im.waiting[0]
		if b.mark.image == im {
			used += max(s.copyMarked(b, budget-used), 1)
		}
		if b.mark.image != im {
			im.waiting = im.waiting[1:]
		}
	}
	im.done = len(im.waiting) == 0
	return used, im.done, nil
}

// Result describes the image.
func (s *Service) Result() (rows int, bytes int64, entries func() backend.Entries) {
	im := s.image
	invariant.Check(im != nil && im.done, "timers: the result of a snapshot before it is done")
	rows, bytes = im.operations.n, im.operations.serialBytes()
	for i := range im.gone {
		rows += im.gone[i].n
		bytes += im.gone[i].serialBytes()
	}
	return rows, bytes, func() backend.Entries { return newEntries(s.layout, im) }
}

// serialBytes is about what the entries of all records take.
func (r *records) serialBytes() int64 {
	total := int64(r.n) * int64(8*(r.shape.stride-1))
	for _, chunk := range r.arena.chunks {
		total += int64(len(chunk))
	}
	return total
}

// Release frees the image.
func (s *Service) Release() {
	if s.image != nil {
		s.image.operations.abandon(&s.memory)
		s.image.waiting, s.image.gone = nil, nil
		s.image = nil
	}
}

// Confirmed forgets what has gone in confirmed versions.
func (s *Service) Confirmed() {
	for len(s.gones) > 0 && s.gones[0].version <= s.versions.Confirmed {
		s.gones[0].records.abandon(&s.memory)
		s.gones = slices.Delete(s.gones, 0, 1)
	}
}

// Renumber gives all records new versions.
func (s *Service) Renumber(mapped func(uint16) uint16) {
	renumber := func(r *records, from int) {
		for i := from; i < r.n; i++ {
			rec := r.at(i)
			rec[1] = operation(rec[1], mapped(versionOf(rec)), deletes(rec))
		}
	}
	s.each(func(b *bucket) {
		for i := range b.runs {
			renumber(&b.runs[i].records, b.runs[i].pos)
		}
		renumber(&b.log, 0)
		b.newest = mapped(b.newest)
	})
	old := s.gones
	s.gones = nil
	for i := range old {
		g := &old[i]
		version := mapped(g.version)
		for j := range g.records.n {
			s.remember(&g.records, g.records.at(j), version)
		}
		g.records.abandon(&s.memory)
	}
}

// MemoryBytes is what the service occupies.
func (s *Service) MemoryBytes() int64 {
	return s.memory.bytes + int64(16*(cap(s.sorter.items)+cap(s.sorter.spare)))
}
