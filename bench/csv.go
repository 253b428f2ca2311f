package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/leat-io/leat/connector/file"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/format/csv"
	"github.com/leat-io/leat/stream"
)

const csvRecords = 3_000_000

// flight has the columns of the flights example.
type flight struct {
	Date        eventtime.Timestamp
	Delay       int32
	Distance    int32
	Origin      string
	Destination string
}

// csvSuite compares the engine reading a CSV file with a loop made for that file.
func csvSuite(rounds int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	dir, err := os.MkdirTemp("", "leat-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "flights.csv")
	if err := writeFlights(name); err != nil {
		return err
	}
	all, err := alternate(rounds, "ns/record",
		contender{"hand-written decode loop", func() (float64, error) { return csvLoop(name) }},
		contender{"engine", func() (float64, error) { return csvJob(name) }})
	if err != nil {
		return err
	}
	verdict("engine against the loop", all[1].median()/all[0].median(), "at most", 1.3, "times")
	return nil
}

func writeFlights(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	airports := []string{"ATL", "ORD", "DFW", "LAX", "PHX", "STL", "DTW", "MSP"}
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range csvRecords {
		at := start.Add(time.Duration(i) * 5 * time.Second)
		fmt.Fprintf(w, "%s,%d,%d,%s,%s\n", at.Format("2006-01-02 15:04"), i*7919%400-30,
			100+i*31%2500, airports[i%8], airports[(i/8+i)%8])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

var csvTotal int64

// csvLoop decodes every column of every row, as a person would who knows the file. Strings
// are safe to keep here too, made from one copy per chunk.
func csvLoop(name string) (float64, error) {
	start := cpuTime()
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const size = 256 << 10
	rest, total, rows := []byte(nil), int64(0), 0
	for {
		chunk := make([]byte, len(rest)+size)
		copy(chunk, rest)
		n, err := f.Read(chunk[len(rest):])
		if err != nil && err != io.EOF {
			return 0, err
		}
		if n == 0 {
			break
		}
		chunk = chunk[:len(rest)+n]
		last := bytes.LastIndexByte(chunk, '\n') + 1
		text := string(chunk[:last])
		rest = chunk[last:]
		for len(text) > 0 {
			var v flight
			v, text = decodeFlight(text)
			total += int64(v.Delay) + int64(len(v.Origin)) + int64(v.Date&1)
			rows++
		}
	}
	if rows != csvRecords {
		return 0, fmt.Errorf("read %d rows of %d", rows, csvRecords)
	}
	csvTotal = total
	return float64(cpuTime()-start) / csvRecords, nil
}

func decodeFlight(text string) (flight, string) {
	var v flight
	v.Date = decodeMinute(text[:16])
	text = text[17:]
	v.Delay, text = decodeInt(text)
	v.Distance, text = decodeInt(text)
	v.Origin, text = text[:3], text[4:]
	v.Destination, text = text[:3], text[4:]
	return v, text
}

func decodeMinute(s string) eventtime.Timestamp {
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	if month <= 2 {
		year, month = year-1, month+12
	}
	days := 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
	return eventtime.Timestamp(((days*24+two(11))*60 + two(14)) * 60_000)
}

func decodeInt(text string) (int32, string) {
	end := 0
	for text[end] != ',' {
		end++
	}
	n, negative := int32(0), false
	for i := range end {
		if text[i] == '-' {
			negative = true
			continue
		}
		n = n*10 + int32(text[i]-'0')
	}
	if negative {
		n = -n
	}
	return n, text[end+1:]
}

func csvJob(name string) (float64, error) {
	env, err := benchEnv("csv")
	if err != nil {
		return 0, err
	}
	format, err := csv.New(csv.Options{})
	if err != nil {
		return 0, err
	}
	source, err := file.NewSource(file.SourceOptions{
		Paths: []string{name}, Format: format, Schema: stream.SchemaOf[flight](),
	})
	if err != nil {
		return 0, err
	}
	total := int64(0)
	stream.ForEach(stream.From[flight](env.Env, "flights", source), "sum",
		func(v flight) error {
			total += int64(v.Delay) + int64(len(v.Origin)) + int64(v.Date&1)
			return nil
		})
	start := cpuTime()
	if _, err := env.run(context.Background()); err != nil {
		return 0, err
	}
	nanos := float64(cpuTime()-start) / csvRecords
	if total != csvTotal {
		return 0, fmt.Errorf("the job summed %d, the loop %d", total, csvTotal)
	}
	return nanos, nil
}
