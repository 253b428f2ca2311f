package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
)

// Goal: a sweep keeps the newest n and what they refer to, and removes the rest, stores of all
// kinds alike. Method: five checkpoints, each with the file of the one before; retention 2, then 1.
func TestSweep(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		m := begin(t, files, 1)
		if report := m.sweep(t); report.Files != 0 || len(report.Retained) != 0 {
			t.Errorf("before the first checkpoint: %+v", report)
		}
		m.Retain(2)
		previous := ""
		for range 5 {
			reference := m.upload(t, m.next)
			references := []string{reference}
			if previous != "" {
				references = append(references, previous)
			}
			c := m.checkpoint(references...)
			if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
				t.Fatal(err)
			}
			if err := m.MarkCommitted(t.Context(), c.Header.CheckpointId); err != nil {
				t.Fatal(err)
			}
			previous = reference
		}
		foreign := path.Join(m.jobDir(m.Identity().JobID), sharedName, "notes.txt")
		taskOwned := path.Join(m.jobDir(m.Identity().JobID), "taskowned", "1-1-1-1-00000000.run")
		for _, p := range []string{foreign, taskOwned} {
			if err := files.CreateIfAbsent(t.Context(), p, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		report := m.sweep(t)
		want := SweepReport{Retained: []uint64{6, 5}, Records: 3 + 3, Metadata: 3, Files: 3 + 2,
			Bytes: report.Bytes}
		if d := cmp.Diff(want, report); d != "" || report.Bytes == 0 {
			t.Errorf("report (-want +got):\n%s", d)
		}
		if d := cmp.Diff(SweepReport{Retained: []uint64{6, 5}}, m.sweep(t)); d != "" {
			t.Errorf("second sweep (-want +got):\n%s", d)
		}
		m.Retain(0) // is 1
		m.sweep(t)
		next := begin(t, files, 2)
		mustFindAll(t, next.found)
		left := strings.Join(tree(t, files, m.Identity().JobID), "\n")
		if strings.Count(left, "chk-") != 2 || strings.Count(left, ".run") != 3 ||
			!strings.Contains(left, "notes.txt") {
			t.Errorf("left:\n%s", left)
		}
		if _, err := files.Stat(t.Context(), m.chkDir(m.Identity().JobID, 2)); err == nil {
			t.Error("the directory of a swept checkpoint stays")
		}
	})
}

// Goal: what checkpoints in progress need stays, and one that needs what is gone is refused before
// it can be damaged. Method: builds-on, keep, and a reference to a swept file.
func TestSweepInFlight(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	old := m.publishAndRefer(t)
	merged := m.upload(t, 3)
	m.publishAndRefer(t)
	pending := m.upload(t, 4)
	needs := InFlight{BuildsOn: 2, Keep: func(n DataFileName) bool {
		return n.String() == path.Base(merged)
	}}
	report, err := m.Sweep(t.Context(), m.gen, func() InFlight { return needs })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]uint64{3, 2}, report.Retained); d != "" || report.Files != 0 {
		t.Errorf("retained (-want +got):\n%s%+v", d, report)
	}
	c := m.checkpoint(old, merged, pending)
	if outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c); outcome != Committed {
		t.Fatalf("%v, %v", outcome, err)
	}
	last := m.publishAndRefer(t)
	m.sweep(t)
	for _, gone := range []string{old, merged, pending} {
		c := m.checkpoint(gone)
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Failed || !errors.Is(err, ErrSwept) ||
			!strings.Contains(err.Error(), gone[3:]) {
			t.Errorf("%q: %v, %v", gone, outcome, err)
		}
	}
	m.publish(t, last)
}

// Goal: a publishing beside a sweep loses none of its files. Method: before each store call of a
// sweep a checkpoint that builds on the oldest known one completes, or is refused whole.
func TestPublishBesideSweep(t *testing.T) {
	refused := 0
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		old := m.publishAndRefer(t)
		m.publishAndRefer(t)
		called := false
		m.fs = interrupt(t, files, hit, func() {
			if called {
				return
			}
			called = true
			c := m.checkpoint(old)
			outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
			if errors.Is(err, ErrSwept) {
				refused++
			} else if outcome != Committed {
				t.Errorf("call %d: %v, %v", hit, outcome, err)
			}
		})
		m.sweep(t)
		if !called {
			break
		}
		m.fs = files
		mustFindAll(t, begin(t, files, 2).found)
	}
	if refused == 0 {
		t.Error("the sweep was never so far that it had to refuse")
	}
}

// Goal: a sweep in the middle of a publishing takes nothing away from it. Method: before each store
// call of a publishing that builds on the oldest checkpoint a whole sweep runs, which knows nothing
// of it.
func TestSweepBesidePublish(t *testing.T) {
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		old := m.publishAndRefer(t)
		m.publishAndRefer(t)
		m.next++ // leaves a number to skip
		c := m.checkpoint(old, m.upload(t, m.next))
		called := false
		m.fs = interrupt(t, files, hit, func() {
			if !called {
				called = true
				m.sweep(t)
			}
		})
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Committed {
			t.Fatalf("call %d: %v, %v", hit, outcome, err)
		}
		m.fs = files
		m.sweep(t)
		mustFindAll(t, begin(t, files, 2).found)
		if !called {
			break
		}
	}
}

