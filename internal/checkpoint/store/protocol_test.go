package store

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/filesystem/fault"
	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Goal: the whole life of a job's checkpoints, with every file in its documented place. Method: one
// scenario on each store, with the listing at the end as the expectation.
func TestScenario(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		first := begin(t, files, 1)
		if first.found != nil || first.gen != (Generation{Number: 1}) {
			t.Fatalf("first master: %+v, found %v", first.gen, first.found)
		}
		one := first.publish(t)
		first.next++ // 2 is aborted
		three := first.publish(t)
		if err := first.MarkCommitted(t.Context(), three); err != nil {
			t.Fatal(err)
		}
		if err := first.MarkCommitted(t.Context(), three); err != nil {
			t.Fatalf("mark again: %v", err)
		}
		second := begin(t, files, 2)
		if second.gen != (Generation{Number: 2, Fence: 4}) ||
			second.Identity() != first.Identity() {
			t.Errorf("second master: %+v, %+v", second.gen, second.Identity())
		}
		f := second.found
		if !f.Newest || f.NeedsCommit || f.Record.Checkpoint != 3 || f.Record.Parent != one {
			t.Errorf("found %+v, record %+v", f, f.Record)
		}
		mustFindAll(t, f)
		five := second.publish(t)
		all := records(t, files)
		if got := kinds(all); got != "0:fence/1 1:checkpoint/1 2:skip/1 3:checkpoint/1 "+
			"4:fence/2 5:checkpoint/2" {
			t.Errorf("records: %s", got)
		}
		if all[five].Parent != three {
			t.Errorf("parent of %d is %d", five, all[five].Parent)
		}
		if again := begin(t, files, 3); !again.found.NeedsCommit {
			t.Error("a checkpoint without committed mark needs no commit")
		}
		got := tree(t, files, first.Identity().JobID)
		want := []string{
			"/bucket/ck/JOB/chk-1/_metadata", "/bucket/ck/JOB/chk-1/contents.json",
			"/bucket/ck/JOB/chk-3/_metadata", "/bucket/ck/JOB/chk-3/contents.json",
			"/bucket/ck/JOB/chk-5/_metadata", "/bucket/ck/JOB/chk-5/contents.json",
			"/bucket/ck/JOB/shared/1-1-1-0-R.run", "/bucket/ck/JOB/shared/1-3-1-0-R.run",
			"/bucket/ck/JOB/shared/2-5-1-0-R.run",
			"/bucket/ck/_jobs/flights/checkpoint-0", "/bucket/ck/_jobs/flights/checkpoint-1",
			"/bucket/ck/_jobs/flights/checkpoint-2", "/bucket/ck/_jobs/flights/checkpoint-3",
			"/bucket/ck/_jobs/flights/checkpoint-3.committed",
			"/bucket/ck/_jobs/flights/checkpoint-4", "/bucket/ck/_jobs/flights/checkpoint-5",
			"/bucket/ck/_jobs/flights/checkpoint-6",
			"/bucket/ck/_jobs/flights/generation-1", "/bucket/ck/_jobs/flights/generation-2",
			"/bucket/ck/_jobs/flights/generation-3",
		}
		for i, p := range got {
			if head, ok := strings.CutSuffix(p, runSuffix); ok {
				got[i] = head[:len(head)-8] + "R" + runSuffix
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("tree (-want +got):\n%s", d)
		}
	})
}

