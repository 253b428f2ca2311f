package table

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

// The benchmarks update count and sum of int64 keys in batches of 1,024, the keys drawn from
// a replayed sequence that fits the cache, as in the measurements the structure is built on.
const benchBatch = 1024

func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

type benchTable struct {
	backend backend.Backend
	table   backend.Table
	hashes  [benchBatch]uint64
	rows    [benchBatch]backend.Row
	created []int32
}

func openBench(tb testing.TB, factory backend.Factory, layout backend.RowLayout) *benchTable {
	b, err := factory.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := b.Declare(layout); err != nil {
		tb.Fatal(err)
	}
	table, err := b.Table(0, backend.NoPane)
	if err != nil {
		tb.Fatal(err)
	}
	return &benchTable{backend: b, table: table}
}

// update adds one to count and sum of every key.
func (bt *benchTable) update(tb testing.TB, keys []uint64) {
	for i, key := range keys {
		bt.hashes[i] = mix(key)
	}
	rows := bt.rows[:len(keys)]
	var err error
	bt.created, err = bt.table.Resolve(backend.Keys{Hashes: bt.hashes[:len(keys)], Words: keys},
		backend.Insert, rows, bt.created[:0])
	if err != nil {
		tb.Fatal(err)
	}
	if backend.Addresses(bt.table) {
		for _, row := range rows {
			acc := (*[2]uint64)(at(uintptr(row)))
			acc[0]++
			acc[1] += 3
		}
		return
	}
	for _, row := range rows {
		acc := (*[2]uint64)(bt.table.Fixed(row))
		acc[0]++
		acc[1] += 3
	}
}

func (bt *benchTable) fill(tb testing.TB, keys int) {
	var batch [benchBatch]uint64
	for from := 0; from < keys; from += benchBatch {
		n := min(benchBatch, keys-from)
		for i := range n {
			batch[i] = uint64(from + i)
		}
		bt.update(tb, batch[:n])
	}
}

