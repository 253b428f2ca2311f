package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// trip is a record of the job that the tests look into.
type trip struct {
	At       eventtime.Timestamp
	From, To string
	Miles    int64
}

// trips is how many records are of interest: those behind are dropped before they reach state.
const trips = 600

var places = []string{"BOS", "JFK", "ORD", "SFO", "Zürich", "a,b", ""}

func tripOf(i int64) trip {
	i = min(i, trips)
	return trip{
		At: eventtime.Timestamp(1_356_998_400_000 + i*60_000), Miles: i,
		From: places[i%7], To: places[i/7%7],
	}
}

type route struct{ From, To string }

type sum struct{ Trips, Miles int64 }

// perPlace has a state of every kind.
type perPlace struct {
	seen         *atomic.Int64
	count        state.Value[int64]
	total        state.Value[sum]
	last         state.Value[string]
	destinations state.Map[string, sum]
	byRoute      state.OrderedMap[route, int64]
	miles        state.List[int64]
}

func (f *perPlace) Open(d *state.Declarations) error {
	f.count = state.DeclareValue[int64](d, "count")
	f.destinations = state.DeclareMap[string, sum](d, "destinations")
	f.total = state.DeclareValue[sum](d, "total", state.TTL{After: 240 * time.Hour})
	f.last = state.DeclareValue[string](d, "last")
	f.byRoute = state.DeclareOrderedMap[route, int64](d, "by-route")
	f.miles = state.DeclareList[int64](d, "miles")
	return nil
}

func (f *perPlace) Process(
	ctx *stream.Context[string], t trip, _ stream.Collector[string],
) error {
	count, _ := f.count.Get()
	f.count.Set(count + 1)
	total, _ := f.total.Get()
	f.total.Set(sum{total.Trips + 1, total.Miles + t.Miles})
	if t.From != "Zürich" {
		f.last.Set(t.From + "!")
	}
	to, _ := f.destinations.Get(t.To)
	f.destinations.Put(t.To, sum{to.Trips + 1, to.Miles + t.Miles})
	miles, _ := f.byRoute.Get(route{t.From, t.To})
	f.byRoute.Put(route{t.From, t.To}, miles+t.Miles)
	if t.Miles < 40 && t.Miles%2 == 0 { // all from one subtask of the source: in order
		f.miles.Append(t.Miles)
		ctx.Timers().RegisterEventTime(t.At + 1_000_000_000)
	}
	f.seen.Add(1)
	return nil
}

func (f *perPlace) OnTimer(*stream.TimerContext[string], stream.Collector[string]) error {
	return nil
}

// single is the job of one value state.
type single struct{ count state.Value[int64] }

func (f *single) Open(d *state.Declarations) error {
	f.count = state.DeclareValue[int64](d, "count")
	return nil
}

func (f *single) Process(*stream.Context[int64], trip, stream.Collector[string]) error {
	n, _ := f.count.Get()
	f.count.Set(n + 1)
	return nil
}

// remembered keeps operator state.
type remembered struct{ list *stream.ListState[sum] }

func (f *remembered) InitializeState(store *stream.OperatorStateStore) error {
	f.list = stream.DeclareListState[sum](store, "remembered")
	return nil
}

func (f *remembered) SnapshotState(stream.SnapshotContext) error {
	f.list.Update([]sum{{1, 2}, {3, 4}})
	return nil
}

func (f *remembered) Invoke(*stream.ProcessContext, string) error { return nil }

// jobName is that of the tests' job.
const jobName = "trips"

