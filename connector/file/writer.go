package file

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/internal/base/fault"
)

// flushBytes is how much a file collects in memory before it goes to the store.
const flushBytes = 256 << 10

// writer implements connector.Writer.
type writer struct {
	sink    *Sink
	store   filesystem.FileSystem
	dir     string
	encoder format.Encoder
	name    name
	files   int // begun

	parts     map[string]*part // by directories, in use since the last Prepare
	touched   []*part          // by the current Write
	directory []byte           // scratch
	projected batch.Columns    // the rows without partition columns
	everyRow  []uint16
	spare     [][]byte // buffers of finished parts
}

// part is the file being written in one partition.
type part struct {
	path      string
	object    filesystem.Writer // nil before the first flush
	buffer    []byte
	selection []uint16 // rows of the current Write
}

// Write implements connector.Writer.
func (w *writer) Write(ctx context.Context, rows *batch.Columns, selection []uint16) error {
	if selection == nil && rows.Len == 0 || selection != nil && len(selection) == 0 {
		return nil
	}
	if len(w.sink.partitions) == 0 {
		p := w.partOf(nil)
		return w.append(ctx, p, rows, selection)
	}
	w.divide(rows, selection)
	var err error
	for _, p := range w.touched {
		if err == nil {
			err = w.append(ctx, p, w.project(rows), p.selection)
		}
		p.selection = p.selection[:0]
	}
	w.touched = w.touched[:0]
	return err
}

// divide sorts the rows into parts.
func (w *writer) divide(rows *batch.Columns, selection []uint16) {
	if selection == nil {
		for row := len(w.everyRow); row < rows.Len; row++ {
			w.everyRow = append(w.everyRow, uint16(row))
		}
		selection = w.everyRow[:rows.Len]
	}
	for _, row := range selection {
		w.directory = w.sink.appendPartition(w.directory[:0], rows, int(row))
		p := w.partOf(w.directory)
		if len(p.selection) == 0 {
			w.touched = append(w.touched, p)
		}
		p.selection = append(p.selection, row)
	}
}

// partOf returns the part of a partition, a new one if there is none.
func (w *writer) partOf(directory []byte) *part {
	if p, ok := w.parts[string(directory)]; ok {
		return p
	}
	p := &part{path: path.Join(w.dir, string(directory), w.name.file(w.files))}
	w.files++
	if last := len(w.spare) - 1; last >= 0 {
		p.buffer = w.spare[last]
		w.spare = w.spare[:last]
	}
	p.buffer = w.encoder.Header(p.buffer[:0])
	w.parts[string(directory)] = p
	return p
}

// project returns the rows without the partition columns, valid until the next call.
func (w *writer) project(rows *batch.Columns) *batch.Columns {
	to := &w.projected
	to.Schema, to.Len, to.Buffers = w.sink.encoded, rows.Len, rows.Buffers
	to.Columns = to.Columns[:0]
	for _, col := range w.sink.kept {
		to.Columns = append(to.Columns, rows.Columns[col])
	}
	return to
}

// append encodes rows and flushes what has become much.
func (w *writer) append(ctx context.Context, p *part, rows *batch.Columns,
	selection []uint16,
) error {
	var err error
	if p.buffer, err = w.encoder.Encode(p.buffer, rows, selection); err != nil {
		return fault.User(fmt.Errorf("file: write %q: %w", p.path, err))
	}
	if len(p.buffer) < flushBytes {
		return nil
	}
	return w.flush(ctx, p)
}

// flush moves the buffer to the object in progress.
func (w *writer) flush(ctx context.Context, p *part) error {
	var err error
	if p.object == nil {
		p.object, err = w.store.Create(ctx, p.path)
	}
	if err == nil {
		_, err = p.object.Write(p.buffer)
	}
	if err != nil {
		return fmt.Errorf("file: write %q: %w", p.path, external(err))
	}
	p.buffer = p.buffer[:0]
	return nil
}

// Prepare implements connector.Writer: it finishes the files begun since the last call.
func (w *writer) Prepare(ctx context.Context, _ uint64) ([]connector.Committable, error) {
	directories := slices.Sorted(maps.Keys(w.parts))
	committables := make([]connector.Committable, 0, len(directories))
	for _, directory := range directories {
		p := w.parts[directory]
		if err := w.flush(ctx, p); err != nil {
			return nil, err
		}
		token, err := p.object.Prepare(ctx)
		if err != nil {
			return nil, fmt.Errorf("file: prepare %q: %w", p.path, external(err))
		}
		committables = append(committables, encodeCommittable(p.path, token))
		delete(w.parts, directory)
		const mostSpare = 16
		if len(w.spare) < mostSpare {
			w.spare = append(w.spare, p.buffer)
		}
	}
	return committables, nil
}

// Close implements connector.Writer. What a failed Prepare had finished already is left to CleanUp
// of the next attempt.
func (w *writer) Close() error {
	var faults []error
	for _, p := range w.parts {
		if p.object == nil {
			continue
		}
		if err := p.object.Abort(); err != nil {
			faults = append(faults, fmt.Errorf("file: drop %q: %w", p.path, external(err)))
		}
	}
	clear(w.parts)
	return errors.Join(faults...)
}
