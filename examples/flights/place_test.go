package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// place is where a job writes.
type place struct {
	out, checkpoints string
}

func newPlace(t *testing.T) place { return placeIn(t.TempDir()) }

func placeIn(dir string) place {
	return place{out: filepath.Join(dir, "out"), checkpoints: filepath.Join(dir, "checkpoints")}
}

// copyTo copies everything to another directory.
func (p place) copyTo(t *testing.T, dir string) place {
	t.Helper()
	to := placeIn(dir)
	for from, to := range map[string]string{p.out: to.out, p.checkpoints: to.checkpoints} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// flags are the command line of a flights job on the sample that writes to the place.
func (p place) flags(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"-in", sample(t), "-out", p.out, "--checkpoint-dir", p.checkpoints,
	}, more...)
}

// sample returns the glob of the sample.
func sample(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data", "*.csv.gz")
}

// rated returns flags with which a run over the sample takes about so many seconds.
func rated(parallelism int, seconds float64) []string {
	const rows = 228_738
	return []string{
		"-p", strconv.Itoa(parallelism),
		"-rate", strconv.Itoa(int(rows / seconds / float64(parallelism))),
		"-D", "execution.checkpointing.interval=50ms",
	}
}

// committed returns the newest checkpoint of the job whose files are visible, 0 for none.
func (p place) committed(t *testing.T, job string) int {
	t.Helper()
	return p.newest(t, job, ".committed")
}

func (p place) newest(t *testing.T, job, suffix string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.checkpoints, "_jobs", job))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	newest := 0
	for _, entry := range entries {
		text, is := strings.CutPrefix(entry.Name(), "checkpoint-")
		text, ends := strings.CutSuffix(text, suffix)
		if n, err := strconv.Atoi(text); is && ends && err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

// record is what the record of a checkpoint says.
type record struct {
	Kind    string
	JobID   string `json:"job_id"`
	Lineage string
	Path    string // of the metadata, from the root
}

// last returns the record of the newest checkpoint of a job.
func (p place) last(t *testing.T, job string) record {
	t.Helper()
	name := fmt.Sprintf("checkpoint-%d", p.committed(t, job))
	content, err := os.ReadFile(filepath.Join(p.checkpoints, "_jobs", job, name))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(content), "\n")
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("read record %s: %v", name, err)
	}
	return r
}

// metadata returns the path of the newest checkpoint's metadata.
func (p place) metadata(t *testing.T, job string) string {
	t.Helper()
	return filepath.Join(p.checkpoints, filepath.FromSlash(p.last(t, job).Path))
}

// inProgress returns the files of the job's newest lineage that nobody finished. What a start
// has left that was killed before its first checkpoint belongs to a lineage that nobody
// continues; nobody may judge it.
func (p place) inProgress(t *testing.T, job string) []string {
	t.Helper()
	last := p.last(t, job)
	var found []string
	for name := range tree(t, p.out) {
		if strings.HasPrefix(filepath.Base(name), ".part-"+last.Lineage[:8]) {
			found = append(found, name)
		}
	}
	for _, dir := range []string{"_jobs", last.JobID} {
		for name := range tree(t, filepath.Join(p.checkpoints, dir)) {
			if strings.HasSuffix(name, ".inprogress") {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found
}

// tree returns the files below a directory with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// results are the lines that a job has committed, without headers, sorted.
type results struct {
	hourly, daily, ranking, disruptions []string
}

// results reads what is visible, of one lineage or ("") of all.
func (p place) results(t *testing.T, lineage string) results {
	t.Helper()
	return results{
		hourly:  committedLines(t, filepath.Join(p.out, "hourly"), lineage, hourlyHeader),
		daily:   committedLines(t, filepath.Join(p.out, "daily"), lineage, dailyHeader),
		ranking: committedLines(t, filepath.Join(p.out, "ranking"), lineage, rankingHeader),
		disruptions: committedLines(
			t, filepath.Join(p.out, "disruptions"), lineage, disruptionsHeader),
	}
}

const (
	hourlyHeader      = "airport,hour,flights,meanDelay,maxDelay"
	dailyHeader       = "airport,day,flights,delay,distance"
	rankingHeader     = "day,rank,airport,flights,delay"
	disruptionsHeader = "airport,from,until,flights,worstDelay"
)

func committedLines(t *testing.T, dir, lineage, header string) []string {
	t.Helper()
	var lines []string
	for name, content := range tree(t, dir) {
		base := filepath.Base(name)
		if strings.HasPrefix(base, ".") || !strings.HasPrefix(base, "part-"+lineage) {
			continue
		}
		first, rest, _ := strings.Cut(content, "\n")
		if first != header || rest == "" || !strings.HasSuffix(rest, "\n") {
			t.Fatalf("%s: want header %q and whole lines, got %.200q", name, header, content)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(rest, "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

// undisturbed is the outcome of a run at parallelism 1 that nobody disturbed. TestResults
// proves its numbers.
func undisturbed(t *testing.T) results {
	t.Helper()
	program(t, "flights") // may skip the test, which must not happen inside Do
	reference.once.Do(func() {
		p := newPlace(t)
		start(t, "flights", p.flags(t)...).finish()
		reference.results = p.results(t, "")
	})
	if r := reference.results; len(r.hourly) == 0 || len(r.daily) == 0 ||
		len(r.ranking) == 0 || len(r.disruptions) == 0 {
		t.Fatal("the undisturbed run wrote nothing")
	}
	return reference.results
}

var reference struct {
	once sync.Once
	results
}

// compare reports where results differ.
func compare(t *testing.T, want, got results) {
	t.Helper()
	compareLines(t, "hourly", want.hourly, got.hourly)
	compareLines(t, "daily", want.daily, got.daily)
	compareLines(t, "ranking", want.ranking, got.ranking)
	compareLines(t, "disruptions", want.disruptions, got.disruptions)
}

// compareLines tells how many lines are missing and how many should not be there, with a few
// of them: a diff of thousands of lines helps nobody.
func compareLines(t *testing.T, what string, want, got []string) {
	t.Helper()
	count := map[string]int{}
	for _, line := range want {
		count[line]++
	}
	for _, line := range got {
		count[line]--
	}
	var missing, extra []string
	for line, n := range count {
		for range n {
			missing = append(missing, line)
		}
		for range -n {
			extra = append(extra, line)
		}
	}
	if len(missing)+len(extra) == 0 {
		return
	}
	slices.Sort(missing)
	slices.Sort(extra)
	t.Errorf("%s: %d lines, want %d; missing %d: %q; too many %d: %q", what, len(got), len(want),
		len(missing), missing[:min(5, len(missing))], len(extra), extra[:min(5, len(extra))])
}
