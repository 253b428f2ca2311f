package stream

import (
	"errors"
	"fmt"
	"iter"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
	"github.com/leat-io/leat/window"
)

// windowStep is a windowed operator on its way into the graph.
type windowStep[K, T, A, R any] struct {
	windowed  *WindowedStream[K, T]
	what, uid string // for errors
	folding   folding[T, A]
	end       windowEnd[K, A, R]
	// lists says that the function wants all records: A is T then, and folding is not used.
	lists bool

	accumulators *declared.Codec[A]
	elements     *declared.Codec[T] // when all records are kept
}

// keepsAll reports whether all records of a window are kept.
func (s *windowStep[K, T, A, R]) keepsAll() bool { return s.lists || s.windowed.evictor != nil }

// add adds the operator that suits. Windows that are folded slice by slice are the fast way.
func (s windowStep[K, T, A, R]) add() *DataStream[R] {
	k, w := s.windowed.keyed, s.windowed
	states, err := s.end.states()
	if err == nil {
		err = s.check(states)
	}
	if err == nil {
		err = s.codecs()
	}
	if err != nil {
		k.env.fault(fmt.Errorf("%s %q: %w", s.what, s.uid, err))
		return newStream[R](k.env, k.next(s.uid, w.title(s.uid), nil))
	}
	if s.slices() && states == nil {
		t := k.next(s.uid, w.title(s.uid), windowFactory[K, T, A, R]{s})
		t.descriptors = []*protocol.StateDescriptor{{
			Name: "window-contents", Kind: fmt.Sprintf("window-aggregate(%v)", w.cut.aligned),
			KeySchema: k.name, ValueSchema: s.accumulators.Layout().Describe(), HashId: 1,
		}}
		return s.placed(t)
	}
	t := k.next(s.uid, w.title(s.uid), windowingFactory[K, T, A, R]{s})
	t.descriptors, err = s.describe(states)
	if err != nil {
		k.env.fault(fmt.Errorf("%s %q: %w", s.what, s.uid, err))
	}
	return s.placed(t)
}

func (s *windowStep[K, T, A, R]) placed(t *transformation) *DataStream[R] {
	if s.windowed.keyed.all {
		t.parallelism = 1
	}
	return newStream[R](s.windowed.keyed.env, t)
}

// slices reports whether windows are made of slices.
func (s *windowStep[K, T, A, R]) slices() bool {
	w := s.windowed
	a := w.cut.aligned
	return w.cut.kind == cutAligned && w.cut.inEvents() && w.lateness == 0 && !s.keepsAll() &&
		(w.trigger == nil || w.trigger == window.EventTime()) &&
		a.slicesFit() && (a.tumbles() || s.folding.merge != nil)
}

// check says what does not go together.
func (s *windowStep[K, T, A, R]) check(states *windowStates) error {
	w := s.windowed
	if w.trigger != nil {
		if err := window.Validate(w.trigger); err != nil {
			return fmt.Errorf("trigger: %w", err)
		}
	}
	if w.evictor != nil {
		if err := window.Validate(w.evictor); err != nil {
			return fmt.Errorf("evictor: %w", err)
		}
	}
	if w.cut.kind != cutSessions {
		return nil
	}
	switch {
	case w.trigger != nil && !w.trigger.CanMerge():
		return fmt.Errorf("trigger %v cannot merge windows, which sessions need", w.trigger)
	case !s.keepsAll() && s.folding.merge == nil:
		return errors.New("sessions need an aggregator that can merge: implement " +
			"stream.MergingAggregator, or use stream.Folding")
	case states != nil && keeps(states.window):
		return errors.New("sessions have no state of their own, since they merge: declare " +
			"state of the key")
	}
	return nil
}

// codecs makes those of what is kept.
func (s *windowStep[K, T, A, R]) codecs() error {
	var err error
	if s.keepsAll() {
		if s.elements, err = declared.NewCodec[T](); err != nil {
			return fmt.Errorf("records are kept: %w", err)
		}
		return nil
	}
	if s.accumulators, err = declared.NewCodec[A](); err != nil {
		return fmt.Errorf("accumulator: %w", err)
	}
	return nil
}

