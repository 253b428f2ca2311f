package store

import (
	"path"
	"slices"
	"strings"

	"github.com/leat-io/leat/filesystem"
)

// keptFences is how many fences stay, the newest ones. A fence is the number at which the master
// before it fails; while it is there, that master cannot even create a stray record. For older ones
// the listing after each creation does the same later.
const keptFences = 32

// view is what a sweep has seen. Files were listed before the records were read, so that a file is
// either in progress, or referred to by a record that was read, or garbage.
type view struct {
	generation uint64 // of the master that sweeps
	jobID      string
	listed     control
	records    map[uint64]*Record
	retained   map[uint64]bool // checkpoints of this job that stay
	newest     uint64          // newest completed checkpoint of this job

	job        []filesystem.Entry // objects below the job's directory
	inProgress []filesystem.Entry // objects in progress there and in the directory of the job name
	marks      marks
	keep       func(DataFileName) bool
	idle       bool // no checkpoint is to come
}

// plan is what a sweep removes, in this order. Whatever is interrupted leaves no record without
// metadata that a restore would take, and no metadata without its files that a record names.
type plan struct {
	records  []filesystem.Path
	metadata []filesystem.Path
	files    []filesystem.Path
	// generations are records too. They go last: they tell where the files of masters are that
	// completed nothing.
	generations []filesystem.Path
	bytes       int64                    // of metadata and files
	orphaned    map[filesystem.Path]bool // directories of such masters
}

// makePlan decides what to remove. dirs tells where things are.
func makePlan(v view, s *Store) plan {
	var p plan
	p.planRecords(v, s)
	job := s.jobDir(v.jobID)
	for _, entry := range v.job {
		inside := strings.TrimPrefix(entry.Path, job+"/")
		top, base, _ := strings.Cut(inside, "/")
		number, isChk := parseNumbered(top, chkPrefix)
		switch {
		case isChk && v.isGone(number) && base == metadataName:
			p.metadata = append(p.metadata, entry.Path)
		case isChk && v.isGone(number), top == sharedName && v.isGarbage(entry.Path, base):
			p.files = append(p.files, entry.Path)
		default:
			continue
		}
		p.bytes += entry.Size
	}
	for _, entry := range v.inProgress {
		if v.isAbandoned(entry.Path, job) {
			p.files = append(p.files, entry.Path)
			p.bytes += entry.Size
		}
	}
	return p
}

func (p *plan) planRecords(v view, s *Store) {
	oldest := v.newest
	for number := range v.retained {
		oldest = min(oldest, number)
	}
	remains := map[uint64]bool{}
	fences := 0
	for _, number := range slices.Backward(v.listed.checkpoints) {
		r := v.records[number]
		// The newest number stays whatever it is: numbers go on from there.
		remove := r != nil && number < v.listed.newestCheckpoint() && r.Generation <= v.generation
		if remove && r.IsCheckpoint() {
			remove = r.JobID == v.jobID && !v.retained[number]
		} else if remove {
			remove = number < oldest && (r.Kind != kindFence || fences >= keptFences)
		}
		if r != nil && r.Kind == kindFence {
			fences++
		}
		remains[number] = !remove
		if remove {
			p.records = append(p.records, s.recordPath(checkpointPrefix, number, ""))
		}
	}
	for _, number := range v.listed.committed {
		if !remains[number] && number < v.newest {
			p.records = append(p.records,
				s.recordPath(checkpointPrefix, number, committedSuffix))
		}
	}
	for _, number := range v.listed.generations {
		if number < v.generation {
			p.generations = append(p.generations, s.recordPath(generationPrefix, number, ""))
		}
	}
}

// isGone tells whether the directory of a checkpoint is of no use: not retained, and not that of a
// checkpoint still to be completed, whose number nobody has claimed yet.
func (v view) isGone(number uint64) bool {
	return !v.retained[number] && number <= v.listed.newestCheckpoint()
}

// isGarbage tells whether a file under shared is of no use. What has another form of name was not
// made by us and is left alone.
func (v view) isGarbage(p filesystem.Path, base string) bool {
	name, ok := ParseDataFileName(base)
	if _, marked := v.marks[p]; !ok || marked {
		return false
	}
	return v.isOver(name) && (v.keep == nil || !v.keep(name))
}

// isOver tells whether the checkpoint for which a file was made is completed or will never be: the
// file is of an earlier generation, or of ours and no newer than the newest completed checkpoint,
// or of ours and nothing is to come.
// Files of a newer generation are never touched.
func (v view) isOver(name DataFileName) bool {
	return name.Generation < v.generation ||
		name.Generation == v.generation && (name.Checkpoint <= v.newest || v.idle)
}

// isAbandoned is isGone and isGarbage for an object in progress, judged by where it would go.
func (v view) isAbandoned(p, job filesystem.Path) bool {
	target, ok := filesystem.InProgressTarget(p)
	if !ok {
		return false
	}
	dir, base := path.Split(target)
	dir = path.Clean(dir)
	if dir == path.Join(job, sharedName) {
		return v.isGarbage(target, base)
	}
	if number, ok := parseNumbered(path.Base(dir), chkPrefix); ok && path.Dir(dir) == job {
		return v.isGone(number)
	}
	if number, ok := parseNumbered(base, generationPrefix); ok {
		return number <= v.generation
	}
	number, ok := parseNumbered(strings.TrimSuffix(base, committedSuffix), checkpointPrefix)
	ok = ok || base == fenceZero
	// The newest numbers may be in the making: a committed mark comes after its record.
	return ok && number < v.newest
}
