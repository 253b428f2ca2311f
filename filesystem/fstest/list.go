package fstest

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/leat-io/leat/filesystem"
)

// Goal: listings are complete, in byte order with directories counted with "/", at any depth.
// Method: names around "/" in byte order ("-" and "." before, "0" after), both kinds of listing.
func listOrder(k *kit) {
	for _, name := range []string{
		"b", "a/x", "a-b", "a.b", "a0", "a/deep/er/y", "a/deep-1", "B", "_hidden", ".hidden",
		"ab/z",
	} {
		k.put(k.path(name), name)
	}
	k.put(filesystem.Join(k.dir+"-beside", "x"), "not below")
	under := func(names ...string) []string {
		for i, name := range names {
			names[i] = k.dir + "/" + name
		}
		return names
	}
	k.listed(k.dir, true, under(".hidden", "B", "_hidden", "a-b", "a.b", "a/deep-1",
		"a/deep/er/y", "a/x", "a0", "ab/z", "b")...)
	k.listed(
		k.dir,
		false,
		under(".hidden", "B", "_hidden", "a-b", "a.b", "a/", "a0", "ab/", "b")...)
	k.listed(k.path("a"), false, under("a/deep-1", "a/deep/", "a/x")...)
	k.listed(k.path("a"), true, under("a/deep-1", "a/deep/er/y", "a/x")...)
	for e, err := range k.List(k.ctx, k.dir, true) {
		k.must(err)
		name := strings.TrimPrefix(e.Path, k.dir+"/")
		if e.Size != int64(len(name)) || e.Dir || e.ModTime.IsZero() {
			k.Errorf("entry %+v of an object of %d bytes", e, len(name))
		}
	}
	k.must(k.Remove(k.ctx, filesystem.Join(k.dir+"-beside", "x")))
}

// Goal: a missing directory, or an object in its place, lists nothing and is no error.
// Method: list both, and a path below an object.
func listMissing(k *kit) {
	k.listed(k.path("missing"), true)
	k.put(k.path("object"), "x")
	for _, recursive := range []bool{true, false} {
		k.listed(k.path("missing", "deeper"), recursive)
		k.listed(k.path("object"), recursive)
		k.listed(k.path("object", "deeper"), recursive)
	}
	for e, err := range k.ListInProgress(k.ctx, k.path("missing")) {
		k.Errorf("in progress below a missing directory: %v, error %v", e, err)
	}
}

// Goal: a caller may end a listing, and a sequence can be ranged over again.
// Method: break at each position of one sequence.
func listStops(k *kit) {
	for _, name := range []string{"a/1", "a/2", "b/1", "c"} {
		k.put(k.path(name), "x")
	}
	listing := k.List(k.ctx, k.dir, true)
	for stop := 1; stop <= 4; stop++ {
		n := 0
		for _, err := range listing {
			k.must(err)
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			k.Fatalf("got %d entries, want %d", n, stop)
		}
	}
}

// Goal: List shows published objects only, ListInProgress the others only, at any depth.
// Method: one object in each state in two directories.
func listHidesInProgress(k *kit) {
	k.put(k.path("a"), "x")
	k.put(k.path("sub", "a"), "x")
	k.create(k.path("writing"), []byte("x"))
	tokens := []filesystem.Token{
		k.prepare(k.path("prepared"), []byte("x")),
		k.prepare(k.path("sub", "prepared"), []byte("x")),
	}
	k.listed(k.dir, true, k.path("a"), k.path("sub", "a"))
	k.listed(k.dir, false, k.path("a"), k.path("sub")+"/")
	targets := make(map[string]int)
	for _, e := range k.inProgress() {
		target, _ := filesystem.InProgressTarget(e.Path)
		targets[target]++
	}
	delete(targets, k.path("writing")) // A store need not show it before Prepare.
	want := map[string]int{k.path("prepared"): 1, k.path("sub", "prepared"): 1}
	if fmt.Sprint(targets) != fmt.Sprint(want) {
		k.Fatalf("in progress for %v, want %v", targets, want)
	}
	for _, token := range tokens {
		k.must(k.Discard(k.ctx, token))
	}
}

// Goal: names are taken as they are: spaces, Unicode, percent signs, quotes, long names.
// Method: publish, create, list, read, stat and remove objects with such names.
func names(k *kit) {
	for _, name := range []string{
		"two words", " leading", "trailing ", "Größe", "数据", "dt=2020-01-01T10:00:00", "100%",
		"%2F", "a+b&c=d?e#f", `quo"te'`, "back\\slash", "new\nline", "-", "~", "...",
		".name.inprogress",
		strings.Repeat("long", 60), strings.Repeat("ü", 120),
	} {
		p := k.path("names of "+name, name)
		k.put(p, name)
		k.is(k.CreateIfAbsent(k.ctx, p, nil), filesystem.ErrExists)
		k.holds(p, []byte(name))
		k.listed(k.path("names of "+name), true, p)
		e, err := k.Stat(k.ctx, p)
		k.must(err)
		if e.Path != p {
			k.Errorf("stat of %q gives %q", p, e.Path)
		}
		k.must(k.Remove(k.ctx, p))
		k.absent(p)
	}
}

// Goal: Stat and the other calls tell objects from directories.
// Method: look at a directory, an object, and try to open and to remove the directory.
func statKinds(k *kit) {
	k.put(k.path("dir", "object"), "x")
	e, err := k.Stat(k.ctx, k.path("dir"))
	k.must(err)
	if !e.Dir || e.Path != k.path("dir") || e.Size != 0 {
		k.Errorf("stat of a directory: %+v", e)
	}
	_, err = k.Open(k.ctx, k.path("dir"))
	k.refused("open a directory", err)
	k.refused("remove a directory", k.Remove(k.ctx, k.path("dir")))
	k.holds(k.path("dir", "object"), []byte("x"))
}

