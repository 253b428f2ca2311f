package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ReadFile returns the whole object at path. The caller owns the slice. Errors: ErrNotExist.
func ReadFile(ctx context.Context, store FileSystem, path string) ([]byte, error) {
	r, err := store.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	content := make([]byte, r.Size())
	n, err := r.ReadAt(content, 0)
	if n == len(content) {
		err = nil // io.ReaderAt may return io.EOF together with the last byte.
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("filesystem: read %q: %w", path, err)
	}
	return content, nil
}

// WriteFile creates, prepares and publishes an object in one call. It never overwrites: if path is
// taken it returns ErrExists and leaves nothing behind. After any other error the object may or may
// not be at path; objects in progress are removed as far as the store answers. It does not keep
// data.
//
// Unlike CreateIfAbsent it has no promise between the steps and no limit on size.
func WriteFile(ctx context.Context, store FileSystem, path string, data []byte) error {
	w, err := store.Create(ctx, path)
	if err != nil {
		return err
	}
	if _, err = w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	token, err := w.Prepare(ctx)
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	if err = store.Publish(ctx, token); err != nil {
		// Discard never removes a published object, so it is right after a lost answer too. It must
		// also run when ctx is what ended the publishing.
		return errors.Join(err, store.Discard(context.WithoutCancel(ctx), token))
	}
	return nil
}
