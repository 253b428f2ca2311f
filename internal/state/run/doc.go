// Package run keeps keyed state in files: ordered lists of immutable sorted runs, written by
// checkpoints, merged beside them and when state is restored.
//
// Main types: [Builder] writes one run, [Reader] opens one, [Merge] streams the rows that a list of
// runs amounts to, [Lists] holds the lists of one keyed task and adds a checkpoint's runs to them,
// [MergePlan] makes a list shorter, [Restore] puts lists back into a backend. The layout of a run,
// of its references and of lists is docs/formats/run.md.
//
// The package decides neither when a checkpoint happens nor where its object lies ([Uploader],
// [Opener]), and it removes no object. It says what is worth merging; when, and how fast, is up to
// the task.
//
// Lifecycle of a task: NewLists, at restore Adopt and Restore, then for every checkpoint Write and
// later Confirm or Abort; after a Confirm, NextMerge and Run until there is nothing to merge.
// Lists is safe for concurrent use, so that Write and merges may run beside the task goroutine;
// everything else belongs to one goroutine at a time. The package starts no goroutine of its own;
// Pebble's table writer has one, which ends with Finish or Abort.
//
// Semantics: Flink's incremental checkpoints, with an own file format: sorted runs, newest version
// wins, and range deletes that cover older runs only.
package run
