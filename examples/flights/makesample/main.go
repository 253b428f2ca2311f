// Makesample cuts the flights sample out of a Parquet file of US flight records (Bureau of
// Transportation Statistics, public): it takes the records scheduled in the first days of
// the file, sorts them by the moment the news of them arrived, which is the scheduled
// departure plus the delay, and writes them as compressed CSV files of equal size.
//
//	go run ./examples/flights/makesample -in flights-3m.parquet -out examples/flights/data
package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

func main() {
	in := flag.String("in", "flights-3m.parquet", "Parquet file to read")
	out := flag.String("out", "examples/flights/data", "directory to write to")
	rows := flag.Int("rows", 240_000, "number of records")
	files := flag.Int("files", 4, "number of files")
	flag.Parse()
	if err := run(*in, *out, *rows, *files); err != nil {
		fmt.Fprintln(os.Stderr, "makesample:", err)
		os.Exit(1)
	}
}

type flight struct {
	scheduled   time.Time
	delay       int64 // minutes
	distance    int64 // miles
	origin      string
	destination string
}

// arrival is when the departure, late or early, is known.
func (f flight) arrival() time.Time {
	return f.scheduled.Add(time.Duration(f.delay) * time.Minute)
}

func run(in, out string, rows, files int) error {
	flights, err := read(in)
	if err != nil {
		return err
	}
	sort.SliceStable(flights, func(i, j int) bool {
		return flights[i].scheduled.Before(flights[j].scheduled)
	})
	if len(flights) < rows {
		return fmt.Errorf("%s holds %d records, fewer than %d", in, len(flights), rows)
	}
	// Whole days only, so that every daily total is complete.
	end := flights[rows].scheduled.Truncate(24 * time.Hour)
	keep := sort.Search(len(flights), func(i int) bool {
		return !flights[i].scheduled.Before(end)
	})
	flights = flights[:keep]
	sort.SliceStable(flights, func(i, j int) bool {
		return flights[i].arrival().Before(flights[j].arrival())
	})
	report(flights)
	for i := range files {
		part := flights[len(flights)*i/files : len(flights)*(i+1)/files]
		name := filepath.Join(out, fmt.Sprintf("flights-%d.csv.gz", i+1))
		if err := write(name, part); err != nil {
			return err
		}
	}
	return nil
}

// read returns the records of a Parquet file with the columns date, delay, distance, origin
// and destination.
func read(name string) ([]flight, error) {
	type row struct {
		Date        *int64  `parquet:"date,optional"` // microseconds since 1970, local time
		Delay       *int64  `parquet:"delay,optional"`
		Distance    *int64  `parquet:"distance,optional"`
		Origin      *string `parquet:"origin,optional"`
		Destination *string `parquet:"destination,optional"`
	}
	rows, err := parquet.ReadFile[row](name)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	flights := make([]flight, 0, len(rows))
	for i, r := range rows {
		if r.Date == nil || r.Delay == nil || r.Distance == nil || r.Origin == nil ||
			r.Destination == nil {
			return nil, fmt.Errorf("read %q: record %d has a null", name, i)
		}
		flights = append(flights, flight{
			time.UnixMicro(*r.Date).UTC(), *r.Delay, *r.Distance, *r.Origin, *r.Destination,
		})
	}
	return flights, nil
}

// report prints what the job must be set up for.
func report(flights []flight) {
	var newest time.Time
	var disorder time.Duration
	for _, f := range flights {
		if f.scheduled.After(newest) {
			newest = f.scheduled
		}
		disorder = max(disorder, newest.Sub(f.scheduled))
	}
	fmt.Printf("%d records, scheduled %s to %s, disorder %v\n", len(flights),
		flights[0].scheduled.Format(time.DateOnly), newest.Format(time.DateOnly), disorder)
}

func write(name string, flights []flight) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	line := []byte("date,delay,distance,origin,destination\n")
	if _, err := z.Write(line); err != nil {
		return err
	}
	for _, f := range flights {
		line = f.scheduled.AppendFormat(line[:0], "2006-01-02 15:04")
		line = strconv.AppendInt(append(line, ','), f.delay, 10)
		line = strconv.AppendInt(append(line, ','), f.distance, 10)
		line = append(append(line, ','), f.origin...)
		line = append(append(append(line, ','), f.destination...), '\n')
		if _, err := z.Write(line); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return file.Close()
}
