package fstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/lifecycle"
)

// Goal: what was written is read, empty objects included, and the writer does not keep slices.
// Method: write in two pieces from one reused buffer, publish, read.
func readBack(k *kit) {
	for _, want := range []string{"", "x", "two pieces"} {
		p := k.path("deep/er", fmt.Sprintf("object-%d", len(want)))
		w, err := k.Create(k.ctx, p)
		k.must(err)
		half := len(want) / 2
		for _, piece := range []string{want[:half], want[half:]} {
			buffer := []byte(piece)
			n, err := w.Write(buffer)
			k.must(err)
			if n != len(piece) {
				k.Fatalf("wrote %d of %d bytes without an error", n, len(piece))
			}
			clear(buffer)
		}
		token, err := w.Prepare(k.ctx)
		k.must(err)
		k.must(k.Publish(k.ctx, token))
		k.holds(p, []byte(want))
	}
	k.nothingInProgress()
}

// Goal: ReadAt reads any range exactly, and says io.EOF at the end.
// Method: 9 MiB and 1 byte of seeded noise, read in whole and in ranges around the edges.
func largeObject(k *kit) {
	seed := uint64(20)
	k.Logf("seed %d", seed)
	want := make([]byte, 9<<20+1)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(want)
	p := k.path("large")
	k.must(k.Publish(k.ctx, k.prepare(p, want)))
	k.holds(p, want)
	r, err := k.Open(k.ctx, p)
	k.must(err)
	size := int64(len(want))
	if r.Size() != size {
		k.Fatalf("size %d, want %d", r.Size(), size)
	}
	for _, c := range []struct{ offset, length int64 }{
		{0, 1}, {1, 4096}, {5<<20 - 1, 3}, {size - 1, 1}, {size - 5, 5}, {0, 0},
	} {
		got := make([]byte, c.length)
		n, err := r.ReadAt(got, c.offset)
		if int64(n) != c.length || (err != nil && err != io.EOF) {
			k.Fatalf("read %d at %d: %d bytes, error %v", c.length, c.offset, n, err)
		}
		if !bytes.Equal(got, want[c.offset:c.offset+c.length]) {
			k.Fatalf("read %d at %d: other bytes", c.length, c.offset)
		}
	}
	for _, c := range []struct {
		offset int64
		want   int
	}{{size - 2, 2}, {size, 0}, {size + 100, 0}} {
		if n, err := r.ReadAt(make([]byte, 10), c.offset); n != c.want || err != io.EOF {
			k.Fatalf("read past the end at %d: %d bytes, error %v", c.offset, n, err)
		}
	}
	k.must(r.Close())
	k.must(r.Close())
}

// Goal: one reader serves goroutines at once.
// Method: 8 goroutines read different ranges of one reader, many times.
func concurrentReads(k *kit) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 512)
	p := k.path("shared")
	k.must(k.Publish(k.ctx, k.prepare(p, want)))
	r, err := k.Open(k.ctx, p)
	k.must(err)
	k.must(concurrently(k.ctx, 8, func(_ context.Context, i int) error {
		for j := range 50 {
			got := make([]byte, 64)
			offset := (i*50 + j) * 16
			if _, err := r.ReadAt(got, int64(offset)); err != nil {
				return err
			}
			if !bytes.Equal(got, want[offset:offset+64]) {
				return fmt.Errorf("other bytes at %d", offset)
			}
		}
		return nil
	}))
	k.must(r.Close())
}

// Goal: exactly one of concurrent CreateIfAbsent calls succeeds, and its bytes are what all see.
// Method: 32 goroutines start together, each with bytes of its own; every loser reads at once.
func oneWinner(k *kit) {
	p := k.path("race", "winner")
	type outcome struct {
		err  error
		read string
	}
	outcomes := make([]outcome, 32)
	start := make(chan struct{})
	arrived := make(chan struct{}, len(outcomes))
	group := lifecycle.NewGroup(k.ctx, "fstest")
	for i := range outcomes {
		group.Go("creator", func(ctx context.Context) error {
			arrived <- struct{}{}
			<-start
			err := k.CreateIfAbsent(ctx, p, fmt.Appendf(nil, "creator %d", i))
			read, readErr := filesystem.ReadFile(ctx, k, p)
			outcomes[i] = outcome{err, string(read)}
			return readErr
		})
	}
	for range outcomes {
		<-arrived
	}
	close(start)
	k.must(group.Wait())
	winner := -1
	for i, o := range outcomes {
		if o.err == nil && winner >= 0 {
			k.Fatalf("both %d and %d won", winner, i)
		}
		if o.err == nil {
			winner = i
		} else {
			k.is(o.err, filesystem.ErrExists)
		}
	}
	if winner < 0 {
		k.Fatal("nobody won")
	}
	for i, o := range outcomes {
		if want := fmt.Sprintf("creator %d", winner); o.read != want {
			k.Errorf("creator %d read %q, want %q", i, o.read, want)
		}
	}
	k.nothingInProgress()
}

