package batch

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/types"
)

func schemaOf(t testing.TB, text string) *types.Schema {
	t.Helper()
	s, err := types.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const allKinds = "(`b` BOOLEAN, `i` INT, `l` BIGINT, `f` FLOAT, `d` DOUBLE, `s` STRING)"

// fill appends n random rows to c, of the schema allKinds, with nulls where nullable says so.
func fill(c *Columns, random *rand.Rand, n int, nullable bool) {
	for range n {
		row := c.Len
		c.Columns[0].Bool[row] = random.IntN(2) == 0
		c.Columns[1].Int32[row] = int32(random.IntN(100) - 50)
		c.Columns[2].Int64[row] = random.Int64()
		c.Columns[3].Float32[row] = random.Float32()
		c.Columns[4].Float64[row] = random.NormFloat64()
		text := strings.Repeat(string(rune('a'+random.IntN(26))), random.IntN(30))
		c.SetString(5, row, []byte(text))
		c.Len++
		if nullable && random.IntN(3) == 0 {
			col := random.IntN(6)
			c.SetNull(col, row)
			if col == 5 {
				c.Columns[5].Views[row] = View{length: math.MaxUint32} // undefined means this too
			}
		}
	}
}

// rowText returns a row as text.
func rowText(c *Columns, row int) string {
	var cells []string
	for col := range c.Columns {
		cells = append(cells, c.cell(col, row))
	}
	return strings.Join(cells, "|")
}

// Goal: gathered rows are the rows selected, whatever batches they come from and whoever is
// recycled. Method: random selections of several pooled batches into one, each source refilled
// with other rows right after; compare as text.
func TestGather(t *testing.T) {
	const seed = 3
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	schema := schemaOf(t, allKinds)
	pool := NewPool(schema, 64, 4)
	for range 100 {
		dst := New(schema, 500)
		fill(dst, random, random.IntN(5), true)
		var want []string
		for row := range dst.Len {
			want = append(want, rowText(dst, row))
		}
		for range 5 {
			src := pool.Get()
			fill(src, random, 64, random.IntN(2) == 0)
			for range 2 {
				var sel []uint16
				for range random.IntN(40) {
					sel = append(sel, uint16(random.IntN(64)))
				}
				src.Gather(dst, sel)
				for _, row := range sel {
					want = append(want, rowText(src, int(row)))
				}
			}
			src.Release()
		}
		var got []string
		for row := range dst.Len {
			got = append(got, rowText(dst, row))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if len(dst.Buffers) > 6 {
			t.Fatalf("%d buffers of 5 sources, two gathers each", len(dst.Buffers))
		}
	}
}

// Goal: columns hash as their values do, alone and folded, nulls included, over block borders.
// Method: 700 random rows against the functions of package types, row by row.
func TestHash(t *testing.T) {
	const seed = 4
	t.Logf("seed %d", seed)
	c := New(schemaOf(t, allKinds), 1000)
	fill(c, rand.New(rand.NewPCG(seed, 0)), 700, true)
	one := func(col, row int) uint64 {
		column := &c.Columns[col]
		if c.IsNull(col, row) {
			return types.HashNull
		}
		return []func() uint64{
			func() uint64 { return types.HashBool(column.Bool[row]) },
			func() uint64 { return types.HashInt64(int64(column.Int32[row])) },
			func() uint64 { return types.HashInt64(column.Int64[row]) },
			func() uint64 { return types.HashFloat64(float64(column.Float32[row])) },
			func() uint64 { return types.HashFloat64(column.Float64[row]) },
			func() uint64 { return types.HashBytes(c.Text(col, row)) },
		}[col]()
	}
	got := make([]uint64, 1000)
	keys := [][]int{{0}, {1}, {2}, {3}, {4}, {5}, {1, 5}, {5, 1}, {0, 1, 2, 3, 4, 5}, {}}
	for _, cols := range keys {
		c.Hash(got, cols)
		for row := range c.Len {
			want := types.HashStart
			for _, col := range cols {
				want = types.Fold(want, one(col, row))
			}
			if len(cols) == 1 {
				want = one(cols[0], row)
			}
			if got[row] != want {
				t.Fatalf("columns %v, row %d: got %#x, want %#x", cols, row, got[row], want)
			}
		}
	}
}

// Goal: strings and views of all lengths come back, own, foreign and inline ones; nulls stick to
// their rows. Method: by hand.
func TestSetAndText(t *testing.T) {
	c := New(schemaOf(t, "(`s` STRING, `n` INT)"), 130)
	long := bytes.Repeat([]byte("long "), 20000)
	foreign := c.AddBuffer([]byte("--a foreign buffer--"))
	c.SetString(0, 0, nil)
	c.SetString(0, 1, long)
	c.SetStringView(0, 2, foreign, 2, 16)
	c.SetStringView(0, 3, foreign, 4, 7)
	c.SetString(0, 4, long[:13])
	c.SetString(0, 4, []byte("short"))
	c.Len = 130
	for row, want := range []string{"", string(long), "a foreign buffer", "foreign", "short"} {
		if got := string(c.Text(0, row)); got != want {
			t.Errorf("row %d is %.40q, want %.40q", row, got, want)
		}
	}
	c.SetNull(1, 64)
	c.SetNull(1, 129)
	c.SetNull(1, 128)
	c.SetValid(1, 128)
	for row := range 130 {
		if got, want := c.IsNull(1, row), row == 64 || row == 129; got != want {
			t.Errorf("row %d: null is %t", row, got)
		}
	}
	c.Reset()
	if c.IsNull(1, 64) || c.Len != 0 || len(c.Buffers) != 0 {
		t.Errorf("reset batch is %+v", c)
	}
}

// Goal: batches print for people and compare for tests. Method: a small table; one difference at
// a time.
func TestStringAndEqual(t *testing.T) {
	schema := schemaOf(t, "(`id` INT, `name` STRING)")
	build := func(ids ...int32) *Columns {
		c := New(schema, 30)
		for row, id := range ids {
			c.Columns[0].Int32[row] = id
			c.SetString(1, row, fmt.Appendf(nil, "name of %d", id))
		}
		c.Len = len(ids)
		return c
	}
	c := build(1, 200000)
	c.SetNull(0, 0)
	want := "id      name              \nNULL    \"name of 1\"       \n" +
		"200000  \"name of 200000\"  \n"
	if diff := cmp.Diff(want, c.String()); diff != "" {
		t.Error(diff)
	}
	if more := build(make([]int32, 25)...).String(); !strings.HasSuffix(more, "... 5 rows more\n") {
		t.Errorf("got %s", more)
	}
	other := build(7, 200000)
	if c.Equal(other) || other.Equal(c) {
		t.Error("null equals 7")
	}
	other.SetNull(0, 0)
	other.SetString(1, 0, []byte("name of 1"))
	if !c.Equal(other) {
		t.Errorf("%s does not equal %s", c, other)
	}
	other.SetString(1, 1, []byte("name of 200001"))
	if c.Equal(other) || c.Equal(build(1)) {
		t.Error("different names or lengths are equal")
	}
}

// Goal: a schema that columns cannot hold is refused by column. Method: one of each type.
func TestCheckSchema(t *testing.T) {
	err := CheckSchema(schemaOf(t, "(`a` INT, `b` DECIMAL(3, 1), `c` ROW<>, `d` TIMESTAMP(9))"))
	for _, want := range []string{`"b"`, `"c"`, `"d"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if strings.Contains(err.Error(), `"a"`) || CheckSchema(schemaOf(t, allKinds)) != nil {
		t.Errorf("a supported column is refused: %v", err)
	}
}

// Goal: the last release, and only that, returns a batch; the pool keeps no more than its limit.
// Method: count references from several goroutines, then look for the same batch again.
func TestPool(t *testing.T) {
	pool := NewPool(schemaOf(t, allKinds), 8, 1)
	c := pool.Get()
	c.Retain(3)
	var group sync.WaitGroup
	for range 3 {
		group.Go(c.Release)
	}
	group.Wait()
	if other := pool.Get(); other == c {
		t.Fatal("a batch in use came back")
	} else {
		c.Len = 5
		c.SetNull(0, 0)
		c.Release()
		other.Release() // beyond the limit
	}
	if again := pool.Get(); again != c || again.Len != 0 || again.IsNull(0, 0) {
		t.Errorf("got %p, want %p, empty: %+v", again, c, again)
	}
	if pool.Get() == c {
		t.Error("one batch came twice")
	}
	defer func() {
		if recover() == nil {
			t.Error("a release too many went unnoticed")
		}
	}()
	lone := New(pool.Schema(), 8)
	lone.Release()
	lone.Release()
}

// Goal: a batch does not keep the memory of huge strings, but does keep that of usual ones.
// Method: look at the chunk after refilling with either.
func TestArenaKeepsUsualSizes(t *testing.T) {
	c := New(schemaOf(t, "(`s` STRING)"), 100)
	fillWith := func(length int) {
		c.Reset()
		for row := range 100 {
			c.SetString(0, row, make([]byte, length))
		}
	}
	for range 2 { // once to learn the size, once to use it
		fillWith(1000)
	}
	if n := len(c.Buffers); n != 1 {
		t.Errorf("usual strings take %d buffers", n)
	}
	fillWith(100_000)
	c.Reset()
	if n := cap(c.arena.chunk); n > mostKeptBytes {
		t.Errorf("%d bytes kept", n)
	}
}
