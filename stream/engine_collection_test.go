package stream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// hoard keeps the numbers of a key in states of every kind, which must say the same.
type hoard struct {
	attack  *attack
	program string // what is declared, in order

	count state.Value[int64]
	sum   state.Reducing[int64]
	list  state.List[number]
	byID  state.OrderedMap[int64, string]
	tags  state.Map[string, int64]
	more  state.Map[string, int64]
}

func (h *hoard) Open(d *state.Declarations) error {
	ttl := state.TTL{After: time.Hour, Update: state.OnReadAndWrite}
	h.count = state.DeclareValue[int64](d, "count")
	for _, name := range strings.Fields(h.program) {
		switch name {
		case "list":
			h.list = state.DeclareList[number](d, name)
		case "ids":
			h.byID = state.DeclareOrderedMap[int64, string](d, name)
		case "tags":
			h.tags = state.DeclareMap[string, int64](d, name, ttl)
		case "more":
			h.more = state.DeclareMap[string, int64](d, name)
		case "tags-for-ever":
			h.tags = state.DeclareMap[string, int64](d, "tags")
		}
	}
	h.sum = state.DeclareReducing(d, "sum", func(a, b int64) int64 { return a + b }, ttl)
	return nil
}

func (h *hoard) Process(
	_ *stream.Context[int64], n number, out stream.Collector[counted],
) error {
	h.count.Update(func(count *int64) { *count++ })
	count, _ := h.count.Get()
	h.sum.Add(n.ID)
	h.list.Append(n)
	h.byID.Put(n.ID, textOf(n.Key, n.ID))
	h.tags.Put(fmt.Sprint("number ", n.ID), n.ID)
	if strings.Contains(h.program, "more") {
		h.more.Put("a", count)
	}
	if err := h.compare(n.Key, count); err != nil {
		return err
	}
	out.Collect(counted{n.ID, n.Key, count})
	if count == clearAt {
		h.count.Clear()
		h.sum.Clear()
		h.list.Clear()
		h.tags.Clear()
		for id := range h.byID.All() {
			h.byID.Remove(id)
		}
		if strings.Contains(h.program, "more") {
			h.more.Clear()
		}
	}
	return h.attack.called()
}

func (h *hoard) compare(key, count int64) error {
	var inList, inMap, inTags []int64
	sum, total := int64(0), int64(0)
	for n := range h.list.All() {
		inList, sum = append(inList, n.ID), sum+n.ID
	}
	for id, text := range h.byID.All() {
		if text != textOf(key, id) {
			return fmt.Errorf("key %d has text %q of number %d", key, text, id)
		}
		inMap = append(inMap, id)
	}
	for _, id := range h.tags.All() {
		inTags = append(inTags, id)
	}
	slices.Sort(inList)
	slices.Sort(inTags)
	if total, _ = h.sum.Get(); total != sum || len(inList) != int(count) ||
		!slices.Equal(inList, inMap) || !slices.Equal(inList, inTags) {
		return fmt.Errorf("key %d has count %d, sum %d, list %v, map %v, tags %v",
			key, count, total, inList, inMap, inTags)
	}
	return nil
}

func (a *attack) runHoard(t *testing.T, program string, allow bool) (*stream.Result, error) {
	t.Helper()
	e := a.configure()
	if allow {
		e.AllowNonRestoredState()
	}
	counts := stream.Process(
		stream.KeyBy(a.source(t, e), func(n number) int64 { return n.Key }), "hoard",
		func() stream.KeyedProcessFunction[int64, number, counted] {
			return &hoard{attack: a, program: program}
		})
	stream.SinkTo(counts, "counted", sinkFor[counted](t, "counted"))
	return e.Execute(context.Background())
}

// Goal: states of every kind come through checkpoints, restores on other backends and at other
// parallelism, and programs that declare collections in another order, add one and leave one
// out; what does not fit is refused before any record is read. Method: a job whose states must
// say the same, stopped four times and continued otherwise; its output is counted.
func TestEngineCollections(t *testing.T) {
	a := newAttack()
	a.rate = 10000
	a.tolerable = 3
	for i, part := range []struct {
		program, backend string
		parallelism      int
		allow            bool
	}{
		{"list ids tags", "hashmap", 2, false},
		{"tags list more ids", "hashmap", 3, false},
		{"more ids tags list", "naive", 1, false},
		{"ids tags list", "hashmap", 2, true},
	} {
		a.parallelism, a.backend = part.parallelism, part.backend
		if i > 0 {
			a.restore = "latest"
		}
		if i == 3 {
			a.refuseHoard(t)
		}
		a.stopAt(a.numbers / 20)
		r, err := a.runHoard(t, part.program, part.allow)
		// On a slow machine it may come to its end before it has stopped.
		if err != nil || r.Status != "SUSPENDED" && r.Status != "FINISHED" {
			t.Fatalf("part %d: %+v, %v", i, r, err)
		}
	}
	a.undisturbed()
	if r, err := a.runHoard(t, "ids tags list", false); err != nil || r.Status != "FINISHED" {
		t.Fatalf("%+v, %v", r, err)
	}
	want, got := map[int64]int{}, map[int64]int{}
	for id := range a.numbers {
		want[id]++
	}
	for row, n := range rowsOf[counted](t, a, "counted") {
		got[row.ID] += n
	}
	different(t, "numbers", want, got)
}

// refuseHoard continues with programs that do not fit.
func (a *attack) refuseHoard(t *testing.T) {
	t.Helper()
	for program, want := range map[string]string{
		"ids tags list":               `operator "hoard": the checkpoint has state "more" (map from`,
		"more ids tags-for-ever list": "give it a time to live, of any length",
	} {
		a.calls.Store(0)
		_, err := a.runHoard(t, program, false)
		if err == nil || !strings.Contains(err.Error(), want) || a.calls.Load() > 0 {
			t.Errorf("error %v after %d calls, want %q", err, a.calls.Load(), want)
		}
	}
}
