package eventtime

// Minimum combines the watermarks of several inputs into the smallest one, leaving out idle
// inputs. It belongs to the goroutine of one task. A step costs O(log n) of the number of inputs.
//
// An input is in one of three states:
//  1. aligned: active, with a watermark at or above the combined one; it takes part;
//  2. behind: active again after idleness, with a watermark below the combined one; it does not
//     take part until it has caught up, else it would hold time back that has already passed;
//  3. idle: it does not take part, and its watermarks are ignored until it is active.
//
// All inputs start aligned at None. Invariant: the combined watermark never goes back.
//
// Semantics: Flink's StatusWatermarkValve, including its flush: when the last active input turns
// idle and was the one the combined watermark stood at, the combined watermark advances to the
// largest watermark of all inputs (findAndOutputMaxWatermarkAcrossAllSubpartitions).
type Minimum struct {
	combined   Timestamp
	active     int         // inputs that are not idle
	watermarks []Timestamp // the last one of every input
	idle       []bool
	// heap holds the aligned inputs, the one with the smallest watermark first; place is the
	// position of an input in it, or absent.
	heap  []int32
	place []int32
}

const absent = -1

// NewMinimum returns the combination of inputs 0 to n-1, all active and at None.
func NewMinimum(n int) *Minimum {
	m := &Minimum{
		combined:   None,
		active:     n,
		watermarks: make([]Timestamp, n),
		idle:       make([]bool, n),
		heap:       make([]int32, n),
		place:      make([]int32, n),
	}
	for i := range n {
		m.watermarks[i] = None
		m.heap[i] = int32(i)
		m.place[i] = int32(i)
	}
	return m
}

// Combined returns the combined watermark: None before all active inputs have sent one.
func (m *Minimum) Combined() Timestamp { return m.combined }

// Watermark returns the last watermark taken from an input.
func (m *Minimum) Watermark(input int) Timestamp { return m.watermarks[input] }

// Idle reports whether an input is idle.
func (m *Minimum) Idle(input int) bool { return m.idle[input] }

// AllIdle reports whether no input is active: the combination is idle itself then. A Minimum
// without inputs is idle.
func (m *Minimum) AllIdle() bool { return m.active == 0 }

// Update takes a watermark of an input and returns the combined one and whether it advanced.
// A watermark that does not advance its input is ignored, and so is one of an idle input.
func (m *Minimum) Update(input int, ts Timestamp) (combined Timestamp, advanced bool) {
	if m.idle[input] || ts <= m.watermarks[input] {
		return m.combined, false
	}
	m.watermarks[input] = ts
	switch {
	case m.place[input] != absent:
		m.sink(int(m.place[input]))
	case ts >= m.combined:
		m.push(input)
	}
	return m.advance()
}

// SetIdle marks an input as idle or active and returns the combined watermark and whether it
// advanced. AllIdle tells whether the combination became idle or active with it.
func (m *Minimum) SetIdle(input int, idle bool) (combined Timestamp, advanced bool) {
	if m.idle[input] == idle {
		return m.combined, false
	}
	m.idle[input] = idle
	if !idle {
		m.active++
		if m.watermarks[input] >= m.combined {
			m.push(input)
		}
		return m.combined, false
	}
	m.active--
	if m.place[input] != absent {
		m.remove(int(m.place[input]))
	}
	if m.active == 0 {
		if m.watermarks[input] == m.combined {
			return m.flush()
		}
		return m.combined, false
	}
	return m.advance()
}

// flush advances to the largest watermark of all inputs.
func (m *Minimum) flush() (combined Timestamp, advanced bool) {
	largest := m.combined
	for _, ts := range m.watermarks {
		largest = max(largest, ts)
	}
	advanced = largest > m.combined
	m.combined = largest
	return largest, advanced
}

// advance moves the combined watermark up to that of the first aligned input.
func (m *Minimum) advance() (combined Timestamp, advanced bool) {
	if len(m.heap) == 0 {
		return m.combined, false
	}
	if first := m.watermarks[m.heap[0]]; first > m.combined {
		m.combined = first
		return first, true
	}
	return m.combined, false
}

func (m *Minimum) push(input int) {
	m.heap = append(m.heap, int32(input))
	m.place[input] = int32(len(m.heap) - 1)
	m.rise(len(m.heap) - 1)
}

func (m *Minimum) remove(at int) {
	last := len(m.heap) - 1
	m.place[m.heap[at]] = absent
	moved := m.heap[last]
	m.heap = m.heap[:last]
	if at == last {
		return
	}
	m.heap[at] = moved
	m.place[moved] = int32(at)
	m.sink(at)
	m.rise(int(m.place[moved]))
}

// rise moves the input at a place towards the top until its parent is not larger.
func (m *Minimum) rise(at int) {
	for at > 0 {
		parent := (at - 1) / 2
		if m.watermarks[m.heap[parent]] <= m.watermarks[m.heap[at]] {
			return
		}
		m.swap(at, parent)
		at = parent
	}
}

// sink moves the input at a place towards the leaves until no child is smaller.
func (m *Minimum) sink(at int) {
	for {
		child := 2*at + 1
		if child >= len(m.heap) {
			return
		}
		if right := child + 1; right < len(m.heap) &&
			m.watermarks[m.heap[right]] < m.watermarks[m.heap[child]] {
			child = right
		}
		if m.watermarks[m.heap[at]] <= m.watermarks[m.heap[child]] {
			return
		}
		m.swap(at, child)
		at = child
	}
}

func (m *Minimum) swap(a, b int) {
	m.heap[a], m.heap[b] = m.heap[b], m.heap[a]
	m.place[m.heap[a]] = int32(a)
	m.place[m.heap[b]] = int32(b)
}
