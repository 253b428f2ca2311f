package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
)

// MergePlan is a merge of confirmed runs, done beside the checkpoints. Its life:
//
//  1. NextMerge chooses the inputs;
//  2. Run reads them and writes one object, in any goroutine, while checkpoints come and go;
//  3. the next checkpoint written, at most JoinBy, refers to the object in place of the inputs;
//     when that one is aborted, the one after it does;
//  4. the merge is over when such a checkpoint is confirmed, when the inputs are no longer in the
//     lists, or when JoinBy has passed. Then an object nobody refers to is left to the sweep.
//
// A plan that is never run, or whose Run fails, leaves the lists as they are.
type MergePlan struct {
	// Urgency is 1 for a merge that is worth doing; from 2 on it should not wait.
	Urgency float64

	lists  *Lists
	steps  []mergeStep
	joinBy uint64
}

// MergeEnv is what a merge needs from its task.
type MergeEnv struct {
	Open     Opener
	Uploader Uploader
	Expiry   Expiry
	// NowMillis is the time of day by which rows expire.
	NowMillis int64
	// Pause is called after every few hundred rows. It may wait, to leave the processor to
	// others; its error ends the merge.
	Pause func() error
}

// MergeStats say what a merge did.
type MergeStats struct {
	Runs         int   // runs merged, slices counted
	Rows         int64 // points written
	WrittenBytes int64 // size of the object, 0 when nothing was left to write
}

// JoinBy is the last checkpoint that can refer to the result. The object's name must keep it from
// being swept until that checkpoint is complete.
func (p *MergePlan) JoinBy() uint64 { return p.joinBy }

// Run merges. Steps whose inputs the lists no longer have, so that a sweep may have removed them,
// are left out, also when they only turn out to be so on the way: then the others begin anew.
// A damaged input is an error that names its object. After an error nothing has changed but that
// an object may have been stored.
func (p *MergePlan) Run(ctx context.Context, env MergeEnv) (MergeStats, error) {
	p.dropStale()
	for len(p.steps) > 0 {
		m, err := p.merge(ctx, env)
		switch {
		case err == nil:
			p.lists.join(p.steps, m.outputs)
			return m.stats, nil
		case ctx.Err() != nil || !p.dropStale():
			return MergeStats{}, fmt.Errorf("run: merge runs: %w", err)
		}
	}
	return MergeStats{}, nil
}

// dropStale leaves out the steps whose inputs the lists no longer have, and reports whether there
// were any.
func (p *MergePlan) dropStale() bool {
	l := p.lists
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(p.steps)
	p.steps = slices.DeleteFunc(p.steps, func(s mergeStep) bool {
		return !l.hasLocked(&s.replacement)
	})
	return len(p.steps) < before
}

// merge does all steps and writes the object.
func (p *MergePlan) merge(ctx context.Context, env MergeEnv) (*mergeRun, error) {
	m := &mergeRun{
		plan: p, env: env, opened: &fetcher{
			open: env.Open, objects: map[string]filesystem.ReadAtCloser{},
		},
		outputs: make([]*protocol.Run, len(p.steps)),
	}
	err := m.run(ctx)
	return m, errors.Join(err, m.opened.close())
}

// mergeRun lives inside one call of MergePlan.merge.
type mergeRun struct {
	plan    *MergePlan
	env     MergeEnv
	opened  *fetcher
	outputs []*protocol.Run // of the steps; nil where no row was left
	stats   MergeStats
}

