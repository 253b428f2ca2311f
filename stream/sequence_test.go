package stream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

func generateFactory(
	t testing.TB, count int64, options ...SourceOption[int64],
) operator.Factory {
	t.Helper()
	e := NewEnv("test")
	s := Generate(e, "numbers", count, func(i int64) int64 { return i }, options...)
	for _, err := range e.faults {
		t.Fatal(err)
	}
	return s.at.factory
}

// drain polls until the source ends or has nothing to say, at most polls times.
func drain(t testing.TB, s operator.SourceHead, polls int) operator.PollStatus {
	t.Helper()
	for range polls {
		status, err := s.Poll(t.Context())
		must(t, err)
		if status != operator.PollMore {
			return status
		}
	}
	return operator.PollMore
}

// Goal: the subtasks together emit every number once, restored at any point and at any other
// parallelism, again and again. Method: random polls, then a restart at a random parallelism.
func TestSequence(t *testing.T) {
	const seed, count = 21, 20_011
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	f, seen := generateFactory(t, count), make([]int, count)
	restored := operator.Restored{}
	for attempt := range 12 {
		parallelism := 1 + r.IntN(5)
		union := &protocol.NamedState{Name: positionState}
		for subtask := range parallelism {
			out := &tape[int64]{}
			env := envOf(subtask, parallelism)
			s := opened[operator.SourceHead](t, f, env, out.link(), restored)
			status := drain(t, s, r.IntN(4))
			if attempt == 11 {
				status = drain(t, s, count)
				same(t, operator.PollEnd, status)
			}
			for _, v := range out.values() {
				seen[v]++
			}
			list := snapshotOf(t, s)[0]
			if !list.Union {
				t.Fatal("positions are no union state")
			}
			// In an order of its own for every restore.
			union.Elements = append(list.Elements, union.Elements...)
		}
		restored = operator.Restored{Checkpoint: 1, List: []*protocol.NamedState{union}}
	}
	for v, n := range seen {
		if n != 1 {
			t.Fatalf("number %d was emitted %d times", v, n)
		}
	}
}

// Goal: a source that a checkpoint does not know begins at the start; one that has ended does
// not begin anew, but goes on when the program now makes more. Method: restore such lists.
func TestSequenceRestored(t *testing.T) {
	run := func(count int64, restored operator.Restored) ([]int64, operator.Restored) {
		out := &tape[int64]{}
		s := opened[operator.SourceHead](t, generateFactory(t, count), envOf(0, 1), out.link(),
			restored)
		same(t, operator.PollEnd, drain(t, s, 100))
		return out.values(), operator.Restored{Checkpoint: 2, List: snapshotOf(t, s)}
	}
	fresh, ended := run(3, operator.Restored{Checkpoint: 1})
	same(t, []int64{0, 1, 2}, fresh)
	again, ended := run(3, ended)
	same(t, []int64(nil), again)
	more, ended := run(5, ended)
	same(t, []int64{3, 4}, more)
	fewer, _ := run(2, ended)
	same(t, []int64(nil), fewer)

	for _, element := range []string{"short", strings.Repeat("\x00", progressionBytes)} {
		built, err := generateFactory(t, 3).New(envOf(0, 1), nil, nil)
		must(t, err)
		err = built.Operator.Open(t.Context(), operator.Restored{List: []*protocol.NamedState{
			{Name: positionState, Elements: [][]byte{[]byte(element)}}}})
		if fault.DomainOf(err) != fault.DomainInternal || err == nil ||
			!strings.Contains(err.Error(), `restore source "uid"`) {
			t.Errorf("error %v", err)
		}
	}
}

// Goal: a watermark says nothing that is not true, advances, comes at once after a restore,
// and is the smallest of the progressions. Method: timestamps with disorder; look at every
// watermark on the tape.
func TestSequenceWatermarks(t *testing.T) {
	const bound = 50 * time.Millisecond
	at := func(i int64) eventtime.Timestamp { return eventtime.Timestamp(i - (i*37)%50) }
	f := generateFactory(t, 10_000,
		WithEventTime(at, eventtime.BoundedOutOfOrderness(bound)))
	out := &tape[int64]{}
	s := opened[operator.SourceHead](t, f, envOf(0, 1), out.link(), operator.Restored{})
	same(t, operator.PollMore, drain(t, s, 4))
	last, before := checkWatermarks(t, out)
	if last < at(int64(before))-200 {
		t.Errorf("watermark %v after %d records", last, before)
	}
	restored := operator.Restored{Checkpoint: 1, List: snapshotOf(t, s)}
	out = &tape[int64]{}
	s = opened[operator.SourceHead](t, f, envOf(0, 1), out.link(), restored)
	same(t, []string{fmt.Sprint("0 watermark ", int64(last))}, out.controls)
	same(t, operator.PollEnd, drain(t, s, 100))
	checkWatermarks(t, out)

	// Two progressions in one subtask: the one behind counts.
	a := opened[operator.SourceHead](t, f, envOf(0, 2), nil, operator.Restored{})
	b := opened[operator.SourceHead](t, f, envOf(1, 2), nil, operator.Restored{})
	drain(t, a, 3)
	drain(t, b, 1)
	union := append(snapshotOf(t, a), snapshotOf(t, b)...)
	out = &tape[int64]{}
	opened[operator.SourceHead](t, f, envOf(0, 1), out.link(),
		operator.Restored{Checkpoint: 1, List: union})
	highest := eventtime.None
	for i := int64(1); i < 2048; i += 2 {
		highest = max(highest, at(i))
	}
	same(t, []string{fmt.Sprint("0 watermark ", int64(highest)-51)}, out.controls)
}

