package main

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// slot is an airport in an hour or on a day.
type slot struct {
	airport string
	at      time.Time
}

// figures are what the job should say about a slot.
type figures struct {
	Flights, Delay, MaxDelay, Distance int64
}

func (f *figures) add(delay, distance int64) {
	if f.Flights == 0 || delay > f.MaxDelay {
		f.MaxDelay = delay
	}
	f.Flights++
	f.Delay += delay
	f.Distance += distance
}

// expectation is computed from the sample with nothing of Leat.
type expectation struct {
	hourly, daily map[slot]figures
	airports      map[string]figures
	late          map[string][]lateFlight // by airport, over an hour
	rows          int
	disorder      time.Duration
}

func expected(t *testing.T) *expectation {
	t.Helper()
	e := &expectation{
		hourly: map[slot]figures{}, daily: map[slot]figures{}, airports: map[string]figures{},
		late: map[string][]lateFlight{},
	}
	names, err := filepath.Glob(sample(t))
	if err != nil || len(names) == 0 {
		t.Fatalf("find sample: %d files, %v", len(names), err)
	}
	slices.Sort(names) // the order in which the news arrived
	var newest time.Time
	for _, name := range names {
		for _, row := range sampleRows(t, name) {
			at := e.add(t, row)
			if at.After(newest) {
				newest = at
			}
			e.disorder = max(e.disorder, newest.Sub(at))
		}
	}
	return e
}

func sampleRows(t *testing.T, name string) [][]string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"date", "delay", "distance", "origin", "destination"}
	if diff := gocmp.Diff(want, rows[0]); diff != "" {
		t.Fatalf("%s: header (-want +got):\n%s", name, diff)
	}
	return rows[1:]
}

func (e *expectation) add(t *testing.T, row []string) time.Time {
	at, err := time.Parse("2006-01-02 15:04", row[0])
	if err != nil {
		t.Fatal(err)
	}
	delay, distance := integer(t, row[1]), integer(t, row[2])
	e.rows++
	origin := row[3]
	for _, place := range []struct {
		of   map[slot]figures
		slot slot
	}{
		{e.hourly, slot{origin, at.Truncate(time.Hour)}},
		{e.daily, slot{origin, at.Truncate(24 * time.Hour)}},
	} {
		f := place.of[place.slot]
		f.add(delay, distance)
		place.of[place.slot] = f
	}
	f := e.airports[origin]
	f.add(delay, distance)
	e.airports[origin] = f
	if delay > 60 {
		e.late[origin] = append(e.late[origin], lateFlight{at, delay})
	}
	return at
}

