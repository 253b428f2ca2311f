package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/leat-io/leat/filesystem"
)

const (
	metadataName = "_metadata"
	contentsName = "contents.json"
	controlName  = "_jobs"
	sharedName   = "shared"
	chkPrefix    = "chk-"

	savepointPrefix = "savepoint-"

	generationPrefix = "generation-"
	checkpointPrefix = "checkpoint-"
	committedSuffix  = ".committed"
	runSuffix        = ".run"

	// maxEscaped bounds the name of a job's directory; most stores allow 255 bytes.
	maxEscaped = 200
)

// EscapeJobName returns the name of the directory for a job name: letters and digits of ASCII, "-",
// "_" and "." stay, except for a "." in front; every other byte becomes "%" and two upper-case
// hexadecimal digits. A result of more than 200 bytes is cut and gets "~" and 32 hexadecimal digits
// of the name's SHA-256. Different names give different results. The name must be valid UTF-8 and
// not empty.
func EscapeJobName(name string) (string, error) {
	if name == "" {
		return "", errors.New("store: job name is empty")
	}
	if !utf8.ValidString(name) {
		return "", fmt.Errorf("store: job name %q is not valid UTF-8", name)
	}
	var escaped strings.Builder
	cut := 0 // where to cut a name that becomes too long
	for i, c := range []byte(name) {
		if isPlain(c) && (c != '.' || i > 0) {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
		if escaped.Len() <= maxEscaped-33 {
			cut = escaped.Len()
		}
	}
	if escaped.Len() <= maxEscaped {
		return escaped.String(), nil
	}
	digest := sha256.Sum256([]byte(name))
	return escaped.String()[:cut] + "~" + hex.EncodeToString(digest[:16]), nil
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.'
}

// DataFileName is the name of a file with state. It says who made the file and for what, which is
// what the sweep goes by.
type DataFileName struct {
	Generation uint64
	Checkpoint uint64 // for which it was made first
	Vertex     uint32
	Subtask    uint32
	Random     uint32 // tells attempts apart
}

// String returns "<generation>-<checkpoint>-<vertex>-<subtask>-<random, 8 hexadecimal digits>.run".
func (n DataFileName) String() string {
	return fmt.Sprintf("%d-%d-%d-%d-%08x%s",
		n.Generation, n.Checkpoint, n.Vertex, n.Subtask, n.Random, runSuffix)
}

// ParseDataFileName is the reverse of String; ok is false for every other text.
func ParseDataFileName(s string) (n DataFileName, ok bool) {
	stem, ok := strings.CutSuffix(s, runSuffix)
	parts := strings.Split(stem, "-")
	if !ok || len(parts) != 5 {
		return DataFileName{}, false
	}
	var err error
	number := func(text string, base, bits int) uint64 {
		v, e := strconv.ParseUint(text, base, bits)
		err = errors.Join(err, e)
		return v
	}
	n = DataFileName{
		Generation: number(parts[0], 10, 64),
		Checkpoint: number(parts[1], 10, 64),
		Vertex:     uint32(number(parts[2], 10, 32)),
		Subtask:    uint32(number(parts[3], 10, 32)),
		Random:     uint32(number(parts[4], 16, 32)),
	}
	if err != nil || n.String() != s {
		return DataFileName{}, false
	}
	return n, true
}

// fenceZero is the record of the first fence under a name, the only one with number 0.
const fenceZero = checkpointPrefix + "0"

// parseNumbered returns N of "<prefix>N". Only the canonical spelling counts: no sign, no leading
// zero, not 0.
func parseNumbered(s, prefix string) (uint64, bool) {
	text, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, false
	}
	return n, true
}

// uriOf returns a URI which the registry resolves to path in store.
func uriOf(store filesystem.FileSystem, path filesystem.Path) string {
	if store.Scheme() == "file" {
		return "file://" + path
	}
	return store.Scheme() + ":/" + path
}