// checkWatermarks checks that no record is at or behind a watermark before it, and that
// watermarks grow. It returns the last one and the number of records before it.
func checkWatermarks(t *testing.T, out *tape[int64]) (eventtime.Timestamp, int) {
	t.Helper()
	last, before := eventtime.None, 0
	for _, text := range out.controls {
		var ts int64
		if _, err := fmt.Sscanf(text, "%d watermark %d", &before, &ts); err != nil {
			t.Fatal(text)
		}
		if eventtime.Timestamp(ts) <= last {
			t.Fatalf("watermark %d after %v", ts, last)
		}
		last = eventtime.Timestamp(ts)
		for _, r := range out.records[before:] {
			if r.At <= last {
				t.Fatalf("record at %v behind the watermark %v", r.At, last)
			}
		}
	}
	return last, before
}

// Goal: a rate holds a source back without ever letting it run ahead, wakes it when it may go
// on, and leaves no timer or goroutine behind. Method: a manual clock, advanced in steps.
func TestRate(t *testing.T) {
	f := generateFactory(t, 1000, WithRate[int64](100))
	env, out := envOf(0, 1), &tape[int64]{}
	c := env.Clock.(*clock.Manual)
	counting := &countingClock{Clock: c}
	env.Clock = counting
	s := opened[operator.SourceHead](t, f, env, out.link(), operator.Restored{})
	for passed := time.Duration(0); passed < 3*time.Second; passed += 250 * time.Millisecond {
		same(t, operator.PollWait, drain(t, s, 1000))
		// Woken by something else, it arms no second timer.
		same(t, operator.PollWait, drain(t, s, 1000))
		if want := int(passed.Seconds()*100) + 1; len(out.records) != want {
			t.Fatalf("%d records after %v, want %d", len(out.records), passed, want)
		}
		c.AwaitTimers(1)
		due, _ := c.Next()
		if wait := due.Sub(c.Now()); wait > 10*time.Millisecond || wait <= 0 {
			t.Fatalf("it waits %v, want 10 ms", wait)
		}
		c.Advance(250 * time.Millisecond)
		<-s.Ready()
	}
	must(t, s.Close())
	same(t, int64(12), counting.timers.Load())
}

// countingClock counts the timers made.
type countingClock struct {
	clock.Clock
	timers atomic.Int64
}

func (c *countingClock) NewTimer(d time.Duration) clock.Timer {
	c.timers.Add(1)
	return c.Clock.NewTimer(d)
}

// Goal: FromSlice deals its values to the subtasks. Method: two subtasks and five values.
func TestFromSlice(t *testing.T) {
	e := NewEnv("test")
	f := FromSlice(e, "s", []string{"a", "b", "c", "d", "e"}).at.factory
	var got [][]string
	for subtask := range 2 {
		out := &tape[string]{}
		s := opened[operator.SourceHead](t, f, envOf(subtask, 2), out.link(), operator.Restored{})
		same(t, operator.PollEnd, drain(t, s, 10))
		must(t, s.AddSplits(nil))
		must(t, s.NoMoreSplits())
		must(t, s.CheckpointComplete(1))
		got = append(got, slices.Clone(out.values()))
	}
	same(t, [][]string{{"a", "c", "e"}, {"b", "d"}}, got)
}

// Goal: an endless source does not end, and an error downstream stops it. Method: poll one
// with a failing link.
func TestGenerateEndless(t *testing.T) {
	env, n := envOf(0, 1), 0
	next := &operator.Link[int64]{Record: func(v int64, _ eventtime.Timestamp) {
		if n++; v == 5000 {
			env.Failure.Set(errUser)
		}
	}, Control: noControl{}}
	s := opened[operator.SourceHead](t, generateFactory(t, -1), env, next, operator.Restored{})
	var err error
	for err == nil && n < 10_000 {
		_, err = s.Poll(t.Context())
	}
	same(t, 5001, n)
	if err != errUser {
		t.Errorf("error %v", err)
	}
}
