// Package formattest is the conformance kit of data formats: what every decoder and encoder that a
// connector can use must do.
//
// The main function is [Test]. It takes a format and the bad rows that only its author can write,
// and checks that values of every type come back from their encoding, that cutting the input
// anywhere changes nothing, that lines are counted, and that bad rows are refused by place and can
// be skipped. It is for tests only.
//
// Semantics: the contract in package format.
package formattest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// BadRow is input that a decoder must refuse.
type BadRow struct {
	Name   string
	Schema *types.Schema
	Good   string // a row, with its line end, of the schema
	Bad    string // a row that cannot be decoded, with its line end, which is its only one
	Column string // the one to be named, "" for the row as a whole
}

// Test checks a format. Formats with a header are not for it: its inputs start anywhere.
func Test(t *testing.T, f format.Format, bad []BadRow) {
	t.Run("every type", func(t *testing.T) { testTypes(t, f) })
	t.Run("one column", func(t *testing.T) { testOneColumn(t, f) })
	t.Run("every cut", func(t *testing.T) { testCuts(t, f) })
	t.Run("no input", func(t *testing.T) { testEmpty(t, f) })
	t.Run("selection", func(t *testing.T) { testSelection(t, f) })
	for _, b := range bad {
		t.Run("bad row/"+b.Name, func(t *testing.T) { testBadRow(t, f, b) })
	}
}

// AllTypes is a schema with a column of every type, nullable or not.
func AllTypes(nullable bool) *types.Schema {
	var fields []types.Field
	for _, f := range []types.Field{
		types.Col("boolean", types.TypeOf(types.Boolean)),
		types.Col("tiny", types.TypeOf(types.TinyInt)),
		types.Col("small", types.TypeOf(types.SmallInt)),
		types.Col("int", types.TypeOf(types.Int)),
		types.Col("big", types.TypeOf(types.BigInt)),
		types.Col("float", types.TypeOf(types.Float)),
		types.Col("double", types.TypeOf(types.Double)),
		types.Col("string", types.TypeOf(types.String)),
		types.Col("bytes", types.TypeOf(types.Bytes)),
		types.Col("date", types.TypeOf(types.Date)),
		types.Col("time", types.TimeOf(3)),
		types.Col("timestamp", types.TimestampOf(3)),
		types.Col("instant", types.TimestampLTZOf(3)),
		types.Col("name with \"quotes\", and more", types.TypeOf(types.String)),
	} {
		f.Type.Nullable = nullable
		fields = append(fields, f)
	}
	return &types.Schema{Fields: fields}
}

// Rows makes rows of any schema from a seed: ordinary values, the ends of the ranges, awkward text
// and, in nullable columns, nulls.
func Rows(schema *types.Schema, rows int, seed uint64) *batch.Columns {
	random := rand.New(rand.NewPCG(seed, 0))
	c := batch.New(schema, max(rows, 1))
	c.Len = rows
	for col, f := range schema.Fields {
		for row := range rows {
			if f.Type.Nullable && random.IntN(4) == 0 {
				c.SetNull(col, row)
				continue
			}
			setRandom(c, col, row, f.Type.Kind, random)
		}
	}
	return c
}

func pick[V any](random *rand.Rand, values ...V) V { return values[random.IntN(len(values))] }

