package task_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
	"github.com/leat-io/leat/internal/runtime/task"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// item is the record of these tests: the n-th of a source.
type item struct {
	source, seq int
	key         uint64
}

// digest tells sets of items apart when added up.
func (i item) digest() uint64 { return types.Mix64(uint64(i.source)<<32 | uint64(i.seq)) }

// plain is an operator without work of its own.
type plain struct{ operator.Control }

func (plain) Open(context.Context, operator.Restored) error { return nil }
func (plain) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	return operator.State{}, nil
}
func (plain) CheckpointComplete(uint64) error { return nil }
func (plain) Close() error                    { return nil }

// dropping is the control behind the last operator.
type dropping struct{}

func (dropping) Watermark(eventtime.Timestamp) {}
func (dropping) Status(bool)                   {}
func (dropping) EndOfData()                    {}

func linkOf(next any) *operator.Link[item] {
	if next == nil {
		return &operator.Link[item]{Record: func(item, eventtime.Timestamp) {}, Control: dropping{}}
	}
	return next.(*operator.Link[item])
}

// factory makes operators by a function.
type factory func(env *operator.Env, next *operator.Link[item]) (operator.Built, error)

func (f factory) New(env *operator.Env, _ []byte, next any) (operator.Built, error) {
	return f(env, linkOf(next))
}

// shape makes outputs that partition by key, in small batches.
type shape struct{ rows int }

func (s shape) NewOutput(
	_ *operator.Env, _ *protocol.Edge, channels operator.Channels,
) (any, operator.Output, error) {
	o := &output{
		rows: s.rows, channels: channels, pool: record.NewRowsPool[item](s.rows),
		pending: make([]*record.Batch, channels.Len()),
	}
	return &operator.Link[item]{Record: o.record}, o, nil
}

type output struct {
	rows     int
	channels operator.Channels
	pool     *record.RowsPool[item]
	pending  []*record.Batch
}

func (o *output) record(v item, ts eventtime.Timestamp) {
	to := types.SubtaskOf(types.Mix64(v.key), len(o.pending))
	b := o.pending[to]
	if b == nil {
		b = o.pool.Get()
		o.pending[to] = b
	}
	rows := b.Payload.(*record.Rows[item])
	rows.Items = append(rows.Items, v)
	b.Timestamps = append(b.Timestamps, ts)
	if b.Len++; b.Len == o.rows {
		o.send(to)
	}
}

func (o *output) send(to int) {
	b := o.pending[to]
	o.pending[to] = nil
	o.channels.Send(to, b)
}

func (o *output) Flush() {
	for to, b := range o.pending {
		if b != nil {
			o.send(to)
		}
	}
}

// source emits items seq 0 to limit-1 in polls of random size, pausing now and then.
type source struct {
	plain
	env    *operator.Env
	out    *operator.Link[item]
	random *rand.Rand
	limit  int
	keys   uint64
	next   int
	ready  chan struct{}
}

func sourceOf(limit int, keys, seed uint64) factory {
	return func(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
		return operator.Built{Operator: &source{
			plain: plain{next.Control}, env: env, out: next, limit: limit, keys: keys,
			random: rand.New(rand.NewPCG(seed, uint64(env.Subtask))),
			ready:  make(chan struct{}, 1),
		}}, nil
	}
}

// itemOf is the n-th item of a source.
func itemOf(source, seq int, keys uint64) item {
	return item{source: source, seq: seq, key: types.Mix64(uint64(source+7*seq)) % keys}
}

func (s *source) Open(_ context.Context, restored operator.Restored) error {
	for _, list := range restored.List {
		s.next = int(binary.LittleEndian.Uint64(list.Elements[0]))
	}
	return nil
}

func (s *source) Poll(context.Context) (operator.PollStatus, error) {
	if s.next == s.limit {
		return operator.PollEnd, nil
	}
	if s.random.IntN(4) == 0 {
		select {
		case s.ready <- struct{}{}:
		default:
		}
		return operator.PollWait, nil
	}
	for range min(s.limit-s.next, 1+s.random.IntN(40)) {
		s.out.Record(itemOf(s.env.Subtask, s.next, s.keys), eventtime.Timestamp(s.next))
		s.next++
	}
	s.out.Control.Watermark(eventtime.Timestamp(s.next - 1))
	return operator.PollMore, nil
}