// describe says what checkpoints hold.
func (s *windowStep[K, T, A, R]) describe(
	states *windowStates,
) ([]*protocol.StateDescriptor, error) {
	k, cut := s.windowed.keyed, s.windowed.cut
	kind, value, key := "window-accumulators", "", ""
	byWindow, err := types.OrderedKeyOf[windowKey]()
	if err != nil {
		return nil, err
	}
	if key = byWindow.Schema(); s.keepsAll() {
		byElement, err := types.OrderedKeyOf[elementKey]()
		if err != nil {
			return nil, err
		}
		kind, value, key = "window-elements", s.elements.Layout().Describe(), byElement.Schema()
	} else {
		value = s.accumulators.Layout().Describe()
	}
	maps := []*protocol.StateDescriptor{
		{Name: "window-contents", Kind: kind, ValueSchema: value, UserKeySchema: key},
		{Name: "window-triggers", Kind: "window-triggers"},
		{Name: "window-sessions", Kind: "window-sessions", UserKeySchema: byWindow.Schema()},
	}
	out := []*protocol.StateDescriptor{{
		Name: "windows", Kind: fmt.Sprintf("window-row(%v)", cut), KeySchema: k.name, HashId: 1,
	}}
	for i, d := range maps[:cut.collections()] {
		d.KeySchema, d.HashId, d.Table = k.name, 1, uint32(1+i)
		out = append(out, d)
	}
	out = append(out, timerDescriptors(k.name, len(out), 2)...)
	if states != nil {
		out = append(out, s.describeStates(states, len(out))...)
	}
	return out, nil
}

// describeStates describes the states of the function, whose tables begin with number table.
func (s *windowStep[K, T, A, R]) describeStates(
	states *windowStates, table int,
) []*protocol.StateDescriptor {
	var out []*protocol.StateDescriptor
	for _, each := range []struct {
		states *declared.States
		name   string
	}{{states.global, "global/"}, {states.window, "window/"}} {
		for _, d := range s.windowed.keyed.describe(each.states.Described()) {
			d.Name = each.name + d.Name
			d.Table += uint32(table)
			out = append(out, d)
		}
		if layout, err := each.states.Layout(0); err == nil && keeps(each.states) {
			table += 1 + len(layout.Collections)
		}
	}
	return out
}

// windowFactory makes operators that keep accumulators by slice.
type windowFactory[K, T, A, R any] struct {
	windowStep[K, T, A, R]
}

// New makes the operator of one subtask.
func (f windowFactory[K, T, A, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, k := linkOf[R](next), f.windowed.keyed
	o := &windowAggregate[K, T, A, R]{
		folding: f.folding, alignment: f.windowed.cut.aligned, codec: f.accumulators,
		next: out.Control, env: env, keys: k.scratch(), direct: f.accumulators.InPlace(),
	}
	var err error
	if o.late, err = latenessOf(f.windowed.late, env); err != nil {
		return operator.Built{}, err
	}
	results, err := f.end.open(env, out, &o.watermark)
	if err != nil {
		return operator.Built{}, err
	}
	o.finish, o.function = results.one, results.function
	o.table, err = env.Keyed.Declare(f.accumulators.Row(k.codec.Words()))
	return operator.Built{Operator: o}, err
}

// windowingFactory makes operators for windows of every kind.
type windowingFactory[K, T, A, R any] struct {
	windowStep[K, T, A, R]
}

// New makes the operator of one subtask.
func (f windowingFactory[K, T, A, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out, w := linkOf[R](next), f.windowed
	o := &windowing[K, T]{
		cut: w.cut, gap: w.gap, trigger: w.triggerOf(), lateness: w.lateness,
		next: out.Control, env: env, keys: w.keyed.scratch(),
	}
	words := w.keyed.codec.Words()
	var err error
	if o.late, err = latenessOf(w.late, env); err != nil {
		return operator.Built{}, err
	}
	if o.table, err = env.Keyed.Declare(w.cut.row(words)); err != nil {
		return operator.Built{}, err
	}
	o.timers, err = declareTimers(env, backend.TimerLayout{KeyWords: words, NamespaceWords: 2}, o)
	if err != nil {
		return operator.Built{}, err
	}
	o.context = triggerContext[T]{at: &o.at, timers: o.timers, watermark: &o.watermark}
	results, err := f.end.open(env, out, &o.watermark)
	if err != nil {
		return operator.Built{}, err
	}
	if o.states = results.states; o.states != nil {
		if err := o.states.declare(env, words); err != nil {
			return operator.Built{}, err
		}
	}
	o.contents, o.function = f.contents(o, results), results.function
	return operator.Built{Operator: o}, nil
}

// contents makes what keeps the contents of windows.
func (f *windowStep[K, T, A, R]) contents(
	o *windowing[K, T], results *windowResults[K, A, R],
) windowContents[T] {
	one := func(w Window, acc *A) error {
		return o.within(w, func() error { return results.one(o.key(), w, acc) })
	}
	if !f.keepsAll() {
		return &foldedContents[T, A]{
			folding: f.folding, at: &o.at, codec: f.accumulators, finish: one,
		}
	}
	all := func(w Window, elements iter.Seq[T]) error {
		var acc A
		if f.folding.fold(&acc, elements) {
			return one(w, &acc)
		}
		return nil
	}
	if f.lists {
		typed := any(results).(*windowResults[K, T, R]) // A is T
		all = func(w Window, elements iter.Seq[T]) error {
			return o.within(w, func() error { return typed.all(o.key(), w, elements) })
		}
	}
	return &listedContents[T]{
		at: &o.at, watermark: &o.watermark, codec: f.elements, evictor: f.windowed.evictor,
		finish: all,
	}
}
