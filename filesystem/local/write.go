package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/zeebo/xxh3"

	"github.com/leat-io/leat/filesystem"
)

// createAttempts bounds how often the directory of a new object may be pruned between making the
// directory and making the file in it.
const createAttempts = 1000

// Create implements filesystem.FileSystem.
func (s *Store) Create(ctx context.Context, p string) (filesystem.Writer, error) {
	w, err := s.create(ctx, p)
	if err != nil {
		return nil, wrap("create", p, err)
	}
	return w, nil
}

func (s *Store) create(ctx context.Context, p filesystem.Path) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := filesystem.CheckObjectPath(p); err != nil {
		return nil, err
	}
	file, inProgress, err := s.newInProgress(p)
	if err != nil {
		return nil, err
	}
	return &writer{
		ctx:    ctx,
		store:  s,
		file:   file,
		digest: xxh3.New(),
		object: prepared{target: p, inProgress: inProgress},
	}, nil
}

// newInProgress makes an empty file in progress for target, with the directories it needs.
func (s *Store) newInProgress(target filesystem.Path) (*os.File, filesystem.Path, error) {
	var made []filesystem.Path
	for attempt := 1; ; attempt++ {
		var err error
		if made, err = s.makeDir(path.Dir(target), made); err != nil {
			return nil, "", err
		}
		p := filesystem.InProgressPath(target, rand.Text())
		// O_EXCL only guards against a random name drawn twice.
		file, err := os.OpenFile(s.osPath(p), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		// RemoveEmptyDirs may have taken the directory away before the file was in it.
		if errors.Is(err, fs.ErrNotExist) && attempt < createAttempts {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		// The directories are synced only now that the file keeps them from being pruned: syncing
		// takes so long that a busy pruner would win every time.
		if err := s.syncMade(made); err != nil {
			return nil, "", errors.Join(err, file.Close(), s.unlink(p))
		}
		return file, p, nil
	}
}

// syncMade makes the names of new directories durable.
func (s *Store) syncMade(made []filesystem.Path) error {
	for _, dir := range made {
		if err := s.syncDir(path.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// writer implements filesystem.Writer. Its states: open, ended by Prepare or Abort, and of those
// that ended, prepared. It holds the context of Create because that bounds the writing.
type writer struct {
	ctx    context.Context
	store  *Store
	file   *os.File // nil once closed
	digest *xxh3.Hasher
	object prepared

	failed   error // first failure of Write
	ended    bool
	prepared bool
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	n, err := w.write(b)
	return n, wrap("write", w.object.target, err)
}

func (w *writer) write(b []byte) (n int, err error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if w.failed = w.ctx.Err(); w.failed != nil {
		return 0, w.failed
	}
	n, w.failed = w.file.Write(b)
	w.digest.Write(b[:n]) // Never fails.
	w.object.size += int64(n)
	return n, w.failed
}

func (w *writer) usable() error {
	if w.ended {
		return fmt.Errorf("the writer has ended: %w", fs.ErrClosed)
	}
	if w.failed != nil {
		return fmt.Errorf("an earlier write failed: %w", cause(w.failed))
	}
	return nil
}

// Prepare implements filesystem.Writer.
func (w *writer) Prepare(ctx context.Context) (filesystem.Token, error) {
	err := errors.Join(w.usable(), ctx.Err())
	w.ended = true
	if err == nil {
		err = w.prepare()
	}
	if err != nil {
		return nil, wrap("prepare", w.object.target, err)
	}
	w.prepared = true
	return w.object.token(), nil
}

func (w *writer) prepare() error {
	written, err := syncAndClose(w.file)
	w.file = nil
	if err != nil {
		return err
	}
	if written.Size() != w.object.size {
		return fmt.Errorf("%d bytes were written and %d are there", w.object.size, written.Size())
	}
	w.object.digest = w.digest.Sum64()
	w.object.inode, w.object.modified = identityOf(written)
	// The token is worth nothing if a crash loses the name under which the bytes are.
	if err := w.store.syncDir(path.Dir(w.object.target)); err != nil {
		return err
	}
	// Nor if a clean-up that took this attempt for dead has removed the name.
	named, err := os.Lstat(w.store.osPath(w.object.inProgress))
	if err == nil && !os.SameFile(named, written) {
		err = errors.New("the file in progress has been replaced")
	}
	return err
}

// Abort implements filesystem.Writer.
func (w *writer) Abort() error {
	w.ended = true
	if w.prepared {
		return nil
	}
	var err error
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	err = errors.Join(err, w.store.unlink(w.object.inProgress))
	return wrap("abort", w.object.target, err)
}

// identityOf returns what recognises a file on its disk, as prepared keeps it.
func identityOf(found fs.FileInfo) (inode uint64, modified int64) {
	if status, ok := found.Sys().(*syscall.Stat_t); ok {
		inode = status.Ino
	}
	return inode, found.ModTime().UnixNano()
}

// syncAndClose makes the bytes of file durable and describes it. It closes file in any case.
func syncAndClose(file *os.File) (fs.FileInfo, error) {
	err := file.Sync()
	found, statErr := file.Stat()
	return found, errors.Join(err, statErr, file.Close())
}

// unlink removes a name if it is there.
func (s *Store) unlink(p filesystem.Path) error {
	if err := syscall.Unlink(s.osPath(p)); err != nil && !absent(err) {
		return err
	}
	return nil
}

// makeDir makes a directory and those above it, and appends those it made to made.
//
// A directory found in place may have been made a moment ago by somebody who has not synced its
// parent yet. It is not synced again here: a journaling file system writes the making of a
// directory no later than the sync of what is in it, which Prepare and Publish do.
func (s *Store) makeDir(dir filesystem.Path, made []filesystem.Path) ([]filesystem.Path, error) {
	found, err := os.Stat(s.osPath(dir))
	switch {
	case err == nil && found.IsDir():
		return made, nil
	case err == nil, errors.Is(err, syscall.ENOTDIR):
		return made, fmt.Errorf("%q is not a directory or is below an object", dir)
	case !errors.Is(err, fs.ErrNotExist) || dir == "/":
		return made, err
	}
	if made, err = s.makeDir(path.Dir(dir), made); err != nil {
		return made, err
	}
	switch err = os.Mkdir(s.osPath(dir), 0o755); {
	case err == nil:
		return append(made, dir), nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return made, nil // Made or pruned by others meanwhile; newInProgress tries again.
	}
	return made, err
}

// syncDir makes the names in a directory durable.
func (s *Store) syncDir(dir filesystem.Path) error {
	d, err := os.Open(s.osPath(dir))
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // The file system keeps names durable by itself, or cannot at all.
	}
	return errors.Join(err, d.Close())
}
