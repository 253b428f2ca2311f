package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
	"github.com/leat-io/leat/internal/protocol"
)

// Outcome is what became of a checkpoint given to PublishCheckpoint.
type Outcome uint8

// The outcomes.
const (
	// Failed: the checkpoint is not complete and never will be. The master may go on with the next.
	Failed Outcome = iota
	// Committed: the checkpoint is complete. The sinks may commit.
	Committed
	// Fenced: another master has taken over. Stop, commit nothing, delete nothing.
	Fenced
	// Unknown: the checkpoint may be complete or not. Stop, commit nothing, discard nothing; the
	// next master finds out and, if it is complete, commits it.
	Unknown
)

// String returns the name in lower case.
func (o Outcome) String() string {
	switch o {
	case Failed:
		return "failed"
	case Committed:
		return "committed"
	case Fenced:
		return "fenced"
	case Unknown:
		return "unknown"
	}
	return "Outcome(" + strconv.Itoa(int(o)) + ")"
}

// publishing is a checkpoint on its way, or completed since the last sweep began.
type publishing struct {
	marks marks
	done  bool
}

// attempt is one call of PublishCheckpoint.
type attempt struct {
	number   uint64
	dir      filesystem.Path
	metadata []byte
	contents []byte
	record   *Record
	marks    marks
	claimed  uint64 // numbers up to here were taken when it began
	terminal bool   // a savepoint with which the job is stopped
}

// PublishCheckpoint completes a checkpoint: it writes `_metadata` and `contents.json` into the
// checkpoint's directory and then creates the checkpoint record, which is the commit point. Every
// file the checkpoint refers to must have been published before.
//
// Job id and lineage in the header must be those given by Adopt, the generation that of gen, and
// the checkpoint id larger than all before; ids may be left out. The origin in the header is set
// here, in a copy. The error is nil for Committed only; it wraps ErrFenced for Fenced and
// ErrUnknown for Unknown. Both of these end this master: every later call returns the same.
func (s *Store) PublishCheckpoint(
	ctx context.Context, gen Generation, c *meta.Checkpoint,
) (Outcome, error) {
	outcome, err := s.publishCheckpoint(ctx, gen, c)
	if err != nil {
		err = fmt.Errorf("store: publish checkpoint %d of %q: %w",
			c.Header.GetCheckpointId(), s.name, err)
	}
	return outcome, err
}

func (s *Store) publishCheckpoint(
	ctx context.Context, gen Generation, c *meta.Checkpoint,
) (Outcome, error) {
	a, err := s.prepare(gen, c)
	if errors.Is(err, ErrSwept) {
		// A stale master judges its own files by the checkpoints of the one after it: what it
		// is to be told then is that it is stale, not to try the next checkpoint.
		if fenced := s.stillNewest(ctx, gen); errors.Is(fenced, ErrFenced) {
			err = fenced
		}
	}
	if err != nil {
		return outcomeOf(err), err
	}
	outcome, err := s.run(ctx, gen, a)
	switch outcome {
	case Committed:
		s.commit(a)
	case Failed:
		s.mu.Lock()
		delete(s.mu.publish, a.number)
		s.mu.Unlock()
	case Fenced, Unknown:
		err = s.stop(err)
	}
	return outcome, err
}

func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, ErrFenced):
		return Fenced
	case errors.Is(err, ErrUnknown):
		return Unknown
	}
	return Failed
}

// prepare checks and encodes the checkpoint and announces it to the sweep.
func (s *Store) prepare(gen Generation, c *meta.Checkpoint) (*attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped != nil {
		return nil, s.mu.stopped
	}
	if gen.Number == 0 || gen.Number != s.mu.generation {
		return nil, fmt.Errorf("%w: generation is %d here, not %d",
			ErrFenced, s.mu.generation, gen.Number)
	}
	if err := s.checkHeaderLocked(c.Header); err != nil {
		return nil, err
	}
	if k := c.Header.GetKind(); k != meta.KindCheckpoint && k != meta.KindFinal {
		return nil, fmt.Errorf("kind %q is not that of a checkpoint", k)
	}
	a, err := s.encode(c)
	if err != nil {
		return nil, err
	}
	if err := s.mu.swept.check(s, a.marks); err != nil {
		return nil, err
	}
	a.claimed, a.record.Parent = s.mu.claimed, s.mu.parent
	s.mu.publish[a.number] = &publishing{marks: a.marks}
	return a, nil
}

