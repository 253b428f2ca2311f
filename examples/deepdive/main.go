// Deepdive counts what users do in windows of three kinds, and by a process function whose state
// a timer clears: what an introduction to stream processing shows first.
//
//	go run ./examples/deepdive
//
// The events come out of order by up to 5 seconds. One is 6 seconds late, when its minute is over:
// it goes to a side output. The counts are few enough to be checked by hand.
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
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/stream"
)

// Event is something a user did.
type Event struct {
	User   string
	Time   eventtime.Timestamp
	Amount int64
}

// Aggregated is the number of events of a user in a window.
type Aggregated struct {
	User       string
	Start, End eventtime.Timestamp
	Events     int64
}

// Result is the count of a user after an event or a timer.
type Result struct {
	User       string
	Time       eventtime.Timestamp // of the event or the timer
	EventCount int64               // 0 when a timer has cleared it
}

// disorder is how far an event may lag behind the newest one; ttl is how long a user's count lives.
const (
	disorder = 5 * time.Second
	ttl      = 5 * time.Minute
)

// settings are the program's own flags.
type settings struct {
	in, out string
	rate    int
}

func main() {
	var s settings
	flags := flag.NewFlagSet("deepdive", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is returned
	flags.StringVar(&s.in, "in", "examples/deepdive/events.csv", "file with events")
	flags.StringVar(&s.out, "out", "deepdive-out", "directory for the results")
	flags.IntVar(&s.rate, "rate", 0, "events a second, 0 for as fast as it goes")
	app.Main(
		func(env *stream.Env) error {
			if err := flags.Parse(env.Args()); err != nil {
				return err
			}
			if flags.NArg() > 0 {
				return fmt.Errorf("unknown arguments %q: events are given with -in", flags.Args())
			}
			return build(env, s)
		},
		app.OnFinished(func(_ *stream.Env, result *stream.Result) error {
			return report(os.Stdout, s.out, result.Lineage)
		}),
		app.Usage(`Counts events of users in windows, and with a process function.

Arguments of the program:
  -in FILE   the events (default examples/deepdive/events.csv)
  -out DIR   directory for the results (default deepdive-out)
  -rate N    events a second, 0 (default) for as fast as it goes`),
	)
}

// build lays out the job.
func build(env *stream.Env, s settings) error {
	source, err := newLiveSource(s.in)
	if err != nil {
		return err
	}
	// One subtask reads, so that the events keep their order, which is part of the lesson.
	events := stream.From(env, "events", source,
		stream.WithEventTime(func(e Event) eventtime.Timestamp { return e.Time },
			eventtime.BoundedOutOfOrderness(disorder)),
		stream.WithRate[Event](s.rate)).Parallelism(1)
	byUser := stream.KeyBy(events, func(e Event) string { return e.User })

	late := stream.NewOutputTag[Event]("late")
	tumbling := count(stream.Tumbling(byUser, time.Minute).LateOutput(late), "tumbling")
	sliding := count(stream.Sliding(byUser, time.Minute, 30*time.Second), "sliding")
	session := count(stream.Session(byUser, 5*time.Minute), "session")
	counts := stream.Process(byUser, "counts",
		func() stream.KeyedProcessFunction[string, Event, Result] { return &userFunction{} })

	w := writer{dir: s.out}
	writeTo(&w, "tumbling", tumbling)
	writeTo(&w, "late", stream.SideOutput(tumbling, late))
	writeTo(&w, "sliding", sliding)
	writeTo(&w, "session", session)
	writeTo(&w, "counts", counts)
	return w.err
}

// count counts the events of every user and window.
func count(
	windows *stream.WindowedStream[string, Event], uid string,
) *stream.DataStream[Aggregated] {
	counter := stream.Folding(
		func(n *int64, _ Event) { *n++ },
		func(n, other *int64) { *n += *other })
	return stream.Aggregate(windows, uid, counter,
		func(user string, w stream.Window, n *int64) Aggregated {
			return Aggregated{User: user, Start: w.Start, End: w.End, Events: *n}
		})
}

// userFunction counts the events of every user. The first event of a count sets a timer that
// clears it.
type userFunction struct {
	eventCount state.Value[int64]
}

var _ stream.TimerFunction[string, Result] = (*userFunction)(nil)

// Open declares the state.
func (f *userFunction) Open(d *state.Declarations) error {
	f.eventCount = state.DeclareValue[int64](d, "eventCount")
	return nil
}

// Process counts one event.
func (f *userFunction) Process(
	ctx *stream.Context[string], e Event, out stream.Collector[Result],
) error {
	current, counting := f.eventCount.Get()
	f.eventCount.Set(current + 1)
	if !counting {
		ctx.Timers().RegisterEventTime(ctx.Timestamp() + eventtime.Timestamp(ttl.Milliseconds()))
	}
	out.Collect(Result{User: ctx.Key(), Time: e.Time, EventCount: current + 1})
	return nil
}

// OnTimer clears the count of a user.
func (f *userFunction) OnTimer(
	ctx *stream.TimerContext[string], out stream.Collector[Result],
) error {
	f.eventCount.Clear()
	out.Collect(Result{User: ctx.Key(), Time: ctx.Timestamp()})
	return nil
}

// writer writes streams to folders of a directory.
type writer struct {
	dir string
	err error // the first
}

// writeTo writes a stream to a folder. Its name is also the uid of the sink, with "-files".
func writeTo[T any](w *writer, name string, results *stream.DataStream[T]) {
	format, err := csv.New(csv.Options{Header: true})
	if err == nil {
		var sink *file.Sink
		sink, err = file.NewSink(file.SinkOptions{
			Dir: w.dir + "/" + name, Format: format, Schema: stream.SchemaOf[T](),
		})
		if err == nil {
			stream.SinkTo(results, name+"-files", sink)
		}
	}
	if w.err == nil {
		w.err = err
	}
}
