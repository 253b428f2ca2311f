package backendtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leat-io/leat/state/backend"
)

// elementModel is what a backend with rows, collections and timers should hold.
type elementModel struct {
	panes  map[backend.PaneID]map[string]*rowModel
	timers map[timerModel]bool
	// changed says in which operation an entry, by table, pane and entry key, was last changed
	// or deleted.
	changed map[backend.PaneID]map[string]int
}

type rowModel struct {
	key     []byte
	word    uint64
	value   string
	entries map[string]string
	list    []string
}

// timerModel names a timer; its fields are compared in firing order.
type timerModel struct {
	timestamp int64
	key       string
	namespace [2]uint64
}

func newElementModel() *elementModel {
	return &elementModel{
		panes:   map[backend.PaneID]map[string]*rowModel{},
		timers:  map[timerModel]bool{},
		changed: map[backend.PaneID]map[string]int{},
	}
}

func (m *elementModel) clone() *elementModel {
	out := newElementModel()
	maps.Copy(out.timers, m.timers)
	for id, changed := range m.changed {
		out.changed[id] = maps.Clone(changed)
	}
	for id, rows := range m.panes {
		out.panes[id] = map[string]*rowModel{}
		for key, row := range rows {
			clone := *row
			clone.entries, clone.list = maps.Clone(row.entries), slices.Clone(row.list)
			out.panes[id][key] = &clone
		}
	}
	return out
}

// row returns the model of a row, made when it is new.
func (m *elementModel) row(table backend.TableID, pane backend.Pane, key []byte) *rowModel {
	id := backend.PaneID{Table: table, Pane: pane}
	if m.panes[id] == nil {
		m.panes[id] = map[string]*rowModel{}
	}
	row := m.panes[id][string(key)]
	if row == nil {
		row = &rowModel{key: key, entries: map[string]string{}}
		m.panes[id][string(key)] = row
	}
	return row
}

func (m *elementModel) remove(id backend.PaneID, key []byte) {
	delete(m.panes[id], string(key))
}

func (m *elementModel) change(id backend.PaneID, key []byte, now int) {
	if m.changed[id] == nil {
		m.changed[id] = map[string]int{}
	}
	m.changed[id][string(key)] = now
}

func (m *elementModel) drop(table backend.TableID, pane backend.Pane) {
	for _, id := range elementTables(table, pane) {
		delete(m.panes, id)
		delete(m.changed, id)
	}
}

// elementTables are a pane of the rows and those of their collections.
func elementTables(table backend.TableID, pane backend.Pane) []backend.PaneID {
	return []backend.PaneID{
		{Table: table, Pane: pane},
		{Table: backend.CollectionTable(table, theMap), Pane: pane},
		{Table: backend.CollectionTable(table, theList), Pane: pane},
	}
}

// paneIDs are the panes a snapshot has to list.
func (m *elementModel) paneIDs(services backend.TableID) []backend.PaneID {
	ids := []backend.PaneID{{Table: services, Pane: backend.NoPane}}
	for id := range m.panes {
		ids = append(ids, elementTables(id.Table, id.Pane)...)
	}
	slices.SortFunc(ids, comparePaneIDs)
	return ids
}

// elementImage is content in a form that can be compared: by table, pane and key what is
// there. The blocks of a list are joined under the key of its row.
type elementImage map[backend.PaneID]map[string]string

func (i elementImage) set(table backend.TableID, pane backend.Pane, key []byte, value string) {
	id := backend.PaneID{Table: table, Pane: pane}
	if i[id] == nil {
		i[id] = map[string]string{}
	}
	i[id][string(key)] += value
}

