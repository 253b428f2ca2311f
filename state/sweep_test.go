package state_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// sweeping is how a random test sweeps: not at all when nil.
type sweeping struct {
	whole bool // always whole passes, so that the model knows what is gone
	sweep *declared.Sweep
}

func (s *sweeping) partly() bool { return s != nil && !s.whole }

func (s *sweeping) begin(o *everyKind) {
	if s != nil {
		s.sweep = declared.NewSweep(declared.Of(&o.d))
	}
}

// step does a small step and reports whether the pass is over.
func (s *sweeping) step(o *everyKind) bool {
	o.Helper()
	if s.sweep == nil {
		s.begin(o)
	}
	_, done, err := s.sweep.Step(o.table, declared.Of(&o.d).Cursor().Now, 1+o.random.IntN(9))
	if err != nil {
		o.Fatal(err)
	}
	return done
}

// some does a step or, now and then, a pass.
func (s *sweeping) some(o *everyKind, models map[uint64]*kindsModel, rule rules) {
	switch {
	case s == nil:
	case s.partly():
		s.step(o)
	case o.random.IntN(10) == 0:
		s.all(o, models, rule)
	}
}

// all sweeps to the end of a pass that begins now; models without content go.
func (s *sweeping) all(o *everyKind, models map[uint64]*kindsModel, rule rules) {
	o.Helper()
	if s == nil {
		return
	}
	for s.begin(o); !s.step(o); {
	}
	for _, m := range models {
		m.sweep(rule)
	}
	maps.DeleteFunc(models, func(_ uint64, m *kindsModel) bool { return m.empty(rule) })
}

// sweep forgets what has expired, of a list only if it is half of it.
func (m *kindsModel) sweep(r rules) {
	m.value, m.sum = sweepOne(r, m.value), sweepOne(r, m.sum)
	m.average = sweepOne(r, m.average)
	sweepKeys(r, m.tags)
	sweepKeys(r, m.times)
	gone := 0
	for _, e := range m.list {
		if r.gone(e.used) {
			gone++
		}
	}
	if r.millis > 0 && 2*gone >= len(m.list) {
		m.list = m.list[gone:]
	}
}

func sweepOne[T any](r rules, v *timed[T]) *timed[T] {
	if v == nil || r.gone(v.used) {
		return nil
	}
	return v
}

func sweepKeys[K comparable, T any](r rules, m map[K]timed[T]) {
	maps.DeleteFunc(m, func(_ K, v timed[T]) bool { return r.gone(v.used) })
}

// Goal: sweeping removes what has expired and changes nothing that programs see, and rows of
// which nothing is left go. Method: the random steps of TestEveryKind with a sweep in small steps
// between them: by whole passes, of which the model knows what they remove, with every kind of
// time to live, and by passes that go on while states change, where expired state is not shown.
func TestEveryKindSwept(t *testing.T) {
	const after, show = 50 * time.Millisecond, state.ReturnExpiredIfNotCleanedUp
	for name, ttl := range map[string]state.TTL{
		"default":     {After: after},
		"on read":     {After: after, Update: state.OnReadAndWrite},
		"show":        {After: after, Visibility: show},
		"show, touch": {After: after, Update: state.OnReadAndWrite, Visibility: show},
	} {
		for _, whole := range []bool{true, false} {
			if !whole && ttl.Visibility == show {
				continue
			}
			t.Run(fmt.Sprintf("%s, whole %v", name, whole), func(t *testing.T) {
				onBackends(t, func(t *testing.T, f backend.Factory) {
					for seed := range uint64(3) {
						runEveryKind(t, f, &ttl, seed, &sweeping{whole: whole})
					}
				})
			})
		}
	}
}

// expiring has a state of each kind that expires, and one that does not.
type expiring struct {
	*rows
	d     state.Declarations
	text  state.Value[string]
	count state.Value[int64]
	stays state.Value[string]
	names state.Map[string, string]
	times state.List[int64]
	sweep *declared.Sweep
}

func declareExpiring(t testing.TB, f backend.Factory) *expiring {
	t.Helper()
	o, ttl := &expiring{}, state.TTL{After: time.Second}
	o.text = state.DeclareValue[string](&o.d, "text", ttl)
	o.stays = state.DeclareValue[string](&o.d, "stays")
	o.names = state.DeclareMap[string, string](&o.d, "names", ttl)
	o.times = state.DeclareList[int64](&o.d, "times", ttl)
	o.count = state.DeclareValue[int64](&o.d, "count", state.TTL{After: time.Hour})
	layout, err := declared.Of(&o.d).Layout(1)
	if err != nil {
		t.Fatal(err)
	}
	o.rows, o.sweep = open(t, f, layout), declared.NewSweep(declared.Of(&o.d))
	return o
}

func (o *expiring) at(key uint64, now int64) { o.point(&o.d, key).Now = now }

// step sweeps a little and returns what it counted.
func (o *expiring) step(now int64, budget int) (spent int, done bool) {
	o.Helper()
	spent, done, err := o.sweep.Step(o.table, now, budget)
	if err != nil {
		o.Fatal(err)
	}
	return spent, done
}

