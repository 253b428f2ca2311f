package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/leat-io/leat/internal/protocol"
)

// fold is a table made of neighbouring inline runs, for the next object.
type fold struct {
	run     *protocol.Run
	content []byte
}

// fold replaces, in the lists that are kept, every stretch of neighbouring inline runs by one run
// that will lie in the object: what is inline is carried by every later metadata.
func (w *checkpointWriter) fold() error {
	for i := range w.panes {
		p := &w.panes[i]
		if !slices.ContainsFunc(p.runs, isInline) {
			continue
		}
		var kept []*protocol.Run
		for rest := p.runs; len(rest) > 0; {
			n := slices.IndexFunc(rest, func(r *protocol.Run) bool { return !isInline(r) })
			if n < 0 {
				n = len(rest)
			}
			if n > 0 {
				f, err := foldRuns(rest[:n], len(kept) == 0)
				if err != nil {
					return fmt.Errorf("%v: %w", p.id, err)
				}
				if f.run != nil {
					p.folded = append(p.folded, f)
					kept = append(kept, f.run)
				}
				rest = rest[n:]
				continue
			}
			kept, rest = append(kept, rest[0]), rest[1:]
		}
		p.runs = kept
	}
	return nil
}

// foldRuns merges inline runs, the oldest of the list when oldest is true. No run comes back when
// no row is left.
func foldRuns(runs []*protocol.Run, oldest bool) (f fold, err error) {
	sources := make([]Source, 0, len(runs))
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.Run.Close())
		}
	}()
	for _, r := range runs {
		reader, err := open(r.Inline, r.Digest)
		if err != nil {
			return fold{}, fmt.Errorf("open %s: %w", place(r), err)
		}
		sources = append(sources, Source{Run: reader, Bounds: boundsOf(r)})
	}
	p := &replacement{bounds: hullOf(runs), inputs: runs, base: oldest}
	var out bytes.Buffer
	summary, err := mergeTo(&out, sources, p, nil, func() error { return nil })
	if err != nil || summary.Length == 0 {
		return fold{}, err
	}
	return fold{run: outputOf(p, summary), content: out.Bytes()}, nil
}

// writeFolded writes the folded runs of a pane to the object.
func (w *checkpointWriter) writeFolded(p *panePlan, out io.Writer) error {
	for _, f := range p.folded {
		if _, err := out.Write(f.content); err != nil {
			return err
		}
		f.run.Offset = w.stats.UploadedBytes
		w.stats.Runs++
		w.stats.Rows += f.run.Rows
		w.stats.UploadedBytes += f.run.Length
	}
	return nil
}
