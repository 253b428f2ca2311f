package stream_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// rung is a timer that was fired: of a key, at a time, of one of the kinds below.
type rung struct{ Key, At, Kind int64 }

const (
	tick    = iota // at the end of a stretch of time with records of the key
	after          // registered by a tick, just behind it
	distant        // registered by records, for a time that only the end of the input reaches
	machine        // of processing time; At counts those of the key
)

const (
	stretch  = 200
	distance = 1 << 40
)

// ringer registers timers for its records. A tick deletes the distant timer of its stretch for
// every other key.
type ringer struct {
	attack *attack
	rings  state.Value[int64] // of processing time
}

func (r *ringer) Open(d *state.Declarations) error {
	r.rings = state.DeclareValue[int64](d, "rings")
	return nil
}

func (r *ringer) Process(
	c *stream.Context[int64], n number, _ stream.Collector[rung],
) error {
	s, end := c.Timers(), eventtime.Timestamp(stretchEnd(n.ID))
	s.RegisterEventTime(end)
	s.RegisterEventTime(end + distance)
	s.RegisterProcessingTime(s.CurrentProcessingTime() + eventtime.Timestamp(n.ID%4))
	return r.attack.called()
}

func stretchEnd(id int64) int64 { return (id/stretch + 1) * stretch }

func (r *ringer) OnTimer(c *stream.TimerContext[int64], out stream.Collector[rung]) error {
	at := int64(c.Timestamp())
	switch s := c.Timers(); {
	case c.TimeDomain() == stream.DomainProcessingTime:
		n, _ := r.rings.Get()
		r.rings.Set(n + 1)
		out.Collect(rung{c.Key(), n, machine})
	case at > distance:
		out.Collect(rung{c.Key(), at, distant})
	case at%stretch == 0:
		out.Collect(rung{c.Key(), at, tick})
		s.RegisterEventTime(c.Timestamp() + 1)
		if c.Key()%2 == 0 {
			s.DeleteEventTime(c.Timestamp() + distance)
		}
	default:
		out.Collect(rung{c.Key(), at, after})
	}
	return nil
}

// checkRungs compares what was fired with what must have been.
func (a *attack) checkRungs(t *testing.T) {
	t.Helper()
	want, got := map[rung]int{}, rowsOf[rung](t, a, "rungs")
	for id := range a.numbers {
		key, end := a.keyOf(id), stretchEnd(id)
		want[rung{key, end, tick}] = 1
		want[rung{key, end + 1, after}] = 1
		if key%2 == 1 {
			want[rung{key, end + distance, distant}] = 1
		}
	}
	count, last := map[int64]int64{}, map[int64]int64{}
	for r, n := range got {
		if r.Kind == machine {
			delete(got, r)
			count[r.Key] += int64(n)
			last[r.Key] = max(last[r.Key], r.At)
		}
	}
	for key, n := range count {
		if n != last[key]+1 {
			t.Errorf(
				"key %d: %d timers of processing time, the last is number %d",
				key,
				n,
				last[key],
			)
		}
	}
	if len(count) == 0 {
		t.Error("no timer of processing time was fired")
	}
	different(t, "timers", want, got)
}

func (a *attack) runRinger(t *testing.T) *stream.Result {
	t.Helper()
	e := a.configure()
	rungs := stream.Process(
		stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }), "ringer",
		func() stream.KeyedProcessFunction[int64, number, rung] { return &ringer{attack: a} })
	stream.SinkTo(rungs, "rungs", sinkFor[rung](t, "rungs"))
	r, err := e.Execute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Goal: every timer is fired exactly once, whenever the job is stopped and wherever it goes on.
// Method: a job with timers near and far, deleted ones and ones of processing time, stopped
// three times and continued on another backend and at other parallelism, with checkpoints in
// between; its output is compared with what timers there must have been.
func TestEngineTimers(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			a := newAttack()
			a.tolerable = 10
			a.numbers, a.keys = 3000+r.Int64N(3000), 1+r.Int64N(500)
			a.rate = int(a.numbers) * 3
			for range 3 {
				a.parallelism = 1 + r.IntN(3)
				a.backend = []string{"hashmap", "hashmap", "naive"}[r.IntN(3)]
				a.stopAt(1 + r.Int64N(a.numbers/3))
				a.runRinger(t)
				a.restore = "latest"
			}
			a.undisturbed()
			a.parallelism = 1 + r.IntN(3)
			if result := a.runRinger(t); result.Status != "FINISHED" {
				t.Fatalf("status %s", result.Status)
			}
			a.checkRungs(t)
		})
	}
}
