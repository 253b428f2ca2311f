// Package json is the format of JSON lines, schema-directed and columnar.
//
// The main type is [Format], made by [New]. Its decoder expects the fields of an object in the
// order of the object before, compares their names with what it expects, and reads the values
// straight into the columns; other orders and other names cost a look-up. The package knows no
// files.
//
// What it accepts: one object for each row, separated by line ends or other white space; an object
// may span lines. As a leniency, "[", "," and "]" between objects are separators too, so that an
// array of objects is read like its elements; their nesting is not checked. Of a field:
//
//   - the name must be that of a column exactly; other fields are skipped, but must be JSON;
//   - a missing one, and null, is null where the column may be null, else an error; of a field that
//     comes twice the last one counts, and all must suit the column;
//   - integers want a number without fraction and exponent, floats any number or one of the strings
//     "NaN", "Infinity" and "-Infinity", STRING a string, BOOLEAN true or false. Nothing is
//     converted between these;
//   - DATE, TIME and TIMESTAMP want strings as in package format, BYTES a string in base64.
//
// Text must be UTF-8. An escaped half of a surrogate pair becomes U+FFFD.
//
// A Format is immutable and safe to share; decoders and encoders belong to one goroutine.
//
// Semantics: RFC 8259; types and base64 as in Flink's json format, conversions left out.
package json

import (
	"fmt"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// Options are the settings of a Format. The zero value is the usual one.
type Options struct {
	// OmitNull makes the encoder leave out the fields that are null.
	OmitNull bool
}

// Format is JSON lines with its options.
type Format struct {
	options Options
}

// New returns the format.
func New(options Options) *Format { return &Format{options: options} }

// Name returns "json".
func (f *Format) Name() string { return "json" }

// NewDecoder implements format.Format. It keeps the schema.
func (f *Format) NewDecoder(schema *types.Schema) (format.Decoder, error) {
	if err := batch.CheckSchema(schema); err != nil {
		return nil, fmt.Errorf("json: make decoder: %w", err)
	}
	return newDecoder(schema), nil
}

// NewEncoder implements format.Format. It keeps the schema.
func (f *Format) NewEncoder(schema *types.Schema) (format.Encoder, error) {
	if err := batch.CheckSchema(schema); err != nil {
		return nil, fmt.Errorf("json: make encoder: %w", err)
	}
	return newEncoder(f.options, schema), nil
}

var _ format.Format = (*Format)(nil)
