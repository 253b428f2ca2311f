package timer

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// item stands for a record while records are sorted. The order of prefixes is that of the
// records, but different records may have one prefix.
type item struct {
	prefix uint64
	at     uint32
}

// sorter sorts records through their prefixes. It keeps its memory.
type sorter struct {
	items, spare []item
}

const (
	digitBits     = 11
	leastRadix    = 256 // items; fewer are sorted by comparing
	mostInsertion = 16
)

// sort puts s.items, which are in the order of at, in that of compare and, among equal ones, of
// at. Only the top
// significant bits of prefixes differ; exact says that equal prefixes are equal records.
func (s *sorter) sort(significant int, exact bool, compare func(a, b uint32) int) {
	n := len(s.items)
	if n < 2 {
		return
	}
	compareItems := func(a, b item) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if !exact {
			if c := compare(a.at, b.at); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.at, b.at)
	}
	if n < leastRadix {
		slices.SortFunc(s.items, compareItems)
		return
	}
	// Enough bits to tell most records apart; the rest is done by comparing.
	passes := (bits.Len(uint(n)) + digitBits/2 + digitBits - 1) / digitBits
	top := min(significant, passes*digitBits)
	s.radix(top)
	if top == significant && exact {
		return
	}
	for from := 0; from < n; {
		to, head := from+1, s.items[from].prefix>>(64-top)
		for to < n && s.items[to].prefix>>(64-top) == head {
			to++
		}
		if to-from > 1 {
			sortFew(s.items[from:to], compareItems)
		}
		from = to
	}
}

// distinct reports that sorted items differ in their prefixes.
func (s *sorter) distinct() bool {
	before := ^s.items[0].prefix
	for i := range s.items {
		if s.items[i].prefix == before {
			return false
		}
		before = s.items[i].prefix
	}
	return true
}

func sortFew(items []item, compare func(a, b item) int) {
	if len(items) > mostInsertion {
		slices.SortFunc(items, compare)
		return
	}
	for i := 1; i < len(items); i++ {
		for j := i; j > 0 && compare(items[j], items[j-1]) < 0; j-- {
			items[j], items[j-1] = items[j-1], items[j]
		}
	}
}

// radix sorts by the top bits of prefixes, stable.
func (s *sorter) radix(top int) {
	s.spare = slices.Grow(s.spare[:0], len(s.items))[:len(s.items)]
	var counts [1 << digitBits]uint32
	for done := 0; done < top; done += digitBits {
		width := min(digitBits, top-done)
		shift := uint(64 - top + done)
		mask := uint64(1)<<width - 1
		clear(counts[:mask+1])
		for i := range s.items {
			counts[s.items[i].prefix>>shift&mask]++
		}
		if counts[s.items[0].prefix>>shift&mask] == uint32(len(s.items)) {
			continue
		}
		sum := uint32(0)
		for i, n := range counts[:mask+1] {
			counts[i] = sum
			sum += n
		}
		for _, it := range s.items {
			digit := it.prefix >> shift & mask
			s.spare[counts[digit]] = it
			counts[digit]++
		}
		s.items, s.spare = s.spare, s.items
	}
}

// load makes items of all records for firing order, and returns what sort wants to know.
// sorted says that there is nothing to sort, strictly that no two records are equal either.
func (s *sorter) load(r *records) (significant int, exact, sorted, strictly bool) {
	s.items = slices.Grow(s.items[:0], r.n)[:r.n]
	low, high, differ, rest := s.loadHeads(r)
	timeBits, same, end := bits.Len64(high-low), bits.LeadingZeros64(differ), 0
	if differ != 0 {
		end = bits.TrailingZeros64(differ)
	}
	keyBits := 64 - same - end // that differ
	significant = min(64, timeBits+keyBits)
	exact = r.shape.keyWords > 0 && rest == 0 && timeBits+keyBits <= 64
	if timeBits > 0 {
		for i := range s.items {
			s.items[i].prefix = s.items[i].prefix<<same>>timeBits |
				(r.at(i)[0]-low)<<(64-timeBits)
		}
	} else if same > 0 {
		for i := range s.items {
			s.items[i].prefix <<= same
		}
	}
	sorted, strictly = s.ordered(exact)
	return significant, exact, sorted, strictly
}

// ordered reports whether items are sorted already, for certain, and without equal ones.
func (s *sorter) ordered(exact bool) (sorted, strictly bool) {
	strictly = true
	before := s.items[0].prefix
	for _, it := range s.items[1:] {
		if it.prefix <= before {
			if strictly = false; it.prefix < before || !exact {
				return false, false
			}
		}
		before = it.prefix
	}
	return true, strictly
}

// loadHeads stores the heads of keys as prefixes, and returns the bounds of the times, which
// bits of heads differ, and of the words behind the first of fixed keys.
func (s *sorter) loadHeads(r *records) (low, high, differ, rest uint64) {
	first := r.at(0)
	low, high = first[0], first[0]
	common := r.commonPrefix()
	head := r.keyHead(first, common)
	stride, fixed := r.shape.stride, r.shape.keyWords > 0
	items := s.items
	for from := 0; from < r.n; {
		words, n := r.stretch(from, r.n)
		for i := range items[:n] {
			rec := words[:stride:stride]
			words = words[stride:]
			low, high = min(low, rec[0]), max(high, rec[0])
			h := bits.ReverseBytes64(rec[2])
			if !fixed {
				h = r.keyHead(rec, common)
			}
			for j := 3; j < len(rec); j++ {
				rest |= rec[j] ^ first[j]
			}
			differ |= h ^ head
			items[i] = item{prefix: h, at: uint32(from + i)}
		}
		items = items[n:]
		from += n
	}
	return low, high, differ, rest
}

// keyHead returns eight bytes of a key, from an offset on, so that the order of heads is that
// of keys.
func (r *records) keyHead(rec []uint64, skip int) uint64 {
	if r.shape.keyWords > 0 {
		return bits.ReverseBytes64(rec[2])
	}
	key := r.arena.bytes(rec[2])[skip:]
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var head [8]byte
	copy(head[:], key)
	return binary.BigEndian.Uint64(head[:])
}

// commonPrefix is the number of bytes that all keys without fixed form begin with.
func (r *records) commonPrefix() int {
	if r.shape.keyWords > 0 {
		return 0
	}
	first := r.arena.bytes(r.at(0)[2])
	common := len(first)
	for i := 1; i < r.n && common > 0; i++ {
		key := r.arena.bytes(r.at(i)[2])
		common = min(common, len(key))
		for j := range common {
			if key[j] != first[j] {
				common = j
				break
			}
		}
	}
	return common
}
