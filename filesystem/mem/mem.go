// Package mem is a store in memory, for tests and simulation.
//
// The main type is [Store]. It keeps the whole contract, and it is deterministic: the same calls
// give the same identifiers and listings, and times come from the clock that is passed in.
// [Store.CrashClone] returns the store as a crash of its machine may leave it.
//
// Like an object store it has no directories of their own: one is there while objects are below
// it. A token is valid in the store that made it and in its crash clones. The package does not
// limit memory and injects no faults; package fault does.
//
// A Store has no life cycle and is safe for concurrent use; a writer belongs to one goroutine.
package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
)

// Options are the settings of a Store. The zero value is usable.
type Options struct {
	// Scheme is the URI scheme to serve; default "mem". "file" puts the store in the place of the
	// local one.
	Scheme string
	// Now tells modification times; default the machine's clock. It is called under the store's
	// lock and must not call the store.
	Now func() time.Time
}

// Store is a store in memory. Safe for concurrent use.
type Store struct {
	scheme string
	now    func() time.Time
	mu     struct {
		sync.Mutex
		contents
	}
}

// contents is everything in a store.
type contents struct {
	// objects are the published ones, by path.
	objects map[filesystem.Path]*object
	// inProgress are those created and not yet published, by path in progress.
	inProgress map[filesystem.Path]*object
	// removed are the durable objects whose removal is not durable yet, by directory and path. A
	// crash brings them back; the next durable change in their directory settles the removal.
	removed map[filesystem.Path]map[filesystem.Path]*object
	// created counts the objects ever created and makes their identifiers.
	created uint64
}

// object is one object. Its content does not change once it is prepared.
type object struct {
	id       string
	content  []byte
	modified time.Time
	prepared bool // durable: a crash keeps it
}

// New returns an empty store.
func New(options Options) *Store {
	s := &Store{scheme: options.Scheme, now: options.Now}
	if s.scheme == "" {
		s.scheme = "mem"
	}
	if s.now == nil {
		s.now = clock.Real().Now
	}
	s.mu.objects = make(map[filesystem.Path]*object)
	s.mu.inProgress = make(map[filesystem.Path]*object)
	s.mu.removed = make(map[filesystem.Path]map[filesystem.Path]*object)
	return s
}

// CrashClone returns the store as a crash at this moment may leave it, without what was not made
// durable: objects that no Prepare has finished are gone, and what was removed is back, unless a
// later durable change in the same directory has settled it. The store itself is not touched; its
// writers go on writing to it and not to the clone, as do processes that have not noticed.
func (s *Store) CrashClone() *Store {
	clone := New(Options{Scheme: s.scheme, Now: s.now})
	s.mu.Lock()
	defer s.mu.Unlock()
	clone.mu.created = s.mu.created
	maps.Copy(clone.mu.objects, s.mu.objects)
	for p, o := range s.mu.inProgress {
		if o.prepared {
			clone.mu.inProgress[p] = o
		}
	}
	for _, removed := range s.mu.removed {
		for p, o := range removed {
			if _, ok := filesystem.InProgressTarget(p); ok {
				clone.mu.inProgress[p] = o
			} else {
				clone.mu.objects[p] = o
			}
		}
	}
	return clone
}

// Scheme returns the scheme given in the options.
func (s *Store) Scheme() string { return s.scheme }

