package fstest

import (
	"context"
	"slices"

	"github.com/leat-io/leat/filesystem"
)

// Goal: an object can be seen at its path only once it is published, and then whole.
// Method: look after each step of its life.
func invisibleUntilPublished(k *kit) {
	p := k.path("dir", "object")
	w, err := k.Create(k.ctx, p)
	k.must(err)
	k.absent(p)
	_, err = w.Write([]byte("content"))
	k.must(err)
	k.absent(p)
	token, err := w.Prepare(k.ctx)
	k.must(err)
	k.absent(p)
	k.must(k.Publish(k.ctx, token))
	k.holds(p, []byte("content"))
	e, err := k.Stat(k.ctx, p)
	k.must(err)
	if e.Path != p || e.Size != 7 || e.Dir || e.ModTime.IsZero() {
		k.Fatalf("stat: %+v", e)
	}
	k.nothingInProgress()
}

// Goal: publishing a token again succeeds and changes nothing.
// Method: publish three times; the token is copied through bytes, as a checkpoint would.
func publishIdempotent(k *kit) {
	for _, content := range []string{"content", ""} {
		p := k.path("published-" + content)
		token := k.prepare(p, []byte(content))
		for range 3 {
			k.must(k.Publish(k.ctx, filesystem.Token(slices.Clone(token))))
			k.holds(p, []byte(content))
			k.nothingInProgress()
		}
	}
}

// Goal: concurrent calls with one token all succeed; of two tokens for one path one wins.
// Method: 16 goroutines publish two objects of the same bytes, 8 times each.
func publishConcurrently(k *kit) {
	p := k.path("contended")
	tokens := []filesystem.Token{k.prepare(p, []byte("same")), k.prepare(p, []byte("same"))}
	results := make([]error, 16)
	k.must(concurrently(k.ctx, len(results), func(ctx context.Context, i int) error {
		results[i] = k.Publish(ctx, tokens[i%2])
		return nil
	}))
	winner := 0
	if results[0] != nil {
		winner = 1
	}
	for i, err := range results {
		if i%2 == winner {
			k.must(err)
		} else {
			k.is(err, filesystem.ErrExists)
		}
	}
	k.holds(p, []byte("same"))
	k.must(k.Discard(k.ctx, tokens[1-winner]))
	k.nothingInProgress()
}

// Goal: Publish onto another object fails, even of the same bytes, and the object stays prepared.
// Method: two objects for each taken path; then make room and publish the waiting one.
func publishNeverReplaces(k *kit) {
	for _, content := range []string{"other", "first"} {
		p := k.path("taken-" + content)
		k.put(p, "first")
		token := k.prepare(p, []byte(content))
		for range 2 {
			k.is(k.Publish(k.ctx, token), filesystem.ErrExists)
		}
		k.holds(p, []byte("first"))
		k.must(k.Remove(k.ctx, p))
		k.must(k.Publish(k.ctx, token))
		k.holds(p, []byte(content))
	}
	created := k.path("created")
	k.must(k.CreateIfAbsent(k.ctx, created, []byte("first")))
	token := k.prepare(created, []byte("second"))
	k.is(k.Publish(k.ctx, token), filesystem.ErrExists)
	k.must(k.Discard(k.ctx, token))
	k.holds(created, []byte("first"))
	k.nothingInProgress()
}

// Goal: Discard drops a prepared object, may be repeated, and Publish then knows it no more.
// Method: discard twice, publish; also with another object at the path.
func publishDiscarded(k *kit) {
	p := k.path("discarded")
	token := k.prepare(p, []byte("content"))
	k.must(k.Discard(k.ctx, token))
	k.must(k.Discard(k.ctx, token))
	k.nothingInProgress()
	k.is(k.Publish(k.ctx, token), filesystem.ErrTokenUnknown)
	k.absent(p)
	k.put(p, "another") // As long as the first.
	k.is(k.Publish(k.ctx, token), filesystem.ErrTokenUnknown)
	k.holds(p, []byte("another"))
}

// Goal: an object that was published and removed does not come back.
// Method: publish, remove, publish again.
func publishRemoved(k *kit) {
	p := k.path("removed")
	token := k.prepare(p, []byte("content"))
	k.must(k.Publish(k.ctx, token))
	k.must(k.Remove(k.ctx, p))
	k.is(k.Publish(k.ctx, token), filesystem.ErrTokenUnknown)
	k.absent(p)
}

// Goal: Discard of a published object succeeds and leaves it alone.
// Method: discard after publishing, then publish again.
func discardPublished(k *kit) {
	p := k.path("published")
	token := k.prepare(p, []byte("content"))
	k.must(k.Publish(k.ctx, token))
	k.must(k.Discard(k.ctx, token))
	k.holds(p, []byte("content"))
	k.must(k.Publish(k.ctx, token))
	k.must(k.Remove(k.ctx, p))
	k.must(k.Discard(k.ctx, token))
}

// Goal: a damaged or foreign token is ErrTokenUnknown and harms nothing.
// Method: flip each byte of a token in turn, cut it, and take one of another scheme.
func malformedTokens(k *kit) {
	p := k.path("safe")
	token := k.prepare(p, []byte("content"))
	bad := []filesystem.Token{nil, {}, token[:len(token)-1], append(slices.Clone(token), 0)}
	bad = append(bad, filesystem.SealToken("other-scheme", []byte(p)))
	for i := range token {
		flipped := slices.Clone(token)
		flipped[i] ^= 0x10
		bad = append(bad, flipped)
	}
	for _, b := range bad {
		k.is(k.Publish(k.ctx, b), filesystem.ErrTokenUnknown)
		k.is(k.Discard(k.ctx, b), filesystem.ErrTokenUnknown)
	}
	k.absent(p)
	k.must(k.Publish(k.ctx, token))
	k.holds(p, []byte("content"))
}

// Goal: a clean-up can remove objects in progress, and what it removed is never published.
// Method: remove a prepared object and one whose writer still writes; then let both go on.
func removeInProgress(k *kit) {
	prepared, writing := k.path("prepared"), k.path("sub", "writing")
	token := k.prepare(prepared, []byte("content"))
	w := k.create(writing, []byte("content"))
	seen := false
	for _, e := range k.inProgress() {
		target, ok := filesystem.InProgressTarget(e.Path)
		if !ok || target != prepared && target != writing {
			k.Fatalf("%q is in progress for %q, %v", e.Path, target, ok)
		}
		seen = seen || target == prepared
		k.must(k.Remove(k.ctx, e.Path))
	}
	if !seen {
		k.Fatal("the prepared object is not listed")
	}
	k.nothingInProgress()
	k.is(k.Publish(k.ctx, token), filesystem.ErrTokenUnknown)
	k.must(k.Discard(k.ctx, token))
	k.absent(prepared)
	if token, err := w.Prepare(k.ctx); err == nil {
		// Only a store that makes the object in Prepare may get here with something to publish.
		k.must(k.Discard(k.ctx, token))
	}
	k.must(w.Abort())
	k.absent(writing)
	k.nothingInProgress()
}