// Goal: what a sweep leaves of a row is as if what has expired had never been set, and what lives
// stays. Method: the serial form of a row swept and of one that never had the states.
func TestSweepLeavesNothing(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o := declareExpiring(t, f)
		for key := range uint64(4) {
			o.at(key, 0)
			if key < 2 {
				o.stays.Set("here")
			}
			if key%2 == 0 {
				o.text.Set("a text that is longer than what a row would hold")
				o.names.Put("name", "value")
				o.times.AppendAll([]int64{1, 2, 3})
			}
			if key == 2 {
				o.count.Set(1)
			}
		}
		// The row of key 3 has nothing.
		for done := false; !done; {
			_, done = o.step(1000, 3)
		}
		serial := o.serial()
		if len(serial) != 3 || serial[0] != serial[1] {
			t.Errorf("rows %v", serial)
		}
		o.at(2, 1000)
		if v, ok := o.count.Get(); v != 1 || !ok {
			t.Errorf("count %d, %v", v, ok)
		}
		if got := declared.Of(&o.d).ShortestTTL(); got != 1000 {
			t.Errorf("shortest time to live %d", got)
		}
	})
}

// Goal: a step keeps to its budget in a map that is longer than many steps, goes on where it was,
// also when the row was deleted meanwhile, and a pass ends. Method: two long maps of which every
// second entry has expired; sizes after each step.
func TestSweepLongMap(t *testing.T) {
	const entries, budget = 5000, 64
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o := declareExpiring(t, f)
		fill := func(key uint64) {
			for i := range entries {
				o.at(key, int64(i%2)*1000)
				o.names.Put(fmt.Sprint("name ", i), "v")
			}
		}
		fill(1)
		fill(2)
		steps := 0
		for done := false; !done; steps++ {
			var spent int
			if spent, done = o.step(1000, budget); spent > 6*budget {
				t.Fatalf("step %d spends %d", steps, spent)
			}
			if steps == 30 { // in the middle of the first map
				first := o.row(1, backend.Find)
				if o.table.Elements(first, 0) == entries {
					first = o.row(2, backend.Find)
				}
				if err := o.table.Delete(first); err != nil {
					t.Fatal(err)
				}
			}
		}
		if steps < entries/budget || steps > 6*entries/budget {
			t.Errorf("%d steps", steps)
		}
		left := 0
		for key := range uint64(3) {
			if row := o.row(key, backend.Find); row != 0 {
				left = o.table.Elements(row, 0)
			}
		}
		if o.table.Len() != 1 || left != entries/2 {
			t.Errorf("%d rows, the last has %d entries", o.table.Len(), left)
		}
	})
}

// Goal: what a sweep removes is in the changes of the next checkpoint, and a snapshot that was
// begun before holds it all the same. Method: a backend restored from a full snapshot and from
// changes taken around sweeps.
func TestSweepInSnapshots(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o := declareExpiring(t, f)
		const n = 3000
		for key := range uint64(n) {
			o.at(key, int64(key%3)*1000)
			o.text.Set(fmt.Sprint("text ", key))
			o.names.Put("name", "v")
		}
		begin := func(checkpoint uint64, full bool) backend.Snapshot {
			s, err := o.backend.Begin(checkpoint, full)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		finish := func(s backend.Snapshot, now int64) (deleted, live int) {
			for done := false; !done; {
				var err error
				if done, err = s.Step(1 << 10); err != nil {
					t.Fatal(err)
				}
				o.step(now, 100)
			}
			for _, part := range s.Parts() {
				if part.Table != 0 {
					continue
				}
				entries := part.Entries()
				for e, ok := entries.Next(); ok; e, ok = entries.Next() {
					if e.Deleted {
						deleted++
					} else {
						live++
					}
				}
			}
			s.Release()
			return deleted, live
		}
		first := begin(1, true)
		if deleted, live := finish(first, 1000); live != n || deleted != 0 {
			t.Errorf("checkpoint 1 has %d rows, %d deleted", live, deleted)
		}
		o.backend.Confirm(1)
		for done := false; !done; {
			_, done = o.step(1000, 100)
		}
		for done := false; !done; { // a whole pass
			_, done = o.step(1000, 100)
		}
		if o.table.Len() != n/3*2 {
			t.Errorf("%d rows", o.table.Len())
		}
		deleted, live := finish(begin(2, false), 0)
		if f.Name() == "naive" { // every part is full
			if live != n/3*2 {
				t.Errorf("checkpoint 2 has %d rows", live)
			}
		} else if deleted != n/3 || live != 0 {
			t.Errorf("checkpoint 2 has %d rows, %d deleted", live, deleted)
		}
	})
}

// BenchmarkSweep looks at rows of which none has expired: ns/op are those of a row.
func BenchmarkSweep(b *testing.B) {
	for _, f := range factories {
		b.Run(f.Name(), func(b *testing.B) {
			o := declareExpiring(b, f)
			for key := range uint64(1 << 18) {
				o.at(types.Mix64(key), 0)
				o.count.Set(1)
			}
			b.ResetTimer()
			for done := 0; done < b.N; {
				spent, _ := o.step(0, 1024)
				done += max(spent, 1)
			}
		})
	}
}

// BenchmarkSweepExpired removes rows: ns/op are those of a row, making it excluded.
func BenchmarkSweepExpired(b *testing.B) {
	for _, f := range factories {
		b.Run(f.Name(), func(b *testing.B) {
			o, key := declareExpiring(b, f), uint64(0)
			for left := b.N; left > 0; {
				b.StopTimer()
				n := min(left, 1<<16)
				for range n {
					key++
					o.at(types.Mix64(key), 0)
					o.count.Set(1)
				}
				left -= n
				b.StartTimer()
				for done := false; !done; {
					_, done = o.step(1<<40, 4096)
				}
			}
			if o.table.Len() != 0 {
				b.Errorf("%d rows are left", o.table.Len())
			}
		})
	}
}
