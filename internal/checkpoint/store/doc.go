// Package store keeps the checkpoints of a job: directories, records, generations, retention.
//
// Its main types are [Store], the checkpoints of one job name under one root; [Record], the
// immutable note that makes a checkpoint complete; [Found], a checkpoint to restore from; and
// [Uploader], by which tasks write the files that a checkpoint refers to. The layout and the
// protocol are in docs/formats/control.md.
//
// The life of a Store in a master:
//
//  1. Open finds the place. It writes nothing. Retain and Pace set it up.
//  2. NewGeneration makes this process the master and fences the one before it.
//  3. Latest or Load finds the checkpoint to restore from, if any; Adopt fixes job id and lineage.
//  4. PublishCheckpoint completes checkpoints, MarkCommitted notes that the sinks are done, Sweep
//     removes what is no longer needed.
//  5. Once any of these reports Fenced or Unknown, the Store publishes and deletes nothing more.
//
// What is to be concluded from what was seen in the store is decided by pure functions (decide.go,
// plan.go); the rest moves bytes. The package does not decide when a checkpoint is taken, does not
// commit sinks, does not judge whether a checkpoint fits a job, and starts no goroutine.
//
// Open, Latest, Load and Read may be called from any goroutine. NewGeneration, Adopt,
// PublishCheckpoint and MarkCommitted are called one at a time by the master. Sweep may run beside
// them, but not beside another Sweep.
//
// Semantics: the generation, fence and record protocol follows arroyo-state-protocol; directory
// names follow Flink.
package store
