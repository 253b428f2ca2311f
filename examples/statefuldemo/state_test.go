package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestState runs the job on every backend and looks at what its checkpoint says: where it lies,
// the ids that Flink gives operators of these uids, the names of the states, the two sums.
func TestState(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"hashmap", "filesystem", "jobmanager", "naive"} {
		t.Run(backend, func(t *testing.T) {
			p := newPlace(t)
			p.demo("-D", "state.backend="+backend,
				"-D", "execution.checkpointing.interval=60000", "-more", "2000")
			for _, pattern := range []string{"chk-1/_metadata", "shared/*.run"} {
				found, err := filepath.Glob(filepath.Join(p.job(), pattern))
				if err != nil || len(found) == 0 {
					t.Errorf("nothing in %s at %s: %v", p.job(), pattern, err)
				}
			}
			p.want(0, []string{
				"id 11f49afc24b1cce91c7169b1e5140284, 1 subtask", "running    value",
				"id 0d49016af99997646695a030f69aa7ee, 1 subtask", "count      value",
				"recent     operator list",
			}, "leat", "state", "ls", "ck")
			for key, sum := range map[string]int{"testing123": 1423, "testing456": 1212} {
				e := p.want(0, nil, "leat", "state", "get", p.job()+"/chk-1",
					"--operator", "stateful_map_test", "--key", key)
				want := fmt.Sprintf("KEY         RUNNING\n%s     %d\n", key, sum)
				if diff := cmp.Diff(want, e.stdout); diff != "" {
					t.Errorf("state of %s (-want +got):\n%s", key, diff)
				}
			}
		})
	}
}

// entry is a line of leat state get -o json.
type entry struct {
	State, Key string
	Value      int64
}

// values returns the value states of an operator in a checkpoint, by key.
func (p place) values(path, operator string) map[string]int64 {
	p.t.Helper()
	e := p.want(0, nil, "leat", "state", "get", path, "--operator", operator, "-o", "json")
	values := map[string]int64{}
	for line := range strings.Lines(e.stdout) {
		var v entry
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			p.t.Fatalf("read %q: %v", line, err)
		}
		values[v.Key] = v.Value
	}
	return values
}

// totals are what the sums end at.
var totals = map[string]int64{"testing123": 1423, "testing456": 1212}

// TestEveryCheckpointIsOneMoment reads both functions' states in every checkpoint of a run: the
// sums of the one are those of as many pairs as the other has counted, though the two are
// different tasks, and the last ones are complete.
func TestEveryCheckpointIsOneMoment(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.demo(append(often, "-p", "2")...)
	n := p.retained()
	if n < 3 {
		t.Fatalf("want a few checkpoints, got %d", n)
	}
	var last map[string]int64
	for i := range n {
		chk := filepath.Join(p.job(), fmt.Sprint("chk-", i+1))
		sums, counts := p.values(chk, "stateful_map_test"), p.values(chk, "stateful_process")
		want := map[string]int64{}
		for word, count := range counts {
			want[word] = totals[word] * count / 100
		}
		if diff := cmp.Diff(want, sums); diff != "" {
			t.Errorf("%s, counts %v (-want +got):\n%s", chk, counts, diff)
		}
		last = sums
	}
	if diff := cmp.Diff(totals, last); diff != "" {
		t.Errorf("sums at the end (-want +got):\n%s", diff)
	}
}

// expected returns the steps of a word behind a count, as the formula has them, without Recent.
func expected(word string, behind int64) []Step {
	var steps []Step
	for k := behind + 1; k <= 100; k++ {
		steps = append(steps, Step{Word: word, Count: k, Running: totals[word] * k / 100})
	}
	return steps
}

// checkSteps checks that a run continued behind the counts, and did every step once, in order.
func checkSteps(t *testing.T, counts map[string]int64, e ended) {
	t.Helper()
	want, got := map[string][]Step{}, e.steps(t)
	for word := range totals {
		want[word] = expected(word, counts[word])
		for i := range got[word] {
			got[word][i].Recent = 0
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps behind %v (-want +got):\n%s\nof %v", counts, diff, e)
	}
}

// TestContinueFromAnyCheckpoint continues from the oldest checkpoint of a finished run, named in
// all three ways: every step behind that one is done once more, none before it, although newer
// checkpoints lie beside it.
func TestContinueFromAnyCheckpoint(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.demo(often...)
	if n := p.retained(); n < 3 {
		t.Fatalf("want a few checkpoints, got %d", n)
	}
	chk := "file://" + p.job() + "/chk-1"
	counts := p.values(chk, "stateful_process")
	if counts["testing123"] == 100 {
		t.Fatalf("want the first checkpoint within the job, got it at %v", counts)
	}
	for _, from := range []string{chk, chk + "/", chk + "/_metadata"} {
		other := place{t: t, root: t.TempDir()}
		e := other.demo("-count", "100", "-s", from)
		if !strings.Contains(e.stderr, "continued from checkpoint 1,") {
			t.Errorf("-s %s: it did not continue from checkpoint 1: %v", from, e)
		}
		checkSteps(t, counts, e)
	}
}

// TestListIsDealtOut continues a job of one subtask with three: the twelve pairs that the one
// remembered are dealt out, four to each, so that the first pair of each is the fifth it knows.
// Then the job, which has ended, is continued with one again, which gets what three remembered.
func TestListIsDealtOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	words := []string{"-more", "10"} // so that all three subtasks get some
	p.demo(slices.Concat(often, words, []string{"-count", "20"})...)
	chk, n := "", p.retained()
	for i := 1; i < n && len(p.elements(chk)) < remembered; i++ {
		chk = fmt.Sprint(p.job(), "/chk-", i)
	}
	if got := len(p.elements(chk)); got != remembered {
		t.Fatalf("want %d pairs remembered before the last checkpoint, got %d", remembered, got)
	}
	wide := place{t: t, root: t.TempDir()}
	e := wide.demo(append(words, "-count", "20", "-p", "3", "-s", chk)...)
	first := map[string]string{} // subtask -> what it remembers at its first step
	for line := range strings.Lines(e.stdout) {
		subtask, row, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), "]"), "> ")
		if _, seen := first[subtask]; !seen {
			first[subtask] = row[strings.LastIndex(row, " ")+1:]
		}
	}
	if diff := cmp.Diff(map[string]string{"1": "5", "2": "5", "3": "5"}, first); diff != "" {
		t.Errorf("pairs remembered at the first step, by subtask (-want +got):\n%s", diff)
	}
	three := wide.elements(wide.job() + "/chk-1")
	if len(three) != 3*remembered {
		t.Errorf("want %d pairs remembered by three subtasks, got %v", 3*remembered, three)
	}
	narrow := place{t: t, root: t.TempDir()}
	narrow.demo(append(words, "-count", "20", "-s", wide.job()+"/chk-1")...)
	one := narrow.elements(narrow.job() + "/chk-1")
	if diff := cmp.Diff(three[2*remembered:], one); diff != "" {
		t.Errorf("what one subtask keeps of the pairs of three (-want +got):\n%s", diff)
	}
}

// elements returns what the subtasks remember in a checkpoint, in their order; nothing for "".
func (p place) elements(path string) (all []Sum) {
	p.t.Helper()
	if path == "" {
		return nil
	}
	e := p.want(0, nil, "leat", "state", "get", path, "--operator", "stateful_process",
		"--state", "recent", "-o", "json")
	for line := range strings.Lines(e.stdout) {
		var v struct{ Element Sum }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			p.t.Fatalf("read %q: %v", line, err)
		}
		all = append(all, v.Element)
	}
	return all
}
