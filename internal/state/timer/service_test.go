package timer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// layouts are all forms of keys and namespaces.
func layouts() []backend.TimerLayout {
	var out []backend.TimerLayout
	for words := range 3 {
		for namespace := range 3 {
			out = append(out, backend.TimerLayout{KeyWords: words, NamespaceWords: namespace})
		}
	}
	return out
}

func layoutName(l backend.TimerLayout) string {
	return fmt.Sprintf("key=%d,namespace=%d", l.KeyWords, l.NamespaceWords)
}

// pair is a service and the naive one, which is the oracle, with the versions that a backend
// would keep.
type pair struct {
	t        *testing.T
	r        *rand.Rand
	layout   backend.TimerLayout
	versions version.Versions
	service  *Service
	naive    backend.Backend
	oracle   backend.Timers
	keys     int
	now      int64
	last     []backend.Timer // registered lately
}

func newPair(t *testing.T, layout backend.TimerLayout, seed uint64, keys int) *pair {
	t.Helper()
	p := &pair{t: t, r: rand.New(rand.NewPCG(seed, 0)), layout: layout, keys: keys,
		versions: version.Versions{Current: 1}, now: 1_700_000_000_000}
	p.fresh()
	return p
}

// fresh makes an empty service, sometimes one that remembers what was registered, and an
// empty oracle.
func (p *pair) fresh() {
	p.t.Helper()
	p.service = New(p.layout, &p.versions)
	if p.layout.KeyWords > 0 && p.r.IntN(2) == 0 {
		p.service.remembers()
	}
	var err error
	p.naive, err = naive.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	must(p.t, err)
	id, err := p.naive.DeclareTimers(p.layout)
	must(p.t, err)
	p.oracle, err = p.naive.Timers(id)
	must(p.t, err)
}

// timer makes up a timer, often one made up before, with noise where nothing counts.
func (p *pair) timer() backend.Timer {
	t := p.madeUp()
	t.Hash ^= uint64(p.r.IntN(2))
	if p.layout.KeyWords < 2 {
		t.Words[1] = uint64(p.r.IntN(2))
	}
	if p.layout.NamespaceWords < 2 {
		t.Namespace[1] = uint64(p.r.IntN(2))
	}
	return t
}

func (p *pair) madeUp() backend.Timer {
	if len(p.last) > 0 && p.r.IntN(3) == 0 {
		return p.last[p.r.IntN(len(p.last))]
	}
	t := backend.Timer{Timestamp: p.timestamp()}
	key := uint64(p.r.IntN(p.keys))
	t.Hash = types.Mix64(key)
	switch p.layout.KeyWords {
	case 0:
		t.Bytes = append(bytes.Repeat([]byte("k"), int(key%13)),
			binary.AppendUvarint(nil, key*key)...)
		if key%199 == 198 {
			t.Bytes = append(t.Bytes, make([]byte, 70_000)...)
		}
	case 1:
		t.Words[0] = key << (5 * (key & 7))
		t.Hash = types.Mix64(t.Words[0])
	default:
		t.Words = [2]uint64{key % 3, key}
	}
	if t.Hash%5 == 0 {
		t.Hash = 7 << 32 // one hash for many keys
	}
	for i := range p.layout.NamespaceWords {
		t.Namespace[i] = uint64(p.r.IntN(2) << (60 * i))
	}
	if p.last = append(p.last, t); len(p.last) > 300 {
		p.last = p.last[200:]
	}
	return t
}

func (p *pair) timestamp() int64 {
	switch p.r.IntN(12) {
	case 0:
		return p.now - p.r.Int64N(1000)
	case 1:
		return p.now + p.r.Int64N(1<<p.r.IntN(60))
	case 2:
		return []int64{math.MinInt64, math.MaxInt64, 0, -1, math.MaxInt64 - 1,
			math.MinInt64 + 1}[p.r.IntN(6)]
	case 3, 4, 5:
		return (p.now/1000 + p.r.Int64N(5)) * 1000
	case 6, 7:
		return p.now + p.r.Int64N(60_000)
	}
	return p.now + p.r.Int64N(300)
}

// step does one random thing to both and compares what they say.
func (p *pair) step() {
	p.t.Helper()
	switch p.r.IntN(20) {
	case 0, 1, 2:
		t := p.timer()
		p.service.Delete(&t)
		p.oracle.Delete(&t)
	case 3:
		p.now += p.r.Int64N(1 << p.r.IntN(14))
		for p.take(p.now, 1+p.r.IntN(20)) && p.r.IntN(30) > 0 {
			if p.r.IntN(4) == 0 {
				p.register()
			}
		}
	default:
		p.register()
	}
	if p.r.IntN(10) == 0 {
		p.checkEarliest()
	}
}

