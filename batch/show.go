package batch

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/leat-io/leat/types"
)

// shownRows is the number of rows that String shows.
const shownRows = 20

// String returns the rows as a table, the first 20 of them, for debugging and tests.
func (c *Columns) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 1, 2, ' ', 0)
	for _, f := range c.Schema.Fields {
		fmt.Fprintf(w, "%s\t", f.Name)
	}
	fmt.Fprintln(w)
	for row := range min(c.Len, shownRows) {
		for col := range c.Columns {
			fmt.Fprintf(w, "%s\t", c.cell(col, row))
		}
		fmt.Fprintln(w)
	}
	w.Flush() //nolint:errcheck // a strings.Builder does not fail
	if c.Len > shownRows {
		fmt.Fprintf(&out, "... %d rows more\n", c.Len-shownRows)
	}
	return out.String()
}

// cell returns a value as text: strings quoted, null as NULL.
func (c *Columns) cell(col, row int) string {
	if c.IsNull(col, row) {
		return "NULL"
	}
	column := &c.Columns[col]
	switch column.Physical {
	case types.Bool8:
		return fmt.Sprint(column.Bool[row])
	case types.Int32:
		return fmt.Sprint(column.Int32[row])
	case types.Int64:
		return fmt.Sprint(column.Int64[row])
	case types.Float32:
		return fmt.Sprint(column.Float32[row])
	case types.Float64:
		return fmt.Sprint(column.Float64[row])
	}
	return fmt.Sprintf("%q", c.Text(col, row))
}

// Equal reports whether c and other have equal schemas and rows: null equals null, floats are
// compared by their bits. For tests.
func (c *Columns) Equal(other *Columns) bool {
	if c.Len != other.Len || !c.Schema.Equal(other.Schema) {
		return false
	}
	for col := range c.Columns {
		for row := range c.Len {
			if !c.equalValue(other, col, row) {
				return false
			}
		}
	}
	return true
}

func (c *Columns) equalValue(other *Columns, col, row int) bool {
	null := c.IsNull(col, row)
	if null || null != other.IsNull(col, row) {
		return null == other.IsNull(col, row)
	}
	a, b := &c.Columns[col], &other.Columns[col]
	switch a.Physical {
	case types.Bool8:
		return a.Bool[row] == b.Bool[row]
	case types.Int32:
		return a.Int32[row] == b.Int32[row]
	case types.Int64:
		return a.Int64[row] == b.Int64[row]
	case types.Float32:
		return math.Float32bits(a.Float32[row]) == math.Float32bits(b.Float32[row])
	case types.Float64:
		return math.Float64bits(a.Float64[row]) == math.Float64bits(b.Float64[row])
	}
	return EqualViews(&a.Views[row], c.Buffers, &b.Views[row], other.Buffers)
}