func (s *Store) checkHeaderLocked(h *protocol.CheckpointHeader) error {
	switch {
	case h.GetGeneration() != s.mu.generation:
		return fmt.Errorf("header is of generation %d, not %d", h.GetGeneration(), s.mu.generation)
	case h.GetJobName() != s.name:
		return fmt.Errorf("header is of job %q, not %q", h.GetJobName(), s.name)
	case h.GetJobId() != s.mu.identity.JobID || h.GetLineage() != s.mu.identity.Lineage:
		return fmt.Errorf("header is of job id %q and lineage %q, adopted are %q and %q",
			h.GetJobId(), h.GetLineage(), s.mu.identity.JobID, s.mu.identity.Lineage)
	case h.GetCheckpointId() <= s.mu.claimed:
		return fmt.Errorf("checkpoint id %d is used, the last one is %d",
			h.GetCheckpointId(), s.mu.claimed)
	}
	return nil
}

func (s *Store) encode(c *meta.Checkpoint) (*attempt, error) {
	dir := s.chkDir(c.Header.GetJobId(), c.Header.GetCheckpointId())
	a, err := s.encodeAt(c, s.fs, dir)
	if err == nil {
		a.record.Path = path.Join(a.record.JobID, path.Base(dir), metadataName)
	}
	return a, err
}

// encodeAt makes an attempt with metadata in a directory. Its record lacks the place.
func (s *Store) encodeAt(
	c *meta.Checkpoint, files filesystem.FileSystem, dir filesystem.Path,
) (*attempt, error) {
	h := proto.CloneOf(c.Header)
	number := h.GetCheckpointId()
	a := &attempt{number: number, dir: dir}
	h.Origin = uriOf(files, a.dir)
	whole := &meta.Checkpoint{Header: h, Operators: c.Operators, Unknown: c.Unknown}
	var err error
	if a.metadata, err = meta.Encode(whole); err != nil {
		return nil, err
	}
	if a.contents, err = meta.ContentsJSON(whole); err != nil {
		return nil, err
	}
	a.marks = marksOf(a.dir, whole)
	digest := sha256.Sum256(a.metadata)
	a.record = &Record{
		Kind:          h.GetKind(),
		Name:          s.name,
		Generation:    h.GetGeneration(),
		Owner:         s.owner,
		Checkpoint:    number,
		JobID:         h.GetJobId(),
		Lineage:       h.GetLineage(),
		Digest:        hex.EncodeToString(digest[:]),
		Bytes:         int64(len(a.metadata)),
		TriggerMillis: h.GetTriggerMillis(),
	}
	return a, nil
}

func marksOf(dir filesystem.Path, c *meta.Checkpoint) marks {
	m := make(marks)
	for reference := range c.Files {
		m[path.Join(dir, reference)] = struct{}{}
	}
	return m
}

// run does the writing. The numbers left out are claimed before anything else: whoever holds them
// all is not stale, so that a stale master does not even write a file.
func (s *Store) run(ctx context.Context, gen Generation, a *attempt) (Outcome, error) {
	if outcome, err := s.skipTo(ctx, gen, a.claimed, a.number-1); err != nil {
		return outcome, err
	}
	metadata := path.Join(a.dir, metadataName)
	switch verdict, err := create(ctx, s.fs, metadata, a.metadata, atOnce); {
	case err != nil:
		return Failed, failed(err)
	case verdict == verdictTheirs:
		return s.occupied(ctx, a, metadata)
	}
	// The twin is for people: its loss must not cost a checkpoint.
	_ = filesystem.WriteFile(ctx, s.fs, path.Join(a.dir, contentsName), a.contents)
	return s.complete(ctx, a)
}