func setRandom(c *batch.Columns, col, row int, kind types.Kind, random *rand.Rand) {
	column := &c.Columns[col]
	bits := random.Uint64() >> random.IntN(64)
	switch kind {
	case types.Boolean:
		column.Bool[row] = bits&1 == 0
	case types.TinyInt:
		column.Int32[row] = pick(random, int32(int8(bits)), math.MinInt8, math.MaxInt8)
	case types.SmallInt:
		column.Int32[row] = pick(random, int32(int16(bits)), math.MinInt16, math.MaxInt16)
	case types.Int:
		column.Int32[row] = pick(random, int32(bits), -int32(bits%1000), math.MinInt32,
			math.MaxInt32)
	case types.BigInt:
		column.Int64[row] = pick(random, int64(bits), -int64(bits), math.MinInt64, math.MaxInt64)
	case types.Float:
		v := math.Float32frombits(uint32(bits))
		if v != v {
			v = float32(math.NaN())
		}
		column.Float32[row] = pick(random, v, float32(bits%1e6)/8, math.MaxFloat32)
	case types.Double:
		v := math.Float64frombits(random.Uint64())
		if v != v {
			v = math.NaN()
		}
		column.Float64[row] = pick(random, v, float64(bits%1e9)/64, math.MaxFloat64, math.Inf(-1),
			math.SmallestNonzeroFloat64, math.Copysign(0, -1), 1e21, 1e-7)
	case types.Date:
		column.Int32[row] = pick(random, int32(bits%50_000), int32(bits), math.MinInt32,
			math.MaxInt32)
	case types.Time:
		column.Int32[row] = pick(random, int32(bits%86_400_000), 0, 86_399_999)
	case types.Timestamp, types.TimestampLTZ:
		minute := int64(bits%40_000_000) * 60_000
		column.Int64[row] = pick(random, minute, minute+17_000, minute+123, -minute, int64(bits),
			math.MinInt64, math.MaxInt64)
	case types.Bytes:
		c.SetString(col, row, []byte(randomText(random)))
	case types.String:
		c.SetString(col, row, []byte(randomText(random)))
	}
}

