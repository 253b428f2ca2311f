package run

import (
	"slices"

	"github.com/leat-io/leat/types"
)

// cover tells which versions are under a range delete of a newer run: a step function from hashes
// to the newest source that deletes them. It is asked in ascending order of hashes.
type cover struct {
	starts []uint64 // first hash of every step, ascending, the first one 0
	newest []int    // index of the newest source that deletes this step, -1 for none
	at     int
}

// newCover returns the cover of a list, oldest first.
func newCover(runs []Source, bounds types.HashRange) cover {
	type span struct {
		types.HashRange
		age int
	}
	var spans []span
	c := cover{starts: []uint64{0}}
	for age, source := range runs {
		clip, ok := intersect(source.Bounds, bounds)
		if !ok {
			continue
		}
		for _, r := range source.Run.deletes {
			if r, ok := intersect(r, clip); ok {
				spans = append(spans, span{r, age})
				c.starts = append(c.starts, uint64(r.Lo), uint64(r.Hi)+1)
			}
		}
	}
	slices.Sort(c.starts)
	c.starts = slices.Compact(c.starts)
	c.newest = slices.Repeat([]int{-1}, len(c.starts))
	for _, s := range spans { // Ascending by age: the last one written is the newest.
		i, _ := slices.BinarySearch(c.starts, uint64(s.Lo))
		for ; i < len(c.starts) && c.starts[i] <= uint64(s.Hi); i++ {
			c.newest[i] = s.age
		}
	}
	return c
}

// covers reports whether a version of the source of this age is deleted by a newer source.
func (c *cover) covers(hash uint32, age int) bool {
	for c.at+1 < len(c.starts) && c.starts[c.at+1] <= uint64(hash) {
		c.at++
	}
	return c.newest[c.at] > age
}
