// Bench measures what Leat promises, each figure beside its baseline in the same run:
//
//	go run ./bench            # everything
//	go run ./bench chain csv  # some
//
// Pairs alternate, so that a machine that slows down slows both; medians, spread and the
// ratio of medians are printed. See docs/benchmarks.md.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
)

// suite is one figure to measure.
type suite struct {
	name, doc string
	run       func(rounds int) error
}

var suites = []suite{
	{"chain", "source, map, filter, sink against a hand-fused loop", chainSuite},
	{"csv", "a CSV file through the engine against a hand-written decode loop", csvSuite},
	{"keyed", "count, sum, max over 1e6 keys: row table against the naive backend", keyedSuite},
	{"collections", "maps of 1e6 keys against Go maps of maps, appends to lists", collectionsSuite},
	{"timers", "register and fire timers against a heap and a set", timersSuite},
	{"gc", "a full garbage collection with 1e7 entries of state", gcSuite},
	{"barrier", "pauses of records with 1e7 entries under update load", barrierSuite},
	{"scale", "two cores at parallelism 2 against one at parallelism 1", scaleSuite},
	{
		"incremental",
		"bytes uploaded for 50 checkpoints of 1 GB, 2 % changed between two",
		incrementalSuite,
	},
	{"rescale", "1 GB from parallelism 1 to 2 to 3 to 1, beside a copy of the files", rescaleSuite},
	{"start", "from exec of a built binary to its first output", startSuite},
}

// stateBytes is the size of the state of the suites that write much.
var stateBytes int64

// ballast is what app.Main gives a program too: see there.
var ballast []byte

func main() {
	rounds := flag.Int("rounds", 5, "alternating pairs per figure")
	flag.Int64Var(
		&stateBytes,
		"state",
		1<<30,
		"bytes of state in the suites incremental and rescale",
	)
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bench [-rounds N] [suite ...]")
		for _, s := range suites {
			fmt.Fprintf(os.Stderr, "  %-11s %s\n", s.name, s.doc)
		}
	}
	flag.Parse()
	ballast = make([]byte, 64<<20)
	names := flag.Args()
	if *profile != "" {
		defer startProfile(*profile)()
	}
	for _, name := range names {
		if !slices.ContainsFunc(suites, func(s suite) bool { return s.name == name }) {
			fmt.Fprintf(os.Stderr, "bench: no suite %q\n", name)
			flag.Usage()
			os.Exit(2)
		}
	}
	fmt.Printf("%s, GOMAXPROCS %d, %s\n", runtime.Version(), runtime.GOMAXPROCS(0),
		time.Now().UTC().Format("2006-01-02"))
	for _, s := range suites {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		fmt.Printf("\n%s: %s\n", s.name, s.doc)
		if err := s.run(*rounds); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", s.name, err)
			os.Exit(1)
		}
	}
}

// startProfile profiles the CPU until the returned function is called.
func startProfile(name string) (stop func()) {
	file, err := os.Create(name)
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: profile:", err)
		os.Exit(1)
	}
	return func() {
		pprof.StopCPUProfile()
		file.Close()
	}
}

// cpuTime is the CPU time of the process, all threads, garbage collection included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// samples are measurements of one thing, in one unit.
type samples []float64

func (s samples) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (s samples) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(max(len(s), 1))
}

// quantile returns the smallest sample that at least a share q of all does not exceed.
func (s samples) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return 0
	}
	at := sort.Search(
		len(sorted),
		func(i int) bool { return float64(i+1) >= q*float64(len(sorted)) },
	)
	return sorted[min(at, len(sorted)-1)]
}

func (s samples) String() string {
	if len(s) == 0 {
		return "no samples"
	}
	return fmt.Sprintf("%8.2f  (%.2f to %.2f)", s.median(), slices.Min(s), slices.Max(s))
}

// contender is one side of a comparison: it runs once and returns its measurement.
type contender struct {
	name string
	run  func() (float64, error)
}

// alternate runs all contenders in turn, rounds times, after one round that does not count,
// and prints them.
func alternate(rounds int, unit string, contenders ...contender) ([]samples, error) {
	all := make([]samples, len(contenders))
	for round := range rounds + 1 {
		for i, c := range contenders {
			runtime.GC()
			v, err := c.run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				all[i] = append(all[i], v)
			}
		}
	}
	for i, c := range contenders {
		fmt.Printf("  %-36s %s %s\n", c.name, all[i], unit)
	}
	return all, nil
}

// verdict prints a figure beside what was promised.
func verdict(what string, got float64, relation string, promised float64, unit string) {
	kept := got <= promised
	if strings.HasPrefix(relation, "at least") {
		kept = got >= promised
	}
	mark := "kept"
	if !kept {
		mark = "NOT KEPT"
	}
	fmt.Printf("  => %s: %.4g %s, promised %s %.4g: %s\n", what, got, unit, relation, promised,
		mark)
}
