// Package batch holds columns: what connectors, formats and vectorised functions read and
// write.
//
// Main types: [Columns], a batch of rows stored column by column; [Column]; [View], a
// 16-byte string view; [Pool], which recycles batches of one schema; [StructCodec], which
// converts between batches and slices of a Go type. A batch holds up to DefaultRows rows by
// default.
//
// A Columns is filled by one goroutine, then immutable once it has been sent; it is
// reference-counted ([Columns.Retain], [Columns.Release]) and returns to its pool with the
// last release. Bytes that strings handed to user code may alias are never recycled
// ([Columns.Expose]), so such strings are safe to keep.
//
// Semantics: Arrow's StringView layout for views; validity bits as in Arrow (set = not
// null), nil meaning no nulls.
package batch

import (
	"sync/atomic"

	"github.com/leat-io/leat/types"
)

// DefaultRows is the usual capacity of a batch.
const DefaultRows = 1024

// MaxRows bounds a batch, so that a selection fits 16-bit indexes.
const MaxRows = 1 << 16

// View is a string or byte string of a column: up to 12 bytes inline, zeros after them; longer
// ones as (length, first 4 bytes, buffer index, offset) into the buffers of its batch, all little
// endian.
type View struct {
	length uint32
	rest   [12]byte
}

// Column is one column of a batch. Exactly the slice of Physical is in use; its length is
// the capacity of the batch, entries at and beyond Columns.Len are undefined.
type Column struct {
	Physical types.Physical
	Bool     []bool
	Int32    []int32
	Int64    []int64
	Float32  []float32
	Float64  []float64
	Views    []View
	// Valid has bit i set when row i is not null; nil means no nulls. The value slot of a
	// null row is undefined.
	Valid []uint64

	spareValid []uint64 // for reuse as Valid
}

// Columns is a batch of rows of one schema, made by [New] or a [Pool].
type Columns struct {
	Schema  *types.Schema
	Len     int      // rows in use
	Columns []Column // one per field
	// Buffers are the bytes that long views of this batch point into. They are append-only
	// while a batch is filled and never written after that.
	Buffers [][]byte

	capacity   int
	arena      arena
	spareViews []View // for columns whose views stay in use
	references atomic.Int32
	pool       *Pool
	// exposed has a bit for every column whose views strings may alias, the highest one for all
	// columns from 63 on; shared says that the buffers are aliased, by strings or other batches.
	// What they name is not recycled.
	exposed atomic.Uint64
	shared  atomic.Bool
}
