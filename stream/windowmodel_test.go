package stream

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/window"
)

// windowModel is Flink's window operator as its documentation tells it, in maps and slices: no
// slices of time, no accumulators, no state windows, no backend. It is the oracle of all
// windows. Triggers and evictors are called through contexts of its own.
type windowModel struct {
	assign   func(v trade, ts, now int64) []Window
	sessions bool
	inEvents bool // event time
	trigger  window.Trigger
	evictor  window.Evictor
	lateness int64

	watermark, now int64
	keys           map[int64]*modelKey
	timers         map[modelTimer]bool
	fired          []modelResult
	late           []stamped[trade] // skipped and late
}

type modelKey struct {
	windows map[Window][]stamped[trade] // those that exist, with their contents
	state   map[modelState][]byte
}

type modelState struct {
	window Window
	name   string
}

type modelTimer struct {
	processing bool
	time       int64
	key        int64
	window     Window
}

// modelResult is a firing: the elements the function saw.
type modelResult struct {
	Key      int64
	Window   Window
	Elements []stamped[trade]
}

func newWindowModel() *windowModel {
	return &windowModel{watermark: math.MinInt64, keys: map[int64]*modelKey{},
		timers: map[modelTimer]bool{}, inEvents: true}
}

// alignedWindows is every window [n*slide+offset, n*slide+offset+size) that holds ts, clipped
// to the ends of time, the latest first, by arithmetic that cannot overflow.
func alignedWindows(ts int64, size, slide, offset time.Duration) []Window {
	ts = min(ts, math.MaxInt64-1)
	num := func(d time.Duration) *big.Int { return big.NewInt(d.Milliseconds()) }
	start := new(big.Int).Sub(big.NewInt(ts), num(offset))
	start.Sub(start, new(big.Int).Mod(start, num(slide))).Add(start, num(offset))
	var out []Window
	for {
		end := new(big.Int).Add(start, num(size))
		if end.Cmp(big.NewInt(ts)) <= 0 {
			return out
		}
		out = append(out, Window{Start: clip(start), End: clip(end)})
		start = new(big.Int).Sub(start, num(slide))
	}
}

