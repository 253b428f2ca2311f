package backendtest

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/leat-io/leat/state/backend"
)

// sweepPass is a pass over a table, and what it has met.
type sweepPass struct {
	cursor uint64
	met    map[string]int
	f      *fixture
	table  backend.Table
}

func (f *fixture) sweepPass(table backend.Table) *sweepPass {
	return &sweepPass{met: map[string]int{}, f: f, table: table}
}

// keyBytes copies the canonical bytes of a row's key.
func keyBytes(table backend.Table, row backend.Row) []byte {
	words, bytes := table.Key(row)
	out := slices.Clone(bytes)
	for _, word := range words {
		out = binary.LittleEndian.AppendUint64(out, word)
	}
	return out
}

// step visits some rows, with then do; nil only counts.
func (p *sweepPass) step(rows int, then func(key []byte, row backend.Row) bool) (done bool) {
	p.f.Helper()
	visits := 0
	p.cursor, done = p.table.(backend.Sweeper).Sweep(p.cursor, rows, func(row backend.Row) bool {
		visits++
		key := keyBytes(p.table, row)
		p.met[string(key)]++
		return then == nil || then(key, row)
	})
	if visits > rows {
		p.f.Fatalf("%d visits, %d were asked for", visits, rows)
	}
	if done != (p.cursor == 0) && rows > 0 && visits > 0 {
		p.f.Fatalf("cursor %d, done %v", p.cursor, done)
	}
	return done
}

// testSweep: a pass in steps of any size meets every row that is there all the time, once when
// nothing else happens; it stops when told to; rows may be deleted in it.
func testSweep(f *fixture) {
	_, table := f.table()
	if _, ok := table.(backend.Sweeper); !ok {
		f.Skip("this backend has no Sweep, which is optional")
	}
	if !f.sweepPass(table).step(1000, nil) {
		f.Error("a pass over an empty table does not end")
	}
	keys := f.numbers(0, 3000)
	f.resolve(table, backend.Insert, keys...)
	for _, rows := range []int{1, 7, 500, 1 << 20} {
		p := f.sweepPass(table)
		for !p.step(rows, nil) {
		}
		if len(p.met) != len(keys) {
			f.Errorf("steps of %d meet %d rows of %d", rows, len(p.met), len(keys))
		}
		for key, n := range p.met {
			if n != 1 {
				f.Fatalf("steps of %d meet key %x %d times", rows, key, n)
			}
		}
	}
	p := f.sweepPass(table)
	for done := false; !done; {
		before := len(p.met)
		done = p.step(1000, func([]byte, backend.Row) bool { return false })
		if len(p.met) > before+1 {
			f.Fatalf("%d visits after false", len(p.met)-before)
		}
	}
	if len(p.met) != len(keys) {
		f.Errorf("a pass row by row meets %d rows of %d", len(p.met), len(keys))
	}
	p = f.sweepPass(table)
	for !p.step(100, func(_ []byte, row backend.Row) bool {
		f.must(table.Delete(row))
		return true
	}) {
	}
	if table.Len() != 0 {
		f.Errorf("%d rows are left", table.Len())
	}
}

// testSweepChanges: a pass meets every row that is there all the time, whatever is inserted and
// deleted between its steps, also when that makes the table grow to many times its size, and
// while a snapshot is copied.
func testSweepChanges(f *fixture) {
	b, table := f.table()
	if _, ok := table.(backend.Sweeper); !ok {
		f.Skip("this backend has no Sweep, which is optional")
	}
	const seeds, most = 2, 400
	f.resolve(table, backend.Insert, f.numbers(0, 2000)...)
	next := 2000
	for seed := range uint64(seeds) {
		f.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		there := map[string][]byte{} // since before the pass
		table.Scan(func(row backend.Row) bool {
			key := keyBytes(table, row)
			there[string(key)] = key
			return true
		})
		victims := slices.Sorted(maps.Keys(there))
		s, err := b.Begin(seed+1, seed%2 == 0)
		f.must(err)
		p, copied := f.sweepPass(table), false
		for steps := 0; !p.step(1+random.IntN(50), nil); steps++ {
			if steps < 30 { // else the pass would run after the inserts
				f.resolve(table, backend.Insert, f.numbers(next, 1+random.IntN(most))...)
				next += most
			}
			if len(victims) > 0 && random.IntN(2) == 0 {
				i := random.IntN(len(victims))
				f.remove(table, there[victims[i]])
				delete(there, victims[i])
				victims = slices.Delete(victims, i, i+1)
			}
			if !copied {
				copied, err = s.Step(1 << 10)
				f.must(err)
			}
		}
		s.Release()
		maps.DeleteFunc(there, func(key string, _ []byte) bool { return p.met[key] > 0 })
		if len(there) > 0 {
			f.Errorf("a pass misses %d rows", len(there))
		}
	}
}
