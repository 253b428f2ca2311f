package meta

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the bytes of a `_metadata` file. Equal checkpoints give equal bytes. The caller
// owns the slice; c is not kept. The error says what in c breaks the rules of the format.
func Encode(c *Checkpoint) ([]byte, error) {
	if err := validate(c); err != nil {
		return nil, fmt.Errorf("meta: encode: %w", err)
	}
	e := encoder{bytes: append(make([]byte, 0, 1024), magic...)}
	e.bytes = binary.LittleEndian.AppendUint32(e.bytes, formatVersion)
	e.bytes = binary.LittleEndian.AppendUint32(e.bytes, 0)
	if err := e.message(typeHeader, c.Header); err != nil {
		return nil, fmt.Errorf("meta: encode header: %w", err)
	}
	for _, operator := range c.Operators {
		if err := e.message(typeOperator, operator); err != nil {
			return nil, fmt.Errorf("meta: encode operator %q: %w", operator.GetUid(), err)
		}
	}
	for _, s := range c.Unknown {
		e.section(s.Type, s.Flags, s.Body)
	}
	return e.end(), nil
}

// encoder appends sections and counts them.
type encoder struct {
	bytes    []byte
	sections uint32
}

func (e *encoder) message(kind uint16, m proto.Message) error {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err == nil {
		e.section(kind, flagCritical, body)
	}
	return err
}

func (e *encoder) section(kind, flags uint16, body []byte) {
	start := len(e.bytes)
	e.bytes = binary.LittleEndian.AppendUint16(e.bytes, kind)
	e.bytes = binary.LittleEndian.AppendUint16(e.bytes, flags)
	e.bytes = binary.LittleEndian.AppendUint64(e.bytes, uint64(len(body)))
	e.bytes = append(e.bytes, body...)
	sum := crc32.Checksum(e.bytes[start:], castagnoli)
	e.bytes = binary.LittleEndian.AppendUint32(e.bytes, sum)
	e.sections++
}

// end appends the end section and returns the whole file.
func (e *encoder) end() []byte {
	digest := sha256.Sum256(e.bytes)
	body := binary.LittleEndian.AppendUint32(nil, e.sections)
	e.section(typeEnd, flagCritical, append(body, digest[:]...))
	return e.bytes
}
