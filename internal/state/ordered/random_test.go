package ordered

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/state/version"
	"github.com/leat-io/leat/state/backend"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// tiny limits make everything that happens to large collections happen to small ones.
var tiny = Limits{Block: 192, Demote: 128, Node: 384}

// Goal: a store holds what a plain map or slice does, and chains of its images add up to the
// state at each barrier. Method: random operations beside a model, between the steps of
// images that are aborted, completed, confirmed late, full or not; kinds of keys, small and
// production limits, version numbers that run out.
func TestRandom(t *testing.T) {
	for _, kind := range []backend.CollectionKind{backend.OrderedMap, backend.List} {
		for _, words := range []int{0, 1, 2} {
			for _, limits := range []Limits{tiny, DefaultLimits} {
				for seed := range uint64(4) {
					name := fmt.Sprintf(
						"%v,words=%d,node=%d,seed=%d",
						kind,
						words,
						limits.Node,
						seed,
					)
					t.Run(name, func(t *testing.T) {
						r := newRandom(t, kind, words, limits, seed)
						for range 6000 {
							r.operation()
						}
						if r.complete < 10 || r.aborted < 3 {
							t.Errorf(
								"%d images complete, %d aborted: too few",
								r.complete,
								r.aborted,
							)
						}
						if r.image != nil {
							r.release()
						}
						r.store.Discard()
						idle := int64(
							len(r.shared.pages),
						)*pageBytes + int64(
							len(r.shared.blocks),
						)*logBlock
						if got := r.shared.MemoryBytes(); got != idle {
							t.Errorf("%d bytes left on the account, %d are idle", got, idle)
						}
					})
				}
			}
		}
	}
}

// random is one run: a store, its model, and what its images have become.
type random struct {
	*testing.T
	rng      *rand.Rand
	kind     backend.CollectionKind
	words    int
	shared   *Shared
	store    *Store
	versions *version.Versions
	owners   []Owner
	slots    map[string]*uint64
	model    content
	universe int

	image    *running
	pending  []durable // finished, oldest first
	base     durable   // confirmed
	complete int
	aborted  int
	now      int
}

// content is every collection by owner: entries by user key, or elements.
type content struct {
	maps  map[string]map[string]string
	lists map[string][]string
}

func (c content) clone() content {
	out := content{maps: map[string]map[string]string{}, lists: map[string][]string{}}
	for owner, m := range c.maps {
		if len(m) > 0 {
			out.maps[owner] = maps.Clone(m)
		}
	}
	for owner, l := range c.lists {
		if len(l) > 0 {
			out.lists[owner] = slices.Clone(l)
		}
	}
	return out
}

type durable struct {
	version uint16
	entries map[string]string // entry key with hash: value
	content content
}

type running struct {
	full    bool
	content content
	base    durable
	done    bool
}

func newRandom(
	t *testing.T, kind backend.CollectionKind, words int, limits Limits, seed uint64,
) *random {
	t.Logf("seed %d", seed)
	r := &random{T: t, rng: rand.New(rand.NewPCG(seed, 3)), kind: kind, words: words,
		versions: &version.Versions{Current: 1}, universe: []int{12, 90, 800}[seed%3],
		slots: map[string]*uint64{}}
	if seed%2 == 0 {
		r.versions.Current = version.Last - 5
	}
	n := []int{3, 40, 200}[r.rng.IntN(3)]
	for i := range n {
		var key []byte
		for range words {
			key = binary.LittleEndian.AppendUint64(key, uint64(i/2))
		}
		if words > 0 {
			key[7] = byte(i % 2)
		} else if i > 0 {
			key = bytes.Repeat([]byte{byte(i)}, i*i%37)
			key = append(key, byte(i), byte(i>>8))
			if i%20 == 7 {
				key = append(key, make([]byte, 500)...)
			}
		}
		// Few hashes, so that owners share them.
		r.owners = append(r.owners, Owner{Hash: uint32(i/3) * 0x9e3779b9, Key: key})
	}
	r.model = content{}.clone()
	r.base = durable{entries: map[string]string{}, content: content{}.clone()}
	r.open(limits)
	return r
}

func (r *random) open(limits Limits) {
	r.shared = NewShared(limits)
	r.store = New(Options{Kind: r.kind, KeyWords: r.words, Versions: r.versions,
		Shared: r.shared, Rows: r})
	clear(r.slots)
	for _, o := range r.owners {
		r.slots[string(o.Key)] = new(uint64)
	}
}

