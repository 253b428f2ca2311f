package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Severity says what a finding means.
type Severity uint8

// The severities.
const (
	Note     Severity = iota // how things are; nothing is to be done
	Garbage                  // of no use, costs room; a sweep or a person removes it
	Defect                   // a checkpoint cannot be restored, or a record cannot be read
	severity                 // number of severities
)

// String returns the name in lower case.
func (s Severity) String() string {
	if s < severity {
		return [...]string{"note", "garbage", "defect"}[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// Finding is one thing that Fsck noticed.
type Finding struct {
	Severity Severity
	URI      string
	Bytes    int64
	What     string
}

// Report is what Fsck found below a root.
type Report struct {
	Findings    []Finding // the worst first, then by place
	Jobs        int
	Checkpoints int // complete ones, by their records
	Objects     int
	Bytes       int64
}

// Defects is the number of findings of that severity.
func (r *Report) Defects() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Defect {
			n++
		}
	}
	return n
}

// Fsck compares the records below a root with what lies there and changes nothing: files that no
// complete checkpoint refers to, missing ones, records without metadata and metadata without
// records, half-written savepoints, what crashed writers left. It compares sizes and does not read
// files with state, which Verify does. Beside a running job, what is in the making shows as garbage
// and may be gone when somebody looks.
func Fsck(
	ctx context.Context, registry *filesystem.Registry, root string,
) (*Report, error) {
	files, rootPath, err := registry.Resolve(root)
	if err != nil {
		return nil, fmt.Errorf("store: check %q: %w", root, err)
	}
	f := &fsck{ctx: ctx, registry: registry, files: files, root: rootPath,
		objects: map[filesystem.Path]filesystem.Entry{}, explained: map[filesystem.Path]bool{}}
	if err := f.run(); err != nil {
		return nil, fmt.Errorf("store: check %q: %w", root, err)
	}
	slices.SortStableFunc(f.report.Findings, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		return strings.Compare(a.URI, b.URI)
	})
	return &f.report, nil
}

type fsck struct {
	ctx      context.Context
	registry *filesystem.Registry
	files    filesystem.FileSystem
	root     filesystem.Path
	report   Report

	objects   map[filesystem.Path]filesystem.Entry
	explained map[filesystem.Path]bool // objects about which all is said
}

func (f *fsck) find(s Severity, p filesystem.Path, what string, args ...any) {
	f.report.Findings = append(f.report.Findings, Finding{
		Severity: s, URI: uriOf(f.files, p), Bytes: f.objects[p].Size,
		What: fmt.Sprintf(what, args...),
	})
	f.explained[p] = true
}

func (f *fsck) run() error {
	entries, err := collect(f.files.List(f.ctx, f.root, true))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		f.objects[entry.Path] = entry
		f.report.Objects++
		f.report.Bytes += entry.Size
	}
	names, problems, err := jobNames(f.ctx, f.registry, uriOf(f.files, f.root))
	if err != nil && !errors.Is(err, ErrNoCheckpoint) {
		return err
	}
	if err != nil && len(entries) == 0 {
		return err // There is nothing at all: probably another place was meant.
	}
	for _, problem := range problems {
		f.find(Defect, path.Join(f.root, controlName), "%v", problem)
	}
	for _, name := range names {
		if err := f.job(name); err != nil {
			return err
		}
	}
	f.metadataWithoutRecord()
	f.savepoints()
	f.orphans()
	return f.inProgress()
}

