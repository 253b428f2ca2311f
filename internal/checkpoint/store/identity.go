package store

import (
	"fmt"
	"path"

	"github.com/leat-io/leat/internal/protocol"
)

// Identity is what a job is known by in its checkpoints.
type Identity struct {
	// JobID names the directory: 32 lower-case hexadecimal digits. It stays the same from start to
	// start as long as the job continues its own checkpoints, so that its files stay together.
	JobID string
	// Lineage names one fresh start and everything restored from it, in whatever place and under
	// whatever name. Sinks that remember what they have committed go by it.
	Lineage string
}

// Identity returns what Adopt has fixed; zero before.
func (s *Store) Identity() Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.identity
}

// Adopt fixes what the current generation continues: the checkpoint found, or nothing (nil), which
// opens a new lineage under a new job id and touches nothing of the old. A checkpoint of this very
// job (made under this root and name) keeps job id and lineage; any other one keeps its lineage and
// gets a new job id, because its directory belongs to somebody else.
func (s *Store) Adopt(found *Found) (Identity, error) {
	return s.adopt(found, found != nil && (found.Record != nil || s.isOwn(found)))
}

// Fork is Adopt for a checkpoint that stays what it is, also when it is one of this very job: the
// lineage is kept, the job id is a new one, so that nothing under the old one is ever swept by this
// job.
func (s *Store) Fork(found *Found) (Identity, error) { return s.adopt(found, false) }

func (s *Store) adopt(found *Found, own bool) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.mu.fresh
	if fresh == "" {
		var err error
		if fresh, err = s.draw(16); err != nil {
			return Identity{}, fmt.Errorf("store: adopt: %w", err)
		}
	}
	identity := Identity{JobID: fresh, Lineage: fresh}
	parent := uint64(0)
	if found != nil {
		identity = decideIdentity(found.Meta.Header, own, fresh)
		if own {
			parent = found.Meta.Header.GetCheckpointId()
		}
	}
	s.mu.identity, s.mu.parent = identity, parent
	return identity, nil
}

func decideIdentity(h *protocol.CheckpointHeader, own bool, fresh string) Identity {
	if own {
		return Identity{JobID: h.GetJobId(), Lineage: h.GetLineage()}
	}
	return Identity{JobID: fresh, Lineage: h.GetLineage()}
}

// isOwn tells whether a checkpoint without a record was made under this root and name, whether it
// lies there or was copied since. One that is no older than the current generation was not: the
// records of its time are gone and generations count anew, so that with its job id the names that
// are made of job id and generation would come a second time.
func (s *Store) isOwn(found *Found) bool {
	h := found.Meta.Header
	s.mu.Lock()
	generation := s.mu.generation
	s.mu.Unlock()
	return h.GetJobName() == s.name && h.GetGeneration() < generation && s.wroteIt(h)
}

// wroteIt tells whether a checkpoint was written first where this store puts it: the files that it
// refers to by relative paths are there, if anywhere.
func (s *Store) wroteIt(h *protocol.CheckpointHeader) bool {
	home := s.chkDir(h.GetJobId(), h.GetCheckpointId())
	files, dir, err := s.registry.Resolve(h.GetOrigin())
	return err == nil && files.Scheme() == s.fs.Scheme() && path.Clean(dir) == home
}

// isAtHome tells whether a checkpoint was read where it was written first, and that is here.
func (s *Store) isAtHome(found *Found) bool {
	h := found.Meta.Header
	return found.FS.Scheme() == s.fs.Scheme() &&
		found.Dir == s.chkDir(h.GetJobId(), h.GetCheckpointId()) && s.wroteIt(h)
}
