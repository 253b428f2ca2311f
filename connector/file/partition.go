package file

import (
	"strconv"

	"github.com/leat-io/leat/batch"
	"github.com/leat-io/leat/format"
	"github.com/leat-io/leat/types"
)

// nullPartition stands for null and the empty string in names of directories, as in Flink.
const nullPartition = "__DEFAULT_PARTITION__"

// appendPartition appends the directories of a row, such as "day=2001-01-31/origin=DTW/".
func (s *Sink) appendPartition(dst []byte, rows *batch.Columns, row int) []byte {
	for _, col := range s.partitions {
		f := &s.options.Schema.Fields[col]
		dst = appendEscaped(dst, f.Name)
		dst = append(dst, '=')
		start := len(dst)
		if !rows.IsNull(col, row) {
			dst = appendPartitionValue(dst, f.Type.Kind, rows, col, row)
		}
		if len(dst) == start {
			dst = append(dst, nullPartition...)
		}
		dst = append(dst, '/')
	}
	return dst
}

func appendPartitionValue(dst []byte, kind types.Kind, rows *batch.Columns, col, row int) []byte {
	column := &rows.Columns[col]
	var scratch [64]byte
	text := scratch[:0]
	switch kind {
	case types.String, types.Bytes:
		text = rows.Text(col, row)
	case types.Boolean:
		text = strconv.AppendBool(text, column.Bool[row])
	case types.BigInt:
		text = strconv.AppendInt(text, column.Int64[row], 10)
	case types.Int, types.SmallInt, types.TinyInt:
		text = strconv.AppendInt(text, int64(column.Int32[row]), 10)
	case types.Float:
		text = format.AppendFloat(text, float64(column.Float32[row]), 32)
	case types.Double:
		text = format.AppendFloat(text, column.Float64[row], 64)
	case types.Date:
		text = format.AppendDate(text, column.Int32[row])
	case types.Time:
		text = format.AppendTime(text, column.Int32[row])
	case types.Timestamp, types.TimestampLTZ:
		text = format.AppendTimestamp(text, column.Int64[row], ' ')
	}
	return appendEscaped(dst, text)
}

// appendEscaped appends text with percent signs for what names of files cannot hold or what means
// something to those who read partitions.
func appendEscaped[T string | []byte](dst []byte, text T) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		switch {
		case c < ' ' || c == 0x7f:
		case c == '"' || c == '#' || c == '%' || c == '\'' || c == '*' || c == '/' || c == ':' ||
			c == '=' || c == '?' || c == '\\' || c == '{' || c == '[' || c == ']' || c == '^':
		default:
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}
