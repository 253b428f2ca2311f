package types

import (
	"bytes"
	"cmp"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/leat-io/leat/eventtime"
)

// ordered has a part of every kind.
type ordered struct {
	Bool     bool
	Text     string
	Int8     int8
	Int16    int16
	_        int64
	Uint8    uint8
	Uint16   uint16
	hidden   int32
	Uint32   uint32
	Int64    int64
	Int      int
	Uint64   uint64
	Uint     uint
	Float32  float32
	Float64  float64
	Time     eventtime.Timestamp
	Bytes    []byte
	ID       [3]byte
	Pairs    [2]struct{ Name, Value string }
	NullText Null[string]
	NullInt  Null[int16] `leat:"ni"`
	NullID   Null[[2]byte]
}

// small values and special ones, so that keys that are equal in their first parts are common.
func randomPart(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.String:
		v.SetString(randomOctets(r))
	case reflect.Slice:
		v.SetBytes([]byte(randomOctets(r)))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(
			[]int64{0, 1, -1, math.MinInt64, math.MaxInt64, 300, int64(r.Uint64())}[r.IntN(7)] >>
				(64 - v.Type().Bits()),
		)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint([]uint64{0, 1, math.MaxUint64, 1 << 63, r.Uint64()}[r.IntN(5)] >>
			(64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1),
			math.SmallestNonzeroFloat32, -1.5, r.NormFloat64()}[r.IntN(8)])
	case reflect.Array:
		for i := range v.Len() {
			randomPart(r, v.Index(i))
		}
	case reflect.Struct:
		if _, null := nullOf(v.Type()); null {
			if v.Field(1).SetBool(r.IntN(2) == 0); v.Field(1).Bool() {
				randomPart(r, v.Field(0))
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				randomPart(r, v.Field(i))
			}
		}
	}
}

func randomOctets(r *rand.Rand) string {
	b := make([]byte, r.IntN(4))
	for i := range b {
		b[i] = []byte{0, 1, 2, 'a', 0xfe, 0xff}[r.IntN(6)]
	}
	return string(b)
}

// compareParts is the order of keys, said in another way.
func compareParts(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.Bool:
		return cmp.Compare(fromBool(a.Bool()), fromBool(b.Bool()))
	case reflect.String:
		return strings.Compare(a.String(), b.String())
	case reflect.Slice:
		return bytes.Compare(a.Bytes(), b.Bytes())
	case reflect.Float32, reflect.Float64:
		x, y := a.Float(), b.Float()
		if x != x || y != y {
			return cmp.Compare(fromBool(x != x), fromBool(y != y)) // NaN is last
		}
		return cmp.Compare(x, y)
	case reflect.Array:
		for i := range a.Len() {
			if c := compareParts(a.Index(i), b.Index(i)); c != 0 {
				return c
			}
		}
		return 0
	case reflect.Struct:
		if _, null := nullOf(a.Type()); null {
			if c := compareParts(a.Field(1), b.Field(1)); c != 0 || !a.Field(1).Bool() {
				return c
			}
			return compareParts(a.Field(0), b.Field(0))
		}
		for i := range a.NumField() {
			if a.Type().Field(i).Name == "_" {
				continue
			}
			if c := compareParts(a.Field(i), b.Field(i)); c != 0 {
				return c
			}
		}
		return 0
	}
	if a.CanInt() {
		return cmp.Compare(a.Int(), b.Int())
	}
	return cmp.Compare(a.Uint(), b.Uint())
}

func fromBool(b bool) int {
	if b {
		return 1
	}
	return 0
}

