package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
)

// KeyedProcessFunction handles the records of a keyed stream one by one, with state for each
// key. Every subtask has its own instance, used by one goroutine.
//
// One that uses timers implements TimerFunction too; one that implements io.Closer is closed
// when its task ends.
//
// Semantics: Flink's KeyedProcessFunction.
type KeyedProcessFunction[K, T, R any] interface {
	// Open declares the states the function uses. It is called once while the graph is built,
	// to learn what is declared, and once in every subtask.
	Open(d *state.Declarations) error
	// Process handles one record. State handles speak of the record's key.
	Process(ctx *Context[K], value T, out Collector[R]) error
}

// Context tells a function about the record it handles. It is valid during the call.
type Context[K any] struct {
	key       K
	timestamp eventtime.Timestamp
	watermark *inputWatermark
	timers    *TimerService
	states    *OperatorStateStore
}

// Key returns the key of the record.
func (c *Context[K]) Key() K { return c.key }

// Timestamp returns the event time of the record, eventtime.None when it has none.
func (c *Context[K]) Timestamp() eventtime.Timestamp { return c.timestamp }

// Watermark returns the current watermark, eventtime.None before the first.
func (c *Context[K]) Watermark() eventtime.Timestamp { return c.watermark.current }

// Timers returns the service that registers timers for the key of the record. The function
// must implement TimerFunction: using a timer fails the task otherwise.
func (c *Context[K]) Timers() *TimerService { return c.timers }

// Process applies a function with state to a keyed stream. create makes one instance for each
// subtask. uid names the state in checkpoints for ever.
func Process[K, T, R any](
	k *KeyedStream[K, T], uid string, create func() KeyedProcessFunction[K, T, R],
) *DataStream[R] {
	t := k.next(uid, "Process: "+uid, processFactory[K, T, R]{keyed: k, create: create})
	f := create()
	t.descriptors = describeFunction(k, uid, f)
	k.env.keepOperatorState(t, f)
	k.env.closeTried(t, f)
	return newStream[R](k.env, t)
}

// describeFunction opens a function to learn what it keeps.
func describeFunction[K, T, R any](
	k *KeyedStream[K, T], uid string, f KeyedProcessFunction[K, T, R],
) []*protocol.StateDescriptor {
	fail := func(err error) {
		if err != nil {
			k.env.fault(fmt.Errorf("process %q: %w", uid, err))
		}
	}
	if f == nil {
		fail(errors.New("its constructor returns nil"))
		return nil
	}
	var d state.Declarations
	if err := f.Open(&d); err != nil {
		fail(fmt.Errorf("open: %w", err))
	}
	states := declared.Of(&d)
	fail(states.Err())
	described := k.describe(states.Described())
	layout, errLayout := layoutOf(k, states)
	fail(errLayout)
	timed, err := timerFunctionOf[K, R](f)
	fail(err)
	if timed == nil || k.codec == nil {
		return described
	}
	tables := 0
	if len(described) > 0 {
		tables = 1 + len(layout.Collections)
	}
	return append(described, k.describeTimers(tables)...)
}

// layoutOf returns the row of the states of a function, or why there can be none.
func layoutOf[K, T any](
	k *KeyedStream[K, T], states *declared.States,
) (layout backend.RowLayout, err error) {
	if k.codec == nil || states.Err() != nil || len(states.Described()) == 0 {
		return layout, nil
	}
	if layout, err = states.Layout(k.codec.Words()); err == nil &&
		layout.FixedBytes > backend.MaxFixedBytes {
		err = fault.User(fmt.Errorf("its states take %d bytes for each key, at most %d are "+
			"possible: keep large values in a []byte, map or list", layout.FixedBytes,
			backend.MaxFixedBytes))
	}
	return layout, err
}

type processFactory[K, T, R any] struct {
	keyed  *KeyedStream[K, T]
	create func() KeyedProcessFunction[K, T, R]
	// declare are the states of a broadcast stream that is connected.
	declare []BroadcastDeclaration
}

