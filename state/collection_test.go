package state_test

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// label is an element with a part of variable length.
type label struct {
	N    int32
	Text string
}

// mean is an accumulator.
type mean struct{ Sum, N int64 }

// everyKind is an operator with a state of every kind.
type everyKind struct {
	*rows
	random  *rand.Rand
	d       state.Declarations
	layout  backend.RowLayout
	value   state.Value[label]
	sum     state.Reducing[int64]
	average state.Aggregating[int64, mean, float64]
	tags    state.Map[string, types.Null[int16]]
	times   state.OrderedMap[int16, label]
	seen    state.OrderedMap[struct{ A, B string }, struct{}]
	list    state.List[label]
	numbers state.List[int64]

	replaced int // how often the list was, which ends loops over it
}

func declareKinds(
	t *testing.T,
	f backend.Factory,
	seed uint64,
	options ...state.Option,
) *everyKind {
	t.Helper()
	o := &everyKind{random: rand.New(rand.NewPCG(seed, 0))}
	d := &o.d
	o.tags = state.DeclareMap[string, types.Null[int16]](d, "tags", options...)
	o.value = state.DeclareValue[label](d, "value", options...)
	o.list = state.DeclareList[label](d, "list", options...)
	o.sum = state.DeclareReducing(d, "sum",
		func(a, b int64) int64 { return a + b }, options...)
	o.times = state.DeclareOrderedMap[int16, label](d, "times", options...)
	o.average = state.DeclareAggregating(d, "average", state.Aggregate[int64, mean, float64]{
		Create: func() mean { return mean{Sum: 1000} },
		Add:    func(acc *mean, v int64) { *acc = mean{acc.Sum + v, acc.N + 1} },
		Result: func(acc *mean) float64 { return float64(acc.Sum) / float64(acc.N) },
	}, options...)
	o.seen = state.DeclareOrderedMap[struct{ A, B string }, struct{}](d, "seen", options...)
	o.numbers = state.DeclareList[int64](d, "numbers", options...)
	layout, err := declared.Of(d).Layout(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.Validate(); err != nil {
		t.Fatal(err)
	}
	o.layout = layout
	o.rows = open(t, f, layout)
	cursor := declared.Of(d).Cursor()
	cursor.Table, cursor.Now = o.table, 1_000_000
	return o
}

func (o *everyKind) at(key uint64) { o.point(&o.d, key) }

// reopen moves the state through a full snapshot into a new backend.
func (o *everyKind) reopen(f backend.Factory) {
	o.Helper()
	old := o.rows
	s, err := old.backend.Begin(1, true)
	if err != nil {
		o.Fatal(err)
	}
	for done := false; !done; {
		if done, err = s.Step(1 << 20); err != nil {
			o.Fatal(err)
		}
	}
	o.rows = open(o.TB, f, o.layout)
	for _, part := range s.Parts() {
		if err := o.backend.Restore(part.Table, part.Pane, types.AllHashes,
			part.Entries()); err != nil {
			o.Fatal(err)
		}
	}
	s.Release()
	if o.table, err = o.backend.Table(0, backend.NoPane); err != nil {
		o.Fatal(err)
	}
	declared.Of(&o.d).Cursor().Table = o.table
}

// timed is a value of the model and when it was used last.
type timed[T any] struct {
	value T
	used  int64
}

// kindsModel is what the states of one key should be.
type kindsModel struct {
	value   *timed[label]
	sum     *timed[int64]
	average *timed[mean]
	tags    map[string]timed[types.Null[int16]]
	times   map[int16]timed[label]
	list    []timed[label]
}

// rules are those of a time to live, by which the model forgets.
type rules struct {
	millis       int64 // 0: none
	onRead, show bool
	now          *int64
}

func (r rules) gone(used int64) bool { return r.millis > 0 && used+r.millis <= *r.now }

// meetOne reads one value: what is seen, and what is left.
func meetOne[T any](r rules, v *timed[T]) (seen T, ok bool, left *timed[T]) {
	switch {
	case v == nil:
		return seen, false, nil
	case r.gone(v.used):
		if r.show {
			return v.value, true, nil
		}
		return seen, false, nil
	case r.onRead:
		return v.value, true, &timed[T]{v.value, *r.now}
	}
	return v.value, true, v
}

// meetKey is meetOne in a map.
func meetKey[K comparable, T any](r rules, m map[K]timed[T], key K) (seen T, ok bool) {
	v, there := m[key]
	if !there {
		return seen, false
	}
	seen, ok, left := meetOne(r, &v)
	if left == nil {
		delete(m, key)
	} else {
		m[key] = *left
	}
	return seen, ok
}

func live[K comparable, T any](r rules, m map[K]timed[T]) (n int) {
	for _, v := range m {
		if !r.gone(v.used) {
			n++
		}
	}
	return n
}

// walkTimes is a loop over m.times that asks for the next key every time, so that it sees
// whatever its body does. back and bounds are those of the loop.
func (m *kindsModel) walkTimes(r rules, from, to int16, back bool) iter.Seq2[int16, label] {
	return func(yield func(int16, label) bool) {
		started, last := false, int16(0)
		for {
			var next []int16
			for key := range m.times {
				if key >= from && key < to && (!started || back && key < last ||
					!back && key > last) {
					next = append(next, key)
				}
			}
			if len(next) == 0 {
				return
			}
			last, started = slices.Min(next), true
			if back {
				last = slices.Max(next)
			}
			if seen, ok := meetKey(r, m.times, last); ok && !yield(last, seen) {
				return
			}
		}
	}
}

// meetList reads the list: what is seen, and what is left.
func (m *kindsModel) meetList(r rules) (seen []label) {
	var left []timed[label]
	gone, old := 0, false
	for _, e := range m.list {
		if r.gone(e.used) {
			gone++
			if r.show {
				seen = append(seen, e.value)
			}
			continue
		}
		seen = append(seen, e.value)
		if r.onRead && e.used != *r.now {
			old = true
			e.used = *r.now
		}
		left = append(left, e)
	}
	if old || r.millis > 0 && 2*gone >= len(m.list) {
		m.list = left
	}
	return seen
}

// empty reports whether nothing is left that counts.
func (m *kindsModel) empty(r rules) bool {
	return (m.value == nil || r.gone(m.value.used)) && (m.sum == nil || r.gone(m.sum.used)) &&
		(m.average == nil || r.gone(m.average.used)) &&
		len(m.tags) == 0 && len(m.times) == 0 && len(m.list) == 0
}

// check compares what a read returned.
func check[T any](o *everyKind, what string, want, got T, wantOK, ok bool) {
	o.Helper()
	if ok != wantOK {
		o.Fatalf("%s is %v, %v; want %v, %v", what, got, ok, want, wantOK)
	}
	if diff := cmp.Diff(want, got); diff != "" && ok {
		o.Fatalf("%s: %s", what, diff)
	}
}

// stepValue does something to the states in the row.
func (o *everyKind) stepValue(m *kindsModel, rule rules) {
	r, now := o.random, *rule.now
	n := int64(r.IntN(100))
	l := label{int32(n), randomText(r)}
	switch r.IntN(12) {
	case 11:
		old := label{}
		if m.value != nil && !rule.gone(m.value.used) {
			old = m.value.value
		}
		o.value.Update(func(v *label) {
			check(o, "value", old, *v, true, true)
			v.N++
			old = *v
		})
		m.value = &timed[label]{old, now}
	case 0, 1:
		o.value.Set(l)
		m.value = &timed[label]{l, now}
	case 2:
		o.value.Clear()
		m.value = nil
	case 3:
		want, wantOK, left := meetOne(rule, m.value)
		got, ok := o.value.Get()
		m.value = left
		check(o, "value", want, got, wantOK, ok)
	case 4, 5:
		o.sum.Add(n)
		if m.sum != nil && !rule.gone(m.sum.used) {
			n += m.sum.value
		}
		m.sum = &timed[int64]{n, now}
	case 6:
		want, wantOK, left := meetOne(rule, m.sum)
		got, ok := o.sum.Get()
		m.sum = left
		check(o, "sum", want, got, wantOK, ok)
	case 7, 8:
		o.average.Add(n)
		acc := mean{Sum: 1000}
		if m.average != nil && !rule.gone(m.average.used) {
			acc = m.average.value
		}
		m.average = &timed[mean]{mean{acc.Sum + n, acc.N + 1}, now}
	case 9:
		want, wantOK, left := meetOne(rule, m.average)
		got, ok := o.average.Get()
		m.average = left
		check(o, "average", float64(want.Sum)/float64(want.N), got, wantOK, ok)
	case 10:
		o.sum.Clear()
		o.average.Clear()
		m.sum, m.average = nil, nil
	}
}

// stepTags does something to the map.
func (o *everyKind) stepTags(m *kindsModel, rule rules) {
	r := o.random
	key := []string{"", "a", "a\x00", "b", "a longer name", "\xff"}[r.IntN(6)]
	switch r.IntN(8) {
	case 0, 1, 2:
		v := null(r, int16(r.IntN(100)))
		o.tags.Put(key, v)
		m.tags[key] = timed[types.Null[int16]]{v, *rule.now}
	case 3:
		o.tags.Remove(key)
		delete(m.tags, key)
	case 4:
		want, wantOK := meetKey(rule, m.tags, key)
		got, ok := o.tags.Get(key)
		check(o, "tag "+key, want, got, wantOK, ok)
	case 5:
		_, want := meetKey(rule, m.tags, key)
		check(o, "contains "+key, want, o.tags.Contains(key), true, true)
	case 6:
		check(o, "number of tags", live(rule, m.tags), o.tags.Len(), true, true)
		check(o, "no tags", live(rule, m.tags) == 0, o.tags.IsEmpty(), true, true)
	case 7:
		want := map[string]types.Null[int16]{}
		for _, key := range slices.Collect(maps.Keys(m.tags)) {
			if v, ok := meetKey(rule, m.tags, key); ok {
				want[key] = v
			}
		}
		check(o, "tags", want, maps.Collect(o.tags.All()), true, true)
		if r.IntN(3) == 0 {
			o.tags.Clear()
			clear(m.tags)
		}
	}
}

// stepTimes does something to the ordered map, also in loops over it.
func (o *everyKind) stepTimes(m *kindsModel, rule rules, depth int) {
	r := o.random
	a, b := int16(r.IntN(60)-30), int16(r.IntN(60)-30)
	v := label{int32(a), randomText(r)}
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		for range 1 + r.IntN(12) {
			o.times.Put(a, v)
			m.times[a] = timed[label]{v, *rule.now}
			a = int16(r.IntN(60) - 30)
		}
	case 4:
		o.times.Remove(a)
		delete(m.times, a)
	case 5:
		if r.IntN(3) > 0 {
			b = min(b, a+4)
		}
		o.times.RemoveRange(a, b)
		maps.DeleteFunc(m.times, func(k int16, _ timed[label]) bool { return k >= a && k < b })
	case 6:
		o.loop(m, rule, depth, o.times.Range(a, b), m.walkTimes(rule, a, b, false))
	case 7:
		o.loop(m, rule, depth, o.times.All(), m.walkTimes(rule, -100, 100, false))
	case 8:
		o.loop(m, rule, depth, o.times.Backward(), m.walkTimes(rule, -100, 100, true))
	case 9:
		want, wantOK := meetKey(rule, m.times, a)
		got, ok := o.times.Get(a)
		check(o, "time", want, got, wantOK, ok)
	case 10:
		o.ends(m, rule)
	case 11:
		check(o, "number of times", live(rule, m.times), o.times.Len(), true, true)
		if r.IntN(20) == 0 {
			o.times.Clear()
			clear(m.times)
		}
	}
}

