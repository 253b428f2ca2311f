package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/leat-io/leat/filesystem"
)

// Create implements filesystem.FileSystem.
func (s *Store) Create(ctx context.Context, p string) (filesystem.Writer, error) {
	if err := beginObject(ctx, p); err != nil {
		return nil, wrap("create", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.newObjectLocked()
	inProgress := filesystem.InProgressPath(p, o.id)
	s.mu.inProgress[inProgress] = o
	return &writer{ctx: ctx, store: s, object: o, target: p, inProgress: inProgress}, nil
}

// CreateIfAbsent implements filesystem.FileSystem.
func (s *Store) CreateIfAbsent(ctx context.Context, p string, data []byte) error {
	if err := beginObject(ctx, p); err != nil {
		return wrap("create if absent", p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.takenLocked(p) {
		return wrap("create if absent", p, filesystem.ErrExists)
	}
	o := s.newObjectLocked()
	o.content = bytes.Clone(data)
	o.prepared = true
	s.mu.objects[p] = o
	s.settleLocked(p)
	return nil
}

// Publish implements filesystem.FileSystem.
func (s *Store) Publish(ctx context.Context, token filesystem.Token) error {
	target, id, err := s.decode(token)
	if err != nil {
		return fmt.Errorf("mem: publish: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return wrap("publish", target, err)
	}
	inProgress := filesystem.InProgressPath(target, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	o, waiting := s.mu.inProgress[inProgress]
	published, there := s.mu.objects[target]
	switch {
	case there && published.id == id:
		return nil
	case !waiting || !o.prepared:
		return wrap("publish", target, filesystem.ErrTokenUnknown)
	case s.takenLocked(target):
		return wrap("publish", target, filesystem.ErrExists)
	}
	delete(s.mu.inProgress, inProgress)
	s.mu.objects[target] = o
	s.settleLocked(target)
	return nil
}

// Discard implements filesystem.FileSystem.
func (s *Store) Discard(ctx context.Context, token filesystem.Token) error {
	target, id, err := s.decode(token)
	if err != nil {
		return fmt.Errorf("mem: discard: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return wrap("discard", target, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(s.mu.inProgress, filesystem.InProgressPath(target, id))
	return nil
}

// decode returns where a token's object is to be published, and its identifier.
func (s *Store) decode(token filesystem.Token) (target filesystem.Path, id string, err error) {
	fields, err := filesystem.OpenToken(s.scheme, token, 2)
	if err != nil {
		return "", "", err
	}
	target, id = string(fields[0]), string(fields[1])
	if err := filesystem.CheckObjectPath(target); err != nil {
		return "", "", fmt.Errorf("%w: %w", filesystem.ErrTokenUnknown, err)
	}
	return target, id, nil
}

// takenLocked tells whether an object cannot be made visible at p.
func (s *Store) takenLocked(p filesystem.Path) bool {
	_, object := s.mu.objects[p]
	return object || s.dirLocked(p)
}

func (s *Store) newObjectLocked() *object {
	s.mu.created++
	return &object{id: strconv.FormatUint(s.mu.created, 10), modified: s.now()}
}

// beginObject is the first step of the operations that create.
func beginObject(ctx context.Context, p filesystem.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return filesystem.CheckObjectPath(p)
}

// writer implements filesystem.Writer. It holds the context of Create because that bounds the
// writing. The object is guarded by the store's lock, as others may list it.
type writer struct {
	ctx        context.Context
	store      *Store
	object     *object
	target     filesystem.Path
	inProgress filesystem.Path

	failed error // first failure of Write
	ended  bool
}

// Write implements io.Writer.
func (w *writer) Write(b []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, wrap("write", w.target, err)
	}
	if w.failed = w.ctx.Err(); w.failed != nil {
		return 0, wrap("write", w.target, w.failed)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.object.content = append(w.object.content, b...)
	w.object.modified = w.store.now()
	return len(b), nil
}

func (w *writer) usable() error {
	if w.ended {
		return fmt.Errorf("the writer has ended: %w", fs.ErrClosed)
	}
	if w.failed != nil {
		return fmt.Errorf("an earlier write failed: %w", w.failed)
	}
	return nil
}

// Prepare implements filesystem.Writer.
func (w *writer) Prepare(ctx context.Context) (filesystem.Token, error) {
	err := errors.Join(w.usable(), ctx.Err())
	w.ended = true
	if err != nil {
		return nil, wrap("prepare", w.target, err)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.store.mu.inProgress[w.inProgress] != w.object {
		return nil, wrap("prepare", w.target, errors.New("the object in progress was removed"))
	}
	w.object.prepared = true
	w.store.settleLocked(w.inProgress)
	return filesystem.SealToken(w.store.scheme, []byte(w.target), []byte(w.object.id)), nil
}

// Abort implements filesystem.Writer.
func (w *writer) Abort() error {
	w.ended = true
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if !w.object.prepared {
		delete(w.store.mu.inProgress, w.inProgress)
	}
	return nil
}