func clip(x *big.Int) eventtime.Timestamp {
	switch {
	case x.IsInt64():
		return eventtime.Timestamp(x.Int64())
	case x.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func plus(a, b int64) int64 {
	return int64(clip(new(big.Int).Add(big.NewInt(a), big.NewInt(b))))
}

func (m *windowModel) cleanup(w Window) int64 {
	if !m.inEvents {
		return int64(w.MaxTimestamp())
	}
	return plus(int64(w.MaxTimestamp()), m.lateness)
}

func (m *windowModel) isLate(w Window) bool { return m.inEvents && m.cleanup(w) <= m.watermark }

func (m *windowModel) add(key int64, v trade, ts int64) {
	k := m.keys[key]
	if k == nil {
		k = &modelKey{map[Window][]stamped[trade]{}, map[modelState][]byte{}}
		m.keys[key] = k
	}
	element := stamped[trade]{v, eventtime.Timestamp(ts)}
	skipped := true
	for _, w := range m.assign(v, ts, m.now) {
		if m.sessions {
			w = m.merge(key, k, w)
		}
		if m.isLate(w) {
			if m.sessions {
				delete(k.windows, w)
			}
			continue
		}
		skipped = false
		k.windows[w] = append(k.windows[w], element)
		c := &modelContext{m: m, key: key, window: w, element: &element}
		m.act(c, m.trigger.OnElement(c))
		m.timer(key, w, m.cleanup(w), true)
	}
	if skipped && m.inEvents && plus(ts, m.lateness) <= m.watermark {
		m.late = append(m.late, element)
	}
}

// merge makes one window of w and all that it touches, and returns it.
func (m *windowModel) merge(key int64, k *modelKey, w Window) Window {
	var old []Window
	cover := w
	for again := true; again; {
		again = false
		for other := range k.windows {
			if !slices.Contains(old, other) && other.Touches(cover) {
				old, cover, again = append(old, other), cover.Cover(other), true
			}
		}
	}
	slices.SortFunc(old, func(a, b Window) int { return cmp.Compare(a.End, b.End) })
	if len(old) == 0 {
		k.windows[w] = nil
		return w
	}
	if len(old) == 1 && old[0] == cover {
		return cover
	}
	c := &modelContext{m: m, key: key, window: cover, merged: old}
	m.trigger.OnMerge(c)
	var all []stamped[trade]
	for _, each := range old {
		m.trigger.Clear(&modelContext{m: m, key: key, window: each})
		m.timer(key, each, m.cleanup(each), false)
		all = append(all, k.windows[each]...)
		delete(k.windows, each)
	}
	// Elements keep the order in which they came, which in tests of sessions is that of amounts.
	slices.SortFunc(all, func(a, b stamped[trade]) int {
		return cmp.Compare(a.Value.Amount, b.Value.Amount)
	})
	k.windows[cover] = all
	return cover
}

// timer sets or removes the timer by which a window is cleared away.
func (m *windowModel) timer(key int64, w Window, at int64, set bool) {
	t := modelTimer{!m.inEvents, at, key, w}
	if set && at != math.MaxInt64 {
		m.timers[t] = true
	} else {
		delete(m.timers, t)
	}
}

func (m *windowModel) act(c *modelContext, r window.Result) {
	k := m.keys[c.key]
	if r.Fires() && len(k.windows[c.window]) > 0 {
		contents := &modelContents{modelContext: c, elements: k.windows[c.window]}
		if m.evictor != nil {
			m.evictor.EvictBefore(contents)
			contents.sweep()
		}
		m.fired = append(m.fired, modelResult{c.key, c.window, slices.Clone(contents.elements)})
		if m.evictor != nil {
			m.evictor.EvictAfter(contents)
			contents.sweep()
		}
		k.windows[c.window] = contents.elements
	}
	if r.Purges() {
		k.windows[c.window] = nil
	}
}

// fire fires the timers of a domain up to a time.
func (m *windowModel) fire(processing bool, until int64) {
	for {
		var first *modelTimer
		for t := range m.timers {
			if t.processing == processing && t.time <= until &&
				(first == nil || compareModelTimers(t, *first) < 0) {
				first = &t
			}
		}
		if first == nil {
			return
		}
		delete(m.timers, *first)
		m.due(*first)
	}
}

func compareModelTimers(a, b modelTimer) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.key, b.key),
		cmp.Compare(a.window.End, b.window.End), cmp.Compare(a.window.Start, b.window.Start))
}

func (m *windowModel) due(t modelTimer) {
	k := m.keys[t.key]
	if _, exists := k.windows[t.window]; !exists && m.sessions {
		return
	}
	c := &modelContext{m: m, key: t.key, window: t.window}
	if t.processing {
		m.act(c, m.trigger.OnProcessingTime(c, eventtime.Timestamp(t.time)))
	} else {
		m.act(c, m.trigger.OnEventTime(c, eventtime.Timestamp(t.time)))
	}
	if t.processing != m.inEvents && t.time == m.cleanup(t.window) {
		delete(k.windows, t.window)
		m.trigger.Clear(c)
	}
}

func (m *windowModel) advance(watermark int64) {
	if watermark > m.watermark {
		m.watermark = watermark
		m.fire(false, watermark)
	}
}

func (m *windowModel) clock(now int64) {
	m.now = now
	m.fire(true, now-1)
}

// modelContext is the context of triggers.
type modelContext struct {
	m       *windowModel
	key     int64
	window  Window
	element *stamped[trade]
	merged  []Window
}

func (c *modelContext) Window() Window                 { return c.window }
func (c *modelContext) Watermark() eventtime.Timestamp { return eventtime.Timestamp(c.m.watermark) }

func (c *modelContext) ProcessingTime() eventtime.Timestamp { return eventtime.Timestamp(c.m.now) }

func (c *modelContext) Timestamp() eventtime.Timestamp {
	if c.element == nil {
		return eventtime.None
	}
	return c.element.At
}

