package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Retention says which of a series of savepoints stay, by the rule of grandfather, father and son.
// The zero value keeps all.
type Retention struct {
	// Last are the newest ones that stay. Hourly, Daily and Weekly are for how many hours, days
	// and weeks (from Monday), in UTC, the newest savepoint of each stays; hours, days and weeks
	// without a savepoint do not count.
	Last, Hourly, Daily, Weekly int
}

// IsZero tells whether all savepoints stay.
func (r Retention) IsZero() bool { return r == Retention{} }

// Keep returns which of the savepoints stay, given when they were taken, in any order. The newest
// one always does.
func (r Retention) Keep(taken []time.Time) []bool {
	keep := make([]bool, len(taken))
	if r.IsZero() {
		for i := range keep {
			keep[i] = true
		}
		return keep
	}
	order := make([]int, len(taken))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return taken[b].Compare(taken[a]) })
	rules := []struct {
		count  int
		period func(time.Time) [2]int
	}{
		{r.Hourly, func(t time.Time) [2]int { return [2]int{t.Year(), t.YearDay()*24 + t.Hour()} }},
		{r.Daily, func(t time.Time) [2]int { return [2]int{t.Year(), t.YearDay()} }},
		{
			r.Weekly,
			func(t time.Time) [2]int { year, week := t.ISOWeek(); return [2]int{year, week} },
		},
	}
	for n, i := range order {
		keep[i] = n < max(r.Last, 1)
	}
	for _, rule := range rules {
		seen := map[[2]int]bool{}
		for _, i := range order {
			if period := rule.period(taken[i].UTC()); !seen[period] && len(seen) < rule.count {
				seen[period], keep[i] = true, true
			}
		}
	}
	return keep
}

// PruneSavepoints removes, among the savepoints directly below base that the schedule of this job
// name took (header, periodic), those that do not stay. It returns their URIs. The one whose
// directory has the URI spared stays too; "" for none. A master that has been fenced removes
// nothing (ErrFenced).
func (s *Store) PruneSavepoints(
	ctx context.Context, gen Generation, base string, r Retention, spared string,
) (removed []string, err error) {
	if r.IsZero() {
		return nil, nil
	}
	removed, err = s.pruneSavepoints(ctx, gen, base, r, spared)
	if err != nil {
		err = fmt.Errorf("store: remove old savepoints of %q in %q: %w", s.name, base, err)
	}
	return removed, err
}

func (s *Store) pruneSavepoints(
	ctx context.Context, gen Generation, base string, r Retention, spared string,
) (removed []string, err error) {
	var series []*Found
	var taken []time.Time
	err = s.eachSavepoint(ctx, base, func(found *Found) error {
		if h := found.Meta.Header; h.GetPeriodic() {
			series = append(series, found)
			taken = append(taken, time.UnixMilli(h.GetTriggerMillis()))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	keep := r.Keep(taken)
	if !slices.Contains(keep, false) {
		return nil, nil
	}
	if err := s.Confirm(ctx, gen); err != nil {
		return nil, err
	}
	for i, found := range series {
		if keep[i] || found.Directory() == spared {
			continue
		}
		if err := removeSavepoint(ctx, found.FS, found.Dir); err != nil {
			return removed, err
		}
		removed = append(removed, uriOf(found.FS, found.Dir))
	}
	return removed, nil
}
