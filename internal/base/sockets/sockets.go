// Package sockets keeps the unix sockets by which programs of one user on one machine find each
// other: one file per program in a directory that belongs to the user and nobody else.
//
// Main functions: [Directory] says where, [Listen] opens a socket under a name, [List] finds what
// others have opened, [Dial] connects. A socket left by a program that was killed is recognised,
// since nobody answers, and removed.
//
// The package does not know what is spoken. All functions may be called from any goroutine and any
// number of processes. It needs a system with unix sockets, owners and modes.
package sockets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrNotPrivate: the directory belongs to another user, or others may enter it. Nothing in it is
// to be trusted.
var ErrNotPrivate = errors.New("directory is not private")

// ErrGone: nobody listens any more; the file of the socket has been removed.
var ErrGone = errors.New("nobody listens on the socket")

const suffix = ".sock"

// Directory returns where sockets of a program family lie: in $XDG_RUNTIME_DIR, which the system
// makes for the user, else in the temporary directory under a name with the user's number.
func Directory(family string) string {
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		return filepath.Join(runtime, family)
	}
	return filepath.Join(os.TempDir(), family+"-"+strconv.Itoa(os.Getuid()))
}

// Listener is a socket that was opened here.
type Listener struct {
	*net.UnixListener
	path  string
	own   os.FileInfo
	close sync.Once
}

// Path returns the file of the socket.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the file, unless another program has put its own there
// meanwhile. Idempotent.
func (l *Listener) Close() (err error) {
	l.close.Do(func() {
		removeIf(l.path, l.own)
		err = l.UnixListener.Close()
	})
	return err
}

// removeIf removes a file that is still the one that was seen.
func removeIf(path string, seen os.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, seen) {
		_ = os.Remove(path) // Whoever finds it later will remove it.
	}
}

// Listen opens the socket of a name, making the directory when it is missing. A socket of that
// name that is there already is replaced: the program that opened it keeps its connections and is
// found no more.
func Listen(dir, name string) (*Listener, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("sockets: make directory: %w", err)
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+suffix)
	// Bound under another name first: whoever finds the right one finds somebody listening.
	fresh := filepath.Join(dir, "."+strconv.Itoa(os.Getpid())+"-"+name)
	_ = os.Remove(fresh) // of an earlier process with this number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("sockets: listen: %w%s", err, hint(err))
	}
	l.SetUnlinkOnClose(false)
	own, err := os.Lstat(fresh)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
		return nil, fmt.Errorf("sockets: listen: %w", errors.Join(err, l.Close()))
	}
	return &Listener{UnixListener: l, path: path, own: own}, nil
}

// hint explains the one error of binding that says nothing.
func hint(err error) string {
	if errors.Is(err, syscall.EINVAL) {
		return " (the path is too long for a socket; set XDG_RUNTIME_DIR to a short one)"
	}
	return ""
}

// checkPrivate returns ErrNotPrivate unless a directory belongs to this user alone.
func checkPrivate(dir string) error {
	entry, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("sockets: look at directory: %w", err)
	}
	stat, ok := entry.Sys().(*syscall.Stat_t)
	switch {
	case !entry.IsDir():
		return fmt.Errorf("sockets: %w: %q is no directory", ErrNotPrivate, dir)
	case !ok || stat.Uid != uint32(os.Getuid()):
		return fmt.Errorf("sockets: %w: %q belongs to another user; remove it, or set "+
			"XDG_RUNTIME_DIR to a directory of your own", ErrNotPrivate, dir)
	case entry.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("sockets: %w: others may enter %q, whose mode is %04o; "+
			"chmod 700 it", ErrNotPrivate, dir, entry.Mode().Perm())
	}
	return nil
}

// List returns the names of the sockets in a directory, sorted; none when it is missing. Whether
// somebody listens shows in dialing.
func List(dir string) ([]string, error) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("sockets: list: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), suffix)
		if ok && entry.Type()&fs.ModeSocket != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Sweep removes the sockets in a directory on which nobody listens, as far as it can.
func Sweep(ctx context.Context, dir string) {
	names, _ := List(dir) // a directory that cannot be read is not swept
	for _, name := range names {
		if conn, err := Dial(ctx, dir, name); err == nil {
			_ = conn.Close()
		}
	}
}

// Dial connects to the socket of a name. ErrGone: the program that opened it is no more.
func Dial(ctx context.Context, dir, name string) (net.Conn, error) {
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+suffix)
	seen, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("sockets: dial %q: %w", name, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("sockets: dial: %w", err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		removeIf(path, seen)
		return nil, fmt.Errorf("sockets: dial %q: %w", name, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("sockets: dial: %w", err)
	}
	return conn, nil
}
