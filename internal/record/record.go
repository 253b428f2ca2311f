// Package record defines what flows between tasks: a closed sum of batch, watermark,
// barrier, status and end of data.
//
// Main types: [Element], one item on a channel; [Batch], the one envelope for data, holding
// either columns or a typed slice; [Rows], the typed payload. The package moves nothing
// itself; gates and exchanges do.
//
// A Batch is filled by one goroutine and immutable once sent; it is reference-counted, and
// the last Release gives it back to the pool it came from. An Element is passed by value.
//
// Semantics: Flink's StreamElement (records, Watermark, CheckpointBarrier, WatermarkStatus)
// and EndOfData.
package record

import (
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
)

// Kind says which member of the sum an Element is.
type Kind uint8

// The members of the sum.
const (
	KindBatch Kind = iota + 1
	KindWatermark
	KindBarrier
	KindStatus    // the channel becomes idle or active
	KindEndOfData // no record follows; barriers still may
)

// Element is one item on a channel.
type Element struct {
	Kind      Kind
	Idle      bool                // KindStatus
	Watermark eventtime.Timestamp // KindWatermark
	Barrier   Barrier             // KindBarrier
	Batch     *Batch              // KindBatch; the receiver owns one reference
}

// Barrier separates what belongs to a checkpoint from what does not.
type Barrier struct {
	Checkpoint    uint64
	TriggerMillis int64 // Unix time at which the coordinator triggered it
	Full          bool  // ask for complete state parts instead of changes
}

// RowKind is the change a row of a changelog stands for, in Flink's order.
type RowKind uint8

// The row kinds.
const (
	Insert RowKind = iota
	UpdateBefore
	UpdateAfter
	Delete
)

// Batch is records moved together. Slices that are not nil have at least Len entries.
type Batch struct {
	Len        int
	Timestamps []eventtime.Timestamp // nil: the records carry no time
	Kinds      []RowKind             // nil: all Insert
	Hashes     []uint64              // hash id 1 of the key; nil when not keyed
	// Selection lists the rows that count, ascending; nil means all. It belongs to the
	// envelope: two envelopes may share a payload under different selections.
	Selection []uint16
	// Payload is *Rows[T] or *batch.Columns.
	Payload any

	owner Recycler
	refs  atomic.Int32
}

// Rows is the payload of a typed batch.
type Rows[T any] struct {
	Items []T
}

// Recycler takes back batches nobody refers to any more. It must be safe for concurrent
// use.
type Recycler interface {
	Recycle(b *Batch)
}