// Open implements filesystem.FileSystem.
func (s *Store) Open(ctx context.Context, p string) (filesystem.ReadAtCloser, error) {
	if err := begin(ctx, p); err != nil {
		return nil, wrap("open", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.mu.objects[p]
	if !ok {
		return nil, wrap("open", p, s.noObjectLocked(p))
	}
	return &reader{path: p, Reader: bytes.NewReader(o.content)}, nil
}

// reader is an open object.
type reader struct {
	*bytes.Reader
	path   filesystem.Path
	closed atomic.Bool
}

func (r *reader) ReadAt(b []byte, offset int64) (int, error) {
	if r.closed.Load() {
		return 0, wrap("read", r.path, fs.ErrClosed)
	}
	return r.Reader.ReadAt(b, offset)
}

func (r *reader) Close() error {
	r.closed.Store(true)
	return nil
}

// Stat implements filesystem.FileSystem.
func (s *Store) Stat(ctx context.Context, p string) (filesystem.Entry, error) {
	if err := begin(ctx, p); err != nil {
		return filesystem.Entry{}, wrap("stat", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.mu.objects[p]; ok {
		return o.entry(p), nil
	}
	if s.dirLocked(p) {
		return filesystem.Entry{Path: p, Dir: true}, nil
	}
	return filesystem.Entry{}, wrap("stat", p, filesystem.ErrNotExist)
}

// Remove implements filesystem.FileSystem.
func (s *Store) Remove(ctx context.Context, p string) error {
	if err := begin(ctx, p); err != nil {
		return wrap("remove", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.removeLocked(s.mu.objects, p) || s.removeLocked(s.mu.inProgress, p) {
		return nil
	}
	return wrap("remove", p, s.noObjectLocked(p))
}

// List implements filesystem.FileSystem. It lists the store as it is when the iteration starts.
func (s *Store) List(
	ctx context.Context, dir string, recursive bool,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		if err := begin(ctx, dir); err != nil {
			yield(filesystem.Entry{}, wrap("list", dir, err))
			return
		}
		s.mu.Lock()
		entries := below(s.mu.objects, dir)
		s.mu.Unlock()
		if !recursive {
			entries = foldDirs(dir, entries)
		}
		yieldAll(ctx, dir, entries, yield)
	}
}

// ListInProgress implements filesystem.FileSystem, with the unprepared objects.
func (s *Store) ListInProgress(
	ctx context.Context, dir string,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		if err := begin(ctx, dir); err != nil {
			yield(filesystem.Entry{}, wrap("list objects in progress", dir, err))
			return
		}
		s.mu.Lock()
		entries := below(s.mu.inProgress, dir)
		s.mu.Unlock()
		yieldAll(ctx, dir, entries, yield)
	}
}

// RemoveEmptyDirs implements filesystem.FileSystem. There are none to remove.
func (s *Store) RemoveEmptyDirs(ctx context.Context, dir string) error {
	return wrap("remove empty directories of", dir, begin(ctx, dir))
}

// below returns the entries of the objects below dir, in the order of listings.
func below(objects map[filesystem.Path]*object, dir filesystem.Path) []filesystem.Entry {
	var entries []filesystem.Entry
	for p, o := range objects {
		if strings.HasPrefix(p, prefixOf(dir)) {
			entries = append(entries, o.entry(p))
		}
	}
	slices.SortFunc(entries, filesystem.CompareEntries)
	return entries
}

// foldDirs replaces what is deeper than directly in dir by the directories it is in.
func foldDirs(dir filesystem.Path, entries []filesystem.Entry) []filesystem.Entry {
	var folded []filesystem.Entry
	for _, e := range entries {
		name, _, deeper := strings.Cut(strings.TrimPrefix(e.Path, prefixOf(dir)), "/")
		if deeper {
			e = filesystem.Entry{Path: path.Join(dir, name), Dir: true}
		}
		if len(folded) == 0 || folded[len(folded)-1] != e {
			folded = append(folded, e)
		}
	}
	return folded
}

func yieldAll(
	ctx context.Context, dir filesystem.Path, entries []filesystem.Entry,
	yield func(filesystem.Entry, error) bool,
) {
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			yield(filesystem.Entry{}, wrap("list", dir, err))
			return
		}
		if !yield(e, nil) {
			return
		}
	}
}

func (o *object) entry(p filesystem.Path) filesystem.Entry {
	return filesystem.Entry{Path: p, Size: int64(len(o.content)), ModTime: o.modified}
}

// noObjectLocked tells why there is no object at p.
func (s *Store) noObjectLocked(p filesystem.Path) error {
	if s.dirLocked(p) {
		return errors.New("it is a directory")
	}
	return filesystem.ErrNotExist
}

func (s *Store) dirLocked(p filesystem.Path) bool {
	for o := range s.mu.objects {
		if strings.HasPrefix(o, prefixOf(p)) {
			return true
		}
	}
	return p == "/"
}

// removeLocked removes p from one of the two maps, and reports whether it was there.
func (s *Store) removeLocked(from map[filesystem.Path]*object, p filesystem.Path) bool {
	o, ok := from[p]
	delete(from, p)
	if ok && o.prepared {
		dir := path.Dir(p)
		if s.mu.removed[dir] == nil {
			s.mu.removed[dir] = make(map[filesystem.Path]*object)
		}
		s.mu.removed[dir][p] = o
	}
	return ok
}

// settleLocked notes a durable change in the directory of p: it settles the removals there too.
func (s *Store) settleLocked(p filesystem.Path) { delete(s.mu.removed, path.Dir(p)) }

func prefixOf(dir filesystem.Path) string {
	if dir == "/" {
		return dir
	}
	return dir + "/"
}

// begin is the first step of every operation.
func begin(ctx context.Context, p filesystem.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return filesystem.CheckPath(p)
}

// wrap adds operation and path and keeps nil.
func wrap(operation string, p filesystem.Path, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mem: %s %q: %w", operation, p, err)
}

var _ filesystem.FileSystem = (*Store)(nil)
