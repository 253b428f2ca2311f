package file

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/internal/base/fault"
)

// split is a file or a piece of one, with the position reached. A row belongs to the piece in which
// its first byte lies.
//
// The serial form, version 1: uvarint length of the URI and the URI, then as varints size,
// modified, start, end, position, lines, from.
type split struct {
	uri      string
	size     int64 // of the file as stored
	modified int64 // nanoseconds since the Unix epoch; 0 where unknown
	start    int64 // of the piece; all places are in the decompressed bytes
	end      int64 // of the piece, wholeFile when it is the file
	// position is the start of the next row, or unaligned before the first row was looked for in a
	// piece that may start within a row of the piece before.
	position int64
	lines    int64 // line ends between from and position
	from     int64 // where lines are counted from: 0 in a file, else the first row of the piece
}

const (
	splitVersion = 1
	wholeFile    = -1
	unaligned    = -1
)

func (s *split) id() string { return fmt.Sprintf("%s:%d", s.uri, s.start) }

func (s *split) encode() connector.Split {
	b := binary.AppendUvarint(nil, uint64(len(s.uri)))
	b = append(b, s.uri...)
	for _, v := range []int64{s.size, s.modified, s.start, s.end, s.position, s.lines, s.from} {
		b = binary.AppendVarint(b, v)
	}
	return connector.Split{ID: s.id(), Version: splitVersion, Data: b}
}

var errDamaged = errors.New("the bytes are damaged")

func decodeSplit(from connector.Split) (*split, error) {
	if from.Version != splitVersion {
		return nil, fault.Internal(fmt.Errorf("file: read split %q: version %d, want %d", from.ID,
			from.Version, splitVersion))
	}
	s := &split{}
	uri, rest, ok := cutText(from.Data)
	s.uri = string(uri)
	for _, v := range []*int64{&s.size, &s.modified, &s.start, &s.end, &s.position, &s.lines,
		&s.from} {
		var n int
		*v, n = binary.Varint(rest)
		if ok = ok && n > 0; !ok {
			break
		}
		rest = rest[n:]
	}
	if !ok || len(rest) > 0 || s.start < 0 || s.end < wholeFile || s.position < unaligned ||
		s.position == unaligned && s.start == 0 {
		return nil, fault.Internal(fmt.Errorf("file: read split %q: %w", from.ID, errDamaged))
	}
	return s, nil
}

// cutText cuts a text with its length before it off b.
func cutText(b []byte) (text, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(length)], b[n+int(length):], true
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
