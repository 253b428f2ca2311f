package mem_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/mem"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, s *mem.Store, p, content string) filesystem.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), p)
	must(t, err)
	_, err = w.Write([]byte(content))
	must(t, err)
	return w
}

func prepare(t *testing.T, s *mem.Store, p, content string) filesystem.Token {
	t.Helper()
	token, err := start(t, s, p, content).Prepare(t.Context())
	must(t, err)
	return token
}

// listing returns the visible paths and, after them, the targets of what is in progress.
func listing(t *testing.T, s *mem.Store) []string {
	t.Helper()
	var paths []string
	for e, err := range s.List(t.Context(), "/", true) {
		must(t, err)
		paths = append(paths, e.Path)
	}
	for e, err := range s.ListInProgress(t.Context(), "/") {
		must(t, err)
		target, _ := filesystem.InProgressTarget(e.Path)
		paths = append(paths, "in progress "+target)
	}
	return paths
}

func wantListing(t *testing.T, s *mem.Store, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, listing(t, s)); diff != "" {
		t.Fatalf("listing (-want +got):\n%s", diff)
	}
}

// Goal: a crash keeps what is published or prepared and loses what is only written; the tokens
// stay good, in the clone and in the store that did not crash.
// Method: one object in each state, cloned, then published in the clone.
func TestCrashClone(t *testing.T) {
	s := mem.New(mem.Options{})
	must(t, s.CreateIfAbsent(t.Context(), "/created", nil))
	published := prepare(t, s, "/published", "x")
	must(t, s.Publish(t.Context(), published))
	prepared := prepare(t, s, "/prepared", "x")
	writing := start(t, s, "/writing", "x")

	clone := s.CrashClone()
	wantListing(t, clone, "/created", "/published", "in progress /prepared")
	must(t, clone.Publish(t.Context(), published))
	must(t, clone.Publish(t.Context(), prepared))
	wantListing(t, clone, "/created", "/prepared", "/published")

	lost, err := writing.Prepare(t.Context())
	must(t, err)
	if err := clone.Publish(t.Context(), lost); !errors.Is(err, filesystem.ErrTokenUnknown) {
		t.Fatalf("publish of what the crash lost: error %v", err)
	}
	wantListing(t, s, "/created", "/published", "in progress /prepared", "in progress /writing")
	// A new object in the clone must not be mistaken for one of the store.
	if fresh := prepare(t, clone, "/writing", "y"); string(fresh) == string(prepared) {
		t.Fatal("two objects have one token")
	}
}

// Goal: a crash brings removed objects back until a durable change in their directory.
// Method: remove and discard in two directories, then create in one and prepare in the other.
func TestCrashUndoesRemovals(t *testing.T) {
	s := mem.New(mem.Options{})
	for _, dir := range []string{"/a", "/b"} {
		must(t, s.CreateIfAbsent(t.Context(), dir+"/object", nil))
		must(t, s.Discard(t.Context(), prepare(t, s, dir+"/prepared", "x")))
		must(t, s.Remove(t.Context(), dir+"/object"))
	}
	wantListing(t, s)
	wantListing(t, s.CrashClone(), "/a/object", "/b/object",
		"in progress /a/prepared", "in progress /b/prepared")
	must(t, s.CreateIfAbsent(t.Context(), "/a/settles", nil))
	wantListing(t, s.CrashClone(), "/a/settles", "/b/object", "in progress /b/prepared")
	prepare(t, s, "/b/settles", "x")
	wantListing(t, s.CrashClone(), "/a/settles", "in progress /b/settles")
}

// Goal: times come from the given clock, and the scheme from the options.
// Method: a clock that stands still.
func TestOptions(t *testing.T) {
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	s := mem.New(mem.Options{Scheme: "file", Now: func() time.Time { return now }})
	must(t, filesystem.WriteFile(t.Context(), s, "/x", []byte("abc")))
	e, err := s.Stat(t.Context(), "/x")
	must(t, err)
	if diff := cmp.Diff(filesystem.Entry{Path: "/x", Size: 3, ModTime: now}, e); diff != "" {
		t.Errorf("stat (-want +got):\n%s", diff)
	}
	if s.Scheme() != "file" {
		t.Errorf("scheme %q", s.Scheme())
	}
}
