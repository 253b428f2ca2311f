package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leat-io/leat/filesystem"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/state/run"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// Query says which entries of a section to read.
type Query struct {
	// Key is a key as a person writes it; with HasKey only its entries are read.
	Key    string
	HasKey bool
}

// CheckKey says what is wrong with the key of a query.
func (s *Section) CheckKey(q Query) error {
	if !q.HasKey {
		return nil
	}
	if _, _, err := s.key.parse(q.Key); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	return nil
}

// Scan calls f for the entries of a section, subtask by subtask and window by window, in the order
// of their hashes, until f returns false. The entry belongs to f. An error names what cannot be
// read: file and offset, or the state and the bytes.
func (c *Checkpoint) Scan(ctx context.Context, s *Section, q Query, f func(Entry) bool) error {
	scan := scan{ctx: ctx, open: c.open, section: s, yield: f, bounds: types.AllHashes,
		objects: map[string]filesystem.ReadAtCloser{}}
	if q.HasKey {
		canonical, hash, err := s.key.parse(q.Key)
		if err != nil {
			return fmt.Errorf("view: %w", err)
		}
		top := uint32(hash >> 32)
		scan.wanted, scan.bounds = canonical, types.HashRange{Lo: top, Hi: top}
		scan.byKey = true
	}
	err := scan.run()
	for _, object := range scan.objects {
		err = errors.Join(err, object.Close())
	}
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("view: read state %q: %w", s.States[0].Name, err)
	}
	return nil
}

// errEnough ends a scan that has found what it was to find.
var errEnough = errors.New("enough")

// scan is one pass over a section.
type scan struct {
	ctx     context.Context
	open    run.Opener
	section *Section
	yield   func(Entry) bool
	bounds  types.HashRange
	wanted  []byte // canonical bytes of the only key, when byKey
	byKey   bool
	objects map[string]filesystem.ReadAtCloser

	lastKey []byte // of the list whose elements are counted
	index   int
}

