package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/types"
)

// tick is the record of the scripted source: the n-th row of a split, with a text.
type tick struct {
	Split string
	N     int64
	At    eventtime.Timestamp
}

// scripted is a source whose splits are the numbers from a position to a length, and whose
// reader does what a script says.
type scripted struct {
	schema *types.Schema
	script []scriptedPoll
	open   error
	reader *scriptedReader // the last one made
}

// scriptedPoll is one answer of a reader: rows of a split from where it stands.
type scriptedPoll struct {
	split  int
	rows   int // -1: as many as fit
	ended  bool
	status connector.PollStatus
	err    error
}

// scriptedSplit is what a split's bytes say.
type scriptedSplit struct{ Position int64 }

func (s *scripted) Schema() *types.Schema { return s.schema }
func (s *scripted) Bounded() bool         { return true }

func (s *scripted) NewEnumerator(
	context.Context, *connector.Env, []byte,
) (connector.Enumerator, error) {
	return nil, errUser
}

func (s *scripted) NewReader(_ context.Context, env *connector.Env) (connector.Reader, error) {
	if s.open != nil {
		return nil, s.open
	}
	env.Count("readers", 1)
	codec, err := batch.CodecOf[tick]()
	s.reader = &scriptedReader{source: s, codec: codec, ready: make(chan struct{}, 1)}
	return s.reader, err
}

type scriptedReader struct {
	source *scripted
	codec  *batch.StructCodec[tick]
	splits []connector.Split
	at     []int64 // positions, -1 when ended
	ready  chan struct{}
	closed int
}

func (r *scriptedReader) AddSplit(split connector.Split) error {
	var s scriptedSplit
	if err := json.Unmarshal(split.Data, &s); err != nil {
		return err
	}
	r.splits, r.at = append(r.splits, split), append(r.at, s.Position)
	return nil
}

func (r *scriptedReader) Poll(_ context.Context, out *batch.Columns) (connector.Polled, error) {
	if len(r.source.script) == 0 {
		return connector.Polled{Status: connector.Wait}, nil
	}
	do := r.source.script[0]
	r.source.script = r.source.script[1:]
	if do.err != nil {
		return connector.Polled{}, do.err
	}
	rows := do.rows
	if rows < 0 || rows > out.Capacity() {
		rows = out.Capacity()
	}
	var ticks []tick
	for range rows {
		n := r.at[do.split]
		ticks = append(ticks, tick{
			Split: r.splits[do.split].ID, N: n, At: eventtime.Timestamp(n * 10),
		})
		r.at[do.split]++
	}
	r.codec.Write(ticks, out, 0)
	if do.ended {
		r.at[do.split] = -1
	}
	return connector.Polled{Status: do.status, Split: do.split, Ended: do.ended}, nil
}

func (r *scriptedReader) Ready() <-chan struct{} { return r.ready }

func (r *scriptedReader) Snapshot() ([]connector.Split, error) {
	var out []connector.Split
	for i, at := range r.at {
		if at < 0 {
			continue
		}
		s := splitAt(r.splits[i].ID, at)
		out = append(out, s)
	}
	return out, nil
}

func (r *scriptedReader) Close() error {
	r.closed++
	return nil
}

func splitAt(id string, position int64) connector.Split {
	data, err := json.Marshal(scriptedSplit{position})
	if err != nil {
		panic(err)
	}
	return connector.Split{ID: id, Version: 3, Data: data}
}

// sourceRun is a source operator on a script.
type sourceRun struct {
	operator.SourceHead
	t        *testing.T
	source   *scripted
	env      *operator.Env
	out      *tape[tick]
	requests int
}

func newSource(
	t *testing.T, restored operator.Restored, script []scriptedPoll,
	options ...SourceOption[tick],
) *sourceRun {
	t.Helper()
	run := &sourceRun{t: t, env: envOf(0, 1), out: &tape[tick]{}}
	run.source = &scripted{schema: SchemaOf[tick](), script: script}
	run.env.RequestSplit = func() { run.requests++ }
	e := NewEnv("test")
	f := From(e, "ticks", run.source, options...).at.factory
	for _, err := range e.faults {
		t.Fatal(err)
	}
	run.SourceHead = opened[operator.SourceHead](t, f, run.env, run.out.link(), restored)
	return run
}

// poll polls and checks the answer.
func (r *sourceRun) poll(want ...operator.PollStatus) {
	r.t.Helper()
	for i, w := range want {
		status, err := r.Poll(r.t.Context())
		must(r.t, err)
		if status != w {
			r.t.Fatalf("poll %d: status %d, want %d", i, status, w)
		}
	}
}

