package stream

import (
	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/types"
)

// plainOutputs makes outputs that do not look at records: forward, rebalance, which gives
// full batches to the channels in turn, and broadcast, which gives every batch to all.
type plainOutputs[T any] struct{ toAll bool }

// NewOutput returns the link of an output of one edge.
func (f plainOutputs[T]) NewOutput(
	_ *operator.Env, _ *protocol.Edge, channels operator.Channels,
) (any, operator.Output, error) {
	o := &plainOutput[T]{
		channels: channels, toAll: f.toAll, pool: record.NewRowsPool[T](batch.DefaultRows),
	}
	o.current = o.pool.Get()
	return &operator.Link[T]{Record: o.record}, o, nil
}

type plainOutput[T any] struct {
	channels operator.Channels
	toAll    bool
	pool     *record.RowsPool[T]
	current  *record.Batch
	next     int // channel of the next batch
}

func (o *plainOutput[T]) record(v T, ts eventtime.Timestamp) {
	b := o.current
	rows := b.Payload.(*record.Rows[T])
	rows.Items = append(rows.Items, v)
	b.Timestamps = append(b.Timestamps, ts)
	b.Len++
	if b.Len == batch.DefaultRows {
		o.Flush()
	}
}

// Flush sends what is buffered.
func (o *plainOutput[T]) Flush() {
	if o.current.Len == 0 {
		return
	}
	if o.toAll {
		o.sendToAll()
		return
	}
	o.channels.Send(o.next, o.current)
	if o.next++; o.next == o.channels.Len() {
		o.next = 0
	}
	o.current = o.pool.Get()
}

// sendToAll lets all channels share the batch.
func (o *plainOutput[T]) sendToAll() {
	b, n := o.current, o.channels.Len()
	o.current = o.pool.Get()
	b.Retain(n - 1)
	for i := range n {
		o.channels.Send(i, b)
	}
}

// keyedOutputs makes outputs that send a record to the owner of its key and hand the hash on.
type keyedOutputs[T, K any] struct {
	key   func(T) K
	codec *types.KeyCodec[K]
}

// NewOutput returns the link of an output of one edge.
func (f keyedOutputs[T, K]) NewOutput(
	_ *operator.Env, _ *protocol.Edge, channels operator.Channels,
) (any, operator.Output, error) {
	o := &keyedOutput[T, K]{
		channels: channels, key: f.key, codec: f.codec,
		pool:    record.NewRowsPool[T](batch.DefaultRows),
		pending: make([]*record.Batch, channels.Len()),
	}
	for i := range o.pending {
		o.pending[i] = o.pool.Get()
	}
	link := &operator.Link[T]{Record: o.record}
	if channels.Len() == 1 {
		link.Record = o.recordToOne
	}
	return link, o, nil
}

// keyedOutput keeps one batch for each channel, so that receivers get full batches.
type keyedOutput[T, K any] struct {
	channels operator.Channels
	key      func(T) K
	codec    *types.KeyCodec[K]
	pool     *record.RowsPool[T]
	pending  []*record.Batch
	keys     []K // of the pending batch, when there is one channel only
}

// record sends by key: the hash is needed at once.
func (o *keyedOutput[T, K]) record(v T, ts eventtime.Timestamp) {
	hash := o.codec.Hash(o.key(v))
	to := types.SubtaskOf(hash, len(o.pending))
	b := o.pending[to]
	rows := b.Payload.(*record.Rows[T])
	rows.Items = append(rows.Items, v)
	b.Timestamps = append(b.Timestamps, ts)
	b.Hashes = append(b.Hashes, hash)
	b.Len++
	if b.Len == batch.DefaultRows {
		o.send(to)
	}
}

// recordToOne collects keys and hashes them batch by batch.
func (o *keyedOutput[T, K]) recordToOne(v T, ts eventtime.Timestamp) {
	b := o.pending[0]
	rows := b.Payload.(*record.Rows[T])
	rows.Items = append(rows.Items, v)
	b.Timestamps = append(b.Timestamps, ts)
	o.keys = append(o.keys, o.key(v))
	b.Len++
	if b.Len == batch.DefaultRows {
		o.send(0)
	}
}

func (o *keyedOutput[T, K]) send(to int) {
	b := o.pending[to]
	if len(o.keys) > 0 {
		b.Hashes = o.codec.HashAll(b.Hashes, o.keys)
		clear(o.keys)
		o.keys = o.keys[:0]
	}
	o.channels.Send(to, b)
	o.pending[to] = o.pool.Get()
}

// Flush sends what is buffered.
func (o *keyedOutput[T, K]) Flush() {
	for to, b := range o.pending {
		if b.Len > 0 {
			o.send(to)
		}
	}
}
