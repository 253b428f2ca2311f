package run

import (
	"cmp"
	"slices"

	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

const (
	// fanIn is how many runs of about one size become one.
	fanIn = 8
	// maxFanIn bounds how many do when merging has fallen behind.
	maxFanIn = 24
	// crowd is the number of runs of a hash range from which they are merged whatever their sizes.
	crowd = 20
	// garbageShare: a range gets a new base run when the others hold this share of its bytes.
	garbageShare = 0.5
	// paneRuns is the number of changes a pane of a window must have before its base is written
	// again: most panes are dropped before.
	paneRuns = 4
	// budgetFactor times the bytes a checkpoint added may be merged before the next one.
	budgetFactor = 2.5
	// forcedUrgency is the urgency from which a merge ignores the budget.
	forcedUrgency = 2
	// joinWithin is how many checkpoints may pass until the result of a merge is referred to.
	joinWithin = 256
)

// mergeSizes are those by which merges are planned, in bytes.
type mergeSizes struct {
	split  int64 // a hash range above this is cut into two halves
	join   int64 // two halves together below this become one range again
	small  int64 // merges below this share an object
	shared int64 // an object that several merges share is at most this large, about
}

var defaultSizes = mergeSizes{split: 64 << 20, join: 32 << 20, small: 1 << 20, shared: 32 << 20}

// mergeStep is one merge that is worth doing.
type mergeStep struct {
	replacement
	urgency float64 // from 1: worth it
	bytes   int64   // of the inputs, about
}

// NextMerge returns what to merge next, nil when nothing is worth it or the budget of the last
// confirmed checkpoint is used up. Only confirmed runs are merged. The plan is Run once, before the
// next call.
func (l *Lists) NextMerge() *MergePlan {
	l.mu.Lock()
	confirmed, confirmedID := l.mu.confirmed, l.mu.confirmedID
	waiting := slices.Clone(l.mu.waiting)
	l.mu.Unlock()
	if confirmedID == 0 {
		return nil // What was adopted may belong to another job until it is recorded anew.
	}
	// Not under the lock: it is long for large states, and a barrier asks WantFull.
	var steps []mergeStep
	for _, list := range confirmed {
		steps = l.appendSteps(steps, list, waiting)
	}
	slices.SortFunc(steps, func(a, b mergeStep) int {
		return cmp.Or(cmp.Compare(b.urgency, a.urgency), comparePanes(a.pane, b.pane),
			cmp.Compare(a.bounds.Lo, b.bounds.Lo))
	})
	return l.choose(steps, confirmedID+joinWithin)
}

// choose makes a plan of the first steps that the budget allows, nil without any.
func (l *Lists) choose(steps []mergeStep, joinBy uint64) *MergePlan {
	l.mu.Lock()
	defer l.mu.Unlock()
	plan := &MergePlan{lists: l, joinBy: joinBy}
	var bytes int64
	for _, s := range steps {
		full := bytes > 0 && (s.bytes >= l.sizes.small || bytes+s.bytes > l.sizes.shared)
		allowed := s.bytes <= l.mu.budget || !l.mu.spent || s.urgency >= forcedUrgency
		if full || !allowed {
			continue
		}
		l.mu.budget, l.mu.spent = l.mu.budget-s.bytes, true
		s.joinBy = joinBy
		plan.steps = append(plan.steps, s)
		plan.Urgency = max(plan.Urgency, s.urgency)
		if bytes += s.bytes; s.bytes >= l.sizes.small {
			break
		}
	}
	if len(plan.steps) == 0 {
		return nil
	}
	return plan
}

// appendSteps appends what is worth merging in one list, where no finished merge waits.
func (l *Lists) appendSteps(
	steps []mergeStep, list paneList, waiting []*replacement,
) []mergeStep {
	if len(list.runs) < 2 {
		return steps
	}
	for _, r := range partition(list.runs, l.bounds, l.sizes) {
		// Inline runs are the newest, and are put together by checkpoints.
		if at := slices.IndexFunc(r.runs, isInline); at >= 0 {
			r.runs = r.runs[:at]
		}
		busy := slices.ContainsFunc(waiting, func(p *replacement) bool {
			_, overlaps := intersect(p.bounds, r.bounds)
			return overlaps && p.pane == list.id
		})
		if busy || len(r.runs) < 2 {
			continue
		}
		if s, ok := stepOf(r, list.id); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

// stepOf finds the merge that a hash range needs most.
func stepOf(r hashRange, pane backend.PaneID) (mergeStep, bool) {
	base, rest := weigh(r.runs)
	first := slices.IndexFunc(r.runs, func(run *protocol.Run) bool { return !run.Base })
	if first < 0 {
		return mergeStep{}, false // Bases of a range that was cut differently: no hurry.
	}
	step := func(inputs []*protocol.Run, base bool, urgency float64) (mergeStep, bool) {
		return mergeStep{
			replacement: replacement{
				pane: pane, bounds: tight(r.bounds, inputs, base), inputs: inputs, base: base,
			},
			urgency: urgency, bytes: bytesOf(inputs),
		}, true
	}
	urgency := float64(rest) / max(garbageShare*float64(base), 1)
	changes := r.runs[first:]
	if urgency >= 1 && (pane.Pane == backend.NoPane || len(changes) >= paneRuns) {
		return step(r.runs, true, urgency)
	}
	if from, to, urgency := tier(changes); urgency >= 1 {
		return step(changes[from:to], first+from == 0, urgency)
	}
	return mergeStep{}, false
}

// tight returns the bounds of a merge: those of the range for a base, which speaks for all of it,
// else only what the inputs have.
func tight(bounds types.HashRange, inputs []*protocol.Run, base bool) types.HashRange {
	if base {
		return bounds
	}
	return hullOf(inputs)
}

func hullOf(runs []*protocol.Run) types.HashRange {
	hull := boundsOf(runs[0])
	for _, r := range runs[1:] {
		hull = types.HashRange{Lo: min(hull.Lo, r.HashLo), Hi: max(hull.Hi, r.HashHi)}
	}
	return hull
}

func bytesOf(runs []*protocol.Run) (bytes int64) {
	for _, r := range runs {
		bytes += share(r)
	}
	return bytes
}

// tier finds the neighbours, from inclusive to exclusive, whose merge costs least for every run it
// saves: at least fanIn runs none of which is larger than a third of them together. So runs are
// merged with others of about their size. Urgency is the number of such runs over fanIn.
func tier(runs []*protocol.Run) (from, to int, urgency float64) {
	best := 0.0
	crowded := len(runs) >= crowd
	for i := range runs {
		var sum, largest int64
		for j := i; j < min(len(runs), i+maxFanIn); j++ {
			sum, largest = sum+share(runs[j]), max(largest, share(runs[j]))
			n := j - i + 1
			if n < fanIn || largest > sum/3 && !crowded {
				continue
			}
			urgency = max(urgency, float64(n)/fanIn)
			if cost := float64(sum) / float64(n-1); to == 0 || cost < best {
				from, to, best = i, j+1, cost
			}
		}
	}
	return from, to, urgency
}
