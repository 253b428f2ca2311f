package statesim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// The tables of every subtask: rows with number keys, a value, a map and a list; rows with
// keys of any length, a value and a map; timers.
const (
	numbers = backend.TableID(0)
	texts   = backend.TableID(3)
	timers  = backend.TableID(5)
)

var layouts = map[backend.TableID]backend.RowLayout{
	numbers: {
		KeyWords: 1, FixedBytes: 32, VarSlots: []int{8},
		Collections: []backend.CollectionLayout{
			{Kind: backend.OrderedMap, Slot: 16}, {Kind: backend.List, Slot: 24},
		},
	},
	texts: {
		FixedBytes: 24, VarSlots: []int{8},
		Collections: []backend.CollectionLayout{{Kind: backend.OrderedMap, Slot: 16}},
	},
}

// ttlMillis is the time to live of the entries of the texts' map and of the elements of the
// numbers' list; their last use leads their values.
const ttlMillis = 30_000

var expiry = run.ExpiryOf([]*protocol.StateDescriptor{
	{
		Table: uint32(backend.CollectionTable(texts, 0)), Name: "map", Kind: "map",
		TtlMillis: ttlMillis,
	},
	{
		Table: uint32(backend.CollectionTable(numbers, 1)), Name: "list", Kind: "list",
		TtlMillis: ttlMillis,
	},
})

// listOf returns the layout of the rows when a table number is that of their list.
func listOf(id backend.TableID) *backend.RowLayout {
	if id == backend.CollectionTable(numbers, 1) {
		layout := layouts[numbers]
		return &layout
	}
	return nil
}

func declare(b backend.Backend) error {
	first, err := b.Declare(layouts[numbers])
	second, err2 := b.Declare(layouts[texts])
	third, err3 := b.DeclareTimers(backend.TimerLayout{KeyWords: 1})
	if err = errors.Join(err, err2, err3); err != nil {
		return err
	}
	if first != numbers || second != texts || third != timers {
		return fmt.Errorf("tables %d, %d, %d", first, second, third)
	}
	return nil
}

// factories are the backends that subtasks may have.
var factories = []backend.Factory{naive.Factory{}, table.Factory{}}

// subtask is the keyed state of one subtask.
type subtask struct {
	b     backend.Backend
	lists *run.Lists
	plan  *run.MergePlan // begun and not run yet
	// unheard is a checkpoint that is complete, which the subtask has not heard; 0 for none.
	unheard uint64
}

// hear tells a subtask what it has not heard.
func (sub *subtask) hear() {
	if sub.unheard != 0 && sub.lists.Confirm(sub.unheard) {
		sub.b.Confirm(sub.unheard)
	}
	sub.unheard = 0
}

// completed is a checkpoint that can be restored.
type completed struct {
	id     uint64
	states []*protocol.KeyedState // by subtask
	want   image
}

// simulation is one run.
type simulation struct {
	t        *testing.T
	ctx      context.Context
	rng      *rand.Rand
	store    *store
	subtasks []*subtask
	oracle   backend.Backend
	id       uint64 // of the last checkpoint
	retained []completed
	// savepoint is the newest one; nil without. full: the state came from one, and no checkpoint
	// has completed since.
	savepoint *completed
	full      bool
	keys      int
	now       int64

	restores, checkpoints, aborts, merges, savepoints int
}

// Goal: whatever happens to state on its way through checkpoints, runs and restores, it stays
// what it would be without them. Method: random operations on subtasks and on an oracle.
// LEAT_SEEDS is how many seeds are tried.
func TestState(t *testing.T) {
	seeds := uint64(10)
	if text := os.Getenv("LEAT_SEEDS"); text != "" {
		var err error
		if seeds, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("read LEAT_SEEDS: %v", err)
		}
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("seed %d", seed)
			s := &simulation{
				t: t, ctx: t.Context(), rng: rand.New(rand.NewPCG(seed, 3)),
				store: newStore(), now: 1_000_000,
			}
			s.keys = []int{5, 60, 2500}[s.rng.IntN(3)]
			s.must(s.start(nil))
			for range 700 {
				s.must(s.operation())
			}
			s.must(s.compare())
			t.Logf("%d restores, %d checkpoints, %d aborted, %d merges, %d savepoints", s.restores,
				s.checkpoints, s.aborts, s.merges, s.savepoints)
			if s.restores < 1 || s.checkpoints < 5 || s.aborts < 1 {
				t.Errorf("only %d restores, %d checkpoints, %d aborted ones", s.restores,
					s.checkpoints, s.aborts)
			}
			s.close()
		})
	}
}

