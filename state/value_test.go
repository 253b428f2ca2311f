package state_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// fourStates is an operator with four states, and the table of its rows.
type fourStates struct {
	*rows
	d       state.Declarations
	count   state.Value[int64]
	name    state.Value[string]
	complex state.Value[everything]
	note    state.Value[types.Null[string]]
}

func declare(t testing.TB, f backend.Factory) *fourStates {
	t.Helper()
	o := &fourStates{}
	o.count = state.DeclareValue[int64](&o.d, "count")
	o.name = state.DeclareValue[string](&o.d, "name")
	o.complex = state.DeclareValue[everything](&o.d, "complex")
	o.note = state.DeclareValue[types.Null[string]](&o.d, "note")
	layout, err := declared.Of(&o.d).Layout(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.Validate(); err != nil {
		t.Fatal(err)
	}
	o.rows = open(t, f, layout)
	declared.Of(&o.d).Cursor().Table = o.table
	return o
}

// at points the handles to a key.
func (o *fourStates) at(key uint64) {
	declared.Of(&o.d).Cursor().Row = o.row(key, backend.InsertClean)
}

// model is what the states of one key should be; nil is not set.
type model struct {
	count   *int64
	name    *string
	complex *everything
	note    *types.Null[string]
}

// step changes one state of the current key and of its model.
func (o *fourStates) step(r *rand.Rand, m *model) {
	switch r.IntN(7) {
	case 0:
		v := int64(r.Uint64())
		o.count.Set(v)
		m.count = &v
	case 1:
		v := randomText(r)
		o.name.Set(v)
		m.name = &v
	case 2:
		v := randomEverything(r)
		o.complex.Set(v)
		m.complex = &v
	case 3:
		v := null(r, randomText(r))
		o.note.Set(v)
		m.note = &v
	case 4:
		o.count.Clear()
		m.count = nil
	case 5:
		o.name.Clear()
		o.note.Clear()
		m.name, m.note = nil, nil
	case 6:
		o.complex.Clear()
		m.complex = nil
	}
}

// read returns what the states of the current key are.
func (o *fourStates) read() model {
	return model{
		count: pointer(o.count.Get()), name: pointer(o.name.Get()),
		complex: pointer(o.complex.Get()), note: pointer(o.note.Get()),
	}
}

func pointer[T any](v T, ok bool) *T {
	if !ok {
		return nil
	}
	return &v
}

// Goal: several states of a key are told apart, set, read and cleared without touching each
// other or other keys, and an emptied row says so. Method: random steps against a map.
func TestValues(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	var serial map[uint64]string
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o, models := declare(t, f), map[uint64]*model{}
		r := rand.New(rand.NewPCG(seed, 0))
		for range 5000 {
			key := r.Uint64N(30)
			m := models[key]
			if m == nil {
				m = &model{}
				models[key] = m
			}
			o.at(key)
			o.step(r, m)
			if diff := cmp.Diff(*m, o.read(), cmp.AllowUnexported(model{})); diff != "" {
				t.Fatalf("key %d: %s", key, diff)
			}
			if got, want := declared.Of(&o.d).Cursor().Empty(), *m == (model{}); got != want {
				t.Fatalf("key %d: empty %v, want %v", key, got, want)
			}
		}
		if err := declared.Of(&o.d).Err(); err != nil {
			t.Fatal(err)
		}
		rows := o.serial()
		if serial == nil {
			serial = rows
		}
		if diff := cmp.Diff(serial, rows); diff != "" {
			t.Errorf("rows differ between backends: %s", diff)
		}
	})
}

// Goal: Clear of the last state leaves nothing of the values in the row but null bits.
// Method: set all, clear all, look at the bytes.
func TestClearLeavesNothing(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		var d state.Declarations
		a := state.DeclareValue[gapless](&d, "a")
		b := state.DeclareValue[string](&d, "b")
		layout, err := declared.Of(&d).Layout(1)
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, layout)
		rows.point(&d, 5)
		a.Set(gapless{1, 2, 3})
		b.Set("text that is longer than a slot")
		a.Clear()
		b.Clear()
		b.Clear()
		want := map[uint64]string{5: strings.Repeat("\x00", layout.FixedBytes)}
		if diff := cmp.Diff(want, rows.serial()); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: faults of declarations name the state and the cure and are the user's. Method: a
