package view

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/types"
)

type inner struct {
	A int8
	B string
}

type nested struct {
	X  inner
	Y  [2]uint32
	On bool
}

type wrapped struct{ V struct{ Name string } }

type wide struct {
	A uint64
	B int64
}

// checkKey writes a key as the engine does, and reads and finds it by its schema alone.
func checkKey[K any](t *testing.T, key K, text, asJSON string) {
	t.Helper()
	codec, err := types.KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	var canonical []byte
	if codec.Words() > 0 {
		for _, word := range codec.AppendWords(nil, []K{key}) {
			canonical = binary.LittleEndian.AppendUint64(canonical, word)
		}
	} else {
		canonical = bytes.Clone(codec.Bytes(key, nil))
	}
	schema := types.DescribeKey(reflect.TypeFor[K]())
	form, err := parseKeyForm(schema)
	if err != nil {
		t.Fatalf("%T: %v", key, err)
	}
	if form.words != codec.Words() {
		t.Errorf("%T, %s: %d words, want %d", key, schema, form.words, codec.Words())
	}
	value := form.decode(canonical)
	if got := Text(value); got != text {
		t.Errorf("%T, %s: text %q, want %q", key, schema, got, text)
	}
	encoded, err := json.Marshal(value)
	if err != nil || string(encoded) != asJSON {
		t.Errorf("%T: JSON %s, %v, want %s", key, encoded, err, asJSON)
	}
	said := text
	if s, ok := value.(string); ok {
		said = s
	}
	if record, ok := value.(Record); ok { // the other way to say it: parts with commas
		parts := make([]string, len(record))
		for i, f := range record {
			parts[i] = Text(f.Value)
		}
		said = strings.Join(parts, ",")
		checkParse(t, form, asJSON, canonical, codec.Hash(key))
	}
	checkParse(t, form, said, canonical, codec.Hash(key))
}

func checkParse(t *testing.T, form *keyForm, said string, canonical []byte, hash uint64) {
	t.Helper()
	got, gotHash, err := form.parse(said)
	if err != nil || !bytes.Equal(got, canonical) || gotHash != hash {
		t.Errorf("key %q: %x with hash %x, %v; want %x with %x", said, got, gotHash, err, canonical,
			hash)
	}
}

// Goal: keys of every form are read by their schema alone, and found by what a person writes.
// Method: write keys as the engine does; compare bytes, hash and text.
func TestKeys(t *testing.T) {
	checkKey(t, int32(-5), "-5", "-5")
	checkKey(t, int64(math.MinInt64), "-9223372036854775808", "-9223372036854775808")
	checkKey(t, uint64(math.MaxUint64), "18446744073709551615", "18446744073709551615")
	checkKey(t, uint8(200), "200", "200")
	checkKey(t, true, "true", "true")
	checkKey(t, 2.5, "2.5", "2.5")
	checkKey(t, float32(0.5), "0.5", "0.5")
	checkKey(t, "Zürich", "Zürich", `"Zürich"`)
	checkKey(t, "", `""`, `""`)
	checkKey(t, "null", `"null"`, `"null"`)
	checkKey(t, eventtime.Timestamp(1_356_998_400_000), "2013-01-01 00:00:00",
		`"2013-01-01 00:00:00"`)
	checkKey(t, inner{-1, "x"}, "{a: -1, b: x}", `{"a":-1,"b":"x"}`)
	checkKey(t, nested{inner{1, "y"}, [2]uint32{7, 8}, true},
		"{0.a: 1, 0.b: y, 1.0: 7, 1.1: 8, 2: true}",
		`{"0.a":1,"0.b":"y","1.0":7,"1.1":8,"2":true}`)
	checkKey(t, wrapped{struct{ Name string }{"n"}}, "n", `"n"`)
	checkKey(t, wide{1, -2}, "{0: 1, 1: -2}", `{"0":1,"1":-2}`)
	checkKey(t, [3]byte{1, 2, 255}, "0x0102ff", `"0x0102ff"`)
	checkKey(t, [2]int64{5, 6}, "{0: 5, 1: 6}", `{"0":5,"1":6}`)
	checkKey(t, [1]string{"one"}, "one", `"one"`)
}

