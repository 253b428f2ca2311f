package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/window"
)

// windowing is the head for windows of every kind. A key has one row, in which ordered maps
// hold the contents of its windows, what its trigger remembers, and for sessions which windows
// there are (docs/formats/row.md); timers are named by window.
//
// Semantics: Flink's WindowOperator and EvictingWindowOperator.
type windowing[K, T any] struct {
	cut      cut
	gap      func(T) time.Duration
	trigger  window.Trigger
	lateness int64
	contents windowContents[T]
	states   *windowStates // of the window's function; nil when it has none
	function any           // the window's function; nil when there is none

	next      operator.Control
	env       *operator.Env
	keys      keyScratch[T, K]
	table     backend.TableID
	timers    *keyedTimers
	late      lateness[T]
	watermark inputWatermark

	at      windowCell
	context triggerContext[T]
	rows    []backend.Row // of the records or timers being handled
	created []int32
	emptied []backend.Row
	handled backend.Keys // likewise
	numbers []K          // the keys of the records; nil for timers
	index   int          // of the one being handled
	domain  TimeDomain   // of the timers
	windows []Window
}

// windowContents are the contents of the windows of the row that a windowCell points at. state
// is the window under whose name they lie, see sessions.
type windowContents[T any] interface {
	add(state Window, value *T, ts eventtime.Timestamp) error
	// fire calls the function of the window unless it is empty.
	fire(actual, state Window) error
	clear(state Window) error
	// merge moves the contents of other windows to state.
	merge(state Window, others []Window) error
}

// windowCell is the row and the time at hand.
type windowCell struct {
	table backend.Table
	row   backend.Row
	key   backend.Timer // its key
	now   int64         // of the clock
	err   error         // the first failure of a call that returns none
}

func (c *windowCell) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Open restores the watermark; keyed state and timers have been restored before.
func (o *windowing[K, T]) Open(_ context.Context, restored operator.Restored) error {
	o.timers.open()
	return o.watermark.restore(restored)
}

// Process resolves the rows of all records, then handles one after the other.
func (o *windowing[K, T]) Process(b *record.Batch) error {
	items, err := itemsOf[T](b)
	if err != nil {
		return err
	}
	o.keys.load(items, b)
	o.numbers = o.keys.values
	if err := o.resolve(o.keys.keys()); err != nil {
		return err
	}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		o.point(i)
		if err := o.take(&items[row], timestampAt(b, row)); err != nil {
			return err
		}
		if err := o.settle(); err != nil {
			return err
		}
	}
	return o.afterBatch()
}

// resolve finds the rows of the keys of a batch or of timers.
func (o *windowing[K, T]) resolve(keys backend.Keys) error {
	var err error
	o.at.now = o.env.Clock.Now().UnixMilli()
	if o.at.table, err = o.env.Keyed.Table(o.table, backend.NoPane); err != nil {
		return err
	}
	o.handled, o.rows = keys, o.keys.room(len(keys.Hashes))
	o.created, err = o.at.table.Resolve(keys, backend.InsertClean, o.rows, o.created[:0])
	return err
}

// point makes everything speak of the i-th key.
func (o *windowing[K, T]) point(i int) {
	o.index, o.at.row = i, o.rows[i]
	o.at.key.Hash = o.handled.Hashes[i]
	switch words := o.keys.codec.Words(); words {
	case 0:
		o.at.key.Bytes = o.handled.Bytes[i]
	default:
		copy(o.at.key.Words[:], o.handled.Words[i*words:(i+1)*words])
	}
}

// key returns the key at hand.
func (o *windowing[K, T]) key() K {
	if o.numbers != nil {
		return o.numbers[o.index]
	}
	if words := o.keys.codec.Words(); words > 0 {
		return o.keys.codec.FromWords(o.at.key.Words[:words])
	}
	return o.keys.codec.FromBytes(o.at.key.Bytes)
}

// settle looks at what is left of the row, and for failures.
func (o *windowing[K, T]) settle() error {
	if o.isEmpty() {
		o.emptied = append(o.emptied, o.at.row)
	}
	if o.at.err != nil {
		return fmt.Errorf("operator %q: %w", o.env.Name, o.at.err)
	}
	return o.env.Failure.Err()
}

func (o *windowing[K, T]) isEmpty() bool {
	fixed := o.at.table.Fixed(o.at.row)
	for _, slot := range windowSlots[:o.collections()] {
		if *slotAt(fixed, slot) != 0 {
			return false
		}
	}
	return true
}

// afterBatch deletes rows without windows.
func (o *windowing[K, T]) afterBatch() error {
	slices.Sort(o.emptied)
	for _, o.at.row = range slices.Compact(o.emptied) {
		if !o.isEmpty() {
			continue
		}
		if err := o.at.table.Delete(o.at.row); err != nil {
			return err
		}
	}
	o.emptied = o.emptied[:0]
	return nil
}

// take puts a record into its windows.
func (o *windowing[K, T]) take(value *T, ts eventtime.Timestamp) error {
	if err := o.assign(value, ts); err != nil {
		return err
	}
	skipped := true
	for _, w := range o.windows {
		state := w
		if o.cut.kind == cutSessions {
			var err error
			if w, state, err = o.join(w); err != nil {
				return err
			}
		}
		if o.isLate(w) {
			if err := o.retire(w); err != nil {
				return err
			}
			continue
		}
		skipped = false
		if err := o.contents.add(state, value, ts); err != nil {
			return err
		}
		o.context.point(w, value, ts)
		if err := o.act(o.trigger.OnElement(&o.context), w, state); err != nil {
			return err
		}
		o.setCleanup(w)
	}
	if skipped && o.cut.inEvents() && saturated(ts, o.lateness) <= o.watermark.current {
		o.late.take(*value, ts)
	}
	return nil
}

