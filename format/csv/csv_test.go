package csv

import (
	"bytes"
	"encoding/csv"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/format/formattest"
	"github.com/leat-io/leat/types"
)

func formatOf(t testing.TB, options Options) *Format {
	t.Helper()
	f, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestConformance runs the kit over the option sets that change the text.
func TestConformance(t *testing.T) {
	good := "2001-01-01 00:47,66,1750,DTW,LAS\n"
	bad := []formattest.BadRow{
		{Name: "letters for a number", Bad: "2001-01-01 00:47,abc,1750,DTW,LAS\n", Column: "delay"},
		{Name: "too large", Bad: "2001-01-01 00:47,66,3000000000,DTW,LAS\n", Column: "distance"},
		{Name: "empty", Bad: "2001-01-01 00:47,,1750,DTW,LAS\n", Column: "delay"},
		{Name: "no such day", Bad: "2001-02-29 00:47,66,1750,DTW,LAS\n", Column: "date"},
		{Name: "no such time", Bad: "2001-01-01 24:00,66,1750,DTW,LAS\n", Column: "date"},
		{Name: "few columns", Bad: "2001-01-01 00:47,66,1750,DTW\n"},
		{Name: "many columns", Bad: "2001-01-01 00:47,66,1750,DTW,LAS,x\r\n"},
		{Name: "text after quote", Bad: "2001-01-01 00:47,66,1750,\"DTW\"x,LAS\n"},
		{Name: "lone minus", Bad: "2001-01-01 00:47,-,1750,DTW,LAS\n", Column: "delay"},
	}
	for i := range bad {
		bad[i].Schema, bad[i].Good = flightsSchema, good
	}
	t.Run("default", func(t *testing.T) { formattest.Test(t, formatOf(t, Options{}), bad) })
	for name, options := range map[string]Options{
		"semicolon": {Delimiter: ';', Quote: '\''},
		"space":     {Delimiter: ' '},
		"null":      {Null: "NA"},
		"null zero": {Null: "0"},
		"escape":    {Escape: '\\'},
	} {
		t.Run(name, func(t *testing.T) { formattest.Test(t, formatOf(t, options), nil) })
	}
}

// TestRows checks the meaning of single inputs, with the fast path and, the same rows quoted
// away from it, the slow one.
func TestRows(t *testing.T) {
	nullable := &types.Schema{Fields: []types.Field{
		types.Col("i", types.TypeOf(types.Int)),
		types.Col("s", types.TypeOf(types.String)),
		types.Col("d", types.TypeOf(types.Double)),
		types.Col("t", types.TimestampOf(3)),
		types.Col("z", types.TypeOf(types.String).NotNull()),
	}}
	tests := []struct {
		name    string
		options Options
		in      string
		want    string // encoded again
	}{
		{"plain", Options{}, "1,ab,1.5,2001-01-01 00:47,x\n", "1,ab,1.5,2001-01-01 00:47:00,x\n"},
		{"slashes", Options{}, "1,ab,2,2001/01/01 00:47:05,x\n", "1,ab,2,2001-01-01 00:47:05,x\n"},
		{"t and z", Options{}, "1,ab,2,2001-01-01T00:47:05.120Z,x\n",
			"1,ab,2,2001-01-01 00:47:05.120,x\n"},
		{"empty fields", Options{}, ",,,,\n", ",,,,\n"},
		{"empty in quotes", Options{}, ",\"\",,,\"\"\n", ",\"\",,,\n"},
		{"crlf", Options{}, "1,ab,2,,xyz\r\n\r\n2,cd,3,,\r\n", "1,ab,2,,xyz\n2,cd,3,,\n"},
		{"no end", Options{}, "1,ab,2,,x\n2,ab,2,,y", "1,ab,2,,x\n2,ab,2,,y\n"},
		{"cr at the end", Options{}, "1,ab,2,,x\r", "1,ab,2,,x\n"},
		{"quotes", Options{}, "\"1\",\"a,\"\"b\"\"\nc\",2,,\"x\"\n", "1,\"a,\"\"b\"\"\nc\",2,,x\n"},
		{"quote inside", Options{}, "1,a\"b,2,,x\n", "1,\"a\"\"b\",2,,x\n"},
		{"numbers", Options{}, "-2147483648,a,-1e-7,,x\n+5,a,1e400000000000000000000000000,,x\n",
			"error"},
		{"exponent", Options{}, "-2147483648,a,-1e-7,,x\n+5,a,123456789012345678,,x\n",
			"-2147483648,a,-1e-07,,x\n5,a,123456789012345680,,x\n"},
		{"escape", Options{Escape: '\\'}, "1,a\\,b\\n,2,,\\\"x\n",
			"1,\"a,b\n\",2,,\"\"\"x\"\n"},
		{"null word", Options{Null: "NULL"}, "NULL,NULL,NULL,NULL,NULLS\n",
			"NULL,NULL,NULL,NULL,NULLS\n"},
		{"no quote", Options{NoQuote: true}, "1,\"a,2,,x\n", "1,\"a,2,,x\n"},
		{"header", Options{Header: true}, "z,t,other,d,s,i\nx,,\"q,q\",2,ab,7\ny,,,2,ab,7\n",
			"i,s,d,t,z\n7,ab,2,,x\n7,ab,2,,y\n"},
		{"mark", Options{Header: true}, "\ufeffi,s,d,t,z\n7,ab,2,,x\n", "i,s,d,t,z\n7,ab,2,,x\n"},
		{"long text", Options{}, "1,twelve bytes,2,,thirteen byte\n1,eight by,2,,seven b\n",
			"1,twelve bytes,2,,thirteen byte\n1,eight by,2,,seven b\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := formatOf(t, test.options)
			for _, pad := range []bool{false, true} {
				in, want := test.in, test.want
				if pad { // so that the rows are not near the end of the data
					in += "9,a,1,,zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n"
					want += "9,a,1,,zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\n"
					if test.name == "no end" || test.name == "cr at the end" ||
						test.name == "header" ||
						test.name == "null word" {
						continue
					}
				}
				d, _ := f.NewDecoder(nullable)
				out := batch.New(nullable, 100)
				d.Start(true)
				used, _, err := d.Decode([]byte(in), true, out)
				if test.want == "error" {
					if err == nil {
						t.Fatal("want an error")
					}
					continue
				}
				if err != nil || used != len(in) {
					t.Fatalf("%d bytes used of %q: %v", used, in, err)
				}
				e, _ := formatOf(t, Options{Header: test.options.Header,
					NoQuote: test.options.NoQuote,
					Null:    test.options.Null}).NewEncoder(nullable)
				got, err := e.Encode(e.Header(nil), out, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

// TestHeaderFaults checks that a header which does not suit the schema is refused for good.
func TestHeaderFaults(t *testing.T) {
	for name, in := range map[string]string{
		"missing":   "date,delay,distance,origin\n",
		"twice":     "date,delay,delay,origin,destination,distance\n",
		"no header": "2001-01-01 00:47,66,1750,DTW,LAS\n", "open": "\"date,",
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := formatOf(t, Options{Header: true}).NewDecoder(flightsSchema)
			out := batch.New(flightsSchema, 4)
			_, _, err := d.Decode([]byte(in), true, out)
			rowErr, ok := err.(*format.RowError)
			if !ok || rowErr.Skip != 0 {
				t.Fatalf("want a RowError that cannot be skipped, got %v", err)
			}
			t.Log(err)
		})
	}
}

// TestOptions checks that options with two meanings are refused.
func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{Delimiter: '"'}, {Delimiter: '\n'}, {Delimiter: 'x'}, {Delimiter: '-'}, {Quote: ' '},
		{Escape: '"'}, {Escape: ','}, {Null: "a,b"}, {Quote: '\r'}, {Delimiter: 0xff},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("options %+v are accepted", o)
		}
	}
}

// textColumns has three strings, so that every input that is CSV decodes.
var textColumns = &types.Schema{Fields: []types.Field{
	types.Col("a", types.TypeOf(types.String).NotNull()),
	types.Col("b", types.TypeOf(types.String).NotNull()),
	types.Col("c", types.TypeOf(types.String).NotNull()),
}}

// FuzzText compares the strings with encoding/csv, which is stricter about quotes and turns CRLF
// within quotes into LF.
func FuzzText(f *testing.F) {
	f.Add([]byte("a,b,c\n"))
	f.Add([]byte("\"a\"\"\",b,c\r\n\n,,\n\"\n\",2,3"))
	f.Add([]byte("airport of departure,b,\"airport of destination\"\n" +
		"aaaaaaaa,bbbbbbbb,cccccccccccc\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 1<<16 || bytes.HasPrefix(in, byteOrderMark) {
			return
		}
		r := csv.NewReader(bytes.NewReader(in))
		r.FieldsPerRecord = 3
		var want [][]string
		for {
			record, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				want = nil
				break
			}
			want = append(want, record)
		}
		d, _ := formatOf(t, Options{}).NewDecoder(textColumns)
		out := batch.New(textColumns, batch.MaxRows)
		_, _, err := d.Decode(in, true, out)
		if len(want) == 0 {
			return
		}
		if err != nil {
			t.Fatalf("%q: encoding/csv reads %q, we say %v", in, want, err)
		}
		// The same with blank lines behind it, where the fast path looks ahead.
		if padded := batch.New(textColumns, batch.MaxRows); bytes.HasSuffix(in, newline) {
			_, _, err := d.Decode(append(bytes.Clone(in), bytes.Repeat(newline, 64)...), true,
				padded)
			if err != nil || !padded.Equal(out) {
				t.Fatalf("%q: want\n%s\nand with room\n%s, %v", in, out, padded, err)
			}
		}
		var got [][]string
		for row := range out.Len {
			var record []string
			for col := range 3 {
				text := bytes.ReplaceAll(out.Text(col, row), []byte("\r\n"), newline)
				record = append(record, string(text))
			}
			got = append(got, record)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
	})
}

