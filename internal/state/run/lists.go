package run

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const (
	// inlineBytes is the largest state of a task that travels inside the metadata.
	inlineBytes = 32 << 10
	// maxRuns is the length of a list at which all rows are written again, as long as nothing
	// merges runs in the background.
	maxRuns = 10
	// maxForeignRuns is the same for a list that came from subtasks with other bounds: such lists
	// are longer, and every subtask writing everything right after each rescaling costs more.
	maxForeignRuns = 16
)

// Lists are the run lists of one keyed task, one list per pane. A checkpoint's lists are pending
// until Confirm: the next checkpoint builds on the last confirmed ones. Safe for concurrent use.
//
// Lists and what they return share Run messages: nobody changes a Run once it is in a list.
type Lists struct {
	bounds types.HashRange

	mu struct {
		sync.Mutex
		confirmed   []paneList
		confirmedID uint64 // 0: none in this attempt
		pending     map[uint64][]paneList
	}
}

// paneList is the list of one pane, oldest run first. Never changed once made; at least one run.
type paneList struct {
	id   backend.PaneID
	runs []*protocol.Run
	// foreign says that the list was cut or put together from lists of other bounds.
	foreign bool
}

// NewLists returns the lists, all empty, of a task that owns the hashes in bounds.
func NewLists(bounds types.HashRange) *Lists {
	l := &Lists{bounds: bounds}
	l.mu.pending = map[uint64][]paneList{}
	return l
}

// Adopt takes over what a checkpoint recorded, as the confirmed lists: the panes of every subtask
// whose bounds overlap those of this task, in any order, each pane's list oldest first. Runs are
// cut to the bounds and dropped when nothing is left. Before the first Write.
//
// Paths are taken as they are: the caller has made them relative to where the next metadata will
// lie, and table numbers those of the declared tables. Errors: ErrCorrupt.
func (l *Lists) Adopt(panes []*protocol.PaneRuns) error {
	lists, err := arrange(panes, l.bounds)
	if err != nil {
		return fmt.Errorf("run: adopt lists: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.confirmed = lists
	return nil
}

// WantFull reports whether the next snapshot should hold all rows: because they may be few enough
// to travel inside the metadata (stateBytes at most 32 KiB, or inline last time), because nothing
// is confirmed yet and a delta would hold them all anyway, or because a list has grown too long.
// stateBytes is the serial size of all rows, about. Write accepts either kind of snapshot.
func (l *Lists) WantFull(stateBytes int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stateBytes <= inlineBytes || len(l.mu.confirmed) == 0 {
		return true
	}
	for _, list := range l.mu.confirmed {
		limit := maxRuns
		if list.foreign {
			limit = maxForeignRuns
		}
		if len(list.runs) >= limit || slices.ContainsFunc(list.runs, isInline) {
			return true
		}
	}
	return false
}

// Confirm says that a checkpoint is durable. It reports whether the lists moved to it: only then
// may the backend be told. False means that the checkpoint is not one that Write made here, or is
// not newer than the last one confirmed. Earlier checkpoints still pending are forgotten.
func (l *Lists) Confirm(checkpointID uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lists, ok := l.mu.pending[checkpointID]
	if !ok {
		return false
	}
	l.mu.confirmed, l.mu.confirmedID = lists, checkpointID
	for id := range l.mu.pending {
		if id <= checkpointID {
			delete(l.mu.pending, id)
		}
	}
	return true
}

// Abort forgets a checkpoint that will not be confirmed. Legal for an unknown one. Its object stays
// where it is, for the sweep of the store.
func (l *Lists) Abort(checkpointID uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.pending, checkpointID)
}

func isInline(r *protocol.Run) bool { return r.File == nil }

func boundsOf(r *protocol.Run) types.HashRange {
	return types.HashRange{Lo: r.HashLo, Hi: r.HashHi}
}

func comparePanes(a, b backend.PaneID) int {
	return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Pane, b.Pane))
}

// keyedState is the message that records lists.
func keyedState(lists []paneList, bounds types.HashRange) *protocol.KeyedState {
	state := &protocol.KeyedState{HashLo: bounds.Lo, HashHi: bounds.Hi}
	for _, list := range lists {
		state.Panes = append(state.Panes, &protocol.PaneRuns{
			Table: uint32(list.id.Table), Pane: int64(list.id.Pane), Runs: list.runs,
		})
	}
	return state
}
