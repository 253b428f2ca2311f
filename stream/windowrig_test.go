package stream

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// windowRig runs the subtasks of a windowed operator through checkpoints that complete or not,
// failures and rescales, all on one goroutine. After a failure it goes back to the checkpoint
// that completed last and replays what came since, of which the results are thrown away.
type windowRig struct {
	t       *testing.T
	factory operator.Factory
	out     tape[firingText]
	late    tape[trade]
	heads   []operator.Head
	envs    []*operator.Env
	wakes   []int64
	clock   *setClock

	image       rigImage
	taken       uint64 // checkpoints begun
	pending     *rigCheckpoint
	journal     []func() // what came since the barrier of the checkpoint that completed last
	checkpoints int      // completed
	restores    int
	fresh       bool // no checkpoint has completed since the start: the next one is full
}

// rigImage is what a checkpoint holds.
type rigImage struct {
	panes  []map[backend.PaneID]map[string]backend.Entry // by subtask
	lists  []*protocol.NamedState
	now    int64
	number uint64
}

// rigCheckpoint is one being copied.
type rigCheckpoint struct {
	image     rigImage
	snapshots []backend.Snapshot
	since     int // length of the journal at its barrier
}

// setClock shows what it is told to.
type setClock struct {
	clock.Clock
	now int64
}

func (c *setClock) Now() time.Time { return time.UnixMilli(c.now) }

func newWindowRig(t *testing.T, factory operator.Factory, now int64) *windowRig {
	return &windowRig{t: t, factory: factory, clock: &setClock{now: now}, image: rigImage{now: now}}
}

// start makes the subtasks from the image.
func (g *windowRig) start(parallelism int, r *rand.Rand) {
	g.clock.now = g.image.now
	g.heads, g.envs, g.wakes = nil, nil, nil
	old := g.image
	g.fresh = true
	for i := range parallelism {
		bounds := types.SubtaskRange(i, parallelism)
		env := envOf(i, parallelism)
		env.Clock, env.Sides = g.clock, map[string]any{"late": g.late.link()}
		g.wakes = append(g.wakes, math.MaxInt64)
		env.WakeAt = func(at int64) { g.wakes[i] = min(g.wakes[i], at) }
		b, err := factories[r.IntN(len(factories))].New(backend.Options{Bounds: bounds})
		must(g.t, err)
		g.t.Cleanup(func() { _ = b.Close() })
		env.Keyed = b
		built, err := g.factory.New(env, nil, g.out.link())
		must(g.t, err)
		mine := map[backend.PaneID]map[string]backend.Entry{}
		for _, panes := range old.panes {
			for id, entries := range panes {
				if mine[id] == nil {
					mine[id] = map[string]backend.Entry{}
				}
				for key, e := range entries {
					if bounds.Contains(uint64(e.Hash) << 32) {
						mine[id][key] = e
					}
				}
			}
		}
		for _, id := range slices.SortedFunc(maps.Keys(mine), comparePanes) {
			must(g.t, b.Restore(id.Table, id.Pane, bounds, entriesOf(mine[id])))
		}
		head := built.Operator.(operator.Head)
		must(g.t, head.Open(g.t.Context(), operator.Restored{List: old.lists}))
		g.heads, g.envs = append(g.heads, head), append(g.envs, env)
	}
}

func comparePanes(a, b backend.PaneID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Pane, b.Pane))
}

// rigEntries iterates over entries in the order of runs.
type rigEntries struct{ left []backend.Entry }

func entriesOf(entries map[string]backend.Entry) *rigEntries {
	return &rigEntries{slices.SortedFunc(maps.Values(entries), func(a, b backend.Entry) int {
		return cmp.Or(cmp.Compare(a.Hash, b.Hash), strings.Compare(string(a.Key), string(b.Key)))
	})}
}

func (e *rigEntries) Next() (backend.Entry, bool) {
	if len(e.left) == 0 {
		return backend.Entry{}, false
	}
	next := e.left[0]
	e.left = e.left[1:]
	return next, true
}

func (e *rigEntries) Err() error { return nil }

// do gives the operator something and writes it down for a replay.
func (g *windowRig) do(input func()) {
	input()
	g.journal = append(g.journal, input)
	for _, env := range g.envs {
		must(g.t, env.Failure.Err())
	}
}