// Goal: CreateIfAbsent on a taken path says so, whoever made the object, and changes nothing.
// Method: take paths in both ways, try again with other and with the same bytes.
func createTaken(k *kit) {
	created, published := k.path("created"), k.path("published")
	buffer := []byte("first")
	k.must(k.CreateIfAbsent(k.ctx, created, buffer))
	clear(buffer)
	k.put(published, "first")
	for _, p := range []filesystem.Path{created, published} {
		for _, content := range []string{"second", "first", ""} {
			err := k.CreateIfAbsent(k.ctx, p, []byte(content))
			k.is(err, filesystem.ErrExists)
			k.is(err, fs.ErrExist)
		}
		k.holds(p, []byte("first"))
	}
	k.must(k.CreateIfAbsent(k.ctx, k.path("empty"), nil))
	k.holds(k.path("empty"), nil)
	k.nothingInProgress()
}

// Goal: WriteFile publishes, refuses a taken path and cleans up behind itself.
// Method: write twice.
func writeFileNeverOverwrites(k *kit) {
	p := k.path("file")
	k.must(filesystem.WriteFile(k.ctx, k, p, []byte("first")))
	k.is(filesystem.WriteFile(k.ctx, k, p, []byte("second")), filesystem.ErrExists)
	k.is(filesystem.WriteFile(k.ctx, k, p, []byte("first")), filesystem.ErrExists)
	k.holds(p, []byte("first"))
	k.nothingInProgress()
}

// Goal: Abort drops everything, may come twice, and does nothing once Prepare has succeeded.
// Method: abort a writer with bytes, one without, and a prepared one, which is then published.
func abortLeavesNothing(k *kit) {
	p := k.path("aborted")
	for _, content := range []string{"bytes", ""} {
		w := k.create(p, []byte(content))
		k.must(w.Abort())
		k.must(w.Abort())
		k.absent(p)
		k.nothingInProgress()
	}
	w := k.create(p, []byte("kept"))
	token, err := w.Prepare(k.ctx)
	k.must(err)
	k.must(w.Abort())
	k.must(k.Publish(k.ctx, token))
	k.must(w.Abort())
	k.holds(p, []byte("kept"))
}

// Goal: a writer that has ended refuses to go on, with fs.ErrClosed, also when Prepare failed.
// Method: end writers in the three ways and call both methods.
func endedWriter(k *kit) {
	ended, cancel := context.WithCancel(k.ctx)
	cancel()
	for name, end := range map[string]func(w filesystem.Writer) error{
		"prepared": func(w filesystem.Writer) error { _, err := w.Prepare(k.ctx); return err },
		"aborted":  func(w filesystem.Writer) error { return w.Abort() },
		"failed": func(w filesystem.Writer) error {
			if _, err := w.Prepare(ended); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("prepare after the end of its context: error %w", err)
			}
			return nil
		},
	} {
		w := k.create(k.path(name), []byte("x"))
		k.must(end(w))
		_, err := w.Write([]byte("more"))
		k.is(err, fs.ErrClosed)
		token, err := w.Prepare(k.ctx)
		k.is(err, fs.ErrClosed)
		if token != nil {
			k.Errorf("%s: a token came with an error", name)
		}
		k.must(w.Abort())
	}
	if left := k.inProgress(); len(left) != 1 {
		k.Fatalf("in progress are %v, want the prepared one", left)
	}
}

// concurrently runs f n times at once and returns the first failure.
func concurrently(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group := lifecycle.NewGroup(ctx, "fstest")
	for i := range n {
		group.Go("caller", func(ctx context.Context) error { return f(ctx, i) })
	}
	return group.Wait()
}