func (s *source) Ready() <-chan struct{}            { return s.ready }
func (s *source) AddSplits([]connector.Split) error { return nil }
func (s *source) NoMoreSplits() error               { return nil }

func (s *source) Snapshot(context.Context, record.Barrier) (operator.State, error) {
	position := binary.LittleEndian.AppendUint64(nil, uint64(s.next))
	return operator.State{List: []*protocol.NamedState{{
		Name: "position", Elements: [][]byte{position},
	}}}, nil
}

// tally is a keyed head: per key the number of items and the sum of their digests. It passes
// every item on.
type tally struct {
	plain
	out   *operator.Link[item]
	keyed backend.Backend
	table backend.TableID
}

var tallyLayout = backend.RowLayout{KeyWords: 1, FixedBytes: 16}

func newTally(env *operator.Env, next *operator.Link[item]) (operator.Built, error) {
	table, err := env.Keyed.Declare(tallyLayout)
	return operator.Built{Operator: &tally{
		plain: plain{next.Control}, out: next, keyed: env.Keyed, table: table,
	}}, err
}

func (c *tally) Process(b *record.Batch) error {
	table, err := c.keyed.Table(c.table, backend.NoPane)
	if err != nil {
		return err
	}
	items := b.Payload.(*record.Rows[item]).Items
	for i, v := range items[:b.Len] {
		keys := backend.Keys{Hashes: []uint64{types.Mix64(v.key)}, Words: []uint64{v.key}}
		var rows [1]backend.Row
		if _, err := table.Resolve(keys, backend.Insert, rows[:], nil); err != nil {
			return err
		}
		fixed := (*[2]uint64)(unsafe.Pointer(table.Fixed(rows[0])))
		fixed[0]++
		fixed[1] += v.digest()
		c.out.Record(v, b.Timestamps[i])
	}
	return nil
}

// sink prepares what it got since the last barrier as one committable: count and sum of
// digests. Version is the checkpoint.
type sink struct {
	plain
	count, digest uint64
}

func newSink(_ *operator.Env, _ *operator.Link[item]) (operator.Built, error) {
	return operator.Built{Operator: &sink{plain: plain{dropping{}}}}, nil
}

func (s *sink) Process(b *record.Batch) error {
	for _, v := range b.Payload.(*record.Rows[item]).Items[:b.Len] {
		s.count++
		s.digest += v.digest()
	}
	return nil
}

func (s *sink) Snapshot(_ context.Context, b record.Barrier) (operator.State, error) {
	content := binary.LittleEndian.AppendUint64(nil, s.count)
	content = binary.LittleEndian.AppendUint64(content, s.digest)
	s.count, s.digest = 0, 0
	return operator.State{Committables: []*protocol.Committable{
		{Version: uint32(b.Checkpoint), Data: content},
	}}, nil
}

// store keeps data files in memory. before is called at every upload.
type store struct {
	before func(ctx context.Context, checkpoint uint64) error
	mu     struct {
		sync.Mutex
		files map[string][]byte
	}
}

func newStore() *store {
	s := &store{before: func(context.Context, uint64) error { return nil }}
	s.mu.files = map[string][]byte{}
	return s
}

func (s *store) Upload(
	ctx context.Context, checkpoint uint64, id *protocol.TaskID, write func(io.Writer) error,
) (string, int64, error) {
	if err := s.before(ctx, checkpoint); err != nil {
		return "", 0, err
	}
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return "", 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := fmt.Sprintf("%d-%d-%d-%d", checkpoint, id.Vertex, id.Subtask, len(s.mu.files))
	s.mu.files[path] = out.Bytes()
	return path, int64(out.Len()), nil
}

func (s *store) Open(_ context.Context, path string) (filesystem.ReadAtCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &file{bytes.NewReader(s.mu.files[path])}, nil
}

type file struct{ *bytes.Reader }

func (*file) Close() error { return nil }

// place is a task id as a map key.
type place struct{ vertex, subtask uint32 }

