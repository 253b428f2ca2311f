package stream_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/internal/checkpoint/store"
	"github.com/leat-io/leat/internal/state/view"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// forgetful keeps what expires soon of every key, and what stays of some keys.
type forgetful struct {
	check  bool // that nothing is there but what stays
	looked *atomic.Int64
	long   state.Value[string]
	short  state.Value[string]
	ids    state.Map[int64, string]
	list   state.List[string]
}

const shortLife = 200 * time.Millisecond

func (f *forgetful) Open(d *state.Declarations) error {
	ttl := state.TTL{After: shortLife}
	f.long = state.DeclareValue[string](d, "long", state.TTL{After: time.Hour})
	f.short = state.DeclareValue[string](d, "short", ttl)
	f.ids = state.DeclareMap[int64, string](d, "ids", ttl)
	f.list = state.DeclareList[string](d, "list", ttl)
	return nil
}

// stays reports whether a key has something that lives for long.
func stays(key int64) bool { return key%10 == 0 }

func (f *forgetful) Process(
	_ *stream.Context[int64], n number, _ stream.Collector[counted],
) error {
	if n.Key < 0 {
		return nil // to let time pass
	}
	if f.check {
		f.looked.Add(1)
		long, _ := f.long.Get()
		_, short := f.short.Get()
		if (long == textOf(n.Key, 0)) != stays(n.Key) || short || !f.ids.IsEmpty() ||
			!f.list.IsEmpty() {
			return fmt.Errorf("key %d has %q, short %v", n.Key, long, short)
		}
		return nil
	}
	if stays(n.Key) {
		f.long.Set(textOf(n.Key, 0))
	}
	f.short.Set(textOf(n.Key, 1))
	f.ids.Put(n.ID, textOf(n.Key, 2))
	f.list.Append(textOf(n.Key, 3))
	return nil
}

// Goal: what has expired is gone from checkpoints after a while, though no record of its key
// comes, with runs being merged and without a restore, and what lives stays, also when it is
// restored, on another backend. Method: a wave of keys, then records without state for several
// times to live, a checkpoint every few milliseconds; a look into the last one; a second run that
// looks at every key.
func TestEngineExpiredStateLeavesCheckpoints(t *testing.T) {
	const keys = 1000
	eachBackend(t, func(t *testing.T, a *attack) {
		var looked atomic.Int64
		run := func(check bool, count int64, keyOf func(id int64) int64, rate int) {
			t.Helper()
			e := a.configure()
			numbers := stream.Generate(e, "numbers", count,
				func(i int64) number { return number{i, keyOf(i)} }, stream.WithRate[number](rate))
			out := stream.Process(
				stream.KeyBy(numbers, func(n number) int64 { return n.Key }), "forgetful",
				func() stream.KeyedProcessFunction[int64, number, counted] {
					return &forgetful{check: check, looked: &looked}
				})
			stream.ForEach(out, "out", func(counted) error { return nil })
			if r, err := e.Execute(t.Context()); err != nil || r.Status != "FINISHED" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		// Half a second or more comes behind the keys.
		run(false, 5*keys, func(id int64) int64 {
			if id < keys {
				return id
			}
			return -1 - id
		}, 2500)
		rows, elements := a.lookForgetful(t)
		if rows != keys/10 || elements != 0 {
			t.Errorf("%d rows and %d elements, want %d and none", rows, elements, keys/10)
		}
		a.restore, a.backend = "latest", map[string]string{
			"hashmap": "naive", "naive": "hashmap"}[a.backend]
		// Numbers below 5*keys were read already.
		run(true, 6*keys, func(id int64) int64 { return id % keys }, 0)
		if looked.Load() != keys {
			t.Errorf("%d keys were looked at", looked.Load())
		}
	})
}

// lookForgetful counts rows, and entries and elements, in the last checkpoint.
func (a *attack) lookForgetful(t *testing.T) (rows, elements int) {
	t.Helper()
	s, err := store.Open(t.Context(), a.files, a.root, "attacked")
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := view.New(found.Meta, found.OpenFile)
	o, err := c.Find("forgetful")
	if err != nil {
		t.Fatal(err)
	}
	sections, err := o.Sections()
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range sections {
		err := c.Scan(t.Context(), section, view.Query{}, func(e view.Entry) bool {
			if section.Form != view.RowForm {
				elements++
				return true
			}
			for i, v := range e.Values {
				if v.Set != (section.States[i].Name == "long") {
					t.Errorf("key %v: %s is set: %v", e.Key, section.States[i].Name, v.Set)
				}
			}
			rows++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return rows, elements
}