func (o *everyKind) ends(m *kindsModel, rule rules) {
	for back, get := range map[bool]func() (int16, label, bool){
		false: o.times.First, true: o.times.Last,
	} {
		var want label
		key, wantOK := int16(0), false
		for key, want = range m.walkTimes(rule, -100, 100, back) {
			wantOK = true
			break
		}
		gotKey, got, ok := get()
		check(o, "end", key, gotKey, wantOK, ok)
		check(o, "end", want, got, wantOK, ok)
	}
}

// loop runs over the ordered map and the model side by side, and changes both in its body.
func (o *everyKind) loop(
	m *kindsModel, rule rules, depth int, got, want iter.Seq2[int16, label],
) {
	nextWant, stop := iter.Pull2(want)
	defer stop()
	quiet, left := o.random.IntN(2) == 0, 1+o.random.IntN(40)
	for key, value := range got {
		wantKey, wantValue, ok := nextWant()
		check(o, "key of loop", wantKey, key, ok, true)
		check(o, "value of loop", wantValue, value, ok, true)
		if left--; left == 0 {
			return
		}
		switch {
		case quiet || depth > 1:
		case o.random.IntN(3) == 0:
			o.stepTimes(m, rule, depth+1)
		case o.random.IntN(3) == 0:
			o.step(m, rule, depth+1)
		}
	}
	if key, _, ok := nextWant(); ok {
		o.Fatalf("a loop ends before key %d", key)
	}
}

