package task_test

import (
	"context"
	"fmt"
	"io"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
)

// UploadSavepoint keeps the file of a savepoint beside the others, under its directory.
func (s *store) UploadSavepoint(
	ctx context.Context, directory string, checkpoint uint64, id *protocol.TaskID,
	write func(io.Writer) error,
) (string, int64, error) {
	path, size, err := s.Upload(ctx, checkpoint, id, write)
	if err != nil {
		return "", 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.files[fmt.Sprintf("%s/%s", directory, path)] = s.mu.files[path]
	delete(s.mu.files, path)
	return path, size, nil
}

// OpenWritten is Open: there is one place.
func (s *store) OpenWritten(ctx context.Context, path string) (filesystem.ReadAtCloser, error) {
	return s.Open(ctx, path)
}