func (c *modelContext) Element() any {
	if c.element == nil {
		return nil
	}
	return &c.element.Value
}

func (c *modelContext) set(processing bool, at eventtime.Timestamp, on bool) {
	t := modelTimer{processing, int64(at), c.key, c.window}
	if delete(c.m.timers, t); on {
		c.m.timers[t] = true
	}
}

func (c *modelContext) RegisterEventTimer(at eventtime.Timestamp)      { c.set(false, at, true) }
func (c *modelContext) DeleteEventTimer(at eventtime.Timestamp)        { c.set(false, at, false) }
func (c *modelContext) RegisterProcessingTimer(at eventtime.Timestamp) { c.set(true, at, true) }
func (c *modelContext) DeleteProcessingTimer(at eventtime.Timestamp)   { c.set(true, at, false) }

func (c *modelContext) State(name string) []byte {
	return c.m.keys[c.key].state[modelState{c.window, name}]
}

func (c *modelContext) SetState(name string, value []byte) {
	state := c.m.keys[c.key].state
	if delete(state, modelState{c.window, name}); len(value) > 0 {
		state[modelState{c.window, name}] = slices.Clone(value)
	}
}

func (c *modelContext) MergeState(name string, combine func(a, b []byte) []byte) {
	var all []byte
	for _, w := range c.merged {
		at := &modelContext{m: c.m, key: c.key, window: w}
		switch next := at.State(name); {
		case next == nil:
		case all == nil:
			all = next
		default:
			all = combine(all, next)
		}
		at.SetState(name, nil)
	}
	c.SetState(name, all)
}

// modelContents are what evictors see.
type modelContents struct {
	*modelContext
	elements []stamped[trade]
	evicted  map[int]bool
}

func (c *modelContents) Len() int                            { return len(c.elements) }
func (c *modelContents) Timestamp(i int) eventtime.Timestamp { return c.elements[i].At }
func (c *modelContents) Element(i int) any                   { return &c.elements[i].Value }

func (c *modelContents) Evict(i int) {
	if c.evicted == nil {
		c.evicted = map[int]bool{}
	}
	c.evicted[i] = true
}

func (c *modelContents) sweep() {
	var left []stamped[trade]
	for i, e := range c.elements {
		if !c.evicted[i] {
			left = append(left, e)
		}
	}
	c.elements, c.evicted = left, nil
}

// firing is a result of the operator or, spelt the same way, of the model.
type firingText struct {
	Key    int64
	Window Window
	Text   string
	At     eventtime.Timestamp
}

// sortFirings puts results of one step in order: those of a key and window stay as they came.
func sortFirings(all []firingText) []firingText {
	slices.SortStableFunc(all, func(a, b firingText) int {
		return cmp.Or(cmp.Compare(a.Window.End, b.Window.End),
			cmp.Compare(a.Window.Start, b.Window.Start), cmp.Compare(a.Key, b.Key))
	})
	return all
}

// take returns what fired since the last call, each spelt by text.
func (m *windowModel) take(text func([]stamped[trade]) string) []firingText {
	var out []firingText
	for _, r := range m.fired {
		out = append(out, firingText{r.Key, r.Window, text(r.Elements), r.Window.MaxTimestamp()})
	}
	m.fired = nil
	return sortFirings(out)
}

// tally spells an accumulator that does not depend on the order of records.
type tally struct{ Count, Sum, Max int64 }

func addTally(a *tally, v trade) {
	if a.Count == 0 || v.Amount > a.Max {
		a.Max = v.Amount
	}
	a.Count++
	a.Sum += v.Amount
}

func mergeTally(a, other *tally) {
	if a.Count == 0 || other.Count > 0 && other.Max > a.Max {
		a.Max = other.Max
	}
	a.Count += other.Count
	a.Sum += other.Sum
}

func tallyText(elements []stamped[trade]) string {
	var a tally
	for _, e := range elements {
		addTally(&a, e.Value)
	}
	return fmt.Sprint(a)
}

func tallyTextOf(a *tally) string { return fmt.Sprint(*a) }
