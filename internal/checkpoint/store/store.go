package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
)

// Store is the checkpoints of one job name under one root.
type Store struct {
	registry *filesystem.Registry
	fs       filesystem.FileSystem
	root     filesystem.Path
	name     string // job name
	control  filesystem.Path
	random   io.Reader
	owner    string
	clock    clock.Clock // see Pace; may be nil

	mu struct {
		sync.Mutex
		state
	}
}

// state is what a master remembers. The zero state is that of a store without a generation.
type state struct {
	generation uint64
	claimed    uint64 // checkpoint numbers up to here are taken
	parent     uint64 // last checkpoint of this job, completed or restored from
	fresh      string // job id, if no other is continued
	identity   Identity
	completed  bool  // this master has completed a checkpoint
	stopped    error // wraps ErrFenced or ErrUnknown; nothing is published or deleted any more

	retain  int
	records map[uint64]*Record     // seen records of checkpoints, fences, skips: they never change
	marks   map[string]marks       // files by digest of the metadata that refers to them
	publish map[uint64]*publishing // since the last sweep began
	swept   *sweptSet              // what the last sweep left
}

// marks are the paths, within the store, of the files that one metadata refers to.
type marks map[filesystem.Path]struct{}

// Open finds the checkpoints of a job name below a root, which is a URI or a path. It reads and
// writes nothing; a missing root is made by the first write.
func Open(
	ctx context.Context, registry *filesystem.Registry, root, jobName string,
) (*Store, error) {
	return OpenRandom(ctx, registry, root, jobName, rand.Reader)
}

// OpenRandom is Open with a source of randomness, for simulation. Two masters must not draw the
// same numbers: by them they tell their records apart. The uploads of tasks draw from it too, so it
// must be safe for concurrent use when they are concurrent.
func OpenRandom(
	ctx context.Context, registry *filesystem.Registry, root, jobName string, random io.Reader,
) (*Store, error) {
	escaped, err := EscapeJobName(jobName)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store: open %q: %w", root, err)
	}
	files, rootPath, err := registry.Resolve(root)
	if err != nil {
		return nil, fmt.Errorf("store: open %q: %w", root, err)
	}
	s := &Store{
		registry: registry,
		fs:       files,
		root:     rootPath,
		name:     jobName,
		control:  path.Join(rootPath, controlName, escaped),
		random:   random,
	}
	if s.owner, err = s.draw(8); err != nil {
		return nil, fmt.Errorf("store: open %q: %w", root, err)
	}
	s.mu.retain = 1
	s.mu.records = make(map[uint64]*Record)
	s.mu.marks = make(map[string]marks)
	s.mu.publish = make(map[uint64]*publishing)
	return s, nil
}

// draw returns n random bytes in hexadecimal.
func (s *Store) draw(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.random, b); err != nil {
		return "", fmt.Errorf("draw a random number: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// JobName returns the name given to Open.
func (s *Store) JobName() string { return s.name }

// Root returns the URI of the root.
func (s *Store) Root() string { return uriOf(s.fs, s.root) }

// CheckpointDir returns the URI of the directory of a checkpoint of the adopted job.
func (s *Store) CheckpointDir(checkpointID uint64) string {
	return uriOf(s.fs, s.chkDir(s.Identity().JobID, checkpointID))
}

// Uploader returns the uploader for the tasks of the adopted job in the current generation.
func (s *Store) Uploader() *Uploader {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := NewUploader(s.fs, s.root, s.mu.identity.JobID, s.mu.generation)
	u.random = s.random
	return u
}

func (s *Store) jobDir(jobID string) filesystem.Path { return path.Join(s.root, jobID) }

func (s *Store) chkDir(jobID string, number uint64) filesystem.Path {
	return path.Join(s.jobDir(jobID), chkPrefix+strconv.FormatUint(number, 10))
}

func (s *Store) recordPath(prefix string, number uint64, suffix string) filesystem.Path {
	return path.Join(s.control, prefix+strconv.FormatUint(number, 10)+suffix)
}

// list reads the directory of the job name.
func (s *Store) list(ctx context.Context) (control, error) {
	var listed control
	for entry, err := range s.fs.List(ctx, s.control, false) {
		if err != nil {
			return control{}, fmt.Errorf("list %q: %w", uriOf(s.fs, s.control), err)
		}
		base := path.Base(entry.Path)
		if entry.Dir {
			continue
		}
		if n, ok := parseNumbered(base, generationPrefix); ok {
			listed.generations = append(listed.generations, n)
		} else if n, ok := parseNumbered(base, checkpointPrefix); ok || base == fenceZero {
			listed.checkpoints = append(listed.checkpoints, n)
		} else if stem, ok := strings.CutSuffix(base, committedSuffix); ok {
			if n, ok := parseNumbered(stem, checkpointPrefix); ok {
				listed.committed = append(listed.committed, n)
			}
		}
	}
	slices.Sort(listed.generations)
	slices.Sort(listed.checkpoints)
	slices.Sort(listed.committed)
	return listed, nil
}

// create writes an object that nobody may overwrite, follows up unclear answers, and says whose the
// object is. The error says why the verdict is verdictUnclear.
func create(
	ctx context.Context, files filesystem.FileSystem, p filesystem.Path, object []byte,
	between pause,
) (verdict, error) {
	for attempts := createAttempts - 1; ; attempts-- {
		said, back := answerCreated, seenNothing
		var found []byte
		err := files.CreateIfAbsent(ctx, p, object)
		if err != nil {
			said = answerUnclear
			if errors.Is(err, filesystem.ErrExists) {
				said = answerExists
			}
			var readErr error
			found, readErr = filesystem.ReadFile(ctx, files, p)
			switch {
			case readErr == nil:
				back = seenObject
			case !errors.Is(readErr, filesystem.ErrNotExist):
				back = seenUnreadable
				err = errors.Join(err, readErr)
			}
		}
		v := judge(object, said, back, found, attempts)
		if v == verdictAgain && between(ctx, createAttempts-attempts) != nil {
			v = verdictUnclear
		}
		switch v {
		case verdictMine, verdictTheirs:
			return v, nil
		case verdictUnclear:
			return v, fmt.Errorf("%w: create %q: %w", ErrUnknown, uriOf(files, p), err)
		}
	}
}

// createRecord is create for a record of this job name.
func (s *Store) createRecord(
	ctx context.Context, p filesystem.Path, r *Record, between pause,
) (verdict, error) {
	object, err := r.encode()
	if err != nil {
		return verdictUnclear, err
	}
	return create(ctx, s.fs, p, object, between)
}

// record reads the record of a checkpoint number. Errors: filesystem.ErrNotExist, ErrDamaged; they
// name the file.
func (s *Store) record(ctx context.Context, number uint64) (*Record, error) {
	s.mu.Lock()
	known := s.mu.records[number]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	p := s.recordPath(checkpointPrefix, number, "")
	file, err := filesystem.ReadFile(ctx, s.fs, p)
	if err != nil {
		return nil, fmt.Errorf("read record %q: %w", uriOf(s.fs, p), err)
	}
	r, err := decodeRecord(file)
	if err == nil && (r.Name != s.name || r.Checkpoint != number || !r.isNumbered()) {
		err = fmt.Errorf("%w: it is a record of kind %q of checkpoint %d of %q",
			ErrDamaged, r.Kind, r.Checkpoint, r.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("read record %q: %w", uriOf(s.fs, p), err)
	}
	s.mu.Lock()
	s.mu.records[number] = r
	s.mu.Unlock()
	return r, nil
}