func (s *scan) run() error {
	subtasks := slices.Clone(s.section.operator.GetSubtasks())
	slices.SortStableFunc(subtasks, func(a, b *protocol.OperatorSubtaskState) int {
		return int(a.GetSubtask()) - int(b.GetSubtask())
	})
	for _, subtask := range subtasks {
		keyed := subtask.GetKeyed()
		bounds := types.HashRange{Lo: max(keyed.GetHashLo(), s.bounds.Lo),
			Hi: min(keyed.GetHashHi(), s.bounds.Hi)}
		if keyed == nil || bounds.Lo > bounds.Hi {
			continue
		}
		panes := slices.Clone(keyed.GetPanes())
		slices.SortStableFunc(panes, func(a, b *protocol.PaneRuns) int {
			return compare(a.GetPane(), b.GetPane())
		})
		for _, pane := range panes {
			if pane.GetTable() != uint32(s.section.table) {
				continue
			}
			if err := s.pane(subtask.GetSubtask(), pane, bounds); err != nil {
				return err
			}
		}
	}
	return nil
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// pane reads the rows that the runs of a pane amount to.
func (s *scan) pane(subtask uint32, pane *protocol.PaneRuns, bounds types.HashRange) (err error) {
	sources, err := s.sources(pane.GetRuns(), bounds)
	defer func() {
		for _, source := range sources {
			err = errors.Join(err, source.Run.Close())
		}
	}()
	if err != nil {
		return err
	}
	merged := run.Merge(sources, bounds)
	defer func() { err = errors.Join(err, merged.Close()) }()
	window := s.section.windowOf(backend.Pane(pane.GetPane()))
	s.lastKey, s.index = s.lastKey[:0], -1
	for e, ok := merged.Next(); ok; e, ok = merged.Next() {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		entry := Entry{Subtask: subtask, Hash: e.Hash, Window: window}
		if err := s.entry(entry, e); err != nil {
			return err
		}
	}
	return merged.Err()
}

// sources opens the runs that hold hashes inside bounds. What it returns has to be closed.
func (s *scan) sources(runs []*protocol.Run, bounds types.HashRange) ([]run.Source, error) {
	var sources []run.Source
	for _, r := range runs {
		own := types.HashRange{Lo: r.GetHashLo(), Hi: r.GetHashHi()}
		if own.Lo > bounds.Hi || own.Hi < bounds.Lo {
			continue
		}
		if r.GetFormat() != run.Format {
			return sources, fmt.Errorf("run format %d of %s is unknown, this version reads "+
				"format %d", r.GetFormat(), placeOf(r), run.Format)
		}
		reader, err := s.reader(r)
		if err != nil {
			return sources, fmt.Errorf("%s: %w", placeOf(r), err)
		}
		sources = append(sources, run.Source{Run: reader, Bounds: own})
	}
	return sources, nil
}

func (s *scan) reader(r *protocol.Run) (*run.Reader, error) {
	if r.GetFile() == nil {
		return run.Open(r.GetInline(), r.GetDigest())
	}
	name := r.GetFile().GetPath()
	object := s.objects[name]
	if object == nil {
		var err error
		if object, err = s.open(s.ctx, name); err != nil {
			return nil, err
		}
		s.objects[name] = object
	}
	if have := object.Size(); have < r.GetOffset()+r.GetLength() {
		return nil, fmt.Errorf("%w: the object has %d bytes of %d", run.ErrTruncated, have,
			r.GetFile().GetSize())
	}
	return run.OpenAt(s.ctx, object, r.GetOffset(), r.GetLength())
}

// placeOf names a run in errors.
func placeOf(r *protocol.Run) string {
	if r.GetFile() == nil {
		return "a run in _metadata"
	}
	return fmt.Sprintf("file %q at offset %d", r.GetFile().GetPath(), r.GetOffset())
}

// entry decodes one entry of a run and yields what it holds.
func (s *scan) entry(entry Entry, e backend.Entry) error {
	key, suffix := e.Key, []byte(nil)
	if form := s.section.Form; form != RowForm && form != RawForm {
		var err error
		if key, suffix, err = backend.SplitEntryKey(s.section.keyWords(), e.Key); err != nil {
			return err
		}
	}
	var err error
	own := key // without the window
	if s.section.inKey {
		if own, entry.Window, err = keyWindow(key); err != nil {
			return err
		}
	}
	if s.byKey && !bytes.Equal(own, s.wanted) {
		return nil
	}
	entry.Key = s.section.key.decode(own)
	switch s.section.Form {
	case RowForm:
		if entry.Values, err = s.section.rowValues(e.Value); err != nil {
			return s.failed(entry, err)
		}
	case RawForm:
		entry.Values = []Value{{Set: true, Value: Octets(bytes.Clone(e.Value))}}
	case MapForm:
		if err := s.mapEntry(&entry, suffix, e.Value); err != nil {
			return s.failed(entry, err)
		}
	case TimerForm:
		ts, namespace, err := backend.SplitTimerSuffix(s.section.timers, suffix)
		if err != nil {
			return s.failed(entry, err)
		}
		entry.Timestamp = timeText(ts, 0)
		entry.Namespace = append(entry.Namespace, namespace[:s.section.timers.NamespaceWords]...)
	case ListForm:
		return s.block(entry, key, e.Value)
	}
	return s.give(entry)
}

func (s *scan) failed(entry Entry, err error) error {
	return fmt.Errorf("key %s: %w", Text(entry.Key), err)
}

func (s *scan) give(entry Entry) error {
	if !s.yield(entry) {
		return errEnough
	}
	return nil
}

func (s *scan) mapEntry(entry *Entry, suffix, value []byte) (err error) {
	kind, v := s.section.States[0].Kind, Value{Set: true}
	if kind == kindTriggers {
		v.Value = triggerValue(value)
		entry.Values = []Value{v}
		entry.UserKey, err = triggerKey(s.section.user, suffix)
		return err
	}
	if entry.UserKey, err = s.section.user.decode(suffix); err != nil {
		return err
	}
	if kind == kindElements {
		if v.EventTime, value, err = elementTime(value); err != nil {
			return err
		}
	}
	if kind == kindSessions {
		v.Value, err = s.section.user.decode(value)
	} else {
		v.Value, v.LastUse, err = s.section.value.decode(value)
	}
	entry.Values = []Value{v}
	return err
}

// block yields the elements of one block of a list.
func (s *scan) block(entry Entry, key, block []byte) error {
	if s.index < 0 || !bytes.Equal(key, s.lastKey) {
		s.lastKey, s.index = append(s.lastKey[:0], key...), 0
	}
	for len(block) > 0 {
		element, rest, err := backend.NextElement(block)
		if err != nil {
			return s.failed(entry, err)
		}
		v := Value{Set: true}
		if v.Value, v.LastUse, err = s.section.value.decode(element); err != nil {
			return s.failed(entry, err)
		}
		entry.Index, entry.Values = s.index, []Value{v}
		if err := s.give(entry); err != nil {
			return err
		}
		s.index++
		block = rest
	}
	return nil
}