func (s *simulation) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *simulation) close() {
	for _, sub := range s.subtasks {
		s.must(sub.b.Close())
	}
	s.subtasks = nil
}

// start begins an attempt at some parallelism, from a checkpoint or empty.
func (s *simulation) start(from *completed) error {
	s.close()
	p := 1 + s.rng.IntN(4)
	for i := range p {
		sub := &subtask{lists: run.NewLists(types.SubtaskRange(i, p))}
		factory := factories[min(s.rng.IntN(4), len(factories)-1)]
		var err error
		sub.b, err = factory.New(backend.Options{Bounds: types.SubtaskRange(i, p)})
		if err != nil {
			return err
		}
		s.subtasks = append(s.subtasks, sub)
		if err := declare(sub.b); err != nil {
			return err
		}
	}
	if from == nil {
		var err error
		s.oracle, err = naive.Factory{}.New(backend.Options{Bounds: types.AllHashes})
		if err != nil {
			return err
		}
		return declare(s.oracle)
	}
	return s.restore(from)
}

// restore fills the subtasks from a checkpoint; the oracle goes back to its barrier.
func (s *simulation) restore(from *completed) error {
	var panes []*protocol.PaneRuns
	for _, state := range from.states {
		panes = append(panes, state.Panes...)
	}
	for i, sub := range s.subtasks {
		bounds := types.SubtaskRange(i, len(s.subtasks))
		if err := sub.lists.Adopt(panes); err != nil {
			return err
		}
		if _, err := run.Restore(s.ctx, s.store.Open, panes, bounds, sub.b); err != nil {
			return err
		}
	}
	var err error
	if s.oracle, err = from.oracle(); err != nil {
		return err
	}
	s.restores++
	return s.compare()
}

// compare compares subtasks and oracle.
func (s *simulation) compare() error {
	got, want := image{}, image{}
	for _, sub := range s.subtasks {
		s.id++
		if err := got.add(sub.b, s.id); err != nil {
			return err
		}
	}
	if err := want.add(s.oracle, s.id); err != nil {
		return err
	}
	if diff := want.without(s.now).differs(got.without(s.now)); diff != "" {
		return errors.New(diff)
	}
	return nil
}

func (s *simulation) operation() error {
	switch what := s.rng.IntN(100); {
	case what < 12:
		return s.checkpoint()
	case what >= 97:
		return s.takeSavepoint()
	case what < 13:
		return s.crash()
	case what < 14:
		return s.damage()
	case what < 26:
		return s.merge()
	case what < 30:
		return s.drop()
	case what < 45:
		return s.time()
	default:
		return s.batch()
	}
}

// crash loses everything and starts again from a retained checkpoint.
func (s *simulation) crash() error {
	if s.savepoint != nil && s.rng.IntN(3) == 0 {
		s.full = true
		return s.start(s.savepoint)
	}
	s.full = false
	if len(s.retained) == 0 {
		return s.start(nil)
	}
	i := len(s.retained) - 1
	if s.rng.IntN(4) == 0 {
		i = s.rng.IntN(len(s.retained))
	}
	s.retained = s.retained[:i+1]
	return s.start(&s.retained[i])
}

// damage flips a bit of a file: restoring from it must fail and name it.
func (s *simulation) damage() error {
	names := s.store.names()
	if len(names) == 0 || len(s.retained) == 0 {
		return nil
	}
	name := names[s.rng.IntN(len(names))]
	bit, undo := s.store.flip(name, s.rng.Int64())
	defer undo()
	last := s.retained[len(s.retained)-1]
	var panes []*protocol.PaneRuns
	used := false
	for _, state := range last.states {
		panes = append(panes, state.Panes...)
	}
	for _, pane := range panes {
		for _, r := range pane.Runs {
			if r.GetFile().GetPath() == name {
				used = used || bit/8 >= r.Offset && bit/8 < r.Offset+r.Length
			}
		}
	}
	b, err := naive.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	if err == nil {
		err = declare(b)
	}
	if err != nil {
		return err
	}
	_, err = run.Restore(s.ctx, s.store.Open, panes, types.AllHashes, b)
	if used && (err == nil || !strings.Contains(err.Error(), name)) {
		return fmt.Errorf("one bit of %q is another: %w", name, err)
	}
	if !used && err != nil {
		return err
	}
	return b.Close()
}

