// Package ordered keeps the collections of rows: ordered maps and lists, in memory that the
// garbage collector does not scan.
//
// Main types: [Store], all collections of one kind at one place: one (table, pane,
// collection); [Shared], what the stores of a backend share. A store knows nothing of rows
// but the 8-byte slot that refers to a collection, and hash and key of its [Owner], which it
// keeps a copy of because entries of runs need them. It spills and expires nothing.
//
// # Structure
//
// Memory is pages of 12 KiB, each cut into blocks of one size between 64 B and 4 KiB. A page
// without blocks may get another size, or go to another store. A value longer than an eighth
// of a node lies in a block of its own, or in memory of its own beyond 4 KiB.
//
// A small map is one block: a header with hash and key of the owner, sorted slots of 16
// bytes, and from the end downwards what does not fit a slot. A slot holds the first 8 bytes
// of the user key as a number, so that most comparisons look at slots only, and a user key
// of up to 8 bytes costs nothing else. Beyond 1 KiB a map becomes a B+tree of its own, with
// nodes of the same shape of 4 KiB, whose keys lack the prefix that all keys of the node
// share. It becomes a block again below 512 B.
//
// A list is a chain of blocks, which grow along the chain. The first one holds the owner. The
// slot names the first and the last one, which counts the elements, so that an append looks
// at nothing but the row and the last block.
//
// # Checkpoints
//
// An entry of a map and a block of a list have a version and a flag NEW: in no image yet. A
// block is copied to the log of the image before its first change after Begin; no undo log is
// needed, and structures hold no tombstones. A node that is made while an image is copied is
// not in it, so nodes may split, merge and move at will: what they are made of has been
// copied.
//
// Every version lists the blocks that changed in it, and the keys it deleted which may be in
// some snapshot; both are kept until a version that covers them is confirmed. A delta is what
// the lists name, so that a small one visits little. An aborted checkpoint needs no call:
// its lists are still there.
//
// # Goroutines
//
// One goroutine uses a store. Only the entries of a finished image may be iterated by another:
// they read the log, lists of deletes nobody appends to any more, and large values, which are
// neither overwritten nor freed before Release.
//
// Semantics: package state/backend.
package ordered
