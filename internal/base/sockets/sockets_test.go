package sockets

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// Goal: programs find each other by name, and a later one takes a name over. Method: listen twice
// under one name, dial, close in both orders.
func TestListen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	if names, err := List(dir); err != nil || names != nil {
		t.Fatalf("list of a missing directory: %v, %v", names, err)
	}
	first, err := Listen(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Listen(dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	names, err := List(dir)
	if diff := cmp.Diff([]string{"a"}, names); diff != "" || err != nil {
		t.Fatalf("names %s, %v", diff, err)
	}
	group := lifecycle.NewGroup(t.Context(), "echo")
	group.Go("echo", func(context.Context) error { return echo(second) })
	conn, err := Dial(t.Context(), dir, "a")
	if err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(conn); string(said) != "hello" || err != nil {
		t.Errorf("said %q, %v", said, err)
	}
	_ = conn.Close()
	if err := errors.Join(group.Wait(), second.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if names, err := List(dir); err != nil || names != nil {
		t.Errorf("names %v, %v after the last Close", names, err)
	}
}

func echo(l *Listener) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("hello"))
	return errors.Join(err, conn.Close())
}

// Goal: the socket of a killed program is recognised and removed. Method: close a listener without
// removing its file.
func TestStale(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	l, err := Listen(dir, "killed")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.UnixListener.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := List(dir); len(names) != 1 {
		t.Fatalf("names %v", names)
	}
	if _, err := Dial(t.Context(), dir, "killed"); !errors.Is(err, ErrGone) {
		t.Errorf("dial: %v", err)
	}
	if names, _ := List(dir); names != nil {
		t.Errorf("names %v after dialing", names)
	}
	if _, err := Dial(t.Context(), dir, "never"); !errors.Is(err, ErrGone) {
		t.Errorf("dial: %v", err)
	}
}

// Goal: a directory that others may enter, or that belongs to another user, is refused by both
// sides. Method: change mode and, when the test may, the owner; put a link in its place.
func TestNotPrivate(t *testing.T) {
	refused := func(t *testing.T, dir string) {
		t.Helper()
		if l, err := Listen(dir, "a"); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("listen: %v, %v", l, err)
		}
		if _, err := List(dir); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("list: %v", err)
		}
		if _, err := Dial(t.Context(), dir, "a"); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("dial: %v", err)
		}
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o750); err != nil {
		t.Fatal(err)
	}
	refused(t, open)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	refused(t, link)
	t.Run("other user", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		if err := os.Mkdir(other, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(other, 12345, 12345); err != nil {
			t.Skipf("only root can give a directory away: %v", err)
		}
		refused(t, other)
	})
}

// Goal: a path too long for a socket is explained. Method: a long name.
func TestTooLong(t *testing.T) {
	name := make([]byte, 120)
	for i := range name {
		name[i] = 'x'
	}
	if _, err := Listen(filepath.Join(t.TempDir(), "s"), string(name)); err == nil {
		t.Error("no error for a long path")
	} else {
		t.Log(err)
	}
}

// Goal: the directory is the user's. Method: with and without XDG_RUNTIME_DIR.
func TestDirectory(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	if got := Directory("leat"); got != "/run/user/7/leat" {
		t.Errorf("directory %q", got)
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	t.Setenv("TMPDIR", "/tmp")
	if got := filepath.Dir(Directory("leat")); got != "/tmp" {
		t.Errorf("directory in %q", got)
	}
}
