package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/stream"
)

const (
	keyedRecords = 20_000_000
	keyedKeys    = 1_000_000
)

// reading is a measured value of a device.
type reading struct {
	Device, Value int64
}

// stats counts, sums and maximises.
type stats struct {
	Count, Sum, Max int64
}

func addReading(s *stats, r reading) {
	if s.Count == 0 || r.Value > s.Max {
		s.Max = r.Value
	}
	s.Count++
	s.Sum += r.Value
}

// scramble spreads numbers over the keys without order.
func scramble(i int64) int64 {
	x := uint64(i) * 0x9e3779b97f4a7c15
	return int64((x ^ x>>32) % keyedKeys)
}

// keyedSuite compares the row table with a map of rows, in the same job.
func keyedSuite(rounds int) error {
	var table, naive samples
	measure := func(backend string, into *samples) func() (float64, error) {
		return func() (float64, error) {
			wall, operator, err := keyedJob(backend, 1)
			*into = append(*into, operator)
			return wall, err
		}
	}
	all, err := alternate(rounds, "ns/event, whole job",
		contender{"row table", measure("hashmap", &table)},
		contender{"naive backend", measure("naive", &naive)})
	if err != nil {
		return err
	}
	table, naive = table[1:], naive[1:] // the first round does not count
	fmt.Printf("  %-36s %s ns/event, operator busy\n", "row table", table)
	fmt.Printf("  %-36s %s ns/event, operator busy\n", "naive backend", naive)
	verdict("whole job", all[1].median()/all[0].median(), "at least", 3, "times as fast")
	verdict("operator", naive.median()/table.median(), "at least", 4, "times as fast")
	return nil
}

// keyedJob returns wall time and the keyed operator's busy time per event.
func keyedJob(backend string, parallelism int) (wall, operator float64, err error) {
	env, err := benchEnv("keyed")
	if err != nil {
		return 0, 0, err
	}
	env.Set(stream.StateBackend.Key(), backend)
	env.SetParallelism(parallelism)
	readings := stream.Generate(env.Env, "readings", keyedRecords,
		func(i int64) reading { return reading{scramble(i), i} },
		stream.WithEventTime(func(reading) eventtime.Timestamp { return 0 },
			eventtime.MonotonousTimestamps()))
	byDevice := stream.KeyBy(readings, func(r reading) int64 { return r.Device })
	results := stream.Aggregate(stream.Tumbling(byDevice, time.Hour), "stats",
		stream.AggregatorFunc[reading, stats](addReading),
		func(_ int64, _ stream.Window, s *stats) int64 { return s.Count })
	counts := make([]int64, 64) // one cell for each subtask is enough: they add up at the end
	stream.ForEach(results, "sum", func(n int64) error {
		counts[0] += n
		return nil
	}).Parallelism(1)
	start := time.Now()
	result, err := env.run(context.Background())
	if err != nil {
		return 0, 0, err
	}
	wall = float64(time.Since(start)) / keyedRecords
	if counts[0] != keyedRecords {
		return 0, 0, fmt.Errorf("the job counted %d of %d records", counts[0], keyedRecords)
	}
	return wall, float64(busy(result, "TumblingWindow: stats")) / keyedRecords, nil
}

// scaleSuite compares two cores with one.
func scaleSuite(rounds int) error {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	on := func(cores int) func() (float64, error) {
		return func() (float64, error) {
			runtime.GOMAXPROCS(cores)
			wall, _, err := keyedJob("hashmap", cores)
			return wall, err
		}
	}
	all, err := alternate(rounds, "ns/event",
		contender{"1 core, parallelism 1", on(1)}, contender{"2 cores, parallelism 2", on(2)})
	if err != nil {
		return err
	}
	verdict("speed-up", all[0].median()/all[1].median(), "at least", 1.7, "times")
	return nil
}
