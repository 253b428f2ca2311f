package filesystem

import (
	"encoding/binary"
	"hash/crc32"
)

// Resealed returns b with its last four bytes replaced by the checksum of those before, so that a
// fuzzer gets past it.
func Resealed(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	body := b[: len(b)-4 : len(b)-4]
	return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, tokenTable))
}
