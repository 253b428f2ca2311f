package file

import (
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
	if kind == types.String || kind == types.Bytes {
		return appendEscaped(dst, rows.Text(col, row))
	}
	var scratch [64]byte
	return appendEscaped(dst, format.AppendValue(scratch[:0], kind, rows, col, row))
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