// stepList does something to the list.
func (o *everyKind) stepList(m *kindsModel, rule rules, depth int) {
	r := o.random
	var some []label
	var timedSome []timed[label]
	for range r.IntN(8) {
		some = append(some, label{int32(r.IntN(100)), randomText(r)})
		timedSome = append(timedSome, timed[label]{some[len(some)-1], *rule.now})
	}
	switch r.IntN(8) {
	case 0:
		for _, l := range some {
			o.list.Append(l)
		}
		m.list = append(m.list, timedSome...)
	case 1:
		o.list.AppendAll(some)
		m.list = append(m.list, timedSome...)
	case 2:
		o.list.Replace(some)
		o.replaced++
		m.list = timedSome
	case 3:
		n := 0
		for _, e := range m.list {
			if !rule.gone(e.used) {
				n++
			}
		}
		check(o, "length of list", n, o.list.Len(), true, true)
		check(o, "emptiness of list", n == 0, o.list.IsEmpty(), true, true)
	case 4:
		if r.IntN(4) == 0 {
			o.list.Clear()
			o.replaced++
			m.list = nil
		}
	default:
		if depth < 2 {
			o.loopList(m, rule, depth)
		}
	}
}

// loopList runs over the list; what its body appends it does not see.
func (o *everyKind) loopList(m *kindsModel, rule rules, depth int) {
	want := m.meetList(rule)
	i, replaced := 0, o.replaced
	for value := range o.list.All() {
		if o.replaced != replaced || i == len(want) {
			o.Fatalf("the list goes on with %v", value)
		}
		check(o, "element", want[i], value, true, true)
		i++
		switch o.random.IntN(12) {
		case 0:
			l := label{Text: randomText(o.random)}
			o.list.Append(l)
			m.list = append(m.list, timed[label]{l, *rule.now})
		case 1:
			o.stepTimes(m, rule, depth+1)
		case 2:
			if o.random.IntN(4) == 0 {
				o.list.Replace(want[:1])
				o.replaced++
				m.list = []timed[label]{{want[0], *rule.now}}
			}
		}
	}
	if o.replaced == replaced && i < len(want) {
		o.Fatalf("the list ends after %d elements of %d", i, len(want))
	}
}

