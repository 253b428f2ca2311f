package fstest_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fstest"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// brokenVariable names, in a process of its own, the broken store to run the kit on.
const brokenVariable = "LEAT_FSTEST_BROKEN"

// broken are stores that each break one promise, with the subtest that has to find it. The embedded
// store keeps all promises.
var broken = map[string]struct {
	finds string
	open  func(inner *mem.Store) filesystem.FileSystem
}{
	"overwrites": {"create_if_absent_has_one_winner_of_32",
		func(s *mem.Store) filesystem.FileSystem { return overwrites{s} }},
	"publishes once": {"publish_is_idempotent",
		func(s *mem.Store) filesystem.FileSystem { return &publishesOnce{Store: s} }},
	"discards all": {"discard_never_removes_a_published_object",
		func(s *mem.Store) filesystem.FileSystem { return discardsAll{s} }},
	"lists twice": {"list_is_in_order",
		func(s *mem.Store) filesystem.FileSystem { return listsTwice{s} }},
	"shows early": {"list_hides_objects_in_progress",
		func(s *mem.Store) filesystem.FileSystem { return showsEarly{s} }},
	"other sentinel": {"missing_object_is_not_found",
		func(s *mem.Store) filesystem.FileSystem { return otherSentinel{s} }},
	"ignores contexts": {"ended_context_has_no_effect",
		func(s *mem.Store) filesystem.FileSystem { return ignoresContexts{s} }},
	"none": {"", func(s *mem.Store) filesystem.FileSystem { return s }},
}

type overwrites struct{ *mem.Store }

func (s overwrites) CreateIfAbsent(ctx context.Context, p string, data []byte) error {
	if err := s.Remove(ctx, p); err != nil && !errors.Is(err, filesystem.ErrNotExist) {
		return err
	}
	return s.Store.CreateIfAbsent(ctx, p, data)
}

type publishesOnce struct {
	*mem.Store
	done sync.Map // by token
}

func (s *publishesOnce) Publish(ctx context.Context, token filesystem.Token) error {
	if _, ok := s.done.Load(string(token)); ok {
		return filesystem.ErrTokenUnknown
	}
	err := s.Store.Publish(ctx, token)
	if err == nil {
		s.done.Store(string(token), true)
	}
	return err
}

type discardsAll struct{ *mem.Store }

func (s discardsAll) Discard(ctx context.Context, token filesystem.Token) error {
	fields, err := filesystem.OpenToken("mem", token, 2)
	if err == nil {
		err = s.Remove(ctx, string(fields[0]))
	}
	if err != nil && !errors.Is(err, filesystem.ErrNotExist) {
		return err
	}
	return s.Store.Discard(ctx, token)
}

type listsTwice struct{ *mem.Store }

func (s listsTwice) List(
	ctx context.Context, dir string, recursive bool,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		for e, err := range s.Store.List(ctx, dir, recursive) {
			if !yield(e, err) || err != nil || !yield(e, nil) {
				return
			}
		}
	}
}

type showsEarly struct{ *mem.Store }

func (s showsEarly) List(
	ctx context.Context, dir string, recursive bool,
) iter.Seq2[filesystem.Entry, error] {
	return func(yield func(filesystem.Entry, error) bool) {
		for e, err := range s.Store.List(ctx, dir, recursive) {
			if !yield(e, err) || err != nil {
				return
			}
		}
		for e, err := range s.ListInProgress(ctx, dir) {
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

type otherSentinel struct{ *mem.Store }

func (s otherSentinel) Remove(ctx context.Context, p string) error {
	if err := s.Store.Remove(ctx, p); err != nil {
		return errors.New("remove: no such object")
	}
	return nil
}

type ignoresContexts struct{ *mem.Store }

func (s ignoresContexts) Discard(ctx context.Context, token filesystem.Token) error {
	return s.Store.Discard(context.WithoutCancel(ctx), token)
}

// Goal: the kit can fail: it finds each of the broken stores, by the promise that is broken.
// Method: run the kit on each in a process of its own and read the verdicts.
func TestKitFindsBrokenStores(t *testing.T) {
	for name, c := range broken {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenStore$")
			cmd.Env = append(os.Environ(), brokenVariable+"="+name)
			output, err := cmd.CombinedOutput()
			if c.finds == "" {
				if err != nil {
					t.Fatalf("the sound store failed: %v\n%s", err, output)
				}
				return
			}
			var failed *exec.ExitError
			found := strings.Contains(string(output), "--- FAIL: TestBrokenStore/"+c.finds+" ")
			if !errors.As(err, &failed) || !found {
				t.Fatalf("error %v, and %q has not failed:\n%s", err, c.finds, output)
			}
		})
	}
}

// Goal: serve TestKitFindsBrokenStores. Method: run the kit on the store it names, if any.
func TestBrokenStore(t *testing.T) {
	c, ok := broken[os.Getenv(brokenVariable)]
	if !ok {
		return
	}
	fstest.Run(t, func(*testing.T) filesystem.FileSystem {
		return c.open(mem.New(mem.Options{}))
	})
}
