package local_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/base/lifecycle"
)

// fixture is a store in a directory of the test.
type fixture struct {
	*testing.T
	*local.Store
	root string
}

func newFixture(t *testing.T) *fixture {
	root := t.TempDir()
	return &fixture{T: t, Store: local.New(local.Options{Root: root}), root: root}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// prepare returns the token of a prepared object and the path of its file in progress.
func (f *fixture) prepare(p, content string) (filesystem.Token, string) {
	f.Helper()
	w, err := f.Create(f.Context(), p)
	f.must(err)
	_, err = w.Write([]byte(content))
	f.must(err)
	token, err := w.Prepare(f.Context())
	f.must(err)
	files, err := filepath.Glob(filepath.Join(f.root, filepath.Dir(p), ".*.inprogress"))
	f.must(err)
	if len(files) != 1 {
		f.Fatalf("files in progress: %v", files)
	}
	return token, files[0]
}

// names returns the names in the root directory, hidden ones included.
func (f *fixture) names() []string {
	f.Helper()
	entries, err := os.ReadDir(f.root)
	f.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (f *fixture) wantNames(want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.names()); diff != "" {
		f.Fatalf("names (-want +got):\n%s", diff)
	}
}

// Goal: a crash between the link and the removal of the name in progress converges, whichever call
// comes next.
// Method: make the second name by hand, then publish, or discard and publish.
func TestCrashBetweenLinkAndUnlink(t *testing.T) {
	for _, discardFirst := range []bool{false, true} {
		f := newFixture(t)
		token, inProgress := f.prepare("/object", "content")
		f.must(os.Link(inProgress, filepath.Join(f.root, "object")))
		if discardFirst {
			f.must(f.Discard(t.Context(), token))
		}
		for range 2 {
			f.must(f.Publish(t.Context(), token))
			f.wantNames("object")
		}
	}
}

// Goal: after a crash before the link another process publishes with the token alone.
// Method: publish by a second store over the same directory.
func TestPublishByAnotherProcess(t *testing.T) {
	f := newFixture(t)
	token, _ := f.prepare("/object", "content")
	f.must(local.New(local.Options{Root: f.root}).Publish(t.Context(), token))
	f.wantNames("object")
	f.must(f.Publish(t.Context(), token))
}

// Goal: a published object that was copied to another disk is still known by its content, and
// another one of the same length is not.
// Method: replace the file by a copy, then by other bytes.
func TestPublishedObjectCopied(t *testing.T) {
	f := newFixture(t)
	content := string(bytes.Repeat([]byte("x"), 3<<20))
	token, _ := f.prepare("/object", content)
	f.must(f.Publish(t.Context(), token))
	for _, c := range []struct {
		content string
		want    error
	}{
		{content, nil},
		{content[1:] + "y", filesystem.ErrTokenUnknown},
		{content[1:], filesystem.ErrTokenUnknown},
	} {
		file := filepath.Join(f.root, "object")
		f.must(os.WriteFile(file+".copy", []byte(c.content), 0o644))
		f.must(os.Rename(file+".copy", file))
		if err := f.Publish(t.Context(), token); !errors.Is(err, c.want) {
			t.Errorf("error %v, want %v", err, c.want)
		}
	}
}

// Goal: a prepared file that was cut is not published.
// Method: truncate it behind the store's back.
func TestDamagedObjectIsNotPublished(t *testing.T) {
	f := newFixture(t)
	token, inProgress := f.prepare("/object", "content")
	f.must(os.Truncate(inProgress, 3))
	if err := f.Publish(t.Context(), token); err == nil {
		t.Fatal("published a damaged object")
	}
	if _, err := f.Stat(t.Context(), "/object"); !errors.Is(err, filesystem.ErrNotExist) {
		t.Fatalf("stat: error %v", err)
	}
}

// Goal: a writer whose file a clean-up has removed, or replaced, gets no token.
// Method: remove or replace the file in progress before Prepare.
func TestPrepareAfterCleanUp(t *testing.T) {
	for _, replace := range []bool{false, true} {
		f := newFixture(t)
		w, err := f.Create(t.Context(), "/object")
		f.must(err)
		file := filepath.Join(f.root, f.names()[0])
		f.must(os.Remove(file))
		if replace {
			f.must(os.WriteFile(file, nil, 0o644))
		}
		if token, err := w.Prepare(t.Context()); err == nil || token != nil {
			t.Errorf("replace=%v: token of %d bytes, error %v", replace, len(token), err)
		}
		f.must(w.Abort())
		f.wantNames()
	}
}

// Goal: links are followed, and loops, dangling links and pipes are no obstacle to a listing.
// Method: one of each beside an object.
func TestListLinksAndPipes(t *testing.T) {
	f := newFixture(t)
	f.must(filesystem.WriteFile(t.Context(), f, "/dir/object", []byte("x")))
	for name, target := range map[string]string{
		"file-link": "dir/object", "dir-link": "dir", "dangling": "nowhere", "self": "self",
		"dir/up": "..",
	} {
		f.must(os.Symlink(target, filepath.Join(f.root, name)))
	}
	f.must(syscall.Mkfifo(filepath.Join(f.root, "pipe"), 0o600))
	var got []string
	for e, err := range f.List(t.Context(), "/", true) {
		f.must(err)
		got = append(got, e.Path)
	}
	want := []string{"/dir-link/object", "/dir/object", "/file-link"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("list (-want +got):\n%s", diff)
	}
	if _, err := f.Open(t.Context(), "/pipe"); err == nil {
		t.Fatal("opened a pipe")
	}
}

// Goal: an unreadable directory is an error of the listing, not a gap in it.
// Method: a directory without permissions; the superuser reads it all the same.
func TestListUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not bind the superuser")
	}
	f := newFixture(t)
	f.must(os.Mkdir(filepath.Join(f.root, "closed"), 0))
	for _, err := range f.List(t.Context(), "/", true) {
		if err != nil {
			return
		}
	}
	t.Fatal("listed without an error")
}

// Goal: creating objects and removing empty directories at once: every creation succeeds whole.
// Method: one goroutine creates in a directory that another one keeps removing.
func TestCreateBesidePruning(t *testing.T) {
	f := newFixture(t)
	group := lifecycle.NewGroup(t.Context(), "test")
	created := make(chan struct{})
	group.Go("creator", func(ctx context.Context) error {
		defer close(created)
		for range 30 {
			if err := f.CreateIfAbsent(ctx, "/a/b/c", []byte("x")); err != nil {
				return err
			}
			if err := f.Remove(ctx, "/a/b/c"); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go("pruner", func(ctx context.Context) error {
		for {
			select {
			case <-created:
				return nil
			default:
			}
			if err := f.RemoveEmptyDirs(ctx, "/a"); err != nil {
				return err
			}
		}
	})
	f.must(group.Wait())
}

// Goal: a parent that is an object is refused, not taken for a missing object.
// Method: create below an object in the three ways.
func TestParentIsObject(t *testing.T) {
	f := newFixture(t)
	f.must(f.CreateIfAbsent(t.Context(), "/object", nil))
	_, createErr := f.Create(t.Context(), "/object/x")
	for _, err := range []error{
		createErr,
		f.CreateIfAbsent(t.Context(), "/object/x", nil),
		f.CreateIfAbsent(t.Context(), "/object/x/y", nil),
	} {
		if err == nil || errors.Is(err, filesystem.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	}
}