func (p *pair) register() {
	p.t.Helper()
	t := p.timer()
	must(p.t, p.service.Register(&t))
	must(p.t, p.oracle.Register(&t))
}

// take takes from both.
func (p *pair) take(until int64, limit int) bool {
	p.t.Helper()
	var got, want backend.Due
	any := p.service.Take(until, limit, &got)
	if wanted := p.oracle.Take(until, limit, &want); any != wanted {
		p.t.Fatalf("take until %d: %v, want %v", until, any, wanted)
	}
	if !any {
		return false
	}
	sameDue(p.t, want, got)
	return true
}

func sameDue(t *testing.T, want, got backend.Due) {
	t.Helper()
	if want.Timestamp != got.Timestamp || !slices.Equal(want.Hashes, got.Hashes) ||
		!slices.Equal(want.Words, got.Words) ||
		!slices.Equal(want.Namespaces, got.Namespaces) ||
		!slices.EqualFunc(want.Bytes, got.Bytes, bytes.Equal) {
		t.Fatal(gocmp.Diff(want, got))
	}
}

func (p *pair) checkEarliest() {
	p.t.Helper()
	got, ok := p.service.Earliest()
	want, any := p.oracle.Earliest()
	if any && (!ok || got > want) {
		p.t.Fatalf("earliest %d, %v, but there is one at %d", got, ok, want)
	}
	if !any && ok && p.service.Len() < mostExact {
		p.t.Fatalf("earliest %d, and there is none", got)
	}
	if p.service.Len() < p.oracle.Len() {
		p.t.Fatalf("%d timers at most, want %d", p.service.Len(), p.oracle.Len())
	}
}

// drain takes everything and checks that nothing is left.
func (p *pair) drain() {
	p.t.Helper()
	for p.take(math.MaxInt64, 500) {
	}
	if n := p.service.Len(); n != 0 {
		p.t.Fatalf("%d timers are left", n)
	}
	if _, ok := p.service.Earliest(); ok {
		p.t.Fatal("there is an earliest timer of none")
	}
}

// Goal: a service fires what was registered and not deleted, once, in order, whatever the
// timestamps. Method: random operations on it and on the naive one, for all layouts.
func TestServiceAgainstNaive(t *testing.T) {
	for _, layout := range layouts() {
		t.Run(layoutName(layout), func(t *testing.T) {
			for seed := range uint64(4) {
				t.Logf("seed %d", seed)
				p := newPair(t, layout, seed, 20<<(4*seed))
				for range 8000 {
					p.step()
				}
				p.drain()
			}
		})
	}
}

// entryMap is the content of runs: hashes by entry key.
type entryMap map[string]uint32

// held returns what the oracle holds.
func (p *pair) held() entryMap {
	p.t.Helper()
	s, err := p.naive.Begin(1, true)
	must(p.t, err)
	defer s.Release()
	out := entryMap{}
	entries := s.Parts()[0].Entries()
	for e, ok := entries.Next(); ok; e, ok = entries.Next() {
		out[string(e.Key)] = e.Hash
	}
	return out
}

// apply applies entries to a copy of content, and checks their order and number.
func apply(
	base entryMap, full bool, most int, entries backend.Entries,
) (entryMap, error) {
	out := maps.Clone(base)
	var lastHash uint32
	lastKey, n := "", 0
	for e, ok := entries.Next(); ok; e, ok = entries.Next() {
		if n > 0 &&
			cmp.Or(cmp.Compare(lastHash, e.Hash), cmp.Compare(lastKey, string(e.Key))) >= 0 {
			return nil, fmt.Errorf("entry %x %x after %x %x", e.Hash, e.Key, lastHash, lastKey)
		}
		lastHash, lastKey = e.Hash, string(e.Key)
		if n++; e.Deleted {
			if full {
				return nil, fmt.Errorf("a full part deletes %x", e.Key)
			}
			delete(out, lastKey)
		} else {
			out[lastKey] = e.Hash
		}
	}
	if n > most {
		return nil, fmt.Errorf("%d entries, at most %d were announced", n, most)
	}
	return out, entries.Err()
}

// chain is the snapshots of a pair.
type chain struct {
	*pair
	complete map[uint16]entryMap // by version
	pending  []uint16            // complete and not confirmed
}

func newChain(p *pair) *chain {
	return &chain{pair: p, complete: map[uint16]entryMap{0: {}}}
}