// table of programs.
func TestDeclarationFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *state.Declarations)
		want string
	}{
		{"twice", func(d *state.Declarations) {
			state.DeclareValue[int64](d, "sum")
			state.DeclareValue[string](d, "sum")
		}, `state: declare value state "sum": the name is declared twice`},
		{"empty", func(d *state.Declarations) { state.DeclareValue[int64](d, "") },
			`state: declare value state "": the name is empty`},
		{"late", func(d *state.Declarations) {
			if _, err := declared.Of(d).Layout(1); err != nil {
				panic(err)
			}
			state.DeclareValue[int64](d, "late")
		}, `state: declare value state "late": the operator already runs; ` +
			`declare every state when it is opened`},
		{"type", func(d *state.Declarations) { state.DeclareValue[[]string](d, "tags") },
			`state: declare value state "tags": map type []string to a schema: ` +
				`[]string is not supported; use []byte with an encoding of your own, ` +
				`or one record for each element`},
		{"many", func(d *state.Declarations) {
			for i := range state.MaxStates + 1 {
				state.DeclareValue[int8](d, fmt.Sprint("s", i))
			}
		}, `state: declare value state "s64": an operator has at most 64 states; ` +
			`use one state of a struct type`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d state.Declarations
			c.do(&d)
			err := declared.Of(&d).Err()
			if err == nil || err.Error() != c.want {
				t.Errorf("error  %v\nwant   %s", err, c.want)
			}
			if fault.DomainOf(err) != fault.DomainUser {
				t.Errorf("domain %v", fault.DomainOf(err))
			}
			if _, again := declared.Of(&d).Layout(1); again != err {
				t.Errorf("Layout returns %v", again)
			}
		})
	}
}

// Goal: a handle whose declaration failed does nothing, so that the job fails with the reason
// and not with a panic. Method: use one.
func TestFailedHandle(t *testing.T) {
	var d state.Declarations
	v := state.DeclareValue[map[string]int](&d, "m")
	v.Set(nil)
	v.Update(nil)
	v.Clear()
	if _, ok := v.Get(); ok {
		t.Error("it has a value")
	}
}

// Goal: 64 states fit, the last of them works, and Described tells them in order. Method:
// declare as many, set the last.
func TestManyStates(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		var d state.Declarations
		var handles []state.Value[int16]
		for i := range state.MaxStates {
			handles = append(handles, state.DeclareValue[int16](&d, fmt.Sprint("s", i)))
		}
		layout, err := declared.Of(&d).Layout(1)
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, layout)
		rows.point(&d, 1)
		for i, h := range handles {
			h.Set(int16(i))
		}
		for i, h := range handles {
			if v, ok := h.Get(); !ok || int(v) != i {
				t.Errorf("state %d is %d, %v", i, v, ok)
			}
			h.Clear()
		}
		if !declared.Of(&d).Cursor().Empty() {
			t.Error("the row is not empty")
		}
		want := declared.Description{
			Name: "s63", Kind: "value", Schema: "(`value` SMALLINT NOT NULL)",
			PresenceBit: 63,
		}
		if diff := cmp.Diff(want, declared.Of(&d).Described()[63]); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: a write the backend refuses is kept for the task. Method: a value that is too long,
// on a table that says so without reading it.
func TestWriteFault(t *testing.T) {
	var d state.Declarations
	v := state.DeclareValue[string](&d, "s")
	layout, err := declared.Of(&d).Layout(1)
	if err != nil {
		t.Fatal(err)
	}
	rows := open(t, factories[0], layout)
	rows.point(&d, 1).Table = refusing{rows.table}
	v.Set("x")
	if err := declared.Of(&d).Err(); err == nil ||
		err.Error() != `state: write value state "s": full` {
		t.Errorf("error %v", err)
	}
}

type refusing struct{ backend.Table }

func (refusing) SetValue(backend.Row, int, []byte) error { return fmt.Errorf("full") }

// Goal: reading and writing numbers allocates nothing. Method: count allocations.
func TestValueAllocations(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		var d state.Declarations
		v := state.DeclareValue[direct](&d, "s")
		layout, err := declared.Of(&d).Layout(1)
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, layout)
		rows.point(&d, 1)
		if allocs := testing.AllocsPerRun(100, func() {
			x, _ := v.Get()
			x.A++
			v.Set(x)
		}); allocs != 0 {
			t.Errorf("%v allocations for a Get and a Set", allocs)
		}
	})
}

// BenchmarkUpdate is an Update, and a Get with a Set, of a struct of numbers.
func BenchmarkUpdate(b *testing.B) {
	for _, f := range factories {
		var d state.Declarations
		v := state.DeclareValue[gapless](&d, "s")
		layout, err := declared.Of(&d).Layout(1)
		if err != nil {
			b.Fatal(err)
		}
		rows := open(b, f, layout)
		rows.point(&d, 1)
		b.Run(f.Name()+"/update", func(b *testing.B) {
			for b.Loop() {
				v.Update(func(value *gapless) { value.A++ })
			}
		})
		b.Run(f.Name()+"/get and set", func(b *testing.B) {
			for b.Loop() {
				value, _ := v.Get()
				value.A++
				v.Set(value)
			}
		})
	}
}

// BenchmarkValue is one Get and one Set of a struct with padding.
func BenchmarkValue(b *testing.B) {
	for _, f := range factories {
		b.Run(f.Name(), func(b *testing.B) {
			var d state.Declarations
			v := state.DeclareValue[direct](&d, "s")
			layout, err := declared.Of(&d).Layout(1)
			if err != nil {
				b.Fatal(err)
			}
			rows := open(b, f, layout)
			rows.point(&d, 1)
			b.ReportAllocs()
			for b.Loop() {
				x, _ := v.Get()
				x.A++
				v.Set(x)
			}
		})
	}
}