// counts returns the number of records by split, checking that each split's come in order
// without a gap from its first.
func (r *sourceRun) counts() map[string]int {
	r.t.Helper()
	out, next := map[string]int{}, map[string]int64{}
	for _, record := range r.out.records {
		v := record.Value
		if n, ok := next[v.Split]; ok && n != v.N {
			r.t.Fatalf("split %q: record %d, want %d", v.Split, v.N, n)
		}
		next[v.Split] = v.N + 1
		out[v.Split]++
	}
	return out
}

const (
	more = operator.PollMore
	wait = operator.PollWait
	end  = operator.PollEnd
)

func withTime() SourceOption[tick] {
	return WithEventTime(func(v tick) eventtime.Timestamp { return v.At },
		eventtime.MonotonousTimestamps())
}

// Goal: splits are asked for one at a time, read to their end, and the source ends when there
// are no more; the watermark is that of the slowest split being read. Method: a script of two
// splits read in turns, one of them empty at its end.
func TestSource(t *testing.T) {
	r := newSource(t, operator.Restored{}, []scriptedPoll{
		{split: 0, rows: 3}, {split: 1, rows: 2}, {status: connector.Wait},
		{split: 0, rows: 1}, {split: 1, ended: true}, {split: 0, rows: 2, ended: true},
		{split: 2, rows: -1, ended: true, status: connector.NeedSplit},
	}, withTime())
	r.poll(wait, wait)
	same(t, 1, r.requests)
	must(t, r.AddSplits([]connector.Split{splitAt("a", 0), splitAt("b", 100)}))
	r.poll(more, more, wait)
	same(t, []string{"5 watermark 19"}, r.out.controls)
	r.poll(more)
	same(t, []string{"5 watermark 19", "6 watermark 29"}, r.out.controls)
	r.poll(more, more, wait, wait)
	same(t, 2, r.requests)
	same(t, map[string]int{"a": 6, "b": 2}, r.counts())
	must(t, r.AddSplits([]connector.Split{splitAt("c", 50)}))
	r.poll(more)
	must(t, r.NoMoreSplits())
	r.poll(end, end)
	same(t, 2, r.requests)
	same(t, map[string]int{"a": 6, "b": 2, "c": 1024}, r.counts())
	same(t, stamped[tick]{tick{"a", 0, 0}, 0}, r.out.records[0])
	// The last rows of a split count too: of many small files every one moves time on.
	same(t, []string{"5 watermark 19", "6 watermark 29", "8 watermark 49",
		"1032 watermark 10729"}, r.out.controls)
	same(t, uint64(1), r.env.Counters.Counter("readers").Load())
}

// Goal: the end of a split without rows lets the watermark of the others through at once.
// Method: end the slower of two.
func TestSourceWatermarkAfterEnd(t *testing.T) {
	r := newSource(t, operator.Restored{}, []scriptedPoll{
		{split: 0, rows: 5}, {split: 1, rows: 1}, {split: 1, ended: true},
	}, withTime())
	must(t, r.AddSplits([]connector.Split{splitAt("a", 10), splitAt("b", 0)}))
	r.poll(more, more)
	same(t, []string{"6 watermark -1"}, r.out.controls)
	r.poll(more)
	same(t, []string{"6 watermark -1", "6 watermark 139"}, r.out.controls)
}

// Goal: a reader that says it needs splits has none left, even if it did not tell the end of
// each. Method: NeedSplit without rows and without Ended.
func TestSourceNeedSplit(t *testing.T) {
	r := newSource(t, operator.Restored{}, []scriptedPoll{
		{split: 0, rows: 1}, {status: connector.NeedSplit},
	})
	must(t, r.AddSplits([]connector.Split{splitAt("a", 0), splitAt("b", 0)}))
	must(t, r.NoMoreSplits())
	r.poll(more, more, end)
}

