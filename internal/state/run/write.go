package run

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// writeBufferBytes is how much goes to the uploader at once.
const writeBufferBytes = 256 << 10

// Uploader stores the object a task writes at a checkpoint.
type Uploader interface {
	// Upload makes an object of what write produces, durable and visible when it returns. The name
	// distinguishes a task's checkpoints and bounds; the uploader adds what makes it unique among
	// operators and attempts. write may be called again after a failure and then writes the same
	// bytes; its writer is used by one goroutine at a time, not always the caller's.
	//
	// relativePath is what the metadata will say: relative to its directory. size is the number of
	// bytes stored.
	Upload(ctx context.Context, name string, write func(w io.Writer) error) (
		relativePath string, size int64, err error)
}

// WriteStats say what a checkpoint of one task cost.
type WriteStats struct {
	Runs          int   // runs added
	Rows          int64 // points in them, deletes included
	UploadedBytes int64 // size of the object, 0 when there is none
	InlineBytes   int64 // tables added inside the metadata
	StateBytes    int64 // all tables the lists refer to, whole even when only a slice counts
	MergedBytes   int64 // results of merges that are referred to for the first time
}

// Write adds to the confirmed lists what a finished snapshot holds, and returns the lists to record
// in the checkpoint. parts and panes are those of the snapshot, which must not be released before
// Write returns; panes not in panes are dropped. A pane that was dropped and made again since the
// last confirmed checkpoint must come as a full part.
//
// The lists are pending until Confirm or Abort. After an error nothing is pending; an object may
// have been stored. The result must not be changed.
func (l *Lists) Write(ctx context.Context, parts []backend.Part, panes []backend.PaneID,
	checkpointID uint64, uploader Uploader,
) (*protocol.KeyedState, WriteStats, error) {
	fail := func(err error) (*protocol.KeyedState, WriteStats, error) {
		return nil, WriteStats{}, fmt.Errorf("run: write checkpoint %d: %w", checkpointID, err)
	}
	confirmed, merges, confirmedID := l.joined(checkpointID)
	if checkpointID <= confirmedID {
		return fail(fmt.Errorf("checkpoint %d is confirmed already", confirmedID))
	}
	w := l.newWriter(checkpointID)
	if err := w.plan(confirmed, parts, panes); err != nil {
		return fail(err)
	}
	if err := w.write(ctx, uploader); err != nil {
		return fail(err)
	}
	lists := w.lists()
	w.countState(lists)
	for _, p := range merges {
		if p.output != nil {
			w.stats.MergedBytes += p.output.Length
		}
	}
	next := pendingLists{
		lists: lists, joined: merges, bytes: w.stats.UploadedBytes + w.stats.InlineBytes,
		rewrite: needRewrite(lists),
	}
	l.mu.Lock()
	l.mu.pending[checkpointID] = next
	l.mu.Unlock()
	return keyedState(lists, l.bounds), w.stats, nil
}

func (l *Lists) newWriter(checkpointID uint64) *checkpointWriter {
	return &checkpointWriter{
		bounds: l.bounds, upTo: checkpointID, inlineLimit: l.inlineLimit, inlineAll: l.inlineAll,
	}
}

// plan finds for every pane alive what is kept and what is added.
func (w *checkpointWriter) plan(
	confirmed []paneList, parts []backend.Part, panes []backend.PaneID,
) error {
	byPane := make(map[backend.PaneID]*backend.Part, len(parts))
	for i := range parts {
		id := backend.PaneID{Table: parts[i].Table, Pane: parts[i].Pane}
		if byPane[id] != nil {
			return fmt.Errorf("two parts for %v", id)
		}
		byPane[id] = &parts[i]
	}
	panes = slices.Clone(panes)
	slices.SortFunc(panes, comparePanes)
	for _, id := range slices.Compact(panes) {
		next := panePlan{paneList: paneList{id: id}, part: byPane[id]}
		delete(byPane, id)
		for len(confirmed) > 0 && comparePanes(confirmed[0].id, id) < 0 {
			confirmed = confirmed[1:] // A dropped pane.
		}
		if len(confirmed) > 0 && confirmed[0].id == id {
			next.paneList = confirmed[0]
		}
		if next.part != nil && (next.part.Full || len(next.runs) == 0) {
			next.base, next.runs = true, nil
		}
		w.panes = append(w.panes, next)
	}
	for id := range byPane {
		return fmt.Errorf("part for %v, which does not exist", id)
	}
	return nil
}

