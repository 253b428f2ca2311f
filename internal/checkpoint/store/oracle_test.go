package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
)

// oracle drives masters at random and knows what must never be lost.
type oracle struct {
	t      *testing.T
	random *rand.Rand
	files  *mem.Store
	seed   uint64
	master *master
	zombie *master

	retain int
	alive  []uint64            // completed and not dropped by a sweep, ascending
	refs   map[uint64][]string // what each completed checkpoint refers to
	base   uint64              // on which the tasks build: of whose completion all have heard
	counts map[string]int
}

func (o *oracle) begin() {
	o.seed++
	o.master = begin(o.t, o.files, o.seed)
	o.master.Retain(o.retain)
	o.base = 0
	if f := o.master.found; f != nil {
		o.base = f.Meta.Header.CheckpointId
	}
}

// some returns a random part of the files which the base refers to.
func (o *oracle) some() []string {
	var references []string
	for _, reference := range o.refs[o.base] {
		if o.random.IntN(4) > 0 {
			references = append(references, reference)
		}
	}
	return references
}

func (o *oracle) publish(m *master) {
	references := o.some()
	for range o.random.IntN(3) {
		references = append(references, m.upload(o.t, m.next))
	}
	if o.random.IntN(4) == 0 {
		m.upload(o.t, m.next) // Replaced by a merge before the checkpoint was complete.
	}
	c := m.checkpoint(references...)
	number := c.Header.CheckpointId
	outcome, err := m.PublishCheckpoint(o.t.Context(), m.gen, c)
	o.counts[outcome.String()]++
	switch {
	case m == o.zombie && outcome != Fenced && !errors.Is(err, ErrSwept):
		o.t.Fatalf("zombie: %v, %v", outcome, err)
	case m == o.master && outcome != Committed:
		o.t.Fatalf("master: %v, %v", outcome, err)
	case outcome == Committed:
		o.alive = append(o.alive, number)
		o.refs[number] = references
		if o.random.IntN(2) == 0 {
			o.base = number
		}
	}
}

// sweep sweeps as the master, possibly with a fault at one call.
func (o *oracle) sweep(faulty bool) {
	m := o.master
	if faulty {
		rule := fault.Rule{Hit: 1 + o.random.IntN(30), Before: fault.ErrInjected}
		if o.random.IntN(2) == 0 {
			rule = fault.Rule{Hit: rule.Hit, After: fault.ErrInjected}
		}
		m.fs = fault.New(o.files, planOf(o.t, rule))
		defer func() { m.fs = o.files }()
	}
	needs := func() InFlight { return InFlight{BuildsOn: o.base} }
	report, err := m.Sweep(o.t.Context(), m.gen, needs)
	if err != nil && !errors.Is(err, fault.ErrInjected) {
		o.t.Fatalf("sweep: %v", err)
	}
	if len(report.Retained) == 0 {
		return // Nothing was decided.
	}
	if newest := last(o.alive); newest != report.Retained[0] {
		o.t.Fatalf("the sweep takes %d for the newest, not %d", report.Retained[0], newest)
	}
	o.counts[fmt.Sprintf("sweep, error %v", err != nil)]++
	o.alive = slices.Clone(report.Retained)
	slices.Reverse(o.alive)
}

func (o *oracle) step() {
	ctx := o.t.Context()
	switch o.random.IntN(12) {
	case 0, 1, 2:
		o.publish(o.master)
	case 3: // Aborted.
		o.master.upload(o.t, o.master.next)
		o.master.next++
	case 4: // A task is killed while it writes.
		name := DataFileName{Generation: o.master.gen.Number, Checkpoint: o.master.next,
			Random: o.random.Uint32()}
		w, err := o.files.Create(ctx, path.Join(o.master.jobDir(o.master.Identity().JobID),
			sharedName, name.String()))
		if err != nil {
			o.t.Fatal(err)
		}
		if o.random.IntN(2) == 0 {
			_, err = w.Prepare(ctx)
		}
		if err != nil {
			o.t.Fatal(err)
		}
	case 5:
		o.retain = 1 + o.random.IntN(4)
		o.master.Retain(o.retain)
	case 6, 7:
		o.sweep(false)
	case 8:
		o.sweep(true)
	case 9: // The machine crashes, storage included.
		o.files = o.files.CrashClone()
		o.zombie = nil
		o.begin()
	case 10: // Another master takes over; the old one does not know.
		o.zombie = o.master
		o.begin()
	case 11:
		if o.zombie == nil {
			return
		}
		if o.random.IntN(2) == 0 {
			o.publish(o.zombie)
		} else if _, err := o.zombie.Sweep(ctx, o.zombie.gen, nil); err != nil &&
			!errors.Is(err, ErrFenced) {
			o.t.Fatalf("sweep of a zombie: %v", err)
		}
	}
}

// check fails unless every checkpoint that must be there is whole.
func (o *oracle) check() {
	for _, number := range o.alive {
		f, err := o.master.Load(o.t.Context(), o.master.CheckpointDir(number))
		if err != nil {
			o.t.Fatalf("checkpoint %d: %v", number, err)
		}
		if f.Record == nil {
			o.t.Fatalf("checkpoint %d has lost its record", number)
		}
		mustFindAll(o.t, f)
	}
}

// quiesce lets one master end in peace and fails unless exactly what is referred to is left.
func (o *oracle) quiesce() {
	o.zombie = nil
	o.begin()
	o.publish(o.master)
	o.base = last(o.alive)
	o.sweep(false)
	o.sweep(false)
	o.check()
	if want := min(len(o.alive), o.retain); len(o.alive) != want {
		o.t.Fatalf("%d checkpoints stay, not %d", len(o.alive), want)
	}
	m := o.master
	job, oldest := m.jobDir(m.Identity().JobID), o.alive[0]
	want := []string{m.recordPath(generationPrefix, m.gen.Number, "")}
	for number, r := range records(o.t, o.files) {
		if number < oldest && r.Kind != kindFence {
			o.t.Fatalf("record %d is below the oldest %d", number, oldest)
		}
		want = append(want, m.recordPath(checkpointPrefix, number, ""))
	}
	for _, number := range o.alive {
		dir := m.chkDir(m.Identity().JobID, number)
		want = append(want, path.Join(dir, metadataName), path.Join(dir, contentsName))
		for _, reference := range o.refs[number] {
			want = append(want, path.Join(job, reference[len("../"):]))
		}
	}
	slices.Sort(want)
	if d := cmp.Diff(slices.Compact(want), tree(o.t, o.files, "")); d != "" {
		o.t.Fatalf("after the last sweep (-want +got):\n%s", d)
	}
}

// Goal: no sequence of checkpoints, aborts, crashes, zombies, retention and broken sweeps loses a
// file that is referred to, and in the end nothing else is left. Method: random sequences against
// an oracle that remembers every reference.
func TestSweepOracle(t *testing.T) {
	const seeds, steps = 120, 80
	counts := map[string]int{}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			o := &oracle{t: t, random: rand.New(rand.NewPCG(seed, 1)),
				files: mem.New(mem.Options{}), seed: seed << 8, retain: 1,
				refs: map[uint64][]string{}, counts: counts}
			o.begin()
			o.publish(o.master) // Earlier lineages are not swept, so there is only one here.
			for range steps {
				o.step()
				o.check()
			}
			o.quiesce()
		})
	}
	wanted := []string{"committed", "fenced", "sweep, error true", "sweep, error false"}
	for _, what := range wanted {
		if counts[what] < seeds/2 {
			t.Errorf("only %d times %s", counts[what], what)
		}
	}
}
