package main

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/stream"
	"github.com/leat-io/leat/types"
)

const stateKeys = 10_000_000

// gcSuite measures full collections with a large table alive.
func gcSuite(rounds int) error {
	b, err := fullTable()
	if err != nil {
		return err
	}
	var s samples
	for range max(rounds, 5) {
		before := cpuTime() // of the process: nothing but the collection runs
		runtime.GC()
		s = append(s, float64(cpuTime()-before)/1e6)
	}
	runtime.KeepAlive(b)
	fmt.Printf("  %-36s %s ms CPU\n", "full collection", s)
	verdict("full collection", s.median(), "at most", 10, "ms CPU")
	return b.Close()
}

func fullTable() (backend.Backend, error) {
	b, err := table.Factory{}.New(backend.Options{Bounds: types.SubtaskRange(0, 1)})
	if err != nil {
		return nil, err
	}
	id, err := b.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 16})
	if err != nil {
		return nil, err
	}
	t, err := b.Table(id, backend.NoPane)
	if err != nil {
		return nil, err
	}
	const rows = 1024
	keys := backend.Keys{Hashes: make([]uint64, rows), Words: make([]uint64, rows)}
	found := make([]backend.Row, rows)
	for first := 0; first < stateKeys; first += rows {
		for i := range rows {
			keys.Words[i] = uint64(first + i)
			keys.Hashes[i] = types.HashInt64(int64(first + i))
		}
		if _, err := t.Resolve(keys, backend.Insert, found, nil); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// gaps records the time between calls, for 1,024 at a time.
type gaps struct {
	calls atomic.Int64
	last  int64
	all   samples
	from  int64 // calls before this one fill the state
}

func (g *gaps) call() {
	n := g.calls.Add(1)
	if n%1024 != 0 {
		return
	}
	now := clock.Monotonic()
	if n > g.from {
		g.all = append(g.all, float64(now-g.last)/1e6)
	}
	g.last = now
}

// barrierSuite runs updates over 1e7 keys: at full speed without checkpoints, for the time a
// batch takes; then at about 800,000 updates a second with a checkpoint every 100 ms until 200
// barriers have passed over the full state, for the pause of each.
func barrierSuite(int) error {
	quiet, _, err := barrierJob(0)
	if err != nil {
		return err
	}
	loud, pauses, err := barrierJob(100 * time.Millisecond)
	if err != nil {
		return err
	}
	show := func(what string, s samples) {
		fmt.Printf("  %-36s p50 %.3f  p99 %.3f  max %.3f ms (%d)\n", what, s.quantile(0.5),
			s.quantile(0.99), s.quantile(1), len(s))
	}
	show("1,024 records, no checkpoints", quiet)
	show("1,024 records, under checkpoints", loud)
	show("barrier pause", pauses)
	verdict("barrier pause p99", pauses.quantile(0.99), "at most",
		max(5, 2*quiet.quantile(0.99)), "ms")
	return nil
}

const barriers = 200

// barrierJob returns the times batches took and the pauses of barriers, in milliseconds, both
// once the state is full.
func barrierJob(interval time.Duration) (batches, pauses samples, err error) {
	env, err := benchEnv("barrier")
	if err != nil {
		return nil, nil, err
	}
	env.Set(stream.CheckpointInterval.Key(), fmt.Sprint(interval.Milliseconds()))
	g := &gaps{from: stateKeys}
	stop := make(chan struct{})
	env.StopOn(stop)
	var full time.Time
	fullAt, enough := uint64(0), false
	env.OnProgress(func(p stream.Progress) {
		if g.calls.Load() < stateKeys || enough {
			return
		}
		if full.IsZero() {
			full, fullAt = time.Now(), p.LastCheckpoint
		}
		if interval == 0 && time.Since(full) > 15*time.Second ||
			interval > 0 && p.LastCheckpoint > fullAt+barriers {
			enough = true
			close(stop)
		}
	})
	readings := stream.Generate(env.Env, "readings", -1,
		func(i int64) reading {
			if i < stateKeys {
				return reading{i, i}
			}
			if interval > 0 && i%1024 == 0 {
				time.Sleep(time.Millisecond)
			}
			x := uint64(i) * 0x9e3779b97f4a7c15
			return reading{int64((x ^ x>>32) % stateKeys), i}
		},
		stream.WithEventTime(func(reading) eventtime.Timestamp { return 0 },
			eventtime.MonotonousTimestamps()))
	byDevice := stream.KeyBy(readings, func(r reading) int64 { return r.Device })
	results := stream.Aggregate(stream.Tumbling(byDevice, time.Hour), "stats",
		stream.AggregatorFunc[reading, stats](func(s *stats, r reading) {
			addReading(s, r)
			g.call()
		}),
		func(_ int64, _ stream.Window, s *stats) int64 { return s.Count })
	stream.ForEach(results, "none", func(int64) error { return nil })
	result, err := env.runUntilStopped(context.Background())
	if err != nil {
		return nil, nil, err
	}
	for _, c := range result.Checkpoints {
		if c.ID > fullAt {
			pauses = append(pauses, float64(c.Pause)/1e6)
		}
	}
	return g.all, pauses, nil
}
