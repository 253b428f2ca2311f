package record

import (
	"reflect"
	"sync"

	"github.com/leat-io/leat/batch"
)

// freeList keeps envelopes for reuse: last in, first out, so that a batch comes back while
// it is in the caches.
type freeList struct {
	mu struct {
		sync.Mutex
		free []*Batch
	}
}

// maxIdle bounds a free list. It never holds more than were under way at one time; the bound
// covers rings of 8 batches to some 50 receivers, with one batch being filled and one being
// read for each.
const maxIdle = 512

// take returns a free envelope or nil.
func (f *freeList) take() *Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := len(f.mu.free) - 1
	if last < 0 {
		return nil
	}
	b := f.mu.free[last]
	f.mu.free[last] = nil
	f.mu.free = f.mu.free[:last]
	return b
}

// put keeps b, or leaves it to the garbage collector when the list is full.
func (f *freeList) put(b *Batch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mu.free) < maxIdle {
		f.mu.free = append(f.mu.free, b)
	}
}

// RowsPool recycles typed batches, one pool per output. In the steady state it allocates
// nothing. Safe for concurrent use: one goroutine gets, many release.
type RowsPool[T any] struct {
	rows     int
	pointers bool // T holds pointers, which an idle batch must not keep alive
	list     freeList
}

// NewRowsPool returns a pool of batches with room for rows items.
func NewRowsPool[T any](rows int) *RowsPool[T] {
	return &RowsPool[T]{rows: rows, pointers: hasPointers(reflect.TypeFor[T]())}
}

// Get returns an empty batch with one reference. Its payload is a *Rows[T], whose Items are
// empty with room for rows; its other slices are empty when they were used before in this
// pool, else nil: append to those that are wanted, the same ones in every batch.
func (p *RowsPool[T]) Get() *Batch {
	if b := p.list.take(); b != nil {
		b.Renew()
		return b
	}
	b := NewBatch(p)
	b.Payload = &Rows[T]{Items: make([]T, 0, p.rows)}
	return b
}

// Recycle takes back a batch.
func (p *RowsPool[T]) Recycle(b *Batch) {
	rows := b.Payload.(*Rows[T])
	if p.pointers {
		clear(rows.Items)
	}
	rows.Items = rows.Items[:0]
	p.list.put(b)
}

// hasPointers reports whether values of t refer to memory the garbage collector follows.
func hasPointers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return t.Len() > 0 && hasPointers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointers(t.Field(i).Type) {
				return true
			}
		}
		return false
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer,
		reflect.Slice, reflect.String, reflect.UnsafePointer:
		return true
	}
	return false
}

// ColumnsRecycler puts columns into envelopes, which it recycles; the columns return to the
// pool they came from. The zero value is ready for use; one belongs to one output. Safe for
// concurrent use.
type ColumnsRecycler struct {
	list freeList
}

// Wrap returns an envelope with one reference around filled columns. It takes over the
// caller's reference to them and releases it when the envelope is released. Other slices are
// as those of [RowsPool.Get].
func (r *ColumnsRecycler) Wrap(c *batch.Columns) *Batch {
	b := r.list.take()
	if b == nil {
		b = NewBatch(r)
	} else {
		b.Renew()
	}
	b.Len, b.Payload = c.Len, c
	return b
}

// Recycle takes back an envelope and releases its columns.
func (r *ColumnsRecycler) Recycle(b *Batch) {
	c := b.Payload.(*batch.Columns)
	b.Payload = nil
	c.Release()
	r.list.put(b)
}

var (
	_ Recycler = (*RowsPool[int])(nil)
	_ Recycler = (*ColumnsRecycler)(nil)
	_ Recycler = sharer{}
)