func orderedOf[K any](t testing.TB) *OrderedCodec[K] {
	t.Helper()
	c, err := OrderedKeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// plain returns a key as an OrderedDecoder does.
func plain(v reflect.Value) any {
	switch {
	case v.Type() == timestampType:
		return eventtime.Timestamp(v.Int())
	case v.CanInt():
		return v.Int()
	case v.Kind() == reflect.Uint8, v.Kind() == reflect.Uint16, v.Kind() == reflect.Uint32:
		return int64(v.Uint())
	case v.CanUint():
		return v.Uint()
	case v.Kind() == reflect.Float32:
		return float32(v.Float())
	case v.Kind() == reflect.Float64:
		return v.Float()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Slice:
		return append([]byte{}, v.Bytes()...)
	case v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8:
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return b
	}
	var out []any
	if v.Kind() == reflect.Array {
		for i := range v.Len() {
			out = append(out, plain(v.Index(i)))
		}
		return out
	}
	if _, null := nullOf(v.Type()); null {
		if !v.Field(1).Bool() {
			return nil
		}
		return plain(v.Field(0))
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "_" {
			out = append(out, plain(v.Field(i)))
		}
	}
	return out
}

// checkOrdered compares random keys of K, their bytes, and what both decoders read.
func checkOrdered[K any](t *testing.T) {
	t.Run(reflect.TypeFor[K]().String(), func(t *testing.T) {
		const seed = 5
		t.Logf("seed %d", seed)
		r, c := rand.New(rand.NewPCG(seed, 0)), orderedOf[K](t)
		decoder, err := ParseOrdered(c.Schema())
		if err != nil {
			t.Fatal(err)
		}
		equal := diff.Options{
			cmpopts.EquateNaNs(), diff.Exporter(func(reflect.Type) bool { return true }),
			cmpopts.EquateEmpty(),
		}
		var before K
		var beforeBytes []byte
		for i := range 3000 {
			var k K
			randomPart(r, reflect.ValueOf(&k).Elem())
			b := c.Append(nil, k)
			back, rest, err := c.Decode(append(slices.Clone(b), 0, 1, 0xff))
			if err != nil || len(rest) != 3 {
				t.Fatalf("decode %+v: %d bytes left, %v", k, len(rest), err)
			}
			if d := diff.Diff(k, back, equal); d != "" {
				t.Fatalf("%x: %s", b, d)
			}
			values, rest, err := decoder.Decode(append(slices.Clone(b), 7))
			if err != nil || len(rest) != 1 {
				t.Fatalf("decode %+v: %d bytes left, %v", k, len(rest), err)
			}
			want := []any{plain(reflect.ValueOf(k))}
			if isRecord(reflect.TypeFor[K]()) {
				want, _ = want[0].([]any)
			}
			if d := diff.Diff(want, values, equal); d != "" {
				t.Fatalf("%s: %s", c.Schema(), d)
			}
			if i > 0 {
				order := compareParts(reflect.ValueOf(before), reflect.ValueOf(k))
				if got := bytes.Compare(beforeBytes, b); got != order {
					t.Fatalf("%+v and %+v are %d, their bytes %x and %x %d",
						before, k, order, beforeBytes, b, got)
				}
			}
			before, beforeBytes = k, b
		}
	})
}

// Goal: the order of bytes is the order of keys, keys come back, and the schema alone is enough
// to read them. Method: random keys of every type, compared one with the next by an order that
// is written down without bytes.
func TestOrdered(t *testing.T) {
	checkOrdered[bool](t)
	checkOrdered[int8](t)
	checkOrdered[int16](t)
	checkOrdered[int32](t)
	checkOrdered[int64](t)
	checkOrdered[int](t)
	checkOrdered[uint8](t)
	checkOrdered[uint16](t)
	checkOrdered[uint32](t)
	checkOrdered[uint64](t)
	checkOrdered[uint](t)
	checkOrdered[float32](t)
	checkOrdered[float64](t)
	checkOrdered[string](t)
	checkOrdered[[]byte](t)
	checkOrdered[[4]byte](t)
	checkOrdered[eventtime.Timestamp](t)
	checkOrdered[time.Duration](t)
	checkOrdered[Null[string]](t)
	checkOrdered[Null[float64]](t)
	checkOrdered[[2]string](t)
	checkOrdered[[0]string](t)
	checkOrdered[struct{}](t)
	checkOrdered[struct{ A, B string }](t)
	checkOrdered[struct {
		A Null[string]
		B int8
	}](t)
	checkOrdered[ordered](t)
}

// Goal: the bytes are those of docs/formats/ordered.md. Method: keys written by hand.
func TestOrderedBytes(t *testing.T) {
	check := func(got []byte, want ...byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("bytes %x, want %x", got, want)
		}
	}
	check(orderedOf[bool](t).Append([]byte{9}, true), 9, 1)
	check(orderedOf[int32](t).Append(nil, -1), 0x7f, 0xff, 0xff, 0xff)
	check(orderedOf[uint8](t).Append(nil, 200), 0x80, 200)
	check(orderedOf[uint64](t).Append(nil, 5), 0, 0, 0, 0, 0, 0, 0, 5)
	check(orderedOf[int64](t).Append(nil, 5), 0x80, 0, 0, 0, 0, 0, 0, 5)
	check(orderedOf[float32](t).Append(nil, 1), 0xbf, 0x80, 0, 0)
	check(orderedOf[float64](t).Append(nil, -1), 0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	check(orderedOf[float32](t).Append(nil, float32(math.NaN())), 0xff, 0xc0, 0, 0)
	check(orderedOf[float64](t).Append(nil, math.NaN()), 0xff, 0xf8, 0, 0, 0, 0, 0, 0)
	check(orderedOf[string](t).Append(nil, "a\x00b"), 'a', 0, 0xff, 'b', 0, 1)
	check(orderedOf[[2]byte](t).Append(nil, [2]byte{0, 7}), 0, 7)
	check(orderedOf[Null[int8]](t).Append(nil, Null[int8]{V: 3}), 0)
	check(orderedOf[Null[int8]](t).Append(nil, NullOf[int8](3)), 1, 0x83)
}

// Goal: the schema names columns and types in SQL spelling. Method: the type that has all.
func TestOrderedSchema(t *testing.T) {
	want := "(`bool` BOOLEAN NOT NULL, `text` STRING NOT NULL, `int8` TINYINT NOT NULL, " +
		"`int16` SMALLINT NOT NULL, `uint8` SMALLINT NOT NULL, `uint16` INT NOT NULL, " +
		"`hidden` INT NOT NULL, `uint32` BIGINT NOT NULL, `int64` BIGINT NOT NULL, " +
		"`int` BIGINT NOT NULL, `uint64` BIGINT UNSIGNED NOT NULL, " +
		"`uint` BIGINT UNSIGNED NOT NULL, `float32` FLOAT NOT NULL, " +
		"`float64` DOUBLE NOT NULL, `time` TIMESTAMP(3) NOT NULL, `bytes` BYTES NOT NULL, " +
		"`id` BINARY(3) NOT NULL, `pairs` ARRAY<2, ROW<`name` STRING NOT NULL, " +
		"`value` STRING NOT NULL> NOT NULL> NOT NULL, `nullText` STRING, `ni` SMALLINT, " +
		"`nullID` BINARY(2))"
	if d := diff.Diff(want, orderedOf[ordered](t).Schema()); d != "" {
		t.Error(d)
	}
	decoder, err := ParseOrdered(want)
	if err != nil {
		t.Fatal(err)
	}
	if names := decoder.Names(); len(names) != 21 || names[20] != "nullID" {
		t.Errorf("names %q", names)
	}
}

// Goal: types without order are refused with field and cure. Method: a table.
func TestOrderedFaults(t *testing.T) {
	for _, c := range []struct {
		of   func() error
		want string
	}{
		{orderedFault[map[string]int], "use type map[string]int as ordered key: map[string]int " +
			"has no order here; use a bool, a number, string, []byte, or a struct or array of these"},
		{orderedFault[struct{ At time.Time }], `field "At": time.Time has no order here; ` +
			`use eventtime.Timestamp`},
		{orderedFault[struct{ In struct{ P *int } }], `field "In.P": *int has no order here; ` +
			`use int, or types.Null[int] when it may be missing`},
		{orderedFault[struct {
			A int `leat:"-"`
		}], `field "A": its tag leaves it out`},
		{orderedFault[Null[struct{ A int }]], "cannot be nullable"},
		{orderedFault[Null[Null[int]]], "has no order here"},
		{orderedFault[[5000]int64], "longer than 4096"},
		{orderedFault[[70][70]int64], "at most 4096 are possible"},
		{orderedFault[[0]chan int], "chan int has no order here"},
	} {
		if err := c.of(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v\nwant  %s", err, c.want)
		}
	}
}

func orderedFault[K any]() error {
	_, err := OrderedKeyOf[K]()
	return err
}

// Goal: schemas that nobody wrote are refused. Method: a table of damages.
func TestParseOrderedFaults(t *testing.T) {
	for _, text := range []string{
		"", "(", "(`a` INT", "(`a` INT) ", "(a INT)", "(`a` DECIMAL(3, 1))", "(`a` TIMESTAMP(6))",
		"(`a` INT NOT)", "(`a` BINARY)", "(`a` ARRAY<2, INT>)", "(`a` ROW<`b` INT>)",
		"(`a` ARRAY<5000, INT> NOT NULL)",
		"(`a` ARRAY<2000, ARRAY<2000, ROW<> NOT NULL> NOT NULL> NOT NULL)",
		"(`a` BINARY(99999999999999999999))", "(`a` INT UNSIGNED)",
	} {
		if _, err := ParseOrdered(text); (err == nil) != (text == "(`a` INT) ") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

// Goal: keys are written and numbers read without allocations. Method: count them.
func TestOrderedAllocations(t *testing.T) {
	type key struct {
		Name string
		At   eventtime.Timestamp
		N    Null[int32]
	}
	c, n := orderedOf[key](t), orderedOf[int64](t)
	b, k := make([]byte, 0, 100), key{Name: "na\x00me", At: 5}
	number := n.Append(nil, 7)
	if allocs := testing.AllocsPerRun(100, func() {
		b = c.Append(b[:0], k)
		if v, _, err := n.Decode(number); err != nil || v != 7 {
			t.Fatal(v, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzOrdered reads bytes that nobody wrote: what a decoder takes, it writes again.
func FuzzOrdered(f *testing.F) {
	c := orderedOf[ordered](f)
	f.Add(c.Append(nil, ordered{}))
	f.Add(c.Append(nil, ordered{Text: "a\x00", Float32: -2, NullText: NullOf("\x00"), Bool: true}))
	decoder, err := ParseOrdered(c.Schema())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, rest, err := c.Decode(b)
		if err != nil {
			return
		}
		if again := c.Append(nil, k); !bytes.Equal(again, b[:len(b)-len(rest)]) {
			t.Errorf("%x is read as %+v and written as %x", b, k, again)
		}
		if _, other, err := decoder.Decode(b); err != nil || len(other) != len(rest) {
			t.Errorf("%x: the schema's decoder leaves %d bytes, %v", b, len(other), err)
		}
	})
}

// FuzzParseOrdered reads schemas that nobody wrote.
func FuzzParseOrdered(f *testing.F) {
	f.Add(orderedOf[ordered](f).Schema(), []byte{1, 2, 3})
	f.Add("(`value` ARRAY<3, BINARY(0) NOT NULL> NOT NULL)", []byte{})
	f.Fuzz(func(t *testing.T, schema string, b []byte) {
		decoder, err := ParseOrdered(schema)
		if err != nil {
			return
		}
		root := orderedType{kind: orderedRow, names: decoder.names, parts: decoder.parts}
		again, err := ParseOrdered(root.schema())
		if err != nil {
			t.Fatalf("%q becomes %q: %v", schema, root.schema(), err)
		}
		if d := diff.Diff(decoder.names, again.names); d != "" {
			t.Error(d)
		}
		_, _, _ = decoder.Decode(b)
	})
}

// BenchmarkOrdered is one Append and one Decode.
func BenchmarkOrdered(b *testing.B) {
	var dst []byte
	b.Run("int64", func(b *testing.B) {
		c := orderedOf[int64](b)
		for b.Loop() {
			dst = c.Append(dst[:0], 5)
			_, _, _ = c.Decode(dst)
		}
	})
	b.Run("string", func(b *testing.B) {
		c := orderedOf[string](b)
		for b.Loop() {
			dst = c.Append(dst[:0], "a name of some length")
			_, _, _ = c.Decode(dst)
		}
	})
}