func (r *random) Slot(o Owner) (*uint64, error) { return r.slots[string(o.Key)], nil }

func (r *random) operation() {
	r.now++
	switch what := r.rng.IntN(1000); {
	case what < 25:
		r.begin()
	case what < 150:
		r.step()
	case what < 175:
		r.confirm()
	case what < 178:
		r.recover()
	case what < 190:
		r.verify()
	case what < 200:
		o := r.owner()
		r.store.Clear(r.slots[string(o.Key)])
		delete(r.model.maps, string(o.Key))
		delete(r.model.lists, string(o.Key))
	default:
		for range 1 + r.rng.IntN(8) {
			r.change()
		}
	}
}

func (r *random) owner() Owner { return r.owners[r.rng.IntN(len(r.owners))*r.rng.IntN(3)/2] }

// text draws a key or value of a length that is short, about the limits, or long.
func (r *random) text(most int) []byte {
	n := r.rng.IntN(20)
	switch r.rng.IntN(40) {
	case 0:
		n = r.rng.IntN(most)
	case 1, 2:
		n = r.rng.IntN(100)
	}
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.rng.IntN(3))
	}
	return out
}

func (r *random) userKey() []byte {
	i := r.rng.IntN(r.universe)
	if r.now/700%2 == 1 {
		i = r.now % r.universe // ascending
	}
	key := binary.BigEndian.AppendUint64(nil, uint64(i)*0x10001)
	switch i % 11 {
	case 0:
		key = key[5:]
	case 1:
		key = append(bytes.Repeat([]byte{7}, i%90), key...)
	case 2:
		key = append(key, bytes.Repeat([]byte{0}, i%600)...)
	case 3:
		key = bytes.Repeat([]byte{0}, i%12)
	}
	return key
}

func (r *random) change() {
	o := r.owner()
	slot, name := r.slots[string(o.Key)], string(o.Key)
	if r.kind == backend.List {
		value := r.text(9000)
		r.must(r.store.Append(slot, o, value))
		r.model.lists[name] = append(r.model.lists[name], string(value))
		return
	}
	if r.model.maps[name] == nil {
		r.model.maps[name] = map[string]string{}
	}
	m, key := r.model.maps[name], r.userKey()
	// Waves of deletes and of inserts, so that trees shrink and grow.
	if r.rng.IntN(10) < 3+4*(r.now/500%2) {
		existed, err := r.store.Delete(slot, key)
		r.must(err)
		if _, want := m[string(key)]; want != existed {
			r.Fatalf("operation %d: delete of %x says %v", r.now, key, existed)
		}
		delete(m, string(key))
		return
	}
	value := r.text(6000)
	if r.rng.IntN(8) == 0 { // a value that lies in the store
		if got, ok := r.store.Get(*slot, r.userKey()); ok {
			m[string(key)] = string(got)
			r.must(r.store.Put(slot, o, key, got))
			return
		}
	}
	m[string(key)] = string(value)
	r.must(r.store.Put(slot, o, key, value))
	if got, ok := r.store.Get(*slot, key); !ok || string(got) != string(value) {
		r.Fatalf("operation %d: %x put, %v %x found, want %x", r.now, key, ok, got, value)
	}
}

