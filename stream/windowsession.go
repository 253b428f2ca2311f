package stream

import (
	"fmt"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/fault"
)

// Sessions of a key never touch: a record whose window touches some makes one of them all. The
// contents stay under the name of the window that was first, the state window, so that a
// session that grows with every record does not move its contents every time.
//
// Semantics: Flink's MergingWindowSet.

// session is a window of a key and its state window.
type session struct{ actual, state Window }

// join makes one of a new window and the sessions that it touches, and returns it with its
// state window.
func (o *windowing[K, T]) join(w Window) (actual, state Window, err error) {
	old, cover := o.touched(w)
	switch {
	case len(old) == 0:
		return w, w, o.putSession(w, w)
	case len(old) == 1 && old[0].actual == cover:
		return cover, old[0].state, nil
	}
	state = old[0].state
	for _, each := range old {
		if err := o.retire(each.actual); err != nil {
			return cover, state, err
		}
	}
	if err := o.putSession(cover, state); err != nil {
		return cover, state, err
	}
	o.context.point(cover, nil, eventtime.None)
	o.context.merged = o.context.merged[:0]
	for _, each := range old {
		o.context.merged = append(o.context.merged, each.actual)
	}
	o.trigger.OnMerge(&o.context)
	for _, each := range old {
		o.context.point(each.actual, nil, eventtime.None)
		o.trigger.Clear(&o.context)
		o.context.delete(o.cut.domain(), o.cleanup(each.actual))
	}
	if len(old) == 1 {
		return cover, state, nil
	}
	var others []Window
	for _, each := range old[1:] {
		others = append(others, each.state)
	}
	return cover, state, o.contents.merge(state, others)
}

// touched returns the sessions that a window touches, in order, and the window that covers all.
func (o *windowing[K, T]) touched(w Window) (old []session, cover Window) {
	old, cover = o.context.old[:0], w
	from := appendWindow(o.context.key[:0], Window{Start: eventtime.None, End: w.Start})
	o.at.table.MapScan(o.at.row, windowSessionsMap, from, nil, func(key, value []byte) bool {
		if !o.isSession(key, value) {
			return false
		}
		other := readWindow(key)
		if other.Start > cover.End {
			return false
		}
		old, cover = append(old, session{other, readWindow(value)}), cover.Cover(other)
		return true
	})
	o.context.key, o.context.old = from, old
	return old, cover
}

func (o *windowing[K, T]) isSession(key, value []byte) bool {
	if len(key) == windowKeyBytes && len(value) == windowKeyBytes {
		return true
	}
	o.at.fail(fault.Internal(fmt.Errorf("read sessions: an entry of %d and %d bytes, want %d each",
		len(key), len(value), windowKeyBytes)))
	return false
}

// stateOf returns the state window of a session, or false when there is no such session.
func (o *windowing[K, T]) stateOf(w Window) (state Window, ok bool) {
	o.context.key = appendWindow(o.context.key[:0], w)
	value, ok := o.at.table.MapGet(o.at.row, windowSessionsMap, o.context.key)
	if !ok || !o.isSession(o.context.key, value) {
		return w, false
	}
	return readWindow(value), true
}

func (o *windowing[K, T]) putSession(w, state Window) error {
	key := appendWindow(o.context.key[:0], w)
	o.context.key = appendWindow(key, state)
	return o.at.table.MapPut(o.at.row, windowSessionsMap, o.context.key[:windowKeyBytes],
		o.context.key[windowKeyBytes:])
}

// retire forgets that a session exists; other windows are not kept anywhere.
func (o *windowing[K, T]) retire(w Window) error {
	if o.cut.kind != cutSessions {
		return nil
	}
	o.context.key = appendWindow(o.context.key[:0], w)
	_, err := o.at.table.MapDelete(o.at.row, windowSessionsMap, o.context.key)
	return err
}
