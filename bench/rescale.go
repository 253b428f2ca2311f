package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
)

// rescaleCheckpoints are taken at each parallelism.
const rescaleCheckpoints = 10

// rescaleSuite takes 1 GB of rows through the parallelisms 1, 2, 3, 1, with checkpoints between,
// and compares the time of each restore with that of copying the files.
func rescaleSuite(int) error {
	ctx := context.Background()
	files, err := newStateFiles()
	if err != nil {
		return err
	}
	defer files.close()
	k, err := newKeyedTask(0, 1)
	if err != nil {
		return err
	}
	r := &rescaling{files: files, tasks: []*keyedTask{k}, rows: int(stateBytes / listRowBytes)}
	defer r.close()
	if _, err := k.update(r.rows, func(i int) uint64 { return uint64(i) }); err != nil {
		return err
	}
	if err := r.checkpoint(ctx); err != nil {
		return err
	}
	for _, next := range []int{2, 3, 1} {
		if err := r.work(ctx); err != nil {
			return err
		}
		if err := r.rescale(ctx, next); err != nil {
			return err
		}
	}
	return r.work(ctx)
}

// rescaling is a keyed operator at some parallelism.
type rescaling struct {
	files  *stateFiles
	tasks  []*keyedTask
	rows   int
	id     uint64 // last checkpoint
	states []*protocol.KeyedState
	delta  int64 // of the last checkpoint
	merged int64
}

func (r *rescaling) close() error {
	var errs []error
	for _, k := range r.tasks {
		errs = append(errs, k.state.Close())
	}
	r.tasks = nil
	return errors.Join(errs...)
}

func (r *rescaling) checkpoint(ctx context.Context) error {
	r.id++
	r.states, r.delta, r.merged = nil, 0, 0
	for _, k := range r.tasks {
		c, err := k.checkpoint(ctx, r.id, r.files)
		if err != nil {
			return err
		}
		r.states = append(r.states, c.state)
		r.delta += c.stats.UploadedBytes + c.stats.InlineBytes
		r.merged += c.merged.WrittenBytes
	}
	_, _, err := r.files.keep(r.id, r.states...)
	return err
}

// work changes rows and takes checkpoints.
func (r *rescaling) work(ctx context.Context) error {
	var times samples
	for range rescaleCheckpoints {
		for _, k := range r.tasks {
			keys := randomKeys(r.id, r.rows)
			if _, err := k.update(int(dirtyShare*float64(r.rows)), keys); err != nil {
				return err
			}
		}
		if err := r.checkpoint(ctx); err != nil {
			return err
		}
		times = append(times, float64(r.delta+r.merged)/float64(r.delta))
	}
	fmt.Printf("  parallelism %d: uploaded / changes: first %.2f  mean %.2f  max %.2f times\n",
		len(r.tasks), times[0], times.mean(), times.quantile(1))
	return nil
}

// rescale restores the last checkpoint at another parallelism, one task after the other.
func (r *rescaling) rescale(ctx context.Context, parallelism int) error {
	r.id++
	want, err := digestOf(r.tasks, r.id)
	if err != nil {
		return err
	}
	rounds := r.tasks[0].rounds
	before := len(r.tasks)
	if err := r.close(); err != nil {
		return err
	}
	copied, err := r.files.copyFiles(r.states)
	if err != nil {
		return err
	}
	var panes []*protocol.PaneRuns
	for _, s := range r.states {
		panes = append(panes, s.Panes...)
	}
	from, fromCPU := time.Now(), cpuTime()
	slowest, bytes := time.Duration(0), int64(0)
	for i := range parallelism {
		k, err := newKeyedTask(i, parallelism)
		if err != nil {
			return err
		}
		r.tasks = append(r.tasks, k)
		k.rounds = rounds
		begun := time.Now()
		if err := k.lists.Adopt(panes); err != nil {
			return err
		}
		stats, err := run.Restore(ctx, r.files.open, panes, k.bounds, k.state)
		if err != nil {
			return err
		}
		slowest, bytes = max(slowest, time.Since(begun)), bytes+stats.Bytes
	}
	fmt.Printf("  %d to %d: restore of all tasks %.2f s (%.2f s CPU), slowest task %.2f s, "+
		"%d MB read; copying the files %.2f s\n", before, parallelism,
		time.Since(from).Seconds(), (cpuTime() - fromCPU).Seconds(), slowest.Seconds(),
		bytes>>20, copied.Seconds())
	r.id++
	got, err := digestOf(r.tasks, r.id)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("rows differ after %d to %d: digest %s, want %s", before, parallelism,
			got, want)
	}
	return nil
}