func placeOf(id *protocol.TaskID) place { return place{id.Vertex, id.Subtask} }

// listener keeps what tasks say and lets a test wait for it.
type listener struct {
	mu struct {
		sync.Mutex
		states   map[place][]protocol.TaskState
		errs     map[place]error
		ended    map[place]bool
		acks     map[uint64]map[place]*protocol.AckCheckpoint
		declines map[uint64]error
		reports  map[place]*protocol.TaskReport
		requests []string
		changed  chan struct{}
	}
}

func newListener() *listener {
	l := &listener{}
	l.mu.states = map[place][]protocol.TaskState{}
	l.mu.errs = map[place]error{}
	l.mu.ended = map[place]bool{}
	l.mu.acks = map[uint64]map[place]*protocol.AckCheckpoint{}
	l.mu.declines = map[uint64]error{}
	l.mu.reports = map[place]*protocol.TaskReport{}
	l.mu.changed = make(chan struct{})
	return l
}

// change runs f under the lock and wakes all who wait.
func (l *listener) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

// await returns once cond, called under the lock, holds.
func (l *listener) await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for {
		l.mu.Lock()
		ok, changed := cond(), l.mu.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("%s did not happen", what)
		}
	}
}

func (l *listener) State(id *protocol.TaskID, s protocol.TaskState, err error) {
	l.change(func() {
		l.mu.states[placeOf(id)] = append(l.mu.states[placeOf(id)], s)
		l.mu.errs[placeOf(id)] = err
	})
}

func (l *listener) EndOfData(id *protocol.TaskID) {
	l.change(func() { l.mu.ended[placeOf(id)] = true })
}

func (l *listener) Acknowledge(ack *protocol.AckCheckpoint) {
	l.change(func() {
		if l.mu.acks[ack.CheckpointId] == nil {
			l.mu.acks[ack.CheckpointId] = map[place]*protocol.AckCheckpoint{}
		}
		l.mu.acks[ack.CheckpointId][placeOf(ack.Task)] = ack
	})
}

func (l *listener) Decline(_ *protocol.TaskID, checkpoint uint64, err error) {
	l.change(func() { l.mu.declines[checkpoint] = err })
}

func (l *listener) RequestSplit(_ *protocol.TaskID, uid string) {
	l.change(func() { l.mu.requests = append(l.mu.requests, uid) })
}

func (l *listener) Report(r *protocol.TaskReport) {
	l.change(func() { l.mu.reports[placeOf(r.Task)] = r })
}

// state returns the last state of a task and its error.
func (l *listener) state(id place) (protocol.TaskState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.mu.states[id]
	if len(s) == 0 {
		return protocol.TaskState_TASK_STATE_UNSPECIFIED, nil
	}
	return s[len(s)-1], l.mu.errs[id]
}

// fixture is what tasks of one test share.
type fixture struct {
	registry *operator.Registry
	exchange *exchange.Local
	listener *listener
	store    *store
	clock    clock.Clock
	backend  backend.Factory
}

func newFixture(t testing.TB, seed uint64) *fixture {
	t.Helper()
	f := &fixture{
		registry: operator.NewRegistry(), exchange: exchange.NewSeeded(seed),
		listener: newListener(), store: newStore(), clock: clock.Real(),
		backend: naive.Factory{},
	}
	if err := f.registry.RegisterOutput("items", shape{rows: 16}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) register(t testing.TB, kind string, made operator.Factory) {
	t.Helper()
	if err := f.registry.Register(kind, made); err != nil {
		t.Fatal(err)
	}
}

// task makes a task of a deployment.
func (f *fixture) task(t testing.TB, d *protocol.DeployTask) *task.Task {
	t.Helper()
	made, err := task.New(task.Config{
		Deploy: d, Registry: f.registry, Backend: f.backend, Exchange: f.exchange,
		Clock: f.clock, Store: f.store, Listener: f.listener,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func operatorOf(kind string, keyed bool) *protocol.Operator {
	o := &protocol.Operator{Uid: kind, Name: kind, Kind: kind}
	if keyed {
		o.Stateful = true
		o.Descriptors = []*protocol.StateDescriptor{{Name: "tally", Kind: "value", HashId: 1}}
	}
	return o
}
