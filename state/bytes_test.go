package state_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

// bytesOf checks that the bytes of values are those of a row that holds them, and that they
// are read back wherever they lie.
func bytesOf[T any](t *testing.T, name string, random func(*rand.Rand) T) {
	t.Run(name, func(t *testing.T) {
		const seed = 9
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		codec, err := declared.NewCodec[T]()
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			v, got := random(r), random(r) // what is there before must not show
			b := codec.Append([]byte{1, 2, 3}, &v)[3:]
			rows := open(t, naive.Factory{}, codec.Row(1))
			if err := codec.Store(rows.table, rows.row(1, backend.Insert), &v); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rows.serial()[1], string(b)); diff != "" {
				t.Fatalf("%+v: %s", v, diff)
			}
			if err := codec.LoadBytes(b, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, got); diff != "" {
				t.Fatal(diff)
			}
			if err := codec.LoadBytes(append(b[:len(b):len(b)], 0), &got); err == nil {
				t.Fatal("one byte too many was taken")
			}
			if len(b) > 0 {
				if err := codec.LoadBytes(b[:len(b)-1], &got); err == nil {
					t.Fatal("one byte too few was taken")
				}
			}
		}
	})
}

// Goal: a value in a collection has the bytes of a row of its own, and damage is noticed.
// Method: random values of types of every shape, against a row of the naive backend.
func TestCodecAppend(t *testing.T) {
	bytesOf(t, "everything", randomEverything)
	bytesOf(t, "direct", func(r *rand.Rand) direct {
		return direct{int64(r.Uint64()), int8(r.Uint32()), int16(r.Uint32()), 1, true}
	})
	bytesOf(t, "gapless", func(r *rand.Rand) gapless {
		return gapless{int64(r.Uint64()), int64(r.Uint64()), r.Float64()}
	})
	bytesOf(t, "unsigned", func(r *rand.Rand) unsigned { return unsigned{r.Uint32(), 5} })
	bytesOf(t, "int32", func(r *rand.Rand) int32 { return int32(r.Uint32()) })
	bytesOf(t, "string", randomText)
	bytesOf(t, "null", func(r *rand.Rand) types.Null[string] { return null(r, randomText(r)) })
	bytesOf(t, "nothing", func(*rand.Rand) struct{} { return struct{}{} })
}

// FuzzLoadBytes reads bytes that nobody wrote: an error or a value, never a panic.
func FuzzLoadBytes(f *testing.F) {
	codec, err := declared.NewCodec[everything]()
	if err != nil {
		f.Fatal(err)
	}
	v := randomEverything(rand.New(rand.NewPCG(1, 0)))
	f.Add(codec.Append(nil, &v))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v everything
		if codec.LoadBytes(b, &v) == nil && len(codec.Append(nil, &v)) > len(b) {
			t.Errorf("%+v from %d bytes", v, len(b))
		}
	})
}

