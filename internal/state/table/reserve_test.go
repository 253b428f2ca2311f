package table

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// sorted yields rows of 8 bytes in the order of their hashes.
type sorted struct {
	words []uint64
	at    int
	key   [8]byte
	value [8]byte
}

func (s *sorted) Next() (backend.Entry, bool) {
	if s.at == len(s.words) {
		return backend.Entry{}, false
	}
	word := s.words[s.at]
	s.at++
	for i := range s.key {
		s.key[i] = byte(word >> (8 * i))
	}
	copy(s.value[:], s.key[:])
	return backend.Entry{
		Hash: uint32(types.HashInt64(int64(word)) >> 32), Key: s.key[:], Value: s.value[:],
	}, true
}

func (s *sorted) Err() error { return nil }

// sortedWords returns n keys inside bounds, in the order of hash and key bytes.
func sortedWords(rng *rand.Rand, n int, bounds types.HashRange) []uint64 {
	var words []uint64
	for len(words) < n {
		word := rng.Uint64()
		h := uint32(types.HashInt64(int64(word)) >> 32)
		if h >= bounds.Lo && h <= bounds.Hi {
			words = append(words, word)
		}
	}
	slices.SortFunc(words, func(a, b uint64) int {
		return cmp.Or(
			cmp.Compare(types.HashInt64(int64(a))>>32, types.HashInt64(int64(b))>>32),
			cmp.Compare(bits.ReverseBytes64(a), bits.ReverseBytes64(b)))
	})
	return words
}

// TestReserve restores rows with room made for as many, for more and for fewer, in one piece and
// in two, whole and at parallelism 3, and finds every one; then the table goes on growing.
func TestReserve(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		rows, told, subtask, parallelism int
	}{
		{200_000, 200_000, 0, 1}, {200_000, 1000, 0, 1}, {20_000, 2_000_000, 0, 1},
		{100_000, 100_000, 2, 3}, {100, 100, 1, 3}, {100, 0, 0, 1},
	} {
		bounds := types.SubtaskRange(c.subtask, c.parallelism)
		b, err := Factory{}.New(backend.Options{Bounds: bounds})
		if err != nil {
			t.Fatal(err)
		}
		id, err := b.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8})
		if err != nil {
			t.Fatal(err)
		}
		words := sortedWords(rng, c.rows, bounds)
		half := types.HashRange{Lo: bounds.Lo, Hi: bounds.Lo + (bounds.Hi-bounds.Lo)/2}
		rest := types.HashRange{Lo: half.Hi + 1, Hi: bounds.Hi}
		for _, piece := range []types.HashRange{half, rest} {
			var in []uint64
			for _, w := range words {
				if h := uint32(types.HashInt64(int64(w)) >> 32); h >= piece.Lo && h <= piece.Hi {
					in = append(in, w)
				}
			}
			err := b.(*Backend).Reserve(id, backend.NoPane, piece, int64(c.told/2))
			if err == nil {
				err = b.Restore(id, backend.NoPane, piece, &sorted{words: in})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		words = append(words, sortedWords(rng, 50_000, bounds)...)
		checkWords(t, b, id, words, c.rows)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkWords looks all keys up, of which the first ones must be there with their values.
func checkWords(t *testing.T, b backend.Backend, id backend.TableID, words []uint64, there int) {
	t.Helper()
	table, err := b.Table(id, backend.NoPane)
	if err != nil {
		t.Fatal(err)
	}
	if table.Len() != there {
		t.Errorf("%d rows, want %d", table.Len(), there)
	}
	rows := make([]backend.Row, 1)
	for i, w := range words {
		keys := backend.Keys{Hashes: []uint64{types.HashInt64(int64(w))}, Words: []uint64{w}}
		created, err := table.Resolve(keys, backend.Insert, rows, nil)
		if err != nil || (len(created) == 0) != (i < there) {
			t.Fatalf("key %d of %d: %d created, %v", i, there, len(created), err)
		}
		if got := *(*uint64)(table.Fixed(rows[0])); i < there && got != w {
			t.Fatalf("key %d: value %x, want %x", i, got, w)
		}
	}
	if table.Len() != len(words) {
		t.Errorf("%d rows, want %d", table.Len(), len(words))
	}
}

// BenchmarkRestore inserts 1e6 rows in the order of their hashes.
func BenchmarkRestore(b *testing.B) {
	words := sortedWords(rand.New(rand.NewPCG(1, 1)), 1_000_000, types.AllHashes)
	for _, told := range []int{0, len(words)} {
		b.Run(fmt.Sprintf("reserved=%d", told), func(b *testing.B) {
			for range b.N {
				state, err := Factory{}.New(backend.Options{Bounds: types.AllHashes})
				if err != nil {
					b.Fatal(err)
				}
				id, _ := state.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8})
				from := time.Now()
				keyed := state.(*Backend)
				err = keyed.Reserve(id, backend.NoPane, types.AllHashes, int64(told))
				if err == nil {
					err = keyed.Restore(id, backend.NoPane, types.AllHashes, &sorted{words: words})
				}
				if err != nil {
					b.Fatal(err)
				}
				ns := float64(time.Since(from).Nanoseconds())
				b.ReportMetric(ns/float64(len(words)), "ns/row")
				b.ReportMetric(float64(state.MemoryBytes())/float64(len(words)), "bytes/row")
				if err := state.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