func integer(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// slotOf reads an output line's airport and time.
func slotOf(t *testing.T, fields []string) slot {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05", fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return slot{fields[0], at}
}

// checkHourly compares every number of the hourly output.
func (e *expectation) checkHourly(t *testing.T, lines []string) {
	t.Helper()
	seen := map[slot]bool{}
	for _, line := range lines {
		fields := strings.Split(line, ",")
		s := slotOf(t, fields)
		want, ok := e.hourly[s]
		if !ok || seen[s] {
			t.Fatalf("hourly line %q: expected %t, seen before %t", line, ok, seen[s])
		}
		seen[s] = true
		mean, err := strconv.ParseFloat(fields[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		if integer(t, fields[2]) != want.Flights || integer(t, fields[4]) != want.MaxDelay ||
			mean != float64(want.Delay)/float64(want.Flights) {
			t.Fatalf("hourly line %q: want %+v", line, want)
		}
	}
	if len(seen) != len(e.hourly) {
		t.Errorf("hourly: %d airports and hours, want %d", len(seen), len(e.hourly))
	}
}

// checkDaily compares every number of the daily output.
func (e *expectation) checkDaily(t *testing.T, lines []string) {
	t.Helper()
	seen := map[slot]bool{}
	for _, line := range lines {
		fields := strings.Split(line, ",")
		s := slotOf(t, fields)
		want, ok := e.daily[s]
		if !ok || seen[s] {
			t.Fatalf("daily line %q: expected %t, seen before %t", line, ok, seen[s])
		}
		seen[s] = true
		if integer(t, fields[2]) != want.Flights || integer(t, fields[3]) != want.Delay ||
			integer(t, fields[4]) != want.Distance {
			t.Fatalf("daily line %q: want %+v", line, want)
		}
	}
	if len(seen) != len(e.daily) {
		t.Errorf("daily: %d airports and days, want %d", len(seen), len(e.daily))
	}
}

// lateFlight is a departure over an hour late.
type lateFlight struct {
	at    time.Time
	delay int64
}

const timeFormat = "2006-01-02 15:04:05"

// ranking returns the lines of the ten airports of each day with the most minutes of delay.
func (e *expectation) ranking() []string {
	byDay := map[time.Time][]slot{}
	for s := range e.daily {
		byDay[s.at] = append(byDay[s.at], s)
	}
	var lines []string
	for day, airports := range byDay {
		slices.SortFunc(airports, func(a, b slot) int {
			return cmp.Or(cmp.Compare(e.daily[b].Delay, e.daily[a].Delay),
				strings.Compare(a.airport, b.airport))
		})
		for i, s := range airports[:min(10, len(airports))] {
			f := e.daily[s]
			lines = append(lines, fmt.Sprintf("%s,%d,%s,%d,%d", day.Format(timeFormat), i+1,
				s.airport, f.Flights, f.Delay))
		}
	}
	return lines
}

// disruptions returns the lines of the runs of late departures less than half an hour apart.
func (e *expectation) disruptions() []string {
	var lines []string
	for airport, late := range e.late {
		slices.SortFunc(late, func(a, b lateFlight) int { return a.at.Compare(b.at) })
		for first, i := 0, 0; i < len(late); i++ {
			if i+1 < len(late) && late[i+1].at.Sub(late[i].at) < 30*time.Minute {
				continue
			}
			worst := int64(0)
			for _, f := range late[first : i+1] {
				worst = max(worst, f.delay)
			}
			lines = append(lines, fmt.Sprintf("%s,%s,%s,%d,%d", airport,
				late[first].at.Format(timeFormat), late[i].at.Format(timeFormat), i+1-first, worst))
			first = i + 1
		}
	}
	return lines
}

// mostDelayed returns the table that the job should print, field by field.
func (e *expectation) mostDelayed() [][]string {
	mean := func(name string) float64 {
		return float64(e.airports[name].Delay) / float64(e.airports[name].Flights)
	}
	var names []string
	for name := range e.airports {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if mean(a) != mean(b) {
			if mean(a) > mean(b) {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var table [][]string
	for _, name := range names[:10] {
		table = append(table, []string{
			name, strconv.FormatInt(e.airports[name].Flights, 10),
			strconv.FormatFloat(mean(name), 'f', 1, 64), "min",
		})
	}
	return table
}

// TestResults compares every number of the job's files and of the table it prints with a
// computation of its own over the sample, at several parallelisms, and the sample's disorder
// with the bound the job is built for.
func TestResults(t *testing.T) {
	e := expected(t)
	if e.disorder > disorder {
		t.Errorf("the sample's disorder is %v, above the job's bound %v", e.disorder, disorder)
	}
	t.Logf("%d rows, disorder %v, %d airports and hours, %d airports and days", e.rows,
		e.disorder, len(e.hourly), len(e.daily))
	for _, parallelism := range []int{1, 2, 4} {
		t.Run(fmt.Sprint("parallelism ", parallelism), func(t *testing.T) {
			p := newPlace(t)
			end := start(t, "flights", p.flags(t, "-p", strconv.Itoa(parallelism))...).finish()
			got := p.results(t, "")
			e.checkHourly(t, got.hourly)
			e.checkDaily(t, got.daily)
			compareLines(t, "ranking", e.ranking(), got.ranking)
			compareLines(t, "disruptions", e.disruptions(), got.disruptions)
			var table [][]string
			for line := range strings.Lines(end.stdout) {
				if strings.HasSuffix(line, " min\n") {
					table = append(table, strings.Fields(line))
				}
			}
			if diff := gocmp.Diff(e.mostDelayed(), table); diff != "" {
				t.Errorf("most delayed airports (-want +got):\n%s", diff)
			}
			if left := p.inProgress(t, "flights"); len(left) > 0 {
				t.Errorf("files in progress are left: %q", left)
			}
		})
	}
}
