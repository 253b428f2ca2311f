// Package filesystem is the contract between Leat and the places where files live: local disks,
// memory, object stores.
//
// # Main types
//
// [FileSystem] is one store. [Writer] builds one object that nobody sees until it is published.
// [Registry] finds the store and the path that a URI means. [Token] names a prepared object; it can
// be kept in a checkpoint and published by any later process.
//
// # Life of an object
//
//  1. Create opens a Writer; Write appends. The object is in progress: Open, Stat and List do not
//     show it at its path, ListInProgress does. A crash loses it or leaves garbage to clean up.
//  2. Writer.Prepare makes it durable and returns its token. It is still invisible, and a crash no
//     longer loses it.
//  3. Publish(token) makes it visible at its path, whole, at once and durably. Published objects
//     never change; they can only be removed.
//  4. Instead of 3, Discard(token) drops it. Before 2, Writer.Abort does.
//
// CreateIfAbsent does all of it in one call for small objects and has exactly one winner: it is
// what fencing records, commit logs and checkpoint completion stand on.
//
// # Errors
//
// ErrNotExist, ErrExists and ErrTokenUnknown are definite answers: the call changed nothing. After
// any other error of CreateIfAbsent, Publish, Discard or Remove the effect may have happened (the
// answer can be lost on its way); the caller reads back or repeats the call and decides. Publish
// and Discard are idempotent for that reason. A context that is done before the call starts makes
// every operation fail with the context's error and without effect.
//
// # What it does not do
//
// There is no rename, no append to a published object, no lock and no permission model, because
// object stores have none of them. Names are not filtered beyond objects in progress: what hidden
// files mean is the caller's business. The package itself touches no disk.
//
// # Concurrency
//
// A FileSystem, a Registry and a ReadAtCloser are safe for concurrent use; a Writer belongs to one
// goroutine at a time. Stores are shared by processes: every promise above holds between processes.
//
// Semantics: Flink's RecoverableWriter (FLIP-46 file sink), with publishing by link or multipart
// completion in place of rename.
package filesystem
