package run

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

func millis(values ...int64) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, uint64(v))
	}
	return out
}

func blockOf(elements ...[]byte) []byte {
	var out []byte
	for _, e := range elements {
		out = backend.AppendElement(out, e)
	}
	return out
}

// TestExpiryRules walks through rows, map entries and list blocks around the end of their time to
// live, and values that make no sense, which stay.
func TestExpiryRules(t *testing.T) {
	e := ExpiryOf([]*protocol.StateDescriptor{
		{Kind: "value", PresenceBit: 0},
		{Kind: "value", PresenceBit: 1, TtlMillis: 100, TtlOffset: 16},
		{Kind: "reducing", PresenceBit: 2, TtlMillis: 1000, TtlOffset: 24},
		{Kind: "map", Table: 1, TtlMillis: 100},
		{Kind: "list", Table: 2, TtlMillis: 100},
		{Kind: "ordered-map", Table: 3},
	})
	const now = 5000
	row := func(present, second, third int64) []byte { return millis(present, 7, second, third) }
	for name, c := range map[string]struct {
		table backend.TableID
		value []byte
		want  bool
	}{
		"both over":               {0, row(6, 4900, 4000), true},
		"one over":                {0, row(6, 4901, 4000), false},
		"other over":              {0, row(6, 4900, 4001), false},
		"other not set":           {0, row(2, 4900, 4999), true},
		"state without ttl set":   {0, row(3, 0, 0), false},
		"no state set":            {0, row(0, 0, 0), true},
		"row cut":                 {0, row(6, 0, 0)[:28], false},
		"row empty":               {0, nil, false},
		"used in the future":      {0, row(2, math.MaxInt64, 0), false},
		"entry over":              {1, millis(4900, 1), true},
		"entry alive":             {1, millis(4901, 1), false},
		"entry cut":               {1, millis(4900)[:7], false},
		"block over":              {2, blockOf(millis(4900), millis(1, 2)), true},
		"one element alive":       {2, blockOf(millis(4900), millis(4901)), false},
		"block with a short item": {2, blockOf(millis(4900), []byte("x")), false},
		"block cut":               {2, blockOf(millis(4900))[:5], false},
	} {
		if got := e.of(c.table, now)(c.value); got != c.want {
			t.Errorf("%s: over is %v, want %v", name, got, c.want)
		}
	}
	if e.of(3, now) != nil || (Expiry{}).of(0, now) != nil {
		t.Error("rules for a table without time to live")
	}
}

// TestExpiryInMerges lets rows grow old over checkpoints and merges of any sort. Whatever is merged
// when, a restore without rules gives every row that is alive, no row that was deleted, and each
// row in its newest version; a restore with rules gives exactly the rows that are alive.
func TestExpiryInMerges(t *testing.T) {
	const ttl = 50
	e := ExpiryOf([]*protocol.StateDescriptor{{Kind: "value", TtlMillis: ttl, TtlOffset: 8}})
	id := backend.PaneID{Pane: backend.NoPane}
	dropped := 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 3))
		keys := keyPool(rng)
		s := &simulation{t: t, rng: rng, store: newStore()}
		k := &task{bounds: types.AllHashes, lists: NewLists(types.AllHashes)}
		now, model := int64(0), rows{}
		var state *protocol.KeyedState
		for checkpoint := uint64(1); checkpoint < 40; checkpoint++ {
			points := map[string]*string{}
			for range rng.IntN(15) {
				key, value := keys[rng.IntN(len(keys))], string(millis(1, now))
				delete(model, key)
				points[key] = nil
				if rng.IntN(4) > 0 {
					points[key], model[key] = &value, value
				}
			}
			now += int64(rng.IntN(10))
			state = writeChanges(t, k.lists, s.store, id, points, checkpoint)
			checkAlive(t, s.store, state, aging{e, now, ttl}, model)
			k.lists.Confirm(checkpoint)
			if plan := s.anyMerge(k); plan != nil {
				stats, err := plan.Run(context.Background(), MergeEnv{
					Open: s.store.open, Uploader: s.store, Expiry: e, NowMillis: now,
					Pause: func() error { return nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				dropped += stats.Runs
			}
		}
	}
	if dropped == 0 {
		t.Error("nothing was merged")
	}
}

func writeChanges(t *testing.T, l *Lists, s *store, id backend.PaneID, points map[string]*string,
	checkpoint uint64,
) *protocol.KeyedState {
	t.Helper()
	// Padding that nobody reads keeps the runs out of the metadata.
	pad := string(make([]byte, 20<<10))
	points["\x00\x00\x00\x00pad"] = &pad
	changes := sortedChanges(points)
	part := backend.Part{Pane: id.Pane, Rows: len(changes), Bytes: 1 << 20,
		Entries: func() backend.Entries { return &listed{changes: changes} }}
	state, _, err := l.Write(context.Background(), []backend.Part{part}, []backend.PaneID{id},
		checkpoint, s)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// aging is by what rows expire.
type aging struct {
	e        Expiry
	now, ttl int64
}

func checkAlive(
	t *testing.T, s *store, state *protocol.KeyedState, by aging, model rows,
) {
	t.Helper()
	e, now, ttl := by.e, by.now, by.ttl
	restore := func(e Expiry) rows {
		f := &filled{panes: map[backend.PaneID]rows{}}
		r := Restorer{Open: s.open, Bounds: types.AllHashes, Backend: f, Expiry: e, NowMillis: now}
		if _, err := r.Restore(context.Background(), state.Panes); err != nil {
			t.Fatal(err)
		}
		got := maps.Clone(f.panes[backend.PaneID{Pane: backend.NoPane}])
		if got == nil {
			got = rows{}
		}
		delete(got, "\x00\x00\x00\x00pad")
		return got
	}
	alive := rows{}
	for key, v := range model {
		if int64(binary.LittleEndian.Uint64([]byte(v[8:])))+ttl > now {
			alive[key] = v
		}
	}
	if diff := cmp.Diff(alive, restore(e)); diff != "" {
		t.Fatalf("with rules: %s", diff)
	}
	for key, v := range restore(Expiry{}) {
		if model[key] != v {
			t.Fatalf("without rules: key %x is %x, want %x", key, v, model[key])
		}
	}
}

// TestExpiryPartial merges two runs of which neither is the oldest: what is over becomes a delete,
// else the version beneath would come back.
func TestExpiryPartial(t *testing.T) {
	old, newer := string(millis(1, 1000)), string(millis(1, 10))
	var sources []Source
	for _, v := range []string{newer, newer} {
		content, summary, err := Build(&listed{changes: []change{{"\x00\x00\x00\x01k", &v}}},
			BuildOptions{Bounds: types.AllHashes})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(content, summary.Digest[:])
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		sources = append(sources, Source{r, types.AllHashes})
	}
	isOver := func(value []byte) bool { return string(value) != old }
	for _, base := range []bool{true, false} {
		p := &replacement{bounds: types.AllHashes, base: base}
		var out bytes.Buffer
		summary, err := mergeTo(&out, sources, p, isOver, func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		want := int64(1)
		if base {
			want = 0
		}
		if summary.Rows != want {
			t.Errorf("base %v: %d points, want %d", base, summary.Rows, want)
		}
	}
}
