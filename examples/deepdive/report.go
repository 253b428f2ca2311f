package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// sections are the parts of the report: a folder of results, and what stands above it.
var sections = []struct{ folder, title string }{
	{"tumbling", "Events in each minute"},
	{"late", "Too late for its minute"},
	{"sliding", "Events in a minute, every 30 seconds"},
	{"session", "Events in each session, which ends after 5 minutes without any"},
	{"counts", "Event counts, cleared 5 minutes after the first (the late event counts too)"},
}

// report reads what a lineage of the job has written and prints it.
func report(w io.Writer, dir, lineage string) error {
	for _, s := range sections {
		rows, err := readRows(filepath.Join(dir, s.folder), lineage)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n%s\n", s.title)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range rows {
			fmt.Fprintf(table, "  %s\n", strings.Join(row, "\t"))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nresults in %s\n", dir)
	return nil
}

// readRows reads the files of a lineage in a folder: the header, then the rows in order.
func readRows(folder, lineage string) ([][]string, error) {
	names, err := filepath.Glob(filepath.Join(folder, "part-"+lineage+"-*.csv"))
	if err != nil {
		return nil, err
	}
	var header []string
	var rows [][]string
	for _, name := range names {
		read, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("read results %q: %w", name, err)
		}
		header, rows = read[0], append(rows, read[1:]...)
	}
	if header == nil {
		return [][]string{{"none"}}, nil
	}
	slices.SortFunc(rows, slices.Compare)
	return append([][]string{header}, rows...), nil
}

func readFile(name string) ([][]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("no header")
	}
	return rows, err
}
