package types

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
)

func keyOf[K any](t testing.TB) *KeyCodec[K] {
	t.Helper()
	c, err := KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkKey checks that k comes back from its canonical form, that every way to hash it agrees,
// and returns the form and the hash.
func checkKey[K any](t *testing.T, k, want K, hash uint64) {
	t.Helper()
	c := keyOf[K](t)
	if got := c.Hash(k); got != hash {
		t.Errorf("hash of %#v is %#x, want %#x", k, got, hash)
	}
	hashes := c.HashAll([]uint64{7}, []K{k, k, k})
	if diff := cmp.Diff([]uint64{7, hash, hash, hash}, hashes); diff != "" {
		t.Errorf("HashAll of %#v: %s", k, diff)
	}
	var back K
	if n := c.Words(); n > 0 {
		words := c.AppendWords([]uint64{7}, []K{k, k})
		if len(words) != 1+2*n || cmp.Diff(words[1:1+n], words[1+n:]) != "" {
			t.Errorf("words of %#v twice are %x", k, words[1:])
		}
		back = c.FromWords(words[1:])
	} else {
		back = c.FromBytes(append([]byte(nil), c.Bytes(k, nil)...))
	}
	if any(back) != any(want) {
		t.Errorf("%#v came back as %#v", k, back)
	}
}

// fold returns the hash of a composite.
func fold(parts ...uint64) uint64 {
	h := HashStart
	for _, part := range parts {
		h = Fold(h, part)
	}
	return h
}

type pair struct {
	A int32
	_ int64
	B uint8
}

type mixed struct {
	S    string
	n    int16
	Deep struct {
		F float64
		T [2]string
	}
	ID [16]byte
}

// Goal: keys of every kind come back from their canonical form, and their hash follows the rule.
// Method: one key or more for each kind, with the hash computed by hand.
func TestKeyRoundTrip(t *testing.T) {
	five := HashInt64(5)
	checkKey(t, int8(5), 5, five)
	checkKey(t, int16(5), 5, five)
	checkKey(t, int32(5), 5, five)
	checkKey(t, int64(5), 5, five)
	checkKey(t, int(5), 5, five)
	checkKey(t, uint8(5), 5, five)
	checkKey(t, uint16(5), 5, five)
	checkKey(t, uint32(5), 5, five)
	checkKey(t, uint64(5), 5, five)
	checkKey(t, uint(5), 5, five)
	checkKey(t, userID(5), 5, five)
	checkKey(t, time.Duration(5), 5, five)
	checkKey(t, eventtime.Timestamp(5), 5, five)
	checkKey(t, int8(-1), -1, HashInt64(-1))
	checkKey(t, int16(-1), -1, HashInt64(-1))
	checkKey(t, int32(-1), -1, HashInt64(-1))
	checkKey(t, uint32(math.MaxUint32), math.MaxUint32, HashInt64(math.MaxUint32))
	checkKey(t, uint64(math.MaxUint64), math.MaxUint64, HashInt64(-1))
	checkKey(t, true, true, HashInt64(1))
	checkKey(t, false, false, HashInt64(0))
	checkKey(t, 1.5, 1.5, HashFloat64(1.5))
	checkKey(t, float32(1.5), 1.5, HashFloat64(1.5))
	checkKey(t, math.Copysign(0, -1), 0, HashFloat64(0))
	checkKey(t, "", "", HashString(""))
	checkKey(t, "a key longer than any inline form", "a key longer than any inline form",
		HashString("a key longer than any inline form"))
	checkKey(t, [3]byte{1, 2, 3}, [3]byte{1, 2, 3}, HashBytes([]byte{1, 2, 3}))
	checkKey(t, struct{}{}, struct{}{}, HashStart)
	checkKey(t, struct{ S string }{"x"}, struct{ S string }{"x"}, HashString("x"))
	checkKey(t, struct{ N [1]int32 }{[1]int32{5}}, struct{ N [1]int32 }{[1]int32{5}}, five)
	checkKey(t, pair{A: -5, B: 200}, pair{A: -5, B: 200}, fold(HashInt64(-5), HashInt64(200)))
	checkKey(t, [3]int16{1, 2, -3}, [3]int16{1, 2, -3},
		fold(HashInt64(1), HashInt64(2), HashInt64(-3)))
	m := mixed{S: "left", n: -9, ID: [16]byte{15: 1}}
	m.Deep.F = 2.5
	m.Deep.T = [2]string{"", "right"}
	deep := fold(HashFloat64(2.5), fold(HashString(""), HashString("right")))
	checkKey(t, m, m, fold(HashString("left"), HashInt64(-9), deep, HashBytes(m.ID[:])))
	checkKey(t, [2]mixed{0: m}, [2]mixed{0: m}, fold(keyOf[mixed](t).Hash(m),
		keyOf[mixed](t).Hash(mixed{})))
}

// Goal: numbers and not their Go widths make the canonical form, and every NaN is one key.
// Method: compare words.
func TestKeyWordsIgnoreWidth(t *testing.T) {
	a := keyOf[int32](t).AppendWords(nil, []int32{-7, 7})
	b := keyOf[int64](t).AppendWords(nil, []int64{-7, 7})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	c := keyOf[pair](t).AppendWords(nil, []pair{{A: -7, B: 7}})
	if diff := cmp.Diff(a, c); diff != "" {
		t.Error(diff)
	}
	nan := keyOf[float64](t).AppendWords(nil,
		[]float64{
			math.NaN(),
			math.Copysign(math.NaN(), -1),
			math.Float64frombits(0x7ff0000000000001),
		})
	if nan[0] != nan[1] || nan[0] != nan[2] {
		t.Errorf("words of NaN: %x", nan)
	}
}

// Goal: the bytes of keys are as documented. Method: by hand; a plain string is not copied.
func TestKeyBytes(t *testing.T) {
	type key struct {
		N int32
		S string
		O [2]byte
	}
	got := keyOf[key](t).Bytes(key{N: -2, S: "ab", O: [2]byte{8, 9}}, make([]byte, 1, 100))
	want := []byte("\xfe\xff\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00ab\x02\x00\x00\x00\x08\x09")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	scratch := make([]byte, 8)
	if b := keyOf[string](t).Bytes("abc", scratch); string(b) != "abc" || &b[0] == &scratch[0] {
		t.Errorf("bytes of a string are %q, copied", b)
	}
}

// Goal: types without a canonical form are refused by name, with a cure. Method: table.
func TestKeyRefuses(t *testing.T) {
	check := func(err error, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	}
	_, err := KeyOf[[]byte]()
	check(err, "[]uint8", "use string")
	_, err = KeyOf[time.Time]()
	check(err, "time.Time", "eventtime.Timestamp")
	_, err = KeyOf[*int]()
	check(err, "*int", "use int")
	_, err = KeyOf[any]()
	check(err, "no canonical form")
	_, err = KeyOf[struct{ A [2]struct{ B complex128 } }]()
	check(err, `"A.0.B" of type complex128`)
	_, err = KeyOf[struct{ A Null[int] }]()
	check(err, `"A"`)
}

// Goal: damaged bytes are noticed, never read beyond. Method: every prefix of a key's bytes, and
// one byte more.
func TestKeyFromDamagedBytes(t *testing.T) {
	c := keyOf[mixed](t)
	b := c.Bytes(mixed{S: "abc"}, nil)
	var k mixed
	for _, damaged := range append(prefixes(b), append(append([]byte(nil), b...), 0)) {
		if refused := caught(func() { k = c.FromBytes(damaged) }); !refused {
			t.Errorf("read %x as %#v", damaged, k)
		}
	}
}

func prefixes(b []byte) [][]byte {
	var all [][]byte
	for i := range b {
		all = append(all, b[:i])
	}
	return all
}

func caught(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// Goal: different keys have different bytes, equal ones equal bytes and hashes, and all come
// back. Method: fuzz two keys of mixed parts.
func FuzzKeyRoundTrip(f *testing.F) {
	type key struct {
		N    int32
		A, B string
		F    float32
		T    bool
	}
	c := keyOf[key](f)
	f.Add(int32(1), "a", "bc", float32(1), true, int32(1), "ab", "c", float32(1), true)
	f.Fuzz(func(t *testing.T, n int32, a, b string, x float32, on bool,
		n2 int32, a2, b2 string, x2 float32, on2 bool) {
		k, k2 := key{n, a, b, x, on}, key{n2, a2, b2, x2, on2}
		if x != x || x2 != x2 {
			k.F, k2.F = 0, 0 // NaN differs from itself in Go
		}
		bytes1 := c.Bytes(k, nil)
		bytes2 := c.Bytes(k2, make([]byte, 0, 4))
		if (string(bytes1) == string(bytes2)) != (k == k2) {
			t.Fatalf("%#v and %#v have bytes %x and %x", k, k2, bytes1, bytes2)
		}
		if c.FromBytes(bytes1) != k {
			t.Fatalf("%#v came back as %#v", k, c.FromBytes(bytes1))
		}
		if k == k2 && c.Hash(k) != c.Hash(k2) {
			t.Fatalf("%#v has two hashes", k)
		}
	})
}

// Goal: no call on the record path allocates. Method: count allocations, for keys of all shapes.
func TestKeyAllocations(t *testing.T) {
	ids, texts := keyOf[int64](t), keyOf[string](t)
	pairs, mixes := keyOf[pair](t), keyOf[mixed](t)
	dst, scratch := make([]uint64, 64), make([]byte, 0, 256)
	m := mixed{S: "text"}
	ms := make([]mixed, 32)
	for name, f := range map[string]func(){
		"int64":      func() { dst[0] = ids.Hash(5) },
		"int64 all":  func() { dst = ids.HashAll(dst[:0], ints[:]) },
		"words":      func() { dst = ids.AppendWords(dst[:0], ints[:]) },
		"from words": func() { pairKey = pairs.FromWords(dst) },
		"pair":       func() { dst[0] = pairs.Hash(pair{A: 1}) },
		"string":     func() { dst[0] = texts.Hash(m.S) },
		"text bytes": func() { scratch2 = texts.Bytes(m.S, scratch) },
		"mixed":      func() { dst[0] = mixes.Hash(m) },
		"mixed all":  func() { dst = mixes.HashAll(dst[:0], ms) },
		"bytes":      func() { scratch = mixes.Bytes(m, scratch) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

var (
	ints     [64]int64
	pairKey  pair
	scratch2 []byte
)

func BenchmarkKeyHashAll(b *testing.B) {
	b.Run("int64", func(b *testing.B) { benchHashAll(b, keyOf[int64](b), make([]int64, 1024)) })
	b.Run("userID", func(b *testing.B) { benchHashAll(b, keyOf[userID](b), make([]userID, 1024)) })
	texts := make([]string, 1024)
	for i := range texts {
		texts[i] = "sixteen bytes ok"
	}
	b.Run("string16", func(b *testing.B) { benchHashAll(b, keyOf[string](b), texts) })
	b.Run("pair", func(b *testing.B) { benchHashAll(b, keyOf[pair](b), make([]pair, 1024)) })
}

func benchHashAll[K any](b *testing.B, c *KeyCodec[K], keys []K) {
	dst := make([]uint64, len(keys))
	b.ReportAllocs()
	for b.Loop() {
		dst = c.HashAll(dst[:0], keys)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
}

// Goal: HashAll and AppendWords read every key at its place. Method: runs of different keys
// against one key at a time.
func TestKeyRuns(t *testing.T) {
	checkRun(t, []int64{1, -2, 3})
	checkRun(t, []int32{1, -2, 3})
	checkRun(t, []uint32{1, math.MaxUint32, 3})
	checkRun(t, []int16{1, -2, 3})
	checkRun(t, []float32{1, -2, 0.5})
	checkRun(t, []string{"", "b", "a longer string than fits"})
	checkRun(t, []pair{{1, 2, 3}, {-4, 5, 6}, {7, 8, 255}})
	checkRun(t, []mixed{{S: "a"}, {n: -1}, {ID: [16]byte{1}}})
	checkRun(t, [][2]uint32{{1, 2}, {3, 4}, {math.MaxUint32, 6}})
	checkRun(t, []struct {
		A bool
		B int64
		C uint32
	}{{true, 1, 2}, {false, -1, 3}})
}

func checkRun[K any](t *testing.T, keys []K) {
	t.Helper()
	c := keyOf[K](t)
	var hashes, words []uint64
	for _, k := range keys {
		hashes = append(hashes, c.Hash(k))
		if c.Words() > 0 {
			words = c.AppendWords(words, []K{k})
		}
	}
	if diff := cmp.Diff(hashes, c.HashAll(nil, keys)); diff != "" {
		t.Errorf("%T: %s", keys, diff)
	}
	if c.Words() > 0 {
		if diff := cmp.Diff(words, c.AppendWords(nil, keys)); diff != "" {
			t.Errorf("%T: %s", keys, diff)
		}
	}
	if len(c.HashAll(nil, nil)) != 0 {
		t.Errorf("%T: hashes of nothing", keys)
	}
}

// TestDescribeKey checks that keys are described by structure: a renamed type has the same
// text, another array has not.
func TestDescribeKey(t *testing.T) {
	type code [4]byte
	type renamed [4]byte
	type withCode struct {
		C code
		N int32
	}
	for _, test := range []struct{ of, want string }{
		{DescribeKey(reflect.TypeFor[int64]()), "(`value` BIGINT NOT NULL)"},
		{DescribeKey(reflect.TypeFor[code]()), "ARRAY<4, (`value` SMALLINT NOT NULL)>"},
		{DescribeKey(reflect.TypeFor[renamed]()), DescribeKey(reflect.TypeFor[code]())},
		{
			DescribeKey(reflect.TypeFor[withCode]()),
			"ROW<ARRAY<4, (`value` SMALLINT NOT NULL)>, (`value` INT NOT NULL)>",
		},
	} {
		if test.of != test.want {
			t.Errorf("described as %s, want %s", test.of, test.want)
		}
	}
	if a, b := reflect.TypeFor[[3]byte](), reflect.TypeFor[[4]byte](); DescribeKey(a) ==
		DescribeKey(b) {
		t.Error("arrays of 3 and of 4 bytes have one text")
	}
}
