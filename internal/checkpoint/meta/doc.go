// Package meta is the content of a checkpoint's `_metadata` file and its serial form.
//
// [Checkpoint] is the content; [Encode] and [Decode] turn it into the bytes described in
// docs/formats/metadata.md and back; [ContentsJSON] is the same for people. [OperatorID] derives
// the id of an operator from its uid.
//
// The package reads and writes no files (package store does) and does not judge whether a job may
// restore from a checkpoint. It has no life cycle. All functions are pure and may be called from
// any goroutine; a Checkpoint must not be changed while one of them uses it.
//
// Semantics: Flink's checkpoint metadata (MetadataV3 to V6), in a layout of our own.
package meta
