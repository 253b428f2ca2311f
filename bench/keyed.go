package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state"
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

// keyedSuite compares the row table with a map of rows, in the same job: the whole job on all
// cores, then the CPU of the operator, which is what the job takes on one core above what it
// takes with an operator that does nothing.
func keyedSuite(rounds int) error {
	wall := func(backend string) func() (float64, error) {
		return func() (float64, error) {
			wall, _, err := keyedJob(backend, 1)
			return wall, err
		}
	}
	whole, err := alternate(rounds, "ns/record, whole job",
		contender{"row table", wall("hashmap")}, contender{"naive backend", wall("naive")})
	if err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	cpu := func(backend string) func() (float64, error) {
		return func() (float64, error) {
			_, cpu, err := keyedJob(backend, 1)
			return cpu, err
		}
	}
	one, err := alternate(rounds, "ns/record CPU, one core",
		contender{"an operator that does nothing", cpu("")},
		contender{"row table", cpu("hashmap")}, contender{"naive backend", cpu("naive")})
	if err != nil {
		return err
	}
	base := one[0].median()
	verdict("whole job", whole[1].median()/whole[0].median(), "at least", 3, "times as fast")
	verdict("operator", (one[2].median()-base)/(one[1].median()-base), "at least", 4,
		"times as fast")
	return nil
}

// nothing takes keyed records and does nothing with them.
type nothing struct {
	seen *int64
}

// Open declares no state.
func (n *nothing) Open(*state.Declarations) error { return nil }

// Process counts.
func (n *nothing) Process(
	*stream.Context[int64], reading, stream.Collector[int64],
) error {
	*n.seen++
	return nil
}

// keyedJob returns wall and CPU time in nanoseconds per record; backend "" means an operator
// that does nothing.
func keyedJob(backend string, parallelism int) (wall, cpu float64, err error) {
	env, err := benchEnv("keyed")
	if err != nil {
		return 0, 0, err
	}
	if backend != "" {
		env.Set(stream.StateBackend.Key(), backend)
	}
	env.SetParallelism(parallelism)
	readings := stream.Generate(env.Env, "readings", keyedRecords,
		func(i int64) reading { return reading{scramble(i), i} },
		stream.WithEventTime(func(reading) eventtime.Timestamp { return 0 },
			eventtime.MonotonousTimestamps()))
	byDevice := stream.KeyBy(readings, func(r reading) int64 { return r.Device })
	counts := int64(0)
	if backend == "" {
		stream.ForEach(stream.Process(byDevice, "stats",
			func() stream.KeyedProcessFunction[int64, reading, int64] {
				return &nothing{seen: &counts}
			}), "none", func(int64) error { return nil })
	} else {
		results := stream.Aggregate(stream.Tumbling(byDevice, time.Hour), "stats",
			stream.AggregatorFunc[reading, stats](addReading),
			func(_ int64, _ stream.Window, s *stats) int64 { return s.Count })
		stream.ForEach(results, "sum", func(n int64) error {
			counts += n
			return nil
		}).Parallelism(1)
	}
	start, startCPU := time.Now(), cpuTime()
	if _, err := env.run(context.Background()); err != nil {
		return 0, 0, err
	}
	wall = float64(time.Since(start)) / keyedRecords
	cpu = float64(cpuTime()-startCPU) / keyedRecords
	if counts != keyedRecords {
		return 0, 0, fmt.Errorf("the job counted %d of %d records", counts, keyedRecords)
	}
	return wall, cpu, nil
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
	all, err := alternate(rounds, "ns/record",
		contender{"1 core, parallelism 1", on(1)}, contender{"2 cores, parallelism 2", on(2)})
	if err != nil {
		return err
	}
	verdict("speed-up", all[0].median()/all[1].median(), "at least", 1.7, "times")
	return nil
}
