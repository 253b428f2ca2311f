// Package timer keeps the timers of one service of a task, by time, in memory that the garbage
// collector does not scan.
//
// Main type: [Service], which implements state/backend.Timers and, so that the backend of a
// task takes it into its snapshots, internal/state/version.Store. It does not fire anything:
// who takes a timer out of it does.
//
// A service is a wheel of buckets: near timers lie in buckets of 64 ms, farther ones in
// buckets 64 times as wide for every level, which are split when they are due. There are at
// most 640 buckets, however far timers are spread. What is at or before a time called base
// lies in the bucket that is being emptied, the current one.
//
// A bucket is a log of operations, register and delete, and some sorted runs of them, made
// from the log when it has grown some times as large as they are, or when the bucket is due.
// Within one timer the operations keep their order: the first registration after the last
// deletion counts. So registering a timer that is there already costs an append, and its
// memory only until the next sort, which is put off while hardly any timer turns out to be
// one. Where it happens all the time, registrations made lately are remembered, and repeating
// one costs nothing.
//
// Snapshots. Every operation carries the state version it was made in. The image of a
// snapshot is made of operations as they lie: those up to its version, and above its base
// when it is a delta. A bucket is copied to the image before anything but an append happens
// to it; what is appended later has a higher version. Who reads the image puts it in the
// order of a run and works out what the operations on a timer come to. A timer that has
// gone, by firing or by deletion, and may be in a snapshot, which is to say that it is older
// than the current version, is remembered in the delete log until a checkpoint without it is
// confirmed.
//
// Task goroutine only, except for iterating the entries of a finished image. There is nothing
// to close.
//
// Semantics: Flink's InternalTimerService; the order among equal timestamps is that of
// backend.Timers.
package timer
