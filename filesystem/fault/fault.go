// Package fault wraps a store and injects scripted faults into it, for tests and simulation.
//
// The main types are [Store], the wrapper, and [Plan], a script of [Rule] values that select calls
// by operation, path and number, and fail them before their effect, lose their answer after it, or
// delay them. The plan counts what it matched, so that a test can prove that its faults happened.
//
// With no rules the wrapper keeps the contract of the store it wraps, and its tokens are that
// store's own. The package does not damage bytes and does not crash stores; mem.Store.CrashClone
// does. It knows no randomness: a simulator draws the rules from its seed.
//
// A Store and a Plan are safe for concurrent use and have no life cycle.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/leat-io/leat/filesystem"
)

// Store is a store with scripted faults.
type Store struct {
	inner filesystem.FileSystem
	plan  *Plan
}

// New wraps a store. The plan may be shared with other wrappers.
func New(inner filesystem.FileSystem, plan *Plan) *Store { return &Store{inner: inner, plan: plan} }

// Scheme returns the scheme of the wrapped store.
func (s *Store) Scheme() string { return s.inner.Scheme() }

// Open implements filesystem.FileSystem.
func (s *Store) Open(ctx context.Context, p string) (filesystem.ReadAtCloser, error) {
	var r filesystem.ReadAtCloser
	err := s.plan.do(ctx, OpOpen, p, func() (err error) {
		r, err = s.inner.Open(ctx, p)
		return err
	})
	if err != nil {
		if r != nil {
			err = errors.Join(err, r.Close())
		}
		return nil, err
	}
	return &reader{ReadAtCloser: r, ctx: ctx, plan: s.plan, path: p}, nil
}

// reader is an open object with scripted faults. It holds the context of Open, which bounds its
// reads.
type reader struct {
	filesystem.ReadAtCloser
	ctx  context.Context
	plan *Plan
	path filesystem.Path
}

func (r *reader) ReadAt(b []byte, offset int64) (n int, err error) {
	err = r.plan.do(r.ctx, OpReadAt, r.path, func() (err error) {
		n, err = r.ReadAtCloser.ReadAt(b, offset)
		return err
	})
	return n, err
}

// Create implements filesystem.FileSystem.
func (s *Store) Create(ctx context.Context, p string) (filesystem.Writer, error) {
	var w filesystem.Writer
	err := s.plan.do(ctx, OpCreate, p, func() (err error) {
		w, err = s.inner.Create(ctx, p)
		return err
	})
	if err != nil {
		if w != nil {
			err = errors.Join(err, w.Abort())
		}
		return nil, err
	}
	return &writer{Writer: w, ctx: ctx, store: s, path: p}, nil
}

// writer is a writer with scripted faults. It holds the context of Create, which bounds the
// writing.
type writer struct {
	filesystem.Writer
	ctx   context.Context
	store *Store
	path  filesystem.Path

	// failed is what Write and Prepare return after an injected fault. The wrapped writer knows
	// nothing of the fault, so this promise of the contract is kept here.
	failed error
	// lost is the token of a Prepare whose answer was lost. To the wrapped writer it succeeded, so
	// Abort has to discard it.
	lost filesystem.Token
}

func (w *writer) Write(b []byte) (n int, err error) {
	if w.failed != nil {
		return 0, w.failed
	}
	w.failed = w.store.plan.do(w.ctx, OpWrite, w.path, func() (err error) {
		n, err = w.Writer.Write(b)
		return err
	})
	return n, w.failed
}

func (w *writer) Prepare(ctx context.Context) (filesystem.Token, error) {
	if w.failed != nil {
		return nil, w.failed
	}
	var token filesystem.Token
	err := w.store.plan.do(ctx, OpPrepare, w.path, func() (err error) {
		token, err = w.Writer.Prepare(ctx)
		return err
	})
	if token != nil {
		w.store.plan.remember(token, w.path)
	}
	if err != nil {
		w.lost = token
		w.failed = fmt.Errorf("fault: write %q: the writer has ended: %w", w.path, fs.ErrClosed)
		return nil, err
	}
	return token, nil
}

func (w *writer) Abort() error {
	w.failed = nil // From here on the wrapped writer answers.
	err := w.Writer.Abort()
	if w.lost != nil {
		err = errors.Join(err, w.store.inner.Discard(context.WithoutCancel(w.ctx), w.lost))
	}
	return err
}

// CreateIfAbsent implements filesystem.FileSystem.
func (s *Store) CreateIfAbsent(ctx context.Context, p string, data []byte) error {
	return s.plan.do(ctx, OpCreateIfAbsent, p, func() error {
		return s.inner.CreateIfAbsent(ctx, p, data)
	})
}

// Publish implements filesystem.FileSystem.
func (s *Store) Publish(ctx context.Context, token filesystem.Token) error {
	return s.plan.do(ctx, OpPublish, s.plan.pathOf(token), func() error {
		return s.inner.Publish(ctx, token)
	})
}

// Discard implements filesystem.FileSystem.
func (s *Store) Discard(ctx context.Context, token filesystem.Token) error {
	return s.plan.do(ctx, OpDiscard, s.plan.pathOf(token), func() error {
		return s.inner.Discard(ctx, token)
	})
}

// List implements filesystem.FileSystem.
func (s *Store) List(
	ctx context.Context, dir string, recursive bool,
) iter.Seq2[filesystem.Entry, error] {
	return s.list(ctx, OpList, dir, s.inner.List(ctx, dir, recursive))
}

// ListInProgress implements filesystem.FileSystem.
func (s *Store) ListInProgress(
	ctx context.Context, dir string,
) iter.Seq2[filesystem.Entry, error] {
	return s.list(ctx, OpListInProgress, dir, s.inner.ListInProgress(ctx, dir))
}

// list counts one call per iteration. A fault after the effect comes when all entries are out; a
// caller that stops earlier does not see it.
func (s *Store) list(
	ctx context.Context, op Op, dir filesystem.Path, inner iter.Seq2[filesystem.Entry, error],
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		stopped := false
		err := s.plan.do(ctx, op, dir, func() error {
			for e, err := range inner {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(filesystem.Entry{}, err)
		}
	}
}

// Stat implements filesystem.FileSystem.
func (s *Store) Stat(ctx context.Context, p string) (e filesystem.Entry, err error) {
	err = s.plan.do(ctx, OpStat, p, func() (err error) {
		e, err = s.inner.Stat(ctx, p)
		return err
	})
	if err != nil {
		return filesystem.Entry{}, err
	}
	return e, nil
}

// Remove implements filesystem.FileSystem.
func (s *Store) Remove(ctx context.Context, p string) error {
	return s.plan.do(ctx, OpRemove, p, func() error { return s.inner.Remove(ctx, p) })
}

// RemoveEmptyDirs implements filesystem.FileSystem.
func (s *Store) RemoveEmptyDirs(ctx context.Context, dir string) error {
	return s.plan.do(ctx, OpRemoveEmptyDirs, dir, func() error {
		return s.inner.RemoveEmptyDirs(ctx, dir)
	})
}

// Absolute asks the wrapped store where a relative path starts, as filesystem.Registry would.
func (s *Store) Absolute(relative string) (filesystem.Path, error) {
	if r, ok := s.inner.(filesystem.RelativeResolver); ok {
		return r.Absolute(relative)
	}
	return filesystem.Join("/", relative), nil
}

var (
	_ filesystem.FileSystem       = (*Store)(nil)
	_ filesystem.RelativeResolver = (*Store)(nil)
)
