// Package view looks inside the state of a checkpoint or savepoint without the program that wrote
// it: everything is decoded by the schemas that lie in the checkpoint.
//
// Main types: [Checkpoint], the metadata together with a way to open its files; [Operator] and
// [State], what it holds and how large that is; [Section] and [Entry], keys and values as they are
// read. Values come as nil, bool, int64, uint64, float64, string, [Octets], [Time] and [Record].
//
// Reading merges the runs of each subtask as a restore would, but opens only the runs whose hashes
// are asked for and reads only the blocks needed, so that one key of a large state costs a few
// reads. It verifies the checksums of blocks and not the digests of files, which is what verifying
// a checkpoint is for. The package writes nothing and judges nothing.
//
// A Checkpoint is immutable and safe for concurrent use; every scan opens and closes its files.
package view
