package filesystem_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/filesystem/mem"
)

// Goal: each form of URI finds its store and path, and bad ones are refused with a reason.
// Method: table over a local store in memory, which has no working directory, and an "s3" one.
func TestResolve(t *testing.T) {
	registry := filesystem.NewRegistry(
		mem.New(mem.Options{Scheme: "file"}), mem.New(mem.Options{Scheme: "s3"}))
	for _, c := range []struct{ uri, scheme, path, err string }{
		{uri: "/abs/dir", scheme: "file", path: "/abs/dir"},
		{uri: "/abs//./dir/../x/", scheme: "file", path: "/abs/x"},
		{uri: "/", scheme: "file", path: "/"},
		{uri: "file:///abs/dir", scheme: "file", path: "/abs/dir"},
		{uri: "FILE:///abs", scheme: "file", path: "/abs"},
		{uri: "file://localhost/abs", scheme: "file", path: "/abs"},
		{uri: "file:/abs", scheme: "file", path: "/abs"},
		{uri: "file:///", scheme: "file", path: "/"},
		{uri: "file:///a%20b c", scheme: "file", path: "/a%20b c"},
		{uri: "rel/dir", scheme: "file", path: "/rel/dir"},
		{uri: "./.leat", scheme: "file", path: "/.leat"},
		{uri: "dt=10:00/x", scheme: "file", path: "/dt=10:00/x"},
		{uri: "s3://bucket/a/b", scheme: "s3", path: "/bucket/a/b"},
		{uri: "S3://bucket", scheme: "s3", path: "/bucket"},
		{uri: "s3://bucket/../other", scheme: "s3", path: "/bucket/other"},
		{uri: "", err: "the URI is empty"},
		{uri: "a\x00b", err: "zero byte"},
		{uri: "file://host/x", err: `no host "host"`},
		{uri: "file:rel", err: "must be absolute"},
		{uri: "s3://../x", err: "not an authority"},
		{uri: "gs://b/x", err: `unknown scheme "gs" (known schemes: file, s3)`},
		{uri: "hdfs://nn:8020/x", err: "hdfs is not supported"},
	} {
		store, p, err := registry.Resolve(c.uri)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want one with %q", c.uri, err, c.err)
			}
			continue
		}
		if err != nil || store.Scheme() != c.scheme || p != c.path {
			t.Errorf("%q: store %v, path %q, error %v; want %q %q",
				c.uri, store, p, err, c.scheme, c.path)
		}
	}
}

// Goal: a relative path starts at the working directory, also through a wrapper; an empty registry
// says that it knows nothing; the later store of a scheme serves it.
// Method: resolve in a directory of the test.
func TestResolveRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	plan, err := fault.NewPlan()
	if err != nil {
		t.Fatal(err)
	}
	wrapped := fault.New(local.New(local.Options{}), plan)
	for _, store := range []filesystem.FileSystem{local.New(local.Options{}), wrapped} {
		registry := filesystem.NewRegistry(mem.New(mem.Options{Scheme: "file"}), store)
		found, p, err := registry.Resolve("rel/../x")
		if err != nil || found != store || p != filesystem.Join(dir, "x") {
			t.Errorf("store %v, path %q, error %v; want path %q", found, p, err, dir+"/x")
		}
	}
	var empty filesystem.Registry
	_, _, err = empty.Resolve("x")
	if err == nil || !strings.Contains(err.Error(), "known schemes: none") {
		t.Errorf("error %v", err)
	}
}

// Goal: names in progress fit a file system, give back their target, and nothing else looks so.
// Method: targets of all lengths around the cut, then look-alikes.
func TestInProgressNames(t *testing.T) {
	id := strings.Repeat("a", 62)
	for _, letter := range []string{"x", "ü", "数", "🙂"} {
		for n := 1; n*len(letter) <= 255; n++ {
			target := "/dir/" + strings.Repeat(letter, n)
			p := filesystem.InProgressPath(target, id)
			got, ok := filesystem.InProgressTarget(p)
			whole := n*len(letter) <= 180
			if !ok || !strings.HasPrefix(target, got) || whole && got != target {
				t.Fatalf("%q: target %q, %v", p, got, ok)
			}
			if len(p)-len("/dir/") > 255 || !strings.HasSuffix(got, letter) {
				t.Fatalf("%q is too long or cut inside a rune", p)
			}
		}
	}
	for _, p := range []string{
		"/a", "/.a.inprogress", "/.a..inprogress", "/a.id.inprogress", "/..id.inprogress",
		"/.a.i d.inprogress", "/.a.id.inprogres", "/.a." + id + "a.inprogress", "/.a.ü.inprogress",
	} {
		if target, ok := filesystem.InProgressTarget(p); ok {
			t.Errorf("%q is taken for an object in progress of %q", p, target)
		}
	}
}

// Goal: what SealToken seals OpenToken gives back, to the right scheme and field count only.
// Method: fields of different lengths, empty ones included.
func TestToken(t *testing.T) {
	for _, fields := range [][][]byte{
		{}, {{}}, {[]byte("a"), nil, bytes.Repeat([]byte("long"), 1000)},
	} {
		token := filesystem.SealToken("mem", fields...)
		got, err := filesystem.OpenToken("mem", token, len(fields))
		if err != nil || !slices.EqualFunc(got, fields, bytes.Equal) {
			t.Errorf("%q: got %q, error %v", fields, got, err)
		}
		if _, err = filesystem.OpenToken("file", token, len(fields)); !isUnknown(err) {
			t.Errorf("%q to another scheme: error %v", fields, err)
		}
		if _, err = filesystem.OpenToken("mem", token, len(fields)+1); !isUnknown(err) {
			t.Errorf("%q with another count: error %v", fields, err)
		}
	}
}

func isUnknown(err error) bool { return errors.Is(err, filesystem.ErrTokenUnknown) }

// Goal: OpenToken accepts exactly what SealToken makes and never panics.
// Method: fuzz the bytes between version and checksum, which is recomputed to let them through.
func FuzzToken(f *testing.F) {
	f.Add([]byte(filesystem.SealToken("mem", []byte("/a"), []byte("1"))), 2)
	f.Add([]byte{}, 0)
	f.Add([]byte{1, 0x83, 0, 'm', 'e', 'm', 0, 0, 0, 0}, 0)
	f.Fuzz(func(t *testing.T, token []byte, count int) {
		for _, token := range [][]byte{token, filesystem.Resealed(token)} {
			fields, err := filesystem.OpenToken("mem", token, count)
			if err != nil {
				if !isUnknown(err) {
					t.Fatalf("error %v is not ErrTokenUnknown", err)
				}
				continue
			}
			again := filesystem.SealToken("mem", fields...)
			if diff := cmp.Diff(token, []byte(again)); diff != "" {
				t.Fatalf("sealed again (-want +got):\n%s", diff)
			}
		}
	})
}
