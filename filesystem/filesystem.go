package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"time"
)

// Path names an object or a directory within one store: slash separated, starting with "/",
// without empty, "." or ".." elements and without a slash at the end ("/" alone is the root). In
// stores whose URIs have an authority the path starts with it: "s3://bucket/a/b" is "/bucket/a/b"
// in the store of scheme "s3". Names are bytes; they are neither decoded nor normalised.
type Path = string

// Entry describes one object or directory.
type Entry struct {
	// Path is the whole path within the store.
	Path string
	// Size is the length in bytes; 0 for a directory.
	Size int64
	// ModTime is when the object was written, by the store's clock; zero where unknown and for
	// directories of stores that have none of their own.
	ModTime time.Time
	// Dir tells a directory from an object.
	Dir bool
}

// ReadAtCloser reads one published object. ReadAt follows io.ReaderAt: it fills the slice or
// returns an error, and io.EOF at the end. Safe for concurrent use, Close excepted; what was opened
// stays readable after a Remove on local and memory stores, elsewhere reads may then fail with
// ErrNotExist. Closing twice is allowed.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
	// Size returns the length of the object in bytes.
	Size() int64
}

// The definite answers of a store; test with errors.Is. The call that returns one of them changed
// nothing.
var (
	// ErrNotExist: no object is at the path. It wraps fs.ErrNotExist.
	ErrNotExist error = fmt.Errorf("object does not exist: %w", fs.ErrNotExist)
	// ErrExists: the path is taken by another object. It wraps fs.ErrExist.
	ErrExists error = fmt.Errorf("object exists already: %w", fs.ErrExist)
	// ErrTokenUnknown: the token is malformed, belongs to another store, or its object is neither
	// prepared nor published any more.
	ErrTokenUnknown error = errors.New("token names no prepared or published object")
)

// Token names a prepared object. It is opaque to callers, a few hundred bytes at most plus the
// path, valid in any process that reaches the same store, and for as long as the object lives. Keep
// it as bytes; do not change it.
type Token []byte

// FileSystem is one store. Safe for concurrent use, by goroutines and by processes.
//
// Paths must have the form that Path describes; others are refused with an error that is none of
// the sentinels. Missing parent directories are made when an object is created. One path must not
// be an object and a directory at the same time: stores that have real directories refuse it.
type FileSystem interface {
	// Scheme returns the URI scheme the store serves, in lower case and without a colon: "file".
	Scheme() string

	// Open opens the published object at path for reading. Errors: ErrNotExist; a directory is
	// refused with another error. The context bounds the opening and the reads that follow.
	Open(ctx context.Context, path string) (ReadAtCloser, error)

	// Create starts an object that will be published at path. Nothing appears at path until
	// Publish; Create does not look whether path is taken. The context also bounds the transfers
	// that Write starts: after it is done Write and Prepare may fail, and Abort still works.
	Create(ctx context.Context, path string) (Writer, error)

	// CreateIfAbsent makes data visible at path, whole, at once and durably, or returns ErrExists
	// and changes nothing. Of any number of concurrent calls for one path exactly one succeeds,
	// also when all bring the same bytes. ErrExists is returned only when what exists is durable.
	// After any other error the object may or may not be there. It does not keep data.
	CreateIfAbsent(ctx context.Context, path string, data []byte) error

	// Publish makes a prepared object visible at the path given to Create, durably. It is
	// idempotent: publishing a token again after success, or after a crash or an error in the
	// middle, succeeds and changes nothing, in any process, while the published object is there.
	//
	// Errors: ErrExists if another object is at the path, even one of the same bytes; the prepared
	// object then stays prepared. ErrTokenUnknown if the object is neither prepared nor at the
	// path: it was discarded, or published and removed since. A store that has lost the identity of
	// the objects (a directory copied to another disk) may recognise a published object by its
	// content.
	Publish(ctx context.Context, token Token) error

	// Discard removes a prepared object that is not published. It is idempotent, and it never
	// removes a published one: for a published, discarded or removed object it returns nil and does
	// nothing. Errors: ErrTokenUnknown only for a token that is malformed or of another store.
	Discard(ctx context.Context, token Token) error

	// List yields what is visible below dir; objects in progress are hidden. Without recursive: the
	// objects and directories directly in dir. With recursive: all objects at any depth, and no
	// directories. A directory that holds no object may or may not be yielded.
	//
	// The order is the byte order of paths, in which a directory counts as its path with "/" at the
	// end. A missing dir, or one that is an object, lists nothing. Every object that is there
	// during the whole listing is yielded exactly once; one that comes or goes meanwhile at most
	// once. An error is yielded with a zero Entry and ends the listing.
	List(ctx context.Context, dir string, recursive bool) iter.Seq2[Entry, error]

	// ListInProgress yields the objects in progress at any depth below dir, prepared or not, of all
	// processes, in the order of List. The path of an entry can be given to Remove, which drops the
	// object, and to InProgressTarget, which tells where it would be published. If the object's
	// writer still lives, its Prepare then fails or Publish returns ErrTokenUnknown. A store in
	// which unprepared objects are nowhere before Prepare need not yield those.
	ListInProgress(ctx context.Context, dir string) iter.Seq2[Entry, error]

	// Stat describes the object or directory at path. In stores without directories of their own a
	// path is a directory while objects are below it. Errors: ErrNotExist.
	Stat(ctx context.Context, path string) (Entry, error)

	// Remove removes the object at path, or an object in progress by its path from ListInProgress.
	// Errors: ErrNotExist if it is absent; a directory is refused with another error. A crash soon
	// after may bring the object back. Directories left empty stay; see RemoveEmptyDirs.
	Remove(ctx context.Context, path string) error

	// RemoveEmptyDirs removes dir and the directories below it as far as they hold no object,
	// published or in progress. Stores without directories of their own, and a missing dir, need
	// nothing done. It is safe beside writers: a creation racing with it succeeds or fails whole.
	RemoveEmptyDirs(ctx context.Context, dir string) error
}

// Writer writes one object in progress. It belongs to one goroutine at a time and ends with Prepare
// or Abort; a writer dropped without either leaves an object in progress behind. After the end
// Write and Prepare return an error that wraps fs.ErrClosed.
type Writer interface {
	// Write appends; it does not keep the slice. After a failed Write only Abort is useful: Write
	// and Prepare fail.
	io.Writer

	// Prepare makes everything written durable and returns the token to publish it. The writer is
	// finished whether or not it succeeds; after a failure call Abort. Writing nothing is allowed
	// and gives an empty object.
	Prepare(ctx context.Context) (Token, error)

	// Abort drops everything written. Safe after Prepare failed and when called twice; after
	// Prepare succeeded it does nothing and returns nil.
	Abort() error
}