// buildJob lays out the job; it counts in seen what perPlace has handled.
func buildJob(env *stream.Env, seen *atomic.Int64) {
	source := stream.Generate(env, "source", -1, tripOf,
		stream.WithEventTime(func(t trip) eventtime.Timestamp { return t.At },
			eventtime.BoundedOutOfOrderness(100*time.Hour)),
		stream.WithRate[trip](20_000))
	some := stream.Filter(source, func(t trip) bool { return t.Miles < trips })
	byFrom := stream.KeyBy(some, func(t trip) string { return t.From })
	ignore := func(string) error { return nil }
	stream.ForEach(stream.Process(byFrom, "per-place",
		func() stream.KeyedProcessFunction[string, trip, string] {
			return &perPlace{seen: seen}
		}), "ignore", ignore)
	byMiles := stream.KeyBy(some, func(t trip) int64 { return t.Miles % 3 })
	stream.ForEach(stream.Process(byMiles, "stateful_map_test",
		func() stream.KeyedProcessFunction[int64, trip, string] { return &single{} }),
		"ignore 2", ignore)
	byRoute := stream.KeyBy(some, func(t trip) route { return route{t.From, t.To} })
	windows := stream.Aggregate(stream.Tumbling(byRoute, 4*time.Hour), "four-hourly",
		stream.AggregatorFunc[trip, sum](func(s *sum, t trip) {
			s.Trips++
			s.Miles += t.Miles
		}), func(r route, w stream.Window, s *sum) string { return fmt.Sprint(r, w, s) })
	stream.ForEachWith(windows, "remember",
		func() stream.SinkFunction[string] { return &remembered{} })
}

// made is what a run of the job left behind.
type made struct {
	dir        string // of everything
	root       string // of checkpoints
	jobID      string
	checkpoint string // a checkpoint
	savepoint  string // which the job was stopped with
}

// makeJob runs the job until it has handled what counts, takes a checkpoint and stops it with a
// savepoint.
func makeJob(t *testing.T, backend string) made {
	m := made{dir: t.TempDir()}
	m.root = filepath.Join(m.dir, "ck")
	env := stream.NewEnv(jobName)
	env.Set("execution.checkpointing.dir", m.root)
	env.Set("execution.checkpointing.interval", "0")
	env.Set("parallelism.default", "2")
	env.Set("state.backend.type", backend)
	var seen atomic.Int64
	buildJob(env, &seen)
	handled := make(chan struct{})
	env.OnProgress(func(stream.Progress) {
		if seen.Load() == trips {
			select {
			case <-handled:
			default:
				close(handled)
			}
		}
	})
	var failed error
	env.OnStart(func(c *stream.Controller) { failed = m.take(c, handled) })
	if _, err := env.Execute(context.Background()); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return m
}

func (m *made) take(c *stream.Controller, handled <-chan struct{}) error {
	<-handled
	m.jobID = c.JobID()
	checkpoint, err := c.Checkpoint(context.Background(), stream.CheckpointOptions{})
	if err != nil {
		_ = c.Cancel()
		return err
	}
	m.checkpoint = checkpoint.Path
	savepoint, err := c.Savepoint(context.Background(), stream.SavepointOptions{
		Directory: filepath.Join(m.dir, "sp"), Stop: true})
	m.savepoint = savepoint.Path
	if err != nil {
		_ = c.Cancel()
	}
	return err
}

// bulkKeys is how many keys makeBulk has.
const bulkKeys = 40_000

// makeBulk runs a job to its end that counts records per key, one of each, and returns the
// directory of its last checkpoint, whose state lies in files.
func makeBulk(t *testing.T, backend string) (root, checkpoint string) {
	root = filepath.Join(t.TempDir(), "ck")
	result := runBulk(t, root, backend, "")
	return root, filepath.Join(root, result.JobID, fmt.Sprint("chk-", result.Checkpoint))
}

// runBulk runs the job of makeBulk from a checkpoint, or from the start.
func runBulk(t *testing.T, root, backend, from string) *stream.Result {
	t.Helper()
	env := stream.NewEnv("bulk")
	env.Restore(from)
	env.Set("execution.checkpointing.dir", root)
	env.Set("execution.checkpointing.interval", "0")
	env.Set("parallelism.default", "2")
	env.Set("state.backend.type", backend)
	source := stream.Generate(env, "source", bulkKeys, func(i int64) trip { return trip{Miles: i} })
	byMiles := stream.KeyBy(source, func(t trip) int64 { return t.Miles })
	stream.ForEach(stream.Process(byMiles, "stateful_map_test",
		func() stream.KeyedProcessFunction[int64, trip, string] { return &single{} }),
		"ignore", func(string) error { return nil })
	result, err := env.Execute(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return result
}
