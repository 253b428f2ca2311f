package run

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// generated yields rows of 8-byte keys and 104-byte values, half of which compress, in order.
type generated struct {
	keys  []uint64 // hashes, ascending
	at    int
	key   [8]byte
	value [104]byte
	rng   *rand.PCG
}

func (g *generated) Next() (backend.Entry, bool) {
	if g.at == len(g.keys) {
		return backend.Entry{}, false
	}
	h := g.keys[g.at]
	g.at++
	binary.BigEndian.PutUint64(g.key[:], h)
	for i := 0; i < 52; i += 8 {
		binary.LittleEndian.PutUint64(g.value[i:], g.rng.Uint64())
	}
	return backend.Entry{Hash: uint32(h >> 32), Key: g.key[:], Value: g.value[:]}, true
}

func (g *generated) Err() error { return nil }

func randomKeys(n int, seed uint64) []uint64 {
	rng := rand.NewPCG(seed, 1)
	keys := make([]uint64, n)
	for i := range keys {
		keys[i] = rng.Uint64()
	}
	slices.Sort(keys)
	return keys
}

func sample(keys []uint64, n int, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 2))
	out := make([]uint64, n)
	for i := range out {
		out[i] = keys[rng.IntN(len(keys))]
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func report(b *testing.B, rowsPerOp int) {
	perOp := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(rowsPerOp)/perOp/1e6, "Mrows/s")
}

// BenchmarkBuild writes one run of 500,000 rows of 112 bytes.
func BenchmarkBuild(b *testing.B) {
	keys := randomKeys(500000, 1)
	b.ReportAllocs()
	for b.Loop() {
		g := &generated{keys: keys, rng: rand.NewPCG(3, 3)}
		summary, _, err := buildTo(io.Discard, g, BuildOptions{Bounds: types.AllHashes, Base: true})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(summary.Length)/float64(summary.Rows), "B/row")
	}
	report(b, len(keys))
}

// BenchmarkMerge merges a base of 500,000 rows with 0, 7 or 15 deltas of 2 % each.
func BenchmarkMerge(b *testing.B) {
	keys := randomKeys(500000, 1)
	for _, deltas := range []struct {
		name string
		n    int
	}{{"deltas=0", 0}, {"deltas=7", 7}, {"deltas=15", 15}} {
		var sources []Source
		total := 0
		for i := range deltas.n + 1 {
			of := keys
			if i > 0 {
				of = sample(keys, len(keys)/50, uint64(i))
			}
			total += len(of)
			content, summary, err := Build(&generated{keys: of, rng: rand.NewPCG(3, 3)},
				BuildOptions{Bounds: types.AllHashes, Base: i == 0})
			if err != nil {
				b.Fatal(err)
			}
			reader, err := Open(content, summary.Digest[:])
			if err != nil {
				b.Fatal(err)
			}
			defer reader.Close()
			sources = append(sources, Source{reader, types.AllHashes})
		}
		b.Run(deltas.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				m := Merge(sources, types.AllHashes)
				for _, ok := m.Next(); ok; _, ok = m.Next() {
					n++
				}
				if m.Err() != nil || n != len(keys) {
					b.Fatal(n, m.Err())
				}
			}
			report(b, total)
		})
	}
}

// BenchmarkOpen verifies the digest of a run and opens it.
func BenchmarkOpen(b *testing.B) {
	content, summary, err := Build(&generated{keys: randomKeys(500000, 1), rng: rand.NewPCG(3, 3)},
		BuildOptions{Bounds: types.AllHashes})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		reader, err := Open(content, summary.Digest[:])
		if err != nil {
			b.Fatal(err)
		}
		reader.Close()
	}
}
