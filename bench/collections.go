package main

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/leat-io/leat/internal/state/table"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const (
	mapKeys    = 1_000_000
	mapEntries = 4
	listKeys   = 100_000
	listLength = 20
	mapOps     = 4_000_000
	batchRows  = 1024
	perRecord  = 64 // bytes each record allocates, as user code does, so that there is garbage
)

var recordGarbage []byte

// collectionsSuite measures maps and lists of keyed state: read and write of one entry of 4 of
// each of 1e6 keys against Go maps of maps, and appends to lists of 20 elements of 24 bytes beside
// the same without the lists.
func collectionsSuite(rounds int) error {
	perEntry := 0.0
	all, err := alternate(rounds, "ns CPU per get and put",
		contender{"Go maps of maps", func() (float64, error) { return goMaps(), nil }},
		contender{"ordered maps of rows", func() (ns float64, err error) {
			ns, perEntry, err = rowMaps()
			return ns, err
		}})
	if err != nil {
		return err
	}
	fmt.Printf("  %-36s %8.2f bytes an entry of 32\n", "", perEntry)
	verdict("map get and put", all[0].median()/all[1].median(), "at least", 3, "times as fast")
	perElement := 0.0
	lists, err := alternate(rounds, "ns CPU per append",
		contender{"rows alone, a count", func() (ns float64, err error) {
			ns, _, err = rowLists(func(r *rowsOf, row backend.Row, _ []byte) error {
				*(*uint64)(r.Fixed(row))++
				return nil
			})
			return ns, err
		}},
		contender{"lists of rows", func() (ns float64, err error) {
			ns, perElement, err = rowLists((*rowsOf).append)
			return ns, err
		}})
	if err != nil {
		return err
	}
	fmt.Printf("  %-36s %8.2f bytes an element of 24\n", "", perElement)
	verdict("list append", lists[1].median(), "at most", 130, "ns CPU")
	return nil
}

// scattered is the i-th of a sequence of numbers below n in no order.
func scattered(i, n int) uint64 {
	x := uint64(i) * 0x9e3779b97f4a7c15
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return (x ^ x>>32) % uint64(n)
}

func goMaps() float64 {
	m := map[uint64]map[uint64][24]byte{}
	for j := range uint64(mapEntries) {
		for key := range uint64(mapKeys) {
			if m[key] == nil {
				m[key] = map[uint64][24]byte{}
			}
			m[key][j] = [24]byte{}
		}
	}
	return perOperation(mapOps, func() {
		for i := range mapOps {
			inner := m[scattered(i, mapKeys)]
			userKey := uint64(i) % mapEntries
			value := inner[userKey]
			value[0]++
			inner[userKey] = value
			recordGarbage = make([]byte, perRecord)
		}
	})
}

// perOperation is the CPU time of n operations with a clean heap before.
func perOperation(n int, run func()) float64 {
	runtime.GC()
	before := cpuTime()
	run()
	return float64(cpuTime()-before) / float64(n)
}

// rowsOf is a table of rows with one collection.
type rowsOf struct {
	backend.Table
	backend backend.Backend
	keys    backend.Keys
	rows    [batchRows]backend.Row
}

func newRows(kind backend.CollectionKind) (*rowsOf, error) {
	b, err := table.Factory{}.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		return nil, err
	}
	id, err := b.Declare(backend.RowLayout{KeyWords: 1, FixedBytes: 8,
		Collections: []backend.CollectionLayout{{Kind: kind}}})
	if err != nil {
		return nil, err
	}
	t, err := b.Table(id, backend.NoPane)
	return &rowsOf{Table: t, backend: b, keys: backend.Keys{Hashes: make([]uint64, batchRows),
		Words: make([]uint64, batchRows)}}, err
}

// each resolves the rows of n keys, a batch at a time, and calls f for each.
func (r *rowsOf) each(n int, key func(i int) uint64, f func(i int, row backend.Row) error) error {
	for first := 0; first < n; first += batchRows {
		size := min(batchRows, n-first)
		for i := range size {
			r.keys.Words[i] = key(first + i)
			r.keys.Hashes[i] = types.HashInt64(int64(r.keys.Words[i]))
		}
		keys := backend.Keys{Hashes: r.keys.Hashes[:size], Words: r.keys.Words[:size]}
		if _, err := r.Resolve(keys, backend.InsertClean, r.rows[:size], nil); err != nil {
			return err
		}
		for i, row := range r.rows[:size] {
			if err := f(first+i, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func rowMaps() (ns, bytes float64, err error) {
	r, err := newRows(backend.OrderedMap)
	if err != nil {
		return 0, 0, err
	}
	var userKey [8]byte
	var value [24]byte
	for j := range uint64(mapEntries) {
		binary.BigEndian.PutUint64(userKey[:], j)
		err := r.each(mapKeys, func(i int) uint64 { return uint64(i) },
			func(_ int, row backend.Row) error { return r.MapPut(row, 0, userKey[:], value[:]) })
		if err != nil {
			return 0, 0, err
		}
	}
	ns = perOperation(mapOps, func() {
		err = r.each(mapOps, func(i int) uint64 { return scattered(i, mapKeys) },
			func(i int, row backend.Row) error {
				binary.BigEndian.PutUint64(userKey[:], uint64(i)%mapEntries)
				found, _ := r.MapGet(row, 0, userKey[:])
				copy(value[:], found)
				value[0]++
				recordGarbage = make([]byte, perRecord)
				return r.MapPut(row, 0, userKey[:], value[:])
			})
	})
	bytes = float64(r.backend.MemoryBytes()) / (mapKeys * mapEntries)
	if err != nil {
		return 0, 0, err
	}
	return ns, bytes, r.backend.Close()
}

func (r *rowsOf) append(row backend.Row, element []byte) error {
	return r.ListAppend(row, 0, element)
}

// rowLists finds the rows of random keys and appends to their lists, or does something else to
// them, which tells what finding them takes.
func rowLists(
	do func(r *rowsOf, row backend.Row, element []byte) error,
) (ns, bytes float64, err error) {
	r, err := newRows(backend.List)
	if err != nil {
		return 0, 0, err
	}
	var element [24]byte
	const appends = listKeys * listLength
	ns = perOperation(appends, func() {
		err = r.each(appends, func(i int) uint64 { return scattered(i, listKeys) },
			func(_ int, row backend.Row) error {
				recordGarbage = make([]byte, perRecord)
				return do(r, row, element[:])
			})
	})
	bytes = float64(r.backend.MemoryBytes()) / appends
	if err != nil {
		return 0, 0, err
	}
	return ns, bytes, r.backend.Close()
}
