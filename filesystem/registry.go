package filesystem

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// localScheme is what a URI without a scheme means.
const localScheme = "file"

// Registry resolves URIs to stores. It does not change after NewRegistry and is safe for concurrent
// use. The zero Registry knows no store.
type Registry struct {
	stores map[string]FileSystem
}

// RelativeResolver is implemented by stores that have a working directory. Registry.Resolve asks
// the local store for it when a URI is a relative path; without it relative paths start at "/".
type RelativeResolver interface {
	// Absolute returns the absolute, clean path of a relative one.
	Absolute(relative string) (Path, error)
}

// NewRegistry returns a registry of the given stores. Of two stores with the same scheme the later
// one serves it.
func NewRegistry(stores ...FileSystem) *Registry {
	r := &Registry{stores: make(map[string]FileSystem, len(stores))}
	for _, s := range stores {
		r.stores[s.Scheme()] = s
	}
	return r
}

// Resolve returns the store and the path that uri means. "file:///abs/dir", "file:/abs/dir" and
// "/abs" are local, and so is "rel/dir", which is relative to the working directory. In every other
// scheme "scheme://authority/key" is the path "/authority/key" of that scheme's store. Nothing is
// percent-decoded, dot elements are removed and cannot leave the authority.
//
// Resolve does not touch the store, except for asking where a relative path starts. The error for
// an unknown scheme names the known ones.
func (r *Registry) Resolve(uri string) (FileSystem, string, error) {
	scheme, p, err := r.split(uri)
	if err != nil {
		return nil, "", fmt.Errorf("filesystem: resolve %q: %w", uri, err)
	}
	store, ok := r.stores[scheme]
	if !ok {
		return nil, "", fmt.Errorf("filesystem: resolve %q: %w", uri, r.unknown(scheme))
	}
	if !strings.HasPrefix(p, "/") {
		if p, err = absolute(store, p); err != nil {
			return nil, "", fmt.Errorf("filesystem: resolve %q: %w", uri, err)
		}
	}
	return store, p, nil
}

// split returns the scheme and the path of uri; the path is relative only for a local URI.
func (r *Registry) split(uri string) (scheme, p string, err error) {
	if uri == "" {
		return "", "", errors.New("the URI is empty")
	}
	if strings.IndexByte(uri, 0) >= 0 {
		return "", "", errors.New("the URI contains a zero byte")
	}
	if scheme, rest, ok := cutScheme(uri); ok {
		return splitAuthority(scheme, rest)
	}
	if len(uri) >= 5 && strings.EqualFold(uri[:5], "file:") {
		if !strings.HasPrefix(uri[5:], "/") {
			return "", "", errors.New(`a path after "file:" must be absolute`)
		}
		return localScheme, path.Clean(uri[5:]), nil
	}
	return localScheme, path.Clean(uri), nil
}

// cutScheme cuts "scheme://" off. A colon elsewhere is part of a file name: partition directories
// have times in their names.
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, "://")
	if !ok || scheme == "" {
		return "", "", false
	}
	for i, c := range []byte(scheme) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		other := '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'
		if !letter && (i == 0 || !other) {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, true
}

func splitAuthority(scheme, rest string) (string, string, error) {
	authority, key, _ := strings.Cut(rest, "/")
	key = path.Clean("/" + key)
	if scheme == localScheme {
		if authority != "" && authority != "localhost" {
			return "", "", fmt.Errorf(
				"the local store has no host %q; an absolute path needs three slashes", authority)
		}
		return scheme, key, nil
	}
	if authority == "." || authority == ".." {
		return "", "", fmt.Errorf("%q is not an authority", authority)
	}
	return scheme, path.Join("/", authority, key), nil
}

func (r *Registry) unknown(scheme string) error {
	known := slices.Sorted(maps.Keys(r.stores))
	list := "none"
	if len(known) > 0 {
		list = strings.Join(known, ", ")
	}
	switch scheme {
	case "hdfs", "viewfs", "webhdfs":
		return fmt.Errorf("%s is not supported: Leat does not speak to Hadoop file systems; "+
			"copy to an object store or mount it as a local directory (known schemes: %s)",
			scheme, list)
	case localScheme:
		return fmt.Errorf("the local store is not registered (known schemes: %s)", list)
	}
	return fmt.Errorf("unknown scheme %q (known schemes: %s)", scheme, list)
}

func absolute(store FileSystem, relative string) (Path, error) {
	if w, ok := store.(RelativeResolver); ok {
		return w.Absolute(relative)
	}
	return path.Join("/", relative), nil
}
