// Package statesim runs keyed state as a job keeps it, without the job: several subtasks with
// backends and run lists, operations at random, checkpoints that fail, complete and are
// merged, restores at other parallelism, files that are swept. A single naive backend with
// the same operations, which is never checkpointed, is the oracle.
//
// The package consists of tests only.
package statesim