// randomText returns text of every length class with everything that formats trip over.
func randomText(random *rand.Rand) string {
	pieces := []string{"", "DTW", "a longer airport name", ",", `"`, "\n", "\r\n", "\r", `\`,
		"\\n", "é",
		"日本", "\U0001f6eb", "\t", "\x01", " ", "null", "\ufeff", "'", ";", "{", "}", "0", "-1"}
	text := ""
	for range random.IntN(4) {
		text += pick(random, pieces...)
	}
	return text
}

// testTypes checks that what is encoded is decoded, by random rows of all types.
func testTypes(t *testing.T, f format.Format) {
	for seed := range uint64(20) {
		for _, nullable := range []bool{true, false} {
			rows := Rows(AllTypes(nullable), 100, seed)
			checkRoundTrip(t, f, rows, fmt.Sprintf("seed %d", seed))
		}
	}
}

// testOneColumn checks the rows that look most like nothing: one column, null or empty.
func testOneColumn(t *testing.T, f format.Format) {
	for _, kind := range []types.Kind{types.String, types.Bytes, types.BigInt} {
		for _, typ := range []types.Type{types.TypeOf(kind), types.TypeOf(kind).NotNull()} {
			schema := &types.Schema{Fields: []types.Field{types.Col("only", typ)}}
			for seed := range uint64(5) {
				checkRoundTrip(t, f, Rows(schema, 50, seed), fmt.Sprintf("%s seed %d", typ, seed))
			}
		}
	}
}

func checkRoundTrip(t *testing.T, f format.Format, rows *batch.Columns, which string) {
	t.Helper()
	encoded := Encode(t, f, rows)
	got, lines := DecodeAll(t, f, rows.Schema, encoded, len(encoded), rows.Capacity())
	if !got.Equal(rows) {
		t.Fatalf("%s: want\n%s\ngot\n%s\nfrom\n%s", which, rows, got, encoded)
	}
	if want := bytes.Count(encoded, []byte{'\n'}); lines != want {
		t.Fatalf("%s: counted %d lines, want %d", which, lines, want)
	}
}

// Encode returns the encoding of all rows.
func Encode(t testing.TB, f format.Format, rows *batch.Columns) []byte {
	t.Helper()
	e, err := f.NewEncoder(rows.Schema)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := e.Encode(e.Header(nil), rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// DecodeAll decodes input that comes in two parts, cut at a place, into batches of a capacity, and
// returns all rows and the lines counted. The input must be good.
func DecodeAll(t testing.TB, f format.Format, schema *types.Schema, input []byte, cut, capacity int,
) (all *batch.Columns, lines int) {
	t.Helper()
	d, err := f.NewDecoder(schema)
	if err != nil {
		t.Fatal(err)
	}
	d.Start(true)
	all = batch.New(schema, bytes.Count(input, []byte{'\n'})+1)
	feed := func(part []byte, atEOF bool) (used int) {
		for {
			out := batch.New(schema, capacity)
			n, l, err := d.Decode(part[used:], atEOF, out)
			if err != nil {
				t.Fatalf("input %q cut at %d: %v", input, cut, err)
			}
			used += n
			lines += l
			selection := make([]uint16, out.Len)
			for i := range selection {
				selection[i] = uint16(i)
			}
			out.Gather(all, selection)
			if out.Len < capacity {
				return used
			}
		}
	}
	used := 0
	if cut < len(input) {
		used = feed(bytes.Clone(input[:cut]), false)
	}
	if n := feed(bytes.Clone(input[used:]), true); used+n != len(input) {
		t.Fatalf("input %q cut at %d: %d of %d bytes used", input, cut, used+n, len(input))
	}
	return all, lines
}

// testCuts checks that it does not matter where the input is cut, how large batches are, and
// whether the last line has its end.
func testCuts(t *testing.T, f format.Format) {
	for seed := range uint64(4) {
		rows := Rows(AllTypes(true), 4, seed)
		whole := Encode(t, f, rows)
		for _, input := range [][]byte{whole, bytes.TrimSuffix(whole, []byte{'\n'})} {
			for cut := range len(input) + 1 {
				got, _ := DecodeAll(t, f, rows.Schema, input, cut, 1+int(seed))
				if !got.Equal(rows) {
					t.Fatalf("seed %d, cut at %d of %q: want\n%s\ngot\n%s", seed, cut, input,
						rows, got)
				}
			}
		}
	}
}

func testEmpty(t *testing.T, f format.Format) {
	for _, atEOF := range []bool{true, false} {
		d, err := f.NewDecoder(AllTypes(true))
		if err != nil {
			t.Fatal(err)
		}
		d.Start(true)
		out := batch.New(AllTypes(true), 4)
		used, lines, err := d.Decode(nil, atEOF, out)
		if used != 0 || lines != 0 || err != nil || out.Len != 0 {
			t.Fatalf("nothing gives %d bytes, %d lines, %d rows, error %v", used, lines, out.Len,
				err)
		}
	}
}

// testSelection checks that only the selected rows are encoded, in their order.
func testSelection(t *testing.T, f format.Format) {
	rows := Rows(AllTypes(true), 10, 1)
	selection := []uint16{7, 0, 3, 3}
	want := batch.New(rows.Schema, len(selection))
	rows.Gather(want, selection)
	e, err := f.NewEncoder(rows.Schema)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Encode([]byte("before\n"), rows, selection)
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("before\n"), Encode(t, f, want)...); !bytes.Equal(got, want) {
		t.Fatalf("want %q, got %q", want, got)
	}
}

// testBadRow checks that a bad row between good ones is refused with its place, also when the
// input is cut anywhere, and that decoding goes on behind it.
func testBadRow(t *testing.T, f format.Format, b BadRow) {
	const after = 4 // so that the bad row is far from the end of the input
	input := b.Good + b.Bad + strings.Repeat(b.Good, after)
	for cut := range len(input) + 1 {
		d, err := f.NewDecoder(b.Schema)
		if err != nil {
			t.Fatal(err)
		}
		d.Start(true)
		out := batch.New(b.Schema, 8)
		used, lines, err := d.Decode([]byte(input[:cut]), false, out)
		if err == nil {
			var more int
			rest := []byte(input[used:])
			more, linesMore, errMore := d.Decode(rest, true, out)
			used, lines, err = used+more, lines+linesMore, errMore
		}
		var rowErr *format.RowError
		if !errors.As(err, &rowErr) {
			t.Fatalf("cut at %d: want a RowError, got %v", cut, err)
		}
		if out.Len != 1 || used != len(b.Good) || lines != 1 || rowErr.Skip != len(b.Bad) &&
			rowErr.Skip != len(b.Bad)-1 { // the line end may be taken as part of either
			t.Fatalf("cut at %d: %d rows, %d bytes, %d lines, skip %d; want 1, %d, 1, %d: %v",
				cut, out.Len, used, lines, rowErr.Skip, len(b.Good), len(b.Bad), err)
		}
		if rowErr.Column != b.Column || rowErr.Cause == nil {
			t.Fatalf("cut at %d: want column %q and a cause, got %q: %v", cut, b.Column,
				rowErr.Column,
				rowErr)
		}
		rest := input[used+rowErr.Skip:]
		_, lines, err = d.Decode([]byte(rest), true, out)
		if err != nil || out.Len != 1+after || lines != strings.Count(rest, "\n") {
			t.Fatalf("cut at %d: behind the bad row: %d rows, %d lines, %v", cut, out.Len, lines,
				err)
		}
	}
}