// FuzzTypes checks that no input makes the decoder panic or stand still, and that what it accepts
// is accepted again from its own encoding.
func FuzzTypes(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(formattest.Encode(f, formatOf(f, Options{}),
			formattest.Rows(formattest.AllTypes(true), 3, seed)))
	}
	f.Add([]byte("true,1,2,3,-4,5.5,6e6,seven,OA==,2001-01-01,00:47,2001/01/01 00:47,,\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		schema := formattest.AllTypes(true)
		codec := formatOf(t, Options{})
		d, _ := codec.NewDecoder(schema)
		out := batch.New(schema, 64)
		for rest := in; len(rest) > 0; {
			out.Reset()
			used, _, err := d.Decode(rest, true, out)
			if rowErr, ok := err.(*format.RowError); ok {
				if rowErr.Skip <= 0 {
					t.Fatalf("%q: skip %d", rest, rowErr.Skip)
				}
				used += rowErr.Skip
			}
			if used <= 0 || used > len(rest) {
				t.Fatalf("%q: %d bytes used", rest, used)
			}
			rest = rest[used:]
			got, _ := formattest.DecodeAll(t, codec, schema, formattest.Encode(t, codec, out),
				1<<30, 64)
			if !got.Equal(out) {
				t.Fatalf("%q: want\n%s\ngot\n%s", in, out, got)
			}
		}
	})
}
