package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
)

// remembering emits what it remembers of a key: the number of records seen within a minute,
// and which amounts; it uses the second state only when the amount is not zero.
type remembering struct {
	seen    state.Value[int64]
	amounts state.Map[int64, int64]
}

func (r *remembering) Open(d *state.Declarations) error {
	ttl := state.TTL{After: time.Minute}
	r.seen = state.DeclareValue[int64](d, "seen", ttl)
	r.amounts = state.DeclareMap[int64, int64](d, "amounts", ttl)
	return nil
}

func (r *remembering) Process(_ *Context[int64], v trade, out Collector[string]) error {
	if v.Amount == 0 {
		return nil
	}
	n, _ := r.seen.Get()
	r.seen.Set(n + 1)
	r.amounts.Put(v.Amount, v.Amount)
	out.Collect(fmt.Sprint(n+1, " ", r.amounts.Len()))
	return nil
}

// Goal: states expire by the clock of the operator, and a key whose states have all expired
// and were met loses its row. Method: a clock set by hand between batches.
func TestProcessTTL(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		env, out := keyedEnv(t, f), &tape[string]{}
		factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
			func() KeyedProcessFunction[int64, trade, string] { return &remembering{} })
		head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
		process := func(amounts ...int64) {
			var items []trade
			for _, amount := range amounts {
				items = append(items, trade{Number: 1, Amount: amount})
			}
			must(t, head.Process(batchOf(items, nil)))
		}
		advance := func(d time.Duration) { env.Clock.(*clock.Manual).Advance(d) }
		process(5, 6)
		advance(40 * time.Second)
		process(7)
		advance(40 * time.Second) // only the last use of "seen", and the amount 7, are younger
		process(8)
		advance(time.Minute)
		process(9)
		same(t, []string{"1 1", "2 2", "3 3", "4 2", "1 1"}, out.values())
		table, err := env.Keyed.Table(0, backend.NoPane)
		must(t, err)
		if table.Len() != 1 {
			t.Errorf("%d rows", table.Len())
		}
	})
}

// Goal: a row of which nothing is left but values that have expired goes when a record of its
// key comes by. Method: a function that looks at nothing.
func TestProcessTTLRow(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		env, out := keyedEnv(t, f), &tape[string]{}
		factory := processFactoryOf(t, func(v trade) int64 { return v.Number },
			func() KeyedProcessFunction[int64, trade, string] { return &valueOnly{} })
		head := opened[operator.Head](t, factory, env, out.link(), operator.Restored{})
		must(t, head.Process(batchOf([]trade{{Number: 1, Amount: 1}}, nil)))
		table, err := env.Keyed.Table(0, backend.NoPane)
		must(t, err)
		for i, want := range []int{1, 0} {
			must(t, head.Process(batchOf([]trade{{Number: 1}}, nil)))
			if table.Len() != want {
				t.Errorf("look %d: %d rows, want %d", i, table.Len(), want)
			}
			env.Clock.(*clock.Manual).Advance(time.Minute)
		}
	})
}

type valueOnly struct{ seen state.Value[int64] }

func (r *valueOnly) Open(d *state.Declarations) error {
	r.seen = state.DeclareValue[int64](d, "seen", state.TTL{After: time.Minute})
	return nil
}

func (r *valueOnly) Process(_ *Context[int64], v trade, _ Collector[string]) error {
	if v.Amount != 0 {
		r.seen.Set(v.Amount)
	}
	return nil
}
