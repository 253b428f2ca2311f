package store

import "errors"

// Test with errors.Is.
var (
	// ErrNoCheckpoint: the store answered, and it has no checkpoint of this job name. Any other
	// failure to find one is another error: a job must not start empty because of it.
	ErrNoCheckpoint = errors.New("no checkpoint of this name")
	// ErrNoMetadata: no `_metadata` file is at the place given.
	ErrNoMetadata = errors.New("no _metadata there")
	// ErrFenced: another master has taken over this job name. Stop, and delete nothing.
	ErrFenced = errors.New("another master has taken over")
	// ErrUnknown: the store did not say whether a record was written. Stop, and discard nothing;
	// the next master finds out.
	ErrUnknown = errors.New("the store does not tell whether the record exists")
	// ErrDamaged: a record or a metadata file is not what was written.
	ErrDamaged = errors.New("checkpoint is damaged")
	// ErrSwept: the checkpoint refers to a file that has been, or is being, removed: a task has
	// built on a checkpoint that is too old. The next checkpoint will do.
	ErrSwept = errors.New("checkpoint refers to a file that is no longer kept")
)