// Goal: bytes that no program wrote are noticed when they are read, and fail the job. Method:
// put bytes of another type under the states, read them.
func TestDamagedCollections(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(table backend.Table, row backend.Row) error
		want   string
	}{
		"key": {func(table backend.Table, row backend.Row) error {
			return table.MapPut(row, 0, []byte{1}, make([]byte, 16))
		}, "state: read user key: decode ordered key of type int64 from 01: "},
		"long key": {func(table backend.Table, row backend.Row) error {
			return table.MapPut(row, 0, make([]byte, 9), make([]byte, 16))
		}, "state: read user key: 1 bytes follow"},
		"entry": {func(table backend.Table, row backend.Row) error {
			return table.MapPut(row, 0, make([]byte, 8), make([]byte, 17))
		}, "state: read a value of type int64 from 17 bytes: want 8"},
		"element": {func(table backend.Table, row backend.Row) error {
			return table.ListAppend(row, 1, make([]byte, 2))
		}, "state: read a value of type int64 from 2 bytes: want 8"},
		"entry without time": {func(table backend.Table, row backend.Row) error {
			return table.MapPut(row, 2, make([]byte, 8), make([]byte, 7))
		}, "state: read map entry: 7 bytes, want its time of last use"},
		"element without time": {func(table backend.Table, row backend.Row) error {
			return table.ListAppend(row, 3, make([]byte, 7))
		}, "state: read list element: 7 bytes, want its time of last use"},
	} {
		t.Run(name, func(t *testing.T) {
			var d state.Declarations
			m := state.DeclareMap[int64, int64](&d, "m")
			l := state.DeclareList[int64](&d, "l")
			timedMap := state.DeclareMap[int64, int64](&d, "tm", state.TTL{After: time.Hour})
			timedList := state.DeclareList[int64](&d, "tl", state.TTL{After: time.Hour})
			layout, err := declared.Of(&d).Layout(1)
			if err != nil {
				t.Fatal(err)
			}
			rows := open(t, naive.Factory{}, layout)
			rows.point(&d, 1)
			if err := c.damage(rows.table, declared.Of(&d).Cursor().Row); err != nil {
				t.Fatal(err)
			}
			for range m.All() {
				t.Error("an entry")
			}
			for range timedMap.All() {
				t.Error("an entry")
			}
			for range l.All() {
				t.Error("an element")
			}
			for range timedList.All() {
				t.Error("an element")
			}
			if err := declared.Of(&d).Err(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Goal: an entry has the bytes of the example in docs/formats/row.md. Method: look at them.
func TestEntryBytes(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		var d state.Declarations
		m := state.DeclareMap[int32, types.Null[string]](&d, "m", state.TTL{After: time.Hour})
		layout, err := declared.Of(&d).Layout(1)
		if err != nil {
			t.Fatal(err)
		}
		rows := open(t, f, layout)
		rows.point(&d, 1).Now = 1
		m.Put(7, types.NullOf("ab"))
		var got []byte
		row := declared.Of(&d).Cursor().Row
		rows.table.MapScan(row, 0, nil, nil, func(userKey, value []byte) bool {
			got = append(append(got, userKey...), value...)
			return true
		})
		want := []byte{0x80, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Goal: a user key that is too long fails the job, by the program's fault, and the error says
// which state and what helps. Method: put one.
func TestCollectionWriteFault(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		o := declareKinds(t, f, 1)
		o.at(1)
		long := string(bytes.Repeat([]byte{'a'}, backend.MaxUserKeyBytes))
		o.tags.Put(long, types.NullOf[int16](1))
		err := declared.Of(&o.d).Err()
		want := `state: write map state "tags": user key of 65538 bytes, at most 65536 are ` +
			"possible: use a shorter one, such as a hash of it"
		if fault.DomainOf(err) != fault.DomainUser || err.Error() != want {
			t.Errorf("%v error %v", fault.DomainOf(err), err)
		}
	})
}

// Goal: reading entries of numbers allocates nothing, nor do short loops over a map and over a
// list. Method: count allocations.
func TestCollectionAllocations(t *testing.T) {
	onBackends(t, func(t *testing.T, f backend.Factory) {
		if f.Name() == naive.Name {
			t.Skip("the naive backend allocates")
		}
		o := declareCounts(t, f)
		for i := range int64(5) {
			o.counts.Put(i, gapless{A: i})
			o.numbers.Append(i)
		}
		if allocs := testing.AllocsPerRun(100, func() {
			v, _ := o.counts.Get(3)
			v.A++
			o.counts.Put(3, v)
			sum := int64(0)
			for k, v := range o.counts.All() {
				sum += k + v.A
			}
			for v := range o.numbers.All() {
				sum += v
			}
		}); allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}

// counts is a map and a list of numbers.
type counts struct {
	d       state.Declarations
	counts  state.Map[int64, gapless]
	numbers state.List[int64]
}

func declareCounts(t testing.TB, f backend.Factory) *counts {
	o := &counts{}
	o.counts = state.DeclareMap[int64, gapless](&o.d, "counts")
	o.numbers = state.DeclareList[int64](&o.d, "numbers")
	layout, err := declared.Of(&o.d).Layout(1)
	if err != nil {
		t.Fatal(err)
	}
	rows := open(t, f, layout)
	rows.point(&o.d, 1)
	return o
}

// BenchmarkMap is a Get and a Put of a map with 100 entries, and a loop over all of it.
func BenchmarkMap(b *testing.B) {
	for _, f := range factories {
		o := declareCounts(b, f)
		for i := range int64(100) {
			o.counts.Put(i, gapless{A: i})
		}
		b.Run(f.Name()+"/get and put", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, _ := o.counts.Get(50)
				v.A++
				o.counts.Put(50, v)
			}
		})
		b.Run(f.Name()+"/loop of 100", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range o.counts.All() {
				}
			}
		})
	}
}