// records gives every subtask its records.
func (g *windowRig) records(items []trade, times []eventtime.Timestamp) {
	g.do(func() {
		codec, err := types.KeyOf[int64]()
		must(g.t, err)
		for subtask, head := range g.heads {
			var mine []trade
			var mineTimes []eventtime.Timestamp
			for i, item := range items {
				if types.SubtaskOf(codec.Hash(item.Number), len(g.heads)) == subtask {
					mine, mineTimes = append(mine, item), append(mineTimes, times[i])
				}
			}
			if len(mine) > 0 {
				must(g.t, head.Process(batchOf(mine, mineTimes)))
			}
		}
		g.wake() // for timers that are due already
	})
}

func (g *windowRig) watermark(ts int64) {
	g.do(func() {
		for _, head := range g.heads {
			head.Watermark(eventtime.Timestamp(ts))
		}
		g.wake()
	})
}

// setClock moves the clock; subtasks whose wish has come true are woken.
func (g *windowRig) setClock(now int64) {
	g.do(func() {
		g.clock.now = now
		g.wake()
	})
}

func (g *windowRig) wake() {
	for i, head := range g.heads {
		alarm, ok := head.(operator.Alarm)
		if !ok {
			continue
		}
		for g.wakes[i] <= g.clock.now {
			g.wakes[i] = math.MaxInt64
			must(g.t, alarm.Alarm(g.clock.now))
		}
	}
}

// begin starts a checkpoint.
func (g *windowRig) begin(full bool) {
	g.taken++
	p := &rigCheckpoint{
		image: rigImage{now: g.clock.now, number: g.taken}, since: len(g.journal),
	}
	for i, head := range g.heads {
		for _, list := range snapshotOf(g.t, head) {
			p.image.lists = append(p.image.lists, list)
		}
		s, err := g.envs[i].Keyed.Begin(g.taken, full || g.fresh)
		must(g.t, err)
		p.snapshots = append(p.snapshots, s)
	}
	g.pending = p
}

// step copies a little of the checkpoint being taken, or all; once it is copied it is complete,
// or given up.
func (g *windowRig) step(budget int, abort bool) {
	p := g.pending
	if p == nil {
		return
	}
	for _, s := range p.snapshots {
		for done := false; !done; {
			var err error
			done, err = s.Step(budget)
			must(g.t, err)
			if !done && budget < math.MaxInt32 {
				return
			}
		}
	}
	g.pending = nil
	for i, s := range p.snapshots {
		if !abort {
			var base map[backend.PaneID]map[string]backend.Entry
			if !g.fresh {
				base = g.image.panes[i]
			}
			p.image.panes = append(p.image.panes, withSnapshot(base, s))
		}
		s.Release()
		if !abort {
			g.envs[i].Keyed.Confirm(p.image.number)
		}
	}
	if !abort {
		g.image, g.journal = p.image, slices.Clone(g.journal[p.since:])
		g.checkpoints, g.fresh = g.checkpoints+1, false
	}
}

// withSnapshot returns an image with a snapshot upon it.
func withSnapshot(
	base map[backend.PaneID]map[string]backend.Entry, s backend.Snapshot,
) map[backend.PaneID]map[string]backend.Entry {
	out := map[backend.PaneID]map[string]backend.Entry{}
	for _, id := range s.Panes() {
		out[id] = maps.Clone(base[id])
		if out[id] == nil {
			out[id] = map[string]backend.Entry{}
		}
	}
	for _, p := range s.Parts() {
		at := out[backend.PaneID{Table: p.Table, Pane: p.Pane}]
		if p.Full {
			clear(at)
		}
		entries := p.Entries()
		for e, ok := entries.Next(); ok; e, ok = entries.Next() {
			if e.Deleted {
				delete(at, string(e.Key))
				continue
			}
			at[string(e.Key)] = backend.Entry{
				Hash: e.Hash, Key: slices.Clone(e.Key), Value: slices.Clone(e.Value),
			}
		}
	}
	return out
}

// fail loses everything but the checkpoint that completed last.
func (g *windowRig) fail(parallelism int, r *rand.Rand) {
	g.restores++
	g.pending = nil
	g.start(parallelism, r)
	g.wake()
	for _, input := range g.journal {
		input()
	}
	g.out.records, g.late.records = nil, nil
}

// left is how many rows and timers there are.
func (g *windowRig) left() (rows, timers int) {
	for i, env := range g.envs {
		o, ok := g.heads[i].(*windowing[int64, trade])
		if !ok {
			continue
		}
		table, err := env.Keyed.Table(o.table, backend.NoPane)
		must(g.t, err)
		rows += table.Len()
		for _, s := range o.timers.services {
			timers += s.Len()
		}
	}
	return rows, timers
}
