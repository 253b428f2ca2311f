package json

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/format/formattest"
	"github.com/leat-io/leat/types"
)

// flightsSchema is that of the flight records.
var flightsSchema = &types.Schema{Fields: []types.Field{
	types.Col("date", types.TimestampOf(3).NotNull()),
	types.Col("delay", types.TypeOf(types.Int).NotNull()),
	types.Col("distance", types.TypeOf(types.Int).NotNull()),
	types.Col("origin", types.TypeOf(types.String).NotNull()),
	types.Col("destination", types.TypeOf(types.String).NotNull()),
}}

const flight = `{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW",` +
	`"destination":"LAS"}`

// TestConformance runs the kit.
func TestConformance(t *testing.T) {
	change := func(name, column, from, to string) formattest.BadRow {
		return formattest.BadRow{
			Name: name, Column: column, Schema: flightsSchema, Good: flight + "\n",
			Bad: strings.Replace(flight, from, to, 1) + "\n",
		}
	}
	formattest.Test(t, New(Options{}), []formattest.BadRow{
		change("string for a number", "delay", "66", `"66"`),
		change("fraction", "delay", "66", "66.0"),
		change("exponent", "delay", "66", "6e1"),
		change("too large", "delay", "66", "3000000000"),
		change("null", "delay", "66", "null"),
		change("object", "delay", "66", `{"a":[1,{"b":"}"}]}`),
		change("missing", "delay", `"delay":66,`, ""),
		change("number for a string", "origin", `"DTW"`, "5"),
		change("no such day", "date", "01/01", "02/30"),
		change("no comma", "", `66,`, `66 `),
		change("bad literal", "", "66", "nul"),
		change("zero first", "", "66", "066"),
		change("control character", "", "DTW", "D\tW"),
		change("not UTF-8", "", "DTW", "D\xffW"),
		change("bad escape", "", "DTW", `D\xW`),
		change("bad unicode", "", "DTW", `D\u12g4W`),
		change("not an object", "", flight, `"flight"`),
		change("comma at the end", "", `"LAS"}`, `"LAS",}`),
		change("bad value to skip", "", `"delay"`, `"x":{"a":01},"delay"`),
	})
	formattest.Test(t, New(Options{OmitNull: true}), nil)
}

