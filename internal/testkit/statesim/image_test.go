package statesim

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// image is the content of state in a form that can be compared: by table, pane and key of an
// entry what is there. The blocks of a list are joined under the key of its row.
type image map[backend.PaneID]map[string]string

// imageOf adds everything a backend holds to an image.
func (i image) add(b backend.Backend, checkpoint uint64) error {
	snapshot, err := b.Begin(checkpoint, true)
	if err != nil {
		return err
	}
	defer snapshot.Release()
	for done := false; !done; {
		if done, err = snapshot.Step(1 << 20); err != nil {
			return err
		}
	}
	for _, part := range snapshot.Parts() {
		id := backend.PaneID{Table: part.Table, Pane: part.Pane}
		if i[id] == nil {
			i[id] = map[string]string{}
		}
		entries := part.Entries()
		for e, ok := entries.Next(); ok; e, ok = entries.Next() {
			key := bytes.Clone(e.Key)
			if list := listOf(part.Table); list != nil {
				row, _, err := backend.SplitEntryKey(list.KeyWords, e.Key)
				if err != nil {
					return err
				}
				key = backend.AppendEntryKey(nil, list.KeyWords, row, nil)
			}
			i[id][string(key)] += string(e.Value)
		}
		if err := entries.Err(); err != nil {
			return err
		}
	}
	return nil
}

func comparePanes(a, b backend.PaneID) int {
	if a.Table != b.Table {
		return int(a.Table) - int(b.Table)
	}
	return compare(a.Pane, b.Pane)
}

func compare[T ~int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// without returns the image without what is over at a time.
func (i image) without(now int64) image {
	out := maps.Clone(i)
	over := func(element []byte) bool {
		return int64(binary.LittleEndian.Uint64(element))+ttlMillis <= now
	}
	for id, entries := range i {
		switch {
		case id.Table == backend.CollectionTable(texts, 0):
			out[id] = maps.Clone(entries)
			maps.DeleteFunc(out[id], func(_, value string) bool { return over([]byte(value)) })
		case listOf(id.Table) != nil:
			out[id] = map[string]string{}
			for key, value := range entries {
				if list := livingElements([]byte(value), over); len(list) > 0 {
					out[id][key] = string(list)
				}
			}
		}
	}
	return out
}

func livingElements(rest []byte, over func([]byte) bool) (list []byte) {
	for len(rest) > 0 {
		element, behind, err := backend.NextElement(rest)
		if err != nil {
			return rest // differs from what it should be
		}
		if !over(element) {
			list = backend.AppendElement(list, element)
		}
		rest = behind
	}
	return list
}

// differs says how another image differs from this one, "" when it does not. Panes without
// entries do not count.
func (i image) differs(other image) string {
	for _, id := range slices.SortedFunc(maps.Keys(i), comparePanes) {
		for key, value := range i[id] {
			if got, ok := other[id][key]; !ok || got != value {
				return fmt.Sprintf("table %d, pane %d, key %x: %.60q (%v), want %.60q", id.Table,
					id.Pane, key, got, ok, value)
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(other), comparePanes) {
		for key, value := range other[id] {
			if _, ok := i[id][key]; !ok {
				return fmt.Sprintf("table %d, pane %d, key %x: %.60q should not be there",
					id.Table, id.Pane, key, value)
			}
		}
	}
	return ""
}

// restore puts an image, that of all hashes, into an empty backend.
func (i image) restore(b backend.Backend) error {
	for _, id := range slices.SortedFunc(maps.Keys(i), comparePanes) {
		if err := i.restorePane(b, id); err != nil {
			return fmt.Errorf("table %d, pane %d: %w", id.Table, id.Pane, err)
		}
	}
	return nil
}

func (i image) restorePane(b backend.Backend, id backend.PaneID) error {
	var entries []backend.Entry
	for key, value := range i[id] {
		e := backend.Entry{Key: []byte(key), Value: []byte(value)}
		var err error
		if e.Hash, err = hashOf(id.Table, e.Key); err != nil {
			return err
		}
		if listOf(id.Table) != nil { // all elements as one block
			e.Key = backend.AppendBlockNumber(e.Key, 0)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b backend.Entry) int {
		return cmp.Or(cmp.Compare(a.Hash, b.Hash), bytes.Compare(a.Key, b.Key))
	})
	return b.Restore(id.Table, id.Pane, types.AllHashes, &entriesOf{entries})
}

// hashOf returns the hash of the key of the row that an entry belongs to.
func hashOf(id backend.TableID, entryKey []byte) (uint32, error) {
	row := entryKey
	for table, layout := range layouts {
		collections := backend.TableID(len(layout.Collections))
		if id <= table || id > table+collections {
			continue
		}
		var err error
		if row, _, err = backend.SplitEntryKey(layout.KeyWords, entryKey); err != nil {
			return 0, err
		}
	}
	if id == timers {
		row = entryKey[:8]
	}
	if id >= texts && id < timers {
		return uint32(types.HashBytes(row) >> 32), nil
	}
	return uint32(types.HashInt64(int64(binary.LittleEndian.Uint64(row))) >> 32), nil
}

type entriesOf struct{ rest []backend.Entry }

func (e *entriesOf) Next() (backend.Entry, bool) {
	if len(e.rest) == 0 {
		return backend.Entry{}, false
	}
	first := e.rest[0]
	e.rest = e.rest[1:]
	return first, true
}

func (e *entriesOf) Err() error { return nil }
