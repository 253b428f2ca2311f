// Package format is the contract of data formats: bytes to columns and back.
//
// Main types: [Format], which makes a [Decoder] and an [Encoder] for a schema;
// [RowError], which says where a row is bad. Kit: format/formattest. Formats know
// neither files nor splits; a connector feeds them bytes.
//
// A Format is immutable and safe to share; decoders and encoders belong to one goroutine.
package format

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/types"
)

// Format describes a data format with its options set.
type Format interface {
	// Name is the word used in configuration: "csv", "json".
	Name() string
	// NewDecoder makes a decoder of rows of schema.
	NewDecoder(schema *types.Schema) (Decoder, error)
	// NewEncoder makes an encoder of rows of schema.
	NewEncoder(schema *types.Schema) (Encoder, error)
}

// Decoder turns bytes into rows.
type Decoder interface {
	// Decode appends rows from data to out until out is full or no whole row is left, and
	// returns the number of bytes used and of input lines consumed, which includes blank
	// lines, headers and rows skipped. atEOF says that no byte follows data, so that a last
	// row may lack its line end. Views of out may alias data (added as a buffer of out):
	// data must not be overwritten as long as out or a string taken from it lives.
	//
	// A bad row stops decoding: err is a *RowError, used and lines count what precedes the
	// bad row, and Skip tells how far to go on behind it.
	Decode(data []byte, atEOF bool, out *batch.Columns) (used, lines int, err error)
	// Start begins a new object: first says that data starts at the object's first byte,
	// so that a header line, if the format has one, comes first.
	Start(first bool)
}

// RowError says that a row cannot be decoded.
type RowError struct {
	Line   int    // lines before the row within the data given to Decode
	Skip   int    // bytes from the start of the bad row to the next; 0 for a bad header
	Column string // "" when the row as a whole is bad
	Text   string // the offending text, shortened
	Cause  error
}

// Error describes the row without its place, which the caller knows better.
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("decode row %q: %v", e.Text, e.Cause)
	}
	return fmt.Sprintf("decode column %q from %q: %v", e.Column, e.Text, e.Cause)
}

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Cause }

// Encoder turns rows into bytes.
type Encoder interface {
	// Header appends what starts an object, nothing for most formats.
	Header(dst []byte) []byte
	// Encode appends the selected rows (nil = all).
	Encode(dst []byte, rows *batch.Columns, selection []uint16) ([]byte, error)
	// Extension is the usual file name ending, with its dot.
	Extension() string
}

// ErrIncomplete is the cause of a RowError for a row that the end of the data cuts off, such as
// one with a quotation mark that is never closed. Skip then goes to the end of the data, which is a
// guess when line ends are in between.
var ErrIncomplete = errors.New("the row is cut off by the end of the data")

// Headed is implemented by formats whose decoders must see the start of an object before they can
// read from the middle of it.
type Headed interface {
	// HasHeader reports whether objects start with a line that is not a row.
	HasHeader() bool
}

// Excerpt returns b as the Text of a RowError: its first 60 bytes, cut at a rune.
func Excerpt(b []byte) string {
	const most = 60
	if len(b) <= most {
		return string(b)
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(b[end]) {
		end--
	}
	return string(b[:end]) + "..."
}