// Goal: things are removed in the order that leaves no broken checkpoint behind. Method: the calls
// of a sweep are recorded.
func TestSweepOrder(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	for range 3 {
		m.publish(t)
	}
	var ranks []int
	m.fs = fault.New(files, planOf(t, fault.Rule{Op: fault.OpRemove,
		Wait: func(_ context.Context, call fault.Call) error {
			switch {
			case path.Dir(call.Path) == m.control:
				ranks = append(ranks, 1)
			case path.Base(call.Path) == metadataName:
				ranks = append(ranks, 2)
			default:
				ranks = append(ranks, 3)
			}
			return nil
		}}))
	m.sweep(t)
	if !slices.IsSorted(ranks) || len(slices.Compact(ranks)) != 3 {
		t.Errorf("order: %v", ranks)
	}
}

// Goal: objects in progress are judged by where they would go. Method: table around generation 5
// whose newest completed checkpoint is 20 and newest number 22.
func TestIsAbandoned(t *testing.T) {
	v := view{generation: 5, newest: 20, jobID: "job", retained: map[uint64]bool{20: true},
		listed: control{checkpoints: []uint64{20, 21, 22}}}
	cases := map[string]bool{
		"/r/job/shared/4-30-0-0-00000000.run": true,
		"/r/job/shared/5-20-0-0-00000000.run": true,
		"/r/job/shared/5-21-0-0-00000000.run": false,
		"/r/job/shared/6-2-0-0-00000000.run":  false,
		"/r/job/shared/notes.txt":             false,
		"/r/job/chk-19/_metadata":             true,
		"/r/job/chk-20/contents.json":         false,
		"/r/job/chk-21/_metadata":             true,
		"/r/job/chk-23/_metadata":             false,
		"/r/job/taskowned/x":                  false,
		"/r/_jobs/n/generation-5":             true,
		"/r/_jobs/n/generation-6":             false,
		"/r/_jobs/n/checkpoint-19":            true,
		"/r/_jobs/n/checkpoint-19.committed":  true,
		"/r/_jobs/n/checkpoint-20.committed":  false,
		"/r/_jobs/n/checkpoint-23":            false,
	}
	for target, want := range cases {
		if got := v.isAbandoned(filesystem.InProgressPath(target, "x1"), "/r/job"); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
	if v.isAbandoned("/r/job/shared/4-30-0-0-00000000.run", "/r/job") {
		t.Error("a published object is taken for one in progress")
	}
}

// Goal: a master overtaken at any moment of a sweep harms nothing that the new one stands on.
// Method: before each store call of the sweep another master takes over, and completes checkpoints
// that build on the newest one.
func TestOvertakenWhileSweeping(t *testing.T) {
	fenced := 0
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		for range 3 {
			m.publishAndRefer(t)
		}
		var second *master
		m.fs = interrupt(t, files, hit, func() {
			second = begin(t, files, 2)
			base := slices.Collect(second.found.Meta.Files)
			second.publish(t, base...)
			second.publish(t, base...)
		})
		_, err := m.Sweep(t.Context(), m.gen, nil)
		if second == nil {
			break
		}
		if errors.Is(err, ErrFenced) {
			fenced++
		} else if err != nil {
			t.Fatalf("call %d: %v", hit, err)
		}
		mustFindAll(t, second.found)
		mustFindAll(t, begin(t, files, 3).found)
	}
	if fenced == 0 {
		t.Error("no sweep was fenced")
	}
}

// Goal: a retained checkpoint that cannot be read stops the sweep before it removes anything.
// Method: the metadata of the second newest is damaged; with it gone the record goes too.
func TestSweepOfDamaged(t *testing.T) {
	files := mem.New(mem.Options{})
	old := begin(t, files, 1)
	two := old.publish(t)
	old.publish(t)
	m := begin(t, files, 2) // has no marks in memory
	m.publish(t)
	m.Retain(3)
	metadata := path.Join(m.chkDir(m.Identity().JobID, two), metadataName)
	replace(t, files, metadata, []byte("rubbish"))
	before := tree(t, files, "")
	if _, err := m.Sweep(t.Context(), m.gen, nil); !errors.Is(err, ErrDamaged) ||
		!strings.Contains(err.Error(), metadata) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(before, tree(t, files, "")); d != "" {
		t.Errorf("it removed:\n%s", d)
	}
	if err := files.Remove(t.Context(), metadata); err != nil {
		t.Fatal(err)
	}
	report := m.sweep(t)
	if d := cmp.Diff([]uint64{5, 3}, report.Retained); d != "" {
		t.Errorf("retained (-want +got):\n%s", d)
	}
}

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

// Goal: sweeping at every publish costs the store no reading of what is known. Method: count the
// reads of a steady master.
func TestSweepReadsNothingTwice(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.Retain(3)
	p := planOf(t)
	m.fs = fault.New(files, p)
	for range 10 {
		m.publish(t)
		if _, err := m.Sweep(context.Background(), m.gen, nil); err != nil {
			t.Fatal(err)
		}
	}
	// The fence is read once.
	if got := p.Calls(fault.OpOpen); got > 1 {
		t.Errorf("%d objects were read", got)
	}
}