// New makes the operator of one subtask.
func (f processFactory[K, T, R]) New(
	env *operator.Env, _ []byte, next any,
) (operator.Built, error) {
	out := linkOf[R](next)
	p := &process[K, T, R]{
		next: out.Control, env: env, function: f.create(),
		keys: f.keyed.scratch(), out: Collector[R]{&collecting[R]{record: out.Record}},
	}
	p.operatorState = checkpointedOf(env, p.function, f.declare...)
	p.service = TimerService{env: env, watermark: &p.watermark}
	p.context = Context[K]{
		watermark: &p.watermark, timers: &p.service, states: &p.operatorState.store,
	}
	p.timerContext.Context = p.context
	var d state.Declarations
	p.states = declared.Of(&d)
	if err := p.function.Open(&d); err != nil {
		return operator.Built{}, userFault(env, fmt.Errorf("open: %w", err))
	}
	layout, err := p.states.Layout(f.keyed.codec.Words())
	if err != nil {
		return operator.Built{}, userFault(env, err)
	}
	if p.keepsState = len(p.states.Described()) > 0; p.keepsState {
		if p.table, err = env.Keyed.Declare(layout); err != nil {
			return operator.Built{}, err
		}
		p.sweeper = newSweeper(env, p.states, p.table)
	}
	if p.timed, err = timerFunctionOf[K, R](p.function); err != nil {
		return operator.Built{}, err
	}
	p.states.Cursor().Leave()
	if p.timed != nil {
		p.timers, err = declareTimers(env, backend.TimerLayout{KeyWords: layout.KeyWords}, p)
		p.service.timers = p.timers
	}
	return operator.Built{Operator: p}, err
}

// process is the head that calls a KeyedProcessFunction.
type process[K, T, R any] struct {
	next       operator.Control
	env        *operator.Env
	function   KeyedProcessFunction[K, T, R]
	timed      TimerFunction[K, R] // the function; nil when it has no timers
	timers     *keyedTimers        // nil likewise
	service    TimerService
	keepsState bool
	states     *declared.States
	table      backend.TableID
	sweeper    *sweeper // nil when no state expires
	keys       keyScratch[T, K]
	rows       []backend.Row // of the records or timers being handled
	created    []int32
	emptied    []backend.Row // left without any state by a record, perhaps not for good
	context    Context[K]
	out        Collector[R]
	watermark  inputWatermark

	timerContext  TimerContext[K]
	operatorState checkpointed
}

// Open restores the watermark and operator state; keyed state and timers have been restored
// before.
func (p *process[K, T, R]) Open(_ context.Context, restored operator.Restored) error {
	if p.timers != nil {
		p.timers.open()
	}
	p.sweeper.open()
	if err := p.watermark.restore(restored); err != nil {
		return err
	}
	return p.operatorState.open(restored)
}

// Process resolves the rows of all records, then calls the function for each.
func (p *process[K, T, R]) Process(b *record.Batch) error {
	items, err := itemsOf[T](b)
	if err != nil {
		return err
	}
	p.keys.load(items, b)
	p.service.keys = p.keys.keys()
	if err := p.resolve(p.service.keys); err != nil {
		return err
	}
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		p.context.key = p.keys.values[i]
		p.context.timestamp = timestampAt(b, row)
		p.out.out.ts = p.context.timestamp
		p.point(i)
		if err := p.function.Process(&p.context, items[row], p.out); err != nil {
			return userFault(p.env, err)
		}
		p.settle()
		if p.env.Failure.Failed() {
			break
		}
	}
	return p.afterBatch()
}

