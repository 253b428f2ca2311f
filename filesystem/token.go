package filesystem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The serial form of a token, made by SealToken:
//
//	offset  size  content
//	0       1     version, 1
//	1       ...   fields, each a uvarint length and that many bytes; the first is the scheme
//	end-4   4     CRC-32C of all bytes before, little endian
const tokenVersion = 1

var tokenTable = crc32.MakeTable(crc32.Castagnoli)

// SealToken is for implementers of stores: it makes a token of the store's scheme and of what the
// store needs to find the prepared object again. It does not keep the fields.
func SealToken(scheme string, fields ...[]byte) Token {
	b := append([]byte{tokenVersion}, binary.AppendUvarint(nil, uint64(len(scheme)))...)
	b = append(b, scheme...)
	for _, field := range fields {
		b = binary.AppendUvarint(b, uint64(len(field)))
		b = append(b, field...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, tokenTable))
}

// OpenToken is the reverse of SealToken: it returns the fields of a token which the store of that
// scheme has sealed with that many of them. The fields share the token's memory. Every other input
// is refused with an error that wraps ErrTokenUnknown and says why; what the fields contain is for
// the store to check.
func OpenToken(scheme string, token Token, fieldCount int) ([][]byte, error) {
	if len(token) < 5 {
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrTokenUnknown, len(token))
	}
	if token[0] != tokenVersion {
		return nil, fmt.Errorf("%w: version %d, not %d", ErrTokenUnknown, token[0], tokenVersion)
	}
	body, sum := token[:len(token)-4], binary.LittleEndian.Uint32(token[len(token)-4:])
	if crc32.Checksum(body, tokenTable) != sum {
		return nil, fmt.Errorf("%w: the checksum is wrong", ErrTokenUnknown)
	}
	var fields [][]byte
	for rest := body[1:]; len(rest) > 0; {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return nil, fmt.Errorf("%w: field %d is cut off", ErrTokenUnknown, len(fields))
		}
		end := n + int(length)
		fields = append(fields, rest[n:end:end])
		rest = rest[end:]
	}
	if len(fields) == 0 || string(fields[0]) != scheme {
		return nil, fmt.Errorf("%w: it is not of scheme %q", ErrTokenUnknown, scheme)
	}
	if len(fields) != fieldCount+1 {
		return nil, fmt.Errorf("%w: %d fields, not %d", ErrTokenUnknown, len(fields)-1, fieldCount)
	}
	if !bytes.Equal(SealToken(scheme, fields[1:]...), token) {
		return nil, fmt.Errorf("%w: it is not in canonical form", ErrTokenUnknown)
	}
	return fields[1:], nil
}