// Goal: a snapshot holds the position of every unfinished split behind exactly the records
// emitted before it, with what its watermark needs; restored, the source goes on there and at
// once has the watermark of its splits. Method: snapshot in the middle, with a split ended
// between two others and a rate that holds rows back.
func TestSourceSnapshot(t *testing.T) {
	for _, rate := range []int{0, 100} {
		t.Run(fmt.Sprint("rate ", rate), func(t *testing.T) {
			options := []SourceOption[tick]{withTime(), WithRate[tick](rate)}
			r := newSource(t, operator.Restored{}, []scriptedPoll{
				{split: 1, rows: 1, ended: true}, {split: 0, rows: 3}, {split: 2, rows: -1},
			}, options...)
			must(t, r.AddSplits([]connector.Split{
				splitAt("a", 7), splitAt("b", 0), splitAt("c", 5)}))
			for status := more; status == more; {
				var err error
				status, err = r.Poll(t.Context())
				must(t, err)
				r.env.Clock.(*clock.Manual).Advance(11 * time.Millisecond)
			}
			list := snapshotOf(t, r)
			counts := r.counts()
			same(t, 3, counts["a"])
			want := operator.Restored{Checkpoint: 1, List: list}
			next := newSource(t, want, []scriptedPoll{{split: 0, rows: 1}, {split: 1, rows: 1}},
				withTime())
			same(t, []string{"0 watermark 89"}, next.out.controls)
			next.poll(more, more)
			c := 5 + int64(counts["c"])
			same(t, []tick{{"a", 10, 100}, {"c", c, eventtime.Timestamp(10 * c)}},
				next.out.values())
			same(t, uint32(3), next.source.reader.splits[0].Version)
		})
	}
}

// Goal: a rate holds records back without reading far ahead, wakes by its own channel, and
// leaves the reader's channel alone when it is the reader that waits. Method: a manual clock.
func TestSourceRate(t *testing.T) {
	r := newSource(t, operator.Restored{}, []scriptedPoll{
		{split: 0, rows: -1}, {status: connector.Wait}, {split: 0, rows: 1},
	}, WithRate[tick](100))
	must(t, r.AddSplits([]connector.Split{splitAt("a", 0)}))
	c := r.env.Clock.(*clock.Manual)
	r.poll(more)
	for n := 1; n < 10; n++ {
		r.poll(wait)
		same(t, n, len(r.out.records))
		c.AwaitTimers(1)
		c.Advance(10 * time.Millisecond)
		<-r.Ready()
		r.poll(more)
	}
	same(t, 10, len(r.out.records)) // as many as it takes at a time
	r.poll(wait)
	if r.Ready() != (<-chan struct{})(r.source.reader.ready) {
		t.Error("the reader waits, and the source does not hear it")
	}
	c.Advance(time.Second)
	r.poll(more)
	same(t, 11, len(r.out.records))
}

// Goal: faults name the source and keep their domain. Method: a table of broken readers and
// checkpoints.
func TestSourceFaults(t *testing.T) {
	r := newSource(t, operator.Restored{}, []scriptedPoll{{err: fault.User(errUser)}})
	must(t, r.AddSplits([]connector.Split{splitAt("a", 0)}))
	if _, err := r.Poll(t.Context()); !errors.Is(err, errUser) {
		t.Errorf("error %v", err)
	}
	if err := r.AddSplits([]connector.Split{{ID: "x"}}); err == nil {
		t.Error("a split without bytes is taken")
	}
	must(t, r.source.reader.AddSplit(splitAt("behind our back", 0)))
	if _, err := r.Snapshot(t.Context(), recordBarrier); fault.DomainOf(err) !=
		fault.DomainInternal || !strings.Contains(err.Error(), `snapshot source "uid": `+
		`its reader has 2 unfinished splits, want 1`) {
		t.Errorf("error %v", err)
	}
	for _, element := range []string{"", "1234567", "12345678\xff"} {
		f := sourceFactory[tick]{source: r.source, codec: r.source.reader.codec}
		built, err := f.New(envOf(0, 1), nil, nil)
		must(t, err)
		err = built.Operator.Open(t.Context(), positions(element))
		if fault.DomainOf(err) != fault.DomainInternal || err == nil {
			t.Errorf("position %q: error %v", element, err)
		}
		must(t, built.Operator.Close())
		same(t, 1, r.source.reader.closed)
	}
}

// Goal: a source that cannot be opened can be closed. Method: a reader that is refused.
func TestSourceCloseAfterFailedOpen(t *testing.T) {
	codec, err := batch.CodecOf[tick]()
	must(t, err)
	f := sourceFactory[tick]{source: &scripted{open: errUser}, codec: codec}
	built, err := f.New(envOf(0, 1), nil, nil)
	must(t, err)
	if err := built.Operator.Open(t.Context(), operator.Restored{}); err != errUser {
		t.Errorf("error %v", err)
	}
	must(t, built.Operator.Close())
	if _, err := f.NewEnumerator(t.Context(), nil, nil); err != errUser {
		t.Errorf("enumerator: %v", err)
	}
}
