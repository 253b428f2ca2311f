package stream

import (
	"context"
	"errors"
	"slices"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/record"
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// windowAggregate is the head that folds records into one row per key and slice. A slice is a
// pane, named by its end; a window that fires puts the rows of its slices together, and a
// slice whose last window has fired is dropped whole. A tumbling window is one slice.
type windowAggregate[K, T, A, R any] struct {
	folding[T, A]
	alignment
	codec  *declared.Codec[A]
	next   operator.Control
	finish func(K, Window, *A) error
	// function is the window's function, nil when there is none.
	function any

	env    *operator.Env
	table  backend.TableID
	keys   keyScratch[T, K]
	late   lateness[T]
	direct bool // rows are used through *A

	watermark inputWatermark
	fired     int64          // the last window that fired
	panes     []backend.Pane // alive, ascending
	open      map[backend.Pane]backend.Table

	// Scratch of one batch: its panes, the pane number of each record (negative for one in no
	// window), and the records in pane order, those of pane i from start[i] to start[i+1].
	inBatch []backend.Pane
	number  []int32
	start   []int32
	ordered []int32
	skipped bool // some are in no window
	part    keyPart
	acc     A
	merging merging[A]
}

// keyPart is the keys of the records of one pane.
type keyPart struct {
	hashes, words []uint64
	bytes         [][]byte
	created       []int32
}

// Open takes up the restored panes and the watermark.
func (o *windowAggregate[K, T, A, R]) Open(
	_ context.Context, restored operator.Restored,
) error {
	o.open = map[backend.Pane]backend.Table{}
	o.panes = o.env.Keyed.Panes(o.table, o.panes[:0])
	err := o.watermark.restore(restored)
	o.fired = o.passed(o.watermark.current)
	return err
}

// Process folds a batch, pane by pane.
func (o *windowAggregate[K, T, A, R]) Process(b *record.Batch) error {
	items, err := itemsOf[T](b)
	if err != nil {
		return err
	}
	o.keys.load(items, b)
	if err := o.assign(items, b); err != nil {
		return err
	}
	if len(o.inBatch) == 1 && !o.skipped {
		return o.fold(o.inBatch[0], nil, items, b)
	}
	o.order()
	for i, pane := range o.inBatch {
		if err := o.fold(pane, o.ordered[o.start[i]:o.start[i+1]], items, b); err != nil {
			return err
		}
	}
	return nil
}

// assign finds the pane of every record and the panes of the batch.
func (o *windowAggregate[K, T, A, R]) assign(items []T, b *record.Batch) error {
	o.number, o.inBatch, o.skipped = o.number[:0], o.inBatch[:0], false
	number := int32(0)
	var first, end eventtime.Timestamp // of the slice found last, empty before
	for i := range b.Len {
		row := rowAt(b.Selection, i)
		ts := timestampAt(b, row)
		if ts == eventtime.None {
			return userFault(o.env, errNoEventTime)
		}
		if ts < first || ts >= end {
			pane := o.pane(ts)
			number = int32(slices.Index(o.inBatch, pane))
			if number < 0 && !o.isWanted(pane) {
				if ts <= o.watermark.current {
					o.late.take(items[row], ts)
				}
				o.number, o.skipped = append(o.number, -1), true
				first, end = 0, 0
				continue
			}
			if number < 0 {
				number = int32(len(o.inBatch))
				o.inBatch = append(o.inBatch, pane)
			}
			end = eventtime.Timestamp(pane)
			if first = end - eventtime.Timestamp(o.grain); end == eventtime.Max {
				first = eventtime.Timestamp(times(o.slice(pane), o.grain, o.shift))
			}
		}
		o.number = append(o.number, number)
	}
	return nil
}

// isWanted reports whether a slice has windows that have not fired.
func (o *windowAggregate[K, T, A, R]) isWanted(pane backend.Pane) bool {
	slice := o.slice(pane)
	last := o.last(slice)
	return last > o.fired && last >= o.first(slice)
}

var errNoEventTime = errors.New("a record has no event time; " +
	"give its source the option stream.WithEventTime")

// order sorts the records by pane, keeping their order within a pane, by counting.
func (o *windowAggregate[K, T, A, R]) order() {
	panes := len(o.inBatch)
	o.start = append(o.start[:0], make([]int32, panes+1)...)
	for _, number := range o.number {
		if number >= 0 {
			o.start[number+1]++
		}
	}
	for i := range panes {
		o.start[i+1] += o.start[i]
	}
	o.ordered = slices.Grow(o.ordered[:0], len(o.number))[:o.start[panes]]
	for i, number := range o.number {
		if number >= 0 {
			o.ordered[o.start[number]] = int32(i)
			o.start[number]++
		}
	}
	copy(o.start[1:], o.start[:panes])
	o.start[0] = 0
}

// tableOf returns the table of a pane, making it when it is new.
func (o *windowAggregate[K, T, A, R]) tableOf(pane backend.Pane) (backend.Table, error) {
	if t, ok := o.open[pane]; ok {
		return t, nil
	}
	t, err := o.env.Keyed.Table(o.table, pane)
	if err != nil {
		return nil, err
	}
	o.open[pane] = t
	if at, known := slices.BinarySearch(o.panes, pane); !known {
		o.panes = slices.Insert(o.panes, at, pane)
	}
	return t, nil
}

// fold adds the records of one pane, given by their numbers in the batch; nil means all.
func (o *windowAggregate[K, T, A, R]) fold(
	pane backend.Pane, records []int32, items []T, b *record.Batch,
) error {
	table, err := o.tableOf(pane)
	if err != nil {
		return err
	}
	keys := o.keysOf(records)
	rows := o.keys.room(len(keys.Hashes))
	if o.part.created, err = table.Resolve(
		keys, backend.Insert, rows, o.part.created[:0]); err != nil {
		return err
	}
	if o.begin != nil {
		return o.foldFromFirst(table, rows, records, items, b.Selection)
	}
	if o.direct {
		o.foldInPlace(table, rows, records, items, b.Selection)
		return o.env.Failure.Err()
	}
	for _, i := range o.part.created {
		o.codec.Zero(table, rows[i])
	}
	for i, row := range rows {
		o.codec.Load(table, row, &o.acc)
		o.add(&o.acc, items[recordAt(records, b.Selection, i)])
		if err := o.codec.Store(table, row, &o.acc); err != nil {
			return err
		}
	}
	return o.env.Failure.Err()
}

// foldFromFirst gives a row that was made the first record instead of zeros.
func (o *windowAggregate[K, T, A, R]) foldFromFirst(
	table backend.Table, rows []backend.Row, records []int32, items []T, selection []uint16,
) error {
	created := o.part.created
	for i, row := range rows {
		item := items[recordAt(records, selection, i)]
		if len(created) > 0 && int(created[0]) == i {
			created = created[1:]
			o.begin(&o.acc, item)
		} else {
			o.codec.Load(table, row, &o.acc)
			o.add(&o.acc, item)
		}
		if err := o.codec.Store(table, row, &o.acc); err != nil {
			return err
		}
	}
	return o.env.Failure.Err()
}

// recordAt returns where in the payload the i-th of some records of a batch lies.
func recordAt(records []int32, selection []uint16, i int) int {
	if records != nil {
		return rowAt(selection, int(records[i]))
	}
	return rowAt(selection, i)
}

// foldInPlace uses rows as accumulators.
func (o *windowAggregate[K, T, A, R]) foldInPlace(
	table backend.Table, rows []backend.Row, records []int32, items []T, selection []uint16,
) {
	add := o.add
	switch {
	case !backend.Addresses(table):
		for i, row := range rows {
			add((*A)(table.Fixed(row)), items[recordAt(records, selection, i)])
		}
	case records == nil && selection == nil:
		items = items[:len(rows)]
		for i, row := range rows {
			add((*A)(backend.Address(row)), items[i])
		}
	default:
		for i, row := range rows {
			add((*A)(backend.Address(row)), items[recordAt(records, selection, i)])
		}
	}
}

// keysOf gathers the keys of some records; those of a whole batch are taken as they are.
func (o *windowAggregate[K, T, A, R]) keysOf(records []int32) backend.Keys {
	all := o.keys.keys()
	if records == nil {
		return all
	}
	p, words := &o.part, o.keys.codec.Words()
	p.hashes, p.words, p.bytes = p.hashes[:0], p.words[:0], p.bytes[:0]
	for _, i := range records {
		p.hashes = append(p.hashes, all.Hashes[i])
		switch words {
		case 0:
			p.bytes = append(p.bytes, all.Bytes[i])
		case 1:
			p.words = append(p.words, all.Words[i])
		default:
			p.words = append(p.words, all.Words[int(i)*words:(int(i)+1)*words]...)
		}
	}
	return backend.Keys{Hashes: p.hashes, Words: p.words, Bytes: p.bytes}
}

// Status passes the status on.
func (o *windowAggregate[K, T, A, R]) Status(idle bool) { o.next.Status(idle) }

// EndOfData passes the end on; the last watermark fired all windows.
func (o *windowAggregate[K, T, A, R]) EndOfData() { o.next.EndOfData() }

// Snapshot writes the watermark; the task takes keyed state.
func (o *windowAggregate[K, T, A, R]) Snapshot(
	context.Context, record.Barrier,
) (operator.State, error) {
	return o.watermark.snapshot(), nil
}

// CheckpointComplete needs nothing.
func (o *windowAggregate[K, T, A, R]) CheckpointComplete(uint64) error { return nil }

// Close closes the window's function.
func (o *windowAggregate[K, T, A, R]) Close() error { return closeFunction(o.function) }