// Goal: of many masters at once each generation and each number has one owner, and one line of
// checkpoints comes out. Method: 32 goroutines take over and publish until fenced; the records are
// checked against what the masters were told.
func TestRacingMasters(t *testing.T) {
	eachStore(t, func(t *testing.T, files filesystem.FileSystem) {
		const masters = 32
		var generations [masters]uint64
		var committed [masters][]uint64
		group := lifecycle.NewGroup(t.Context(), "masters")
		for i := range masters {
			group.Go(fmt.Sprintf("master %d", i), func(ctx context.Context) error {
				m, err := takeOver(ctx, open(t, files, uint64(i)+1))
				if errors.Is(err, ErrFenced) {
					return nil
				}
				if err != nil {
					return err
				}
				generations[i] = m.gen.Number
				for range 5 {
					c := m.checkpoint()
					outcome, err := m.PublishCheckpoint(ctx, m.gen, c)
					if outcome == Fenced {
						return nil
					}
					if err != nil {
						return err
					}
					committed[i] = append(committed[i], c.Header.CheckpointId)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		all := records(t, files)
		owner := map[uint64]int{}
		for i, numbers := range committed {
			for _, number := range numbers {
				if other, ok := owner[number]; ok {
					t.Errorf("number %d is committed by %d and %d", number, other, i)
				}
				owner[number] = i
				if r := all[number]; r.Generation != generations[i] || !r.IsCheckpoint() {
					t.Errorf("number %d of generation %d has %+v", number, generations[i], r)
				}
			}
		}
		checkChain(t, all)
	})
}

// checkChain fails unless numbers have no gaps, generations do not fall, and each checkpoint
// continues the one before it.
func checkChain(t *testing.T, all map[uint64]*Record) {
	t.Helper()
	var generation, parent uint64
	for number := range uint64(len(all)) {
		r := all[number]
		if r == nil || r.Generation < generation {
			t.Fatalf("number %d: %+v after generation %d", number, r, generation)
		}
		generation = r.Generation
		if !r.IsCheckpoint() {
			continue
		}
		if r.Parent != parent {
			t.Errorf("checkpoint %d continues %d, not %d", number, r.Parent, parent)
		}
		parent = number
	}
}

// interrupt returns a view of files in which another is called before call number hit, counted over
// all operations.
func interrupt(
	t *testing.T, files filesystem.FileSystem, hit int, another func(),
) filesystem.FileSystem {
	return fault.New(files, planOf(t, fault.Rule{Hit: hit,
		Wait: func(context.Context, fault.Call) error { another(); return nil }}))
}

// Goal: a master that is overtaken at any moment of a publishing is told the truth: Committed only
// if the new master continues its checkpoint, and nothing afterwards. Method: a second master takes
// over and completes two checkpoints and a sweep before each single store call of the first one.
func TestOvertakenWhilePublishing(t *testing.T) {
	outcomes := map[Outcome]int{}
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		var second *master
		old := begin(t, files, 1)
		old.publish(t)
		reference := old.upload(t, old.next+1)
		old.next++ // leaves a number to skip
		c := old.checkpoint(reference)
		old.fs = interrupt(t, files, hit, func() {
			second = begin(t, files, 2)
			second.publish(t)
			second.publish(t)
			second.sweep(t)
		})
		outcome, err := old.PublishCheckpoint(t.Context(), old.gen, c)
		if second == nil {
			break
		}
		outcomes[outcome]++
		continued := second.found.Meta.Header.CheckpointId == c.Header.CheckpointId
		switch {
		case outcome == Committed && !continued, outcome == Failed, outcome == Unknown:
			t.Fatalf("call %d: %v, %v; continued: %v", hit, outcome, err, continued)
		case outcome == Fenced && !errors.Is(err, ErrFenced):
			t.Fatalf("call %d: %v", hit, err)
		}
		next, err := old.PublishCheckpoint(t.Context(), old.gen, old.checkpoint())
		if next != Fenced {
			t.Fatalf("call %d, next checkpoint: %v, %v", hit, next, err)
		}
		before := tree(t, files, "")
		if _, err := old.Sweep(t.Context(), old.gen, nil); !errors.Is(err, ErrFenced) {
			t.Fatalf("call %d, sweep of the old master: %v", hit, err)
		}
		if d := cmp.Diff(before, tree(t, files, "")); d != "" {
			t.Fatalf("call %d, a fenced master changed:\n%s", hit, d)
		}
		third := begin(t, files, 3)
		if third.found.Record.Generation != second.gen.Number {
			t.Fatalf("call %d: the newest is %+v", hit, third.found.Record)
		}
		mustFindAll(t, third.found)
	}
	if outcomes[Fenced] < 3 {
		t.Errorf("too few of the outcomes wanted: %v", outcomes)
	}
}

// Goal: of two masters that begin at once the one with the larger generation wins, whatever the
// moment. Method: the second begins before each single store call of the first one's beginning.
func TestOvertakenWhileBeginning(t *testing.T) {
	for hit := 1; ; hit++ {
		files := mem.New(mem.Options{})
		begin(t, files, 1).publish(t)
		var second *master
		s := open(t, interrupt(t, files, hit, func() {
			second = begin(t, files, 2)
			second.publish(t)
			second.publish(t)
		}), 3)
		first, err := takeOver(t.Context(), s)
		if second == nil {
			break
		}
		if errors.Is(err, ErrFenced) {
			second.publish(t)
			continue
		}
		if err != nil {
			t.Fatalf("call %d: %v", hit, err)
		}
		loser, winner := first, second
		if first.gen.Number > second.gen.Number {
			loser, winner = second, first
		}
		// The winner may be in office already when the loser notices.
		c := loser.checkpoint()
		if outcome, err := loser.PublishCheckpoint(t.Context(), loser.gen, c); outcome != Fenced {
			t.Fatalf("call %d: generation %d against %d: %v, %v",
				hit, loser.gen.Number, winner.gen.Number, outcome, err)
		}
		winner.publish(t)
	}
}

// Goal: a sleeping master that wakes long after neither commits nor confuses, even if the fence it
// should meet is gone. Method: the old master stops before the commit point; a new one goes far on
// with sweeps between; then its fence is removed, or not.
func TestHoleLeftBySweep(t *testing.T) {
	for _, free := range []bool{false, true} {
		files := mem.New(mem.Options{})
		old := begin(t, files, 1)
		old.publish(t)
		c := old.checkpoint()
		number, woken := c.Header.CheckpointId, false
		old.fs = fault.New(files, planOf(t, fault.Rule{Op: fault.OpCreateIfAbsent,
			Glob: fmt.Sprintf("checkpoint-%d", number), Hit: 1,
			Wait: func(ctx context.Context, call fault.Call) (err error) {
				woken = true
				second := begin(t, files, 2)
				for range 4 {
					second.publish(t)
					second.sweep(t)
				}
				if free {
					err = files.Remove(ctx, call.Path)
				}
				return err
			}}))
		outcome, err := old.PublishCheckpoint(t.Context(), old.gen, c)
		if outcome != Fenced || !woken {
			t.Fatalf("free %v: %v, %v", free, outcome, err)
		}
		if r := records(t, files)[number]; r == nil || r.IsCheckpoint() != free {
			t.Errorf("free %v: record %+v", free, r)
		}
		third := begin(t, files, 3)
		if third.found.Record.Generation != 2 {
			t.Errorf("free %v: found %+v", free, third.found.Record)
		}
		third.publish(t)
		third.sweep(t)
		if r := records(t, files)[number]; free && r != nil {
			t.Errorf("the stray record stays: %+v", r)
		}
	}
}

// Goal: fences do not pile up for ever. Method: many masters, each with a checkpoint and a sweep.
func TestOldFencesAreSwept(t *testing.T) {
	files := mem.New(mem.Options{})
	for i := range uint64(keptFences + 10) {
		m := begin(t, files, i)
		m.publish(t)
		m.sweep(t)
	}
	if got := len(records(t, files)); got != keptFences+1 {
		t.Errorf("%d records stay, not %d fences and a checkpoint", got, keptFences)
	}
}

// Goal: a lost answer or a single failure of any store call costs no checkpoint that is complete
// and never makes one of nothing. Method: each call of a publishing loses its answer, or fails,
// once.
func TestSingleFaultWhilePublishing(t *testing.T) {
	for _, after := range []bool{false, true} {
		for hit := 1; ; hit++ {
			files := mem.New(mem.Options{})
			m := begin(t, files, 1)
			m.next++
			c := m.checkpoint(m.upload(t, m.next-1))
			rule := fault.Rule{Name: "all", Hit: hit, Before: fault.ErrInjected}
			if after {
				rule = fault.Rule{Name: "all", Hit: hit, After: fault.ErrInjected}
			}
			p := planOf(t, rule)
			m.fs = fault.New(files, p)
			outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
			if p.Hits("all") < hit {
				break
			}
			if outcome != Committed {
				t.Errorf("call %d, after %v: %v, %v", hit, after, outcome, err)
			}
			mustFindAll(t, begin(t, files, 2).found)
		}
	}
}

// Goal: beginning survives lost answers too. Method: as before; a beginning may fail, but then the
// next one works, and numbers still have one owner.
func TestSingleFaultWhileBeginning(t *testing.T) {
	for _, after := range []bool{false, true} {
		for hit := 1; ; hit++ {
			files := mem.New(mem.Options{})
			begin(t, files, 1).publish(t)
			rule := fault.Rule{Name: "all", Hit: hit, Before: fault.ErrInjected}
			if after {
				rule = fault.Rule{Name: "all", Hit: hit, After: fault.ErrInjected}
			}
			p := planOf(t, rule)
			s := open(t, fault.New(files, p), 2)
			m, err := takeOver(t.Context(), s)
			if p.Hits("all") < hit {
				break
			}
			if errors.Is(err, ErrNoCheckpoint) || errors.Is(err, ErrFenced) {
				t.Fatalf("call %d, after %v: %v", hit, after, err)
			}
			if err != nil {
				if m, err = takeOver(t.Context(), s); err != nil {
					t.Fatalf("call %d, after %v, second time: %v", hit, after, err)
				}
			}
			m.publish(t)
			checkChain(t, records(t, files))
		}
	}
}

// Goal: when the store never tells, the master stops, and the next one finds the truth. Method: the
// record is created or not, and every answer about it fails.
func TestUnknownOutcome(t *testing.T) {
	for _, written := range []bool{false, true} {
		files := mem.New(mem.Options{})
		m := begin(t, files, 1)
		c := m.checkpoint()
		create := fault.Rule{Op: fault.OpCreateIfAbsent, Glob: "checkpoint-1"}
		if written {
			create.After = fault.ErrInjected
		} else {
			create.Before = fault.ErrInjected
		}
		m.fs = fault.New(files, planOf(t, create,
			fault.Rule{Op: fault.OpOpen, Glob: "checkpoint-1", Before: fault.ErrInjected}))
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Unknown || !errors.Is(err, ErrUnknown) ||
			!strings.Contains(err.Error(), "checkpoint-1") {
			t.Fatalf("%v, %v", outcome, err)
		}
		m.fs = files
		outcome, _ = m.PublishCheckpoint(t.Context(), m.gen, m.checkpoint())
		if outcome != Unknown {
			t.Errorf("it goes on: %v", outcome)
		}
		next := begin(t, files, 2)
		if (next.found != nil) != written {
			t.Errorf("written %v, found %v", written, next.found)
		}
		if written && !next.found.NeedsCommit {
			t.Error("found needs no commit")
		}
		next.publish(t)
	}
}

// Goal: what cannot be a checkpoint of this master is refused without a trace, and the master goes
// on. Method: table of one wrong thing each.
func TestPublishRefuses(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.publish(t)
	before := tree(t, files, "")
	cases := map[string]func(c *meta.Checkpoint){
		"generation":   func(c *meta.Checkpoint) { c.Header.Generation = 7 },
		"of job \"x\"": func(c *meta.Checkpoint) { c.Header.JobName = "x" },
		"job id":       func(c *meta.Checkpoint) { c.Header.JobId = strings.Repeat("0", 32) },
		"lineage":      func(c *meta.Checkpoint) { c.Header.Lineage = "x" },
		"is used":      func(c *meta.Checkpoint) { c.Header.CheckpointId = 1 },
		"kind":         func(c *meta.Checkpoint) { c.Header.Kind = meta.KindSavepoint },
		"parallelism":  func(c *meta.Checkpoint) { c.Operators[0].Parallelism = 0 },
	}
	for says, spoil := range cases {
		c := m.checkpointOf(2)
		spoil(c)
		outcome, err := m.PublishCheckpoint(t.Context(), m.gen, c)
		if outcome != Failed || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v", says, outcome, err)
		}
	}
	if d := cmp.Diff(before, tree(t, files, "")); d != "" {
		t.Errorf("traces:\n%s", d)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if outcome, err := m.PublishCheckpoint(ended, m.gen, m.checkpointOf(2)); outcome != Failed {
		t.Errorf("ended context: %v, %v", outcome, err)
	}
	foreign := path.Join(m.chkDir(m.Identity().JobID, 2), metadataName)
	if err := files.CreateIfAbsent(t.Context(), foreign, []byte("put here by hand")); err != nil {
		t.Fatal(err)
	}
	outcome, err := m.PublishCheckpoint(t.Context(), m.gen, m.checkpointOf(2))
	if outcome != Failed || err == nil || !strings.Contains(err.Error(), foreign) {
		t.Errorf("another metadata file: %v, %v", outcome, err)
	}
	m.next = 3
	other := Generation{Number: m.gen.Number + 1}
	if outcome, _ := m.PublishCheckpoint(t.Context(), other, m.checkpointOf(2)); outcome != Fenced {
		t.Errorf("other generation: %v", outcome)
	}
	m.publish(t)
}
