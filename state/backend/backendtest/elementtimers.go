package backendtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/leat-io/leat/state/backend"
)

// time registers and deletes timers, or takes those that are due.
func (r *elements) time() error {
	if r.rng.IntN(3) == 0 {
		return r.take()
	}
	for range 1 + r.rng.IntN(60) {
		if err := r.timer(); err != nil {
			return err
		}
	}
	return nil
}

// timer registers a timer, or deletes it, or both.
func (r *elements) timer() error {
	t, named := r.drawTimer()
	id := backend.PaneID{Table: r.services, Pane: backend.NoPane}
	r.model.change(id, named.entryKey(r.timing), r.now)
	for range 1 + r.rng.IntN(2) {
		if r.rng.IntN(4) == 0 {
			delete(r.model.timers, named)
			r.timers.Delete(t)
			continue
		}
		r.model.timers[named] = true
		if err := r.timers.Register(t); err != nil {
			return err
		}
	}
	return nil
}

// drawTimer draws a timer: near, aligned to windows, far, and at the ends of time.
func (r *elements) drawTimer() (*backend.Timer, timerModel) {
	key := keyOf(r.layout, r.rng.IntN(r.keys))
	now := int64(r.now) * 100
	timestamp := now + int64(r.rng.IntN(5000))
	switch r.rng.IntN(20) {
	case 0:
		timestamp = now - int64(r.rng.IntN(5000))
	case 1:
		timestamp = now + int64(r.rng.IntN(100_000_000))
	case 2:
		timestamp = []int64{math.MinInt64, math.MaxInt64, math.MaxInt64 - 1, 0, -1}[r.rng.IntN(5)]
	case 3, 4, 5, 6, 7, 8, 9:
		timestamp -= timestamp % 1000
	}
	t := &backend.Timer{Timestamp: timestamp, Hash: hashOf(key)}
	for i := range r.layout.KeyWords {
		t.Words[i] = binary.LittleEndian.Uint64(key[8*i:])
	}
	if r.layout.KeyWords == 0 {
		t.Bytes = key
	}
	named := timerModel{timestamp: timestamp, key: string(key)}
	for i := range r.timing.NamespaceWords {
		t.Namespace[i] = uint64(r.rng.IntN(3)) << (8 * r.rng.IntN(8))
		named.namespace[i] = t.Namespace[i]
	}
	return t, named
}

// take takes what is due at about now and compares it with the model, in order.
func (r *elements) take() error {
	until := int64(r.now)*100 + int64(r.rng.IntN(300))
	if r.rng.IntN(40) == 0 {
		until = math.MaxInt64
	}
	want := slices.SortedFunc(maps.Keys(r.model.timers), compareTimers)
	if earliest, ok := r.timers.Earliest(); len(want) > 0 &&
		(!ok || earliest > want[0].timestamp) {
		return fmt.Errorf("earliest timer at %d (%v), want at most %d", earliest, ok,
			want[0].timestamp)
	}
	for {
		limit := 1 + r.rng.IntN(40)
		if !r.timers.Take(until, limit, &r.due) {
			break
		}
		if n := len(r.due.Hashes); n == 0 || n > limit {
			return fmt.Errorf("took %d timers, want 1 to %d", n, limit)
		}
		for i := range r.due.Hashes {
			got, err := r.dueTimer(i)
			if err != nil {
				return err
			}
			if len(want) == 0 || got != want[0] {
				return fmt.Errorf("took timer %+v, want one of %+v", got, want[:min(1, len(want))])
			}
			want = want[1:]
			delete(r.model.timers, got)
			id := backend.PaneID{Table: r.services, Pane: backend.NoPane}
			r.model.change(id, got.entryKey(r.timing), r.now)
		}
		if r.rng.IntN(8) == 0 { // a timer is registered while others fire
			if err := r.timer(); err != nil {
				return err
			}
			want = slices.SortedFunc(maps.Keys(r.model.timers), compareTimers)
		}
	}
	if len(want) > 0 && want[0].timestamp <= until {
		return fmt.Errorf("timer %+v was not taken until %d", want[0], until)
	}
	return nil
}

// dueTimer reads the i-th timer taken.
func (r *elements) dueTimer(i int) (timerModel, error) {
	got := timerModel{timestamp: r.due.Timestamp}
	words, spaces := r.layout.KeyWords, r.timing.NamespaceWords
	if words == 0 {
		got.key = string(r.due.Bytes[i])
	} else {
		var key []byte
		for _, word := range r.due.Words[i*words : (i+1)*words] {
			key = binary.LittleEndian.AppendUint64(key, word)
		}
		got.key = string(key)
	}
	copy(got.namespace[:], r.due.Namespaces[i*spaces:(i+1)*spaces])
	if want := hashOf([]byte(got.key)) &^ math.MaxUint32; r.due.Hashes[i] != want {
		return got, fmt.Errorf("key %x has hash %x, want %x", got.key, r.due.Hashes[i], want)
	}
	return got, nil
}