// checkpoint takes a checkpoint while operations go on, and completes or aborts it.
func (s *simulation) checkpoint() error {
	s.id++
	id := s.id
	if s.rng.IntN(5) == 0 {
		s.store.fail(1 + s.rng.IntN(2))
	}
	c := completed{id: id, want: image{}}
	if err := c.want.add(s.oracle, id); err != nil {
		return err
	}
	snapshots := make([]backend.Snapshot, len(s.subtasks))
	for i, sub := range s.subtasks {
		if s.rng.IntN(2) == 0 || s.full {
			sub.hear()
		}
		full := s.full || s.rng.IntN(30) == 0 || sub.lists.WantFull(sub.b.MemoryBytes())
		var err error
		if snapshots[i], err = sub.b.Begin(id, full); err != nil {
			return err
		}
	}
	failed := error(nil)
	for i, sub := range s.subtasks {
		sub.hear()
		state, err := s.copy(sub, snapshots[i], func(parts []backend.Part, panes []backend.PaneID,
		) (*protocol.KeyedState, error) {
			state, _, err := sub.lists.Write(s.ctx, parts, panes, id, uploader{s.store, id})
			return state, err
		})
		if err != nil && !errors.Is(err, errUpload) {
			return err
		}
		failed = errors.Join(failed, err)
		c.states = append(c.states, state)
	}
	s.store.fail(0)
	for range s.rng.IntN(3) {
		if err := s.change(); err != nil {
			return err
		}
	}
	if failed != nil || s.rng.IntN(6) == 0 {
		s.aborts++
		for _, sub := range s.subtasks {
			sub.lists.Abort(id)
		}
		return nil
	}
	for _, sub := range s.subtasks {
		if sub.unheard = id; s.rng.IntN(4) > 0 {
			sub.hear()
		}
	}
	s.checkpoints++
	s.full = false
	if err := c.checkApart(s.savepoint); err != nil {
		return err
	}
	s.retain(c)
	return nil
}

// copy copies a snapshot while changes go on and writes it, unless it is given up before that.
func (s *simulation) copy(sub *subtask, snapshot backend.Snapshot,
	write func([]backend.Part, []backend.PaneID) (*protocol.KeyedState, error),
) (*protocol.KeyedState, error) {
	defer snapshot.Release()
	givesUp := s.rng.IntN(20) == 0
	for done := false; !done; {
		var err error
		if done, err = snapshot.Step(1 << (6 + s.rng.IntN(14))); err != nil {
			return nil, err
		}
		if s.rng.IntN(4) == 0 {
			if err := s.change(); err != nil {
				return nil, err
			}
		}
		if givesUp && s.rng.IntN(3) == 0 {
			return nil, fmt.Errorf("given up: %w", errUpload)
		}
	}
	return write(snapshot.Parts(), snapshot.Panes())
}

// takeSavepoint writes all state apart from what checkpoints build on.
func (s *simulation) takeSavepoint() error {
	s.id++
	c := completed{id: s.id, want: image{}}
	if err := c.want.add(s.oracle, c.id); err != nil {
		return err
	}
	snapshots := make([]backend.Snapshot, len(s.subtasks))
	for i, sub := range s.subtasks {
		var err error
		if snapshots[i], err = sub.b.Begin(c.id, true); err != nil {
			return err
		}
	}
	failed := error(nil)
	for i, sub := range s.subtasks {
		state, err := s.copy(sub, snapshots[i], func(parts []backend.Part, panes []backend.PaneID,
		) (*protocol.KeyedState, error) {
			state, _, err := sub.lists.WriteSavepoint(s.ctx, parts, panes, c.id,
				uploader{s.store, math.MaxUint64})
			return state, err
		})
		if err != nil && !errors.Is(err, errUpload) {
			return err
		}
		failed = errors.Join(failed, err)
		c.states = append(c.states, state)
	}
	if failed == nil {
		s.savepoint = &c
		s.savepoints++
	}
	return nil
}