// snapshot takes one, with random operations between its steps, and may abort it.
func (c *chain) snapshot() {
	c.t.Helper()
	v := &c.versions
	if v.Current >= version.Last {
		c.renumber()
	}
	full := c.r.IntN(6) == 0
	v.Copying, v.Image, v.Base = true, v.Current, v.Confirmed
	v.Current++
	c.service.Begin(full)
	want, image := c.held(), v.Image
	base, budget := c.complete[v.Base], 1+c.r.IntN(1<<c.r.IntN(16))
	for {
		_, done, err := c.service.Step(budget)
		must(c.t, err)
		if done {
			break
		}
		if c.r.IntN(200) == 0 {
			c.end() // Aborted half way.
			return
		}
		for range c.r.IntN(8) {
			c.step()
		}
		if c.r.IntN(20) == 0 {
			c.confirm()
		}
	}
	rows, _, entries := c.service.Result()
	if full {
		base = entryMap{}
	}
	// Written by another goroutine while the task goes on.
	var got entryMap
	group := lifecycle.NewGroup(c.t.Context(), "test")
	group.Go("write", func(context.Context) (err error) {
		got, err = apply(base, full, rows, entries())
		return err
	})
	for range c.r.IntN(60) {
		c.step()
	}
	must(c.t, group.Wait())
	if !maps.Equal(want, got) {
		diff := gocmp.Diff(want, got)
		c.t.Fatalf("version %d, base %d, full %v: %s", image, v.Base, full, diff)
	}
	c.complete[image] = got
	c.pending = append(c.pending, image)
	c.end()
	if c.r.IntN(2) == 0 {
		c.confirm()
	}
}

func (c *chain) end() {
	c.service.Release()
	c.versions.Copying = false
}

// confirm confirms one of the complete snapshots.
func (c *chain) confirm() {
	if len(c.pending) == 0 {
		return
	}
	i := c.r.IntN(len(c.pending))
	c.versions.Confirmed = c.pending[i]
	c.pending = c.pending[i+1:]
	c.service.Confirmed()
}

// renumber does what a backend does when versions run out.
func (c *chain) renumber() {
	mapped := func(v uint16) uint16 {
		if v <= c.versions.Confirmed {
			return 0
		}
		rank := uint16(1)
		for _, p := range c.pending {
			if p < v {
				rank++
			}
		}
		return rank
	}
	c.service.Renumber(mapped)
	complete := map[uint16]entryMap{0: c.complete[c.versions.Confirmed]}
	for i, p := range c.pending {
		complete[uint16(i+1)] = c.complete[p]
		c.pending[i] = uint16(i + 1)
	}
	c.complete = complete
	c.versions.Confirmed, c.versions.Current = 0, uint16(len(c.pending)+1)
}

// restore continues from the last snapshot confirmed.
func (c *chain) restore() {
	c.t.Helper()
	content := c.complete[c.versions.Confirmed]
	keys := slices.SortedFunc(maps.Keys(content), func(a, b string) int {
		return cmp.Or(cmp.Compare(content[a], content[b]), cmp.Compare(a, b))
	})
	c.versions = version.Versions{Current: 1}
	c.fresh()
	for _, key := range keys {
		e := backend.Entry{Hash: content[key], Key: []byte(key)}
		must(c.t, c.service.Restore(e))
	}
	must(c.t, c.naive.Restore(0, backend.NoPane, types.AllHashes, &list{content, keys}))
	c.complete, c.pending = map[uint16]entryMap{0: content}, nil
	c.checkEarliest()
}

// list yields entries in order.
type list struct {
	content entryMap
	keys    []string
}

func (l *list) Next() (backend.Entry, bool) {
	if len(l.keys) == 0 {
		return backend.Entry{}, false
	}
	key := l.keys[0]
	l.keys = l.keys[1:]
	return backend.Entry{Hash: l.content[key], Key: []byte(key)}, true
}

func (l *list) Err() error { return nil }

// Goal: the deltas of a chain of snapshots, applied to each other, are what was held at the
// last barrier, and full ones are that at once, also when timers come and go while an image is
// copied, when checkpoints are aborted or confirmed late, when versions are numbered anew, and
// after a restore. Method: random operations between the steps of random snapshots, against
// the naive service.
func TestSnapshots(t *testing.T) {
	for _, layout := range layouts() {
		t.Run(layoutName(layout), func(t *testing.T) {
			for seed := range uint64(4) {
				t.Logf("seed %d", seed)
				c := newChain(newPair(t, layout, seed, 30<<(3*(seed%3))))
				if seed%2 == 1 {
					c.versions.Current = version.Last - 20
				}
				for range 50 {
					for range c.r.IntN(500) {
						c.step()
					}
					c.snapshot()
					if c.r.IntN(15) == 0 {
						c.restore()
					}
				}
				c.drain()
			}
		})
	}
}
