package batch

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/leat-io/leat/types"
)

// codecBlock is the number of records converted column by column at a time, so that they stay in
// the nearest cache.
const codecBlock = 128

// StructCodec converts between batches and slices of the Go type T, one loop per field, without
// reflection. It is immutable and safe for concurrent use.
type StructCodec[T any] struct {
	layout *types.Struct
	fields []fieldCodec
}

// CodecOf returns the codec of T, mapped to columns as [types.StructOf] says. Nested structs are
// not supported. The error names the type, the field and the cure.
func CodecOf[T any]() (*StructCodec[T], error) {
	layout, err := types.StructOf[T]()
	if err != nil {
		return nil, err
	}
	x := &StructCodec[T]{layout: layout}
	for _, f := range layout.Schema.Fields {
		if f.Type.Physical() == types.NoPhysical {
			return nil, fmt.Errorf("hold field %q of type %s in a batch: "+
				"type %q is not supported; move its fields into %s",
				f.Name, layout.Go, f.Type.String(), layout.Go)
		}
	}
	for _, leaf := range layout.Leaves {
		x.fields = append(x.fields, fieldCodecOf(leaf))
	}
	return x, nil
}

// Schema returns the schema of T.
func (x *StructCodec[T]) Schema() *types.Schema { return x.layout.Schema }

// Struct returns T as a schema with the places of its fields.
func (x *StructCodec[T]) Struct() *types.Struct { return x.layout }

// Read appends the rows sel of c (nil: all) to dst. c must have the physical columns of T, in
// order. Strings alias c and are safe to keep; one kept string keeps the bytes of the batch
// alive, strings.Clone cuts it loose. Slices of bytes alias c too: do not write to them. A null
// for a field that is not a types.Null is an error naming row and column, with dst as it was.
func (x *StructCodec[T]) Read(c *Columns, sel []uint16, dst []T) ([]T, error) {
	return x.ReadInterned(c, sel, dst, nil)
}

// ReadInterned is [StructCodec.Read] with short strings taken from intern, which spares c the
// memory they lie in. intern belongs to one goroutine; nil means none.
func (x *StructCodec[T]) ReadInterned(
	c *Columns, sel []uint16, dst []T, intern *Interner,
) ([]T, error) {
	n := c.Len
	if sel != nil {
		n = len(sel)
	}
	if err := x.check(c, sel); err != nil || n == 0 {
		return dst, err
	}
	old := len(dst)
	dst = extend(dst, n)
	if !x.layout.Whole {
		clear(dst[old:]) // fields that are no columns
	}
	r := span{stride: x.layout.Size, intern: intern}
	for from := 0; from < n; from += codecBlock {
		r.rows = min(codecBlock, n-from)
		r.base = unsafe.Pointer(&dst[old+from])
		r.first = from
		if sel != nil {
			r.sel = sel[from : from+r.rows]
		}
		for i := range x.fields {
			x.fields[i].read(&x.fields[i], r, c)
		}
	}
	return dst, nil
}

// extend appends n records to dst, zero or left over from earlier use.
func extend[T any](dst []T, n int) []T {
	if cap(dst)-len(dst) >= n {
		return dst[:len(dst)+n]
	}
	return append(dst, make([]T, n)...)
}

// check reports columns of another kind and nulls where T has no place for them.
func (x *StructCodec[T]) check(c *Columns, sel []uint16) error {
	if len(c.Columns) != len(x.fields) {
		return fmt.Errorf("read %d columns into type %s: it has %d",
			len(c.Columns), x.layout.Go, len(x.fields))
	}
	for i := range x.fields {
		column := &c.Columns[i]
		if f := &x.fields[i]; column.Physical != f.physical {
			return fmt.Errorf("read column %q into type %s: it holds %s, want %s",
				c.Schema.Fields[i].Name, x.layout.Go, column.Physical, f.physical)
		}
		if column.Valid == nil || x.fields[i].nullable {
			continue
		}
		if row := firstNull(column.Valid, c.Len, sel); row >= 0 {
			return fmt.Errorf("read column %q into type %s: row %d is null; "+
				"use types.Null for the field", c.Schema.Fields[i].Name, x.layout.Go, row)
		}
	}
	return nil
}

// firstNull returns the first row that is null, among sel if it is not nil, or -1.
func firstNull(valid []uint64, rows int, sel []uint16) int {
	if sel != nil {
		for _, row := range sel {
			if valid[row>>6]&(1<<(row&63)) == 0 {
				return int(row)
			}
		}
		return -1
	}
	for i := 0; i*64 < rows; i++ {
		if row := i*64 + bits.TrailingZeros64(^valid[i]); row < min(i*64+64, rows) {
			return row
		}
	}
	return -1
}

// Write sets the rows of c from row0 on to src, copying strings, and raises c.Len to cover them.
// c must have the physical columns of T and room for the rows. Rows are overwritten in whole,
// nulls included.
func (x *StructCodec[T]) Write(src []T, c *Columns, row0 int) {
	w := span{stride: x.layout.Size}
	for from := 0; from < len(src); from += codecBlock {
		w.rows = min(codecBlock, len(src)-from)
		w.base = unsafe.Pointer(&src[from])
		w.first = row0 + from
		for i := range x.fields {
			x.fields[i].write(&x.fields[i], w, c)
		}
	}
	c.Len = max(c.Len, row0+len(src))
}

// span is a run of records in memory and the rows of a batch that belong to them.
type span struct {
	base   unsafe.Pointer // the first record
	stride uintptr        // from record to record, in bytes
	rows   int            // at least 1
	first  int            // row of the first record, unless sel is set
	sel    []uint16       // row of every record, or nil
	intern *Interner      // for short strings, or nil
}
