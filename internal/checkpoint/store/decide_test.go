package store

import "testing"

// Goal: no answer of a store is taken for more than it says. Method: every combination of what a
// creation said and what reading back gave.
func TestJudge(t *testing.T) {
	mine, other := []byte("mine"), []byte("other")
	cases := []struct {
		said        answer
		back        seen
		found       []byte
		more, final verdict // with attempts left, and without
	}{
		{answerCreated, seenNothing, nil, verdictMine, verdictMine},
		{answerExists, seenObject, mine, verdictMine, verdictMine},
		{answerExists, seenObject, other, verdictTheirs, verdictTheirs},
		{answerExists, seenNothing, nil, verdictTheirs, verdictTheirs},
		{answerExists, seenUnreadable, nil, verdictAgain, verdictUnclear},
		{answerUnclear, seenObject, mine, verdictMine, verdictMine},
		{answerUnclear, seenObject, other, verdictTheirs, verdictTheirs},
		{answerUnclear, seenNothing, nil, verdictAgain, verdictUnclear},
		{answerUnclear, seenUnreadable, nil, verdictAgain, verdictUnclear},
	}
	for _, c := range cases {
		if got := judge(mine, c.said, c.back, c.found, 1); got != c.more {
			t.Errorf("said %d, back %d %q, more attempts: %d, want %d",
				c.said, c.back, c.found, got, c.more)
		}
		if got := judge(mine, c.said, c.back, c.found, 0); got != c.final {
			t.Errorf("said %d, back %d %q, last attempt: %d, want %d",
				c.said, c.back, c.found, got, c.final)
		}
	}
}

// Goal: a master fences only while no newer one is there. Method: table of listings around the own
// generation 5 and fence 20.
func TestDecideFence(t *testing.T) {
	before := []struct {
		listed control
		newest uint64 // generation in the newest checkpoint record
		want   fenceMove
	}{
		{control{}, 0, fenceClaim},
		{control{generations: []uint64{4, 5}}, 4, fenceClaim},
		{control{generations: []uint64{4, 5}}, 5, fenceClaim},
		{control{generations: []uint64{5, 6}}, 4, fenceLost},
		{control{generations: []uint64{5}}, 6, fenceLost}, // listed a moment too early
	}
	for _, c := range before {
		if got := decideFence(5, c.listed, c.newest); got != c.want {
			t.Errorf("fence with %+v, %d: %d, want %d", c.listed, c.newest, got, c.want)
		}
	}
	after := []struct {
		listed control
		want   fenceState
	}{
		{control{generations: []uint64{5}, checkpoints: []uint64{19, 20}}, fenceHolds},
		{control{generations: []uint64{5}, checkpoints: []uint64{20, 21}}, fenceMissed},
		{control{generations: []uint64{5, 6}, checkpoints: []uint64{20}}, fenceBeaten},
		{control{generations: []uint64{5, 9}, checkpoints: []uint64{20, 30}}, fenceBeaten},
	}
	for _, c := range after {
		if got := confirmFence(5, 20, c.listed); got != c.want {
			t.Errorf("confirm with %+v: %d, want %d", c.listed, got, c.want)
		}
	}
}

// Goal: a record is the commit point only for the master that goes on from it. Method: table.
func TestConfirmPublish(t *testing.T) {
	cases := map[uint64]Outcome{20: Committed, 21: Fenced, 40: Fenced}
	for newest, want := range cases {
		if got := confirmPublish(20, control{checkpoints: []uint64{20, newest}}); got != want {
			t.Errorf("newest number %d: %v, want %v", newest, got, want)
		}
	}
	// A newer generation that has no fence yet will find the record.
	listed := control{generations: []uint64{99}, checkpoints: []uint64{20}}
	if got := confirmPublish(20, listed); got != Committed {
		t.Errorf("newer generation without fence: %v", got)
	}
}

// Goal: the sweep judges a file by its name as documented. Method: table around generation 5 whose
// newest completed checkpoint is 20.
func TestIsOver(t *testing.T) {
	v := view{generation: 5, newest: 20}
	cases := []struct {
		generation, checkpoint uint64
		want                   bool
	}{{4, 20, true}, {4, 21, true}, {5, 19, true}, {5, 20, true}, {5, 21, false}, {6, 1, false}}
	for _, c := range cases {
		name := DataFileName{Generation: c.generation, Checkpoint: c.checkpoint}
		if got := v.isOver(name); got != c.want {
			t.Errorf("%v: %v, want %v", name, got, c.want)
		}
	}
}
