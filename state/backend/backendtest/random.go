package backendtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// runRandom drives backends with random operations and compares them with a model after
// every batch, snapshot and restore.
func runRandom(t *testing.T, factory backend.Factory) {
	for i, layout := range layouts() {
		for seed := range uint64(3) {
			seed := seed*100 + uint64(i)
			t.Run(fmt.Sprintf("%s,seed=%d", layoutName(layout), seed), func(t *testing.T) {
				t.Logf("seed %d", seed)
				r := newRandom(layout, seed, factory)
				defer r.close()
				for range 170 {
					if err := r.operation(); err != nil {
						t.Fatalf("seed %d, operation %d: %v", seed, r.now, err)
					}
				}
				if r.snapshots < 4 {
					t.Errorf("only %d snapshots were compared", r.snapshots)
				}
			})
		}
	}
}

// Compare drives two backends with the same random operations and fails when one deviates
// from the model or their images differ.
func Compare(t *testing.T, one, other backend.Factory) {
	for i, layout := range layouts() {
		seed := uint64(1000 + i)
		t.Logf("%s: seed %d", layoutName(layout), seed)
		a, b := newRandom(layout, seed, one), newRandom(layout, seed, other)
		for range 200 {
			for _, r := range []*random{a, b} {
				if err := r.operation(); err != nil {
					t.Fatalf("%s, seed %d, operation %d: %v", r.factory.Name(), seed, r.now, err)
				}
			}
			if a.now%20 != 0 {
				continue
			}
			if err := compareBackends(layout, a.backend, b.backend); err != nil {
				t.Fatalf("seed %d, operation %d: %v", seed, a.now, err)
			}
		}
		a.close()
		b.close()
	}
}

func compareBackends(layout backend.RowLayout, a, b backend.Backend) error {
	left, err := readBackend(layout, a, randomTables)
	if err != nil {
		return err
	}
	right, err := readBackend(layout, b, randomTables)
	if err != nil {
		return err
	}
	return compareImages(left, right)
}

const randomTables = 2

// random is one run: a backend, what it should hold, and what its snapshots have become.
// The numbers drawn do not depend on the backend, so that two runs of one seed do the same.
type random struct {
	layout  backend.RowLayout
	rng     *rand.Rand
	factory backend.Factory
	backend backend.Backend

	universe int // keys there are
	now      int // operations done
	model    image
	changed  map[backend.PaneID]map[string]int // when a key was last changed or deleted

	copying    *running
	checkpoint uint64
	confirmed  durable
	finished   []durable // finished and not confirmed, oldest first
	snapshots  int
}

// durable is a finished snapshot.
type durable struct {
	checkpoint uint64
	began      int // the operation before which it was begun
	content    image
	store      store
}

// running is a snapshot being copied.
type running struct {
	snapshot backend.Snapshot
	durable
	base   durable
	full   bool
	budget int
	steps  int // how many operations it is stretched over
	// changed are the maps of random.changed at the barrier; a pane made again has another.
	changed map[backend.PaneID]map[string]int
}

func newRandom(layout backend.RowLayout, seed uint64, factory backend.Factory) *random {
	r := &random{layout: layout, rng: rand.New(rand.NewPCG(seed, 1)), factory: factory}
	r.universe = []int{60, 900, 3000}[r.rng.IntN(3)]
	invariant.Check(r.recover() == nil, "a new backend cannot be made")
	return r
}

func (r *random) close() {
	if r.copying != nil {
		r.copying.snapshot.Release()
	}
	err := r.backend.Close()
	invariant.Check(err == nil, "the backend cannot be closed: %v", err)
}

// recover starts over with a new backend from the last confirmed snapshot.
func (r *random) recover() error {
	b, err := r.factory.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		return err
	}
	for range randomTables {
		if _, err := b.Declare(r.layout); err != nil {
			return err
		}
	}
	if err := r.confirmed.store.restore(b); err != nil {
		return err
	}
	r.backend, r.model = b, r.confirmed.content.clone()
	r.changed = map[backend.PaneID]map[string]int{}
	r.copying, r.finished = nil, nil
	r.confirmed.began = r.now
	got, err := readBackend(r.layout, b, randomTables)
	if err != nil {
		return err
	}
	return compareImages(r.model, got)
}

