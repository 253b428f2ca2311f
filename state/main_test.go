package state_test

import (
	"encoding/binary"
	"testing"

	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/state/backend/naive"
	"github.com/leat-io/leat/types"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var factories = []backend.Factory{naive.Factory{}, table.Factory{}}

// onBackends runs a test on every backend.
func onBackends(t *testing.T, test func(t *testing.T, f backend.Factory)) {
	for _, f := range factories {
		t.Run(f.Name(), func(t *testing.T) { test(t, f) })
	}
}

// rows is one table with keys of one word.
type rows struct {
	testing.TB
	backend backend.Backend
	table   backend.Table
}

func open(t testing.TB, f backend.Factory, layout backend.RowLayout) *rows {
	t.Helper()
	b, err := f.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	id, err := b.Declare(layout)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := b.Table(id, backend.NoPane)
	if err != nil {
		t.Fatal(err)
	}
	return &rows{TB: t, backend: b, table: tab}
}

// row returns the row of a key, made when it does not exist.
func (r *rows) row(key uint64, mode backend.Mode) backend.Row {
	r.Helper()
	keys := backend.Keys{Hashes: []uint64{types.Mix64(key)}, Words: []uint64{key}}
	var found [1]backend.Row
	if _, err := r.table.Resolve(keys, mode, found[:], nil); err != nil {
		r.Fatal(err)
	}
	return found[0]
}

// point makes handles speak of a key.
func (r *rows) point(d *state.Declarations, key uint64) *declared.Cursor {
	r.Helper()
	c := declared.Of(d).Cursor()
	c.Table, c.Row = r.table, r.row(key, backend.InsertClean)
	return c
}

// serial returns the serial form of every row by key.
func (r *rows) serial() map[uint64]string {
	r.Helper()
	s, err := r.backend.Begin(1, true)
	if err != nil {
		r.Fatal(err)
	}
	defer s.Release()
	for done := false; !done; {
		if done, err = s.Step(1 << 20); err != nil {
			r.Fatal(err)
		}
	}
	out := map[uint64]string{}
	for _, part := range s.Parts() {
		entries := part.Entries()
		for e, ok := entries.Next(); ok; e, ok = entries.Next() {
			out[binary.LittleEndian.Uint64(e.Key)] = string(e.Value)
		}
		if err := entries.Err(); err != nil {
			r.Fatal(err)
		}
	}
	return out
}
