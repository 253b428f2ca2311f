package meta

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/protocol"
)

// Decode reads the bytes of a `_metadata` file and verifies everything the format promises. It does
// not keep the bytes. Errors wrap ErrDamaged or ErrUnsupported and name the byte or the section.
func Decode(file []byte) (*Checkpoint, error) {
	d := decoder{file: file, checkpoint: new(Checkpoint)}
	if err := d.run(); err != nil {
		return nil, fmt.Errorf("meta: decode: %w", err)
	}
	if err := validate(d.checkpoint); err != nil {
		return nil, fmt.Errorf("meta: decode: %w: %w", ErrDamaged, err)
	}
	return d.checkpoint, nil
}

// decoder walks over the sections of a file.
type decoder struct {
	file       []byte
	offset     int
	sections   uint32 // read before the current one
	checkpoint *Checkpoint
}

// section is a section whose checksum is right.
type section struct {
	kind, flags uint16
	start       int // offset in the file
	body        []byte
}

func (d *decoder) run() error {
	if err := d.prefix(); err != nil {
		return err
	}
	for {
		s, err := d.next()
		if err != nil {
			return err
		}
		if s.kind == typeEnd {
			return d.end(s)
		}
		if err := d.take(s); err != nil {
			return err
		}
		d.sections++
	}
}

func (d *decoder) prefix() error {
	known := d.file[:min(len(magic), len(d.file))]
	if !bytes.HasPrefix([]byte(magic), known) {
		return fmt.Errorf("%w: it does not start as metadata does: magic is %x", ErrDamaged, known)
	}
	if len(d.file) < prefixBytes {
		return d.truncated("file prefix", prefixBytes)
	}
	version := binary.LittleEndian.Uint32(d.file[8:])
	if version == 0 {
		return fmt.Errorf("%w: format version is 0", ErrDamaged)
	}
	if version > formatVersion {
		return fmt.Errorf("%w: format version is %d, this build reads up to %d",
			ErrUnsupported, version, formatVersion)
	}
	if zero := binary.LittleEndian.Uint32(d.file[12:]); zero != 0 {
		return fmt.Errorf("%w: bytes 12 to 15 are %#x, not zero", ErrDamaged, zero)
	}
	d.offset = prefixBytes
	return nil
}

// next reads a section and verifies its checksum before it believes anything else in it.
func (d *decoder) next() (section, error) {
	start := d.offset
	rest := uint64(len(d.file) - start)
	if rest < sectionHeaderBytes {
		return section{}, d.truncated(d.name(start), start+sectionHeaderBytes)
	}
	length := binary.LittleEndian.Uint64(d.file[start+4:])
	if rest-sectionHeaderBytes < checksumBytes ||
		length > rest-sectionHeaderBytes-checksumBytes {
		return section{}, fmt.Errorf("%w: truncated at byte %d: %s has a body of %d bytes",
			ErrDamaged, len(d.file), d.name(start), length)
	}
	stop := start + sectionHeaderBytes + int(length)
	sum := binary.LittleEndian.Uint32(d.file[stop:])
	if crc32.Checksum(d.file[start:stop], castagnoli) != sum {
		return section{}, fmt.Errorf("%w: checksum of %s differs", ErrDamaged, d.name(start))
	}
	d.offset = stop + checksumBytes
	return section{
		kind:  binary.LittleEndian.Uint16(d.file[start:]),
		flags: binary.LittleEndian.Uint16(d.file[start+2:]),
		start: start,
		body:  d.file[start+sectionHeaderBytes : stop],
	}, nil
}

// name returns how messages call the current section: its number from 1, and what it claims to be.
func (d *decoder) name(start int) string {
	kind := "cut off"
	if len(d.file) >= start+2 {
		kind = typeName(binary.LittleEndian.Uint16(d.file[start:]))
	}
	return fmt.Sprintf("section %d (%s) at byte %d", d.sections+1, kind, start)
}

func typeName(kind uint16) string {
	switch kind {
	case typeHeader:
		return "header"
	case typeOperator:
		return "operator"
	case typeEnd:
		return "end"
	}
	return fmt.Sprintf("type %d", kind)
}

func (d *decoder) truncated(what string, need int) error {
	return fmt.Errorf("%w: truncated at byte %d: %s goes on to byte %d at least",
		ErrDamaged, len(d.file), what, need)
}

// take adds what a section says to the checkpoint.
func (d *decoder) take(s section) error {
	if s.flags&^flagCritical != 0 {
		return fmt.Errorf("%w: %s has unknown flags %#x", ErrUnsupported, d.name(s.start), s.flags)
	}
	if (d.checkpoint.Header == nil) != (s.kind == typeHeader) {
		return fmt.Errorf("%w: %s: the header must be the first section, and there once",
			ErrDamaged, d.name(s.start))
	}
	switch s.kind {
	case typeHeader:
		d.checkpoint.Header = new(protocol.CheckpointHeader)
		return d.parse(s, d.checkpoint.Header)
	case typeOperator:
		operator := new(protocol.OperatorState)
		d.checkpoint.Operators = append(d.checkpoint.Operators, operator)
		return d.parse(s, operator)
	}
	if s.flags&flagCritical != 0 {
		return fmt.Errorf("%w: %s is unknown and critical", ErrUnsupported, d.name(s.start))
	}
	d.checkpoint.Unknown = append(d.checkpoint.Unknown,
		Section{Type: s.kind, Flags: s.flags, Body: bytes.Clone(s.body)})
	return nil
}

func (d *decoder) parse(s section, m proto.Message) error {
	if err := proto.Unmarshal(s.body, m); err != nil {
		return fmt.Errorf("%w: %s does not parse: %w", ErrDamaged, d.name(s.start), err)
	}
	return nil
}

func (d *decoder) end(s section) error {
	switch {
	case s.flags != flagCritical || len(s.body) != endBodyBytes:
		return fmt.Errorf("%w: %s has flags %#x and %d bytes",
			ErrDamaged, d.name(s.start), s.flags, len(s.body))
	case binary.LittleEndian.Uint32(s.body) != d.sections:
		return fmt.Errorf("%w: it has %d sections, its end counts %d",
			ErrDamaged, d.sections, binary.LittleEndian.Uint32(s.body))
	case d.offset != len(d.file):
		return fmt.Errorf("%w: %d bytes follow the end at byte %d",
			ErrDamaged, len(d.file)-d.offset, d.offset)
	case d.checkpoint.Header == nil:
		return fmt.Errorf("%w: it has no header", ErrDamaged)
	}
	if digest := sha256.Sum256(d.file[:s.start]); !bytes.Equal(digest[:], s.body[4:]) {
		return fmt.Errorf("%w: the digest of the whole differs", ErrDamaged)
	}
	return nil
}
