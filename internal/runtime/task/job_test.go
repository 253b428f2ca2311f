package task_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/task"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

const (
	sourceVertex = 1
	tallyVertex  = 2
	sinkVertex   = 3
)

// size is the shape of a job: sources, hash exchange, tallies, hash exchange, sinks.
type size struct {
	sources, tallies, sinks, limit int
	keys                           uint64
}

// job runs all tasks of that shape.
type job struct {
	*fixture
	size
	seed  uint64
	tasks map[place]*task.Task
	ids   []place
	group *lifecycle.Group
}

func newJob(t testing.TB, s size, seed uint64) *job {
	j := &job{fixture: newFixture(t, seed), size: s, seed: seed, tasks: map[place]*task.Task{}}
	j.register(t, "source", sourceOf(s.limit, s.keys, seed))
	j.register(t, "tally", factory(newTally))
	j.register(t, "sink", factory(newSink))
	return j
}

// start deploys and runs all tasks, from what acks hold when they are not nil.
func (j *job) start(t testing.TB, acks map[place]*protocol.AckCheckpoint) {
	toTally := &protocol.Edge{Id: 1, From: sourceVertex, To: tallyVertex, ShapeKind: "items",
		Exchange: protocol.Exchange_EXCHANGE_HASH}
	toSink := &protocol.Edge{Id: 2, From: tallyVertex, To: sinkVertex, ShapeKind: "items",
		Exchange: protocol.Exchange_EXCHANGE_HASH}
	in := [][]*protocol.Edge{nil, nil, {toTally}, {toSink}}
	out := [][]*protocol.Edge{nil, {toTally}, {toSink}, nil}
	kinds := []string{"", "source", "tally", "sink"}
	counts := []int{0, j.sources, j.tallies, j.sinks}
	parallelism := map[uint32]uint32{}
	for v := uint32(1); v <= 3; v++ {
		parallelism[v] = uint32(counts[v])
	}
	j.group = lifecycle.NewGroup(t.Context(), "job")
	for v := uint32(1); v <= 3; v++ {
		for i := range uint32(counts[v]) {
			d := &protocol.DeployTask{
				Task: &protocol.TaskID{Vertex: v, Subtask: i},
				Vertex: &protocol.Vertex{Id: v, Name: kinds[v], Parallelism: uint32(counts[v]),
					Operators: []*protocol.Operator{operatorOf(kinds[v], v == tallyVertex)}},
				Inputs: in[v], Outputs: out[v], Parallelism: parallelism,
				Restore: restoreOf(kinds[v], place{v, i}, acks),
			}
			j.tasks[place{v, i}] = j.task(t, d)
			j.ids = append(j.ids, place{v, i})
		}
	}
	for id, made := range j.tasks {
		j.group.Go(fmt.Sprintf("task %v", id), made.Run)
	}
}

// restoreOf is what a task gets of a checkpoint.
func restoreOf(uid string, id place, acks map[place]*protocol.AckCheckpoint,
) []*protocol.RestoreOperator {
	r := &protocol.RestoreOperator{Uid: uid}
	switch {
	case acks == nil:
		return nil
	case id.vertex == sourceVertex:
		r.List = acks[id].Operators[0].State.List
	case id.vertex == tallyVertex:
		r.Panes = panesOf(acks)
	}
	return []*protocol.RestoreOperator{r}
}

func panesOf(acks map[place]*protocol.AckCheckpoint) []*protocol.PaneRuns {
	var panes []*protocol.PaneRuns
	for id, ack := range acks {
		if id.vertex == tallyVertex {
			panes = append(panes, ack.Operators[0].State.Keyed.Panes...)
		}
	}
	return panes
}

// each calls f for all tasks in an order the seed gives.
func (j *job) each(random *rand.Rand, f func(*task.Task)) {
	for _, i := range random.Perm(len(j.ids)) {
		f(j.tasks[j.ids[i]])
	}
}

// acked waits for all tasks and returns what they acknowledged.
func (j *job) acked(t testing.TB, id uint64) map[place]*protocol.AckCheckpoint {
	t.Helper()
	j.listener.await(t, fmt.Sprintf("checkpoint %d", id), func() bool {
		return len(j.listener.mu.acks[id]) == len(j.ids) || j.listener.mu.declines[id] != nil ||
			slices.ContainsFunc(j.ids, func(p place) bool { return j.listener.mu.errs[p] != nil })
	})
	j.listener.mu.Lock()
	defer j.listener.mu.Unlock()
	for p, err := range j.listener.mu.errs {
		if err != nil {
			t.Fatalf("%v failed: %v", p, err)
		}
	}
	if err := j.listener.mu.declines[id]; err != nil {
		t.Fatalf("checkpoint %d declined: %v", id, err)
	}
	return j.listener.mu.acks[id]
}

func (j *job) allEnded() bool {
	j.listener.mu.Lock()
	defer j.listener.mu.Unlock()
	return len(j.listener.mu.ended) == len(j.ids)
}

// committed is what a committer has made visible. A committable must not come twice.
type committed map[string]bool

// totals is a number of items and the sum of their digests.
type totals struct{ count, digest uint64 }

