// Package fstest is the conformance kit for stores: it turns the sentences of the contract in
// package filesystem into tests.
//
// The main function is [Run]; [RunIn] is for stores whose paths start with an authority. Each
// promise is one subtest on a store of its own, so that a failing name says which sentence is
// broken. The kit proves behaviour within one process; durability after a loss of power, and
// performance, it cannot see.
//
// Both functions are called from the goroutine of a test. They start goroutines and end them.
package fstest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
)

// Run tests a store. open returns an empty store, or one that has nothing below "/fstest"; it is
// called once for each promise and cleans up with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) filesystem.FileSystem) {
	t.Helper()
	RunIn(t, "/fstest", open)
}

// RunIn is Run with another directory to work in, "/bucket/prefix" for example.
func RunIn(t *testing.T, dir filesystem.Path, open func(t *testing.T) filesystem.FileSystem) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			p.test(&kit{T: t, FileSystem: open(t), ctx: t.Context(), dir: dir})
		})
	}
}

var promises = []struct {
	name string
	test func(k *kit)
}{
	{"published object is read back", readBack},
	{"large object is read in ranges", largeObject},
	{"open reader survives concurrent reads", concurrentReads},
	{"object is invisible until published", invisibleUntilPublished},
	{"publish is idempotent", publishIdempotent},
	{"publish by many has one object", publishConcurrently},
	{"publish never replaces an object", publishNeverReplaces},
	{"publish of a discarded object fails", publishDiscarded},
	{"publish of a removed object fails", publishRemoved},
	{"discard never removes a published object", discardPublished},
	{"malformed token is unknown", malformedTokens},
	{"create if absent has one winner of 32", oneWinner},
	{"create if absent changes nothing on a taken path", createTaken},
	{"abort leaves nothing", abortLeavesNothing},
	{"ended writer is closed", endedWriter},
	{"removed object in progress is never published", removeInProgress},
	{"writing a file never overwrites", writeFileNeverOverwrites},
	{"list is in order", listOrder},
	{"list of a missing directory is empty", listMissing},
	{"list stops when told", listStops},
	{"list hides objects in progress", listHidesInProgress},
	{"names are kept as they are", names},
	{"stat tells objects from directories", statKinds},
	{"missing object is not found", missingObject},
	{"remove removes one object", removeOne},
	{"empty directories go, others stay", emptyDirs},
	{"bad paths are refused", badPaths},
	{"ended context has no effect", endedContext},
}

// kit is one subtest's store with shorthands that fail the test.
type kit struct {
	*testing.T
	filesystem.FileSystem
	ctx context.Context
	dir filesystem.Path
}

func (k *kit) path(elem ...string) filesystem.Path {
	return filesystem.Join(append([]string{k.dir}, elem...)...)
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// is fails the test unless err is the wanted sentinel.
func (k *kit) is(err, want error) {
	k.Helper()
	if !errors.Is(err, want) {
		k.Fatalf("got error %v, want %v", err, want)
	}
}

// refused fails the test unless err is an error other than the sentinels.
func (k *kit) refused(what string, err error) {
	k.Helper()
	sentinel := errors.Is(err, filesystem.ErrNotExist) || errors.Is(err, filesystem.ErrExists) ||
		errors.Is(err, filesystem.ErrTokenUnknown)
	if err == nil || sentinel {
		k.Errorf("%s: got error %v, want one that is no sentinel", what, err)
	}
}

// create starts an object and writes content to it.
func (k *kit) create(p filesystem.Path, content []byte) filesystem.Writer {
	k.Helper()
	w, err := k.Create(k.ctx, p)
	k.must(err)
	_, err = w.Write(content)
	k.must(err)
	return w
}

// prepare prepares an object and returns its token.
func (k *kit) prepare(p filesystem.Path, content []byte) filesystem.Token {
	k.Helper()
	token, err := k.create(p, content).Prepare(k.ctx)
	k.must(err)
	return token
}

// put publishes an object.
func (k *kit) put(p filesystem.Path, content string) {
	k.Helper()
	k.must(k.Publish(k.ctx, k.prepare(p, []byte(content))))
}

// holds fails the test unless the object at p has that content.
func (k *kit) holds(p filesystem.Path, want []byte) {
	k.Helper()
	got, err := filesystem.ReadFile(k.ctx, k, p)
	k.must(err)
	if !bytes.Equal(got, want) {
		k.Fatalf("%q holds %d bytes %.40q, want %d bytes %.40q", p, len(got), got, len(want), want)
	}
}

// absent fails the test unless Open, Stat and List agree that nothing is at p.
func (k *kit) absent(p filesystem.Path) {
	k.Helper()
	_, err := k.Open(k.ctx, p)
	k.is(err, filesystem.ErrNotExist)
	_, err = k.Stat(k.ctx, p)
	k.is(err, filesystem.ErrNotExist)
	for e, err := range k.List(k.ctx, k.dir, true) {
		k.must(err)
		if e.Path == p {
			k.Fatalf("%q is listed", p)
		}
	}
}

// listed fails the test unless the listing has these paths in this order. Directories are written
// with "/" at the end.
func (k *kit) listed(dir filesystem.Path, recursive bool, want ...string) {
	k.Helper()
	var got []string
	for e, err := range k.List(k.ctx, dir, recursive) {
		k.must(err)
		if e.Dir {
			e.Path += "/"
		}
		got = append(got, e.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.Fatalf("list %q recursive=%v (-want +got):\n%s", dir, recursive, diff)
	}
}

// inProgress returns the objects in progress below dir.
func (k *kit) inProgress() []filesystem.Entry {
	k.Helper()
	var entries []filesystem.Entry
	for e, err := range k.ListInProgress(k.ctx, k.dir) {
		k.must(err)
		entries = append(entries, e)
	}
	return entries
}

// nothingInProgress fails the test if something was left behind.
func (k *kit) nothingInProgress() {
	k.Helper()
	if left := k.inProgress(); len(left) > 0 {
		k.Fatalf("left in progress: %v", left)
	}
}
