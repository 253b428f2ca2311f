package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/types"
)

const (
	incrementalCheckpoints = 50
	dirtyShare             = 0.02
)

// randomKeys returns keys of a round of updates.
func randomKeys(round uint64, keys int) func(i int) uint64 {
	return func(i int) uint64 { return types.Mix64(round<<40+uint64(i)) % uint64(keys) }
}

// incrementalSuite takes checkpoints of 1 GB of rows of which 2 % change between two, and compares
// the bytes uploaded, merges included, with the bytes changed.
func incrementalSuite(int) error {
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
	defer k.state.Close()
	rows := int(stateBytes / listRowBytes)
	if _, err := k.update(rows, func(i int) uint64 { return uint64(i) }); err != nil {
		return err
	}
	first, err := k.checkpoint(ctx, 1, files)
	if err != nil {
		return err
	}
	fmt.Printf("  %d rows of %d bytes, first checkpoint %d MB\n", rows, listRowBytes,
		first.stats.UploadedBytes>>20)
	var m incremental
	for id := uint64(2); id < 2+incrementalCheckpoints; id++ {
		changed, err := k.update(int(dirtyShare*float64(rows)), randomKeys(id, rows))
		if err != nil {
			return err
		}
		c, err := k.checkpoint(ctx, id, files)
		if err != nil {
			return err
		}
		if err := m.add(c, changed); err != nil {
			return err
		}
		if m.files, m.size, err = files.keep(id, c.state); err != nil {
			return err
		}
	}
	m.print(first.stats.UploadedBytes)
	return m.compare(ctx, k, files)
}

// incremental collects what checkpoints cost.
type incremental struct {
	times, raw, pauses, steps, write, merge, objects, depth samples

	uploaded, delta, changed float64
	files                    int
	size                     int64
	last                     *protocol.KeyedState
}

func (m *incremental) add(c checkpointed, changed int) error {
	delta := float64(c.stats.UploadedBytes + c.stats.InlineBytes)
	uploaded := delta + float64(c.merged.WrittenBytes)
	bytes := float64(changed * listRowBytes)
	if delta == 0 {
		return fmt.Errorf("nothing was uploaded")
	}
	m.times = append(m.times, uploaded/delta)
	m.raw = append(m.raw, uploaded/bytes)
	m.uploaded, m.delta, m.changed = m.uploaded+uploaded, m.delta+delta, m.changed+bytes
	m.pauses = append(m.pauses, float64(c.pause)/1e6)
	m.steps = append(m.steps, float64(c.step)/1e6)
	m.write = append(m.write, float64(c.cpu)/1e6)
	m.merge = append(m.merge, float64(c.merge)/1e6)
	m.objects = append(m.objects, float64(c.merges+1))
	m.depth = append(m.depth, float64(deepest(c.state)))
	m.last = c.state
	return nil
}

// deepest is the largest number of runs that hold one hash, at some of them.
func deepest(state *protocol.KeyedState) (deepest int) {
	for _, p := range state.Panes {
		for at := uint64(0); at < 1<<32; at += 1 << 24 {
			n := 0
			for _, r := range p.Runs {
				if uint64(r.HashLo) <= at && at <= uint64(r.HashHi) {
					n++
				}
			}
			deepest = max(deepest, n)
		}
	}
	return deepest
}

func (m *incremental) print(first int64) {
	show := func(what string, s samples, unit string) {
		fmt.Printf("  %-36s mean %.2f  p90 %.2f  max %.2f %s\n", what, s.mean(), s.quantile(0.9),
			s.quantile(1), unit)
	}
	show("uploaded / file of the changes", m.times, "times")
	show("uploaded / bytes changed", m.raw, "times")
	show("objects per checkpoint", m.objects, "")
	show("runs that hold one hash", m.depth, "")
	show("snapshot and file of the changes", m.write, "ms CPU")
	show("merging", m.merge, "ms CPU")
	show("longest pause of records", m.pauses, "ms")
	show("longest pause of records", m.steps, "ms CPU")
	fmt.Printf("  %-36s %d, %.2f times the first checkpoint\n", "files at the end", m.files,
		float64(m.size)/float64(first))
	verdict("uploaded / file of the changes", m.uploaded/m.delta, "at most", 4, "times")
	verdict("uploaded / bytes changed", m.uploaded/m.changed, "at most", 4, "times")
	verdict("longest pause of records p99", m.steps.quantile(0.99), "at most", 5, "ms CPU")
}

// compare restores the last checkpoint, beside a copy of its files.
func (m *incremental) compare(ctx context.Context, k *keyedTask, files *stateFiles) error {
	want, err := digestOf([]*keyedTask{k}, 2+incrementalCheckpoints)
	if err != nil {
		return err
	}
	if err := k.state.Close(); err != nil {
		return err
	}
	copied, err := files.copyFiles([]*protocol.KeyedState{m.last})
	if err != nil {
		return err
	}
	restored, err := newKeyedTask(0, 1)
	if err != nil {
		return err
	}
	defer restored.state.Close()
	from, fromCPU := time.Now(), cpuTime()
	stats, err := run.Restore(ctx, files.open, m.last.Panes, restored.bounds, restored.state)
	if err != nil {
		return err
	}
	fmt.Printf("  %-36s %.2f s (%.2f s CPU), %d MB; copying the files %.2f s\n", "restore",
		time.Since(from).Seconds(), (cpuTime() - fromCPU).Seconds(), stats.Bytes>>20,
		copied.Seconds())
	got, err := digestOf([]*keyedTask{restored}, 1)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the restored rows differ: digest %s, want %s", got, want)
	}
	fmt.Printf("  %-36s %.16s..., equal\n", "digest of all rows", got)
	return nil
}
