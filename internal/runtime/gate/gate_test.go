package gate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/gate"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// never is the done of a sender that is not cancelled.
var never = make(chan struct{})

// silent is a sender's Waiting nobody looks at.
type silent struct{}

func (silent) Blocked(bool) {}

// announced tells when a sender begins to wait.
type announced struct{ began chan struct{} }

func (a announced) Blocked(blocked bool) {
	if blocked {
		a.began <- struct{}{}
	}
}

func newGate(t testing.TB, links int, o gate.Options) (*gate.Gate, []*gate.Sender) {
	t.Helper()
	g := gate.New(o)
	keys := make([]gate.Key, links)
	senders := make([]*gate.Sender, links)
	for i := range keys {
		keys[i] = gate.Key{Edge: 1, Sender: i}
		s, err := g.Attach(keys[i])
		if err != nil {
			t.Fatal(err)
		}
		senders[i] = s
	}
	if err := g.Arrange(keys); err != nil {
		t.Fatal(err)
	}
	return g, senders
}

// mark is an element that cannot be mistaken for another.
func mark(id int) record.Element {
	return record.Element{Kind: record.KindBarrier, Barrier: record.Barrier{Checkpoint: uint64(id)}}
}

func put(s *gate.Sender, id int) bool { return s.Put(mark(id), never, silent{}) }

// polled drains a gate into text: link:id ...
func polled(g *gate.Gate) string {
	var out []string
	for {
		link, e, ok := g.Poll()
		if !ok {
			return strings.Join(out, " ")
		}
		out = append(out, fmt.Sprintf("%d:%d", link, e.Barrier.Checkpoint))
	}
}

// Goal: links take turns, a blocked one is left out and loses nothing, Unblock brings it back.
// Method: put known elements, compare the order they come out in.
func TestTurnsAndBlocking(t *testing.T) {
	g, s := newGate(t, 3, gate.Options{})
	for i := range 3 {
		put(s[0], i)
		put(s[1], 10+i)
	}
	put(s[2], 20)
	if diff := cmp.Diff("0:0 1:10 2:20 0:1 1:11 0:2 1:12", polled(g)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	for i := range 3 {
		put(s[i], i)
	}
	g.Block(1)
	put(s[1], 5)
	g.Block(0)
	if diff := cmp.Diff("2:2", polled(g)); diff != "" {
		t.Errorf("with links 0 and 1 blocked (-want +got):\n%s", diff)
	}
	g.Unblock()
	if diff := cmp.Diff("0:0 1:1 1:5", polled(g)); diff != "" {
		t.Errorf("after unblocking (-want +got):\n%s", diff)
	}
}

// Goal: a seed changes the order among links, never within one, and repeats. Method: poll the
// same content under several seeds.
func TestSeed(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(8) {
		var last string
		for range 2 {
			g, s := newGate(t, 4, gate.Options{Seed: seed + 1})
			for i := range s {
				put(s[i], 0)
				put(s[i], 1)
			}
			order := polled(g)
			if last != "" && order != last {
				t.Errorf("seed %d gives %q and %q", seed+1, last, order)
			}
			last = order
			for i := range s {
				first := strings.Index(order, fmt.Sprintf("%d:0", i))
				if second := strings.Index(order, fmt.Sprintf("%d:1", i)); second < first {
					t.Errorf("seed %d: link %d out of order in %q", seed+1, i, order)
				}
			}
		}
		orders[last] = true
	}
	if len(orders) < 4 {
		t.Errorf("8 seeds give only %d orders", len(orders))
	}
}

// Goal: of watermarks in a row only the newest is kept, and none passes another element.
// Method: far more watermarks than a ring holds, around one barrier.
func TestWatermarksInARow(t *testing.T) {
	g, s := newGate(t, 1, gate.Options{})
	for i := range 3 * gate.Depth {
		if i == gate.Depth {
			put(s[0], 99)
		}
		e := record.Element{Kind: record.KindWatermark, Watermark: eventtime.Timestamp(i)}
		s[0].Put(e, never, silent{})
	}
	var got []record.Element
	for _, e, ok := g.Poll(); ok; _, e, ok = g.Poll() {
		got = append(got, e)
	}
	want := []record.Element{
		{Kind: record.KindWatermark, Watermark: gate.Depth - 1},
		mark(99),
		{Kind: record.KindWatermark, Watermark: 3*gate.Depth - 1},
	}
	if !slices.Equal(want, got) {
		t.Errorf("polled %v, want %v", got, want)
	}
}

// Goal: senders may come before the receiver, and mistakes in wiring are named. Method: both
// orders, and each mistake once.
func TestArrange(t *testing.T) {
	g := gate.New(gate.Options{})
	key := gate.Key{Edge: 7, Sender: 1}
	s, err := g.Attach(key)
	if err != nil {
		t.Fatal(err)
	}
	put(s, 3)
	other := gate.Key{Edge: 7, Sender: 0}
	if err := g.Arrange([]gate.Key{other, key}); err != nil {
		t.Fatal(err)
	}
	if got := polled(g); got != "1:3" {
		t.Errorf("polled %q, want what was put before the receiver came", got)
	}
	if _, err := g.Attach(other); err != nil {
		t.Error(err)
	}
	if _, err := g.Attach(other); err == nil {
		t.Error("a second sender of one link must be refused")
	}
	if _, err := g.Attach(gate.Key{Edge: 8}); err == nil {
		t.Error("a sender of an unknown edge must be refused")
	}
	if err := g.Arrange(nil); err == nil {
		t.Error("a second receiver must be refused")
	}
	stray := gate.New(gate.Options{})
	if _, err := stray.Attach(key); err != nil {
		t.Fatal(err)
	}
	if err := stray.Arrange([]gate.Key{other}); err == nil {
		t.Error("a receiver without the link of a sender must be refused")
	}
}

// Goal: a sender waits on a full ring and goes on when half of it is free, is cancelled, or
// the gate closes, and then gives its batch back. Method: fill, wait for the sender to say
// that it waits, act, look at the outcome.
func TestFullRing(t *testing.T) {
	for name, act := range map[string]func(*gate.Gate, chan struct{}){
		"room": func(g *gate.Gate, _ chan struct{}) {
			for range gate.Depth / 2 {
				g.Poll()
			}
		},
		"cancel": func(_ *gate.Gate, done chan struct{}) { close(done) },
		"close":  func(g *gate.Gate, _ chan struct{}) { g.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			g, s := newGate(t, 1, gate.Options{})
			for i := range gate.Depth {
				put(s[0], i)
			}
			var owner returned
			waits := announced{make(chan struct{}, 1)}
			done := make(chan struct{})
			e := record.Element{Kind: record.KindBatch, Batch: record.NewBatch(&owner)}
			var added bool
			group := lifecycle.NewGroup(t.Context(), "test")
			group.Go("sender", func(context.Context) error {
				added = s[0].Put(e, done, waits)
				return nil
			})
			<-waits.began
			act(g, done)
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			if want := name == "room"; added != want {
				t.Errorf("added = %v, want %v", added, want)
			}
			if want := name != "room"; owner.back != want {
				t.Errorf("batch given back: %v, want %v", owner.back, want)
			}
			g.Close()
			if !owner.back {
				t.Error("the batch was not given back when the gate closed")
			}
			if put(s[0], 1) {
				t.Error("a closed gate took an element")
			}
		})
	}
}

