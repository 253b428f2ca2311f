// Package file reads and writes rows as files of a store: CSV, JSON lines and other formats of
// whole rows.
//
// The main types are [Source], made by [NewSource], and [Sink], made by [NewSink]. The source is
// bounded: it reads the files that are there when the job starts, in pieces. The sink writes files
// that become visible whole, exactly once, with the checkpoint that completed them. The package
// knows no columns beyond those of a partition; formats do.
//
// # Life of a file of the sink
//
//  1. The first rows after a checkpoint go to a buffer, and from there to an object in progress
//     that nobody sees.
//  2. Prepare makes the object durable; its token becomes part of the checkpoint.
//  3. Commit, after the checkpoint completed, publishes it under its own name for ever.
//
// What a crash leaves of 1 and 2 is removed by CleanUp of a later attempt, which knows by the name
// whose it is.
//
// Sources and sinks are immutable and safe to share; readers, writers, enumerators and committers
// belong to one goroutine each, as package connector says.
//
// Semantics: Flink's FileSource and FileSink (FLIP-27, FLIP-143), partition directories as in its
// filesystem connector.
package file

import (
	"errors"
	"fmt"
	"strings"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/types"
)

// Compression says how files are compressed.
type Compression uint8

const (
	// ByName takes files whose name ends in ".gz" for gzip, others as they are.
	ByName Compression = iota
	// NoCompression takes files as they are.
	NoCompression
	// Gzip takes all files for gzip, of one member or several.
	Gzip
)

// OnBadRow says what to do with a row that cannot be decoded.
type OnBadRow uint8

const (
	// Fail fails the job with the place of the row.
	Fail OnBadRow = iota
	// Skip leaves the row out, counts it in numRecordsInErrors and logs the first few.
	Skip
)

const defaultSplitBytes = 64 << 20

// SourceOptions are the settings of a Source. Paths, Format and Schema are required.
type SourceOptions struct {
	// Paths are files, directories and patterns, as URIs or paths. A directory stands for all files
	// in it at any depth whose names, and whose directories' names, do not start with "." or "_".
	// In patterns "*", "?" and "[...]" have their meaning within one path element, as in
	// path.Match; they match no such hidden names. A path that is there literally is no pattern.
	Paths []string
	// Format decodes the files.
	Format format.Format
	// Schema is the shape of the rows.
	Schema *types.Schema
	// Compression says how files are compressed; default by name.
	Compression Compression
	// OnBadRow says what to do with bad rows; default is to fail.
	OnBadRow OnBadRow
	// SplitBytes is the size of the pieces that uncompressed files are read in, in parallel;
	// default 64 MiB, negative for whole files. Rows must not have line ends in them where a piece
	// ends: such a row fails the job, whatever OnBadRow says.
	SplitBytes int64
}

func (o SourceOptions) withDefaults() SourceOptions {
	if o.SplitBytes == 0 {
		o.SplitBytes = defaultSplitBytes
	}
	return o
}

func (o SourceOptions) validate() error {
	var faults []error
	if len(o.Paths) == 0 {
		faults = append(faults, errors.New("no path is given"))
	}
	if o.Format == nil {
		faults = append(faults, errors.New("no format is given"))
	}
	if o.Schema == nil {
		faults = append(faults, errors.New("no schema is given"))
	} else if err := batch.CheckSchema(o.Schema); err != nil {
		faults = append(faults, err)
	}
	if o.Format != nil && len(faults) == 0 {
		if _, err := o.Format.NewDecoder(o.Schema); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Source reads files. It implements connector.Source.
type Source struct {
	options SourceOptions
}

// NewSource returns the source, or all faults of its options. It touches no file.
func NewSource(options SourceOptions) (*Source, error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, fault.User(fmt.Errorf("file: make source: %w", err))
	}
	return &Source{options: options}, nil
}

// Schema implements connector.Source.
func (s *Source) Schema() *types.Schema { return s.options.Schema }

// Bounded implements connector.Source: true.
func (s *Source) Bounded() bool { return true }

// gzipped reports whether the file at a path is compressed.
func (o *SourceOptions) gzipped(path string) bool {
	switch o.Compression {
	case Gzip:
		return true
	case NoCompression:
		return false
	}
	return strings.HasSuffix(path, ".gz")
}

// uriOf returns the URI that the registry resolves to the path of a store.
func uriOf(store filesystem.FileSystem, path string) string {
	if store.Scheme() == "file" {
		return path
	}
	return store.Scheme() + ":/" + path
}

// external marks the error of a store: absence is for the user to mend, the rest may pass.
func external(err error) error {
	if errors.Is(err, filesystem.ErrNotExist) {
		return fault.User(err)
	}
	return fault.External(err, fault.RetryLater)
}

var (
	_ connector.Source = (*Source)(nil)
	_ connector.Sink   = (*Sink)(nil)
)
