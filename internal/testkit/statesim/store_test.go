package statesim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
)

// store keeps objects in memory, fails uploads on demand and forgets what nobody refers to.
type store struct {
	mu struct {
		sync.Mutex
		objects map[string][]byte
		// until is the last checkpoint that may refer to an object first.
		until map[string]uint64
		next  int
		// failing is how many of the next uploads fail after some bytes.
		failing int
	}
}

func newStore() *store {
	s := &store{}
	s.mu.objects, s.mu.until = map[string][]byte{}, map[string]uint64{}
	return s
}

var errUpload = errors.New("the store is full")

// uploader stores the objects of a checkpoint, or those of a merge that may join it.
type uploader struct {
	*store
	checkpoint uint64
}

// Upload stores an object under a new name.
func (s uploader) Upload(
	_ context.Context, name string, write func(io.Writer) error,
) (string, int64, error) {
	s.mu.Lock()
	s.mu.next++
	name = fmt.Sprintf("../shared/%d-%s", s.mu.next, name)
	failing := s.mu.failing > 0
	if failing {
		s.mu.failing--
	}
	s.mu.Unlock()
	var out bytes.Buffer
	if failing {
		err := write(&failingWriter{left: 100})
		return "", 0, errors.Join(err, errUpload)
	}
	if err := write(&out); err != nil {
		return "", 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.objects[name], s.mu.until[name] = out.Bytes(), s.checkpoint
	return name, int64(out.Len()), nil
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, errUpload
	}
	w.left -= len(p)
	return len(p), nil
}

// Open opens an object.
func (s *store) Open(_ context.Context, path string) (filesystem.ReadAtCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.mu.objects[path]
	if !ok {
		return nil, fmt.Errorf("open %q: %w", path, fs.ErrNotExist)
	}
	return object{bytes.NewReader(content)}, nil
}

type object struct{ *bytes.Reader }

func (o object) Close() error { return nil }

func (o object) Size() int64 { return o.Reader.Size() }

func (s *store) fail(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failing = n
}

// names returns what is stored, in order.
func (s *store) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.mu.objects))
}

// flip changes one bit of an object and returns its number and how to change it back.
func (s *store) flip(name string, draw int64) (bit int64, undo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content := s.mu.objects[name]
	bit = draw % (8 * int64(len(content)))
	content[bit/8] ^= 1 << (bit % 8)
	return bit, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		content[bit/8] ^= 1 << (bit % 8)
	}
}

// sweep removes what none of some states refers to, nor a checkpoint to come.
func (s *store) sweep(alive []*protocol.KeyedState, newest uint64) {
	named := map[string]bool{}
	for _, state := range alive {
		for _, pane := range state.Panes {
			for _, r := range pane.Runs {
				named[r.GetFile().GetPath()] = true
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.mu.objects, func(name string, _ []byte) bool {
		return !named[name] && s.mu.until[name] <= newest
	})
}
