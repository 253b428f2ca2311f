package run

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// rows is a pane as the tests see it: hash prefix and key to value.
type rows map[string]string

func hashOf(key string) uint32 { return binary.BigEndian.Uint32([]byte(key)) }

func inside(r types.HashRange, key string) bool {
	return r.Lo <= hashOf(key) && hashOf(key) <= r.Hi
}

func (r rows) within(bounds types.HashRange) rows {
	out := rows{}
	for k, v := range r {
		if inside(bounds, k) {
			out[k] = v
		}
	}
	return out
}

// change is a row that was set, or deleted when value is nil.
type change struct {
	key   string
	value *string
}

// listed yields changes, which are in order.
type listed struct {
	changes []change
	err     error
}

func (l *listed) Next() (backend.Entry, bool) {
	if len(l.changes) == 0 {
		return backend.Entry{}, false
	}
	c := l.changes[0]
	l.changes = l.changes[1:]
	e := backend.Entry{Hash: hashOf(c.key), Key: []byte(c.key[prefixBytes:])}
	if c.value != nil {
		e.Value = []byte(*c.value)
	} else {
		e.Deleted = true
	}
	return e, true
}

func (l *listed) Err() error { return l.err }

func sortedChanges(points map[string]*string) []change {
	out := make([]change, 0, len(points))
	for _, k := range slices.Sorted(maps.Keys(points)) {
		out = append(out, change{k, points[k]})
	}
	return out
}

func (r rows) changes() []change {
	points := map[string]*string{}
	for k, v := range r {
		points[k] = &v
	}
	return sortedChanges(points)
}

// collect reads entries to their end and checks their order.
func collect(entries backend.Entries) (rows, error) {
	out, last := rows{}, ""
	for e, ok := entries.Next(); ok; e, ok = entries.Next() {
		key := string(appendKey(nil, e.Hash, e.Key))
		if len(out) > 0 && key <= last {
			return nil, fmt.Errorf("key %x after %x", key, last)
		}
		if e.Deleted {
			return nil, fmt.Errorf("key %x is deleted", key)
		}
		out[key], last = string(e.Value), key
	}
	return out, entries.Err()
}

// keyPool returns keys that meet every edge of hash order: equal hashes, the first and the last
// hash, prefixes of one another, and the one key that sorts after the end of the last span.
func keyPool(rng *rand.Rand) []string {
	hashes := []uint32{0, 0, 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0xffffffff}
	keys := map[string]bool{
		"\xff\xff\xff\xff" + string(bytes.Repeat([]byte{0xff}, 40)): true, "\x00\x00\x00\x00": true,
	}
	for len(keys) < 40 {
		h := rng.Uint32()
		if rng.IntN(3) == 0 {
			h = hashes[rng.IntN(len(hashes))]
		}
		key := make([]byte, rng.IntN(12))
		for i := range key {
			key[i] = byte(rng.IntN(2) * 255)
		}
		keys[string(appendKey(nil, h, key))] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func anyRange(rng *rand.Rand) types.HashRange {
	lo, hi := rng.Uint32(), rng.Uint32()
	if rng.IntN(4) == 0 {
		lo = 0
	}
	if rng.IntN(4) == 0 {
		hi = types.AllHashes.Hi
	}
	return types.HashRange{Lo: min(lo, hi), Hi: max(lo, hi)}
}

// TestBuildReadBack builds a run with every edge of keys and values and reads it back, whole and
// cut to one hash, so that nothing is lost at block borders or at either end of the hashes.
func TestBuildReadBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	want := rows{}
	for _, k := range keyPool(rng) {
		want[k] = string(make([]byte, rng.IntN(3000)))
	}
	for i := range 5000 {
		want[string(appendKey(nil, rng.Uint32(), fmt.Appendf(nil, "%d", i)))] = fmt.Sprint(i)
	}
	content, summary, err := Build(&listed{changes: want.changes()},
		BuildOptions{Bounds: types.AllHashes, Base: true})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Rows != int64(len(want)) || summary.Length != int64(len(content)) {
		t.Fatalf("summary %+v of %d rows in %d bytes", summary, len(want), len(content))
	}
	reader, err := Open(content, summary.Digest[:])
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if diff := cmp.Diff([]types.HashRange{types.AllHashes}, reader.RangeDeletes()); diff != "" {
		t.Error(diff)
	}
	cuts := []types.HashRange{types.AllHashes, {}, {Lo: 1, Hi: 1}, {Lo: 0x80000000, Hi: 0xfffffffe},
		{Lo: 0xffffffff, Hi: 0xffffffff}, anyRange(rng), anyRange(rng)}
	for _, cut := range cuts {
		got, err := collect(Merge([]Source{{reader, types.AllHashes}}, cut))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.within(cut), got); diff != "" {
			t.Errorf("cut to %v: %s", cut, diff)
		}
	}
}

// TestBuildDeterministic builds equal runs, with range deletes given in different order and pieces,
// and compares the bytes.
func TestBuildDeterministic(t *testing.T) {
	build := func(deletes ...types.HashRange) []byte {
		var out bytes.Buffer
		b := NewBuilder(&out)
		for i, r := range deletes {
			if i%2 == 0 {
				b.DeleteHashRange(r)
			}
		}
		for i := range uint32(3000) {
			if err := b.Set(i, []byte("key"), fmt.Appendf(nil, "value %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range deletes {
			if i%2 == 1 {
				b.DeleteHashRange(r)
			}
		}
		if _, err := b.Finish(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	r := func(lo, hi uint32) types.HashRange { return types.HashRange{Lo: lo, Hi: hi} }
	want := build(r(5, 99), r(200, 0xffffffff))
	for range 3 {
		got := build(r(300, 0xffffffff), r(5, 5), r(6, 20), r(200, 400), r(7, 99))
		if !bytes.Equal(want, got) {
			t.Fatal("equal runs have different bytes")
		}
	}
	if bytes.Equal(want, build(r(5, 98), r(200, 0xffffffff))) {
		t.Fatal("different runs have equal bytes")
	}
}

// TestBuildRefuses gives the builder what a backend must never hand over, and expects errors.
func TestBuildRefuses(t *testing.T) {
	value := "v"
	key := func(hash uint32, k string) change {
		return change{string(appendKey(nil, hash, []byte(k))), &value}
	}
	cases := map[string]*listed{
		"duplicate":     {changes: []change{key(1, "a"), key(1, "a")}},
		"key order":     {changes: []change{key(1, "b"), key(1, "a")}},
		"hash order":    {changes: []change{key(2, "a"), key(1, "a")}},
		"below bounds":  {changes: []change{key(0, "a")}},
		"above bounds":  {changes: []change{key(11, "a")}},
		"source fails":  {changes: []change{key(2, "a")}, err: fmt.Errorf("broken")},
		"key too large": {changes: []change{key(2, string(make([]byte, backend.MaxKeyBytes+1)))}},
	}
	for name, entries := range cases {
		options := BuildOptions{Bounds: types.HashRange{Lo: 1, Hi: 10}}
		if _, _, err := Build(entries, options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	content, summary, err := Build(&listed{}, BuildOptions{Bounds: types.AllHashes, Base: true})
	if len(content) != 0 || summary.Rows != 0 || err != nil {
		t.Errorf("nothing to write: %d bytes, %d rows, %v", len(content), summary.Rows, err)
	}
}