// operation does one of the things a task does between two batches, or a batch.
func (r *random) operation() error {
	r.now++
	if err := r.step(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	switch what := r.rng.IntN(100); {
	case what < 8:
		return r.drop()
	case what < 24:
		return r.begin()
	case what < 34:
		r.confirm()
		return nil
	case what < 36:
		r.close()
		return r.recover()
	case what < 40:
		return r.scan()
	default:
		return r.batch()
	}
}

// pane draws a pane; a few of them, so that they meet again.
func (r *random) pane() backend.PaneID {
	id := backend.PaneID{Table: backend.TableID(r.rng.IntN(randomTables)), Pane: backend.NoPane}
	if r.rng.IntN(2) == 0 {
		id.Pane = backend.Pane(r.rng.IntN(4) * 1000)
	}
	return id
}

func (r *random) drop() error {
	id := r.pane()
	if id.Pane == backend.NoPane {
		return nil
	}
	delete(r.model, id)
	delete(r.changed, id)
	return r.backend.Drop(id.Table, id.Pane)
}

func (r *random) scan() error {
	got, err := readBackend(r.layout, r.backend, randomTables)
	if err != nil {
		return err
	}
	if r.backend.MemoryBytes() <= 0 && len(got) > 0 {
		return fmt.Errorf("%d panes in %d bytes", len(got), r.backend.MemoryBytes())
	}
	return compareImages(r.model, got)
}

func (r *random) begin() error {
	full, budget := r.rng.IntN(3) == 0, 1<<(6+r.rng.IntN(12))
	steps := r.rng.IntN(12)
	if r.copying != nil {
		return nil
	}
	r.checkpoint++
	snapshot, err := r.backend.Begin(r.checkpoint, full)
	if err != nil {
		return err
	}
	r.copying = &running{snapshot: snapshot, base: r.confirmed, full: full, budget: budget,
		steps: steps, changed: maps.Clone(r.changed), durable: durable{checkpoint: r.checkpoint,
			began: r.now, content: r.model.clone()}}
	return nil
}

// confirm confirms a finished snapshot, which forgets the earlier ones.
func (r *random) confirm() {
	draw := r.rng.IntN(1 << 20)
	if len(r.finished) == 0 {
		return
	}
	i := draw % len(r.finished)
	r.backend.Confirm(r.finished[i].checkpoint)
	r.confirmed = r.finished[i]
	r.finished = r.finished[i+1:]
}

// step copies some of a snapshot; when its steps are over it is aborted or finished and
// compared.
func (r *random) step() error {
	abort := r.rng.IntN(8) == 0
	c := r.copying
	if c == nil {
		return nil
	}
	if c.steps > 0 {
		c.steps--
		_, err := c.snapshot.Step(c.budget)
		return err
	}
	r.copying = nil
	defer c.snapshot.Release()
	if abort {
		return nil
	}
	for {
		done, err := c.snapshot.Step(c.budget)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	parts, err := r.readBehind(c.snapshot)
	if err != nil {
		return err
	}
	return r.compare(c, parts)
}

// readBehind reads the parts in another goroutine while batches go on.
func (r *random) readBehind(snapshot backend.Snapshot) ([]part, error) {
	group := lifecycle.NewGroup(context.Background(), "snapshot reader")
	var parts []part
	open := snapshot.Parts()
	group.Go("read parts", func(context.Context) (err error) {
		parts, err = readParts(r.layout, open)
		return err
	})
	var failed error
	for range 3 {
		if failed == nil {
			failed = r.batch()
		}
	}
	if failed == nil {
		failed = r.drop()
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return parts, failed
}

// compare checks the parts of a finished snapshot against the model at its barrier.
func (r *random) compare(c *running, parts []part) error {
	panes := c.snapshot.Panes()
	got, err := apply(r.layout, c.base.content, panes, parts)
	if err != nil {
		return err
	}
	if err := compareImages(c.content, got); err != nil {
		return fmt.Errorf("checkpoint %d on top of %d, full %v: %w", c.checkpoint,
			c.base.checkpoint, c.full, err)
	}
	for _, p := range parts {
		if c.full && !p.Full {
			return fmt.Errorf("pane %d: a delta in a full snapshot", p.Pane)
		}
		if err := r.checkWaste(c, p); err != nil {
			return err
		}
	}
	c.store = c.base.store.add(panes, parts)
	r.finished = append(r.finished, c.durable)
	r.snapshots++
	return nil
}

// checkWaste refuses rows in a delta that did not change since the base.
func (r *random) checkWaste(c *running, p part) error {
	changed := c.changed[backend.PaneID{Table: p.Table, Pane: p.Pane}]
	if p.Full {
		return nil
	}
	for _, entry := range p.entries {
		if at := changed[string(entry.Key)]; at <= c.base.began {
			return fmt.Errorf("unchanged key %x (changed at %d, base %d) is in a delta",
				entry.Key, at, c.base.began)
		}
	}
	return nil
}

// text draws a value.
func (r *random) text() []byte {
	n := r.rng.IntN(70)
	switch r.rng.IntN(200) {
	case 0:
		n = r.rng.IntN(60_000)
	case 1, 2, 3, 4, 5, 6:
		n = 0
	}
	return []byte(strings.Repeat(fmt.Sprint(r.now, " "), n/2+1)[:n])
}
