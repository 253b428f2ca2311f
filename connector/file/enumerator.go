package file

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/fault"
)

// enumerator implements connector.Enumerator. It holds every split that is not handed out, by path
// and start.
type enumerator struct {
	left []*split
	err  error // of splits that came back and cannot be read
}

const enumeratorVersion = 1

// NewEnumerator implements connector.Source. Without restored it lists the files; the error for a
// path that is not there and for a pattern without a match names it.
func (s *Source) NewEnumerator(ctx context.Context, env *connector.Env, restored []byte,
) (connector.Enumerator, error) {
	if restored != nil {
		return restoreEnumerator(restored)
	}
	e := &enumerator{}
	seen := make(map[string]bool)
	for _, uri := range s.options.Paths {
		found, err := find(ctx, env.Files, uri)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if !seen[f.uri] {
				seen[f.uri] = true
				e.left = append(e.left, s.cut(f)...)
			}
		}
	}
	e.sort()
	return e, nil
}

// cut divides a file into splits.
func (s *Source) cut(f split) []*split {
	size := s.options.SplitBytes
	if size < 0 || f.size <= size || s.options.gzipped(f.uri) {
		f.end = wholeFile
		return []*split{&f}
	}
	var splits []*split
	for start := int64(0); start < f.size; start += size {
		piece := f
		piece.start, piece.end = start, min(start+size, f.size)
		if start > 0 {
			piece.position = unaligned
		}
		splits = append(splits, &piece)
	}
	return splits
}

func (e *enumerator) sort() {
	slices.SortFunc(e.left, func(a, b *split) int {
		return cmp.Or(strings.Compare(a.uri, b.uri), cmp.Compare(a.start, b.start))
	})
}

// Next implements connector.Enumerator.
func (e *enumerator) Next(int) (next connector.Split, ok, done bool, err error) {
	if len(e.left) == 0 || e.err != nil {
		return connector.Split{}, false, e.err == nil, e.err
	}
	next = e.left[0].encode()
	e.left = e.left[1:]
	return next, true, false, nil
}

// Return implements connector.Enumerator. Splits that are not of this source make Next fail.
func (e *enumerator) Return(splits []connector.Split) {
	for _, from := range splits {
		s, err := decodeSplit(from)
		if err != nil {
			e.err = err
			continue
		}
		e.left = append(e.left, s)
	}
	e.sort()
}

// Snapshot implements connector.Enumerator: a version and the splits left, each with its length.
func (e *enumerator) Snapshot() ([]byte, error) {
	b := binary.AppendUvarint(nil, enumeratorVersion)
	for _, s := range e.left {
		b = appendText(b, s.encode().Data)
	}
	return b, nil
}

// Close implements connector.Enumerator.
func (e *enumerator) Close() error { return nil }

func restoreEnumerator(b []byte) (*enumerator, error) {
	fail := func(err error) (*enumerator, error) {
		return nil, fault.Internal(fmt.Errorf("file: restore enumerator: %w", err))
	}
	version, n := binary.Uvarint(b)
	if n <= 0 {
		return fail(errDamaged)
	}
	if version != enumeratorVersion {
		return fail(fmt.Errorf("version %d, want %d", version, enumeratorVersion))
	}
	e := &enumerator{}
	for b = b[n:]; len(b) > 0; {
		encoded, rest, ok := cutText(b)
		if !ok {
			return fail(errDamaged)
		}
		s, err := decodeSplit(connector.Split{Version: splitVersion, Data: encoded})
		if err != nil {
			return fail(err)
		}
		e.left = append(e.left, s)
		b = rest
	}
	return e, nil
}

// find returns the files that a path, directory or pattern stands for.
func find(ctx context.Context, files *filesystem.Registry, uri string) ([]split, error) {
	fail := func(err error) ([]split, error) {
		return nil, fmt.Errorf("file: find %q: %w", uri, err)
	}
	store, p, err := files.Resolve(uri)
	if err != nil {
		return fail(fault.User(err))
	}
	entry, err := store.Stat(ctx, p)
	matches := []filesystem.Entry{entry}
	if errors.Is(err, filesystem.ErrNotExist) && strings.ContainsAny(p, `*?[`) {
		if matches, err = glob(ctx, store, p); err == nil && len(matches) == 0 {
			err = fault.User(errors.New("the pattern matches nothing"))
		}
	} else if err != nil {
		err = external(err)
	}
	if err != nil {
		return fail(err)
	}
	var found []split
	for _, m := range matches {
		if !m.Dir {
			found = append(found, fileOf(store, m))
			continue
		}
		inside, err := walk(ctx, store, m.Path)
		if err != nil {
			return fail(err)
		}
		found = append(found, inside...)
	}
	return found, nil
}

func fileOf(store filesystem.FileSystem, e filesystem.Entry) split {
	f := split{uri: uriOf(store, e.Path), size: e.Size}
	if !e.ModTime.IsZero() {
		f.modified = e.ModTime.UnixNano()
	}
	return f
}

func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// walk returns the files below a directory, at any depth, without hidden ones.
func walk(ctx context.Context, store filesystem.FileSystem, dir string) ([]split, error) {
	var found []split
	for e, err := range store.List(ctx, dir, true) {
		if err != nil {
			return nil, external(err)
		}
		below := strings.TrimPrefix(strings.TrimPrefix(e.Path, dir), "/")
		if !slices.ContainsFunc(strings.Split(below, "/"), hidden) {
			found = append(found, fileOf(store, e))
		}
	}
	return found, nil
}

// glob returns what matches a pattern, walking down from its first element that is one.
func glob(ctx context.Context, store filesystem.FileSystem, pattern string,
) ([]filesystem.Entry, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fault.User(err)
	}
	dirs := []filesystem.Entry{{Path: "/", Dir: true}}
	for element := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		var matches []filesystem.Entry
		for _, dir := range dirs {
			if !dir.Dir {
				continue
			}
			found, err := matchIn(ctx, store, dir.Path, element)
			if err != nil {
				return nil, err
			}
			matches = append(matches, found...)
		}
		dirs = matches
	}
	return dirs, nil
}

// matchIn returns what in a directory matches one element of a pattern.
func matchIn(ctx context.Context, store filesystem.FileSystem, dir, element string,
) ([]filesystem.Entry, error) {
	if !strings.ContainsAny(element, `*?[\`) {
		e, err := store.Stat(ctx, path.Join(dir, element))
		if errors.Is(err, filesystem.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, external(err)
		}
		return []filesystem.Entry{e}, nil
	}
	var found []filesystem.Entry
	for e, err := range store.List(ctx, dir, false) {
		if err != nil {
			return nil, external(err)
		}
		name := path.Base(e.Path)
		matched, _ := path.Match(element, name) // the pattern as a whole was checked
		if matched && (!hidden(name) || hidden(element)) {
			found = append(found, e)
		}
	}
	return found, nil
}
