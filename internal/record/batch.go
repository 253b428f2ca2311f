package record

import (
	"sync"
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/base/invariant"
)

// Batch is records moved together. Slices that are not nil have at least Len entries.
type Batch struct {
	// Len is the number of rows that count. With a selection it is the selection's length;
	// row i of the batch is then row Selection[i] of payload, timestamps, kinds and hashes.
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
	// shared is the envelope whose payload and columns this one borrows, made by Share. It
	// holds a reference to it.
	shared *Batch
	// spare is the selection buffer of an envelope made by Share that selects all rows.
	spare []uint16
}

// Rows is the payload of a typed batch.
type Rows[T any] struct {
	Items []T
}

// Recycler takes back batches nobody refers to any more. It must be safe for concurrent
// use. A batch is handed out again after [Batch.Renew].
type Recycler interface {
	Recycle(b *Batch)
}

// NewBatch returns an empty envelope with one reference, given to owner by its last Release.
// A nil owner leaves it to the garbage collector.
func NewBatch(owner Recycler) *Batch {
	b := &Batch{owner: owner}
	b.refs.Store(1)
	return b
}

// Retain adds n references, for as many further owners. The caller owns one.
func (b *Batch) Retain(n int) { b.refs.Add(int32(n)) }

// Release drops one reference. The caller must not use b after that: the last Release gives
// it back to its pool.
func (b *Batch) Release() {
	left := b.refs.Add(-1)
	if left > 0 {
		return
	}
	if left < 0 {
		invariant.Fail("record batch released more often than retained")
	}
	if b.owner != nil {
		b.owner.Recycle(b)
	}
}

// Renew makes a recycled batch one to fill: no rows, one reference, the payload untouched.
// Slices used before are empty, those never used stay nil: a pool belongs to one output,
// which fills the same slices in every batch. For implementers of Recycler.
func (b *Batch) Renew() {
	b.Len = 0
	b.Timestamps = b.Timestamps[:0]
	b.Kinds = b.Kinds[:0]
	b.Hashes = b.Hashes[:0]
	b.Selection = b.Selection[:0]
	b.refs.Store(1)
}

// Share returns a second envelope over the rows of b with a selection of its own, which is
// copied and counts rows of the payload; nil keeps the selection of b. It has one reference
// and holds one to b, so that the caller keeps its own. b must be filled.
func (b *Batch) Share(selection []uint16) *Batch {
	root := b
	if b.shared != nil {
		root = b.shared
	}
	root.Retain(1)
	e := shares.Get().(*Batch)
	buffer := e.Selection[:0]
	e.refs.Store(1)
	e.owner, e.shared = sharer{}, root
	e.Len, e.Payload = b.Len, b.Payload
	e.Timestamps, e.Kinds, e.Hashes = b.Timestamps, b.Kinds, b.Hashes
	if selection == nil {
		selection = b.Selection
	} else {
		e.Len = len(selection)
	}
	if selection == nil {
		e.Selection, e.spare = nil, buffer
		return e
	}
	e.Selection = append(buffer, selection...)
	return e
}

// shares are envelopes made by Share and free again. They hold no payload, so that letting
// the garbage collector trim them costs little.
var shares = sync.Pool{New: func() any { return &Batch{Selection: []uint16{}} }}

// sharer takes back envelopes made by Share.
type sharer struct{}

// Recycle lets go of the borrowed rows.
func (sharer) Recycle(e *Batch) {
	root := e.shared
	e.shared, e.Payload = nil, nil
	e.Timestamps, e.Kinds, e.Hashes = nil, nil, nil
	if e.Selection == nil {
		e.Selection, e.spare = e.spare, nil
	}
	shares.Put(e)
	root.Release()
}
