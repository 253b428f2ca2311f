package main

import (
	"context"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/connector/file"
	"github.com/leat-io/leat/format/csv"
	"github.com/leat-io/leat/stream"
)

// liveSource reads a file as if its rows came in one by one, as they do on a live topic. A file is
// read in batches of 1,024 rows otherwise, and watermarks follow batches: in one as small as this
// nothing would be late.
type liveSource struct {
	*file.Source
}

var _ connector.Source = liveSource{}

func newLiveSource(path string) (connector.Source, error) {
	format, err := csv.New(csv.Options{Header: true})
	if err != nil {
		return nil, err
	}
	source, err := file.NewSource(file.SourceOptions{
		Paths: []string{path}, Format: format, Schema: stream.SchemaOf[Event](),
	})
	return liveSource{source}, err
}

// NewReader implements connector.Source.
func (s liveSource) NewReader(
	ctx context.Context, env *connector.Env,
) (connector.Reader, error) {
	reader, err := s.Source.NewReader(ctx, env)
	if err != nil {
		return nil, err
	}
	return &liveReader{Reader: reader, row: batch.New(s.Schema(), 1)}, nil
}

// liveReader is a reader that returns one row at a time.
type liveReader struct {
	connector.Reader
	row *batch.Columns
}

// Poll implements connector.Reader.
func (r *liveReader) Poll(ctx context.Context, out *batch.Columns) (connector.Polled, error) {
	r.row.Reset()
	polled, err := r.Reader.Poll(ctx, r.row)
	if err == nil && r.row.Len > 0 {
		r.row.Gather(out, []uint16{0})
	}
	return polled, err
}
