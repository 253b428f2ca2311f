package batch

import (
	"reflect"
	"unsafe"

	"github.com/leat-io/leat/types"
)

// fieldCodec moves one field of a run of records from or to its column.
type fieldCodec struct {
	column     int
	offset     uintptr
	physical   types.Physical
	nullable   bool
	nullOffset uintptr
	read       func(f *fieldCodec, r span, c *Columns)
	write      func(f *fieldCodec, w span, c *Columns)
}

func fieldCodecOf(leaf types.Leaf) fieldCodec {
	f := fieldCodec{
		column: leaf.Column, offset: leaf.Offset, physical: leaf.Physical,
		nullable: leaf.Type.Nullable, nullOffset: leaf.NullOffset,
	}
	switch leaf.GoKind {
	case reflect.Bool:
		bindNumbers[uint8, uint8](&f) // a bool in memory is a byte of 0 or 1
	case reflect.Int8:
		bindNumbers[int8, int32](&f)
	case reflect.Int16:
		bindNumbers[int16, int32](&f)
	case reflect.Int32:
		bindNumbers[int32, int32](&f)
	case reflect.Uint8:
		bindNumbers[uint8, int32](&f)
	case reflect.Uint16:
		bindNumbers[uint16, int32](&f)
	case reflect.Uint32:
		bindNumbers[uint32, int64](&f)
	case reflect.Int:
		bindNumbers[int, int64](&f)
	case reflect.Int64:
		bindNumbers[int64, int64](&f)
	case reflect.Float32:
		bindNumbers[float32, float32](&f)
	case reflect.Float64:
		bindNumbers[float64, float64](&f)
	case reflect.String:
		f.read, f.write = readStrings, writeStrings
	default:
		f.read, f.write = readBytes, writeBytes
	}
	return f
}

type number interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~int | ~uint8 | ~uint16 | ~uint32 | ~float32 | ~float64
}

// bindNumbers moves Go values of kind G from and to a column of V.
func bindNumbers[G, V number](f *fieldCodec) {
	f.read, f.write = readNumbers[G, V], writeNumbers[G, V]
}

// values returns the slice of a column, whose elements are as large as V.
func values[V number](col *Column) []V {
	switch col.Physical {
	case types.Bool8:
		return reinterpret[V](col.Bool)
	case types.Int32:
		return reinterpret[V](col.Int32)
	case types.Int64:
		return reinterpret[V](col.Int64)
	case types.Float32:
		return reinterpret[V](col.Float32)
	}
	return reinterpret[V](col.Float64)
}

func reinterpret[V, E any](s []E) []V {
	return unsafe.Slice((*V)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

func readNumbers[G, V number](f *fieldCodec, r span, c *Columns) {
	column := &c.Columns[f.column]
	from := values[V](column)
	to := unsafe.Add(r.base, f.offset)
	if r.sel == nil {
		for i, v := range from[r.first : r.first+r.rows] {
			*(*G)(unsafe.Add(to, uintptr(i)*r.stride)) = G(v)
		}
	} else {
		for i, row := range r.sel {
			*(*G)(unsafe.Add(to, uintptr(i)*r.stride)) = G(from[row])
		}
	}
	if f.nullable {
		readValid[G](f, r, column)
	}
}

// readValid sets Null.Valid of the records, and V to zero where it is false.
func readValid[G any](f *fieldCodec, r span, column *Column) {
	for i := range r.rows {
		record := unsafe.Add(r.base, uintptr(i)*r.stride)
		valid := column.validAt(r.row(i))
		*(*bool)(unsafe.Add(record, f.nullOffset)) = valid
		if !valid {
			var zero G
			*(*G)(unsafe.Add(record, f.offset)) = zero
		}
	}
}

// row returns the row that belongs to record i.
func (s *span) row(i int) int {
	if s.sel != nil {
		return int(s.sel[i])
	}
	return s.first + i
}

func (col *Column) validAt(row int) bool {
	return col.Valid == nil || col.Valid[row>>6]&(1<<(row&63)) != 0
}

func writeNumbers[G, V number](f *fieldCodec, w span, c *Columns) {
	to := values[V](&c.Columns[f.column])[w.first : w.first+w.rows]
	from := unsafe.Add(w.base, f.offset)
	for i := range to {
		to[i] = V(*(*G)(unsafe.Add(from, uintptr(i)*w.stride)))
	}
	writeValid(f, w, c)
}

// writeValid sets or clears the nulls of the rows.
func writeValid(f *fieldCodec, w span, c *Columns) {
	if !f.nullable {
		if c.Columns[f.column].Valid != nil {
			for i := range w.rows {
				c.SetValid(f.column, w.first+i)
			}
		}
		return
	}
	for i := range w.rows {
		if *(*bool)(unsafe.Add(w.base, uintptr(i)*w.stride+f.nullOffset)) {
			c.SetValid(f.column, w.first+i)
		} else {
			c.SetNull(f.column, w.first+i)
		}
	}
}
