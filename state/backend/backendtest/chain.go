package backendtest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// part is a backend.Part read to its end.
type part struct {
	backend.Part
	entries []backend.Entry
}

// readParts iterates all parts, copies the entries and checks what a part promises.
func readParts(layout backend.RowLayout, parts []backend.Part) ([]part, error) {
	out, err := readEntries(parts)
	if err != nil {
		return nil, err
	}
	for _, p := range out {
		for _, entry := range p.entries {
			if entry.Deleted {
				continue
			}
			if _, _, err := backend.SplitValue(layout, entry.Value); err != nil {
				return nil, fmt.Errorf("table %d, pane %d: %w", p.Table, p.Pane, err)
			}
		}
	}
	return out, nil
}

// readEntries is readParts for parts that may be of anything.
func readEntries(parts []backend.Part) ([]part, error) {
	var out []part
	for _, p := range parts {
		read := part{Part: p}
		it := p.Entries()
		for {
			entry, ok := it.Next()
			if !ok {
				break
			}
			entry.Key = bytes.Clone(entry.Key)
			entry.Value = bytes.Clone(entry.Value)
			read.entries = append(read.entries, entry)
		}
		if err := it.Err(); err != nil {
			return nil, fmt.Errorf("pane %v: %w", p.Pane, err)
		}
		if err := read.check(); err != nil {
			return nil, fmt.Errorf("table %d, pane %d: %w", p.Table, p.Pane, err)
		}
		out = append(out, read)
	}
	return out, nil
}

func (p part) check() error {
	if n := len(p.entries); n > p.Rows || n < p.Rows && !p.AtMost {
		return fmt.Errorf("%d entries, the part says %d", len(p.entries), p.Rows)
	}
	for i, entry := range p.entries {
		if i > 0 && compareEntries(p.entries[i-1], entry) >= 0 {
			return fmt.Errorf("entries %d and %d are not in order: %08x %x, %08x %x", i-1, i,
				p.entries[i-1].Hash, p.entries[i-1].Key, entry.Hash, entry.Key)
		}
		if entry.Deleted && (p.Full || entry.Value != nil) {
			return fmt.Errorf("deleted key %x has a value or is in a full part", entry.Key)
		}
	}
	return nil
}

func compareEntries(a, b backend.Entry) int {
	return cmp.Or(cmp.Compare(a.Hash, b.Hash), bytes.Compare(a.Key, b.Key))
}

// apply returns the image that a snapshot adds up to on top of base.
func apply(
	layout backend.RowLayout, base image, panes []backend.PaneID, parts []part,
) (image, error) {
	out := image{}
	if !slices.IsSortedFunc(panes, comparePaneIDs) {
		return nil, fmt.Errorf("panes are not sorted: %v", panes)
	}
	for _, pane := range panes {
		out[pane] = maps.Clone(base[pane])
		if out[pane] == nil {
			out[pane] = map[string]content{}
		}
	}
	seen := map[backend.PaneID]bool{}
	for _, p := range parts {
		id := backend.PaneID{Table: p.Table, Pane: p.Pane}
		if out[id] == nil || seen[id] {
			return nil, fmt.Errorf("part of pane %v, which is not listed or has two", id)
		}
		seen[id] = true
		if p.Full {
			clear(out[id])
		}
		for _, entry := range p.entries {
			if entry.Deleted {
				delete(out[id], string(entry.Key))
				continue
			}
			fixed, vars, err := backend.SplitValue(layout, entry.Value)
			if err != nil {
				return nil, err
			}
			out[id][string(entry.Key)] = content{hash: entry.Hash, row: contentOf(layout, fixed,
				func(slot int) []byte { return vars[slot] })}
		}
	}
	return out, nil
}

func comparePaneIDs(a, b backend.PaneID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Pane, b.Pane))
}

// finish steps a snapshot to its end, reads it, releases it and returns the image on top of
// base, with the parts.
func finish(
	layout backend.RowLayout, base image, snapshot backend.Snapshot,
) (image, []part, error) {
	defer snapshot.Release()
	for {
		done, err := snapshot.Step(4 << 10)
		if err != nil {
			return nil, nil, err
		}
		if done {
			break
		}
	}
	parts, err := readParts(layout, snapshot.Parts())
	if err != nil {
		return nil, nil, err
	}
	out, err := apply(layout, base, snapshot.Panes(), parts)
	return out, parts, err
}

// entriesOf are entries of a slice, for Restore.
type entriesOf struct {
	rest []backend.Entry
	err  error
}

func (e *entriesOf) Next() (backend.Entry, bool) {
	if len(e.rest) == 0 {
		return backend.Entry{}, false
	}
	entry := e.rest[0]
	e.rest = e.rest[1:]
	return entry, true
}

func (e *entriesOf) Err() error { return e.err }

// store is what a chain of snapshots has become in files: for every pane the entries of all
// rows.
type store map[backend.PaneID]map[string]backend.Entry

// add returns the store with a snapshot on top.
func (s store) add(panes []backend.PaneID, parts []part) store {
	out := store{}
	for _, pane := range panes {
		out[pane] = maps.Clone(s[pane])
		if out[pane] == nil {
			out[pane] = map[string]backend.Entry{}
		}
	}
	for _, p := range parts {
		rows := out[backend.PaneID{Table: p.Table, Pane: p.Pane}]
		if p.Full {
			clear(rows)
		}
		for _, entry := range p.entries {
			if entry.Deleted {
				delete(rows, string(entry.Key))
			} else {
				rows[string(entry.Key)] = entry
			}
		}
	}
	return out
}

// restore puts everything into a backend whose tables are declared, in two calls a pane.
func (s store) restore(b backend.Backend) error {
	for _, id := range slices.SortedFunc(maps.Keys(s), comparePaneIDs) { // rows come first
		rows := s[id]
		entries := slices.SortedFunc(maps.Values(rows), compareEntries)
		const middle = 1 << 31
		split, _ := slices.BinarySearchFunc(entries, uint32(middle),
			func(e backend.Entry, hash uint32) int { return cmp.Compare(e.Hash, hash) })
		err := b.Restore(id.Table, id.Pane, types.HashRange{Lo: 0, Hi: middle - 1},
			&entriesOf{rest: entries[:split]})
		if err == nil {
			err = b.Restore(id.Table, id.Pane, types.HashRange{Lo: middle, Hi: 1<<32 - 1},
				&entriesOf{rest: entries[split:]})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
