package stream

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/types"
)

func keyedFactory[T, K any](t testing.TB, key func(T) K) keyedOutputs[T, K] {
	t.Helper()
	codec, err := types.KeyOf[K]()
	must(t, err)
	return keyedOutputs[T, K]{key: key, codec: codec}
}

// Goal: a plain output sends full batches to its channels in turn, what is left on a flush,
// and nothing when there is nothing. Method: 2500 records over three channels.
func TestPlainOutput(t *testing.T) {
	c := newChannels[int](3)
	link, out := outputOf[int](t, plainOutputs[int]{}, c)
	out.Flush()
	for i := range 2500 {
		link.Record(i, eventtime.Timestamp(-i))
	}
	same(t, [][]int{{1024}, {1024}, nil}, c.lengths)
	out.Flush()
	out.Flush()
	link.Record(2500, -2500)
	out.Flush()
	same(t, [][]int{{1024, 1}, {1024}, {452}}, c.lengths)
	want := 0
	for _, r := range append(append(c.sent[0][:1024:1024], c.sent[1]...), c.sent[2]...) {
		same(t, stamped[int]{want, eventtime.Timestamp(-want)}, r)
		want++
	}
}

// Goal: a keyed output sends each record to the owner of its key with the key's hash, in order
// per key, in batches that are full or flushed. Method: keys of every form at 1 and 3 channels.
func TestKeyedOutput(t *testing.T) {
	type pair struct {
		A int32
		S string
	}
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Run("int", func(t *testing.T) {
				checkKeyedOutput(t, n, func(v int) int { return v % 100 })
			})
			t.Run("string", func(t *testing.T) {
				checkKeyedOutput(t, n, func(v int) string { return fmt.Sprint("key ", v%100) })
			})
			t.Run("pair", func(t *testing.T) {
				checkKeyedOutput(t, n, func(v int) pair {
					return pair{int32(v % 7), fmt.Sprint(v % 9)}
				})
			})
			t.Run("bool", func(t *testing.T) {
				checkKeyedOutput(t, n, func(v int) bool { return v%3 == 0 })
			})
		})
	}
}

func checkKeyedOutput[K comparable](t *testing.T, n int, key func(int) K) {
	t.Helper()
	c, f := newChannels[int](n), keyedFactory(t, key)
	link, out := outputOf[int](t, f, c)
	const records = 10_000
	for i := range records {
		link.Record(i, eventtime.Timestamp(i))
		if i == records/2 {
			out.Flush()
		}
	}
	out.Flush()
	out.Flush()
	seen := make([]bool, records)
	for to := range n {
		last := map[K]int{}
		same(t, len(c.sent[to]), len(c.hashes[to]))
		for i, r := range c.sent[to] {
			k := key(r.Value)
			hash := f.codec.Hash(k)
			if hash != c.hashes[to][i] || types.SubtaskOf(hash, n) != to || seen[r.Value] ||
				r.At != eventtime.Timestamp(r.Value) {
				t.Fatalf("channel %d, record %d: %v with hash %x, want %x at channel %d",
					to, i, r, c.hashes[to][i], hash, types.SubtaskOf(hash, n))
			}
			if before, ok := last[k]; ok && before > r.Value {
				t.Fatalf("key %v: record %d after %d", k, r.Value, before)
			}
			last[k], seen[r.Value] = r.Value, true
		}
		short := 0
		for _, length := range c.lengths[to] {
			if length != batch.DefaultRows {
				short++
			}
		}
		if short > 2 {
			t.Errorf("channel %d: batches of %v for two flushes", to, c.lengths[to])
		}
	}
	for i, ok := range seen {
		if !ok {
			t.Fatalf("record %d was not sent", i)
		}
	}
}

type benchmarkRecord struct {
	Key    int64
	Name   string
	Amount int64
}

// keyedRun sends one batch of records through a keyed output.
func keyedRun[K any](t testing.TB, n int, key func(benchmarkRecord) K) func() {
	t.Helper()
	c := newChannels[benchmarkRecord](n)
	c.release = true
	link, _ := outputOf[benchmarkRecord](t, keyedFactory(t, key), operator.Channels(c))
	records := make([]benchmarkRecord, 1024)
	for i := range records {
		records[i] = benchmarkRecord{Key: int64(i * 7), Name: fmt.Sprint("airport ", i%300)}
	}
	return func() {
		for i, r := range records {
			link.Record(r, eventtime.Timestamp(i))
		}
	}
}

func byNumber(r benchmarkRecord) int64 { return r.Key }
func byName(r benchmarkRecord) string  { return r.Name }

// byBoth is a composite key.
func byBoth(r benchmarkRecord) benchmarkKey { return benchmarkKey{r.Key, r.Name} }

type benchmarkKey struct {
	Key  int64
	Name string
}

// Goal: keyed outputs allocate nothing per record once their batches exist. Method: count.
func TestKeyedOutputAllocations(t *testing.T) {
	for _, n := range []int{1, 3} {
		for name, run := range map[string]func(){
			"number": keyedRun(t, n, byNumber), "name": keyedRun(t, n, byName),
			"both": keyedRun(t, n, byBoth),
		} {
			for range 10 {
				run()
			}
			if allocs := testing.AllocsPerRun(50, run); allocs != 0 {
				t.Errorf("%s at %d channels: %v allocations per 1024 records", name, n, allocs)
			}
		}
	}
}

// BenchmarkKeyedOutput measures a record with a string or number key into one or four channels.
func BenchmarkKeyedOutput(b *testing.B) {
	for _, n := range []int{1, 4} {
		for _, c := range []struct {
			name string
			run  func()
		}{{"number", keyedRun(b, n, byNumber)}, {"name", keyedRun(b, n, byName)}} {
			b.Run(fmt.Sprintf("%s/channels=%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c.run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/record")
			})
		}
	}
}