// checkApart checks that a checkpoint needs nothing of a savepoint.
func (c *completed) checkApart(savepoint *completed) error {
	if savepoint == nil {
		return nil
	}
	of := map[string]bool{}
	for _, state := range savepoint.states {
		for _, pane := range state.Panes {
			for _, r := range pane.Runs {
				of[r.GetFile().GetPath()] = r.File != nil
			}
		}
	}
	for _, state := range c.states {
		for _, pane := range state.Panes {
			for _, r := range pane.Runs {
				if of[r.GetFile().GetPath()] {
					return fmt.Errorf("checkpoint %d refers to %q of savepoint %d", c.id,
						r.File.Path, savepoint.id)
				}
			}
		}
	}
	return nil
}

// retain keeps the last few checkpoints and sweeps what only the others needed.
func (s *simulation) retain(c completed) {
	s.retained = append(s.retained, c)
	if len(s.retained) > 3 {
		s.retained = s.retained[1:]
	}
	var alive []*protocol.KeyedState
	for _, r := range s.retained {
		alive = append(alive, r.states...)
	}
	s.store.sweep(alive, c.id)
}

// oracle makes the backend that holds what the checkpoint should.
func (c *completed) oracle() (backend.Backend, error) {
	b, err := naive.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		return nil, err
	}
	if err := declare(b); err != nil {
		return nil, err
	}
	return b, c.want.restore(b)
}

// merge begins a merge, or runs one begun before, perhaps some checkpoints ago.
func (s *simulation) merge() error {
	sub := s.subtasks[s.rng.IntN(len(s.subtasks))]
	if sub.plan == nil {
		if sub.plan = sub.lists.NextMerge(); sub.plan == nil || s.rng.IntN(2) == 0 {
			return nil
		}
	}
	plan := sub.plan
	sub.plan = nil
	if s.rng.IntN(5) == 0 {
		s.store.fail(1)
	}
	stats, err := plan.Run(s.ctx, run.MergeEnv{
		Open: s.store.Open, Uploader: uploader{s.store, plan.JoinBy()},
		Expiry: expiry, NowMillis: s.now, Pause: func() error { return nil },
	})
	s.store.fail(0)
	if err != nil && !errors.Is(err, errUpload) {
		return err
	}
	if err == nil && stats.Runs > 0 {
		s.merges++
	}
	return nil
}

// change is a batch of any kind.
func (s *simulation) change() error {
	switch s.rng.IntN(10) {
	case 0:
		return s.drop()
	case 1, 2:
		return s.time()
	}
	return s.batch()
}

func (s *simulation) pane() backend.Pane {
	if s.rng.IntN(3) > 0 {
		return backend.NoPane
	}
	return backend.Pane(s.rng.IntN(4) * 60_000)
}

func (s *simulation) drop() error {
	pane := s.pane()
	if pane == backend.NoPane {
		return nil
	}
	err := s.oracle.Drop(numbers, pane)
	for _, sub := range s.subtasks {
		err = errors.Join(err, sub.b.Drop(numbers, pane))
	}
	return err
}

// key is a key of one of the tables.
type key struct {
	hash  uint64
	word  uint64
	bytes []byte
}

func (s *simulation) drawKey(id backend.TableID) key {
	n := s.rng.IntN(s.keys)
	if id == numbers {
		return key{hash: types.HashInt64(int64(n)), word: uint64(n)}
	}
	b := []byte(strings.Repeat("key ", n%9) + fmt.Sprint(n))
	return key{hash: types.HashBytes(b), bytes: b}
}

// owner returns the backend of a key.
func (s *simulation) owner(hash uint64) backend.Backend {
	return s.subtasks[types.SubtaskOf(hash, len(s.subtasks))].b
}

