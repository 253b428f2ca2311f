package stream

import (
	"slices"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/state/backend"
)

// scratchPane holds the rows of a sliding window while it fires. It is dropped before the next
// record, so that no checkpoint sees it; no slice ends there.
const scratchPane = backend.NoPane

// mergeRows is how many rows of a slice are merged at once.
const mergeRows = 1024

// merging is the scratch of putting slices together.
type merging[A any] struct {
	from  []backend.Row // rows of a slice, whose keys are in part
	other A
}

// Watermark fires the windows it has passed, earliest first, then goes on.
func (o *windowAggregate[K, T, A, R]) Watermark(ts eventtime.Timestamp) {
	if ts <= o.watermark.current {
		return
	}
	before, now := o.fired, o.passed(ts)
	o.watermark.current, o.fired = ts, now
	for len(o.panes) > 0 {
		slice := o.slice(o.panes[0])
		number := o.first(slice)
		if number <= before {
			number = before + 1
		}
		if number <= o.last(slice) { // else it was restored without need
			if number > now {
				break
			}
			if err := o.fire(number); err != nil {
				o.env.Failure.Set(err)
				return
			}
			before = number
		}
		if err := o.dropThrough(number); err != nil {
			o.env.Failure.Set(err)
			return
		}
	}
	o.next.Watermark(ts)
}

// dropThrough drops the slices whose last window is number or an earlier one.
func (o *windowAggregate[K, T, A, R]) dropThrough(number int64) error {
	n := 0
	for ; n < len(o.panes) && o.last(o.slice(o.panes[n])) <= number; n++ {
		delete(o.open, o.panes[n])
		if err := o.env.Keyed.Drop(o.table, o.panes[n]); err != nil {
			return err
		}
	}
	o.panes = slices.Delete(o.panes, 0, n)
	return nil
}

// fire emits the results of a window.
func (o *windowAggregate[K, T, A, R]) fire(number int64) error {
	begins, n := o.begins(number), 0
	for n < len(o.panes) && o.slice(o.panes[n])-begins < o.slices {
		n++
	}
	if n == 1 {
		table, err := o.tableOf(o.panes[0])
		if err != nil {
			return err
		}
		return o.emitAll(table, o.window(number))
	}
	scratch, err := o.env.Keyed.Table(o.table, scratchPane)
	if err != nil {
		return err
	}
	p := &o.part
	p.hashes, p.words, p.bytes = p.hashes[:0], p.words[:0], p.bytes[:0]
	for _, pane := range o.panes[:n] {
		table, err := o.tableOf(pane)
		if err != nil {
			return err
		}
		if err := o.mergeAll(scratch, table); err != nil {
			return err
		}
	}
	if err := o.emitAll(scratch, o.window(number)); err != nil {
		return err
	}
	return o.env.Keyed.Drop(o.table, scratchPane)
}

// emitAll emits a result for every row.
func (o *windowAggregate[K, T, A, R]) emitAll(table backend.Table, w Window) error {
	var err error
	failure := o.env.Failure
	table.Scan(func(row backend.Row) bool {
		o.codec.Load(table, row, &o.acc)
		err = o.finish(keyOf(o.keys.codec, table, row), w, &o.acc)
		return err == nil && !failure.Failed()
	})
	if err != nil {
		return err
	}
	return failure.Err()
}

// mergeAll adds the rows of a slice to those of the scratch.
func (o *windowAggregate[K, T, A, R]) mergeAll(scratch, slice backend.Table) error {
	var err error
	slice.Scan(func(row backend.Row) bool {
		p := &o.part
		p.hashes = append(p.hashes, uint64(slice.Hash(row))<<32)
		if words, bytes := slice.Key(row); len(words) > 0 {
			p.words = append(p.words, words...)
		} else {
			p.bytes = append(p.bytes, bytes)
		}
		o.merging.from = append(o.merging.from, row)
		if len(o.merging.from) == mergeRows {
			err = o.mergePart(scratch, slice)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return o.mergePart(scratch, slice)
}

// mergePart adds the rows gathered so far.
func (o *windowAggregate[K, T, A, R]) mergePart(scratch, slice backend.Table) error {
	p, from := &o.part, o.merging.from
	into := o.keys.room(len(from))
	var err error
	p.created, err = scratch.Resolve(
		backend.Keys{Hashes: p.hashes, Words: p.words, Bytes: p.bytes}, backend.Insert, into,
		p.created[:0])
	if err != nil {
		return err
	}
	created, acc, other := p.created, &o.acc, &o.merging.other
	for i, row := range into {
		fresh := len(created) > 0 && int(created[0]) == i
		switch {
		case fresh:
			created = created[1:]
			o.codec.Load(slice, from[i], acc)
		case o.direct:
			o.merge((*A)(scratch.Fixed(row)), (*A)(slice.Fixed(from[i])))
			continue
		default:
			o.codec.Load(scratch, row, acc)
			o.codec.Load(slice, from[i], other)
			o.merge(acc, other)
		}
		if err := o.codec.Store(scratch, row, acc); err != nil {
			return err
		}
	}
	p.hashes, p.words, p.bytes = p.hashes[:0], p.words[:0], p.bytes[:0]
	o.merging.from = from[:0]
	return o.env.Failure.Err()
}