// TestObjects checks what single inputs mean, by encoding them again.
func TestObjects(t *testing.T) {
	schema := &types.Schema{Fields: []types.Field{
		types.Col("i", types.TypeOf(types.BigInt)),
		types.Col("s", types.TypeOf(types.String)),
		types.Col("d", types.TypeOf(types.Double)),
		types.Col("b", types.TypeOf(types.Boolean)),
	}}
	for _, test := range []struct{ name, in, want string }{
		{"other order", `{"b":true,"s":"x","i":1}{"b":true,"s":"x","i":1,"d":2}`,
			`{"i":1,"s":"x","b":true}{"i":1,"s":"x","d":2,"b":true}`},
		{"unknown fields", `{"x":[1,{"i":2},"]"],"i":1,"y":{},"z":[],"w":-1.5e+3,"v":null}`,
			`{"i":1}`},
		{"last wins", `{"i":1,"s":null,"i":2,"s":"a","d":1,"d":null}`, `{"i":2,"s":"a"}`},
		{"array", "\ufeff[{\"i\":1},\n {\"i\":2}\n]\n", `{"i":1}{"i":2}`},
		{"over lines", "{\n  \"i\" : 1 ,\r\n\t\"s\":\"a\"\n}\n\n{\"i\":2}",
			`{"i":1,"s":"a"}{"i":2}`},
		{"escapes", `{"s":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\udeeb"}`,
			`{"s":"a\"\\/\u0008\u000c\n\r\té` + "\U0001f6eb" + `"}`},
		{"half pairs", `{"s":"\ud83d"}{"s":"\ud83dx"}{"s":"\ud83d\u0041"}{"s":"\udeeb"}`,
			"{\"s\":\"\ufffd\"}{\"s\":\"\ufffdx\"}{\"s\":\"\ufffdA\"}{\"s\":\"\ufffd\"}"},
		{"escaped name", `{"\u0069":5}`, `{"i":5}`},
		{"empty", `{} {}`, `{}{}`},
		{"numbers", `{"d":-0.0}{"d":1E5}{"d":1e400}`, "error"},
		{"floats", `{"d":-0.0}{"d":1E5}{"d":"NaN"}{"d":1.25e-9}`,
			`{"d":-0}{"d":100000}{"d":"NaN"}{"d":1.25e-09}`},
		{"long text", `{"s":"airport of departure"}{"s":"日本の空港は"}`,
			`{"s":"airport of departure"}{"s":"日本の空港は"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, _ := New(Options{}).NewDecoder(schema)
			out := batch.New(schema, 100)
			used, _, err := d.Decode([]byte(test.in), true, out)
			if test.want == "error" {
				if err == nil {
					t.Fatal("want an error")
				}
				return
			}
			if err != nil || used != len(test.in) {
				t.Fatalf("%d of %d bytes used: %v", used, len(test.in), err)
			}
			got := formattest.Encode(t, New(Options{OmitNull: true}), out)
			got = bytes.ReplaceAll(got, newline, nil)
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestDeep checks that nesting is bounded and needs no stack.
func TestDeep(t *testing.T) {
	for depth, good := range map[int]bool{maxDepth: true, maxDepth + 1: false} {
		in := `{"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}\n"
		schema := &types.Schema{Fields: []types.Field{types.Col("i", types.TypeOf(types.Int))}}
		d, _ := New(Options{}).NewDecoder(schema)
		out := batch.New(schema, 1)
		_, _, err := d.Decode([]byte(in), true, out)
		if (err == nil) != good {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// FuzzObject compares with encoding/json on input that it accepts: lines of objects.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"i":1,"s":"a","d":1.5,"b":true}`))
	f.Add([]byte(`{"b":null,"x":{"i":[1,2,{"s":"\u00e9"}]},"s":"\ud83d\udeeb\n",` +
		`"i":-9223372036854775808}`))
	f.Add([]byte(`{"d":1e-300, "d" :-0.5E+2,"s":"a longer text than twelve bytes"}`))
	schema := &types.Schema{Fields: []types.Field{
		types.Col("i", types.TypeOf(types.BigInt)),
		types.Col("s", types.TypeOf(types.String)),
		types.Col("d", types.TypeOf(types.Double)),
		types.Col("b", types.TypeOf(types.Boolean)),
	}}
	d, _ := New(Options{}).NewDecoder(schema)
	f.Fuzz(func(t *testing.T, in []byte) {
		out := batch.New(schema, 4)
		used, _, err := d.Decode(in, true, out)
		if rowErr, ok := err.(*format.RowError); ok {
			used += rowErr.Skip
			if rowErr.Skip <= 0 {
				t.Fatalf("%q: skip %d", in, rowErr.Skip)
			}
		}
		if used > len(in) || used <= 0 && len(in) > 0 {
			t.Fatalf("%q: %d bytes used", in, used)
		}
		// The same with room behind it, where the quick paths look ahead.
		padded := batch.New(schema, 4)
		_, _, paddedErr := d.Decode(append(bytes.Clone(in), make([]byte, 64)...), true, padded)
		if err == nil && padded.Len < 4 && paddedErr == nil {
			t.Fatalf("%q followed by zeros is accepted", in)
		}
		if err == nil && !padded.Equal(out) {
			t.Fatalf("%q: want\n%s\nand with room\n%s", in, out, padded)
		}
		var want map[string]any
		decoder := json.NewDecoder(bytes.NewReader(in))
		decoder.UseNumber()
		valid := json.Valid(in) && utf8.Valid(in) && decoder.Decode(&want) == nil && want != nil
		if !valid {
			if err == nil && out.Len == 1 && used == len(in) && in[0] == '{' &&
				in[len(in)-1] == '}' {
				t.Fatalf("%q is accepted", in)
			}
			return
		}
		if !suits(want) {
			if err == nil {
				t.Fatalf("%q does not suit the columns and is accepted", in)
			}
			return
		}
		if rowErr, ok := err.(*format.RowError); ok && twice(in, rowErr.Column) {
			return // the first one does not suit
		}
		if err != nil || out.Len != 1 {
			t.Fatalf("%q: %d rows, %v", in, out.Len, err)
		}
		got := map[string]any{}
		c := &out.Columns
		for col, v := range []any{(*c)[0].Int64[0], nil, (*c)[2].Float64[0], (*c)[3].Bool[0]} {
			if out.IsNull(col, 0) {
				continue
			}
			if col == 1 {
				v = string(out.Text(1, 0))
			}
			got[schema.Fields[col].Name] = v
		}
		for name, v := range want {
			if v == nil || schema.Index(name) < 0 {
				delete(want, name)
			} else if n, ok := v.(json.Number); ok && name == "i" {
				want[name], _ = n.Int64()
			} else if ok {
				want[name], _ = n.Float64()
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
	})
}

// twice reports whether the object has more than one field of a name.
func twice(object []byte, name string) bool {
	d := json.NewDecoder(bytes.NewReader(object))
	_, _ = d.Token()
	count := 0
	for d.More() {
		key, _ := d.Token()
		if key == name {
			count++
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return false
		}
	}
	return count > 1
}

// suits reports whether the values are of the types of the columns.
func suits(object map[string]any) bool {
	for name, v := range object {
		ok := true
		switch n, number := v.(json.Number); name {
		case "i":
			_, err := n.Int64()
			ok = number && err == nil
		case "d":
			_, err := n.Float64()
			s, text := v.(string)
			ok = number && err == nil || text && (s == "NaN" || s == "Infinity" || s == "-Infinity")
			if text && ok {
				delete(object, name) // compared nowhere
				return false
			}
		case "s":
			_, ok = v.(string)
		case "b":
			_, ok = v.(bool)
		}
		if !ok && v != nil {
			return false
		}
	}
	return true
}

const benchRows = 50_000

func flightsJSON() []byte {
	var out bytes.Buffer
	for i := range benchRows {
		fmt.Fprintf(&out,
			`{"date":"2001/01/%02d %02d:%02d","delay":%d,"distance":%d,"origin":"DTW",`+
				`"destination":"LAS"}`+"\n", 1+i/1440%28, i/60%24, i%60, i*7919%200-30,
			80+i*104729%2500)
	}
	return out.Bytes()
}

func BenchmarkFlightsDecode(b *testing.B) {
	data := flightsJSON()
	d, _ := New(Options{}).NewDecoder(flightsSchema)
	out := batch.New(flightsSchema, batch.DefaultRows)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		for p := 0; p < len(data); {
			out.Reset()
			used, _, err := d.Decode(data[p:], true, out)
			if err != nil {
				b.Fatal(err)
			}
			p += used
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

// BenchmarkFlightsLibrary is encoding/json into a struct, without reading the date.
func BenchmarkFlightsLibrary(b *testing.B) {
	data := flightsJSON()
	for b.Loop() {
		for line := range bytes.Lines(data) {
			var row struct {
				Date                string `json:"date"`
				Delay, Distance     int32
				Origin, Destination string
			}
			if err := json.Unmarshal(line, &row); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkFlightsEncode(b *testing.B) {
	d, _ := New(Options{}).NewDecoder(flightsSchema)
	e, _ := New(Options{}).NewEncoder(flightsSchema)
	rows := batch.New(flightsSchema, batch.DefaultRows)
	if _, _, err := d.Decode(flightsJSON(), true, rows); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = e.Encode(dst[:0], rows, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows.Len), "ns/row")
}