func (r *random) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// verify compares every collection with the model, in both directions.
func (r *random) verify() {
	if err := r.compare(r.model); err != nil {
		r.Fatalf("operation %d: %v", r.now, err)
	}
	if got, want := r.store.MemoryBytes(), r.store.recount(); got != want {
		r.Fatalf("operation %d: %d bytes on account, %d found", r.now, got, want)
	}
	if r.kind == backend.List {
		return
	}
	o := r.owner()
	m, slot := r.model.maps[string(o.Key)], *r.slots[string(o.Key)]
	from, to := r.userKey(), r.userKey()
	if r.rng.IntN(4) == 0 {
		from = nil
	}
	if r.rng.IntN(4) == 0 {
		to = nil
	}
	var want []string
	for key := range m {
		if key >= string(from) && (to == nil || key < string(to)) {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	most := r.rng.IntN(len(want) + 2)
	forth, back := [][]byte{}, [][]byte{}
	r.store.Scan(slot, from, to, func(key, _ []byte) bool {
		forth = append(forth, key)
		return len(forth) < most
	})
	r.store.ScanBack(slot, from, to, func(key, _ []byte) bool {
		back = append(back, key)
		return len(back) < most
	})
	for i := range min(max(most, 1), len(want)) {
		if i >= len(forth) || string(forth[i]) != want[i] {
			r.Fatalf("operation %d: scan %x to %x: %x, want %x", r.now, from, to, forth, want)
		}
		if i >= len(back) || string(back[i]) != want[len(want)-1-i] {
			r.Fatalf("operation %d: scan back %x to %x: %x, want %x", r.now, from, to, back, want)
		}
	}
	if len(forth) > len(want) || len(back) > len(want) {
		r.Fatalf("operation %d: scans found too much", r.now)
	}
}

// recount adds up what a store occupies, without the running account.
func (s *Store) recount() int64 {
	total := int64(unsafe.Sizeof(*s)) + perPage*int64(max(0, len(s.pages)-1))
	for _, p := range s.pages {
		total += int64(p.size)
	}
	if s.image != nil {
		for _, block := range s.image.log.blocks {
			total += int64(cap(block))
		}
	}
	for _, c := range s.changes {
		for _, chunk := range c.dirty {
			total += int64(cap(chunk)) * 4
		}
		for _, block := range c.deletes {
			total += int64(cap(block))
		}
	}
	return total
}

func (r *random) compare(want content) error {
	for _, o := range r.owners {
		slot, name := *r.slots[string(o.Key)], string(o.Key)
		n := 0
		if r.kind == backend.List {
			var got []string
			r.store.ScanList(slot, func(e []byte) bool {
				got = append(got, string(e))
				return true
			})
			if !slices.Equal(got, want.lists[name]) {
				return fmt.Errorf("list of %x: %d elements, want %d", name, len(got),
					len(want.lists[name]))
			}
			n = len(got)
		} else {
			last := ""
			var failed error
			r.store.Scan(slot, nil, nil, func(key, value []byte) bool {
				if v, ok := want.maps[name][string(key)]; !ok || v != string(value) {
					failed = fmt.Errorf("map of %x: entry %x is %.40x, want %.40x", name, key, value, v)
				}
				if n > 0 && last >= string(key) {
					failed = fmt.Errorf("map of %x: %x after %x", name, key, last)
				}
				last = string(key)
				n++
				return true
			})
			if failed != nil {
				return failed
			}
			if n != len(want.maps[name]) {
				return fmt.Errorf("map of %x: %d entries, want %d", name, n, len(want.maps[name]))
			}
		}
		if (n == 0) != (slot == 0) || r.store.Elements(slot) != n {
			return fmt.Errorf("collection of %x: slot %x, says %d elements, has %d", name, slot,
				r.store.Elements(slot), n)
		}
	}
	return nil
}

func (r *random) begin() {
	if r.image != nil {
		return
	}
	v := r.versions
	if r.rng.IntN(10) == 0 { // versions of one number should meet after they were renumbered
		v.Current = max(v.Current, version.Last-3)
	}
	if v.Current >= version.Last {
		r.renumber()
	}
	full := r.rng.IntN(4) == 0
	r.image = &running{full: full, content: r.model.clone(), base: r.base}
	v.Image, v.Base, v.Copying = v.Current, v.Confirmed, true
	v.Current++
	r.store.Begin(full)
}

func (r *random) renumber() {
	v := r.versions
	mapped := func(n uint16) uint16 {
		if n <= v.Confirmed {
			return 0
		}
		rank := uint16(1)
		for _, p := range r.pending {
			if p.version < n {
				rank++
			}
		}
		return rank
	}
	r.store.Renumber(mapped)
	for i := range r.pending {
		r.pending[i].version = uint16(i + 1)
	}
	v.Confirmed, v.Current = 0, uint16(len(r.pending)+1)
}

func (r *random) step() {
	if r.image == nil {
		return
	}
	if r.rng.IntN(8) == 0 {
		r.aborted++
		r.release()
		return
	}
	used, done, err := r.store.Step(1 + r.rng.IntN(4000))
	r.must(err)
	if done && r.image.done && used > 0 {
		r.Fatalf("a step of a complete image used %d bytes", used)
	}
	if r.image.done = done; !done || r.rng.IntN(3) == 0 {
		return
	}
	r.finish()
	r.release()
}

func (r *random) release() {
	r.store.Release()
	r.versions.Copying = false
	r.image = nil
}

// finish reads the image on another goroutine while the store changes.
func (r *random) finish() {
	rows, _, open := r.store.Result()
	var read []backend.Entry
	g := lifecycle.NewGroup(context.Background(), "reader")
	g.Go("read", func(context.Context) error {
		it := open()
		for e, ok := it.Next(); ok; e, ok = it.Next() {
			read = append(read, backend.Entry{Hash: e.Hash, Key: bytes.Clone(e.Key),
				Value: bytes.Clone(e.Value), Deleted: e.Deleted})
		}
		return it.Err()
	})
	for range 30 {
		r.change()
	}
	r.must(g.Wait())
	if len(read) > rows {
		r.Fatalf("%d entries, at most %d were said", len(read), rows)
	}
	out := durable{version: r.versions.Image, entries: maps.Clone(r.image.base.entries),
		content: r.image.content}
	if r.image.full {
		clear(out.entries)
	}
	for i, e := range read {
		if i > 0 && (cmp.Or(cmp.Compare(read[i-1].Hash, e.Hash),
			bytes.Compare(read[i-1].Key, e.Key)) >= 0) {
			r.Fatalf("operation %d: entries %d and %d are not in order", r.now, i-1, i)
		}
		name := string(binary.BigEndian.AppendUint32(nil, e.Hash)) + string(e.Key)
		if e.Deleted && (r.image.full || e.Value != nil) {
			r.Fatalf("operation %d: a delete in a full image, or with a value", r.now)
		}
		if e.Deleted {
			delete(out.entries, name)
		} else {
			out.entries[name] = string(e.Value)
		}
	}
	r.checkEntries(out)
	r.pending = append(r.pending, out)
	r.complete++
}

// checkEntries compares entries in files with the state at their barrier.
func (r *random) checkEntries(d durable) {
	got := content{}.clone()
	for _, name := range slices.Sorted(maps.Keys(d.entries)) {
		key, suffix, err := backend.SplitEntryKey(r.words, []byte(name[4:]))
		r.must(err)
		if r.kind == backend.OrderedMap {
			if got.maps[string(key)] == nil {
				got.maps[string(key)] = map[string]string{}
			}
			got.maps[string(key)][string(suffix)] = d.entries[name]
			continue
		}
		for rest := []byte(d.entries[name]); len(rest) > 0; {
			var e []byte
			e, rest, err = backend.NextElement(rest)
			r.must(err)
			if len(rest) > 0 && len(d.entries[name]) > backend.BlockBytes {
				r.Fatalf("a block of %d bytes has several elements", len(d.entries[name]))
			}
			got.lists[string(key)] = append(got.lists[string(key)], string(e))
		}
	}
	for _, o := range r.owners {
		name := string(o.Key)
		if !maps.Equal(got.maps[name], d.content.maps[name]) ||
			!slices.Equal(got.lists[name], d.content.lists[name]) {
			r.Fatalf(
				"operation %d: image of %x differs: %d entries and %d elements, want %d and %d",
				r.now,
				name,
				len(got.maps[name]),
				len(got.lists[name]),
				len(d.content.maps[name]),
				len(d.content.lists[name]),
			)
		}
	}
}

func (r *random) confirm() {
	if len(r.pending) == 0 {
		return
	}
	i := r.rng.IntN(len(r.pending))
	r.base = r.pending[i]
	r.pending = slices.Clone(r.pending[i+1:])
	r.versions.Confirmed = r.base.version
	r.store.Confirmed()
}

// recover starts over from the confirmed image.
func (r *random) recover() {
	if r.image != nil {
		r.release()
	}
	*r.versions = version.Versions{Current: 1}
	r.store.Discard()
	r.open(r.store.limits)
	for _, name := range slices.Sorted(maps.Keys(r.base.entries)) {
		r.must(r.store.Restore(backend.Entry{Hash: binary.BigEndian.Uint32([]byte(name)),
			Key: []byte(name[4:]), Value: []byte(r.base.entries[name])}))
	}
	r.store.EndRestore()
	r.base.version, r.pending = 0, nil
	r.model = r.base.content.clone()
	if err := r.compare(r.model); err != nil {
		r.Fatalf("operation %d: restored: %v", r.now, err)
	}
}
