// Package table is the row table: keyed state in memory that the garbage collector does
// not scan, resolved a batch at a time.
//
// Main types: [Factory], which serves state.backend.type "hashmap"; [Backend], all keyed
// state of one task; [Table], the rows of one pane. The package does not spill, expire or
// limit: it counts bytes exactly ([Backend.MemoryBytes]) and leaves the number to others.
//
// # Structure
//
// A directory indexed by the top bits of the hash leads to segments. A segment owns an index
// of 4-byte entries, the pages its rows lie in, and arena chunks for what has no fixed
// length; it starts with 16 index slots and 1 KiB of rows, doubles both, and splits in two
// when it is full. A row is an 8-byte header (top 32 bits of the hash, version of the last
// change, flags), the key, the fixed part. Everything but a value is found from those 32
// hash bits: segment, home slot, tag, key group, order of emission; so no key is ever hashed
// again, and restoring needs no more of a hash than a run holds.
//
// Collections of rows lie beside them, in one store of internal/state/ordered for each
// collection of a pane; the row holds an 8-byte reference, which no snapshot contains. Timers
// lie in internal/state/timer. Both take part in snapshots as a version.Store; the versions are
// the backend's.
//
// # Checkpoints
//
// The backend counts state versions (internal/state/version): the current one, given to every
// row that changes; V, the version before the barrier, while a snapshot is copied; c, the last
// confirmed one. A row belongs to a delta when base < version <= V, base being c when the
// snapshot began. The task goroutine copies rows page by page ([backend.Snapshot]'s Step) into
// an append-only log; a row that changes before the walk reaches it is copied to the undo log
// first, whole. Rows may then move, die and be reused at will. Arena bytes are not copied:
// while a snapshot exists no value is overwritten and emptied chunks are quarantined.
//
// Life of a row:
//
//  1. Made: live and NEW, which means that no snapshot holds it.
//  2. Copied by a walk or an undo: live, no longer NEW.
//  3. Deleted while NEW: its slot is free at once. Otherwise it becomes a tombstone, which
//     keeps key and slot.
//  4. A tombstone is emitted by deltas until one is confirmed; the first walk after that
//     frees its slot. Inserting the key again revives it.
//
// # Goroutines
//
// One goroutine uses a backend. The exception is the iteration of a finished part: it reads
// the logs, which nobody writes any more, and values in chunks, which are kept as they are
// until Release.
//
// # Addresses
//
// A Row is the address of the fixed part ([backend.Direct]), as an integer: storing it has
// no write barrier. What it points into is kept alive by the table. Addresses die when rows
// move (page growth, split); Resolve notices and resolves its batch again.
//
// Semantics: package state/backend; Flink's heap backend with asynchronous snapshots is the
// model for what users see.
package table
