package batch

import "github.com/leat-io/leat/types"

// hashBlock is the number of rows whose column hashes are folded at a time.
const hashBlock = 256

// Hash writes the hash (hash id 1) of the key columns of row i to dst[i] for every row: with one
// column its own hash, with several their fold. dst is at least c.Len long.
func (c *Columns) Hash(dst []uint64, cols []int) {
	dst = dst[:c.Len]
	if len(cols) == 1 {
		c.hashColumn(dst, cols[0], 0)
		return
	}
	var parts [hashBlock]uint64
	for from := 0; from < len(dst); from += hashBlock {
		block := dst[from:min(from+hashBlock, len(dst))]
		for i := range block {
			block[i] = types.HashStart
		}
		for _, col := range cols {
			part := parts[:len(block)]
			c.hashColumn(part, col, from)
			for i, h := range part {
				block[i] = types.Fold(block[i], h)
			}
		}
	}
}

// hashColumn writes the hashes of the rows from row on of one column to all of dst.
func (c *Columns) hashColumn(dst []uint64, col, row int) {
	column := &c.Columns[col]
	end := row + len(dst)
	switch column.Physical {
	case types.Bool8:
		for i, v := range column.Bool[row:end] {
			dst[i] = types.HashBool(v)
		}
	case types.Int32:
		for i, v := range column.Int32[row:end] {
			dst[i] = types.HashInt64(int64(v))
		}
	case types.Int64:
		for i, v := range column.Int64[row:end] {
			dst[i] = types.HashInt64(v)
		}
	case types.Float32:
		for i, v := range column.Float32[row:end] {
			dst[i] = types.HashFloat64(float64(v))
		}
	case types.Float64:
		for i, v := range column.Float64[row:end] {
			dst[i] = types.HashFloat64(v)
		}
	case types.Views:
		c.hashViews(dst, col, row)
		return
	}
	if column.Valid == nil {
		return
	}
	for i := range dst {
		if c.IsNull(col, row+i) {
			dst[i] = types.HashNull
		}
	}
}

// hashViews asks for nulls first: the view of a null row may point anywhere.
func (c *Columns) hashViews(dst []uint64, col, row int) {
	views := c.Columns[col].Views[row : row+len(dst)]
	for i := range views {
		if c.IsNull(col, row+i) {
			dst[i] = types.HashNull
			continue
		}
		dst[i] = views[i].Hash(c.Buffers)
	}
}