func (o *everyKind) step(m *kindsModel, rule rules, depth int) {
	switch o.random.IntN(4) {
	case 0:
		o.stepValue(m, rule)
	case 1:
		o.stepTags(m, rule)
	case 2:
		o.stepTimes(m, rule, depth)
	case 3:
		o.stepList(m, rule, depth)
	}
}

// Goal: states of every kind hold what was put into them, by key, whatever the bodies of loops
// do, with every kind of time to live, through snapshots into other backends, and a row without
// content says so. Method: random steps against maps and slices, with a clock set by hand.
func TestEveryKind(t *testing.T) {
	const after, show = 50 * time.Millisecond, state.ReturnExpiredIfNotCleanedUp
	for name, ttl := range map[string]*state.TTL{
		"for ever":    nil,
		"default":     {After: after},
		"on read":     {After: after, Update: state.OnReadAndWrite},
		"show":        {After: after, Visibility: show},
		"show, touch": {After: after, Update: state.OnReadAndWrite, Visibility: show},
	} {
		t.Run(name, func(t *testing.T) {
			onBackends(t, func(t *testing.T, f backend.Factory) {
				for seed := range uint64(4) {
					runEveryKind(t, f, ttl, seed, nil)
				}
			})
		})
	}
}

// runEveryKind does random steps; between two keys sweep may remove what has expired.
func runEveryKind(
	t *testing.T, f backend.Factory, ttl *state.TTL, seed uint64, sweep *sweeping,
) {
	t.Logf("seed %d", seed)
	var options []state.Option
	rule := rules{}
	if ttl != nil {
		options = append(options, *ttl)
		rule = rules{
			millis: ttl.After.Milliseconds(), onRead: ttl.Update == state.OnReadAndWrite,
			show: ttl.Visibility == state.ReturnExpiredIfNotCleanedUp,
		}
	}
	o := declareKinds(t, f, seed, options...)
	cursor := declared.Of(&o.d).Cursor()
	rule.now = &cursor.Now
	models := map[uint64]*kindsModel{}
	for range 3000 {
		key := o.random.Uint64N(6)
		if models[key] == nil {
			models[key] = &kindsModel{
				tags:  map[string]timed[types.Null[int16]]{},
				times: map[int16]timed[label]{},
			}
		}
		o.at(key)
		for range 1 + o.random.IntN(3) {
			o.step(models[key], rule, 0)
		}
		got, empty := declared.Of(&o.d).Cursor().Empty(), models[key].empty(rule)
		if sweep.partly() { // What else has expired may be gone.
			models[key].sweep(rule)
			if empty = got; got && !models[key].empty(rule) {
				t.Fatalf("key %d is empty, want %v", key, models[key])
			}
		}
		if got != empty {
			t.Fatalf("key %d: empty %v, want %v", key, got, empty)
		}
		if empty {
			if err := o.table.Delete(cursor.Row); err != nil {
				t.Fatal(err)
			}
			delete(models, key)
		}
		if o.random.IntN(3) == 0 {
			cursor.Now += o.random.Int64N(30)
		}
		if o.random.IntN(300) == 0 {
			o.reopen(factories[o.random.IntN(len(factories))])
			sweep.begin(o)
		}
		sweep.some(o, models, rule)
		if err := declared.Of(&o.d).Err(); err != nil {
			t.Fatal(err)
		}
	}
	sweep.all(o, models, rule)
	if o.table.Len() != len(models) {
		t.Errorf("%d rows, want %d", o.table.Len(), len(models))
	}
}

