package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/zeebo/xxh3"

	"github.com/leat-io/leat/filesystem"
)

// CreateIfAbsent implements filesystem.FileSystem.
//
// Opening the target with O_CREATE|O_EXCL would have one winner too, but the object would be
// visible before its bytes are there: a crash in the middle would leave half a record that nobody
// may ever replace. So the bytes are written and synced under a name in progress, and link(2),
// which fails if the target is there, makes them visible whole.
func (s *Store) CreateIfAbsent(ctx context.Context, p string, data []byte) error {
	return wrap("create if absent", p, s.createIfAbsent(ctx, p, data))
}

func (s *Store) createIfAbsent(ctx context.Context, p filesystem.Path, content []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := filesystem.CheckObjectPath(p); err != nil {
		return err
	}
	if _, err := os.Lstat(s.osPath(p)); err == nil {
		return s.taken(p) // The usual answer of a lost race, without writing anything.
	}
	file, inProgress, err := s.newInProgress(p)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	_, closeErr := syncAndClose(file)
	if err = errors.Join(err, closeErr); err == nil {
		err = s.link(inProgress, p)
	}
	if errors.Is(err, fs.ErrExist) {
		err = s.taken(p)
	}
	return errors.Join(err, s.unlink(inProgress))
}

// taken returns ErrExists when what is at p is sure to survive a crash: others act on that answer.
func (s *Store) taken(p filesystem.Path) error {
	if err := s.syncDir(path.Dir(p)); err != nil {
		return err
	}
	return filesystem.ErrExists
}

// link gives the file in progress its target name, durably. It leaves the old name. If the target
// is that same file already, nothing is left to do but to make it durable: a network file system
// may have lost the answer and repeated the call, or a crash came before the sync.
func (s *Store) link(inProgress, target filesystem.Path) error {
	err := os.Link(s.osPath(inProgress), s.osPath(target))
	if errors.Is(err, fs.ErrExist) && s.sameFile(inProgress, target) {
		err = nil
	}
	switch {
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("the file system refuses hard links, which publishing needs: %w", err)
	case err != nil:
		return err
	}
	return s.syncDir(path.Dir(target))
}

func (s *Store) sameFile(a, b filesystem.Path) bool {
	foundA, errA := os.Lstat(s.osPath(a))
	foundB, errB := os.Lstat(s.osPath(b))
	return errA == nil && errB == nil && os.SameFile(foundA, foundB)
}

// Publish implements filesystem.FileSystem. When the name in progress is gone, the file at the
// target is the published object if it has the inode, size and modification time of the token, or
// else its size and digest.
func (s *Store) Publish(ctx context.Context, token filesystem.Token) error {
	o, err := decode(token)
	if err != nil {
		return fmt.Errorf("local: publish: %w", err)
	}
	return wrap("publish", o.target, s.publish(ctx, o))
}

func (s *Store) publish(ctx context.Context, o prepared) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	found, err := os.Lstat(s.osPath(o.inProgress))
	if absent(err) {
		return s.published(ctx, o)
	}
	if err != nil {
		return err
	}
	if !found.Mode().IsRegular() || found.Size() != o.size {
		return fmt.Errorf("the object in progress is damaged: %v with %d bytes, not a file with %d",
			found.Mode(), found.Size(), o.size)
	}
	switch err = s.link(o.inProgress, o.target); {
	case errors.Is(err, fs.ErrExist):
		// Another call with the same token may have removed the name in progress since.
		if _, err := os.Lstat(s.osPath(o.inProgress)); absent(err) {
			return s.published(ctx, o)
		}
		return filesystem.ErrExists
	case absent(err):
		return s.published(ctx, o)
	case err != nil:
		return err
	}
	// Only now, and not before link has synced the directory: on a file system that does not keep
	// the order of names a crash could otherwise lose both. A name left over by a crash here does
	// no harm; the next Publish, Discard or clean-up removes it.
	return s.unlink(o.inProgress)
}

// published returns nil if o, of which no name in progress is left, is at its target, and makes
// that durable: an earlier call may have ended before it did.
func (s *Store) published(ctx context.Context, o prepared) error {
	found, err := os.Lstat(s.osPath(o.target))
	if absent(err) {
		return filesystem.ErrTokenUnknown
	}
	if err != nil {
		return err
	}
	if !found.Mode().IsRegular() || found.Size() != o.size {
		return filesystem.ErrTokenUnknown
	}
	if inode, modified := identityOf(found); inode != o.inode || modified != o.modified {
		digest, err := s.digest(ctx, o.target)
		if err != nil {
			return err
		}
		if digest != o.digest {
			return filesystem.ErrTokenUnknown
		}
	}
	return s.syncDir(path.Dir(o.target))
}

// digest reads an object and returns its XXH3.
func (s *Store) digest(ctx context.Context, p filesystem.Path) (uint64, error) {
	r, err := s.open(ctx, p)
	if err != nil {
		return 0, err
	}
	hash := xxh3.New()
	buffer := make([]byte, 1<<20)
	for offset := int64(0); err == nil; {
		var n int
		n, err = r.ReadAt(buffer, offset)
		hash.Write(buffer[:n]) // Never fails.
		offset += int64(n)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
	}
	if err == io.EOF {
		err = nil
	}
	return hash.Sum64(), errors.Join(err, r.Close())
}

// Discard implements filesystem.FileSystem. Removing the name in progress of a published object
// takes nothing away: the target is a name of its own.
func (s *Store) Discard(ctx context.Context, token filesystem.Token) error {
	o, err := decode(token)
	if err != nil {
		return fmt.Errorf("local: discard: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return wrap("discard", o.target, err)
	}
	return wrap("discard", o.target, s.unlink(o.inProgress))
}
