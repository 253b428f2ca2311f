// Package csv is the format of comma-separated values, schema-directed and columnar.
//
// The main type is [Format], made by [New]. Its decoder reads plain rows in one pass, field by
// field straight into the columns, and hands every row with something unusual in it (quotes,
// escapes, odd numbers, faults) to a complete slow path. The package knows no files, and it has no
// comments and no trimming of spaces.
//
// What a field means:
//
//   - empty, and not quoted: null where the column may be null, else the empty string, else an
//     error; an option names another text for null;
//   - "..." in quotation marks: delimiters and line ends in it are text, "" is one quotation mark.
//     A quotation mark within an unquoted field is text;
//   - integers in decimal, floats as in 1.5, -2e9, NaN or Infinity, BOOLEAN as true or false;
//   - DATE 2001-01-31, TIMESTAMP 2001-01-31 23:59[:59[.999]] with "/" for "-" and "T" for the space
//     if need be, and an optional Z; TIME 23:59[:59[.999]];
//   - BYTES in base64.
//
// Lines end with LF or CRLF. Blank lines are skipped, except that in a schema of one nullable
// column they are nulls. A byte order mark at the start of an object is skipped. Text is taken as
// it is, without looking whether it is UTF-8.
//
// A Format is immutable and safe to share; decoders and encoders belong to one goroutine.
//
// Semantics: RFC 4180; null, base64 and escapes as in Flink's csv format.
package csv

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// Options are the settings of a Format. The zero value is plain CSV without a header.
type Options struct {
	// Delimiter separates fields; default ','. Letters, digits and what numbers and times are made
	// of cannot be delimiters, nor quotation marks or escapes; a space can be a delimiter.
	Delimiter byte
	// Quote encloses fields; default '"'.
	Quote byte
	// NoQuote makes the quotation mark a character like any other; encoding a text that would
	// need it is an error.
	NoQuote bool
	// Escape, if not zero, takes the meaning from the character behind it, within quotes and
	// without; n, r, t and 0 stand for LF, CR, tab and zero. The encoder does not write it, except
	// doubled.
	Escape byte
	// Header says that objects start with a line of column names. The decoder maps columns by
	// these names; columns that the schema does not have are skipped. Without it the columns of
	// the lines are those of the schema.
	Header bool
	// Null is the text of a null besides the empty field, when not quoted. The encoder writes it
	// for nulls.
	Null string
}

func (o Options) withDefaults() Options {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	if o.Quote == 0 {
		o.Quote = '"'
	}
	return o
}

// notSpecial are, besides letters, the characters that values are made of, and line ends.
const notSpecial = "0123456789+-./:\n\r"

func (o Options) validate() error {
	var faults []error
	special := func(name string, c byte) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if c >= 0x80 || letter || c != 0 && strings.IndexByte(notSpecial, c) >= 0 ||
			c == ' ' && name != "delimiter" {
			faults = append(faults, fmt.Errorf("%s %q is not allowed", name, string(rune(c))))
		}
	}
	special("delimiter", o.Delimiter)
	special("quote", o.Quote)
	special("escape", o.Escape)
	if o.Delimiter == o.Quote && !o.NoQuote || o.Delimiter == o.Escape {
		faults = append(faults, fmt.Errorf("delimiter %q has another meaning too",
			string(rune(o.Delimiter))))
	}
	if o.Escape == o.Quote && !o.NoQuote {
		faults = append(faults, errors.New(
			"escape is the quotation mark; a doubled mark needs no escape"))
	}
	if strings.ContainsAny(o.Null, string([]byte{o.Delimiter, o.Quote, '\n', '\r'})) ||
		o.Escape != 0 && strings.IndexByte(o.Null, o.Escape) >= 0 {
		faults = append(faults, fmt.Errorf("null %q contains a special character", o.Null))
	}
	return errors.Join(faults...)
}

// Format is CSV with its options.
type Format struct {
	options Options
}

// New returns the format, or all faults of its options.
func New(options Options) (*Format, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("csv: check options: %w", err)
	}
	return &Format{options: options}, nil
}

// Name returns "csv".
func (f *Format) Name() string { return "csv" }

// HasHeader reports whether the option Header is set.
func (f *Format) HasHeader() bool { return f.options.Header }

// NewDecoder implements format.Format. It keeps the schema.
func (f *Format) NewDecoder(schema *types.Schema) (format.Decoder, error) {
	if err := batch.CheckSchema(schema); err != nil {
		return nil, fmt.Errorf("csv: make decoder: %w", err)
	}
	return newDecoder(f.options, schema), nil
}

// NewEncoder implements format.Format. It keeps the schema.
func (f *Format) NewEncoder(schema *types.Schema) (format.Encoder, error) {
	if err := batch.CheckSchema(schema); err != nil {
		return nil, fmt.Errorf("csv: make encoder: %w", err)
	}
	return newEncoder(f.options, schema), nil
}

// column is what a decoder or encoder knows of a column.
type column struct {
	kind     types.Kind
	nullable bool
	index    int // in the schema; skipped for a column of the file only
	name     string
}

const skipped = -1

func columnsOf(schema *types.Schema) []column {
	columns := make([]column, len(schema.Fields))
	for i, f := range schema.Fields {
		columns[i] = column{f.Type.Kind, f.Type.Nullable, i, f.Name}
	}
	return columns
}

var (
	_ format.Format = (*Format)(nil)
	_ format.Headed = (*Format)(nil)
)