// Goal: a long map and a long list come whole and in order when loops copy them in chunks,
// with small and with large entries, and composite user keys are in order. Method: count.
func TestLongCollections(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o := declareKinds(t, f, 1)
		o.at(1)
		const n = 3000
		large := make([]byte, 500)
		for i := range n {
			k := int16((i * 7919) % n)
			o.times.Put(k, label{int32(k), string(large[:i%500])})
			o.numbers.Append(int64(i))
			o.seen.Put(struct{ A, B string }{fmt.Sprint(i % 10), fmt.Sprint(i)}, struct{}{})
		}
		next := int16(0)
		for k, v := range o.times.All() {
			if k != next || v.N != int32(next) {
				t.Fatalf("key %d, value %d; want %d", k, v.N, next)
			}
			next++
		}
		for k := range o.times.Backward() {
			if next--; k != next {
				t.Fatalf("key %d, want %d", k, next)
			}
			if k%2 == 0 {
				o.times.Remove(k)
			}
		}
		if got := o.times.Len(); got != n/2 || next != 0 {
			t.Errorf("%d entries left", got)
		}
		want := int64(0)
		for v := range o.numbers.All() {
			if v != want {
				t.Fatalf("element %d, want %d", v, want)
			}
			want++
			o.numbers.Append(v)
		}
		if got := o.numbers.Len(); want != n || got != 2*n {
			t.Errorf("%d elements seen, %d there", want, got)
		}
		keys := slices.Collect(o.seen.Keys())
		if !slices.IsSortedFunc(keys, func(a, b struct{ A, B string }) int {
			return slices.Compare([]string{a.A, a.B}, []string{b.A, b.B})
		}) || len(keys) != n {
			t.Errorf("%d composite keys, or out of order", len(keys))
		}
		if err := declared.Of(&o.d).Err(); err != nil {
			t.Error(err)
		}
	})
}