// job checks the records of one name and the checkpoints they complete.
func (f *fsck) job(name string) error {
	s, err := Open(f.ctx, f.registry, uriOf(f.files, f.root), name)
	if err != nil {
		return err
	}
	f.report.Jobs++
	listed, err := s.list(f.ctx)
	if err != nil {
		return err
	}
	complete, fences, skips := 0, 0, 0
	for _, number := range listed.checkpoints {
		p := s.recordPath(checkpointPrefix, number, "")
		f.explained[p] = true
		r, err := s.record(f.ctx, number)
		switch {
		case errors.Is(err, filesystem.ErrNotExist):
		case err != nil:
			f.find(Defect, p, "%v; a start from latest stops here", cause(err))
		case r.IsCheckpoint():
			complete++
			f.checkpoint(s, r, !listed.isMarked(number) && number == newestOf(listed, s, f.ctx))
		case r.Kind == kindFence:
			fences++
		default:
			skips++
		}
	}
	for _, number := range listed.generations {
		f.explained[s.recordPath(generationPrefix, number, "")] = true
	}
	for _, number := range listed.committed {
		p := s.recordPath(checkpointPrefix, number, committedSuffix)
		f.explained[p] = true
		if _, ok := slices.BinarySearch(listed.checkpoints, number); !ok {
			f.find(Garbage, p, "committed mark of checkpoint %d, which has no record", number)
		}
	}
	f.report.Checkpoints += complete
	f.find(Note, s.control, "job %q: generation %d, last number %d, %s, %s, %s", name,
		listed.newestGeneration(), listed.newestCheckpoint(),
		count(complete, "complete checkpoint"), count(fences, "fence"), count(skips, "skip"))
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newestOf(listed control, s *Store, ctx context.Context) uint64 {
	r, err := s.newestRecord(ctx, listed)
	if err != nil || r == nil {
		return 0
	}
	return r.Checkpoint
}

// cause is an error without the place, which the finding has.
func cause(err error) error {
	if _, rest, ok := strings.Cut(err.Error(), `": `); ok {
		return errors.New(rest)
	}
	return err
}

// checkpoint checks what a record completes.
func (f *fsck) checkpoint(s *Store, r *Record, uncommitted bool) {
	p := path.Join(f.root, r.Path)
	if r.IsSavepoint() {
		p = f.savepointOf(r)
	}
	f.explained[p] = true
	f.explained[path.Join(path.Dir(p), contentsName)] = true
	found, err := s.loadRecord(f.ctx, r)
	if err != nil {
		if errors.Is(err, ErrNoMetadata) {
			err = fmt.Errorf("missing, and the record of checkpoint %d of job %q names it",
				r.Checkpoint, s.name)
		} else {
			err = cause(err)
		}
		f.find(Defect, p, "%v", err)
		return
	}
	if uncommitted {
		f.find(Note, s.recordPath(checkpointPrefix, r.Checkpoint, ""), "checkpoint %d of job %q "+
			"is complete and not marked as committed: the next start commits it first",
			r.Checkpoint, s.name)
	}
	label := fmt.Sprintf("checkpoint %d of job %q", r.Checkpoint, s.name)
	f.references(found, label)
}

// savepointOf returns the metadata of a savepoint with which the job was stopped, if it lies in
// this store, else the records.
func (f *fsck) savepointOf(r *Record) filesystem.Path {
	files, dir, err := f.registry.Resolve(r.URI)
	if err != nil || files.Scheme() != f.files.Scheme() {
		return path.Join(f.root, controlName)
	}
	return path.Join(dir, metadataName)
}

// references reports the files of a checkpoint that are not as recorded.
func (f *fsck) references(found *Found, label string) {
	seen := map[string]bool{}
	for _, operator := range found.Meta.Operators {
		for _, subtask := range operator.GetSubtasks() {
			for _, pane := range subtask.GetKeyed().GetPanes() {
				for _, r := range pane.GetRuns() {
					file := r.GetFile()
					if file == nil || seen[file.GetPath()] {
						continue
					}
					seen[file.GetPath()] = true
					f.reference(found, file.GetPath(), file.GetSize(), label)
				}
			}
		}
	}
}

func (f *fsck) reference(found *Found, reference string, size int64, label string) {
	p := path.Join(found.Dir, reference)
	f.explained[p] = true
	entry, there := f.objects[p]
	if !there && (found.FS != f.files || !strings.HasPrefix(p, f.root+"/")) {
		// A savepoint that lies elsewhere.
		var err error
		entry, err = found.FS.Stat(f.ctx, p)
		there = err == nil
	}
	if there && entry.Size == size {
		return
	}
	if there {
		f.find(Defect, p, "%d bytes, but %s recorded %d", entry.Size, label, size)
		return
	}
	object, err := found.OpenFile(f.ctx, reference) // Perhaps at its origin.
	if err != nil {
		f.find(Defect, p, "missing, and %s needs it", label)
		return
	}
	_ = object.Close() // Only its being there counted.
	f.find(Note, p, "not here, but %s finds it at its origin %q; copy the files or keep that place",
		label, found.Meta.Header.GetOrigin())
}

// metadataWithoutRecord reports checkpoints that nobody completed, or whose record is gone.
func (f *fsck) metadataWithoutRecord() {
	for p := range f.objects {
		dir := path.Dir(p)
		_, isChk := parseNumbered(path.Base(dir), chkPrefix)
		if !isChk || path.Base(p) != metadataName || f.explained[p] ||
			path.Dir(path.Dir(dir)) != f.root {
			continue
		}
		f.explained[path.Join(dir, contentsName)] = true
		found, _, err := read(f.ctx, f.registry, uriOf(f.files, dir))
		if err != nil {
			f.find(Defect, p, "%v; no record names it", cause(err))
			continue
		}
		f.find(Garbage, p, "checkpoint %d of job %q has no record: it was not completed, or its "+
			"record was removed or not copied; it can be restored from by its path",
			found.Meta.Header.GetCheckpointId(), found.Meta.Header.GetJobName())
	}
}

// savepoints checks the savepoints below the root.
func (f *fsck) savepoints() {
	dirs := map[filesystem.Path]bool{}
	for p := range f.objects {
		dir := path.Dir(p)
		if strings.HasPrefix(path.Base(dir), savepointPrefix) {
			dirs[dir] = true
		}
	}
	for dir := range dirs {
		found, _, err := read(f.ctx, f.registry, uriOf(f.files, dir))
		size, objects := int64(0), 0
		for p, entry := range f.objects {
			if path.Dir(p) == dir {
				f.explained[p] = err != nil || path.Base(p) == metadataName ||
					path.Base(p) == contentsName
				size += entry.Size
				objects++
			}
		}
		switch {
		case errors.Is(err, ErrNoMetadata):
			f.find(Garbage, dir, "half-written savepoint: %s of %d bytes and no _metadata; "+
				"remove it", count(objects, "file"), size)
			f.report.Findings[len(f.report.Findings)-1].Bytes = size
		case err != nil:
			f.find(Defect, path.Join(dir, metadataName), "%v", cause(err))
		default:
			f.references(found, fmt.Sprintf("savepoint %q", path.Base(dir)))
			if found.Meta.Header.GetKind() != meta.KindSavepoint {
				f.find(Note, dir, "a %s in the directory of a savepoint",
					found.Meta.Header.GetKind())
			}
		}
	}
}

// orphans reports what nothing refers to.
func (f *fsck) orphans() {
	for p := range f.objects {
		if f.explained[p] {
			continue
		}
		_, state := ParseDataFileName(path.Base(p))
		inside := strings.TrimPrefix(p, f.root+"/")
		switch top, _, _ := strings.Cut(inside, "/"); {
		case state && strings.HasPrefix(path.Base(path.Dir(p)), savepointPrefix):
			f.find(Garbage, p, "the savepoint does not refer to it")
		case state:
			f.find(Garbage, p, "orphan: no complete checkpoint refers to it; the job's next sweep "+
				"removes it if it belongs to no checkpoint in the making")
		case path.Base(p) == contentsName:
			f.find(Garbage, p, "the metadata it describes is gone")
		case meta.IsJobID(top) || top == controlName ||
			strings.HasPrefix(path.Base(path.Dir(p)), savepointPrefix):
			f.find(Note, p, "not written by Leat under this name; never touched")
		}
	}
}

// inProgress reports what writers have begun and not finished.
func (f *fsck) inProgress() error {
	entries, err := collect(f.files.ListInProgress(f.ctx, f.root))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		f.objects[entry.Path] = entry
		f.find(Garbage, entry.Path, "being written, or left by a writer that was killed")
	}
	return nil
}
