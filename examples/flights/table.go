package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// airport sums the days of one airport.
type airport struct {
	name           string
	flights, delay int64
}

func (a airport) mean() float64 { return float64(a.delay) / float64(a.flights) }

// printMostDelayed reads the daily totals that a lineage of the job has written and prints
// the airports with the largest mean delay.
func printMostDelayed(dir, lineage string) error {
	airports, err := readDaily(dir, lineage)
	if err != nil {
		return err
	}
	slices.SortFunc(airports, func(a, b airport) int {
		return cmp.Or(cmp.Compare(b.mean(), a.mean()), cmp.Compare(a.name, b.name))
	})
	fmt.Printf("\n%-8s %8s %12s\n", "airport", "flights", "mean delay")
	for _, a := range airports[:min(10, len(airports))] {
		fmt.Printf("%-8s %8d %8.1f min\n", a.name, a.flights, a.mean())
	}
	fmt.Printf("\nresults in %s\n", dir)
	return nil
}

// readDaily sums the daily files of a lineage per airport.
func readDaily(dir, lineage string) ([]airport, error) {
	names, err := filepath.Glob(filepath.Join(dir, "daily", "part-"+lineage+"-*.csv"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("the job wrote no daily totals")
	}
	sums := map[string]*airport{}
	for _, name := range names {
		if err := addFile(sums, name); err != nil {
			return nil, fmt.Errorf("read results %q: %w", name, err)
		}
	}
	var all []airport
	for _, a := range sums {
		all = append(all, *a)
	}
	return all, nil
}

func addFile(sums map[string]*airport, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return err
	}
	for _, row := range rows[1:] { // behind the header: airport, day, flights, delay, distance
		flights, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			return err
		}
		delay, err := strconv.ParseInt(row[3], 10, 64)
		if err != nil {
			return err
		}
		a := sums[row[0]]
		if a == nil {
			a = &airport{name: row[0]}
			sums[row[0]] = a
		}
		a.flights += flights
		a.delay += delay
	}
	return nil
}
