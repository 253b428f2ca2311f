package batch

import (
	"math"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/types"
)

// New returns an empty batch for capacity rows, 1 to MaxRows, with one reference. It keeps the
// schema, every field of which must have a physical column ([CheckSchema]), else it panics.
func New(schema *types.Schema, capacity int) *Columns {
	invariant.Check(0 < capacity && capacity <= MaxRows,
		"batch of %d rows, want 1 to %d", capacity, MaxRows)
	c := &Columns{
		Schema:   schema,
		Columns:  make([]Column, len(schema.Fields)),
		capacity: capacity,
		arena:    arena{index: unlisted},
	}
	for i := range c.Columns {
		c.Columns[i] = newColumn(schema.Fields[i].Type, capacity)
	}
	c.references.Store(1)
	return c
}

func newColumn(t types.Type, capacity int) Column {
	col := Column{Physical: t.Physical()}
	switch col.Physical {
	case types.Bool8:
		col.Bool = make([]bool, capacity)
	case types.Int32:
		col.Int32 = make([]int32, capacity)
	case types.Int64:
		col.Int64 = make([]int64, capacity)
	case types.Float32:
		col.Float32 = make([]float32, capacity)
	case types.Float64:
		col.Float64 = make([]float64, capacity)
	case types.Views:
		col.Views = make([]View, capacity)
	default:
		invariant.Fail("type %q has no physical column", t.String())
	}
	return col
}

// Capacity returns the number of rows c has room for.
func (c *Columns) Capacity() int { return c.capacity }

// Reset makes c empty for refilling: no rows, no nulls, no buffers. Only the owner of the sole
// reference may call it.
func (c *Columns) Reset() {
	exposed := c.exposed.Load()
	for i := range c.Columns {
		col := &c.Columns[i]
		if col.Valid != nil {
			col.spareValid, col.Valid = col.Valid, nil
		}
		if exposed&exposedBit(i) != 0 && col.Views != nil {
			col.Views = c.takeViews()
		}
	}
	clear(c.Buffers)
	c.Buffers = c.Buffers[:0]
	c.arena.reset(c.shared.Load())
	c.exposed.Store(0)
	c.shared.Store(false)
	c.Len = 0
}

// viewsAhead is the number of columns for which fresh views are allocated at once.
const viewsAhead = 8

// takeViews returns views for a column that must leave its own to strings that lie in them.
func (c *Columns) takeViews() []View {
	if len(c.spareViews) < c.capacity {
		c.spareViews = make([]View, viewsAhead*c.capacity)
	}
	views := c.spareViews[:c.capacity:c.capacity]
	c.spareViews = c.spareViews[c.capacity:]
	return views
}

func exposedBit(col int) uint64 { return 1 << min(col, 63) }

// Expose declares that strings or slices aliasing c outlive its last reference: the bytes in use
// are never recycled then. [StructCodec.Read] does it where needed. Safe for concurrent use by
// owners of a reference.
func (c *Columns) Expose() {
	c.exposed.Store(math.MaxUint64)
	c.shared.Store(true)
}

// Retain adds n references, for as many further owners. Safe for concurrent use by an owner.
func (c *Columns) Retain(n int) { c.references.Add(int32(n)) }

// Release drops one reference; the last one returns c to its pool. The caller must not use c
// after that. Safe for concurrent use.
func (c *Columns) Release() {
	left := c.references.Add(-1)
	if left > 0 {
		return
	}
	if left < 0 {
		invariant.Fail("batch released more often than retained")
	}
	if c.pool != nil {
		c.pool.put(c)
	}
}

// IsNull reports whether a value is null.
func (c *Columns) IsNull(col, row int) bool {
	valid := c.Columns[col].Valid
	return valid != nil && valid[row>>6]&(1<<(row&63)) == 0
}

// SetNull makes a value null.
func (c *Columns) SetNull(col, row int) {
	column := &c.Columns[col]
	if column.Valid == nil {
		column.makeValid(c.capacity)
	}
	column.Valid[row>>6] &^= 1 << (row & 63)
}

// SetValid makes a value not null again.
func (c *Columns) SetValid(col, row int) {
	if valid := c.Columns[col].Valid; valid != nil {
		valid[row>>6] |= 1 << (row & 63)
	}
}

// makeValid gives the column validity words that say "no nulls".
func (col *Column) makeValid(capacity int) {
	col.Valid, col.spareValid = col.spareValid, nil
	if col.Valid == nil {
		col.Valid = make([]uint64, (capacity+63)/64)
	}
	for i := range col.Valid {
		col.Valid[i] = math.MaxUint64
	}
}

// SetString sets a string or bytes value, copying s into c. It does not clear a null.
func (c *Columns) SetString(col, row int, s []byte) {
	v := &c.Columns[col].Views[row]
	if len(s) <= InlineBytes {
		*v = View{length: uint32(len(s))}
		copy(v.rest[:], s)
		return
	}
	to, buf, off := c.reserve(len(s))
	copy(to, s)
	*v = MakeView(s, buf, off)
}

// SetStringView sets a string or bytes value to the length bytes at off of buffer buf, which are
// not copied unless they fit inline. It does not clear a null.
func (c *Columns) SetStringView(col, row int, buf uint32, off, length int) {
	b := c.Buffers[buf][off : off+length]
	c.Columns[col].Views[row] = MakeView(b, buf, uint32(off))
}

// AddBuffer adds bytes for SetStringView to point into, at most 4 GiB, and returns their index. c
// keeps b, which must never be written again.
func (c *Columns) AddBuffer(b []byte) uint32 {
	c.Buffers = append(c.Buffers, b)
	return uint32(len(c.Buffers) - 1)
}

// Text returns a string or bytes value without copying. It is valid until the last reference is
// released, or for ever after [Columns.Expose]; do not write to it.
func (c *Columns) Text(col, row int) []byte {
	return c.Columns[col].Views[row].Bytes(c.Buffers)
}

// CheckSchema reports the columns of a schema that a batch cannot hold.
func CheckSchema(schema *types.Schema) error {
	if err := schema.Validate(); err != nil {
		return err
	}
	return checkPhysical(schema)
}