// Goal: a key that does not fit is refused with what would. Method: a table.
func TestKeyFaults(t *testing.T) {
	for _, c := range []struct{ schema, key, want string }{
		{"(`value` BIGINT NOT NULL)", "x", `"x" is no BIGINT`},
		{"(`a` INT NOT NULL, `b` STRING NOT NULL)", "1", "1 of 2 parts; want a, b"},
		{"(`a` INT NOT NULL, `b` STRING NOT NULL)", `{"a": 1, "c": 2}`, "other names"},
		{"(`a` INT NOT NULL, `b` STRING NOT NULL)", `[1, "x", 2]`, "3 of 2 parts"},
		{"(`a` INT NOT NULL, `b` STRING NOT NULL)", `[1,`, "want a, b"},
	} {
		form, err := parseKeyForm(c.schema)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := form.parse(c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %q: %v, want %q", c.schema, c.key, err, c.want)
		}
	}
	for _, schema := range []string{"", "(", "ARRAY<", "ARRAY<x, INT>", "ROW<UINT64", "MAP<a>",
		"ARRAY<99999999, UINT64>", "ROW<ROW<", "ARRAY<-1, UINT64>"} {
		if form, err := parseKeyForm(schema); err == nil && schema != "ROW<UINT64" {
			t.Errorf("schema %q: %+v", schema, form)
		}
	}
}

// Goal: no bytes and no schema make the decoder panic. Method: fuzz both.
func FuzzKey(f *testing.F) {
	f.Add("(`a` INT NOT NULL, `b` STRING NOT NULL)", []byte("12345678\x01\x00\x00\x00x"), "1,x")
	f.Add("ARRAY<2, (`value` SMALLINT NOT NULL)>", []byte("ab"), "0x6162")
	f.Add("ROW<UINT64, (`value` STRING NOT NULL)>", []byte("12345678\x00\x00\x00\x00"), "[1, \"\"]")
	f.Fuzz(func(t *testing.T, schema string, b []byte, said string) {
		form, err := parseKeyForm(schema)
		if err != nil {
			return
		}
		_ = Text(form.decode(b))
		canonical, _, err := form.parse(said)
		if err == nil && form.words > 0 && len(canonical) != 8*form.words {
			t.Errorf("schema %q, key %q: %x", schema, said, canonical)
		}
	})
}

// Goal: values of every type are read out of rows. Method: a row written by hand per type.
func TestLeaves(t *testing.T) {
	schema := "(`b` BOOLEAN, `t` TINYINT NOT NULL, `s` SMALLINT NOT NULL, `d` DATE NOT NULL, " +
		"`c` TIME(0) NOT NULL, `ts` TIMESTAMP(3) NOT NULL, `long` TIMESTAMP(9) NOT NULL, " +
		"`dec` DECIMAL(10, 2) NOT NULL, `f` FLOAT NOT NULL, `n` STRING, `o` BYTES NOT NULL, " +
		"`r` ROW<`x` INT NOT NULL> NOT NULL)"
	s, err := serialOf(schema, true)
	if err != nil {
		t.Fatal(err)
	}
	fixed := make([]byte, s.cell.layout.RowBytes)
	at := map[string]types.LayoutField{}
	for _, field := range s.cell.layout.Fields {
		at[field.Name] = field
	}
	put := func(name string, value uint64) {
		b := binary.LittleEndian.AppendUint64(nil, value)
		copy(fixed[at[name].Offset:], b[:min(8, at[name].Bytes)])
	}
	negative := func(n int64) uint64 { return uint64(n) }
	put("b", 1)
	put("t", negative(-3))
	put("s", negative(-300))
	put("d", negative(-1))
	put("c", 3_600_000)
	put("ts", negative(-1))
	put("long", 1_000)
	binary.LittleEndian.PutUint32(fixed[at["long"].Offset+8:], 123)
	put("dec", negative(-5))
	binary.LittleEndian.PutUint64(fixed[at["dec"].Offset+8:], math.MaxUint64)
	put("f", uint64(math.Float32bits(1.5)))
	put("o", 2)
	put("r.x", 9)
	fixed[at["n"].NullBit/8] |= 1 << (at["n"].NullBit % 8)
	row := append(binary.LittleEndian.AppendUint64(nil, 77), fixed...)
	value, lastUse, err := s.decode(append(row, 0xca, 0xfe))
	if err != nil || lastUse != 77 {
		t.Fatal(value, lastUse, err)
	}
	const want = "{b: true, t: -3, s: -300, d: 1969-12-31, c: \"01:00:00.000\", " +
		"ts: 1969-12-31 23:59:59.999, long: 1970-01-01 00:00:01.000000123, dec: -0.05, f: 1.5, " +
		"n: null, o: 0xcafe, r.x: 9}"
	if got := Text(value); got != want && got != strings.ReplaceAll(want, `"`, "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for n := range len(row) {
		if _, _, err := s.decode(row[:n]); err == nil {
			t.Errorf("%d bytes of %d gave no error", n, len(row)+2)
		}
	}
}
