package table

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/leat-io/leat/state/backend"
)

// Collections are measured as an operator uses them: the rows of a batch are resolved, then
// each record reads and writes an element. Every record allocates 64 bytes, as user code does,
// so that the collector has work.
const (
	mapKeys    = 1_000_000
	mapEntries = 4
)

var garbage []byte

var mapLayout = backend.RowLayout{KeyWords: 1, FixedBytes: 8,
	Collections: []backend.CollectionLayout{{Kind: backend.OrderedMap}}}

var listLayout = backend.RowLayout{KeyWords: 1, FixedBytes: 8,
	Collections: []backend.CollectionLayout{{Kind: backend.List}}}

// resolve finds or makes the rows of keys.
func (bt *benchTable) resolve(tb testing.TB, keys []uint64) []backend.Row {
	for i, key := range keys {
		bt.hashes[i] = mix(key)
	}
	rows := bt.rows[:len(keys)]
	var err error
	bt.created, err = bt.table.Resolve(backend.Keys{Hashes: bt.hashes[:len(keys)], Words: keys},
		backend.InsertClean, rows, bt.created[:0])
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// fillMaps puts mapEntries entries of 8 and 24 bytes into the map of every key, in rounds.
func (bt *benchTable) fillMaps(tb testing.TB) {
	var batch [benchBatch]uint64
	var userKey [8]byte
	var value [24]byte
	for j := range uint64(mapEntries) {
		for from := 0; from < mapKeys; from += benchBatch {
			n := min(benchBatch, mapKeys-from)
			for i := range n {
				batch[i] = uint64(from + i)
			}
			for _, row := range bt.resolve(tb, batch[:n]) {
				binary.BigEndian.PutUint64(userKey[:], j)
				if err := bt.table.MapPut(row, 0, userKey[:], value[:]); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
}

// BenchmarkMap reads and writes one entry of 4 of one of 1e6 keys.
func BenchmarkMap(b *testing.B) {
	drawn := draw(mapKeys)
	rng := rand.New(rand.NewPCG(9, 9))
	b.Run("table", func(b *testing.B) {
		bt := openBench(b, Factory{}, mapLayout)
		bt.fillMaps(b)
		var userKey [8]byte
		var next [24]byte
		from, start := 0, cpu(b)
		b.ResetTimer()
		for done := 0; done < b.N; done += benchBatch {
			for _, row := range bt.resolve(b, drawn[from:from+benchBatch]) {
				binary.BigEndian.PutUint64(userKey[:], rng.Uint64()%mapEntries)
				value, _ := bt.table.MapGet(row, 0, userKey[:])
				copy(next[:], value)
				next[0]++
				if err := bt.table.MapPut(row, 0, userKey[:], next[:]); err != nil {
					b.Fatal(err)
				}
				garbage = make([]byte, 64)
			}
			from = (from + benchBatch) % len(drawn)
		}
		b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
		b.ReportMetric(float64(bt.backend.MemoryBytes())/(mapKeys*mapEntries), "B/entry")
	})
	b.Run("maps", func(b *testing.B) {
		m := map[uint64]map[uint64][24]byte{}
		for j := range uint64(mapEntries) {
			for key := range uint64(mapKeys) {
				if m[key] == nil {
					m[key] = map[uint64][24]byte{}
				}
				m[key][j] = [24]byte{}
			}
		}
		from, start := 0, cpu(b)
		b.ResetTimer()
		for done := 0; done < b.N; done += benchBatch {
			for _, key := range drawn[from : from+benchBatch] {
				userKey := rng.Uint64() % mapEntries
				inner := m[key]
				value := inner[userKey]
				value[0]++
				inner[userKey] = value
				garbage = make([]byte, 64)
			}
			from = (from + benchBatch) % len(drawn)
		}
		b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
	})
}

// BenchmarkMapInsert builds the maps of BenchmarkMap.
func BenchmarkMapInsert(b *testing.B) {
	start := cpu(b)
	for b.Loop() {
		openBench(b, Factory{}, mapLayout).fillMaps(b)
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N)/(mapKeys*mapEntries), "cpu-ns/entry")
}

// BenchmarkTree inserts entries into 200 maps until each holds 10,000, and scans them.
func BenchmarkTree(b *testing.B) {
	const keys, entries = 200, 10_000
	for _, ascending := range []bool{true, false} {
		name := map[bool]string{true: "ascending", false: "random"}[ascending]
		b.Run(name, func(b *testing.B) {
			var batch [keys]uint64
			for i := range batch {
				batch[i] = uint64(i)
			}
			var userKey [8]byte
			var value [24]byte
			var bytes int64
			start, scanned := cpu(b), float64(0)
			for b.Loop() {
				bt := openBench(b, Factory{}, mapLayout)
				for j := range uint64(entries) {
					if binary.BigEndian.PutUint64(userKey[:], j); !ascending {
						binary.BigEndian.PutUint64(userKey[:], mix(j))
					}
					for _, row := range bt.resolve(b, batch[:]) {
						if err := bt.table.MapPut(row, 0, userKey[:], value[:]); err != nil {
							b.Fatal(err)
						}
					}
				}
				bytes = bt.backend.MemoryBytes()
				before, found := cpu(b), 0
				for _, row := range bt.resolve(b, batch[:]) {
					bt.table.MapScan(row, 0, nil, nil, func(_, _ []byte) bool {
						found++
						return true
					})
				}
				if found != keys*entries {
					b.Fatalf("%d entries", found)
				}
				scanned += float64(cpu(b) - before)
			}
			n := float64(b.N * keys * entries)
			b.ReportMetric((float64(cpu(b)-start)-scanned)/n, "cpu-ns/insert")
			b.ReportMetric(scanned/n, "cpu-ns/scanned")
			b.ReportMetric(float64(bytes)/(keys*entries), "B/entry")
		})
	}
}

// BenchmarkList appends elements to lists until each has its share, and scans them.
func BenchmarkList(b *testing.B) {
	for _, c := range []struct {
		name                 string
		keys, elements, size int
	}{
		{"100000x20x24", 100_000, 20, 24},
		{"1000x2000x24", 1000, 2000, 24},
		{"100000x5x200", 100_000, 5, 200},
	} {
		b.Run(c.name, func(b *testing.B) {
			drawn := draw(c.keys)
			element := make([]byte, c.size)
			var bytes int64
			start, scanned, n := cpu(b), float64(0), c.keys*c.elements/benchBatch*benchBatch
			for b.Loop() {
				bt := openBench(b, Factory{}, listLayout)
				from := 0
				for done := 0; done < n; done += benchBatch {
					for _, row := range bt.resolve(b, drawn[from:from+benchBatch]) {
						if err := bt.table.ListAppend(row, 0, element); err != nil {
							b.Fatal(err)
						}
						garbage = make([]byte, 64)
					}
					from = (from + benchBatch) % len(drawn)
				}
				bytes = bt.backend.MemoryBytes()
				before, found := cpu(b), 0
				bt.table.Scan(func(row backend.Row) bool {
					bt.table.ListScan(row, 0, func([]byte) bool {
						found++
						return true
					})
					return true
				})
				if found != n {
					b.Fatalf("%d elements", found)
				}
				scanned += float64(cpu(b) - before)
			}
			all := float64(b.N * n)
			b.ReportMetric((float64(cpu(b)-start)-scanned)/all, "cpu-ns/append")
			b.ReportMetric(scanned/all, "cpu-ns/scanned")
			b.ReportMetric(float64(bytes)/float64(n), "B/element")
		})
	}
}
