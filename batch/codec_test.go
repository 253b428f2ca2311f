package batch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/types"
)

type level int16

type everything struct {
	B    bool
	I8   int8
	U8   uint8
	L    level
	U16  uint16
	I32  int32
	U32  uint32
	I    int
	I64  int64
	F32  float32
	F64  float64
	S    string
	Raw  []byte
	At   eventtime.Timestamp
	Took time.Duration
	NI   types.Null[int32]
	NS   types.Null[string]
	NB   types.Null[bool]
	NR   types.Null[[]byte]
	Skip map[string]int `leat:"-"`
}

func codecOf[T any](t testing.TB) *StructCodec[T] {
	t.Helper()
	x, err := CodecOf[T]()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func text(random *rand.Rand) string {
	b := make([]byte, random.IntN(25))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func null[V any](random *rand.Rand, v V) types.Null[V] {
	if random.IntN(3) == 0 {
		return types.Null[V]{}
	}
	return types.NullOf(v)
}

func randomRecord(random *rand.Rand) everything {
	n := random.Uint64()
	return everything{
		B: n&1 != 0, I8: int8(n), U8: uint8(n), L: level(n), U16: uint16(n), I32: int32(n),
		U32: uint32(n), I: int(n), I64: int64(n), F32: float32(n), F64: float64(n),
		S: text(random), Raw: []byte(text(random)), At: eventtime.Timestamp(n),
		Took: time.Duration(n), NI: null(random, int32(n)), NS: null(random, text(random)),
		NB: null(random, true), NR: null(random, []byte(text(random))),
	}
}

// Goal: records of all supported fields come back through columns, in whole and by selection,
// when batches are recycled, and what was read earlier stays as it was. Method: random records
// through one pooled batch again and again, all results kept and compared at the end.
func TestCodecRoundTrip(t *testing.T) {
	const seed = 5
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	x := codecOf[everything](t)
	pool := NewPool(x.Schema(), 400, 1)
	var want, got []everything
	for range 60 {
		c := pool.Get()
		records := make([]everything, 1+random.IntN(400))
		for i := range records {
			records[i] = randomRecord(random)
		}
		half := len(records) / 2
		x.Write(records[:half], c, 0)
		x.Write(records[half:], c, half)
		if c.Len != len(records) {
			t.Fatalf("%d rows of %d records", c.Len, len(records))
		}
		var sel []uint16
		if random.IntN(2) == 0 {
			sel = []uint16{}
			for i := range records {
				if random.IntN(2) == 0 {
					sel = append(sel, uint16(i))
					want = append(want, records[i])
				}
			}
		} else {
			want = append(want, records...)
		}
		var err error
		if got, err = x.Read(c, sel, got); err != nil {
			t.Fatal(err)
		}
		c.Release()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff[:min(len(diff), 2000)])
	}
}

// Goal: strings of every length up to beyond inline come back exactly, and their views have zeros
// behind. Method: all lengths to 40.
func TestCodecStringLengths(t *testing.T) {
	x := codecOf[string](t)
	var src []string
	for n := range 40 {
		src = append(src, strings.Repeat("~", n/2)+"abcdefghijklmnopqrstuvwxyz"[:n-n/2])
	}
	c := New(x.Schema(), 64)
	for row := range 64 {
		c.SetString(0, row, []byte("something else")) // left over
	}
	x.Write(src, c, 0)
	got, err := x.Read(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(src, got[:len(src)]); diff != "" {
		t.Error(diff)
	}
	for row := range src {
		if !c.Columns[0].Views[row].Valid(c.Buffers) {
			t.Errorf("row %d has the view %+v", row, c.Columns[0].Views[row])
		}
	}
}

// Goal: rows written over null rows are not null. Method: a field of either kind.
func TestCodecOverwritesNulls(t *testing.T) {
	type record struct {
		A int
		B types.Null[int]
	}
	x := codecOf[record](t)
	c := New(x.Schema(), 8)
	c.SetNull(0, 1)
	c.SetNull(1, 1)
	want := []record{{1, types.NullOf(2)}, {3, types.NullOf(4)}}
	x.Write(want, c, 0)
	got, err := x.Read(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Goal: null is the zero types.Null, whatever is left over in the column or the record. Method:
// nulls over values, read into records with other values.
func TestCodecReadsNullAsZero(t *testing.T) {
	type record struct {
		A types.Null[int]
		B types.Null[string]
		C types.Null[[]byte]
		D int `leat:"-"`
	}
	x := codecOf[record](t)
	c := New(x.Schema(), 4)
	full := record{types.NullOf(1), types.NullOf("text"), types.NullOf([]byte("raw")), 0}
	x.Write([]record{full, full}, c, 0)
	for col := range 3 {
		c.SetNull(col, 1)
	}
	used := []record{full, {D: 1}, full}
	used[2].D = 1
	got, err := x.Read(c, nil, used[:1])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]record{full, full, {}}, got); diff != "" {
		t.Error(diff)
	}
}

// Goal: a null without a place is an error naming row and column, unless it is not selected.
// Method: one null in the middle of the second word of validity bits.
func TestCodecReadNull(t *testing.T) {
	type record struct {
		A int
		B string
	}
	x := codecOf[record](t)
	c := New(x.Schema(), 128)
	x.Write(make([]record, 100), c, 0)
	c.SetNull(1, 70)
	c.SetNull(1, 120) // beyond Len
	before := []record{{A: 9}}
	for _, sel := range [][]uint16{nil, {3, 70}} {
		got, err := x.Read(c, sel, before)
		if err == nil || !strings.Contains(err.Error(), `column "b"`) ||
			!strings.Contains(err.Error(), "row 70") || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if got, err := x.Read(c, []uint16{69, 71}, before); err != nil || len(got) != 3 {
		t.Errorf("got %v, %v", got, err)
	}
	c.SetValid(1, 70)
	if got, err := x.Read(c, nil, nil); err != nil || len(got) != 100 {
		t.Errorf("got %d, %v", len(got), err)
	}
	if _, err := codecOf[struct{ A, B int }](t).Read(c, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "it holds views, want int64") {
		t.Errorf("got %v", err)
	}
	if _, err := codecOf[int](t).Read(c, nil, nil); err == nil ||
		!strings.Contains(err.Error(), "read 2 columns") {
		t.Errorf("got %v", err)
	}
}

// Goal: nested structs and unsupported fields are refused with a cure. Method: one of each.
func TestCodecRefuses(t *testing.T) {
	type nested struct{ In struct{ A int } }
	if _, err := CodecOf[nested](); err == nil || !strings.Contains(err.Error(), `"in"`) {
		t.Errorf("got %v", err)
	}
	if _, err := CodecOf[struct{ C chan int }](); err == nil ||
		!strings.Contains(err.Error(), `"C"`) {
		t.Errorf("got %v", err)
	}
}

type bid struct {
	Auction int64
	Bidder  int64
	Price   int64
	At      eventtime.Timestamp
	Channel string
	URL     string
	Extra   string
}

func bids(n int) []bid {
	all := make([]bid, n)
	for i := range all {
		all[i] = bid{
			Auction: int64(i), Bidder: int64(i * 7), Price: int64(i * 13), At: 1704067200000,
			Channel: []string{"Google", "Facebook", "Baidu", "Apple"}[i%4],
			URL:     fmt.Sprintf("https://www.nexmark.com/abc/%06d/item.htm?query=1", i),
			Extra:   strings.Repeat("x", 40+i%20),
		}
	}
	return all
}

// Goal: the steady state allocates at most one thousandth of an allocation per record. Method:
// write, read and recycle batches of 1,024 bids, with and without reading, and gather them.
func TestCodecAllocations(t *testing.T) {
	x := codecOf[bid](t)
	src := bids(DefaultRows)
	dst := make([]bid, 0, DefaultRows)
	pool, gathered := NewPool(x.Schema(), DefaultRows, 2), NewPool(x.Schema(), DefaultRows, 2)
	sel := []uint16{1, 5, 9, 1000}
	for name, c := range map[string]struct {
		most float64 // allocations per record
		run  func(c *Columns)
	}{
		"write": {0, func(*Columns) {}},
		"read":  {0.001, func(c *Columns) { dst, _ = x.Read(c, nil, dst[:0]) }},
		"gather": {0.001, func(c *Columns) {
			out := gathered.Get()
			c.Gather(out, sel)
			out.Release()
		}},
	} {
		const batches = 200 // in one run, since AllocsPerRun drops fractions
		got := testing.AllocsPerRun(1, func() {
			for range batches {
				b := pool.Get()
				x.Write(src, b, 0)
				c.run(b)
				b.Release()
			}
		}) / (batches * DefaultRows)
		t.Logf("%s: %v allocations per record", name, got)
		if got > c.most {
			t.Errorf("%s: %v allocations per record, want at most %v", name, got, c.most)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	x := codecOf[bid](b)
	src := bids(DefaultRows)
	c := New(x.Schema(), DefaultRows)
	x.Write(src, c, 0)
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*DefaultRows), "ns/row")
	}
	dst := make([]bid, 0, DefaultRows)
	sel := make([]uint16, DefaultRows)
	for i := range sel {
		sel[i] = uint16(i)
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = x.Read(c, nil, dst[:0])
		}
		perRow(b)
	})
	b.Run("read-selected", func(b *testing.B) {
		for b.Loop() {
			dst, _ = x.Read(c, sel, dst[:0])
		}
		perRow(b)
	})
	out := New(x.Schema(), DefaultRows)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			x.Write(src, out, 0)
		}
		perRow(b)
	})
	pool := NewPool(x.Schema(), DefaultRows, 2)
	b.Run("write-read-recycle", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := pool.Get()
			x.Write(src, p, 0)
			dst, _ = x.Read(p, nil, dst[:0])
			p.Release()
		}
		perRow(b)
	})
	b.Run("gather", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			c.Gather(out, sel)
		}
		perRow(b)
	})
	hashes := make([]uint64, DefaultRows)
	for name, cols := range map[string][]int{"int64": {0}, "string": {5}, "two": {0, 4}} {
		b.Run("hash-"+name, func(b *testing.B) {
			for b.Loop() {
				c.Hash(hashes, cols)
			}
			perRow(b)
		})
	}
}

// Goal: a sent batch may be read, gathered and hashed by several owners at once. Method: do so
// under the race detector, each owner releasing on its own.
func TestConcurrentOwners(t *testing.T) {
	x := codecOf[bid](t)
	pool := NewPool(x.Schema(), DefaultRows, 1)
	src := bids(DefaultRows)
	for range 20 {
		c := pool.Get()
		x.Write(src, c, 0)
		c.Retain(2)
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				got, err := x.Read(c, nil, nil)
				out := New(x.Schema(), 2)
				c.Gather(out, []uint16{3, 1000})
				c.Hash(make([]uint64, DefaultRows), []int{0, 4})
				c.Release()
				if err != nil || cmp.Diff(src, got) != "" ||
					string(out.Text(5, 1)) != src[1000].URL {
					t.Errorf("records differ, %v", err)
				}
			})
		}
		group.Wait()
	}
}