// batch changes some rows, one after the other, in the oracle and where they live.
func (s *simulation) batch() error {
	id, pane := numbers, s.pane()
	if s.rng.IntN(3) == 0 {
		id, pane = texts, backend.NoPane
	}
	// A pane is made in all subtasks, as windows of one stream soon are.
	for _, sub := range s.subtasks {
		if _, err := sub.b.Table(id, pane); err != nil {
			return err
		}
	}
	for range 1 + s.rng.IntN(30) {
		k, seed := s.drawKey(id), s.rng.Uint64()
		for _, b := range []backend.Backend{s.oracle, s.owner(k.hash)} {
			t, err := b.Table(id, pane)
			if err != nil {
				return err
			}
			if err := (rowChange{id, s.now}).row(t, k, rand.New(rand.NewPCG(seed, 0))); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowChange changes rows of one table.
type rowChange struct {
	id  backend.TableID
	now int64
}

// stamped leads an element with the time of its last use.
func (c rowChange) stamped(element []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(c.now)), element...)
}

// row does to a row what rng draws.
func (c rowChange) row(t backend.Table, k key, rng *rand.Rand) error {
	layout := layouts[c.id]
	keys := backend.Keys{Hashes: []uint64{k.hash}}
	if layout.KeyWords > 0 {
		keys.Words = []uint64{k.word}
	} else {
		keys.Bytes = [][]byte{k.bytes}
	}
	var rows [1]backend.Row
	if _, err := t.Resolve(keys, backend.InsertClean, rows[:], nil); err != nil {
		return err
	}
	row := rows[0]
	text := func() []byte {
		n := rng.IntN(60)
		if rng.IntN(40) == 0 {
			n = rng.IntN(5000)
		}
		return []byte(strings.Repeat(fmt.Sprint(rng.IntN(100), ","), n/2+1)[:n])
	}
	for range 1 + rng.IntN(5) {
		var err error
		switch what := rng.IntN(20); {
		case what < 4:
			if err = t.Change(row); err == nil {
				*(*uint64)(t.Fixed(row)) = rng.Uint64()
				err = t.SetValue(row, 0, text())
			}
		case what < 12:
			err = t.MapPut(row, 0, fmt.Appendf(nil, "entry %d", rng.IntN(40)), c.stamped(text()))
		case what < 15:
			_, err = t.MapDelete(row, 0, fmt.Appendf(nil, "entry %d", rng.IntN(40)))
		case what < 19 && len(layout.Collections) > 1:
			err = t.ListAppend(row, 1, c.stamped(text()))
		case what == 19 && rng.IntN(2) == 0:
			return t.Delete(row)
		case what == 19:
			err = t.Clear(row, len(layout.Collections)-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// time registers, deletes and takes timers.
func (s *simulation) time() error {
	s.now += int64(s.rng.IntN(2000))
	for range s.rng.IntN(60) {
		k := s.drawKey(numbers)
		t := &backend.Timer{Timestamp: s.now + int64(s.rng.IntN(20_000)), Hash: k.hash}
		t.Words[0] = k.word
		if s.rng.IntN(2) == 0 {
			t.Timestamp -= t.Timestamp % 1000
		}
		remove := s.rng.IntN(4) == 0
		for _, b := range []backend.Backend{s.oracle, s.owner(k.hash)} {
			service, err := b.Timers(timers)
			if err != nil {
				return err
			}
			if remove {
				service.Delete(t)
			} else if err := service.Register(t); err != nil {
				return err
			}
		}
	}
	want, err := take(s.oracle, s.now)
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for _, sub := range s.subtasks {
		fired, err := take(sub.b, s.now)
		if err != nil {
			return err
		}
		for timer := range fired {
			got[timer] = true
		}
	}
	for timer := range want {
		if !got[timer] {
			return fmt.Errorf("timer %x did not fire", timer)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%d timers fired, want %d", len(got), len(want))
	}
	return nil
}

// take returns the timers that are due.
func take(b backend.Backend, until int64) (map[string]bool, error) {
	service, err := b.Timers(timers)
	if err != nil {
		return nil, err
	}
	fired := map[string]bool{}
	var due backend.Due
	for service.Take(until, 100, &due) {
		for _, word := range due.Words {
			timer := binary.BigEndian.AppendUint64(nil, uint64(due.Timestamp))
			fired[string(binary.BigEndian.AppendUint64(timer, word))] = true
		}
	}
	return fired, nil
}
