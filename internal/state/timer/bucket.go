package timer

// bucket holds timers of some stretch of time: runs, oldest first, and a log of operations
// made since.
type bucket struct {
	runs []run
	log  records
	// first and last bound the times of all operations.
	first, last uint64
	newest      uint16 // version
	sealAt      int    // records of the log at which it is sorted
	deletes     bool   // the log or a run holds deletions
	mark        mark
}

// run is sorted in firing order and has at most a deletion and a registration, in this order,
// for each timer. A deletion is for a timer in an older run.
type run struct {
	records
	pos int // records before it are gone
}

func (r *run) left() int { return r.n - r.pos }

func (b *bucket) len() int {
	n := b.log.n
	for i := range b.runs {
		n += b.runs[i].left()
	}
	return n
}

// A log is sorted when it is logShare times as large as the runs, and has leastLog operations:
// else registering a timer again and again would take memory. While nearly all operations turn
// out to be timers of their own, this is put off.
const (
	leastLog    = chunkRecords
	logShare    = 2
	patientLog  = 8 * leastLog
	patientLogs = 8 // logShare then
	// A log of which as many timers in a hundred are left holds hardly anything else.
	nearlyAll = 90
)

// sealAt returns how long the log of a bucket with so many records in runs may become.
func (s *Service) sealAt(runs int) int {
	if s.patient {
		return max(patientLog, patientLogs*runs)
	}
	return max(leastLog, logShare*runs)
}

// appended notes that a record was added to the log.
func (b *bucket) appended(rec []uint64) {
	b.first, b.last = min(b.first, rec[0]), max(b.last, rec[0])
	b.newest = max(b.newest, versionOf(rec))
	b.deletes = b.deletes || deletes(rec)
}

// group is what operations on one timer come to: perhaps a deletion of what was there before,
// then perhaps a registration.
type group struct {
	deleted, registered     bool
	deletedIn, registeredIn uint16
}

// apply adds an operation to a group. A timer that was registered in an earlier version than
// that of its deletion was there when a snapshot began.
func (s *Service) apply(g *group, r *records, rec []uint64) {
	version := versionOf(rec)
	if !deletes(rec) {
		if g.registered {
			s.timers--
		} else {
			g.registered, g.registeredIn = true, version
		}
		return
	}
	if g.registered {
		s.timers--
		if g.registeredIn < version {
			s.gone(r, rec, version)
		}
		g.registered = false
	}
	if !g.deleted {
		g.deleted, g.deletedIn = true, version
	}
}

// put writes a group to a run. The oldest run of a bucket has no use for deletions.
func (s *Service) put(g group, to *records, r *records, rec []uint64, oldest bool) {
	if g.deleted && !oldest {
		to.add(&s.memory, r, rec, operation(rec[1], g.deletedIn, true))
	}
	if g.registered {
		to.add(&s.memory, r, rec, operation(rec[1], g.registeredIn, false))
	}
}

// seal sorts the log of a bucket into a run, and merges runs so that each is more than twice
// as large as the next.
func (s *Service) seal(b *bucket) {
	if b.log.n == 0 {
		return
	}
	s.push(b)
	operations := b.log.n
	next := run{records: s.sorted(&b.log, len(b.runs) == 0, b.deletes)}
	s.repeated(operations, next.n)
	if operations >= leastLog {
		s.patient = 100*next.n >= nearlyAll*operations
	}
	b.log.discard(&s.memory)
	for len(b.runs) > 0 {
		last := &b.runs[len(b.runs)-1]
		if last.left() > 2*next.n {
			break
		}
		merged := run{records: s.merge(last, &next, len(b.runs) == 1)}
		last.discard(&s.memory)
		next.discard(&s.memory)
		b.runs, next = b.runs[:len(b.runs)-1], merged
	}
	if next.n > 0 {
		b.runs = append(b.runs, next)
	}
	s.measure(b)
}

// measure computes the bounds anew.
func (s *Service) measure(b *bucket) {
	b.first, b.last, b.deletes = 1<<64-1, 0, len(b.runs) > 1
	b.sealAt = s.sealAt(b.len())
	for i := range b.runs {
		r := &b.runs[i]
		b.first, b.last = min(b.first, r.at(r.pos)[0]), max(b.last, r.at(r.n - 1)[0])
	}
}

// sorted makes a run of a log, which it may take over. deletes says whether there are
// deletions.
func (s *Service) sorted(log *records, oldest, deletions bool) records {
	out := records{shape: log.shape}
	significant, exact, sorted, strictly := s.sorter.load(log)
	asTheyAre := !oldest || !deletions // operations that are the only ones on their timers
	if strictly && asTheyAre {
		out, *log = *log, out
		return out
	}
	if !sorted {
		s.sorter.sort(significant, exact, func(a, b uint32) int {
			return compare(log, log.at(int(a)), log, log.at(int(b)))
		})
		if asTheyAre && s.sorter.distinct() {
			out.gather(&s.memory, log, s.sorter.items)
			return out
		}
	}
	items := s.sorter.items
	for from := 0; from < len(items); {
		rec := log.at(int(items[from].at))
		if from+1 == len(items) || items[from+1].prefix != items[from].prefix {
			if from++; !oldest || !deletes(rec) { // the only operation on its timer
				out.add(&s.memory, log, rec, rec[1])
			}
			continue
		}
		var g group
		to := from
		for ; to < len(items) && items[to].prefix == items[from].prefix; to++ {
			next := log.at(int(items[to].at))
			if !exact && to > from && compare(log, rec, log, next) != 0 {
				break
			}
			s.apply(&g, log, next)
		}
		s.put(g, &out, log, rec, oldest)
		from = to
	}
	return out
}

// merge makes one run of two.
func (s *Service) merge(older, newer *run, oldest bool) records {
	out := records{shape: older.shape}
	i, j := older.pos, newer.pos
	for i < older.n || j < newer.n {
		c := -1
		switch {
		case i == older.n:
			c = 1
		case j < newer.n:
			c = compare(&older.records, older.at(i), &newer.records, newer.at(j))
		}
		if c < 0 && !deletes(older.at(i)) {
			out.add(&s.memory, &older.records, older.at(i), older.at(i)[1])
			i++
			continue
		}
		if c > 0 && !deletes(newer.at(j)) {
			out.add(&s.memory, &newer.records, newer.at(j), newer.at(j)[1])
			j++
			continue
		}
		var g group
		from, rec := &older.records, []uint64(nil)
		if c <= 0 {
			rec = older.at(i)
			i = s.applyAll(&g, older, i)
		}
		if c >= 0 {
			if c > 0 {
				from, rec = &newer.records, newer.at(j)
			}
			j = s.applyAll(&g, newer, j)
		}
		s.put(g, &out, from, rec, oldest)
	}
	return out
}

// applyAll adds the operations of a run on the timer of its i-th record to a group, and
// returns where the next timer is.
func (s *Service) applyAll(g *group, r *run, i int) int {
	rec := r.at(i)
	s.apply(g, &r.records, rec)
	i++
	// A deletion may have a registration behind it.
	if deletes(rec) && i < r.n {
		if next := r.at(i); !deletes(next) && compare(&r.records, rec, &r.records, next) == 0 {
			s.apply(g, &r.records, next)
			i++
		}
	}
	return i
}
