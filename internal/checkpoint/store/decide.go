package store

import "bytes"

// answer is what the store said to an attempt to create an object.
type answer uint8

const (
	answerCreated answer = iota
	answerExists         // definite: something is there
	answerUnclear        // any other error: the object may be there or not
)

// seen is what reading the object back gave.
type seen uint8

const (
	seenNothing    seen = iota // definite: no object is there
	seenObject                 // the bytes are known
	seenUnreadable             // any other error
)

// verdict is what follows from an attempt.
type verdict uint8

const (
	verdictMine    verdict = iota // the object is there and it is this one
	verdictTheirs                 // the place belongs to another object, or did
	verdictAgain                  // try once more
	verdictUnclear                // as verdictAgain, and no attempt is left
)

// judge decides about an attempt to create an object with the given bytes. attempts is how many are
// left. The rule behind it: nothing counts as failed unless the store says so.
func judge(wanted []byte, said answer, back seen, found []byte, attempts int) verdict {
	again := verdictAgain
	if attempts <= 0 {
		again = verdictUnclear
	}
	switch {
	case said == answerCreated:
		return verdictMine
	case back == seenObject && bytes.Equal(wanted, found):
		return verdictMine // This very call, or an earlier one whose answer was lost.
	case back == seenObject:
		return verdictTheirs
	case back == seenNothing && said == answerExists:
		return verdictTheirs // It was there and is gone: only a newer master removes records.
	}
	return again
}

// control is what a listing of the directory of a job name shows.
type control struct {
	generations []uint64 // ascending, like the others
	checkpoints []uint64 // records of any kind; 0 may be among them, as a fence
	committed   []uint64 // committed marks
}

func (c control) newestGeneration() uint64 { return last(c.generations) }
func (c control) newestCheckpoint() uint64 { return last(c.checkpoints) }

// nextFence returns the number that a new master claims. The first one under a name claims 0, so
// that the first checkpoint has number 1.
func (c control) nextFence() uint64 {
	if len(c.checkpoints) == 0 {
		return 0
	}
	return c.newestCheckpoint() + 1
}

func last(numbers []uint64) uint64 {
	if len(numbers) == 0 {
		return 0
	}
	return numbers[len(numbers)-1]
}

// fenceMove is the next move of a master that owns a generation and wants to fence the others.
type fenceMove uint8

const (
	fenceClaim fenceMove = iota // create the fence record behind the newest one
	fenceLost                   // a newer master is there
)

// decideFence decides by a listing and the generation in the newest checkpoint record (0 without
// one), both read after the own generation record was created.
func decideFence(generation uint64, listed control, newestRecord uint64) fenceMove {
	if listed.newestGeneration() > generation || newestRecord > generation {
		return fenceLost
	}
	return fenceClaim
}

// fenceState is what a listing after the creation of the fence says about it.
type fenceState uint8

const (
	fenceHolds  fenceState = iota
	fenceMissed            // it filled a hole left by a sweep: claim again, further on
	fenceBeaten            // a newer master is there
)

// confirmFence decides by a listing made after fence record number fence was created.
func confirmFence(generation, fence uint64, listed control) fenceState {
	switch {
	case listed.newestGeneration() > generation:
		return fenceBeaten
	case listed.newestCheckpoint() > fence:
		return fenceMissed
	}
	return fenceHolds
}

// confirmPublish decides by a listing made after checkpoint record number was created. Numbers are
// claimed without gaps, so a number above means that somebody else went on from here; and if the
// record filled a hole left by a sweep, that somebody has been there for long. In either case this
// master is stale. If its record came first, the other one has seen it and commits it.
func confirmPublish(number uint64, listed control) Outcome {
	if listed.newestCheckpoint() > number {
		return Fenced
	}
	return Committed
}
