package backendtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// The rows of the random runs of collections: a word of their own, a map, a list, a value.
const (
	wordAt, mapAt, listAt, valueAt = 0, 8, 16, 24

	theMap, theList = 0, 1
)

func elementLayout(keyWords int) backend.RowLayout {
	return backend.RowLayout{
		KeyWords: keyWords, FixedBytes: 32, VarSlots: []int{valueAt},
		Collections: []backend.CollectionLayout{
			theMap:  {Kind: backend.OrderedMap, Slot: mapAt},
			theList: {Kind: backend.List, Slot: listAt},
		},
	}
}

// runElements drives collections and timers with random operations and compares them with a
// model after every batch, snapshot and restore.
func runElements(t *testing.T, factory backend.Factory) {
	for keyWords := range 3 {
		for seed := range uint64(6) {
			seed := seed*100 + uint64(keyWords)
			t.Run(fmt.Sprintf("words=%d,seed=%d", keyWords, seed), func(t *testing.T) {
				t.Logf("seed %d", seed)
				r := newElements(keyWords, seed, factory)
				defer r.close()
				for range 200 {
					if err := r.operation(); err != nil {
						t.Fatalf("seed %d, operation %d: %v", seed, r.now, err)
					}
				}
				if r.snapshots < 6 {
					t.Errorf("only %d snapshots were compared", r.snapshots)
				}
			})
		}
	}
}

// elements is one run: a backend, what it should hold, and what its snapshots became.
type elements struct {
	rng     *rand.Rand
	factory backend.Factory
	layout  backend.RowLayout
	timing  backend.TimerLayout

	backend  backend.Backend
	table    backend.TableID
	services backend.TableID
	timers   backend.Timers

	keys, userKeys int // universes
	now            int // operations done
	model          *elementModel
	due            backend.Due

	copying    *elementsCopy
	checkpoint uint64
	confirmed  elementsDurable
	finished   []elementsDurable
	snapshots  int
}

// elementsDurable is a finished snapshot.
type elementsDurable struct {
	checkpoint uint64
	began      int
	model      *elementModel // at the barrier
	store      store
}

type elementsCopy struct {
	snapshot backend.Snapshot
	elementsDurable
	base   elementsDurable
	full   bool
	budget int
	steps  int
}

func newElements(keyWords int, seed uint64, factory backend.Factory) *elements {
	r := &elements{
		rng: rand.New(rand.NewPCG(seed, 2)), factory: factory, layout: elementLayout(keyWords),
	}
	r.timing = backend.TimerLayout{KeyWords: keyWords, NamespaceWords: int(seed/100) % 3}
	r.keys = []int{3, 40, 700}[r.rng.IntN(3)]
	r.userKeys = []int{6, 150, 4000}[r.rng.IntN(3)]
	r.confirmed.model = newElementModel()
	err := r.recover()
	invariant.Check(err == nil, "a new backend cannot be made: %v", err)
	return r
}

func (r *elements) close() {
	if r.copying != nil {
		r.copying.snapshot.Release()
	}
	err := r.backend.Close()
	invariant.Check(err == nil, "the backend cannot be closed: %v", err)
}

// recover starts over with a new backend from the last confirmed snapshot.
func (r *elements) recover() error {
	b, err := r.factory.New(backend.Options{Bounds: types.AllHashes})
	if err != nil {
		return err
	}
	r.backend = b
	if r.table, err = b.Declare(r.layout); err != nil {
		return err
	}
	if r.services, err = b.DeclareTimers(r.timing); err != nil {
		return err
	}
	if want := backend.CollectionTable(r.table, 2); r.services != want {
		return fmt.Errorf("timers have table %d, want %d", r.services, want)
	}
	if err := r.confirmed.store.restore(b); err != nil {
		return err
	}
	if r.timers, err = b.Timers(r.services); err != nil {
		return err
	}
	r.model = r.confirmed.model.clone()
	clear(r.model.changed)
	r.copying, r.finished = nil, nil
	r.confirmed.began = r.now
	return r.compareAll()
}