// Goal: the written descriptions say where everything lies. Method: the states of every kind.
func TestDescribed(t *testing.T) {
	o := declareKinds(t, factories[0], 1, state.TTL{After: time.Hour})
	hour := time.Hour.Milliseconds()
	n := "(`value` BIGINT NOT NULL)"
	l := "(`n` INT NOT NULL, `text` STRING NOT NULL)"
	want := []declared.Description{
		{Name: "tags", Kind: "map", Schema: "(`value` SMALLINT)", Table: 1,
			UserKeySchema: "(`value` STRING NOT NULL)", TTLMillis: hour},
		{Name: "value", Kind: "value", Schema: l, TTLMillis: hour, TTLOffset: 8},
		{Name: "list", Kind: "list", Schema: l, Table: 2, TTLMillis: hour},
		{Name: "sum", Kind: "reducing", Schema: n, PresenceBit: 1, TTLMillis: hour,
			TTLOffset: 32},
		{Name: "times", Kind: "ordered-map", Schema: l, Table: 3,
			UserKeySchema: "(`value` SMALLINT NOT NULL)", TTLMillis: hour},
		{Name: "average", Kind: "aggregating", PresenceBit: 2, TTLMillis: hour, TTLOffset: 48,
			Schema: "(`sum` BIGINT NOT NULL, `n` BIGINT NOT NULL)"},
		{Name: "seen", Kind: "ordered-map", Schema: "()", Table: 4, TTLMillis: hour,
			UserKeySchema: "(`a` STRING NOT NULL, `b` STRING NOT NULL)"},
		{Name: "numbers", Kind: "list", Schema: n, Table: 5, TTLMillis: hour},
	}
	if diff := cmp.Diff(want, declared.Of(&o.d).Described()); diff != "" {
		t.Error(diff)
	}
	if got, want := o.layout.SerialFixed(), 8+(8+16)+(8+8)+(8+16); got != want {
		t.Errorf("fixed part of %d bytes, want %d", got, want)
	}
}

// Goal: faults of declarations name kind, state and cure, and are the user's. Method: a table.
func TestCollectionFaults(t *testing.T) {
	for _, c := range []struct {
		do   func(d *state.Declarations)
		want string
	}{
		{func(d *state.Declarations) { state.DeclareMap[map[string]int, int64](d, "m") },
			`state: declare map state "m": use type map[string]int as ordered key: ` +
				`map[string]int has no order here; ` +
				`use a bool, a number, string, []byte, or a struct or array of these`},
		{func(d *state.Declarations) { state.DeclareOrderedMap[int64, *int](d, "m") },
			`state: declare ordered-map state "m": map type *int to a schema: *int is not ` +
				`supported; use int, or types.Null[int] when it may be missing`},
		{func(d *state.Declarations) { state.DeclareList[string](d, "") },
			`state: declare list state "": the name is empty`},
		{func(d *state.Declarations) {
			state.DeclareValue[int64](d, "v", state.TTL{After: time.Microsecond})
		}, `state: declare value state "v": its time to live is 1µs; use whole milliseconds, ` +
			`at least one`},
		{func(d *state.Declarations) {
			ttl := state.TTL{After: time.Hour}
			state.DeclareValue[int64](d, "v", ttl, ttl)
		}, `state: declare value state "v": it has two times to live; give one`},
		{func(d *state.Declarations) {
			state.DeclareList[int64](d, "l", state.TTL{After: time.Hour, Update: 7})
		}, `state: declare list state "l": its time to live has update 7 and visibility 0; ` +
			`use the constants`},
	} {
		var d state.Declarations
		c.do(&d)
		if err := declared.Of(&d).Err(); err == nil || err.Error() != c.want ||
			fault.DomainOf(err) != fault.DomainUser {
			t.Errorf("error  %v\nwant   %s", err, c.want)
		}
	}
}

// Goal: handles whose declaration failed do nothing. Method: use them.
func TestFailedCollections(t *testing.T) {
	var d state.Declarations
	m := state.DeclareOrderedMap[chan int, int64](&d, "m")
	l := state.DeclareList[chan int](&d, "l")
	r := state.DeclareReducing(&d, "r", func(a, b chan int) chan int { return b })
	m.Put(nil, 1)
	m.Remove(nil)
	m.RemoveRange(nil, nil)
	m.Clear()
	l.Append(nil)
	l.Replace([]chan int{nil})
	r.Add(nil)
	_, inMap := m.Get(nil)
	_, _, first := m.First()
	_, reduced := r.Get()
	for range m.Range(nil, nil) {
		t.Error("an entry")
	}
	for range l.All() {
		t.Error("an element")
	}
	if inMap || first || reduced || m.Contains(nil) || m.Len()+l.Len() > 0 || !m.IsEmpty() ||
		!l.IsEmpty() {
		t.Error("there is something")
	}
}
