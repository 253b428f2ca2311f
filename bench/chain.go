package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/leat-io/leat/stream"
)

// bid is a record that Go keeps in registers. One of more than four fields it does not: a
// function that returns such a struct builds it in memory, which costs every call some ten
// nanoseconds, in a loop that does not inline it as in the engine.
type bid struct {
	Auction, Bidder, Price, Time int64
}

const chainRecords = 20_000_000

func makeBid(i int64) bid {
	return bid{
		Auction: i % 1000, Bidder: i * 7919 % 100_000, Price: i % 10_007, Time: i,
	}
}

func dollarsToEuros(b bid) bid {
	b.Price = b.Price * 908 / 1000
	return b
}

func interesting(b bid) bool { return b.Auction%4 != 0 }

// chainSuite compares the engine with the loop a person would write, on one core.
func chainSuite(rounds int) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var allocations float64
	all, err := alternate(rounds, "ns/record",
		contender{"hand-fused loop", fusedLoop},
		contender{"engine, 1 map", func() (float64, error) {
			v, a, err := chainJob(1)
			allocations = a
			return v, err
		}},
		contender{"engine, 6 maps", func() (float64, error) {
			v, _, err := chainJob(6)
			return v, err
		}})
	if err != nil {
		return err
	}
	verdict("engine above the loop", all[1].median()-all[0].median(), "at most", 15, "ns/record")
	verdict("each further map", (all[2].median()-all[1].median())/5, "at most", 3, "ns/record")
	verdict("allocations", allocations, "at most", 0.001, "per record")
	return nil
}

var sinkHole int64

func fusedLoop() (float64, error) {
	start := cpuTime()
	total := int64(0)
	for i := range int64(chainRecords) {
		b := dollarsToEuros(makeBid(i))
		if interesting(b) {
			total += b.Price
		}
	}
	sinkHole = total
	return float64(cpuTime()-start) / chainRecords, nil
}

// chainJob returns CPU time and allocations per record.
func chainJob(maps int) (nanos, allocations float64, err error) {
	env, err := benchEnv("chain")
	if err != nil {
		return 0, 0, err
	}
	s := stream.Generate(env.Env, "bids", chainRecords, makeBid)
	for range maps {
		s = stream.Map(s, dollarsToEuros)
	}
	s = stream.Filter(s, interesting)
	total := int64(0)
	stream.ForEach(s, "sum", func(b bid) error {
		total += b.Price
		return nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := cpuTime()
	if _, err := env.run(context.Background()); err != nil {
		return 0, 0, err
	}
	nanos = float64(cpuTime()-start) / chainRecords
	runtime.ReadMemStats(&after)
	if total == 0 {
		return 0, 0, fmt.Errorf("the job summed nothing")
	}
	return nanos, float64(after.Mallocs-before.Mallocs) / chainRecords, nil
}
