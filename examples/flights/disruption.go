package main

import (
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/stream"
)

// Disruption is a run of late departures of an airport.
type Disruption struct {
	Airport     string
	From, Until eventtime.Timestamp // scheduled departures of the first and the last
	Flights     int64
	WorstDelay  int32 // minutes
}

// late is the delay, in minutes, above which a departure belongs to a disruption; calm is how
// far apart two of them have to be for the disruption to be over.
const (
	late = 60
	calm = 30 * time.Minute
)

// disruptions finds the runs of late departures less than calm apart.
func disruptions(flights *stream.DataStream[Flight]) *stream.DataStream[Disruption] {
	delayed := stream.Filter(flights, func(f Flight) bool { return f.Delay > late })
	byAirport := stream.KeyBy(delayed, func(f Flight) string { return f.Origin })
	// Records that are exactly the gap apart are in one session.
	sessions := stream.Session(byAirport, calm-time.Millisecond)
	return stream.Aggregate(sessions, "disruptions",
		stream.Folding(addLate, joinLate),
		func(airport string, _ stream.Window, d *lateRun) Disruption {
			return Disruption{
				Airport: airport, From: d.First, Until: d.Last, Flights: d.Flights,
				WorstDelay: d.Worst,
			}
		})
}

// lateRun accumulates the departures of a disruption, which come in any order.
type lateRun struct {
	First, Last eventtime.Timestamp
	Flights     int64
	Worst       int32
}

func addLate(d *lateRun, f Flight) {
	joinLate(d, &lateRun{First: f.Date, Last: f.Date, Flights: 1, Worst: f.Delay})
}

func joinLate(d, other *lateRun) {
	if d.Flights == 0 {
		*d = *other
		return
	}
	d.First, d.Last = min(d.First, other.First), max(d.Last, other.Last)
	d.Flights += other.Flights
	d.Worst = max(d.Worst, other.Worst)
}
