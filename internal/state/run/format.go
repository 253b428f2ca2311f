package run

import (
	"encoding/binary"
	"errors"

	"github.com/leat-io/leat/types"
)

// Format is the number of the layout written, see docs/formats/run.md. It is in every reference.
const Format = 1

// DigestBytes is the length of a digest: SHA-256.
const DigestBytes = 32

const (
	prefixBytes = 4
	// endBytes is the length of the key that ends a span after the last hash.
	endBytes = 36
)

// The ways in which bytes can differ from what was written; test with errors.Is. Every error names
// the object and the offset, or says that the run is inline.
var (
	// ErrTruncated: bytes are missing.
	ErrTruncated = errors.New("run is truncated")
	// ErrDigest: the bytes are not those that were written.
	ErrDigest = errors.New("digest differs")
	// ErrCorrupt: the digest is right or was not reached, but this is no run of a known format, or
	// a reference contradicts itself.
	ErrCorrupt = errors.New("run is corrupt")
)

// appendKey appends the key of a point.
func appendKey(dst []byte, hash uint32, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, hash), key...)
}

// appendEnd appends the key at which a span ends whose last hash is hi.
func appendEnd(dst []byte, hi uint32) []byte {
	if hi+1 != 0 {
		return binary.BigEndian.AppendUint32(dst, hi+1)
	}
	for range endBytes {
		dst = append(dst, 0xff)
	}
	return dst
}

// parseSpan is the inverse of appendEnd and of the four bytes a span starts with.
func parseSpan(start, end []byte) (types.HashRange, bool) {
	if len(start) != prefixBytes {
		return types.HashRange{}, false
	}
	r := types.HashRange{Lo: binary.BigEndian.Uint32(start)}
	switch len(end) {
	case prefixBytes:
		r.Hi = binary.BigEndian.Uint32(end) - 1
		return r, r.Hi+1 != 0 && r.Lo <= r.Hi
	case endBytes:
		for _, b := range end {
			if b != 0xff {
				return types.HashRange{}, false
			}
		}
		r.Hi = types.AllHashes.Hi
		return r, true
	}
	return types.HashRange{}, false
}

// intersect returns what lies in both ranges, false when nothing does.
func intersect(a, b types.HashRange) (types.HashRange, bool) {
	r := types.HashRange{Lo: max(a.Lo, b.Lo), Hi: min(a.Hi, b.Hi)}
	return r, r.Lo <= r.Hi
}