// Goal: what is not there is ErrNotExist, which is fs.ErrNotExist too.
// Method: missing objects, in missing directories, and below an object.
func missingObject(k *kit) {
	k.put(k.path("object"), "x")
	for _, p := range []string{"missing", "missing/deeper", "object/below"} {
		_, err := k.Open(k.ctx, k.path(p))
		k.is(err, filesystem.ErrNotExist)
		k.is(err, fs.ErrNotExist)
		_, err = k.Stat(k.ctx, k.path(p))
		k.is(err, filesystem.ErrNotExist)
		k.is(k.Remove(k.ctx, k.path(p)), filesystem.ErrNotExist)
		_, err = filesystem.ReadFile(k.ctx, k, k.path(p))
		k.is(err, filesystem.ErrNotExist)
	}
}

// Goal: Remove removes the object and nothing else; its path is free again.
// Method: remove one of two, look at both, create it anew.
func removeOne(k *kit) {
	k.put(k.path("a"), "first")
	k.put(k.path("ab"), "stays")
	k.must(k.Remove(k.ctx, k.path("a")))
	k.absent(k.path("a"))
	k.is(k.Remove(k.ctx, k.path("a")), filesystem.ErrNotExist)
	k.holds(k.path("ab"), []byte("stays"))
	k.must(k.CreateIfAbsent(k.ctx, k.path("a"), []byte("second")))
	k.holds(k.path("a"), []byte("second"))
}

// Goal: RemoveEmptyDirs removes what holds nothing, keeps what holds something, in progress or not.
// Method: empty one branch, keep a second with an object, a third with a prepared one.
func emptyDirs(k *kit) {
	k.put(k.path("empty", "deep", "object"), "x")
	k.put(k.path("full", "deep", "object"), "x")
	token := k.prepare(k.path("waiting", "object"), []byte("x"))
	k.must(k.Remove(k.ctx, k.path("empty", "deep", "object")))
	k.must(k.RemoveEmptyDirs(k.ctx, k.path("missing")))
	k.must(k.RemoveEmptyDirs(k.ctx, k.path("full", "deep", "object")))
	k.must(k.RemoveEmptyDirs(k.ctx, k.dir))
	k.absent(k.path("empty"))
	k.holds(k.path("full", "deep", "object"), []byte("x"))
	k.must(k.Publish(k.ctx, token))
	k.must(k.Remove(k.ctx, k.path("waiting", "object")))
	k.must(k.RemoveEmptyDirs(k.ctx, k.path("waiting")))
	k.listed(k.dir, false, k.path("full")+"/")
	k.put(k.path("empty", "deep", "object"), "again")
}

// Goal: paths that are not absolute and clean are refused by every operation.
// Method: bad paths times operations; names of objects in progress cannot be created.
func badPaths(k *kit) {
	for _, p := range []string{
		"", "relative", k.dir + "/", k.dir + "//x", k.dir + "/./x", k.dir + "/../x",
		k.dir + "/x\x00y",
	} {
		_, err := k.Open(k.ctx, p)
		k.refused(fmt.Sprintf("open %q", p), err)
		_, err = k.Create(k.ctx, p)
		k.refused(fmt.Sprintf("create %q", p), err)
		k.refused(fmt.Sprintf("create if absent %q", p), k.CreateIfAbsent(k.ctx, p, nil))
		_, err = k.Stat(k.ctx, p)
		k.refused(fmt.Sprintf("stat %q", p), err)
		k.refused(fmt.Sprintf("remove %q", p), k.Remove(k.ctx, p))
		k.refused(fmt.Sprintf("prune %q", p), k.RemoveEmptyDirs(k.ctx, p))
		k.refused(fmt.Sprintf("list %q", p), listError(k.List(k.ctx, p, true)))
		k.refused(fmt.Sprintf("list in progress %q", p), listError(k.ListInProgress(k.ctx, p)))
	}
	kept := filesystem.InProgressPath(k.path("x"), "id")
	_, err := k.Create(k.ctx, kept)
	k.refused("create a name in progress", err)
	k.refused("create a name in progress", k.CreateIfAbsent(k.ctx, kept, nil))
}

// Goal: with a context that has ended every operation fails with its error and does nothing.
// Method: call all of them, then look at what is there.
func endedContext(k *kit) {
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	waiting, p := k.prepare(k.path("waiting"), []byte("x")), k.path("object")
	k.put(p, "x")
	calls := map[string]error{
		"create if absent": k.CreateIfAbsent(ctx, k.path("new"), nil),
		"publish":          k.Publish(ctx, waiting),
		"discard":          k.Discard(ctx, waiting),
		"remove":           k.Remove(ctx, p),
		"prune":            k.RemoveEmptyDirs(ctx, k.dir),
		"list":             listError(k.List(ctx, k.dir, true)),
		"list in progress": listError(k.ListInProgress(ctx, k.dir)),
		"write a file":     filesystem.WriteFile(ctx, k, k.path("new"), nil),
	}
	_, calls["open"] = k.Open(ctx, p)
	_, calls["create"] = k.Create(ctx, k.path("new"))
	_, calls["stat"] = k.Stat(ctx, p)
	for name, err := range calls {
		if err == nil {
			k.Errorf("%s succeeded", name)
		} else {
			k.is(err, context.Canceled)
		}
	}
	k.listed(k.dir, true, p)
	k.must(k.Publish(k.ctx, waiting))
	k.nothingInProgress()
}

// listError returns the error that ended a listing.
func listError(listing func(yield func(filesystem.Entry, error) bool)) error {
	for _, err := range listing {
		if err != nil {
			return err
		}
	}
	return nil
}