// operation does one of the things a task does between two batches, or a batch.
func (r *elements) operation() error {
	r.now++
	if err := r.step(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	switch what := r.rng.IntN(100); {
	case what < 4:
		return r.drop()
	case what < 22:
		return r.begin()
	case what < 32:
		r.confirm()
		return nil
	case what < 34:
		r.close()
		return r.recover()
	case what < 38:
		return r.compareAll()
	case what < 60:
		return r.time()
	default:
		return r.batch()
	}
}

func (r *elements) pane() backend.Pane {
	if r.rng.IntN(3) > 0 {
		return backend.NoPane
	}
	return backend.Pane(r.rng.IntN(3) * 1000)
}

func (r *elements) drop() error {
	pane := r.pane()
	if pane == backend.NoPane {
		return nil
	}
	r.model.drop(r.table, pane)
	return r.backend.Drop(r.table, pane)
}

// batch changes some rows of a pane.
func (r *elements) batch() error {
	pane := r.pane()
	table, err := r.backend.Table(r.table, pane)
	if err != nil {
		return err
	}
	drawn := map[string]bool{}
	for range 1 + r.rng.IntN(20) {
		drawn[string(keyOf(r.layout, r.rng.IntN(r.keys)))] = true
	}
	var keys [][]byte
	for _, key := range slices.Sorted(maps.Keys(drawn)) {
		keys = append(keys, []byte(key))
	}
	rows := make([]backend.Row, len(keys))
	if _, err = table.Resolve(
		keysOf(r.layout, hashOf, keys), backend.InsertClean, rows, nil); err != nil {
		return err
	}
	for i, row := range rows {
		e := elementRow{r: r, table: table, row: row, model: r.model.row(r.table, pane, keys[i])}
		e.id = backend.PaneID{Table: r.table, Pane: pane}
		r.model.change(e.id, keys[i], r.now)
		if err := e.operations(); err != nil {
			return fmt.Errorf("row %x: %w", keys[i], err)
		}
	}
	return nil
}

// elementRow is a row and what it should hold.
type elementRow struct {
	r     *elements
	table backend.Table
	row   backend.Row
	id    backend.PaneID
	model *rowModel
}

func (e *elementRow) operations() error {
	// A row that was just made counts as changed, and is NEW only then; touch it now and then.
	n := 1 + e.r.rng.IntN(12)
	if e.r.rng.IntN(10) == 0 {
		n = 200
	}
	for range n {
		if err := e.operation(); err != nil {
			return err
		}
	}
	if err := e.check(); err != nil {
		return err
	}
	if e.r.rng.IntN(15) > 0 {
		return nil
	}
	for userKey := range e.model.entries {
		e.changed(theMap, userKey)
	}
	e.r.model.remove(e.id, e.model.key)
	return e.table.Delete(e.row)
}

func (e *elementRow) changed(collection int, userKey string) {
	id := backend.PaneID{Table: backend.CollectionTable(e.id.Table, collection), Pane: e.id.Pane}
	key := backend.AppendEntryKey(nil, e.r.layout.KeyWords, e.model.key, []byte(userKey))
	e.r.model.change(id, key, e.r.now)
}

func (e *elementRow) operation() error {
	rng := e.r.rng
	switch what := rng.IntN(100); {
	case what < 45:
		userKey, value := e.r.userKey(), e.r.text()
		e.model.entries[userKey] = string(value)
		e.changed(theMap, userKey)
		return e.table.MapPut(e.row, theMap, []byte(userKey), value)
	case what < 60:
		return e.delete(e.r.userKey())
	case what < 65:
		return e.deleteFirst()
	case what < 85:
		value := e.r.text()
		e.model.list = append(e.model.list, string(value))
		return e.table.ListAppend(e.row, theList, value)
	case what < 87:
		e.model.list = nil
		return e.table.Clear(e.row, theList)
	case what < 88:
		for userKey := range e.model.entries {
			e.changed(theMap, userKey)
		}
		clear(e.model.entries)
		return e.table.Clear(e.row, theMap)
	case what < 94:
		if err := e.table.Change(e.row); err != nil {
			return err
		}
		e.model.word = rng.Uint64()
		*(*uint64)(e.table.Fixed(e.row)) = e.model.word
		e.model.value = string(e.r.text())
		return e.table.SetValue(e.row, 0, []byte(e.model.value))
	default:
		return e.get(e.r.userKey())
	}
}

func (e *elementRow) get(userKey string) error {
	got, ok := e.table.MapGet(e.row, theMap, []byte(userKey))
	want, wanted := e.model.entries[userKey]
	if ok != wanted || string(got) != want {
		return fmt.Errorf("get %x: %.40x (%v), want %.40x (%v)", userKey, got, ok, want, wanted)
	}
	return nil
}

func (e *elementRow) delete(userKey string) error {
	existed, err := e.table.MapDelete(e.row, theMap, []byte(userKey))
	if _, want := e.model.entries[userKey]; existed != want {
		return fmt.Errorf("delete %x: existed %v, want %v", userKey, existed, want)
	}
	if existed {
		delete(e.model.entries, userKey)
		e.changed(theMap, userKey)
	}
	return err
}

// deleteFirst cuts a prefix off, as expiry does.
func (e *elementRow) deleteFirst() error {
	first := slices.Sorted(maps.Keys(e.model.entries))
	for _, userKey := range first[:min(len(first), e.r.rng.IntN(30))] {
		if err := e.delete(userKey); err != nil {
			return err
		}
	}
	return nil
}

// check compares everything a row holds, and some ranges.
func (e *elementRow) check() error {
	fixed := e.table.Fixed(e.row)
	words := (*[4]uint64)(fixed)
	if words[wordAt/8] != e.model.word {
		return fmt.Errorf("word %x, want %x", words[wordAt/8], e.model.word)
	}
	if got := e.table.Value(e.row, 0); string(got) != e.model.value {
		return fmt.Errorf("value %.40q, want %.40q", got, e.model.value)
	}
	if (words[mapAt/8] == 0) != (len(e.model.entries) == 0) ||
		(words[listAt/8] == 0) != (len(e.model.list) == 0) {
		return fmt.Errorf("slots %x and %x with %d entries and %d elements", words[mapAt/8],
			words[listAt/8], len(e.model.entries), len(e.model.list))
	}
	if n, m := e.table.Elements(e.row, theMap), e.table.Elements(e.row, theList); n !=
		len(e.model.entries) || m != len(e.model.list) {
		return fmt.Errorf("it says %d entries and %d elements, want %d and %d", n, m,
			len(e.model.entries), len(e.model.list))
	}
	var list []string
	e.table.ListScan(e.row, theList, func(element []byte) bool {
		list = append(list, string(element))
		return true
	})
	if !slices.Equal(list, e.model.list) {
		return fmt.Errorf("list of %d elements differs from %d wanted", len(list),
			len(e.model.list))
	}
	if err := e.checkRange(nil, nil); err != nil {
		return err
	}
	from, to := []byte(e.r.userKey()), []byte(e.r.userKey())
	if e.r.rng.IntN(4) == 0 {
		to = nil
	}
	return e.checkRange(from, to)
}

// checkRange compares a range of the map in both directions, with an early end.
func (e *elementRow) checkRange(from, to []byte) error {
	var want []string
	for _, userKey := range slices.Sorted(maps.Keys(e.model.entries)) {
		if userKey >= string(from) && (to == nil || userKey < string(to)) {
			want = append(want, userKey)
		}
	}
	limit := 1 + e.r.rng.IntN(len(want)+2)
	scan := func(collect func(f func(userKey, value []byte) bool)) (got []string, err error) {
		collect(func(userKey, value []byte) bool {
			if e.model.entries[string(userKey)] != string(value) {
				err = fmt.Errorf("scan finds another value at %x", userKey)
			}
			got = append(got, string(userKey))
			return len(got) < limit
		})
		return got, err
	}
	got, err := scan(func(f func(userKey, value []byte) bool) {
		e.table.MapScan(e.row, theMap, from, to, f)
	})
	if short := want[:min(limit, len(want))]; err != nil || !slices.Equal(got, short) {
		return fmt.Errorf("scan from %x to %x: %x, want %x: %w", from, to, got, short, err)
	}
	got, err = scan(func(f func(userKey, value []byte) bool) {
		e.table.MapScanBack(e.row, theMap, from, to, f)
	})
	slices.Reverse(want)
	if short := want[:min(limit, len(want))]; err != nil || !slices.Equal(got, short) {
		return fmt.Errorf("scan back from %x to %x: %x, want %x: %w", from, to, got, short, err)
	}
	return nil
}

// userKey draws a user key: short and long ones, with prefixes in common.
func (r *elements) userKey() string {
	i := r.rng.IntN(r.userKeys)
	switch i % 5 {
	case 0:
		return string(binary.BigEndian.AppendUint64(nil, uint64(i)))
	case 1:
		return strings.Repeat("prefix ", i%7) + fmt.Sprint(i)
	case 2:
		return strings.Repeat("\x00", i%11)
	case 3:
		return strings.Repeat("long "+fmt.Sprint(i%13), 40) + fmt.Sprint(i)
	}
	return fmt.Sprint(i)
}

// text draws a value: mostly small ones, some larger than any node.
func (r *elements) text() []byte {
	n := r.rng.IntN(40)
	switch r.rng.IntN(150) {
	case 0:
		n = r.rng.IntN(20_000)
	case 1, 2, 3, 4:
		n = r.rng.IntN(900)
	case 5, 6, 7, 8:
		n = 0
	}
	return []byte(strings.Repeat(fmt.Sprint(r.now, " "), n/2+1)[:n])
}

// compareAll reads the whole backend.
func (r *elements) compareAll() error {
	for id, rows := range r.model.panes {
		table, err := r.backend.Table(id.Table, id.Pane)
		if err != nil {
			return err
		}
		if table.Len() != len(rows) {
			return fmt.Errorf("pane %d: %d rows, want %d", id.Pane, table.Len(), len(rows))
		}
		table.Scan(func(row backend.Row) bool {
			words, octets := table.Key(row)
			key := bytes.Clone(octets)
			for _, word := range words {
				key = binary.LittleEndian.AppendUint64(key, word)
			}
			model := rows[string(key)]
			if model == nil {
				err = fmt.Errorf("pane %d: row %x should not be there", id.Pane, key)
				return false
			}
			e := elementRow{r: r, table: table, row: row, id: id, model: model}
			if err = e.check(); err != nil {
				err = fmt.Errorf("pane %d, row %x: %w", id.Pane, key, err)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	if r.timers.Len() < len(r.model.timers) {
		return fmt.Errorf("%d timers, want %d", r.timers.Len(), len(r.model.timers))
	}
	return nil
}

func (r *elements) begin() error {
	full, budget := r.rng.IntN(3) == 0, 1<<(6+r.rng.IntN(12))
	steps := r.rng.IntN(12)
	if r.copying != nil {
		return nil
	}
	r.checkpoint++
	snapshot, err := r.backend.Begin(r.checkpoint, full)
	if err != nil {
		return err
	}
	r.copying = &elementsCopy{snapshot: snapshot, base: r.confirmed, full: full, budget: budget,
		steps: steps, elementsDurable: elementsDurable{
			checkpoint: r.checkpoint, began: r.now, model: r.model.clone(),
		}}
	return nil
}

// confirm confirms a finished snapshot, which forgets the earlier ones.
func (r *elements) confirm() {
	draw := r.rng.IntN(1 << 20)
	if len(r.finished) == 0 {
		return
	}
	i := draw % len(r.finished)
	r.backend.Confirm(r.finished[i].checkpoint)
	r.confirmed = r.finished[i]
	r.finished = r.finished[i+1:]
}

// step copies some of a snapshot; when its steps are over it is aborted or finished and
// compared.
func (r *elements) step() error {
	abort := r.rng.IntN(8) == 0
	c := r.copying
	if c == nil {
		return nil
	}
	if c.steps > 0 {
		c.steps--
		_, err := c.snapshot.Step(c.budget)
		return err
	}
	r.copying = nil
	defer c.snapshot.Release()
	if abort {
		return nil
	}
	for {
		done, err := c.snapshot.Step(c.budget)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	parts, err := r.readBehind(c.snapshot)
	if err != nil {
		return err
	}
	return r.compare(c, parts)
}

// readBehind reads the parts in another goroutine while batches go on.
func (r *elements) readBehind(snapshot backend.Snapshot) ([]part, error) {
	group := lifecycle.NewGroup(context.Background(), "snapshot reader")
	var parts []part
	open := snapshot.Parts()
	group.Go("read parts", func(context.Context) (err error) {
		parts, err = readEntries(open)
		return err
	})
	var failed error
	for _, change := range []func() error{r.batch, r.time, r.batch, r.drop, r.time} {
		if failed == nil {
			failed = change()
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return parts, failed
}

// compare checks the parts of a finished snapshot against the model at its barrier.
func (r *elements) compare(c *elementsCopy, parts []part) error {
	panes := c.snapshot.Panes()
	if want := c.model.paneIDs(r.services); !slices.Equal(panes, want) {
		return fmt.Errorf("panes %v, want %v", panes, want)
	}
	for _, p := range parts {
		id := backend.PaneID{Table: p.Table, Pane: p.Pane}
		if c.full && !p.Full {
			return fmt.Errorf("table %d, pane %d: a delta in a full snapshot", p.Table, p.Pane)
		}
		if p.Full || id.Table == backend.CollectionTable(r.table, theList) {
			continue
		}
		for _, entry := range p.entries {
			if at := c.model.changed[id][string(entry.Key)]; at <= c.base.began {
				return fmt.Errorf("table %d: unchanged key %x (changed at %d, base %d) is in a "+
					"delta", id.Table, entry.Key, at, c.base.began)
			}
		}
	}
	c.store = c.base.store.add(panes, parts)
	got, err := r.imageOf(c.store)
	if err != nil {
		return err
	}
	if err := compareElements(c.model.image(r), got); err != nil {
		return fmt.Errorf("checkpoint %d on top of %d, full %v: %w", c.checkpoint,
			c.base.checkpoint, c.full, err)
	}
	r.finished = append(r.finished, c.elementsDurable)
	r.snapshots++
	return nil
}
