package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/internal/base/fault"
)

// loggedBadRows is how many skipped rows a reader logs.
const loggedBadRows = 10

// badRowsCounter is Flink's name of the counter of records that could not be read.
const badRowsCounter = "numRecordsInErrors"

// reader implements connector.Reader. It reads its splits one after the other.
type reader struct {
	options *SourceOptions
	env     *connector.Env
	decoder format.Decoder
	splits  []*split // unfinished, the first is being read
	current int      // number of the first in the order of AddSplit
	input   *input   // of the first; nil before it is opened
	logged  int
}

// NewReader implements connector.Source.
func (s *Source) NewReader(_ context.Context, env *connector.Env) (connector.Reader, error) {
	decoder, err := s.options.Format.NewDecoder(s.options.Schema)
	if err != nil {
		return nil, fault.User(fmt.Errorf("file: make reader: %w", err))
	}
	return &reader{options: &s.options, env: env, decoder: decoder}, nil
}

// AddSplit implements connector.Reader.
func (r *reader) AddSplit(from connector.Split) error {
	s, err := decodeSplit(from)
	if err == nil {
		r.splits = append(r.splits, s)
	}
	return err
}

// Ready implements connector.Reader: files are always ready.
func (r *reader) Ready() <-chan struct{} { return nil }

// Poll implements connector.Reader.
func (r *reader) Poll(ctx context.Context, out *batch.Columns) (connector.Polled, error) {
	if len(r.splits) == 0 {
		return connector.Polled{Status: connector.NeedSplit, Split: max(r.current-1, 0)}, nil
	}
	if err := ctx.Err(); err != nil {
		return connector.Polled{}, err
	}
	polled := connector.Polled{Split: r.current}
	none := false
	var err error
	if r.input == nil {
		none, err = r.open(ctx)
	}
	if err == nil && !none {
		polled.Ended, err = r.fillBatch(out)
	} else if none {
		polled.Ended = true
	}
	if err == nil && polled.Ended {
		err = r.finish()
	}
	if err != nil {
		return connector.Polled{}, err
	}
	if len(r.splits) == 0 {
		polled.Status = connector.NeedSplit
	}
	return polled, nil
}

// open opens the first split; none says that no row starts in it.
func (r *reader) open(ctx context.Context) (none bool, err error) {
	s := r.splits[0]
	if s.end != wholeFile && s.position >= s.end {
		return true, nil // the snapshot was taken behind the last row
	}
	in, err := openInput(ctx, r.env, s, r.options.gzipped(s.uri))
	if err != nil {
		return false, err
	}
	r.input = in
	if s.position == unaligned {
		if none, err = in.align(); err != nil || none {
			return none, r.readError(err)
		}
	}
	r.decoder.Start(s.position == 0)
	headed, ok := r.options.Format.(format.Headed)
	if s.position == 0 || !ok || !headed.HasHeader() {
		return false, nil
	}
	head, err := in.head()
	if err != nil {
		return false, r.readError(err)
	}
	r.decoder.Start(true)
	scratch := batch.New(r.options.Schema, 1)
	if _, _, err = r.decoder.Decode(head, true, scratch); err != nil {
		return false, r.badRow(err, 0)
	}
	return false, nil
}

func (r *reader) readError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("file: read %q: %w", r.splits[0].uri, err)
}

// fillBatch decodes rows until the batch is full or the split has ended.
func (r *reader) fillBatch(out *batch.Columns) (ended bool, err error) {
	in := r.input
	for out.Len < out.Capacity() {
		if len(in.window) == 0 && in.last {
			return true, nil
		}
		before, buffers := out.Len, len(out.Buffers)
		used, lines, err := r.decoder.Decode(in.window, in.last, out)
		in.aliased = in.aliased || aliases(out.Buffers[buffers:], in.chunk)
		in.advance(used, lines)
		if err != nil {
			if err = r.skipRow(err); err != nil {
				return false, err
			}
			continue
		}
		if out.Len > before || out.Len == out.Capacity() {
			continue
		}
		if in.last {
			return len(in.window) == 0, r.standstill(used)
		}
		if err := in.fill(); err != nil {
			return false, r.readError(err)
		}
	}
	return false, nil
}

