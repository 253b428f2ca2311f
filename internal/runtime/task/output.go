package task

import (
	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
)

var _ operator.Control = (*outputs)(nil)

// Flush sends what the outputs hold.
func (o *outputs) Flush() {
	for _, out := range o.outputs {
		out.Flush()
	}
}

// Watermark passes a watermark to all channels, behind the records before it.
func (o *outputs) Watermark(ts eventtime.Timestamp) {
	o.seen(int64(ts))
	o.send(record.Element{Kind: record.KindWatermark, Watermark: ts})
}

// Status says on all channels whether the stream is idle.
func (o *outputs) Status(idle bool) {
	o.send(record.Element{Kind: record.KindStatus, Idle: idle})
}

// EndOfData says on all channels that no record follows.
func (o *outputs) EndOfData() { o.send(record.Element{Kind: record.KindEndOfData}) }

// send flushes and then passes an element to all channels.
func (o *outputs) send(e record.Element) {
	o.Flush()
	for _, p := range o.partitions {
		p.Broadcast(e)
	}
}

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