func (c committed) commit(
	t testing.TB, acks map[place]*protocol.AckCheckpoint, total *totals,
) {
	t.Helper()
	for id, ack := range acks {
		if id.vertex != sinkVertex {
			continue
		}
		for _, made := range ack.Operators[0].State.Committables {
			name := fmt.Sprintf("%d of sink %d", made.Version, id.subtask)
			if c[name] {
				t.Errorf("committable %s comes again", name)
			}
			c[name] = true
			total.count += binary.LittleEndian.Uint64(made.Data)
			total.digest += binary.LittleEndian.Uint64(made.Data[8:])
		}
	}
}

// check compares keyed state and committed output with what the positions of the sources say:
// every record before the barrier is in both, none after it in either.
func (j *job) check(t testing.TB, id uint64, acks map[place]*protocol.AckCheckpoint, sunk totals) {
	t.Helper()
	var all totals
	want := map[uint64]totals{}
	for s := range j.sources {
		list := acks[place{sourceVertex, uint32(s)}].Operators[0].State.List
		for seq := range int(binary.LittleEndian.Uint64(list[0].Elements[0])) {
			v := itemOf(s, seq, j.keys)
			of := want[v.key]
			want[v.key] = totals{of.count + 1, of.digest + v.digest()}
			all = totals{all.count + 1, all.digest + v.digest()}
		}
	}
	if diff := cmp.Diff(want, j.stateIn(t, acks), cmp.AllowUnexported(totals{})); diff != "" {
		t.Errorf("seed %d, checkpoint %d: keyed state (-want +got):\n%s", j.seed, id, diff)
	}
	if sunk != all {
		t.Errorf("seed %d, checkpoint %d: committed %+v, want %+v", j.seed, id, sunk, all)
	}
}

// stateIn reads the keyed state that acknowledgements refer to.
func (j *job) stateIn(t testing.TB, acks map[place]*protocol.AckCheckpoint) map[uint64]totals {
	t.Helper()
	b, _ := naive.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	if _, err := b.Declare(tallyLayout); err != nil {
		t.Fatal(err)
	}
	_, err := run.Restore(t.Context(), j.store.Open, panesOf(acks), types.AllHashes, b)
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Table(0, backend.NoPane)
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint64]totals{}
	table.Scan(func(r backend.Row) bool {
		words, _ := table.Key(r)
		fixed := (*[2]uint64)(unsafe.Pointer(table.Fixed(r)))
		got[words[0]] = totals{fixed[0], fixed[1]}
		return true
	})
	return got
}

// drive plays the coordinator until the job has finished: checkpoints one after the other, half
// of them aborted at some moment, the last one after end of data. It checks every
// complete one and returns one of them.
func (j *job) drive(t testing.TB, first uint64, sunk totals) (
	uint64, map[place]*protocol.AckCheckpoint, totals,
) {
	t.Helper()
	random := rand.New(rand.NewPCG(j.seed, 99))
	done := committed{}
	var kept uint64
	var keptAcks map[place]*protocol.AckCheckpoint
	var keptSunk totals
	for id := first; ; id++ {
		final := j.allEnded()
		fate := random.IntN(6)
		if fate == 0 && !final {
			j.each(random, func(made *task.Task) { made.CheckpointAborted(id, "test") })
		}
		j.each(random, func(made *task.Task) {
			made.TriggerCheckpoint(record.Barrier{Checkpoint: id, Full: random.IntN(3) == 0})
			if fate == 1 && !final && random.IntN(2) == 0 {
				made.CheckpointAborted(id, "test")
			}
		})
		if fate <= 1 && !final {
			j.each(random, func(made *task.Task) { made.CheckpointAborted(id, "test") })
			continue
		}
		acks := j.acked(t, id)
		if fate == 2 && !final {
			// It could not be published.
			j.each(random, func(made *task.Task) { made.CheckpointAborted(id, "test") })
			continue
		}
		done.commit(t, acks, &sunk)
		j.each(random, func(made *task.Task) { made.CheckpointComplete(id) })
		j.check(t, id, acks, sunk)
		if kept == 0 || random.IntN(3) == 0 {
			kept, keptAcks, keptSunk = id, acks, sunk
		}
		if final {
			break
		}
	}
	j.each(random, func(made *task.Task) { made.Close() })
	if err := j.group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, id := range j.ids {
		if state, err := j.listener.state(id); state != protocol.TaskState_TASK_STATE_FINISHED {
			t.Errorf("task %v ended as %v: %v", id, state, err)
		}
	}
	return kept, keptAcks, keptSunk
}

// Goal: every record is on exactly one side of every barrier, in state and in output, under
// aborts at any moment, through end of data and the final checkpoint, and after a restore
// at another parallelism. Method: sources with sequence numbers, gates polled in random
// order; state and output of every complete checkpoint compared with the positions of the
// sources in it; then the job is run again from one of them.
func TestExactlyOnce(t *testing.T) {
	for _, kind := range []backend.Factory{naive.Factory{}, table.Factory{}} {
		for seed := uint64(1); seed <= 4; seed++ {
			s := size{sources: 3, tallies: 2, sinks: 2, limit: 3000, keys: 5000}
			j := newJob(t, s, seed)
			j.backend = kind
			j.start(t, nil)
			id, acks, sunk := j.drive(t, 1, totals{})

			s.tallies = 3
			again := newJob(t, s, seed)
			again.backend, again.store = kind, j.store
			again.start(t, acks)
			again.drive(t, id+1, sunk)
			t.Logf("%s, seed %d: restored from checkpoint %d with %d of %d items", kind.Name(),
				seed, id, sunk.count, s.sources*s.limit)
		}
	}
}
