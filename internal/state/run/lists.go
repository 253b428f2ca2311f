package run

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const (
	// inlineBytes is the largest state of a task that travels inside the metadata.
	inlineBytes = 32 << 10
	// inlineDeltaBytes is the most a checkpoint of a larger state adds inline.
	inlineDeltaBytes = 16 << 10
	// inlineCheckpoints is how many checkpoints may be inline until they become an object.
	inlineCheckpoints = 4
	// maxInlineBytes bounds what the tasks of an operator carry inline together.
	maxInlineBytes = 1 << 20
	// maxDepth is the number of runs that may hold one hash until all rows are written again: far
	// more than there are as long as merges succeed.
	maxDepth = 64
)

// Lists are the run lists of one keyed task, one list per pane. A checkpoint's lists are pending
// until Confirm: the next checkpoint builds on the last confirmed ones. Safe for concurrent use.
//
// Lists and what they return share Run messages: nobody changes a Run once it is in a list.
type Lists struct {
	bounds types.HashRange
	// inlineLimit and inlineAll bound what this task carries inline: altogether, and as a whole
	// state.
	inlineLimit, inlineAll int64
	sizes                  mergeSizes

	mu struct {
		sync.Mutex
		confirmed   []paneList
		confirmedID uint64 // 0: none in this attempt
		rewrite     bool   // needRewrite of confirmed: a barrier asks for it
		pending     map[uint64]pendingLists
		// waiting are finished merges that no confirmed checkpoint refers to yet.
		waiting []*replacement
		// budget is how many bytes may be merged until the next checkpoint is confirmed; spent
		// says that something was. The first merge is always allowed.
		budget int64
		spent  bool
		// verified are tables whose digests were compared.
		verified map[tableName]struct{}
	}
}

// paneList is the list of one pane, oldest run first. Never changed once made; at least one run.
type paneList struct {
	id   backend.PaneID
	runs []*protocol.Run
}

// pendingLists are those of a checkpoint that is not confirmed.
type pendingLists struct {
	lists  []paneList
	joined []*replacement // merges in them
	bytes  int64          // added, without merges

	rewrite bool // needRewrite
}

// tableName tells the tables in objects apart.
type tableName struct {
	path   string
	offset int64
}

// NewLists returns the lists, all empty, of a task that owns the hashes in bounds.
func NewLists(bounds types.HashRange) *Lists {
	tasks := int64(math.Ceil(width(types.AllHashes) / width(bounds)))
	l := &Lists{bounds: bounds, inlineLimit: maxInlineBytes / tasks, sizes: defaultSizes}
	l.inlineAll = min(inlineBytes, l.inlineLimit)
	l.mu.pending = map[uint64]pendingLists{}
	l.mu.verified = map[tableName]struct{}{}
	l.mu.rewrite = true
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
	l.mu.confirmed, l.mu.rewrite = lists, needRewrite(lists)
	return nil
}

// WantFull reports whether the next snapshot should hold all rows: because they may be few enough
// to travel inside the metadata (stateBytes at most 32 KiB, or inline last time), because nothing
// is confirmed yet and a delta would hold them all anyway, or because merges have failed for so
// long that a list has grown out of hand. stateBytes is the serial size of all rows, about. Write
// accepts either kind of snapshot.
func (l *Lists) WantFull(stateBytes int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return stateBytes <= l.inlineAll || l.mu.rewrite
}

// needRewrite tells whether lists are to be replaced by all rows.
func needRewrite(lists []paneList) bool {
	inline := true
	for _, list := range lists {
		inline = inline && !slices.ContainsFunc(list.runs, func(r *protocol.Run) bool {
			return !isInline(r)
		})
		if len(list.runs) > maxDepth && depth(list.runs) > maxDepth {
			return true
		}
	}
	return inline
}

// depth is the largest number of runs that hold one hash.
func depth(runs []*protocol.Run) (deepest int) {
	type edge struct {
		hash uint64
		step int
	}
	edges := make([]edge, 0, 2*len(runs))
	for _, r := range runs {
		edges = append(edges, edge{uint64(r.HashLo), 1}, edge{uint64(r.HashHi) + 1, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.step, b.step))
	})
	now := 0
	for _, e := range edges {
		now += e.step
		deepest = max(deepest, now)
	}
	return deepest
}

// Confirm says that a checkpoint is durable. It reports whether the lists moved to it: only then
// may the backend be told. False means that the checkpoint is not one that Write made here, or is
// not newer than the last one confirmed. Earlier checkpoints still pending are forgotten.
func (l *Lists) Confirm(checkpointID uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, ok := l.mu.pending[checkpointID]
	if !ok {
		return false
	}
	l.mu.confirmed, l.mu.confirmedID = now.lists, checkpointID
	l.mu.rewrite = now.rewrite
	l.mu.budget, l.mu.spent = int64(budgetFactor*float64(now.bytes)), false
	for id := range l.mu.pending {
		if id <= checkpointID {
			delete(l.mu.pending, id)
		}
	}
	l.mu.waiting = slices.DeleteFunc(l.mu.waiting, func(p *replacement) bool {
		return slices.Contains(now.joined, p) || p.joinBy <= checkpointID || !l.hasLocked(p)
	})
	l.forgetLocked()
	return true
}

// hasLocked tells whether the confirmed lists have the inputs of a merge.
func (l *Lists) hasLocked(p *replacement) bool {
	at, ok := slices.BinarySearchFunc(l.mu.confirmed, p.pane,
		func(list paneList, id backend.PaneID) int { return comparePanes(list.id, id) })
	if ok {
		_, _, ok = p.find(l.mu.confirmed[at].runs)
	}
	return ok
}

// join takes over what the steps of a merge wrote. Checkpoints refer to it from the next one on.
func (l *Lists) join(steps []mergeStep, outputs []*protocol.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range steps {
		p := &steps[i].replacement
		if p.output = outputs[i]; l.hasLocked(p) && l.mu.confirmedID < p.joinBy {
			l.mu.waiting = append(l.mu.waiting, p)
		}
	}
}

// joined returns the confirmed lists with the finished merges in place of their inputs, and these
// merges.
func (l *Lists) joined(checkpointID uint64) (
	lists []paneList, joined []*replacement, confirmedID uint64,
) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lists = slices.Clone(l.mu.confirmed)
	for _, p := range l.mu.waiting {
		at, ok := slices.BinarySearchFunc(lists, p.pane,
			func(list paneList, id backend.PaneID) int { return comparePanes(list.id, id) })
		if !ok || checkpointID > p.joinBy {
			continue
		}
		if runs, ok := p.apply(lists[at].runs); ok {
			lists[at].runs = runs
			joined = append(joined, p)
		}
	}
	lists = slices.DeleteFunc(lists, func(list paneList) bool { return len(list.runs) == 0 })
	return lists, joined, l.mu.confirmedID
}

func (l *Lists) isVerified(r *protocol.Run) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.mu.verified[tableName{r.File.Path, r.Offset}]
	return ok
}

func (l *Lists) setVerified(r *protocol.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.verified[tableName{r.File.Path, r.Offset}] = struct{}{}
}

// forgetLocked forgets the digests of tables that are gone.
func (l *Lists) forgetLocked() {
	if len(l.mu.verified) == 0 {
		return
	}
	kept := map[tableName]struct{}{}
	for _, list := range l.mu.confirmed {
		for _, r := range list.runs {
			if r.File == nil {
				continue
			}
			name := tableName{r.File.Path, r.Offset}
			if _, ok := l.mu.verified[name]; ok {
				kept[name] = struct{}{}
			}
		}
	}
	l.mu.verified = kept
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
