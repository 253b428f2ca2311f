package record_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// counting counts what comes back.
type counting struct{ recycled atomic.Int32 }

func (c *counting) Recycle(*record.Batch) { c.recycled.Add(1) }

// Goal: the last Release, and no other, returns a batch; one more is a broken invariant.
// Method: count what comes back.
func TestReferences(t *testing.T) {
	var owner counting
	b := record.NewBatch(&owner)
	b.Retain(2)
	b.Release()
	b.Release()
	if n := owner.recycled.Load(); n != 0 {
		t.Fatalf("recycled %d times with a reference left", n)
	}
	b.Release()
	if n := owner.recycled.Load(); n != 1 {
		t.Fatalf("recycled %d times after the last release", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a release too many was not noticed")
		}
	}()
	b.Release()
}

// Goal: a shared envelope keeps the rows alive, has its own selection, and gives the rows
// back last. Method: release root and shares in turn and count.
func TestShare(t *testing.T) {
	var owner counting
	b := record.NewBatch(&owner)
	b.Len, b.Payload = 3, &record.Rows[int]{Items: []int{1, 2, 3}}
	b.Timestamps = []eventtime.Timestamp{7, 8, 9}
	selection := []uint16{0, 2}
	s := b.Share(selection)
	again := s.Share(nil)
	all := b.Share(nil)
	selection[1] = 1
	if got := s.Len; got != 2 {
		t.Errorf("share counts %d rows, want 2", got)
	}
	if diff := cmp.Diff([]uint16{0, 2}, s.Selection); diff != "" {
		t.Errorf("selection (-want +got):\n%s", diff)
	}
	if again.Len != 2 || again.Payload != b.Payload || again.Timestamps[2] != 9 {
		t.Error("a share of a share must show the rows of the share")
	}
	if all.Len != 3 || all.Selection != nil {
		t.Error("a share without selection must show all rows")
	}
	all.Release()
	b.Release()
	s.Release()
	if n := owner.recycled.Load(); n != 0 {
		t.Fatal("rows recycled while a share is alive")
	}
	again.Release()
	if n := owner.recycled.Load(); n != 1 {
		t.Fatalf("rows recycled %d times, want once", n)
	}
}

// Goal: a recycled typed batch is empty, keeps its buffers, and holds no pointers.
// Method: fill, release, get again.
func TestRowsPool(t *testing.T) {
	p := record.NewRowsPool[*int](4)
	b := p.Get()
	rows := b.Payload.(*record.Rows[*int])
	items := rows.Items
	for i := range 4 {
		rows.Items = append(rows.Items, &i)
	}
	b.Timestamps = append(b.Timestamps, 1, 2, 3, 4)
	b.Hashes = append(b.Hashes, 1, 2, 3, 4)
	b.Len = 4
	b.Release()
	for i, p := range items[:4] {
		if p != nil {
			t.Errorf("item %d of an idle batch still points", i)
		}
	}
	if same := p.Get(); same != b || len(rows.Items) != 0 || cap(rows.Items) != 4 {
		t.Fatal("the pool must hand out the idle batch, empty")
	}
	if b.Len != 0 || len(b.Timestamps) != 0 || len(b.Hashes) != 0 {
		t.Error("a batch handed out must have no rows")
	}
	if b.Kinds != nil || b.Selection != nil {
		t.Error("slices never used must stay nil")
	}
	if cap(b.Timestamps) < 4 || cap(b.Hashes) < 4 {
		t.Error("buffers were not kept")
	}
	if other := p.Get(); other == b {
		t.Fatal("a batch in use was handed out")
	}
}

// Goal: an envelope of columns returns them to their pool exactly once. Method: a pool of one
// hands out the same columns again.
func TestColumnsRecycler(t *testing.T) {
	schema := &types.Schema{Fields: []types.Field{
		{Name: "a", Type: types.Type{Kind: types.BigInt}},
	}}
	pool := batch.NewPool(schema, 8, 1)
	r := &record.ColumnsRecycler{}
	c := pool.Get()
	c.Len = 5
	b := r.Wrap(c)
	if b.Len != 5 || b.Payload != c {
		t.Fatal("the envelope must show its columns")
	}
	b.Retain(1)
	b.Release()
	b.Release()
	if again := pool.Get(); again != c {
		t.Error("the columns did not return to their pool")
	}
	if again := r.Wrap(c); again != b {
		t.Error("the envelope was not reused")
	}
}

// Goal: in the steady state pools and shares allocate nothing, also when batches are released
// elsewhere. Method: count allocations of a get, fill, share, release round.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	p := record.NewRowsPool[int64](1024)
	selection := []uint16{1, 5, 9}
	round := func() {
		b := p.Get()
		rows := b.Payload.(*record.Rows[int64])
		for i := range 16 {
			rows.Items = append(rows.Items, int64(i))
			b.Timestamps = append(b.Timestamps, 1)
		}
		b.Len = len(rows.Items)
		s := b.Share(selection)
		b.Release()
		s.Release()
	}
	round()
	if allocs := testing.AllocsPerRun(1000, round); allocs != 0 {
		t.Errorf("%v allocations per batch, want 0", allocs)
	}
}

// Goal: references and pools hold under concurrent release. Method: two goroutines release the
// references of batches that a third takes from a pool; -race watches.
func TestConcurrentRelease(t *testing.T) {
	p := record.NewRowsPool[int](4)
	// A few, so that batches return while others are being filled.
	links := []chan *record.Batch{make(chan *record.Batch, 3), make(chan *record.Batch, 3)}
	group := lifecycle.NewGroup(t.Context(), "test")
	for _, link := range links {
		group.Go("receiver", receiver(t, link))
	}
	for i := range 1000 {
		b := p.Get()
		rows := b.Payload.(*record.Rows[int])
		rows.Items = append(rows.Items, i, i)
		b.Len = 2
		b.Retain(1)
		links[0] <- b
		links[1] <- b
	}
	close(links[0])
	close(links[1])
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// receiver releases every batch of a link after a look at its rows.
func receiver(t *testing.T, link <-chan *record.Batch) func(context.Context) error {
	return func(context.Context) error {
		for b := range link {
			items := b.Payload.(*record.Rows[int]).Items
			if len(items) != 2 || items[0] != items[1] {
				t.Errorf("batch holds %v, want a pair", items)
			}
			b.Release()
		}
		return nil
	}
}
