package eventtime

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Goal: the combination does what Flink's StatusWatermarkValve does. Method: scenarios, one step
// a line, with the outcome behind "=>": the combined watermark if it advanced, "idle" if all
// inputs are.
func TestMinimumScenarios(t *testing.T) {
	scenarios := map[string]string{
		"the minimum of all": `
			0 5 =>
			1 3 => 3
			1 4 => 4
			1 9 => 5
			0 5 =>
			0 2 =>
			0 9 => 9`,
		"idle inputs do not hold back": `
			0 5 =>
			1 idle => 5
			0 8 => 8`,
		"watermarks of idle inputs are ignored": `
			0 5 =>
			1 idle => 5
			1 7 =>
			1 active =>
			0 9 => 9
			1 10 =>
			0 11 => 10`,
		"an input behind waits until it has caught up": `
			1 2 =>
			1 idle =>
			0 10 => 10
			1 active =>
			1 4 =>
			0 12 => 12
			1 12 =>
			0 20 =>
			1 15 => 15`,
		"the last input going idle flushes the largest watermark": `
			0 10 =>
			1 3 => 3
			0 idle =>
			1 idle => 10 idle
			1 active =>
			1 9 =>
			1 11 => 11`,
		"no flush when the last input was not the minimum": `
			0 4 =>
			1 2 => 2
			1 idle => 4
			0 idle => idle
			1 active =>
			1 3 =>
			1 idle => idle`,
		"repeated statuses change nothing": `
			0 active =>
			0 idle =>
			0 idle =>
			1 7 => 7
			1 idle => idle
			1 idle => idle`,
	}
	for name, steps := range scenarios {
		m := NewMinimum(2)
		lines := bufio.NewScanner(strings.NewReader(steps))
		for lines.Scan() {
			step, want, found := strings.Cut(strings.TrimSpace(lines.Text()), "=>")
			if !found {
				continue
			}
			if got := play(t, m, step); got != strings.TrimSpace(want) {
				t.Errorf("%s: step %q: got %q, want %q", name, step, got, want)
			}
		}
	}
}

// play performs one step and returns its outcome.
func play(t *testing.T, m *Minimum, step string) string {
	var input int
	var what string
	if _, err := fmt.Sscan(step, &input, &what); err != nil {
		t.Fatalf("step %q: %v", step, err)
	}
	var combined Timestamp
	var advanced bool
	switch what {
	case "idle", "active":
		combined, advanced = m.SetIdle(input, what == "idle")
	default:
		var ts int64
		if _, err := fmt.Sscan(what, &ts); err != nil {
			t.Fatalf("step %q: %v", step, err)
		}
		combined, advanced = m.Update(input, Timestamp(ts))
	}
	var outcome []string
	if advanced {
		outcome = append(outcome, fmt.Sprint(int64(combined)))
	}
	if m.AllIdle() {
		outcome = append(outcome, "idle")
	}
	return strings.Join(outcome, " ")
}

// slowMinimum is the oracle: the same rules by scanning everything.
type slowMinimum struct {
	combined     Timestamp
	watermarks   []Timestamp
	idle, behind []bool
	active       int
}

func (s *slowMinimum) step(input int, ts Timestamp, status int) {
	switch {
	case status == 0 && !s.idle[input] && ts > s.watermarks[input]:
		s.watermarks[input] = ts
		s.behind[input] = s.behind[input] && ts < s.combined
		s.scan()
	case status == 1 && !s.idle[input]:
		s.idle[input] = true
		s.active--
		if s.active > 0 {
			s.scan()
		} else if s.watermarks[input] == s.combined {
			for _, w := range s.watermarks {
				s.combined = max(s.combined, w)
			}
		}
	case status == 2 && s.idle[input]:
		s.idle[input] = false
		s.active++
		s.behind[input] = s.watermarks[input] < s.combined
	}
}

func (s *slowMinimum) scan() {
	least, found := Max, false
	for i, w := range s.watermarks {
		if !s.idle[i] && !s.behind[i] {
			least, found = min(least, w), true
		}
	}
	if found {
		s.combined = max(s.combined, least)
	}
}

// Goal: the heap combines as a scan of all inputs would, and never goes back. Method: random
// steps on 1 to 40 inputs against the oracle.
func TestMinimumAgainstScan(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for run := range 300 {
		n := 1 + random.IntN(40)
		m := NewMinimum(n)
		s := &slowMinimum{combined: None, watermarks: make([]Timestamp, n),
			idle: make([]bool, n), behind: make([]bool, n), active: n}
		for i := range n {
			s.watermarks[i] = None
		}
		for step := range 400 {
			input, status := random.IntN(n), 0
			ts := Timestamp(step/8 + random.IntN(20))
			before := m.Combined()
			var combined Timestamp
			var advanced bool
			if random.IntN(4) == 0 {
				status = 1 + random.IntN(2)
				combined, advanced = m.SetIdle(input, status == 1)
			} else {
				combined, advanced = m.Update(input, ts)
			}
			s.step(input, ts, status)
			if combined != s.combined || advanced != (combined > before) || combined < before ||
				m.AllIdle() != (s.active == 0) || m.Combined() != combined {
				t.Fatalf("run %d step %d: got %d (advanced %t), want %d after %d",
					run, step, combined, advanced, s.combined, before)
			}
		}
	}
}

func BenchmarkMinimumUpdate(b *testing.B) {
	for _, n := range []int{4, 128, 4096} {
		b.Run(fmt.Sprintf("inputs=%d", n), func(b *testing.B) {
			m := NewMinimum(n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Update(i%n, Timestamp(i/n))
				i++
			}
		})
	}
}
