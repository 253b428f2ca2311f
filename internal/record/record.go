// Package record defines what flows between tasks: a closed sum of batch, watermark,
// barrier, status and end of data.
//
// Main types: [Element], one item on a channel; [Batch], the one envelope for data, holding
// either columns or a typed slice; [Rows], the typed payload; [RowsPool] and
// [ColumnsRecycler], where batches come from and return to. The package moves nothing
// itself; gates and exchanges do.
//
// Life of a batch: (1) a pool hands it out with one reference and no rows; (2) one goroutine
// fills it; (3) it is sent and from then on immutable, every channel owning a reference;
// (4) the last Release gives it back to its pool. Fill it from one goroutine; Retain, Share
// and Release are safe for concurrent use by owners of a reference; pools are safe for
// concurrent use. An Element is passed by value.
//
// Semantics: Flink's StreamElement (records, Watermark, CheckpointBarrier, WatermarkStatus)
// and EndOfData.
package record

import "github.com/leat-io/leat/eventtime"

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
	// Savepoint is nil for a checkpoint. It is shared by all tasks and never changed.
	Savepoint *Savepoint
}

// Savepoint is how a savepoint is taken.
type Savepoint struct {
	// Directory is the URI of the directory that everything goes into.
	Directory string
	// Stop says that sources emit nothing behind the barrier, unless it is aborted.
	Stop bool
	// Drain, with Stop, ends the input before the barrier.
	Drain bool
}

// Stops reports whether the job ends with the checkpoint.
func (b Barrier) Stops() bool { return b.Savepoint != nil && b.Savepoint.Stop }

// RowKind is the change a row of a changelog stands for, in Flink's order.
type RowKind uint8

// The row kinds.
const (
	Insert RowKind = iota
	UpdateBefore
	UpdateAfter
	Delete
)
