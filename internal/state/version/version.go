// Package version is what the structures of a state backend share so that one snapshot can
// hold them all: [Versions], the state versions of a backend, and [Store], what the backend
// asks of a structure that keeps state beside the rows of tables, such as their collections
// (internal/state/ordered) and timers (internal/state/timer).
//
// What changes is given the current version. A snapshot freezes the version before it as
// its own; a delta holds what changed after the version confirmed when it began. A backend
// owns its Versions and moves them; stores only read them. Task goroutine only, except for
// the entries of a finished image.
package version

import "github.com/leat-io/leat/state/backend"

// Versions are the state versions of a backend.
type Versions struct {
	// Current is given to whatever changes. It starts at 1 and stays below Last.
	Current uint16
	// Confirmed is the version of the last durable checkpoint: what has it, or a lower one, is
	// clean.
	Confirmed uint16
	// Copying says that an image is being copied: of everything up to Image. A delta has what
	// is above Base. Image < Current, Base <= Confirmed.
	Copying     bool
	Image, Base uint16
}

// Last bounds versions, so that a store may keep a flag beside one in 16 bits. A backend
// that gets there numbers its versions anew, see Store.Renumber.
const Last = 1<<15 - 2

// Store is a structure with state of its own in a backend. For every snapshot of the backend
// the calls are Begin, Step until done, Result, Release; Release may come at any time after
// Begin, when the checkpoint was aborted.
type Store interface {
	// Begin takes the image of this moment, which the Versions describe: they have just been
	// moved. It visits no elements: microseconds. full asks for everything, without deletes.
	Begin(full bool)
	// Step copies about budget bytes of the image, and returns how many it used (looked at
	// counts too) and whether the image is complete. What changes before it was copied is
	// copied before its first change. Step of a complete image uses nothing.
	Step(budget int) (used int, done bool, err error)
	// Result describes the complete image: at most rows entries of about that many bytes. The
	// entries, in the order of a run, may be iterated by one other goroutine until Release.
	Result() (rows int, bytes int64, entries func() backend.Entries)
	// Release frees the image.
	Release()
	// Confirmed says that Versions.Confirmed has moved: deletes up to it need not be remembered.
	Confirmed()
	// Renumber replaces every version by what mapped makes of it. There is no image.
	Renumber(mapped func(uint16) uint16)
	// Restore adds clean entries of a run; order and bounds have been checked. Before the first
	// record.
	Restore(entry backend.Entry) error
	// MemoryBytes is what the store occupies, images and remembered deletes included.
	MemoryBytes() int64
}
