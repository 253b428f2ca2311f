package stream_test

import (
	"iter"
	"testing"
	"time"

	"github.com/leat-io/leat/stream"
)

// runWindows runs a job of windows that are no slices: sessions of a key, each of two numbers
// that lie a round of all keys apart, and pairs of numbers by count.
func (a *attack) runWindows(t *testing.T) *stream.Result {
	t.Helper()
	e := a.configure()
	looked := stream.TryMap(a.source(t, e), func(n number) (number, error) {
		return n, a.called()
	})
	keyed := stream.KeyBy(looked, func(n number) int64 { return n.Key })
	sessions := stream.Aggregate(
		stream.DynamicSession(keyed, a.gap).AllowedLateness(time.Second), "sessions",
		stream.Folding(
			func(s *sum, n number) { s.Count++; s.Sum += n.ID },
			func(s, other *sum) { s.Count += other.Count; s.Sum += other.Sum }),
		func(key int64, w stream.Window, s *sum) sum {
			return sum{key, int64(w.Start), s.Count, s.Sum}
		})
	stream.SinkTo(sessions, "session-sums", sinkFor[sum](t, "sessions"))
	pairs := stream.ApplyWindow(stream.CountWindow(keyed, 2), "pairs", func(
		key int64, _ stream.Window, elements iter.Seq[number], out stream.Collector[sum],
	) error {
		s := sum{Bucket: key, Start: -1}
		for n := range elements {
			s.Count++
			if s.Sum += n.ID; s.Start < 0 {
				s.Start = n.ID
			}
		}
		out.Collect(s)
		return nil
	})
	stream.SinkTo(pairs, "pair-sums", sinkFor[sum](t, "pairs"))
	r, err := e.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// gap reaches to the next number of the key in even rounds, and not that far in odd ones.
func (a *attack) gap(n number) time.Duration {
	if n.ID/a.keys%2 == 0 {
		return time.Duration(a.keys) * time.Millisecond
	}
	return time.Duration(a.keys/2) * time.Millisecond
}

// Goal: sessions and count windows of a job that is stopped in the middle of them and goes on
// with another parallelism and backend come out exactly once and whole. Method: three stops,
// then to the end; sums worked out from the numbers alone.
func TestEngineWindows(t *testing.T) {
	a := newAttack()
	a.numbers, a.rate, a.root = 4*a.keys, 20000, "mem://test/window-checkpoints"
	for i, parallelism := range []int{2, 3, 1} {
		a.parallelism, a.backend = parallelism, []string{"hashmap", "naive"}[i%2]
		a.stopAt(1100)
		r := a.runWindows(t)
		if r.Status != "SUSPENDED" && r.Status != "FINISHED" {
			t.Fatalf("status %s", r.Status)
		}
		a.restore = "latest"
	}
	a.undisturbed()
	a.parallelism, a.backend = 2, "hashmap"
	if r := a.runWindows(t); r.Status != "FINISHED" {
		t.Fatalf("status %s", r.Status)
	}
	want := map[sum]int{}
	for id := range a.numbers {
		if id/a.keys%2 == 0 {
			want[sum{a.keyOf(id), id, 2, 2*id + a.keys}]++
		}
	}
	different(t, "sessions", want, rowsOf[sum](t, a, "sessions"))
	different(t, "pairs", want, rowsOf[sum](t, a, "pairs"))
}
