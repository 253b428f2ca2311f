package stream

import (
	"encoding/binary"
	"fmt"

	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// windowStates are the states that the function of a windowed operator declares: those of the
// key in a row of the key, those of the key and window in a row whose key is the bytes of both.
type windowStates struct {
	env            *operator.Env
	keyWords       int
	global, window *declared.States
	globalTable,
	windowTable backend.TableID

	row   [1]backend.Row // scratch
	hash  [1]uint64
	key   []byte
	bytes [1][]byte
}

func keeps(d *declared.States) bool { return len(d.Described()) > 0 }

// declare declares the tables, behind all others of the operator.
func (s *windowStates) declare(env *operator.Env, keyWords int) error {
	s.env, s.keyWords = env, keyWords
	for _, each := range []struct {
		states   *declared.States
		keyWords int
		table    *backend.TableID
	}{{s.global, keyWords, &s.globalTable}, {s.window, 0, &s.windowTable}} {
		layout, err := each.states.Layout(each.keyWords)
		if err != nil {
			return userFault(env, err)
		}
		if !keeps(each.states) {
			continue
		}
		if *each.table, err = env.Keyed.Declare(layout); err != nil {
			return err
		}
	}
	return nil
}

// globalKeys are the keys of the row of the key at hand.
func (s *windowStates) globalKeys(at *windowCell) backend.Keys {
	s.hash[0], s.bytes[0] = at.key.Hash, at.key.Bytes
	keys := backend.Keys{Hashes: s.hash[:]}
	if s.keyWords > 0 {
		keys.Words = at.key.Words[:s.keyWords]
	} else {
		keys.Bytes = s.bytes[:]
	}
	return keys
}

// windowKeys are the keys of the row of the key and a window.
func (s *windowStates) windowKeys(at *windowCell, w Window) backend.Keys {
	s.key = append(s.key[:0], at.key.Bytes...)
	if s.keyWords > 0 {
		s.key = s.key[:0]
		for _, word := range at.key.Words[:s.keyWords] {
			s.key = binary.LittleEndian.AppendUint64(s.key, word)
		}
	}
	s.key = appendWindow(s.key, w)
	s.hash[0], s.bytes[0] = at.key.Hash, s.key
	return backend.Keys{Hashes: s.hash[:], Bytes: s.bytes[:]}
}

// enter makes the states speak of the key at hand and a window.
func (s *windowStates) enter(at *windowCell, w Window) error {
	if keeps(s.global) {
		if err := s.point(s.global, s.globalTable, s.globalKeys(at), at.now); err != nil {
			return err
		}
	}
	if keeps(s.window) {
		return s.point(s.window, s.windowTable, s.windowKeys(at, w), at.now)
	}
	return nil
}

func (s *windowStates) point(
	d *declared.States, id backend.TableID, keys backend.Keys, now int64,
) error {
	cursor := d.Cursor()
	var err error
	if cursor.Table, err = s.env.Keyed.Table(id, backend.NoPane); err != nil {
		return err
	}
	_, err = cursor.Table.Resolve(keys, backend.InsertClean, s.row[:], nil)
	cursor.Row, cursor.Now = s.row[0], now
	return err
}

// leave removes rows that were left empty.
func (s *windowStates) leave() error {
	for _, d := range []*declared.States{s.global, s.window} {
		if err := d.Err(); err != nil {
			return fmt.Errorf("operator %q: %w", s.env.Name, err)
		}
		if !keeps(d) {
			continue
		}
		if cursor := d.Cursor(); cursor.Empty() {
			if err := cursor.Table.Delete(cursor.Row); err != nil {
				return err
			}
		}
	}
	return nil
}

// clear forgets the states of a window.
func (s *windowStates) clear(at *windowCell, w Window) error {
	if !keeps(s.window) {
		return nil
	}
	table, err := s.env.Keyed.Table(s.windowTable, backend.NoPane)
	if err != nil {
		return err
	}
	_, err = table.Resolve(s.windowKeys(at, w), backend.Find, s.row[:], nil)
	if err != nil || s.row[0] == 0 {
		return err
	}
	return table.Delete(s.row[0])
}
