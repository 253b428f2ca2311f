package local

import (
	"encoding/binary"
	"fmt"
	"path"

	"github.com/leat-io/leat/filesystem"
)

// prepared is what a token says about an object. Its two fields in the token are the target path
// and the path in progress, its third is the fixed part: size, digest, inode and modification time,
// 8 bytes each, little endian.
type prepared struct {
	target     filesystem.Path // where Publish makes it visible
	inProgress filesystem.Path // where its bytes are until then; in the directory of target

	size   int64  // bytes
	digest uint64 // XXH3 of the bytes

	// inode and modified recognise the published file without reading it. Both survive link(2).
	// They do not survive copying to another disk: the digest then decides.
	inode    uint64
	modified int64 // nanoseconds since the Unix epoch
}

const fixedBytes = 4 * 8

func (o prepared) token() filesystem.Token {
	fixed := make([]byte, 0, fixedBytes)
	fixed = binary.LittleEndian.AppendUint64(fixed, uint64(o.size))
	fixed = binary.LittleEndian.AppendUint64(fixed, o.digest)
	fixed = binary.LittleEndian.AppendUint64(fixed, o.inode)
	fixed = binary.LittleEndian.AppendUint64(fixed, uint64(o.modified))
	return filesystem.SealToken(scheme, []byte(o.target), []byte(o.inProgress), fixed)
}

// decode reads a token. It accepts only paths that the store itself would have made, so that no
// token can make Discard remove a file that is not in progress. Errors wrap ErrTokenUnknown.
func decode(token filesystem.Token) (prepared, error) {
	fields, err := filesystem.OpenToken(scheme, token, 3)
	if err != nil {
		return prepared{}, err
	}
	o := prepared{target: string(fields[0]), inProgress: string(fields[1])}
	if err := filesystem.CheckObjectPath(o.target); err != nil {
		return prepared{}, fmt.Errorf("%w: %w", filesystem.ErrTokenUnknown, err)
	}
	if !belongs(o.inProgress, o.target) {
		return prepared{}, fmt.Errorf("%w: %q is not an object in progress of %q",
			filesystem.ErrTokenUnknown, o.inProgress, o.target)
	}
	fixed := fields[2]
	if len(fixed) != fixedBytes {
		return prepared{}, fmt.Errorf("%w: the fixed part has %d bytes, not %d",
			filesystem.ErrTokenUnknown, len(fixed), fixedBytes)
	}
	o.size = int64(binary.LittleEndian.Uint64(fixed))
	o.digest = binary.LittleEndian.Uint64(fixed[8:])
	o.inode = binary.LittleEndian.Uint64(fixed[16:])
	o.modified = int64(binary.LittleEndian.Uint64(fixed[24:]))
	if o.size < 0 {
		return prepared{}, fmt.Errorf("%w: the size is %d", filesystem.ErrTokenUnknown, o.size)
	}
	return o, nil
}

// belongs tells whether inProgress is a name that newInProgress could have made for target.
func belongs(inProgress, target filesystem.Path) bool {
	if filesystem.CheckPath(inProgress) != nil || path.Dir(inProgress) != path.Dir(target) {
		return false
	}
	named, ok := filesystem.InProgressTarget(inProgress)
	if !ok {
		return false
	}
	// Long base names are cut in the name in progress, and always in the same way.
	wanted, _ := filesystem.InProgressTarget(filesystem.InProgressPath(target, "0"))
	return named == wanted
}
