// Package local is the store of the machine's own file systems, scheme "file", on Linux and macOS.
// Network file systems will do if they have hard links and atomic link.
//
// The main type is [Store]. An object in progress is a file beside its target, named
// ".<base>.<random>.inprogress". Its life:
//
//  1. Create makes missing directories and the file; Write appends to it.
//  2. Prepare syncs the file, then the directory: now a crash loses neither bytes nor name.
//  3. Publish gives the same file the target name with link(2), syncs the directory, and removes
//     the name in progress. link(2) never replaces an existing name, so there is one winner.
//
// A crash between the steps of 3 leaves one file under two names; publishing again finds them to be
// the same file and finishes the job, and ListInProgress shows the name that is left over.
//
// The package does not lock, does not rename and does not use O_EXCL to publish (see
// CreateIfAbsent). Symbolic links are followed when reading and listing; sockets, pipes and devices
// are neither listed nor opened. A Store has no life cycle and is safe for concurrent use, between
// processes too. It is the only package outside internal/base that calls the operating system for
// files.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/leat-io/leat/filesystem"
)

const scheme = "file"

// Options are the settings of a Store. The zero value is the usual one.
type Options struct {
	// Root is the directory that the path "/" stands for; empty means the root of the machine. It
	// is a prefix, not a jail: symbolic links may lead out of it.
	Root string
}

// Store is the local store. Safe for concurrent use.
type Store struct {
	root string
}

// New returns the local store. It touches nothing.
func New(options Options) *Store { return &Store{root: options.Root} }

// Scheme returns "file".
func (s *Store) Scheme() string { return scheme }

// Absolute returns the absolute path of a path relative to the working directory, or to the root of
// a store that has one of its own.
func (s *Store) Absolute(relative string) (filesystem.Path, error) {
	if s.root != "" {
		return path.Join("/", relative), nil
	}
	p, err := filepath.Abs(relative)
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	return filepath.ToSlash(p), nil
}

// Open implements filesystem.FileSystem.
func (s *Store) Open(ctx context.Context, p string) (filesystem.ReadAtCloser, error) {
	r, err := s.open(ctx, p)
	if err != nil {
		return nil, wrap("open", p, missing(err))
	}
	return r, nil
}

func (s *Store) open(ctx context.Context, p string) (*reader, error) {
	if err := begin(ctx, p); err != nil {
		return nil, err
	}
	// Look before opening: opening a pipe would wait for its other end.
	found, err := os.Stat(s.osPath(p))
	if err != nil {
		return nil, err
	}
	if !found.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a regular file: %v", found.Mode())
	}
	file, err := os.Open(s.osPath(p))
	if err != nil {
		return nil, err
	}
	if found, err = file.Stat(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &reader{file: file, size: found.Size()}
	r.close = sync.OnceValue(file.Close)
	return r, nil
}

// reader is an open object.
type reader struct {
	file  *os.File
	size  int64
	close func() error
}

func (r *reader) ReadAt(b []byte, offset int64) (int, error) { return r.file.ReadAt(b, offset) }
func (r *reader) Size() int64                                { return r.size }
func (r *reader) Close() error                               { return r.close() }

// Stat implements filesystem.FileSystem.
func (s *Store) Stat(ctx context.Context, p string) (filesystem.Entry, error) {
	if err := begin(ctx, p); err != nil {
		return filesystem.Entry{}, wrap("stat", p, err)
	}
	found, err := os.Stat(s.osPath(p))
	if err != nil {
		return filesystem.Entry{}, wrap("stat", p, missing(err))
	}
	return entryOf(p, found), nil
}

// Remove implements filesystem.FileSystem.
func (s *Store) Remove(ctx context.Context, p string) error {
	return wrap("remove", p, missing(s.remove(ctx, p)))
}

func (s *Store) remove(ctx context.Context, p string) error {
	if err := begin(ctx, p); err != nil {
		return err
	}
	found, err := os.Stat(s.osPath(p))
	if err != nil {
		return err
	}
	if found.IsDir() {
		return errors.New("it is a directory")
	}
	// Not os.Remove, which would remove a directory that has taken the place since.
	return syscall.Unlink(s.osPath(p))
}

// List implements filesystem.FileSystem. What a symbolic link leads to is listed under the link's
// path; dangling links, and links back to a directory above, are left out.
func (s *Store) List(
	ctx context.Context, dir string, recursive bool,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		w := &walk{ctx: ctx, store: s, yield: yield, recursive: recursive}
		w.run("list", dir)
	}
}

// ListInProgress implements filesystem.FileSystem.
func (s *Store) ListInProgress(
	ctx context.Context, dir string,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		w := &walk{ctx: ctx, store: s, yield: yield, recursive: true, inProgress: true}
		w.run("list objects in progress", dir)
	}
}

// RemoveEmptyDirs implements filesystem.FileSystem. The root of the store stays, and so do
// directories reached through symbolic links.
func (s *Store) RemoveEmptyDirs(ctx context.Context, dir string) error {
	if err := begin(ctx, dir); err != nil {
		return wrap("remove empty directories of", dir, err)
	}
	return wrap("remove empty directories of", dir, s.prune(ctx, dir))
}

func (s *Store) prune(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	children, err := os.ReadDir(s.osPath(dir))
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, child := range children {
		if child.IsDir() {
			if err := s.prune(ctx, path.Join(dir, child.Name())); err != nil {
				return err
			}
		}
	}
	if dir == "/" {
		return nil
	}
	// Rmdir decides by itself whether the directory is empty, at the moment it removes it.
	err = syscall.Rmdir(s.osPath(dir))
	if absent(err) || errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

// osPath returns the operating system's path of a store path.
func (s *Store) osPath(p filesystem.Path) string { return filepath.Join(s.root, p) }

func entryOf(p filesystem.Path, found fs.FileInfo) filesystem.Entry {
	e := filesystem.Entry{Path: p, ModTime: found.ModTime(), Dir: found.IsDir()}
	if !e.Dir {
		e.Size = found.Size()
	}
	return e
}

// begin is the first step of every operation.
func begin(ctx context.Context, p filesystem.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return filesystem.CheckPath(p)
}

// absent tells that nothing is at a path; a file in the place of a parent directory means that too.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// missing turns the system's answer that nothing is there into the contract's.
func missing(err error) error {
	if absent(err) {
		return filesystem.ErrNotExist
	}
	return err
}

// wrap adds operation and path once and keeps nil.
func wrap(operation string, p filesystem.Path, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("local: %s %q: %w", operation, p, cause(err))
}

// cause strips the operations and paths that package os adds: they name them a second time.
func cause(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	case *os.SyscallError:
		return e.Err
	}
	return err
}

var (
	_ filesystem.FileSystem       = (*Store)(nil)
	_ filesystem.RelativeResolver = (*Store)(nil)
)
