package taskmanager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/protocol"
)

// stateStore is where the tasks of one attempt write and read state. It implements
// task.Store and is safe for concurrent use.
type stateStore struct {
	files   *filesystem.Registry
	restore string // URI of the metadata to restore from
	// uploader is nil when the root cannot be resolved, for the reason in err.
	uploader *store.Uploader
	err      error
	mu       struct {
		sync.Mutex
		found *store.Found
	}
}

func newStateStore(
	files *filesystem.Registry, e *protocol.Envelope, d *protocol.DeployTask,
) *stateStore {
	s := &stateStore{files: files, restore: d.RestoreUri}
	fs, root, err := files.Resolve(d.CheckpointRoot)
	if err != nil {
		s.err = fmt.Errorf("find checkpoint directory: %w", err)
		return s
	}
	s.uploader = store.NewUploader(fs, root, e.JobId, e.Generation)
	return s
}

// Upload writes one data file.
func (s *stateStore) Upload(
	ctx context.Context, checkpoint uint64, task *protocol.TaskID, write func(io.Writer) error,
) (path string, size int64, err error) {
	if s.err != nil {
		return "", 0, s.err
	}
	return s.uploader.Upload(ctx, checkpoint, task.Vertex, task.Subtask, write)
}

// UploadSavepoint writes one data file of a savepoint.
func (s *stateStore) UploadSavepoint(
	ctx context.Context, directory string, checkpoint uint64, task *protocol.TaskID,
	write func(io.Writer) error,
) (path string, size int64, err error) {
	if s.err != nil {
		return "", 0, s.err
	}
	files, dir, err := s.files.Resolve(directory)
	if err != nil {
		return "", 0, fmt.Errorf("find savepoint directory: %w", err)
	}
	up := s.uploader.ForSavepoint(files, dir)
	return up.Upload(ctx, checkpoint, task.Vertex, task.Subtask, write)
}

// Open opens a data file of the restored checkpoint.
func (s *stateStore) Open(ctx context.Context, path string) (filesystem.ReadAtCloser, error) {
	found, err := s.checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return found.OpenFile(ctx, path)
}

// OpenWritten opens a data file that a checkpoint of the job refers to.
func (s *stateStore) OpenWritten(
	ctx context.Context, path string,
) (filesystem.ReadAtCloser, error) {
	if s.err != nil {
		return nil, s.err
	}
	file, err := s.uploader.Open(ctx, path)
	if errors.Is(err, filesystem.ErrNotExist) && s.restore != "" {
		// It may have come with the restored checkpoint.
		if file, errRestored := s.Open(ctx, path); errRestored == nil {
			return file, nil
		}
	}
	return file, err
}

// checkpoint reads the metadata once: it says where else files may lie.
func (s *stateStore) checkpoint(ctx context.Context) (*store.Found, error) {
	s.mu.Lock()
	found := s.mu.found
	s.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// Several tasks may read it at once, to the same effect: no lock is held over I/O.
	found, err := store.Read(ctx, s.files, s.restore)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.found = found
	return found, nil
}
