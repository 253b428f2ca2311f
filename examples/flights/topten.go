package main

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// Ranked is a place among the airports of a day with the most minutes of delay.
type Ranked struct {
	Day     eventtime.Timestamp
	Rank    int32
	Airport string
	Flights int64
	Delay   int64 // minutes
}

// places is how many airports of a day are ranked.
const places = 10

// topTen ranks the airports of a day, which is its key. The totals of a day all come before
// the watermark passes the day's end; then a timer tells the ranking and forgets it.
type topTen struct {
	best state.OrderedMap[standing, Daily]
}

// standing sorts airports by delay, the largest first, then by name.
type standing struct {
	MinusDelay int64
	Airport    string
}

// Open declares the ranking so far.
func (f *topTen) Open(d *state.Declarations) error {
	f.best = state.DeclareOrderedMap[standing, Daily](d, "best")
	return nil
}

// Process puts an airport into the ranking of its day.
func (f *topTen) Process(
	ctx *stream.Context[eventtime.Timestamp], total Daily, _ stream.Collector[Ranked],
) error {
	ctx.Timers().RegisterEventTime(ctx.Timestamp())
	f.best.Put(standing{-total.Delay, total.Airport}, total)
	if f.best.Len() > places {
		last, _, _ := f.best.Last()
		f.best.Remove(last)
	}
	return nil
}

// OnTimer tells the ranking of a day that is over.
func (f *topTen) OnTimer(
	ctx *stream.TimerContext[eventtime.Timestamp], out stream.Collector[Ranked],
) error {
	rank := int32(0)
	for at, total := range f.best.All() {
		rank++
		out.Collect(Ranked{
			Day: ctx.Key(), Rank: rank, Airport: at.Airport, Flights: total.Flights,
			Delay: total.Delay,
		})
	}
	f.best.Clear()
	return nil
}
