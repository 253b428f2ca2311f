package task

import (
	"sync/atomic"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/runtime/exchange"
)

// outputs are the ends of a chain: the outputs of all edges, with their channels.
type outputs struct {
	partitions []*exchange.Partition
	outputs    []operator.Output
}

// Flush sends what the outputs hold.
func (o *outputs) Flush() {
	for _, out := range o.outputs {
		out.Flush()
	}
}

// send flushes and then passes an element to all channels.
func (o *outputs) send(e record.Element) {
	o.Flush()
	for _, p := range o.partitions {
		p.Broadcast(e)
	}
}

// edgeControl passes control to all channels of an edge, behind the records before it.
type edgeControl struct {
	output    operator.Output
	partition *exchange.Partition
}

// Watermark passes a watermark on.
func (c edgeControl) Watermark(ts eventtime.Timestamp) {
	c.send(record.Element{Kind: record.KindWatermark, Watermark: ts})
}

// Status says whether the stream is idle.
func (c edgeControl) Status(idle bool) {
	c.send(record.Element{Kind: record.KindStatus, Idle: idle})
}

// EndOfData says that no record follows.
func (c edgeControl) EndOfData() { c.send(record.Element{Kind: record.KindEndOfData}) }

func (c edgeControl) send(e record.Element) {
	c.output.Flush()
	c.partition.Broadcast(e)
}

// watched notes the watermarks of a source for the reports.
type watched struct{ watermark *atomic.Int64 }

func (w watched) Watermark(ts eventtime.Timestamp) { w.watermark.Store(int64(ts)) }
func (watched) Status(bool)                        {}
func (watched) EndOfData()                         {}

// flush sends everything the chain holds back.
func (t *Task) flush() error {
	for _, l := range t.chain.links {
		if f, ok := l.operator.(operator.Flusher); ok {
			f.Flush()
		}
	}
	t.chain.outputs.Flush()
	return t.failure.Err()
}
