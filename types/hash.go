package types

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"

	"github.com/leat-io/leat/internal/base/invariant"
)

// Constants of hash id 1. They are part of the checkpoint format and never change.
const (
	// HashNull is the hash of null, of every type.
	HashNull uint64 = 0x6c6561742d6e756c
	// HashStart is the value that a fold begins with.
	HashStart uint64 = 0x6c65617400000001

	foldFactor    uint64 = 0x9e3779b97f4a7c15
	canonicalNaN  uint64 = 0x7ff8000000000000
	keyGroupShift        = 64 - keyGroupBits
	keyGroupBits         = 15
)

// KeyGroups is the number of key groups of every job: the smallest units of state that rescaling
// moves. It never changes.
const KeyGroups = 1 << keyGroupBits

// KeyGroup is the top 15 bits of a hash: 0 to KeyGroups-1.
type KeyGroup uint16

// Mix64 is the finaliser of splitmix64: a bijection that spreads every input bit over the result.
func Mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// HashInt64 hashes every integer type, BOOLEAN (0 or 1), DATE, TIME and timestamps up to
// precision 3, each widened to 64 bits, so that INT 5 and BIGINT 5 agree.
func HashInt64(v int64) uint64 { return Mix64(uint64(v)) }

// HashBool hashes BOOLEAN as the integer 0 or 1.
func HashBool(v bool) uint64 {
	if v {
		return HashInt64(1)
	}
	return HashInt64(0)
}

// HashFloat64 hashes DOUBLE, and FLOAT widened to it, so that FLOAT 1.5 and DOUBLE 1.5 agree. -0
// hashes as 0 and every NaN as one; an integral DOUBLE does not agree with the equal BIGINT.
func HashFloat64(v float64) uint64 { return Mix64(FloatBits(v)) }

// FloatBits returns the canonical bits of v: those of 0 for -0, and one pattern for every NaN.
func FloatBits(v float64) uint64 {
	switch {
	case v == 0:
		return 0
	case v != v:
		return canonicalNaN
	}
	return math.Float64bits(v)
}

// HashBytes hashes octets: xxh3, 64 bits, seed 0.
func HashBytes(b []byte) uint64 { return xxh3.Hash(b) }

// HashString hashes the bytes of s as [HashBytes] does.
func HashString(s string) uint64 { return xxh3.HashString(s) }

// HashDecimal hashes an unscaled 128-bit value in two's complement. Values must have been brought
// to one scale before.
func HashDecimal(hi int64, lo uint64) uint64 { return Fold(Fold(HashStart, uint64(hi)), lo) }

// HashLongTimestamp hashes a timestamp of precision 4 to 9: milliseconds since 1970-01-01 and the
// nanoseconds within the millisecond, 0 to 999,999.
func HashLongTimestamp(ms int64, nanos int32) uint64 {
	return Fold(Fold(HashStart, uint64(ms)), uint64(nanos))
}

// Fold adds the hash of the next part to the hash h of a composite value. A composite of two or
// more parts starts with [HashStart]; a composite of one part has the hash of that part.
func Fold(h, part uint64) uint64 { return Mix64(h*foldFactor + part) }

// KeyGroupOf returns the key group of a hash.
func KeyGroupOf(hash uint64) KeyGroup { return KeyGroup(hash >> keyGroupShift) }

// SubtaskOf returns the subtask, 0 to parallelism-1, that owns a hash. parallelism is 1 to
// KeyGroups.
func SubtaskOf(hash uint64, parallelism int) int {
	return int((hash >> keyGroupShift) * uint64(parallelism) >> keyGroupBits)
}

// HashRange is a range of hashes, as inclusive bounds on their top 32 bits.
type HashRange struct{ Lo, Hi uint32 }

// AllHashes is the range that holds every hash.
var AllHashes = HashRange{Lo: 0, Hi: math.MaxUint32}

// Contains reports whether hash lies in r.
func (r HashRange) Contains(hash uint64) bool {
	top := uint32(hash >> 32)
	return r.Lo <= top && top <= r.Hi
}

// Overlaps reports whether some hash lies in both ranges.
func (r HashRange) Overlaps(other HashRange) bool {
	return r.Lo <= other.Hi && other.Lo <= r.Hi
}

// String returns the bounds in hexadecimal: "00000000-3fffffff".
func (r HashRange) String() string { return fmt.Sprintf("%08x-%08x", r.Lo, r.Hi) }

// SubtaskRange returns the hashes that a subtask owns: those for which [SubtaskOf] returns it.
// 0 <= subtask < parallelism <= KeyGroups, else it panics.
func SubtaskRange(subtask, parallelism int) HashRange {
	invariant.Check(0 <= subtask && subtask < parallelism && parallelism <= KeyGroups,
		"subtask %d of %d has no hash range", subtask, parallelism)
	const below = 32 - keyGroupBits
	first := firstGroup(subtask, parallelism)
	next := firstGroup(subtask+1, parallelism)
	return HashRange{Lo: uint32(first << below), Hi: uint32(next<<below - 1)}
}

// firstGroup returns the smallest key group g with g*parallelism>>15 >= subtask.
func firstGroup(subtask, parallelism int) uint64 {
	hi, lo := bits.Mul64(uint64(subtask), KeyGroups)
	invariant.Check(hi == 0, "subtask %d out of range", subtask)
	return (lo + uint64(parallelism) - 1) / uint64(parallelism)
}
