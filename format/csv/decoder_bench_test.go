package csv

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
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

// flightsCSV makes rows of the shape of the flight records.
func flightsCSV(rows int) []byte {
	airports := strings.Fields("DTW LAS HNL SFO OAK PHX MHT BWI MDT DFW IAD CLT GSO PDX ATL ORD")
	var out bytes.Buffer
	for i := range rows {
		at := time.Date(2001, 1, 1, 0, i, 0, 0, time.UTC)
		fmt.Fprintf(&out, "%s,%d,%d,%s,%s\n", at.Format("2006-01-02 15:04"), i*7919%200-30,
			80+i*104729%2500, airports[i*31%16], airports[(i*17+5)%16])
	}
	return out.Bytes()
}

// flights is what the hand-written loop fills.
type flights struct {
	date                []int64
	delay, distance     []int32
	origin, destination []batch.View
}

// handLoop is the decoder that somebody would write for these rows alone: no nulls, no quotes, no
// places of faults.
func handLoop(data []byte, out *flights, row int) (used, rows int) {
	p := 0
	for row < len(out.date) {
		line := bytes.IndexByte(data[p:], '\n')
		if line < 0 {
			break
		}
		b := data[p : p+line]
		millis, ok := format.ParseMinute(b)
		if !ok || b[16] != ',' {
			break
		}
		out.date[row] = millis
		i := 17
		out.delay[row], i = handInt(b, i)
		out.distance[row], i = handInt(b, i)
		j := i
		for b[j] != ',' {
			j++
		}
		out.origin[row] = batch.InlineView(b[i:j])
		out.destination[row] = batch.InlineView(b[j+1:])
		p += line + 1
		row++
	}
	return p, row
}

func handInt(b []byte, i int) (int32, int) {
	negative := b[i] == '-'
	if negative {
		i++
	}
	v := int32(0)
	for b[i] != ',' {
		v = v*10 + int32(b[i]-'0')
		i++
	}
	if negative {
		v = -v
	}
	return v, i + 1
}

const benchRows = 100_000

func BenchmarkFlightsHandLoop(b *testing.B) {
	data := flightsCSV(benchRows)
	n := batch.DefaultRows
	out := &flights{make([]int64, n), make([]int32, n), make([]int32, n), make([]batch.View, n),
		make([]batch.View, n)}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for p := 0; p < len(data); {
			used, _ := handLoop(data[p:], out, 0)
			p += used
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkFlightsDecode(b *testing.B) {
	data := flightsCSV(benchRows)
	benchDecode(b, Options{}, data)
}

// BenchmarkFlightsDecodeQuoted has every string in quotation marks.
func BenchmarkFlightsDecodeQuoted(b *testing.B) {
	data := flightsCSV(benchRows)
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		f := bytes.Split(bytes.TrimSpace(line), []byte(","))
		fmt.Fprintf(&out, "%s,%s,%s,%q,%q\n", f[0], f[1], f[2], f[3], f[4])
	}
	benchDecode(b, Options{}, out.Bytes())
}

func benchDecode(b *testing.B, options Options, data []byte) {
	f, err := New(options)
	if err != nil {
		b.Fatal(err)
	}
	d, err := f.NewDecoder(flightsSchema)
	if err != nil {
		b.Fatal(err)
	}
	out := batch.New(flightsSchema, batch.DefaultRows)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		d.Start(true)
		rows := 0
		for p := 0; p < len(data); {
			out.Reset()
			used, _, err := d.Decode(data[p:], true, out)
			if err != nil {
				b.Fatal(err)
			}
			rows += out.Len
			p += used
		}
		if rows != benchRows {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkFlightsEncode(b *testing.B) {
	f, _ := New(Options{})
	d, _ := f.NewDecoder(flightsSchema)
	e, _ := f.NewEncoder(flightsSchema)
	rows := batch.New(flightsSchema, batch.DefaultRows)
	if _, _, err := d.Decode(flightsCSV(batch.DefaultRows), true, rows); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = e.Encode(dst[:0], rows, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows.Len), "ns/row")
}

// BenchmarkFlightsLibrary is encoding/csv and strconv.
func BenchmarkFlightsLibrary(b *testing.B) {
	data := flightsCSV(benchRows)
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(data))
		r.ReuseRecord = true
		for {
			record, err := r.Read()
			if err != nil {
				break
			}
			if _, err := time.Parse("2006-01-02 15:04", record[0]); err != nil {
				b.Fatal(err)
			}
			if _, err := strconv.Atoi(record[1]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}
