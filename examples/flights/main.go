// Flights reads flight records as the news of them arrives and writes four results as files,
// exactly once: departures and delays per airport and hour of scheduled departure; totals per
// airport and day; the ten airports of each day with the most minutes of delay; and
// disruptions, which are runs of departures of an airport over an hour late, less than half
// an hour apart. It ends with the ten most delayed airports of all.
//
//	go run ./examples/flights
//
// Kill it at any moment and continue with --from latest: the files come out the same.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/leat-io/leat/app"
	"github.com/leat-io/leat/connector/file"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/format/csv"
	"github.com/leat-io/leat/stream"
)

// Flight is one departure.
type Flight struct {
	Date        eventtime.Timestamp // scheduled departure, local time taken as UTC
	Delay       int32               // minutes; negative when early
	Distance    int32               // miles
	Origin      string
	Destination string
}

// Hourly is the departures of an airport in an hour.
type Hourly struct {
	Airport   string
	Hour      eventtime.Timestamp
	Flights   int64
	MeanDelay float64 // minutes
	MaxDelay  int32
}

// Daily is the totals of an airport on a day.
type Daily struct {
	Airport  string
	Day      eventtime.Timestamp
	Flights  int64
	Delay    int64 // minutes, early departures counted as negative
	Distance int64 // miles
}

// disorder is how far the news may lag behind the newest scheduled departure: in the sample
// at most 26 h 47 min.
const disorder = 27 * time.Hour

// settings are the program's own flags.
type settings struct {
	in, out, bad string
	rate         int
}

func main() {
	var s settings
	flags := flag.NewFlagSet("flights", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is returned
	flags.StringVar(&s.in, "in", "examples/flights/data/*.csv.gz", "files with flights")
	flags.StringVar(&s.out, "out", "flights-out", "directory for the results")
	flags.StringVar(&s.bad, "bad-rows", "fail", "rows that cannot be read: fail or skip")
	flags.IntVar(&s.rate, "rate", 0, "records a second per reader, 0 for as fast as it goes")
	app.Main(
		func(env *stream.Env) error {
			if err := flags.Parse(env.Args()); err != nil {
				return err
			}
			if flags.NArg() > 0 {
				return fmt.Errorf("unknown arguments %q: files are given with -in", flags.Args())
			}
			return build(env, s)
		},
		app.OnFinished(func(_ *stream.Env, result *stream.Result) error {
			if skipped := result.Counters["flights.numRecordsInErrors"]; skipped > 0 {
				fmt.Fprintf(os.Stderr, "bad rows skipped: %d\n", skipped)
			}
			return printMostDelayed(s.out, result.Lineage)
		}),
		app.Usage(`Counts flights and delays per airport.

Arguments of the program:
  -in GLOB         files with flights (default examples/flights/data/*.csv.gz)
  -out DIR         directory for the results (default flights-out)
  -bad-rows WHAT   rows that cannot be read: fail (default) or skip
  -rate N          records a second per reader, 0 for as fast as it goes`),
	)
}

// build lays out the job.
func build(env *stream.Env, s settings) error {
	source, err := flightFiles(s)
	if err != nil {
		return err
	}
	flights := stream.From(env, "flights", source,
		stream.WithEventTime(func(f Flight) eventtime.Timestamp { return f.Date },
			eventtime.BoundedOutOfOrderness(disorder)),
		stream.WithRate[Flight](s.rate))
	byAirport := stream.KeyBy(flights, func(f Flight) string { return f.Origin })

	hourly := stream.Aggregate(stream.Tumbling(byAirport, time.Hour), "hourly",
		stream.AggregatorFunc[Flight, delays](addDelay),
		func(airport string, w stream.Window, d *delays) Hourly {
			return Hourly{
				Airport: airport, Hour: w.Start, Flights: d.Flights,
				MeanDelay: float64(d.Sum) / float64(d.Flights), MaxDelay: d.Max,
			}
		})
	daily := stream.Aggregate(stream.Tumbling(byAirport, 24*time.Hour), "daily",
		stream.AggregatorFunc[Flight, totals](addTotals),
		func(airport string, w stream.Window, t *totals) Daily {
			return Daily{
				Airport: airport, Day: w.Start, Flights: t.Flights, Delay: t.Delay,
				Distance: t.Distance,
			}
		})
	ranking := stream.Process(
		stream.KeyBy(daily, func(d Daily) eventtime.Timestamp { return d.Day }), "top-ten",
		func() stream.KeyedProcessFunction[eventtime.Timestamp, Daily, Ranked] {
			return &topTen{}
		})
	for _, err := range []error{
		writeTo(hourly, "hourly-files", s.out+"/hourly"),
		writeTo(daily, "daily-files", s.out+"/daily"),
		writeTo(ranking, "ranking-files", s.out+"/ranking"),
		writeTo(disruptions(flights), "disruption-files", s.out+"/disruptions"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// delays accumulates the departures of an hour.
type delays struct {
	Flights int64
	Sum     int64
	Max     int32
}

func addDelay(d *delays, f Flight) {
	if d.Flights == 0 || f.Delay > d.Max {
		d.Max = f.Delay
	}
	d.Flights++
	d.Sum += int64(f.Delay)
}

// totals accumulates the departures of a day.
type totals struct {
	Flights, Delay, Distance int64
}

func addTotals(t *totals, f Flight) {
	t.Flights++
	t.Delay += int64(f.Delay)
	t.Distance += int64(f.Distance)
}

func flightFiles(s settings) (*file.Source, error) {
	format, err := csv.New(csv.Options{Header: true})
	if err != nil {
		return nil, err
	}
	options := file.SourceOptions{
		Paths: []string{s.in}, Format: format, Schema: stream.SchemaOf[Flight](),
	}
	switch s.bad {
	case "fail":
	case "skip":
		options.OnBadRow = file.Skip
	default:
		return nil, fmt.Errorf("flag -bad-rows %q: want fail or skip", s.bad)
	}
	return file.NewSource(options)
}

func writeTo[T any](results *stream.DataStream[T], uid, dir string) error {
	format, err := csv.New(csv.Options{Header: true})
	if err != nil {
		return err
	}
	sink, err := file.NewSink(file.SinkOptions{
		Dir: dir, Format: format, Schema: stream.SchemaOf[T](),
	})
	if err != nil {
		return err
	}
	stream.SinkTo(results, uid, sink)
	return nil
}