// cpu is the processor time of this process: other work on the machine does not count,
// though it takes cache and memory bandwidth.
func cpu(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// draw returns 2 MB of keys below n.
func draw(n int) []uint64 {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	keys := make([]uint64, 256*benchBatch)
	for i := range keys {
		keys[i] = uint64(rng.IntN(n))
	}
	return keys
}

var benchLayout = backend.RowLayout{KeyWords: 1, FixedBytes: 16}

func BenchmarkUpdate(b *testing.B) {
	for _, keys := range []int{1e4, 1e6, 1e7} {
		drawn := draw(keys)
		for _, factory := range []backend.Factory{Factory{}, naive.Factory{}} {
			b.Run(fmt.Sprintf("%s/keys=%d", factory.Name(), keys), func(b *testing.B) {
				bt := openBench(b, factory, benchLayout)
				bt.fill(b, keys)
				from, start := 0, cpu(b)
				b.ResetTimer()
				for done := 0; done < b.N; done += benchBatch {
					bt.update(b, drawn[from:from+benchBatch])
					from = (from + benchBatch) % len(drawn)
				}
				b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
			})
		}
		b.Run(fmt.Sprintf("map/keys=%d", keys), func(b *testing.B) {
			type acc struct{ count, sum uint64 }
			m := map[int64]*acc{}
			for i := range keys {
				m[int64(i)] = &acc{}
			}
			from, start := 0, cpu(b)
			b.ResetTimer()
			for done := 0; done < b.N; done += benchBatch {
				for _, key := range drawn[from : from+benchBatch] {
					a := m[int64(key)]
					if a == nil {
						a = &acc{}
						m[int64(key)] = a
					}
					a.count++
					a.sum += 3
				}
				from = (from + benchBatch) % len(drawn)
			}
			b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkInsert reports growth from empty: time a key, heap a row, the longest batch.
func BenchmarkInsert(b *testing.B) {
	for _, keys := range []int{1e6, 1e7} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			var longest time.Duration
			var bytes int64
			spent := cpu(b)
			for b.Loop() {
				bt := openBench(b, Factory{}, benchLayout)
				var batch [benchBatch]uint64
				for from := 0; from < keys; from += benchBatch {
					for i := range batch {
						batch[i] = uint64(from + i)
					}
					start := time.Now()
					bt.update(b, batch[:])
					longest = max(longest, time.Since(start))
				}
				bytes = bt.backend.MemoryBytes()
			}
			b.ReportMetric(float64(cpu(b)-spent)/float64(b.N*keys), "cpu-ns/key")
			b.ReportMetric(float64(bytes)/float64(keys), "B/row")
			b.ReportMetric(float64(longest.Microseconds()), "us/longest-batch")
		})
	}
}

// BenchmarkCheckpoint updates 1e7 rows while a snapshot copies 256 KiB between batches, and
// reports barrier, time a record with and without copying, longest batch and step, undo.
func BenchmarkCheckpoint(b *testing.B) {
	const keys = 1e7
	drawn := draw(keys)
	bt := openBench(b, Factory{}, benchLayout)
	bt.fill(b, keys)
	bt.snapshot(b) // so that the memory of copies has been touched before
	for _, full := range []bool{true, false} {
		b.Run(fmt.Sprintf("full=%v", full), func(b *testing.B) {
			var barrier, batch, step time.Duration
			var undo, batches int
			spent := cpu(b)
			for b.Loop() {
				start := time.Now()
				taken, err := bt.backend.Begin(uint64(batches+1), full)
				if err != nil {
					b.Fatal(err)
				}
				barrier = max(barrier, time.Since(start))
				for done, from := false, 0; !done; from = (from + benchBatch) % len(drawn) {
					start = time.Now()
					bt.update(b, drawn[from:from+benchBatch])
					batch = max(batch, time.Since(start))
					start = time.Now()
					if done, err = taken.Step(256 << 10); err != nil {
						b.Fatal(err)
					}
					step = max(step, time.Since(start))
					batches++
				}
				undo = len(taken.(*snapshot).undo.blocks)
				taken.Release()
				bt.backend.Confirm(uint64(batches))
			}
			b.ReportMetric(float64(cpu(b)-spent)/float64(batches*benchBatch), "cpu-ns/record")
			b.ReportMetric(float64(barrier.Nanoseconds()), "ns/longest-barrier")
			b.ReportMetric(float64(batch.Microseconds()), "us/longest-batch")
			b.ReportMetric(float64(step.Microseconds()), "us/longest-step")
			b.ReportMetric(float64(undo*blockBytes>>20), "undo-MiB")
		})
	}
}

// snapshot takes a full one and confirms it.
func (bt *benchTable) snapshot(tb testing.TB) {
	taken, err := bt.backend.Begin(0, true)
	if err != nil {
		tb.Fatal(err)
	}
	for done := false; !done; {
		if done, err = taken.Step(1 << 20); err != nil {
			tb.Fatal(err)
		}
	}
	taken.Release()
	bt.backend.Confirm(0)
}

// BenchmarkEmit reports reading a full image of 1e6 rows in order, per row.
func BenchmarkEmit(b *testing.B) {
	const keys = 1e6
	bt := openBench(b, Factory{}, benchLayout)
	bt.fill(b, keys)
	taken, err := bt.backend.Begin(1, true)
	if err != nil {
		b.Fatal(err)
	}
	for done := false; !done; {
		done, _ = taken.Step(1 << 20)
	}
	rows := 0
	for b.Loop() {
		it := taken.Parts()[0].Entries()
		for _, ok := it.Next(); ok; _, ok = it.Next() {
			rows++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}

// BenchmarkCollect reports a full garbage collection with 1e7 rows alive.
func BenchmarkCollect(b *testing.B) {
	bt := openBench(b, Factory{}, benchLayout)
	bt.fill(b, 1e7)
	runtime.GC()
	spent := cpu(b)
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64(cpu(b)-spent)/1e6/float64(b.N), "cpu-ms/op")
	runtime.KeepAlive(bt)
}

// BenchmarkValue replaces a value of 8 to 72 bytes of string keys, compaction included.
func BenchmarkValue(b *testing.B) {
	const keys = 1e6
	layout := backend.RowLayout{KeyWords: 0, FixedBytes: 24, VarSlots: []int{0}}
	bt := openBench(b, Factory{}, layout)
	names := make([][]byte, keys)
	for i := range names {
		names[i] = fmt.Appendf(nil, "key-%012d", i)
	}
	drawn := draw(keys)
	value := make([]byte, 72)
	var batch [benchBatch][]byte
	write := func(numbers []uint64) {
		for i, number := range numbers {
			bt.hashes[i] = mix(number)
			batch[i] = names[number]
		}
		rows := bt.rows[:len(numbers)]
		_, err := bt.table.Resolve(backend.Keys{Hashes: bt.hashes[:len(numbers)],
			Bytes: batch[:len(numbers)]}, backend.Insert, rows, nil)
		for i, row := range rows {
			if err == nil {
				err = bt.table.SetValue(row, 0, value[:8+(numbers[i]*31+uint64(i))%65])
			}
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	all := make([]uint64, keys)
	for i := range all {
		all[i] = uint64(i)
	}
	for from := 0; from < keys; from += benchBatch {
		write(all[from:min(from+benchBatch, keys)])
	}
	from, spent := 0, cpu(b)
	b.ResetTimer()
	for done := 0; done < b.N; done += benchBatch {
		write(drawn[from : from+benchBatch])
		from = (from + benchBatch) % len(drawn)
	}
	b.ReportMetric(float64(cpu(b)-spent)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(bt.backend.MemoryBytes())/keys, "B/row")
}

// BenchmarkPane reports what a pane of ten keys occupies.
func BenchmarkPane(b *testing.B) {
	bt := openBench(b, Factory{}, benchLayout)
	before := bt.backend.MemoryBytes()
	panes := 0
	for b.Loop() {
		table, err := bt.backend.Table(0, backend.Pane(panes))
		if err != nil {
			b.Fatal(err)
		}
		bt.table = table
		bt.fill(b, 10)
		panes++
	}
	b.ReportMetric(float64(bt.backend.MemoryBytes()-before)/float64(panes), "B/pane")
	b.ReportMetric(float64(unsafe.Sizeof(Table{})), "B/Table")
	b.ReportMetric(float64(unsafe.Sizeof(segment{})), "B/segment")
}