// standstill reports a decoder that leaves bytes at the end without saying why.
func (r *reader) standstill(used int) error {
	if len(r.input.window) == 0 || used > 0 {
		return nil
	}
	return fault.Internal(r.readError(fmt.Errorf("format %q leaves %d bytes at the end",
		r.options.Format.Name(), len(r.input.window))))
}

// aliases reports whether one of the buffers lies in chunk.
func aliases(buffers [][]byte, chunk []byte) bool {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(chunk)))
	for _, b := range buffers {
		p := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
		if start <= p && p < start+uintptr(cap(chunk)) {
			return true
		}
	}
	return false
}

// skipRow goes on behind a bad row, or returns what to fail with.
func (r *reader) skipRow(err error) error {
	var row *format.RowError
	if !errors.As(err, &row) || row.Skip <= 0 || row.Skip > len(r.input.window) {
		return r.badRow(err, r.splits[0].lines)
	}
	text := r.input.window[:row.Skip]
	lines := bytes.Count(text, []byte{'\n'})
	// A row cut off at the end of its only line is bad by itself; one over several lines may be cut
	// by the end of the piece, or have swallowed good rows.
	whole := r.splits[0].end == wholeFile || r.splits[0].end == r.splits[0].size
	cut := errors.Is(err, format.ErrIncomplete) && (!whole || lines > 1)
	if r.options.OnBadRow == Fail || cut {
		return r.badRow(err, r.splits[0].lines)
	}
	if r.env.Count != nil {
		r.env.Count(badRowsCounter, 1)
	}
	if r.logged++; r.logged <= loggedBadRows && r.env.Logger != nil {
		r.env.Logger.Warn("skipped a row that cannot be decoded", "error",
			r.badRow(err, r.splits[0].lines).Error(), "last_logged", r.logged == loggedBadRows)
	}
	r.input.advance(row.Skip, lines)
	return nil
}

// badRow says where a row is that cannot be decoded: lines line ends behind where they are counted
// from. The position is that of the row.
func (r *reader) badRow(err error, lines int64) error {
	s := r.splits[0]
	var row *format.RowError
	if !errors.As(err, &row) {
		return fault.Internal(fmt.Errorf("file: decode %q at byte %d: %w", s.uri, s.position, err))
	}
	place := fmt.Sprintf("line %d", lines+1)
	if s.from > 0 {
		place = fmt.Sprintf("at byte %d (line %d from byte %d)", s.position, lines+1, s.from)
	}
	bad := &rowError{place: fmt.Sprintf("file: decode %q %s", s.uri, place), row: row}
	if errors.Is(err, format.ErrIncomplete) && s.end != wholeFile && s.end != s.size {
		bad.hint = "; if it goes on behind a line end, read whole files: set SplitBytes to -1"
	}
	return fault.User(bad)
}

// rowError puts the place of a row before its fault.
type rowError struct {
	place string
	row   *format.RowError
	hint  string
}

func (e *rowError) Error() string {
	what := fmt.Sprintf("row %q", e.row.Text)
	if e.row.Column != "" {
		what = fmt.Sprintf("column %q from %q", e.row.Column, e.row.Text)
	}
	return fmt.Sprintf("%s: %s: %v%s", e.place, what, e.row.Cause, e.hint)
}

func (e *rowError) Unwrap() error { return e.row }

// finish ends the first split.
func (r *reader) finish() error {
	s := r.splits[0]
	err := r.Close()
	r.splits = r.splits[1:]
	r.current++
	if err != nil {
		return fmt.Errorf("file: close %q: %w", s.uri, external(err))
	}
	return nil
}

// Snapshot implements connector.Reader.
func (r *reader) Snapshot() ([]connector.Split, error) {
	splits := make([]connector.Split, len(r.splits))
	for i, s := range r.splits {
		splits[i] = s.encode()
	}
	return splits, nil
}

// Close implements connector.Reader.
func (r *reader) Close() error {
	if r.input == nil {
		return nil
	}
	err := r.input.close()
	r.input = nil
	return err
}

// stamp shows a modification time.
func stamp(nanos int64) string {
	if nanos == 0 {
		return "unknown time"
	}
	return time.Unix(0, nanos).UTC().Format("2006-01-02T15:04:05.999999999Z")
}