// assign finds the windows of a record.
func (o *windowing[K, T]) assign(value *T, ts eventtime.Timestamp) error {
	o.windows = o.windows[:0]
	if o.cut.kind == cutGlobal {
		o.windows = append(o.windows, window.Global())
		return nil
	}
	if o.cut.processing {
		ts = eventtime.Timestamp(o.at.now)
	}
	if ts == eventtime.None {
		return userFault(o.env, errNoEventTime)
	}
	if o.cut.kind == cutAligned {
		o.windows = o.cut.aligned.windowsOf(ts, o.windows)
		return nil
	}
	gap := o.cut.gap
	if o.gap != nil {
		if gap = o.gap(*value).Milliseconds(); gap < 1 {
			return userFault(o.env, fmt.Errorf("the gap of a session is %d ms: want at least 1 ms",
				gap))
		}
	}
	ts = min(ts, eventtime.Max-1)
	o.windows = append(o.windows, Window{Start: ts, End: saturated(ts, gap)})
	return nil
}

// act does what a trigger said.
func (o *windowing[K, T]) act(r window.Result, w, state Window) error {
	if r.Fires() {
		if err := o.contents.fire(w, state); err != nil {
			return err
		}
	}
	if r.Purges() {
		return o.contents.clear(state)
	}
	return nil
}

// within runs the function of a window with its states in place.
func (o *windowing[K, T]) within(w Window, run func() error) error {
	if o.states == nil {
		return run()
	}
	if err := o.states.enter(&o.at, w); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	return o.states.leave()
}

// cleanup is when a window is cleared away, in the time of its kind.
func (o *windowing[K, T]) cleanup(w Window) eventtime.Timestamp {
	if !o.cut.inEvents() {
		return w.MaxTimestamp()
	}
	return saturated(w.MaxTimestamp(), o.lateness)
}

func (o *windowing[K, T]) isLate(w Window) bool {
	return o.cut.inEvents() && o.cleanup(w) <= o.watermark.current
}

// setCleanup registers the timer that clears a window away. At the end of time there is none.
func (o *windowing[K, T]) setCleanup(w Window) {
	if at := o.cleanup(w); at < eventtime.Max {
		o.context.point(w, nil, eventtime.None)
		o.context.register(o.cut.domain(), at)
	}
}

// beginTimers resolves the rows of the keys of due timers.
func (o *windowing[K, T]) beginTimers(domain TimeDomain, due *backend.Due) error {
	o.domain, o.numbers = domain, nil
	return o.resolve(backend.Keys{Hashes: due.Hashes, Words: due.Words, Bytes: due.Bytes})
}

// onTimer asks the trigger, and clears away a window whose time has come.
func (o *windowing[K, T]) onTimer(i int) error {
	o.point(i)
	named := o.timers.due.Namespaces[2*i:]
	w := Window{Start: eventtime.Timestamp(named[0]), End: eventtime.Timestamp(named[1])}
	state := w
	if o.cut.kind == cutSessions {
		var ok bool
		if state, ok = o.stateOf(w); !ok {
			return o.settle()
		}
	}
	at, ask := eventtime.Timestamp(o.timers.due.Timestamp), o.trigger.OnEventTime
	if o.domain == DomainProcessingTime {
		ask = o.trigger.OnProcessingTime
	}
	o.context.point(w, nil, eventtime.None)
	if err := o.act(ask(&o.context, at), w, state); err != nil {
		return err
	}
	if o.domain == o.cut.domain() && at == o.cleanup(w) {
		if err := o.clearAway(w, state); err != nil {
			return err
		}
	}
	return o.settle()
}

// clearAway forgets a window.
func (o *windowing[K, T]) clearAway(w, state Window) error {
	if err := o.contents.clear(state); err != nil {
		return err
	}
	o.context.point(w, nil, eventtime.None)
	o.trigger.Clear(&o.context)
	if o.states != nil {
		if err := o.states.clear(&o.at, w); err != nil {
			return err
		}
	}
	return o.retire(w)
}

// endTimers deletes rows without windows.
func (o *windowing[K, T]) endTimers() error { return o.afterBatch() }

// Watermark fires what it has passed, then goes on.
func (o *windowing[K, T]) Watermark(ts eventtime.Timestamp) {
	if ts <= o.watermark.current {
		return
	}
	o.watermark.current = ts
	if err := o.timers.advance(ts); err != nil {
		o.env.Failure.Set(err)
		return
	}
	o.next.Watermark(ts)
}

// Alarm fires what the clock has passed.
func (o *windowing[K, T]) Alarm(now int64) error { return o.timers.alarm(now) }

// Status passes the status on.
func (o *windowing[K, T]) Status(idle bool) { o.next.Status(idle) }

// EndOfData passes the end on.
func (o *windowing[K, T]) EndOfData() { o.next.EndOfData() }

// Snapshot writes the watermark; the task takes keyed state.
func (o *windowing[K, T]) Snapshot(
	context.Context, record.Barrier,
) (operator.State, error) {
	return o.watermark.snapshot(), nil
}

// CheckpointComplete needs nothing.
func (o *windowing[K, T]) CheckpointComplete(uint64) error { return nil }

// Close closes the window's function.
func (o *windowing[K, T]) Close() error { return closeFunction(o.function) }

var (
	_ operator.Head  = (*windowing[int, int])(nil)
	_ operator.Alarm = (*windowing[int, int])(nil)
)
