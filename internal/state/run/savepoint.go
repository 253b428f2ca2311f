package run

import (
	"context"
	"fmt"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
)

// WriteSavepoint writes what a finished full snapshot holds, apart from the lists: every pane is
// one base run, in one object of the uploader or, when all is small, inline. The lists, confirmed
// and pending, stay as they are: no later checkpoint builds on a savepoint, so the backend must
// not be told of it. Equal rows give equal bytes.
//
// parts and panes are as for Write, but every part is full, and every pane that has runs has a
// part. The result refers to objects of this call only and must not be changed.
func (l *Lists) WriteSavepoint(ctx context.Context, parts []backend.Part, panes []backend.PaneID,
	checkpointID uint64, uploader Uploader,
) (*protocol.KeyedState, WriteStats, error) {
	fail := func(err error) (*protocol.KeyedState, WriteStats, error) {
		return nil, WriteStats{}, fmt.Errorf("run: write savepoint %d: %w", checkpointID, err)
	}
	for _, p := range parts {
		if !p.Full {
			id := backend.PaneID{Table: p.Table, Pane: p.Pane}
			return fail(fmt.Errorf("%v: the snapshot holds changes only", id))
		}
	}
	w := l.newWriter(checkpointID)
	if err := w.plan(nil, parts, panes); err != nil {
		return fail(err)
	}
	if err := l.checkComplete(w.panes); err != nil {
		return fail(err)
	}
	if err := w.write(ctx, uploader); err != nil {
		return fail(err)
	}
	lists := w.lists()
	w.countState(lists)
	return keyedState(lists, l.bounds), w.stats, nil
}

// checkComplete returns an error when a pane has runs and no part: its rows would be lost.
func (l *Lists) checkComplete(plans []panePlan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range plans {
		if p.part != nil {
			continue
		}
		for _, list := range l.mu.confirmed {
			if list.id == p.id {
				return fmt.Errorf("%v: the snapshot has no part for it", p.id)
			}
		}
	}
	return nil
}
