package store

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem/mem"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// Goal: a start at a time takes the newest state at or before it, checkpoint or savepoint of this
// name, and says what is newer, or what there is. Method: states at known times.
func TestAt(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	m.Retain(10)
	at := func(millis int64) func(*meta.Checkpoint) {
		return func(c *meta.Checkpoint) { c.Header.TriggerMillis = millis }
	}
	m.publish(t) // 1, at 1 ms
	m.take(t, at(5))
	m.next = 10
	m.publish(t) // 10
	if err := m.MarkCommitted(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	m.take(t, func(c *meta.Checkpoint) { stop(c); at(20)(c) }) // also in the records
	other, err := OpenRandom(t.Context(), m.registry, rootOf(files), "other", seeded(9))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := takeOver(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	foreign.take(t, at(6))
	all, err := m.Candidates(t.Context(), uriOf(files, savepoints))
	if err != nil {
		t.Fatal(err)
	}
	for millis, want := range map[int64]string{
		1: "checkpoint 1 then 3", 4: "checkpoint 1 then 3", 5: "savepoint 2 then 2",
		10: "checkpoint 10 then 1", 19: "checkpoint 10 then 1", 20: "savepoint 11 then 0",
		1 << 40: "savepoint 11 then 0",
	} {
		c, newer, err := At(all, time.UnixMilli(millis))
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(c.String(), " of")
		if got := name + " then " + string(rune('0'+len(newer))); got != want {
			t.Errorf("at %d: %s, want %s", millis, got, want)
		}
		for _, n := range newer {
			if n.Committed != (n.Checkpoint == 10) {
				t.Errorf("%v: committed %v", n, n.Committed)
			}
		}
	}
	_, _, err = At(all, time.UnixMilli(0))
	if !errors.Is(err, ErrNoCheckpoint) || strings.Count(err.Error(), "mem://") != 4 {
		t.Errorf("before all: %v", err)
	}
	if _, _, err = At(nil, time.UnixMilli(0)); !strings.Contains(err.Error(), "nothing") {
		t.Errorf("without any: %v", err)
	}
}

// Goal: the rule of grandfather, father and son. Method: tables worked by hand; times are days and
// hours of January 2026, whose 5th is a Monday.
func TestRetention(t *testing.T) {
	type at struct{ day, hour, minute int }
	for _, c := range []struct {
		name  string
		rule  Retention
		taken []at
		keep  []at
	}{
		{"zero keeps all", Retention{}, []at{{1, 0, 0}, {2, 0, 0}}, []at{{1, 0, 0}, {2, 0, 0}}},
		{"last", Retention{Last: 2}, []at{{1, 0, 0}, {3, 0, 0}, {2, 0, 0}},
			[]at{{3, 0, 0}, {2, 0, 0}}},
		{"fewer than last", Retention{Last: 5}, []at{{1, 0, 0}}, []at{{1, 0, 0}}},
		{"hours", Retention{Hourly: 2},
			[]at{{1, 1, 0}, {1, 1, 59}, {1, 3, 10}, {1, 3, 20}, {1, 0, 0}},
			[]at{{1, 1, 59}, {1, 3, 20}}},
		{"the same hour of two days", Retention{Hourly: 2}, []at{{1, 5, 0}, {2, 5, 0}},
			[]at{{1, 5, 0}, {2, 5, 0}}},
		{"days", Retention{Daily: 2},
			[]at{{1, 1, 0}, {1, 23, 59}, {2, 0, 0}, {4, 3, 0}, {4, 2, 0}},
			[]at{{2, 0, 0}, {4, 3, 0}}},
		{"weeks", Retention{Weekly: 2},
			[]at{{1, 0, 0}, {4, 23, 0}, {5, 0, 0}, {11, 0, 0}, {12, 0, 0}},
			[]at{{11, 0, 0}, {12, 0, 0}}},
		{"all rules", Retention{Last: 1, Hourly: 2, Daily: 2, Weekly: 2},
			[]at{{2, 0, 0}, {4, 9, 0}, {7, 7, 0}, {8, 8, 0}, {8, 8, 30}, {8, 9, 0}, {8, 9, 30}},
			[]at{{4, 9, 0}, {7, 7, 0}, {8, 8, 30}, {8, 9, 30}}},
		{"the newest stays", Retention{Daily: 0, Weekly: 0, Hourly: 0, Last: -1}, []at{{1, 0, 0}},
			[]at{{1, 0, 0}}},
	} {
		timeOf := func(a at) time.Time {
			return time.Date(2026, 1, a.day, a.hour, a.minute, 0, 0, time.UTC)
		}
		var taken []time.Time
		for _, a := range c.taken {
			taken = append(taken, timeOf(a))
		}
		var want, got []string
		for _, a := range c.keep {
			want = append(want, timeOf(a).String())
		}
		for i, keep := range c.rule.Keep(taken) {
			if keep {
				got = append(got, taken[i].String())
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// Goal: only savepoints that the schedule of this name took are removed. Method: savepoints by
// schedule, by hand, of another name and half ones in one directory; a fenced master removes none.
func TestPruneSavepoints(t *testing.T) {
	files := mem.New(mem.Options{})
	m := begin(t, files, 1)
	periodic := func(c *meta.Checkpoint) { c.Header.Periodic = true }
	old := m.take(t, periodic)
	byHand := m.take(t, nil)
	half := m.take(t, periodic)
	_, dir, err := m.registry.Resolve(half)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, files, path.Join(dir, metadataName), []byte("cut"))
	other, err := OpenRandom(t.Context(), m.registry, rootOf(files), "other", seeded(9))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := takeOver(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	theirs := foreign.take(t, periodic)
	newest := m.take(t, periodic)
	base := uriOf(files, savepoints)
	removed, err := m.PruneSavepoints(t.Context(), m.gen, base, Retention{Last: 1}, old)
	if len(removed) > 0 || err != nil {
		t.Errorf("removed what is to be spared: %q, %v", removed, err)
	}
	removed, err = m.PruneSavepoints(t.Context(), m.gen, base, Retention{Last: 1}, "")
	if d := cmp.Diff([]string{old}, removed); d != "" || err != nil {
		t.Errorf("removed (-want +got):\n%s%v", d, err)
	}
	for _, place := range []string{byHand, theirs, newest} {
		if _, err := Read(t.Context(), m.registry, place); err != nil {
			t.Error(err)
		}
	}
	m.take(t, periodic)
	begin(t, files, 3)
	_, err = m.PruneSavepoints(t.Context(), m.gen, base, Retention{Last: 1}, "")
	if !errors.Is(err, ErrFenced) {
		t.Errorf("fenced: %v", err)
	}
	if _, err := Read(t.Context(), m.registry, newest); err != nil {
		t.Error(err)
	}
}