// skipTo claims the numbers behind claimed up to last.
func (s *Store) skipTo(
	ctx context.Context, gen Generation, claimed, last uint64,
) (Outcome, error) {
	for number := claimed + 1; number <= last; number++ {
		if outcome, err := s.skip(ctx, gen, number); err != nil {
			return outcome, err
		}
	}
	return Failed, nil
}

// complete creates the record, the commit point.
func (s *Store) complete(ctx context.Context, a *attempt) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Failed, err // From the next call on the outcome would be unknown.
	}
	place := s.recordPath(checkpointPrefix, a.number, "")
	verdict, err := s.createRecord(ctx, place, a.record, s.patiently)
	switch {
	case err != nil:
		return Unknown, err
	case verdict == verdictTheirs:
		return Fenced, fmt.Errorf("%w: it has claimed number %d", ErrFenced, a.number)
	}
	listed, err := s.listPatiently(ctx)
	if err != nil {
		return Unknown, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	outcome := confirmPublish(a.number, listed)
	if outcome != Committed {
		err = fmt.Errorf("%w: it has claimed number %d", ErrFenced, listed.newestCheckpoint())
	}
	return outcome, err
}

// failed hides that the store's answer was unclear where that does not matter: before the record no
// checkpoint is complete.
func failed(err error) error {
	return fmt.Errorf("write it: %s", strings.TrimPrefix(err.Error(), ErrUnknown.Error()+": "))
}

// skip claims a number whose checkpoint was aborted.
func (s *Store) skip(ctx context.Context, gen Generation, number uint64) (Outcome, error) {
	r := &Record{Kind: kindSkip, Name: s.name, Generation: gen.Number, Owner: s.owner,
		Checkpoint: number}
	verdict, err := s.createRecord(ctx, s.recordPath(checkpointPrefix, number, ""), r, atOnce)
	switch {
	case err != nil:
		return Failed, failed(err)
	case verdict == verdictTheirs:
		return Fenced, fmt.Errorf("%w: it has claimed number %d", ErrFenced, number)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.claimed = max(s.mu.claimed, number)
	return Failed, nil
}

// occupied is for a metadata file that is not ours at our number. A number that is claimed in order
// belongs to one master, so either we are stale or somebody has put a file there by hand.
func (s *Store) occupied(ctx context.Context, a *attempt, p filesystem.Path) (Outcome, error) {
	listed, err := s.list(ctx)
	if err != nil {
		return Failed, err
	}
	if listed.newestCheckpoint() >= a.number {
		return Fenced, fmt.Errorf("%w: it has claimed number %d", ErrFenced,
			listed.newestCheckpoint())
	}
	return Failed, fmt.Errorf("another file is at %q", uriOf(s.fs, p))
}

// commit remembers a completed checkpoint.
func (s *Store) commit(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.claimed, s.mu.parent, s.mu.completed = a.number, a.number, true
	s.mu.records[a.number] = a.record
	s.mu.marks[a.record.Digest] = a.marks
	if p := s.mu.publish[a.number]; p != nil {
		p.done = true
	}
}

// MarkCommitted notes that the sinks have committed a completed checkpoint. It is idempotent. If
// the note is missing a restore commits once more, which is allowed: after an error go on.
func (s *Store) MarkCommitted(ctx context.Context, checkpointID uint64) error {
	s.mu.Lock()
	r := &Record{Kind: kindCommitted, Name: s.name, Generation: s.mu.generation, Owner: s.owner,
		Checkpoint: checkpointID}
	s.mu.Unlock()
	object, err := r.encode()
	if err != nil {
		return fmt.Errorf("store: mark checkpoint %d committed: %w", checkpointID, err)
	}
	p := s.recordPath(checkpointPrefix, checkpointID, committedSuffix)
	// Whose note it is does not matter.
	err = s.fs.CreateIfAbsent(ctx, p, object)
	if err != nil && !errors.Is(err, filesystem.ErrExists) {
		return fmt.Errorf("store: mark checkpoint %d committed: %w", checkpointID, err)
	}
	return nil
}

// isMarked tells whether a listing has the committed mark of a number.
func (c control) isMarked(number uint64) bool {
	_, ok := slices.BinarySearch(c.committed, number)
	return ok
}