// resolve finds the rows of the keys of a batch or of timers.
func (p *process[K, T, R]) resolve(keys backend.Keys) error {
	if !p.keepsState {
		return nil
	}
	cursor := p.states.Cursor()
	cursor.Now = p.env.Clock.Now().UnixMilli()
	var err error
	if cursor.Table, err = p.env.Keyed.Table(p.table, backend.NoPane); err != nil {
		return err
	}
	p.rows = p.keys.room(len(keys.Hashes))
	p.created, err = cursor.Table.Resolve(keys, backend.InsertClean, p.rows, p.created[:0])
	return p.longKey(keys, err)
}

// longKey marks the error of keys of which one is too long as the program's.
func (p *process[K, T, R]) longKey(keys backend.Keys, err error) error {
	if err == nil {
		return nil
	}
	for _, key := range keys.Bytes {
		if len(key) > backend.MaxKeyBytes {
			return userFault(p.env, declared.Oversized(err, "key of a record", len(key),
				backend.MaxKeyBytes, "key the stream by something shorter, such as a hash of it"))
		}
	}
	return fmt.Errorf("operator %q: %w", p.env.Name, err)
}

// point makes states and timers speak of the i-th key.
func (p *process[K, T, R]) point(i int) {
	p.service.at = i
	if p.keepsState {
		p.states.Cursor().Row = p.rows[i]
	}
}

// settle looks at what the function left of the row.
func (p *process[K, T, R]) settle() {
	if !p.keepsState {
		return
	}
	if cursor := p.states.Cursor(); cursor.Empty() {
		p.emptied = append(p.emptied, cursor.Row)
	}
}

// faults returns the first failure of the chain, and of what the function did with states and
// timers.
func (p *process[K, T, R]) faults() error {
	if err := p.env.Failure.Err(); err != nil {
		return err
	}
	if err := p.states.Err(); err != nil {
		return fmt.Errorf("operator %q: %w", p.env.Name, err)
	}
	return p.service.err
}

// afterBatch deletes rows that ended without state, so that a key that was cleared, or only
// looked at, costs nothing. No row is valid afterwards, and handles speak of none.
func (p *process[K, T, R]) afterBatch() error {
	if err := p.faults(); err != nil {
		return err
	}
	cursor := p.states.Cursor()
	// Records of one key have one row, which must be deleted once.
	slices.Sort(p.emptied)
	for _, cursor.Row = range slices.Compact(p.emptied) {
		if !cursor.Empty() {
			continue
		}
		if err := cursor.Table.Delete(cursor.Row); err != nil {
			return err
		}
	}
	p.emptied = p.emptied[:0]
	if err := p.sweeper.afterBatch(cursor.Table, cursor.Now, len(p.created)); err != nil {
		return err
	}
	p.service.keys = backend.Keys{}
	cursor.Leave()
	return nil
}

// Watermark remembers the watermark, fires the timers it has reached, and passes it on.
func (p *process[K, T, R]) Watermark(ts eventtime.Timestamp) {
	p.watermark.current = max(p.watermark.current, ts)
	if p.timers != nil {
		if err := p.timers.advance(p.watermark.current); err != nil {
			p.env.Failure.Set(err)
			return
		}
	}
	p.next.Watermark(ts)
}

// Status passes the status on.
func (p *process[K, T, R]) Status(idle bool) { p.next.Status(idle) }

// EndOfData passes the end on.
func (p *process[K, T, R]) EndOfData() { p.next.EndOfData() }

// Snapshot writes the watermark and operator state; the task takes keyed state.
func (p *process[K, T, R]) Snapshot(
	ctx context.Context, b record.Barrier,
) (operator.State, error) {
	states, err := p.operatorState.snapshot(ctx, b)
	if err == nil {
		err = p.faults() // of the function's own snapshot
	}
	s := p.watermark.snapshot()
	s.List = append(s.List, states...)
	return s, err
}

// CheckpointComplete needs nothing.
func (p *process[K, T, R]) CheckpointComplete(uint64) error { return nil }

// Close closes the function.
func (p *process[K, T, R]) Close() error { return closeFunction(p.function) }