// lists returns what the plan amounts to, once everything is written.
func (w *checkpointWriter) lists() []paneList {
	lists := make([]paneList, 0, len(w.panes))
	for _, p := range w.panes {
		list := p.paneList
		if p.added != nil {
			// Clipped, so that two checkpoints never append to one array.
			list.runs = append(slices.Clip(list.runs), p.added)
		}
		if len(list.runs) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

func (w *checkpointWriter) countState(lists []paneList) {
	for _, list := range lists {
		for _, r := range list.runs {
			w.stats.StateBytes += r.Length
		}
	}
}

// panePlan is what a checkpoint does to one pane.
type panePlan struct {
	paneList               // what is kept
	part     *backend.Part // what is added, nil for nothing
	base     bool          // the part holds all rows
	content  []byte        // the table, when it was built in memory
	summary  Summary       // of content
	added    *protocol.Run // what was written, nil when the part had no rows
	folded   []fold        // runs kept that were inline and go into the object
}

// checkpointWriter writes the runs of one checkpoint. It lives inside one call of Lists.Write.
type checkpointWriter struct {
	bounds                 types.HashRange
	upTo                   uint64
	inlineLimit, inlineAll int64
	panes                  []panePlan
	stats                  WriteStats
}

// write builds the tables and puts them inline or into one object.
func (w *checkpointWriter) write(ctx context.Context, uploader Uploader) error {
	limit := w.mayInline()
	inMemory := limit > 0
	if inMemory {
		if err := w.buildAll(); err != nil {
			return err
		}
		if w.fitsInline(limit) {
			w.inline()
			return nil
		}
	}
	if !slices.ContainsFunc(w.panes, func(p panePlan) bool { return p.writes(inMemory) }) {
		return nil
	}
	if err := w.fold(); err != nil {
		return err
	}
	name := fmt.Sprintf("%d-%v", w.upTo, w.bounds)
	path, size, err := uploader.Upload(ctx, name, func(out io.Writer) error {
		return w.writeObject(ctx, out, inMemory)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upload %q: %w", name, err)
	}
	if size != w.stats.UploadedBytes {
		return fmt.Errorf("upload %q: %d bytes are stored of %d", path, size, w.stats.UploadedBytes)
	}
	file := &protocol.DataFile{Path: path, Size: size}
	for i := range w.panes {
		if added := w.panes[i].added; added != nil {
			added.File = file
		}
		for _, f := range w.panes[i].folded {
			f.run.File = file
		}
	}
	return nil
}

func (p *panePlan) writes(inMemory bool) bool {
	return p.part != nil && (inMemory && len(p.content) > 0 || !inMemory && p.part.Rows > 0)
}

// mayInline returns how many bytes the tables may take to travel inline, 0 when they look too
// large or too many have done so already.
func (w *checkpointWriter) mayInline() (limit int64) {
	var about, carried int64
	carriedFrom := map[uint64]bool{}
	kept := false
	for _, p := range w.panes {
		kept = kept || len(p.runs) > 0
		for _, r := range p.runs {
			if isInline(r) {
				carried += r.Length
				carriedFrom[r.UpTo] = true
			}
		}
		if p.part != nil {
			about += p.part.Bytes
		}
	}
	limit = w.inlineAll
	if kept {
		limit = min(inlineDeltaBytes, w.inlineLimit-carried)
	}
	if len(carriedFrom) >= inlineCheckpoints || about > 2*limit {
		return 0
	}
	return max(limit, 0)
}

func (w *checkpointWriter) buildAll() error {
	for i := range w.panes {
		p := &w.panes[i]
		if p.part == nil {
			continue
		}
		var out bytes.Buffer
		summary, err := w.build(p, &out)
		if err != nil {
			return err
		}
		p.content, p.summary = out.Bytes(), summary
	}
	return nil
}

// build writes the table of one pane.
func (w *checkpointWriter) build(p *panePlan, out io.Writer) (Summary, error) {
	options := BuildOptions{Bounds: w.bounds, Base: p.base}
	summary, seen, err := buildTo(out, p.part.Entries(), options)
	if err == nil && (seen > p.part.Rows || seen < p.part.Rows && !p.part.AtMost) {
		err = fmt.Errorf("snapshot yields %d entries and promised %d", seen, p.part.Rows)
	}
	if err != nil {
		return Summary{}, fmt.Errorf("%v: %w", p.id, err)
	}
	return summary, nil
}

func (w *checkpointWriter) fitsInline(limit int64) bool {
	var serial, length int64
	for _, p := range w.panes {
		serial += p.summary.SerialBytes
		length += p.summary.Length
	}
	return serial <= limit && length <= limit
}

func (w *checkpointWriter) inline() {
	for i := range w.panes {
		p := &w.panes[i]
		if len(p.content) > 0 {
			p.added = w.reference(p, p.summary, 0)
			p.added.Inline = p.content
			w.stats.InlineBytes += p.summary.Length
		}
	}
}

// writeObject writes all tables one after the other. It can be called again.
func (w *checkpointWriter) writeObject(ctx context.Context, out io.Writer, inMemory bool) error {
	w.stats = WriteStats{}
	buffered := bufio.NewWriterSize(out, writeBufferBytes)
	for i := range w.panes {
		p := &w.panes[i]
		p.added = nil
		if err := w.writeFolded(p, buffered); err != nil {
			return err
		}
		if !p.writes(inMemory) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		summary, err := p.summary, error(nil)
		if inMemory {
			_, err = buffered.Write(p.content)
		} else {
			summary, err = w.build(p, buffered)
		}
		if err != nil {
			return err
		}
		if summary.Length > 0 {
			p.added = w.reference(p, summary, w.stats.UploadedBytes)
			w.stats.UploadedBytes += summary.Length
		}
	}
	if w.stats.UploadedBytes == 0 {
		return errNothing // A part may have fewer rows than it promised, down to none.
	}
	return buffered.Flush()
}

// reference counts a run and returns the reference to it, without its place.
func (w *checkpointWriter) reference(p *panePlan, s Summary, offset int64) *protocol.Run {
	w.stats.Runs++
	w.stats.Rows += s.Rows
	return &protocol.Run{
		Offset: offset, Length: s.Length, Digest: s.Digest[:],
		HashLo: w.bounds.Lo, HashHi: w.bounds.Hi,
		UpTo: w.upTo, Base: p.base, Rows: s.Rows, Format: Format,
		TableLo: w.bounds.Lo, TableHi: w.bounds.Hi,
	}
}