type returned struct{ back bool }

func (r *returned) Recycle(*record.Batch) { r.back = true }

// Goal: nothing is lost, doubled or reordered between concurrent senders and a receiver that
// blocks links now and then, and no wake-up is missed. Method: numbered elements.
func TestConcurrent(t *testing.T) {
	const links, each = 5, 3000
	g, s := newGate(t, links, gate.Options{})
	group := lifecycle.NewGroup(t.Context(), "test")
	for i := range s {
		group.Go("sender", func(context.Context) error {
			for n := range each {
				put(s[i], n)
			}
			return nil
		})
	}
	next := make([]int, links)
	for total := 0; total < links*each; {
		link, e, ok := g.Poll()
		if !ok {
			g.Unblock()
			if link, e, ok = g.Poll(); !ok {
				<-g.Wake()
				continue
			}
		}
		if got := int(e.Barrier.Checkpoint); got != next[link] {
			t.Fatalf("link %d gives %d, want %d", link, got, next[link])
		}
		next[link]++
		total++
		if total%7 == 0 {
			g.Block(link)
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if slices.Min(next) != each {
		t.Errorf("received %v", next)
	}
}

// Goal: a batch crosses the gate without an allocation. Method: count.
func TestNoAllocation(t *testing.T) {
	g, s := newGate(t, 2, gate.Options{})
	if allocs := testing.AllocsPerRun(1000, func() {
		put(s[0], 1)
		put(s[1], 2)
		g.Poll()
		g.Poll()
	}); allocs != 0 {
		t.Errorf("%v allocations per two elements, want 0", allocs)
	}
}

// BenchmarkPoll measures what one element costs at the receiver and sender together, without
// a change of goroutines, by number of links.
func BenchmarkPoll(b *testing.B) {
	for _, links := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("links=%d", links), func(b *testing.B) {
			g, s := newGate(b, links, gate.Options{})
			for i := range s {
				put(s[i], 0)
			}
			b.ReportAllocs()
			for b.Loop() {
				link, e, _ := g.Poll()
				s[link].Put(e, never, silent{})
			}
		})
	}
}
