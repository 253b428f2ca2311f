package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/leat-io/leat/internal/base/invariant"
	"github.com/leat-io/leat/types"
)

func checkPhysical(schema *types.Schema) error {
	var faults []error
	for _, f := range schema.Fields {
		if f.Type.Physical() == types.NoPhysical {
			faults = append(faults, fmt.Errorf(
				"hold column %q in a batch: type %q is not supported yet", f.Name, f.Type.String()))
		}
	}
	return errors.Join(faults...)
}

// Gather appends the rows sel of c to dst, which has the same physical columns and room for them.
// Views are copied, the buffers they point into are shared: bytes of c are not recycled after
// that.
func (c *Columns) Gather(dst *Columns, sel []uint16) {
	if dst.Len+len(sel) > dst.capacity || len(dst.Columns) != len(c.Columns) {
		invariant.Fail("gather %d rows of %d columns behind %d rows of %d columns, room for %d",
			len(sel), len(c.Columns), dst.Len, len(dst.Columns), dst.capacity)
	}
	base, based := uint32(0), false
	for i := range c.Columns {
		from, to := &c.Columns[i], &dst.Columns[i]
		switch from.Physical {
		case types.Bool8:
			gather(to.Bool[dst.Len:], from.Bool, sel)
		case types.Int32:
			gather(to.Int32[dst.Len:], from.Int32, sel)
		case types.Int64:
			gather(to.Int64[dst.Len:], from.Int64, sel)
		case types.Float32:
			gather(to.Float32[dst.Len:], from.Float32, sel)
		case types.Float64:
			gather(to.Float64[dst.Len:], from.Float64, sel)
		case types.Views:
			if !based {
				base, based = dst.share(c), true
			}
			gatherViews(to.Views[dst.Len:], from.Views, sel, base)
		}
		if from.Valid != nil {
			gatherValid(dst, i, from.Valid, sel)
		}
	}
	dst.Len += len(sel)
}

// share makes the buffers of c buffers of dst and returns the index of the first.
func (c *Columns) share(from *Columns) uint32 {
	n := len(from.Buffers)
	if n == 0 {
		return 0
	}
	if !from.shared.Load() {
		from.shared.Store(true)
	}
	// Rows of one batch often come in several calls.
	if base := len(c.Buffers) - n; base >= 0 && sameBuffers(c.Buffers[base:], from.Buffers) {
		return uint32(base)
	}
	base := uint32(len(c.Buffers))
	c.Buffers = append(c.Buffers, from.Buffers...)
	return base
}

func sameBuffers(a, b [][]byte) bool {
	for i := range a {
		if len(a[i]) != len(b[i]) || unsafe.SliceData(a[i]) != unsafe.SliceData(b[i]) {
			return false
		}
	}
	return true
}

func gather[V any](to, from []V, sel []uint16) {
	to = to[:len(sel)]
	for i, row := range sel {
		to[i] = from[row]
	}
}

func gatherViews(to, from []View, sel []uint16, base uint32) {
	to = to[:len(sel)]
	if base == 0 {
		gather(to, from, sel)
		return
	}
	for i, row := range sel {
		v := from[row]
		if v.length > InlineBytes {
			buf := binary.LittleEndian.Uint32(v.rest[prefixEnd:])
			binary.LittleEndian.PutUint32(v.rest[prefixEnd:], buf+base)
		}
		to[i] = v
	}
}

func gatherValid(dst *Columns, col int, valid []uint64, sel []uint16) {
	for i, row := range sel {
		if valid[row>>6]&(1<<(row&63)) == 0 {
			dst.SetNull(col, dst.Len+i)
		}
	}
}
