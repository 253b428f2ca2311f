package batch

import "github.com/leat-io/leat/types"

// New returns an empty batch for capacity rows, 1 to MaxRows, with one reference. Every field of
// the schema must have a physical column ([types.Type.Physical]), else it panics.
func New(schema *types.Schema, capacity int) *Columns { panic("unbuilt") }

// Capacity returns the number of rows c has room for.
func (c *Columns) Capacity() int { panic("unbuilt") }

// Reset makes c empty for refilling: no rows, no nulls, no buffers. Only the sole owner may.
func (c *Columns) Reset() { panic("unbuilt") }

// IsNull reports whether a value is null.
func (c *Columns) IsNull(col, row int) bool { panic("unbuilt") }

// SetNull makes a value null.
func (c *Columns) SetNull(col, row int) { panic("unbuilt") }

// SetValid makes a value not null again.
func (c *Columns) SetValid(col, row int) { panic("unbuilt") }

// SetString sets a string or bytes value, copying s into c.
func (c *Columns) SetString(col, row int, s []byte) { panic("unbuilt") }

// SetStringView sets a string or bytes value to length bytes at off of buffer buf, which is not
// copied unless it fits inline.
func (c *Columns) SetStringView(col, row int, buf uint32, off, length int) { panic("unbuilt") }

// AddBuffer adds bytes for SetStringView to point into, and returns their index. c keeps b, which
// must never be written again.
func (c *Columns) AddBuffer(b []byte) uint32 { panic("unbuilt") }

// Text returns a string value without copying. See Expose for how long it is valid.
func (c *Columns) Text(col, row int) []byte { panic("unbuilt") }

// Expose declares that strings aliasing c outlive it: its bytes are never recycled after that.
// Safe for concurrent use.
func (c *Columns) Expose() { panic("unbuilt") }

// Retain adds n references.
func (c *Columns) Retain(n int) { panic("unbuilt") }

// Release drops one reference; the last one returns c to its pool. Safe for concurrent use.
func (c *Columns) Release() { panic("unbuilt") }

// Gather appends the rows sel of c to dst, which has the same physical columns and room for them.
// Views are copied, the buffers they point into are shared.
func (c *Columns) Gather(dst *Columns, sel []uint16) { panic("unbuilt") }

// Hash writes the hash (hash id 1) of the key columns of every row to dst[:c.Len]: with one
// column its own hash, with several their fold.
func (c *Columns) Hash(dst []uint64, cols []int) { panic("unbuilt") }

// Equal reports whether c and other have equal schemas and rows. Null values are equal.
func (c *Columns) Equal(other *Columns) bool { panic("unbuilt") }

// String returns the rows as a table, the first 20 of them, for debugging.
func (c *Columns) String() string { panic("unbuilt") }

// Pool recycles batches of one schema. Safe for concurrent use.
type Pool struct{}

// NewPool returns a pool of batches of rows rows that keeps at most limit idle ones.
func NewPool(schema *types.Schema, rows, limit int) *Pool { panic("unbuilt") }

// Get returns an empty batch with one reference. Its last Release returns it to the pool.
func (p *Pool) Get() *Columns { panic("unbuilt") }

// StructCodec converts between batches and slices of the Go type T. It is immutable.
type StructCodec[T any] struct{}

// CodecOf returns the codec of T (see types.StructOf). The error names the type, field and cure.
func CodecOf[T any]() (*StructCodec[T], error) { panic("unbuilt") }

// Schema returns the schema of T.
func (x *StructCodec[T]) Schema() *types.Schema { panic("unbuilt") }

// Read appends the rows sel of c (nil: all) to dst. Strings alias c, are safe to keep and pin its
// buffers. A null for a field that is not Null[V] is an error naming row and column; dst is
// returned as it was then.
func (x *StructCodec[T]) Read(c *Columns, sel []uint16, dst []T) ([]T, error) { panic("unbuilt") }

// Write sets the rows of c from row0 on to src, copying strings, and raises c.Len to cover them.
func (x *StructCodec[T]) Write(src []T, c *Columns, row0 int) { panic("unbuilt") }
