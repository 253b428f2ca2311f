package format

import (
	"strconv"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/types"
)

// AppendValue appends a value as text in the form that the parsers of this package read, a
// timestamp with a space before the time. kind is that of column col. Null, strings and bytes are
// left to the caller, as every format writes them in its own way: AppendValue appends nothing for
// strings and bytes, and must not be called for null.
func AppendValue(dst []byte, kind types.Kind, rows *batch.Columns, col, row int) []byte {
	column := &rows.Columns[col]
	switch kind {
	case types.Boolean:
		return strconv.AppendBool(dst, column.Bool[row])
	case types.BigInt:
		return strconv.AppendInt(dst, column.Int64[row], 10)
	case types.Int, types.SmallInt, types.TinyInt:
		return strconv.AppendInt(dst, int64(column.Int32[row]), 10)
	case types.Float:
		return AppendFloat(dst, float64(column.Float32[row]), 32)
	case types.Double:
		return AppendFloat(dst, column.Float64[row], 64)
	case types.Date:
		return AppendDate(dst, column.Int32[row])
	case types.Time:
		return AppendTime(dst, column.Int32[row])
	case types.Timestamp, types.TimestampLTZ:
		return AppendTimestamp(dst, column.Int64[row], ' ')
	}
	return dst
}