func (m *elementModel) image(r *elements) elementImage {
	out, words := elementImage{}, r.layout.KeyWords
	for id, rows := range m.panes {
		for _, row := range rows {
			fixed := make([]byte, r.layout.FixedBytes)
			binary.NativeEndian.PutUint64(fixed[wordAt:], row.word)
			serial := backend.AppendValue(nil, r.layout, fixed,
				func(int) []byte { return []byte(row.value) })
			out.set(id.Table, id.Pane, row.key, string(serial))
			for userKey, value := range row.entries {
				key := backend.AppendEntryKey(nil, words, row.key, []byte(userKey))
				out.set(backend.CollectionTable(id.Table, theMap), id.Pane, key, "="+value)
			}
			var list []byte
			for _, element := range row.list {
				list = backend.AppendElement(list, []byte(element))
			}
			if len(list) > 0 {
				key := backend.AppendEntryKey(nil, words, row.key, nil)
				out.set(backend.CollectionTable(id.Table, theList), id.Pane, key, string(list))
			}
		}
	}
	for t := range m.timers {
		out.set(r.services, backend.NoPane, t.entryKey(r.timing), "timer")
	}
	return out
}

func (t timerModel) entryKey(layout backend.TimerLayout) []byte {
	suffix := backend.AppendTimerSuffix(nil, t.timestamp, t.namespace[:layout.NamespaceWords])
	return backend.AppendEntryKey(nil, layout.KeyWords, []byte(t.key), suffix)
}

// imageOf reads the image that snapshots added up to.
func (r *elements) imageOf(s store) (elementImage, error) {
	out := elementImage{}
	for id, entries := range s {
		for _, key := range slices.Sorted(maps.Keys(entries)) { // blocks in order
			entry := entries[key]
			rowKey := entry.Key
			var suffix []byte
			if id.Table != r.table {
				var err error
				rowKey, suffix, err = backend.SplitEntryKey(r.layout.KeyWords, entry.Key)
				if err != nil {
					return nil, err
				}
			}
			if want := uint32(hashOf(rowKey) >> 32); entry.Hash != want {
				return nil, fmt.Errorf("table %d: key %x has hash %x, want %x", id.Table,
					entry.Key, entry.Hash, want)
			}
			switch id.Table {
			case r.services:
				if len(entry.Value) > 0 {
					return nil, fmt.Errorf("a timer with value %x", entry.Value)
				}
				out.set(id.Table, id.Pane, entry.Key, "timer")
			case backend.CollectionTable(r.table, theMap):
				out.set(id.Table, id.Pane, entry.Key, "="+string(entry.Value))
			case backend.CollectionTable(r.table, theList):
				if err := checkBlock(suffix, entry.Value); err != nil {
					return nil, fmt.Errorf("row %x: %w", rowKey, err)
				}
				key := backend.AppendEntryKey(nil, r.layout.KeyWords, rowKey, nil)
				out.set(id.Table, id.Pane, key, string(entry.Value))
			default:
				out.set(id.Table, id.Pane, entry.Key, string(entry.Value))
			}
		}
	}
	return out, nil
}

// checkBlock checks what a block of a list promises.
func checkBlock(suffix, block []byte) error {
	if _, err := backend.BlockNumber(suffix); err != nil {
		return err
	}
	_, rest, err := backend.NextElement(block)
	if err == nil && len(rest) > 0 && len(block) > backend.BlockBytes {
		err = fmt.Errorf("a block of %d bytes and several elements", len(block))
	}
	return err
}

func compareElements(want, got elementImage) error {
	for _, id := range slices.SortedFunc(maps.Keys(want), comparePaneIDs) {
		for key, value := range want[id] {
			if other, ok := got[id][key]; !ok || other != value {
				return fmt.Errorf("table %d, pane %d, key %x: %.60q (%v), want %.60q", id.Table,
					id.Pane, key, other, ok, value)
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(got), comparePaneIDs) {
		for key, value := range got[id] {
			if _, ok := want[id][key]; !ok {
				return fmt.Errorf("table %d, pane %d, key %x: %.60q should not be there",
					id.Table, id.Pane, key, value)
			}
		}
	}
	return nil
}

func compareTimers(a, b timerModel) int {
	switch {
	case a.timestamp != b.timestamp:
		if a.timestamp < b.timestamp {
			return -1
		}
		return 1
	case a.key != b.key:
		return strings.Compare(a.key, b.key)
	}
	return slices.Compare(a.namespace[:], b.namespace[:])
}