func (m *mergeRun) run(ctx context.Context) error {
	for i := range m.plan.steps {
		if err := m.verify(ctx, &m.plan.steps[i]); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("merge-%d", m.plan.joinBy)
	path, size, err := m.env.Uploader.Upload(ctx, name, func(out io.Writer) error {
		return m.write(ctx, out)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upload %q: %w", name, err)
	}
	if size != m.stats.WrittenBytes {
		return fmt.Errorf("upload %q: %d bytes are stored of %d", path, size, m.stats.WrittenBytes)
	}
	file := &protocol.DataFile{Path: path, Size: size}
	for _, r := range m.outputs {
		if r != nil {
			r.File = file
		}
	}
	return nil
}

// verify compares the digests of the inputs, of every table once in the life of the lists.
func (m *mergeRun) verify(ctx context.Context, step *mergeStep) error {
	for _, r := range step.inputs {
		if m.plan.lists.isVerified(r) {
			continue
		}
		object, err := m.opened.object(ctx, r.File)
		if err == nil {
			part := &section{object: object, offset: r.Offset, length: r.Length}
			err = part.digest(r.Digest, m.env.Pause)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", place(r), err)
		}
		m.plan.lists.setVerified(r)
	}
	return nil
}

// write writes the tables of all steps. It can be called again.
func (m *mergeRun) write(ctx context.Context, out io.Writer) error {
	m.stats = MergeStats{}
	buffered := bufio.NewWriterSize(out, writeBufferBytes)
	for i := range m.plan.steps {
		step := &m.plan.steps[i]
		summary, err := m.writeStep(ctx, step, buffered)
		if err != nil {
			return fmt.Errorf("%v: %w", step.pane, err)
		}
		m.outputs[i] = nil
		m.stats.Runs += len(step.inputs)
		if summary.Length == 0 {
			continue
		}
		m.outputs[i] = outputOf(&step.replacement, summary)
		m.outputs[i].Offset = m.stats.WrittenBytes
		m.stats.WrittenBytes += summary.Length
		m.stats.Rows += summary.Rows
	}
	if m.stats.WrittenBytes == 0 {
		return errNothing
	}
	return buffered.Flush()
}

// outputOf is the reference to what a merge wrote, without its place.
func outputOf(p *replacement, s Summary) *protocol.Run {
	return &protocol.Run{
		Length: s.Length, Digest: s.Digest[:], HashLo: p.bounds.Lo, HashHi: p.bounds.Hi,
		UpTo: p.inputs[len(p.inputs)-1].UpTo, Base: p.base, Rows: s.Rows, Format: Format,
		TableLo: p.bounds.Lo, TableHi: p.bounds.Hi,
	}
}

func (m *mergeRun) writeStep(
	ctx context.Context, step *mergeStep, out io.Writer,
) (summary Summary, err error) {
	sources := make([]Source, 0, len(step.inputs))
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.Run.Close())
		}
	}()
	for _, r := range step.inputs {
		reader, err := m.opened.openWalk(ctx, r)
		if err != nil {
			return Summary{}, err
		}
		sources = append(sources, Source{Run: reader, Bounds: boundsOf(r)})
	}
	isOver := m.env.Expiry.of(step.pane.Table, m.env.NowMillis)
	return mergeTo(out, sources, &step.replacement, isOver, m.env.Pause)
}

// mergeTo writes what sources amount to as one run. A base run leaves deletes out, for nothing
// older is left beneath it; any other keeps them, and the range deletes too.
func mergeTo(out io.Writer, sources []Source, p *replacement, isOver func([]byte) bool,
	pause func() error,
) (summary Summary, err error) {
	merged := merge(sources, mergeOptions{
		bounds: p.bounds, keepDeletes: !p.base, isOver: isOver,
	})
	defer func() { err = errors.Join(err, merged.Close()) }()
	options := BuildOptions{Bounds: p.bounds, Base: p.base}
	if !p.base {
		for _, s := range sources {
			clip, _ := intersect(s.Bounds, p.bounds)
			for _, r := range s.Run.deletes {
				if r, ok := intersect(r, clip); ok {
					options.deletes = append(options.deletes, r)
				}
			}
		}
	}
	summary, _, err = buildTo(out, &paused{entries: merged, pause: pause}, options)
	return summary, err
}

// paused calls pause after every few hundred entries.
type paused struct {
	entries backend.Entries
	pause   func() error
	count   int
	err     error
}

// pauseEvery is the number of entries between two pauses: about 0.1 ms of work.
const pauseEvery = 256

// Next returns the next entry.
func (p *paused) Next() (backend.Entry, bool) {
	if p.count++; p.count%pauseEvery == 0 {
		if p.err = p.pause(); p.err != nil {
			return backend.Entry{}, false
		}
	}
	return p.entries.Next()
}

// Err returns what ended the entries early.
func (p *paused) Err() error { return errors.Join(p.err, p.entries.Err()) }

// openWalk opens a run that lies in an object, to be walked.
func (f *fetcher) openWalk(ctx context.Context, r *protocol.Run) (*Reader, error) {
	fail := func(err error) (*Reader, error) {
		return nil, fmt.Errorf("open %s: %w", place(r), err)
	}
	object, err := f.object(ctx, r.File)
	if err != nil {
		return fail(err)
	}
	part := &section{object: object, offset: r.Offset, length: r.Length, ahead: true}
	table, err := openTableIn(ctx, part)
	if err != nil {
		return fail(err)
	}
	reader, err := readerOf(table)
	if err != nil {
		return fail(err)
	}
	reader.name = place(r)
	return reader, nil
}
