package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/fault"
)

const (
	chunkBytes = 256 << 10
	// maxRowBytes bounds what is held in memory to find the end of a row.
	maxRowBytes = 64 << 20
)

// input is an open split: a window of bytes that moves over the piece. Its chunks are written once,
// as strings may point into them; one that nobody points into is used again.
type input struct {
	split   *split
	object  filesystem.ReadAtCloser
	gzipped bool
	unzip   *gzip.Reader // nil for uncompressed files and empty ones
	reader  io.Reader
	chunk   []byte // the memory of window
	window  []byte // read and not decoded; starts at split.position
	aliased bool   // strings point into chunk
	offset  int64  // of the end of window
	last    bool   // nothing follows window in the split
}

// openInput opens a file and goes to the position. It fails when the file is not the one that the
// split was made of.
func openInput(ctx context.Context, env *connector.Env, s *split, gzipped bool) (*input, error) {
	in, err := openObject(ctx, env.Files, s, gzipped)
	if err != nil {
		return nil, fmt.Errorf("file: open %q: %w", s.uri, err)
	}
	if err = in.seek(); err != nil {
		err = fmt.Errorf("file: read %q: %w", s.uri, err)
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

func openObject(ctx context.Context, files *filesystem.Registry, s *split, gzipped bool,
) (*input, error) {
	store, p, err := files.Resolve(s.uri)
	if err != nil {
		return nil, fault.User(err)
	}
	e, err := store.Stat(ctx, p)
	if err != nil {
		return nil, external(err)
	}
	now := fileOf(store, e)
	changed := now.size != s.size || now.modified != s.modified && s.modified != 0
	if changed && !e.Dir {
		return nil, fault.User(fmt.Errorf("the file has changed since the job started reading it: "+
			"%d bytes of %s, now %d of %s", s.size, stamp(s.modified), now.size,
			stamp(now.modified)))
	}
	object, err := store.Open(ctx, p)
	if err != nil {
		return nil, external(err)
	}
	return &input{split: s, object: object, gzipped: gzipped}, nil
}

// seek makes reader start at the position of the split, or one byte before an unaligned piece.
func (in *input) seek() error {
	at := in.split.position
	if at == unaligned {
		at = in.split.start - 1 // its line end may be the last byte of the piece before
	}
	if !in.gzipped {
		in.reader = io.NewSectionReader(in.object, at, math.MaxInt64-at)
		in.offset = at
		return nil
	}
	var err error
	in.unzip, err = gzip.NewReader(io.NewSectionReader(in.object, 0, math.MaxInt64))
	if err == io.EOF { // an empty file
		in.reader = bytes.NewReader(nil)
		return nil
	}
	if err != nil {
		return in.readError(err)
	}
	in.reader = in.unzip
	skipped, err := io.CopyN(io.Discard, in.reader, at)
	in.offset = skipped
	return in.readError(err)
}

// readError marks what reading gives: damaged files are the user's.
func (in *input) readError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, io.ErrUnexpectedEOF) && in.gzipped:
		return fault.User(fmt.Errorf("the gzip file is damaged or cut off: %w", err))
	case errors.Is(err, io.EOF):
		return fault.User(errors.New("the file is shorter than the position to continue from"))
	}
	return external(err)
}

// head returns the first line of the file, for decoders that need it to start in the middle.
func (in *input) head() ([]byte, error) {
	var source io.Reader = io.NewSectionReader(in.object, 0, math.MaxInt64)
	if in.unzip != nil {
		unzip, err := gzip.NewReader(source)
		if err != nil {
			return nil, in.readError(err)
		}
		source = unzip
	}
	var head []byte
	for size := 4 << 10; size <= maxRowBytes; size *= 2 {
		more := make([]byte, size)
		n, err := io.ReadFull(source, more)
		head = append(head, more[:n]...)
		if end := bytes.IndexByte(head, '\n'); end >= 0 {
			return head[:end+1], nil
		}
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return head, nil
		}
		if err != nil {
			return nil, in.readError(err)
		}
	}
	return nil, in.tooLong()
}

func (in *input) tooLong() error {
	return fault.User(fmt.Errorf("a row is longer than %d MiB", maxRowBytes>>20))
}

// fill reads more bytes behind those in the window, into memory nobody points into.
func (in *input) fill() error {
	if len(in.window) >= maxRowBytes {
		return in.tooLong()
	}
	size := max(chunkBytes, 2*len(in.window))
	if in.aliased || cap(in.chunk) < size {
		in.chunk = make([]byte, size)
		in.aliased = false
	}
	in.chunk = in.chunk[:cap(in.chunk)]
	kept := copy(in.chunk, in.window)
	n, err := io.ReadFull(in.reader, in.chunk[kept:])
	in.window = in.chunk[:kept+n]
	in.offset += int64(n)
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF) && !in.cutShort():
		in.last = true
	case err != nil:
		return in.readError(err)
	}
	in.trim(n)
	return nil
}

// cutShort reports whether a compressed file ended before its checksum: io.ReadFull gives the same
// error for that and for fewer bytes than asked for.
func (in *input) cutShort() bool {
	if in.unzip == nil {
		return false
	}
	_, err := in.unzip.Read(make([]byte, 1))
	return err != io.EOF
}

// trim ends the window with the last row of the piece, if the n bytes just read reach so far: with
// the first line end that is not before the last byte of the piece.
func (in *input) trim(n int) {
	if in.split.end == wholeFile || in.offset < in.split.end {
		return
	}
	start := in.offset - int64(len(in.window)) // of the window
	from := max(in.split.end-1-start, int64(len(in.window)-n), 0)
	if at := bytes.IndexByte(in.window[from:], '\n'); at >= 0 {
		in.window = in.window[:int(from)+at+1]
		in.offset = start + int64(len(in.window))
		in.last = true
	}
}

// align finds the first row of a piece that starts somewhere in a line. none says that no row
// starts in the piece.
func (in *input) align() (none bool, err error) {
	for {
		if at := bytes.IndexByte(in.window, '\n'); at >= 0 {
			in.split.position = in.offset - int64(len(in.window)) + int64(at) + 1
			in.split.from = in.split.position
			in.window = in.window[at+1:]
			return in.split.position >= in.split.end, nil
		}
		if in.last {
			return true, nil
		}
		in.window = nil
		if err := in.fill(); err != nil {
			return false, err
		}
	}
}

// advance moves the position behind decoded bytes.
func (in *input) advance(used, lines int) {
	in.window = in.window[used:]
	in.split.position += int64(used)
	in.split.lines += int64(lines)
}

func (in *input) close() error {
	err := in.object.Close()
	in.chunk, in.window = nil, nil
	return err
}
